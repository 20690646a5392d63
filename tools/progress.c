/* Progress: a line on stderr that tells what takes over a second, when stderr is a terminal; never in
 * pipes and files. A thread writes it, since what it tells of (a pass, LLVM, a call of the model) does
 * not come back before it is done. Between progress_begin and progress_end nothing else is printed. */
#include "tools/tool.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_WIDTH = 30 };
static const long progress_tick = 200000000; /* nanoseconds */

struct Progress {
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;
	const char *what;
	uint64_t done, all; /* all 0: seconds are told instead */
	double began;
	uint64_t shown; /* what was written last: seconds, or steps */
	bool stop, visible;
};

static void line_write(Progress *p)
{
	double seconds = seconds_now() - p->began;
	uint64_t now = p->all ? p->done : (uint64_t)seconds;
	if (p->visible && now == p->shown) return;
	p->visible = true;
	p->shown = now;
	if (!p->all) {
		fprintf(stderr, "\r\033[K%s ... %llu s", p->what, (unsigned long long)now);
		return;
	}
	int filled = (int)(p->done * PROGRESS_WIDTH / p->all);
	fprintf(stderr, "\r\033[K%s [%.*s%*s] %llu/%llu", p->what, filled,
	        "##############################", PROGRESS_WIDTH - filled, "",
	        (unsigned long long)p->done, (unsigned long long)p->all);
}

static void *progress_run(void *at)
{
	Progress *p = at;
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += progress_tick;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&p->wake, &p->lock, &until);
		if (p->stop || seconds_now() - p->began < 1) continue;
		line_write(p);
		fflush(stderr);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void progress_begin(Tool *t, const char *what)
{
	progress_end(t);
	if (!isatty(STDERR_FILENO)) return;
	Progress *p = NEW(t->arena, Progress);
	*p = (Progress){.what = what, .began = seconds_now()};
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (pthread_create(&p->thread, NULL, progress_run, p) == 0) t->progress = p;
}

void progress_step(Tool *t, uint64_t done, uint64_t all)
{
	Progress *p = t->progress;
	if (!p) return;
	pthread_mutex_lock(&p->lock);
	p->done = done;
	p->all = all;
	pthread_mutex_unlock(&p->lock);
}

void progress_end(Tool *t)
{
	Progress *p = t->progress;
	if (!p) return;
	t->progress = NULL;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	if (p->visible) fputs("\r\033[K", stderr);
}
