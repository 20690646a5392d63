/* Files: mapped for reading, renamed into place after writing. */
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char is_directory[] = "is a directory, a file is needed";

/* A descriptor of the regular file path, or -1. Does not wait for the writer of a pipe. */
static int open_regular(const char *path, struct stat *st, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		*why = strerror(errno);
		return -1;
	}
	if (fstat(fd, st) != 0)
		*why = strerror(errno);
	else if (S_ISDIR(st->st_mode))
		*why = is_directory;
	else if (!S_ISREG(st->st_mode))
		*why = "is not a regular file";
	else
		return fd;
	close(fd);
	return -1;
}

bool file_map(const char *path, FileMap *out, const char **why)
{
	struct stat st;
	*out = (FileMap){0};
	int fd = open_regular(path, &st, why);
	if (fd < 0) return false;
	bool ok = true;
	if (st.st_size > 0) {
		void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		ok = p != MAP_FAILED;
		if (ok)
			*out = (FileMap){p, (size_t)st.st_size};
		else
			*why = strerror(errno);
	}
	close(fd);
	return ok;
}

void file_unmap(FileMap *m)
{
	if (m->at) munmap((void *)(uintptr_t)m->at, m->size);
	*m = (FileMap){0};
}

/* --- writing --- */

struct FileOut {
	FILE *file;
	char *path, *temporary; /* temporary NULL: path is a device or a pipe, written as it is */
	int error;              /* errno of the first failure */
};

static void file_out_free(FileOut *f)
{
	free(f->path);
	free(f->temporary);
	free(f);
}

/* Creates path.N.tmp beside path with the permissions that the umask leaves. */
static int create_beside(FileOut *f)
{
	size_t n = strlen(f->path) + 32;
	f->temporary = malloc(n);
	if (!f->temporary) {
		errno = ENOMEM;
		return -1;
	}
	for (unsigned k = 0; k < 100; k++) {
		snprintf(f->temporary, n, "%s.%ld.%u.tmp", f->path, (long)getpid(), k);
		int fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0 || errno != EEXIST) return fd;
	}
	return -1;
}

FileOut *file_out_open(const char *path, const char **why)
{
	struct stat st;
	bool exists = stat(path, &st) == 0;
	if (exists && S_ISDIR(st.st_mode)) {
		*why = is_directory;
		return NULL;
	}
	FileOut *f = calloc(1, sizeof *f);
	/* Through a symbolic link the file behind it is replaced, not the link. */
	if (f) f->path = exists && S_ISREG(st.st_mode) ? realpath(path, NULL) : strdup(path);
	if (!f || !f->path) {
		*why = strerror(errno);
		free(f);
		return NULL;
	}
	bool in_place = exists && !S_ISREG(st.st_mode);
	int fd = in_place ? open(path, O_WRONLY | O_CLOEXEC) : create_beside(f);
	if (fd >= 0) f->file = fdopen(fd, "wb");
	if (!f->file) {
		*why = strerror(errno);
		if (fd >= 0) close(fd);
		if (fd >= 0 && f->temporary) unlink(f->temporary);
		file_out_free(f);
		return NULL;
	}
	return f;
}

void file_out_write(FileOut *f, const void *data, size_t n)
{
	if (f->error || n == 0) return;
	errno = 0;
	if (fwrite(data, 1, n, f->file) != n) f->error = errno ? errno : EIO;
}

bool file_out_commit(FileOut *f, const char **why)
{
	if (fflush(f->file) != 0 && !f->error) f->error = errno;
	if (fclose(f->file) != 0 && !f->error) f->error = errno;
	if (!f->error && f->temporary && rename(f->temporary, f->path) != 0) f->error = errno;
	int error = f->error;
	if (error && f->temporary) unlink(f->temporary);
	file_out_free(f);
	if (error) *why = strerror(error);
	return !error;
}

void file_out_abandon(FileOut *f)
{
	fclose(f->file);
	if (f->temporary) unlink(f->temporary);
	file_out_free(f);
}
