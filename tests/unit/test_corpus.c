/* The corpus of fuzz_nac, replayed: what libFuzzer found to reach all of the frontend, and what once went
 * wrong. The same function that it calls is called for each file (a sanitizer build sees the most). */
#include "frontend/frontend.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

Test(corpus, model_files, .timeout = 600)
{
	const char *folder = NACRE_TESTS_DIR "/fuzz/corpus/nac";
	DIR *d = opendir(folder);
	cr_assert(d);
	Arena *a = arena_new();
	size_t files = 0;
	for (const struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.') continue;
		FileMap m;
		const char *why = NULL;
		cr_assert(file_map(arena_printf(a, "%s/%s", folder, e->d_name), &m, &why), "%s: %s",
		          e->d_name, why);
		cr_log_info("%s", e->d_name);
		LLVMFuzzerTestOneInput(m.at, m.size);
		file_unmap(&m);
		files++;
	}
	cr_expect_gt(files, 100);
	closedir(d);
	arena_free(a);
}
