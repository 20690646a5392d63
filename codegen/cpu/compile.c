/* Programs: every kernel once, then a function for each entry that calls them in order. All threads
 * run an entry whole; a barrier stands before a launch that touches what an earlier one wrote, or
 * writes what an earlier one read. */
#include "codegen/cpu/emit.h"
#include "codegen/cpu/object.h"
#include <string.h>
#include <time.h>

typedef struct KernelCode {
	const TileKernel *kernel;
	Value function;
	bool *read, *written;
} KernelCode;
typedef struct Program {
	Gen g;
	KernelCode *code;
	size_t n_code;
	bool *read, *written; /* program buffers touched since the last barrier */
	bool any, prepack;    /* the entry is the prepack entry */
} Program;

/* --- kernels --- */

static void note_formal(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	(void)s;
	KernelCode *k = ctx;
	if (a->obj->kind == TB_PLACE) return;
	(write ? k->written : k->read)[a->obj->id] = true;
}

static void compile_kernels(Program *p)
{
	TileProgram *t = p->g.program;
	p->n_code = t->kernels.n;
	p->code = NEW_ARRAY(p->g.arena, KernelCode, p->n_code + 1);
	for (size_t i = 0; i < p->n_code; i++) {
		KernelCode *k = &p->code[i];
		k->kernel = t->kernels.at[i];
		k->read = NEW_ARRAY(p->g.arena, bool, k->kernel->bufs.n + 1);
		k->written = NEW_ARRAY(p->g.arena, bool, k->kernel->bufs.n + 1);
		block_visit(&k->kernel->body, note_formal, k);
		k->function = lower_kernel(&p->g, k->kernel);
	}
	p->g.kernel = NULL;
}

/* --- entries --- */

static Value argument(Program *p, const TileArg *a)
{
	Gen *g = &p->g;
	Value bufs = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, bufs)), 8);
	Value base = load(g, g->ptr, ptr_addc(g, bufs, 8 * (int64_t)a->buf->id), 8);
	if (!a->n_lead) return base;
	Home h = {.obj = a->buf, .base = base, .dtype = a->buf->dtype};
	Value dims[TILE_RANK];
	for (uint32_t d = 0; d < a->buf->rank; d++) dims[d] = index_value(g, a->buf->dims[d]);
	home_strides(g, &h, a->buf->rank, dims, &a->buf->enc);
	Value offset = const_i64(g, 0);
	for (uint32_t d = 0; d < a->n_lead; d++)
		offset = iadd(g, offset, imul(g, index_value(g, a->lead[d]), h.stride[d]));
	if (h.dtype == DT_I4 && a->buf->enc.kind == ENC_PLAIN) { /* two elements a byte */
		int64_t inner;
		if (!value_is_const(h.stride[a->n_lead - 1], &inner) || inner % 2)
			unsupported(g, a->buf->span,
			            "`%s`: a stack of i4 tensors with an odd number of elements each",
			            a->buf->name);
		offset = LLVMBuildLShr(g->build, offset, const_i64(g, 1), "");
	}
	return ptr_add(g, base, offset);
}

static void flush(Program *p)
{
	if (p->any) emit_barrier(&p->g);
	size_t n = p->g.program->bufs.n;
	memset(p->read, 0, n);
	memset(p->written, 0, n);
	p->any = false;
}

static Value ticks(Gen *g)
{
	return intrinsic(g, "llvm.readcyclecounter", NULL, 0, NULL);
}

/* Adds to frame->profile, in thread 0, when there is one. */
static void profile(Gen *g, Value wanted, Value began, uint32_t number)
{
	If i;
	if_begin(g, &i, wanted);
	Value at = ptr_addc(g, load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, profile)), 8),
	                    16 * (int64_t)number);
	store(g, iadd(g, load(g, g->i64, at, 8), isub(g, ticks(g), began)), at, 8);
	at = ptr_addc(g, at, 8);
	store(g, iadd(g, load(g, g->i64, at, 8), const_i64(g, 1)), at, 8);
	if_end(g, &i);
}

/* Calls frame->launching, if there is one. */
static void launching(Program *p, uint32_t number)
{
	Gen *g = &p->g;
	Value f = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, launching)), 8);
	Type types[] = {g->ptr, g->i32};
	Value args[] = {g->frame, const_i32(g, number, 1)};
	If wanted;
	if_begin(g, &wanted, LLVMBuildIsNotNull(g->build, f, ""));
	LLVMBuildCall2(g->build, LLVMFunctionType(g->none, types, 2, 0), f, args, 2, "");
	if_end(g, &wanted);
}

/* Activations share memory when their lives do not meet: the first write to one must not overtake
 * other threads that still read another which is dead now. */
