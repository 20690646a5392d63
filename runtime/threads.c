/* The thread pool. A call is SPMD: every thread runs the whole entry with its own frame, and they
 * meet at barriers. Waiting spins for some microseconds, since barriers come often, then sleeps in
 * the kernel (futex), so that idle workers cost nothing and busy machines are not made busier. */
#include "runtime/internal.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 4000, LINE = 64 };

/* A counter that threads wait on. */
typedef struct Signal {
	_Alignas(LINE) _Atomic uint32_t value;
	_Alignas(LINE) _Atomic uint32_t sleepers;
} Signal;

typedef struct Worker {
	_Alignas(LINE) NacreFrame frame;
	Pool *pool;
	Memory scratch;
	pthread_t thread;
	uint32_t number;
} Worker;

struct Pool {
	Signal start, turn; /* a call began; a barrier was passed */
	_Alignas(LINE) _Atomic uint32_t arrived;
	_Alignas(LINE) _Atomic bool stop;
	uint32_t threads, spins;
	NacreEntryCode *code;
	const NacreFrame *common;
	pthread_mutex_t busy;
	Worker *worker; /* threads - 1 */
	uint32_t n_worker;
};

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* Waits until the value is not `old`. */
static void signal_wait(Signal *s, uint32_t old, uint32_t spins)
{
	for (uint32_t i = 0; i < spins; i++) {
		if (atomic_load_explicit(&s->value, memory_order_acquire) != old) return;
		relax();
	}
	atomic_fetch_add(&s->sleepers, 1);
	while (atomic_load(&s->value) == old)
		syscall(SYS_futex, &s->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
	atomic_fetch_sub(&s->sleepers, 1);
}

static void signal_raise(Signal *s)
{
	atomic_fetch_add(&s->value, 1);
	if (atomic_load(&s->sleepers))
		syscall(SYS_futex, &s->value, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void barrier(NacreFrame *f)
{
	Pool *p = f->runtime;
	uint32_t turn = atomic_load_explicit(&p->turn.value, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&p->arrived, 1, memory_order_acq_rel) + 1 == p->threads) {
		atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
		signal_raise(&p->turn);
	} else {
		signal_wait(&p->turn, turn, p->spins);
	}
}

void pool_meet(NacreFrame *f)
{
	if (f->threads > 1) barrier(f);
}

static void run_frame(Pool *p, NacreFrame *f, uint32_t number, uint8_t *scratch)
{
	*f = *p->common;
	f->thread = number;
	f->threads = p->threads;
	f->scratch = scratch;
	f->barrier = barrier;
	f->runtime = p;
	p->code(f);
	barrier(f); /* the caller leaves when all are done */
}

static void *work(void *at)
{
	Worker *w = at;
	Pool *p = w->pool;
	uint32_t seen = 0;
	for (;;) {
		signal_wait(&p->start, seen, p->spins);
		seen++;
		if (atomic_load(&p->stop)) return NULL;
		run_frame(p, &w->frame, w->number, w->scratch.at);
	}
}

uint32_t usable_cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0) return (uint32_t)CPU_COUNT(&set);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (uint32_t)n : 1;
}

Pool *pool_new(uint32_t threads, uint64_t scratch_bytes)
{
	Pool *p = aligned_alloc(LINE, sizeof *p);
	if (!p) return NULL;
	*p = (Pool){.threads = threads, .busy = PTHREAD_MUTEX_INITIALIZER};
	p->spins = threads <= usable_cores() ? SPINS : 1;
	if (threads == 1) return p;
	p->worker = aligned_alloc(LINE, (threads - 1) * sizeof *p->worker);
	for (uint32_t i = 0; p->worker && i + 1 < threads; i++) {
		Worker *w = &p->worker[i];
		*w = (Worker){.pool = p, .number = i + 1};
		if (!memory_take(&w->scratch, scratch_bytes)) break;
		if (pthread_create(&w->thread, NULL, work, w)) {
			memory_release(&w->scratch);
			break;
		}
		p->n_worker++;
	}
	if (p->n_worker + 1 == threads) return p;
	pool_free(p);
	return NULL;
}

void pool_free(Pool *p)
{
	if (!p) return;
	atomic_store(&p->stop, true);
	signal_raise(&p->start);
	for (uint32_t i = 0; i < p->n_worker; i++) {
		pthread_join(p->worker[i].thread, NULL);
		memory_release(&p->worker[i].scratch);
	}
	free(p->worker);
	pthread_mutex_destroy(&p->busy);
	free(p);
}

void pool_run(Pool *p, NacreEntryCode *code, const NacreFrame *common, uint8_t *scratch)
{
	NacreFrame f = *common;
	if (p->threads == 1 || pthread_mutex_trylock(&p->busy)) {
		f.thread = 0;
		f.threads = 1;
		f.scratch = scratch;
		f.barrier = NULL;
		code(&f);
		return;
	}
	p->code = code;
	p->common = common;
	signal_raise(&p->start);
	run_frame(p, &f, 0, scratch);
	pthread_mutex_unlock(&p->busy);
}
