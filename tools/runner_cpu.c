/* A model on the CPU: compiled in memory, or a shared library made before, run by the runtime. */
#include "tools/tool.h"

#include "runtime/nacre.h"
#include "runtime/nacre_abi.h"
#ifdef NACRE_HAVE_LLVM
#include "codegen/cpu/cpu.h"
#endif

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef struct Cpu {
	NacreModel *model;
	NacreSession *session;
	void *library; /* of dlopen */
#ifdef NACRE_HAVE_LLVM
	CpuLoaded *loaded;
#endif
} Cpu;

static bool told(Tool *t, NacreStatus s, const NacreError *e)
{
	return s == NACRE_OK || tool_fail(t, "%s", e->text);
}

static NacreTensor runtime_tensor(const HostTensor *x)
{
	NacreTensor n = {.type = (NacreType)x->dtype, .rank = x->rank, .data = tensor_data(x)};
	for (uint32_t i = 0; i < x->rank; i++) n.dims[i] = x->dims[i];
	return n;
}

/* --- opening -------------------------------------------------------------------------------------------- */

/* Weights that were copied or packed are not read again: while that is done, their pages are let go,
 * or the file would be in memory beside what is made of it. */
typedef struct Trim {
	const FileMap *map;
	atomic_bool stop;
	pthread_t thread;
	bool running;
} Trim;