static bool reuses_memory(const Program *p, const TileStep *s, const KernelCode *k)
{
	const TileProgram *t = p->g.program;
	bool begins = false;
	for (uint32_t i = 0; i < s->kernel->bufs.n; i++) {
		const TileObj *o = s->args[i].buf;
		begins = begins || (o->kind == TB_ARENA && k->written[i] && o->live_first == s->number);
	}
	for (size_t i = 0; begins && i < t->bufs.n; i++) {
		const TileObj *o = t->bufs.at[i];
		bool touched = p->read[i] || p->written[i];
		if (touched && o->kind == TB_ARENA && o->live_last < s->number) return true;
	}
	return false;
}

static void compile_launch(Program *p, const TileStep *s, Value profiled)
{
	Gen *g = &p->g;
	KernelCode *k = NULL;
	for (size_t i = 0; i < p->n_code; i++)
		if (p->code[i].kernel == s->kernel) k = &p->code[i];
	if (!k) {
		diag_error(g->diags, span_none(), "a launch of a kernel that the program does not have");
		return;
	}
	uint32_t n = (uint32_t)s->kernel->bufs.n;
	bool conflict = false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = s->args[i].buf->id;
		if (p->written[id] || (k->written[i] && p->read[id])) conflict = true;
	}
	if (conflict || reuses_memory(p, s, k)) flush(p);
	if (p->prepack) launching(p, s->number);
	Value *args = NEW_ARRAY(g->arena, Value, n + 2);
	args[0] = g->frame;
	args[1] = const_i32(g, s->number, 1);
	for (uint32_t i = 0; i < n; i++) args[2 + i] = argument(p, &s->args[i]);
	Value began = ticks(g);
	call(g, k->function, args, n + 2);
	profile(g, profiled, began, s->number);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = s->args[i].buf->id;
		p->read[id] = p->read[id] || k->read[i];
		p->written[id] = p->written[id] || k->written[i];
		p->any = p->any || k->written[i];
	}
}

static void compile_steps(Program *p, const TileStep *s, Value profiled)
{
	Gen *g = &p->g;
	for (; s; s = s->next) {
		if (s->kind == STEP_LAUNCH) {
			compile_launch(p, s, profiled);
			continue;
		}
		flush(p); /* each turn begins and ends with nothing pending */
		Loop l;
		loop_begin(g, &l, const_i64(g, 0), index_value(g, s->count), const_i64(g, 1));
		index_bind(g, s->var, l.iv, 0);
		compile_steps(p, s->body, profiled);
		flush(p);
		loop_end(g, &l);
	}
}

static Value compile_entry(Program *p, const TileEntry *e)
{
	Gen *g = &p->g;
	g->function = function_new(g, arena_printf(g->arena, "entry_%s_%u", e->name, g->counter++),
	                           &g->ptr, 1, false);
	g->frame = LLVMGetParam(g->function, 0);
	memset(g->sym, 0, g->n_sym * sizeof *g->sym);
	Value params = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, params)), 8);
	for (uint32_t i = 0; i < g->program->params.n; i++)
		index_bind(g, g->program->params.at[i],
		           load(g, g->i64, ptr_addc(g, params, 8 * (int64_t)i), 8), 0);
	Value thread = load(g, g->i32, ptr_addc(g, g->frame, offsetof(NacreFrame, thread)), 4);
	g->threads = LLVMBuildZExt(
		g->build, load(g, g->i32, ptr_addc(g, g->frame, offsetof(NacreFrame, threads)), 4), g->i64,
		"");
	Value table = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, profile)), 8);
	Value profiled =
		LLVMBuildAnd(g->build, LLVMBuildIsNotNull(g->build, table, ""),
	                 LLVMBuildICmp(g->build, LLVMIntEQ, thread, const_i32(g, 0, 1), ""), "");
	memset(p->read, 0, g->program->bufs.n);
	memset(p->written, 0, g->program->bufs.n);
	p->any = false;
	compile_steps(p, e->steps, profiled);
	LLVMBuildRetVoid(g->build);
	return g->function;
}

/* --- the artefact --- */

static Value data_global(Gen *g, const char *name, const void *data, size_t n, uint32_t align)
{
	Value bytes = LLVMConstStringInContext2(g->context, data, n, 1);
	Value v = LLVMAddGlobal(g->module, LLVMTypeOf(bytes), name);
	LLVMSetInitializer(v, bytes);
	LLVMSetGlobalConstant(v, 1);
	LLVMSetLinkage(v, LLVMInternalLinkage);
	LLVMSetAlignment(v, align);
	return v;
}

static void compile_artefact(Program *p, Value *entries, uint32_t n, const CpuArtefactData *data)
{
	Gen *g = &p->g;
	CpuArtefactData none = {0};
	if (!data) data = &none;
	Value null = LLVMConstNull(g->ptr);
	Value table = LLVMAddGlobal(g->module, LLVMArrayType2(g->ptr, n), "entries");
	LLVMSetInitializer(table, LLVMConstArray2(g->ptr, entries, n));
	LLVMSetLinkage(table, LLVMInternalLinkage);
	const char *required = machine_required(g->arena, g->machine);
	Value field[] = {const_i32(g, NACRE_ABI_VERSION, 1),
	                 const_i32(g, n, 1),
	                 const_i64(g, (int64_t)data->interface_bytes),
	                 data->interface_bytes ? data_global(g, "interface", data->interface_data,
	                                                     data->interface_bytes, 16)
	                                       : null,
	                 table,
	                 const_i64(g, (int64_t)g->scratch_peak + 64),
	                 data->constants_bytes
	                     ? data_global(g, "constants", data->constants, data->constants_bytes, 64)
	                     : null,
	                 const_i64(g, (int64_t)data->constants_bytes),
	                 data_global(g, "cpu", g->machine->cpu, strlen(g->machine->cpu) + 1, 1),
	                 data_global(g, "features", required, strlen(required) + 1, 1)};
	Value artefact = LLVMConstStructInContext(g->context, field, COUNT(field), 0);
	Value global = LLVMAddGlobal(g->module, LLVMTypeOf(artefact), "nacre_artefact");
	LLVMSetInitializer(global, artefact);
	LLVMSetAlignment(global, 16);
}

/* --- the compilation --- */

static void gen_open(Gen *g, Diags *d, TileProgram *t, const Machine *m)
{
	*g = (Gen){.arena = arena_child(d->arena), .diags = d, .program = t, .machine = m};
	g->context = LLVMContextCreate();
	g->module = LLVMModuleCreateWithNameInContext(t->name ? t->name : "program", g->context);
	g->build = LLVMCreateBuilderInContext(g->context);
	LLVMSetTarget(g->module, m->triple);
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->llvm);
	LLVMSetModuleDataLayout(g->module, layout);
	LLVMDisposeTargetData(layout);
	g->none = LLVMVoidTypeInContext(g->context);
	g->i1 = LLVMInt1TypeInContext(g->context);
	g->i8 = LLVMInt8TypeInContext(g->context);
	g->i16 = LLVMInt16TypeInContext(g->context);
	g->i32 = LLVMInt32TypeInContext(g->context);
	g->i64 = LLVMInt64TypeInContext(g->context);
	g->f32 = LLVMFloatTypeInContext(g->context);
	g->f64 = LLVMDoubleTypeInContext(g->context);
	g->ptr = LLVMPointerTypeInContext(g->context, 0);
	g->n_sym = dim_pool_syms(t->dims) + SYMBOL_SLACK;
	g->sym = NEW_ARRAY(g->arena, Value, g->n_sym);
	g->sym_multiple = NEW_ARRAY(g->arena, int64_t, g->n_sym);
}

static void gen_close(Gen *g)
{
	LLVMDisposeBuilder(g->build);
	LLVMDisposeModule(g->module);
	LLVMContextDispose(g->context);
	arena_free(g->arena);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Activations share memory, so nobody zeroes the padding of panels among them. */
static void check_activations(Diags *d, const TileProgram *t)
{
	for (size_t i = 0; i < t->bufs.n; i++) {
		const TileObj *o = t->bufs.at[i];
		int64_t k, n;
		if (o->kind != TB_ARENA || o->enc.kind == ENC_PLAIN || o->rank < 2) continue;
		bool whole = o->enc.kind == ENC_PACK && dim_is_const(o->dims[o->rank - 2], &k) &&
		             dim_is_const(o->dims[o->rank - 1], &n) && k % o->enc.kg == 0 &&
		             n % o->enc.nb == 0;
		if (!whole)
			diag_error(d, o->span,
			           "not supported on the CPU: activations `%s` in panels that are not whole",
			           o->name);
	}
}

CpuObject *cpu_compile(Diags *d, TileProgram *t, const CpuOptions *options,
                       const CpuArtefactData *data)
{
	double began = seconds();
	cpu_release_memory(); /* what starting the library took */
	Machine m;
	if (!machine_open(d, options, &m)) return NULL;
	Program p = {.any = false};
	gen_open(&p.g, d, t, &m);
	p.read = NEW_ARRAY(d->arena, bool, t->bufs.n + 1);
	p.written = NEW_ARRAY(d->arena, bool, t->bufs.n + 1);
	uint32_t errors = d->errors, n = 0;
	check_activations(d, t);
	compile_kernels(&p);
	Value *entries = NEW_ARRAY(d->arena, Value, t->entries.n + 2);
	for (size_t i = 0; i < t->entries.n; i++) entries[n++] = compile_entry(&p, t->entries.at[i]);
	p.prepack = true;
	if (t->prepack) entries[n++] = compile_entry(&p, t->prepack);
	CpuObject *o = NULL;
	if (d->errors == errors) {
		compile_artefact(&p, entries, n, data);
		o = object_emit(d, &p.g, options);
	}
	if (o) o->seconds = seconds() - began;
	gen_close(&p.g);
	machine_close(&m);
	cpu_release_memory();
	return o;
}