static void *trim_run(void *at)
{
	Trim *t = at;
	const struct timespec pause = {.tv_nsec = 2000000};
	while (!atomic_load(&t->stop)) {
		madvise((void *)(uintptr_t)t->map->at, t->map->size, MADV_DONTNEED);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void trim_begin(Trim *t, const Weights *w)
{
	enum { WORTH_WHILE = 16 << 20 };
	*t = (Trim){.map = &w->file.map};
	if (t->map->size >= WORTH_WHILE)
		t->running = pthread_create(&t->thread, NULL, trim_run, t) == 0;
}

static void trim_end(Trim *t)
{
	atomic_store(&t->stop, true);
	if (t->running) pthread_join(t->thread, NULL);
	if (t->map->at) madvise((void *)(uintptr_t)t->map->at, t->map->size, MADV_DONTNEED);
}

/* What the runtime asks for weights. */
typedef struct Loading {
	const Module *m;
	const Weights *w;
	uint32_t *number; /* of the module, by number of the runtime */
} Loading;

static void loading_tensor(void *ctx, uint32_t i, uint32_t key, NacreTensor *out)
{
	const Loading *l = ctx;
	*out = runtime_tensor(&l->w->bound[l->number[i]].part[key]);
}

static bool loading_read(void *ctx, uint32_t i, uint32_t key, void *to)
{
	const Loading *l = ctx;
	uint32_t k = l->number[i];
	if (!l->w->random) return false;
	weight_random(&l->m->weights.at[k], &l->w->bound[k].part[key], key, l->w->seed, to);
	return true;
}

static bool load_all(Tool *t, Cpu *c, const Module *m, const Weights *w)
{
	NacreError e = {0};
	uint32_t n = nacre_model_weights(c->model);
	Loading l = {m, w, NEW_ARRAY(t->arena, uint32_t, n + 1)};
	for (uint32_t i = 0; i < n; i++) {
		const char *name = nacre_model_weight_name(c->model, i);
		size_t k = 0;
		while (k < m->weights.n && strcmp(m->weights.at[k].name, name) != 0) k++;
		if (k == m->weights.n || !w->bound || w->bound[k].n != nacre_model_weight_keys(c->model, i))
			return tool_fail(t, "weight `%s` of the compiled model has no value", name);
		l.number[i] = (uint32_t)k;
	}
	NacreLoader loader = {loading_tensor, loading_read, &l};
	return told(t, nacre_model_load(c->model, &loader, &e), &e);
}

static bool load_weights(Tool *t, Cpu *c, const Module *m, const Weights *w)
{
	Trim trim;
	trim_begin(&trim, w);
	bool done = load_all(t, c, m, w);
	trim_end(&trim);
	return done;
}

static uint32_t threads_of(const Tool *t)
{
	return t->a.threads.n ? (uint32_t)t->a.threads.at[0] : 0;
}

static bool cpu_call(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, HostTensor *out,
                     const Dims *d, CallReport *report)
{
	Cpu *c = r->self;
	const InterfaceEntry *e = &r->face->entry[entry];
	NacreError error = {0};
	NacreTensor *inputs = NEW_ARRAY(a, NacreTensor, e->n_in + 1),
				*outputs = NEW_ARRAY(a, NacreTensor, e->n_out + 1);
	NacreDim *dims = NEW_ARRAY(a, NacreDim, r->face->n_param + 1);
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->face->n_param; i++) {
		const InterfaceParam *p = &r->face->param[i];
		if (p->kind == IP_STATE) {
			if (!told(r->t, nacre_session_set_dim(c->session, p->name, d->value[i], &error),
			          &error))
				return false;
		} else if (d->known[i]) {
			dims[n++] = (NacreDim){p->name, d->value[i]};
		}
	}
	for (uint32_t i = 0; i < e->n_in; i++) inputs[i] = runtime_tensor(&in[i]);
	for (uint32_t i = 0; i < e->n_out; i++) outputs[i] = runtime_tensor(&out[i]);
	double began = seconds_now();
	NacreStatus s = nacre_call(c->session, entry, inputs, dims, n, outputs, &error);
	report->seconds = seconds_now() - began;
	report->planned = true;
	nacre_session_memory(c->session, &report->weights, &report->state, &report->activations);
	return told(r->t, s, &error);
}

static bool session_begin(Runner *r, Cpu *c)
{
	NacreError e = {0};
	return told(r->t, nacre_session_new(c->model, NULL, 0, &c->session, &e), &e);
}

/* Another session, since this one keeps its session dims. */
static bool cpu_reset(Runner *r)
{
	Cpu *c = r->self;
	nacre_session_free(c->session);
	c->session = NULL;
	return session_begin(r, c);
}

static void cpu_close(Runner *r)
{
	Cpu *c = r->self;
	nacre_session_free(c->session);
	nacre_model_free(c->model);
#ifdef NACRE_HAVE_LLVM
	cpu_loaded_free(c->loaded);
#endif
	if (c->library) dlclose(c->library);
}

static Cpu *cpu_begin(Runner *r)
{
	static const RunnerOps ops = {cpu_call, cpu_reset, cpu_close};
	Cpu *c = NEW(r->t->arena, Cpu);
	r->self = c;
	r->ops = &ops;
	return c;
}

#ifdef NACRE_HAVE_LLVM
bool cpu_open(Runner *r, Lowered *l, const Weights *w)
{
	Tool *t = r->t;
	Cpu *c = cpu_begin(r);
	Text face = text_new(t->arena);
	interface_write(l->face, &face);
	CpuArtefactData data = {.interface_data = (const uint8_t *)face.at, .interface_bytes = face.n};
	data.constants = interface_constants(l->tile, &data.constants_bytes);
	CpuOptions o = {.cpu = t->a.mcpu, .triple = t->a.triple};
	CpuObject *object = cpu_compile(&t->d, l->tile, &o, &data);
	if (!object) return false;
	r->compile_seconds += cpu_object_seconds(object);
	c->loaded = cpu_jit_load(&t->d, object);
	if (!c->loaded) return false;
	r->face = l->face;
	NacreError e = {0};
	if (!told(t, nacre_model_new(cpu_loaded_artefact(c->loaded), threads_of(t), &c->model, &e), &e))
		return false;
	if (!load_weights(t, c, r->module, w)) return false;
	return session_begin(r, c);
}
#else
bool cpu_open(Runner *r, Lowered *l, const Weights *w)
{
	(void)l, (void)w;
	return tool_fail(r->t, "this nacre was built without LLVM, so it has no target `cpu`");
}
#endif

bool cpu_open_shared(Runner *r, const char *path)
{
	Tool *t = r->t;
	Cpu *c = cpu_begin(r);
	/* dlopen looks for a name without a slash among the system's libraries. */
	const char *place = strchr(path, '/') ? path : arena_printf(t->arena, "./%s", path);
	c->library = dlopen(place, RTLD_NOW | RTLD_LOCAL);
	if (!c->library) return tool_fail(t, "'%s' cannot be loaded: %s", path, dlerror());
	const NacreArtefact *artefact = dlsym(c->library, "nacre_artefact");
	if (!artefact) return tool_fail(t, "'%s' is no library made by `nacre compile`", path);
	NacreError e = {0};
	if (!told(t, nacre_model_new(artefact, threads_of(t), &c->model, &e), &e)) return false;
	const char *why = "?";
	r->face = interface_read(t->arena, artefact->interface_data, artefact->interface_bytes, &why);
	if (!r->face) return tool_fail(t, "'%s': %s", path, why);
	Weights w = {0};
	Module *m = interface_weights(t, r->face);
	if (!m || (m->weights.n && !weights_open(t, m, &w))) return false;
	return load_weights(t, c, m, &w) && session_begin(r, c);
}
