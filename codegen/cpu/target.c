/* What the machine can do: host or named CPU, LLVM's target machine, the features an artefact
 * needs, and whether this machine has them. */
#include "codegen/cpu/emit.h"
#include <llvm-c/Target.h>
#include <pthread.h>
#include <string.h>

/* Names whose features we know; LLVM's C API cannot be asked. Others need `features`. */
typedef enum Level { BASELINE, AVX2, AVX512, AVX512_VNNI, AVX512_BF16 } Level;
static const struct {
	const char *name;
	Level level;
} known[] = {
	{"x86-64", BASELINE},
	{"x86-64-v2", BASELINE},
	{"x86-64-v3", AVX2},
	{"x86-64-v4", AVX512},
	{"nehalem", BASELINE},
	{"sandybridge", BASELINE},
	{"haswell", AVX2},
	{"broadwell", AVX2},
	{"skylake", AVX2},
	{"alderlake", AVX2},
	{"znver1", AVX2},
	{"znver2", AVX2},
	{"znver3", AVX2},
	{"skylake-avx512", AVX512},
	{"cascadelake", AVX512_VNNI},
	{"icelake-client", AVX512_VNNI},
	{"icelake-server", AVX512_VNNI},
	{"tigerlake", AVX512_VNNI},
	{"cooperlake", AVX512_BF16},
	{"sapphirerapids", AVX512_BF16},
	{"znver4", AVX512_BF16},
	{"znver5", AVX512_BF16},
};
#define AVX2_FEATURES "+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+sse4.1"
#define AVX512_FEATURES AVX2_FEATURES ",+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512cd"
static const char *const level_features[] = {
	[BASELINE] = "",
	[AVX2] = AVX2_FEATURES,
	[AVX512] = (AVX512_FEATURES),
	[AVX512_VNNI] = (AVX512_FEATURES ",+avx512vnni"),
	[AVX512_BF16] = (AVX512_FEATURES ",+avx512vnni,+avx512bf16"),
};

static void initialize_x86(void)
{
	LLVMInitializeX86TargetInfo();
	LLVMInitializeX86Target();
	LLVMInitializeX86TargetMC();
	LLVMInitializeX86AsmPrinter();
}

static void initialize_all(void)
{
	LLVMInitializeAllTargetInfos();
	LLVMInitializeAllTargets();
	LLVMInitializeAllTargetMCs();
	LLVMInitializeAllAsmPrinters();
}

/* All targets take time and memory, so that of most machines comes alone. */
static void initialize(const char *triple)
{
	static pthread_once_t x86 = PTHREAD_ONCE_INIT, all = PTHREAD_ONCE_INIT;
	bool is_x86 = strncmp(triple, "x86_64", 6) == 0;
	pthread_once(is_x86 ? &x86 : &all, is_x86 ? initialize_x86 : initialize_all);
}

static bool has(const char *features, const char *name)
{
	size_t n = strlen(name);
	bool on = false; /* the last mention holds */
	for (const char *s = features; (s = strstr(s, name)); s += n)
		if (s > features && (s[-1] == '+' || s[-1] == '-') && (s[n] == ',' || !s[n]))
			on = s[-1] == '+';
	return on;
}

static bool choose_cpu(Diags *d, const CpuOptions *o, Machine *m, bool native)
{
	char *(*copy)(const char *) = LLVMCreateMessage;
	m->cpu = o->cpu   ? copy(o->cpu)
	         : native ? LLVMGetHostCPUName()
	                  : copy(m->x86 ? "x86-64" : "generic");
	if (o->features && (o->cpu || !m->x86)) {
		m->features = copy(o->features);
		return true;
	}
	if (!o->cpu && native) {
		char *host = LLVMGetHostCPUFeatures();
		m->features = copy(arena_printf(d->arena, "%s%s%s", host, o->features ? "," : "",
		                                o->features ? o->features : ""));
		LLVMDisposeMessage(host);
		return true;
	}
	if (!m->x86) {
		m->features = copy("");
		return true;
	}
	for (size_t i = 0; i < COUNT(known); i++)
		if (!strcmp(known[i].name, m->cpu)) {
			m->features = copy(level_features[known[i].level]);
			return true;
		}
	Diag *e = diag_error(d, span_none(), "the CPU `%s` is not known", m->cpu);
	const char *names[COUNT(known)];
	for (size_t i = 0; i < COUNT(known); i++) names[i] = known[i].name;
	const char *near = nearest_name(m->cpu, names, COUNT(known));
	if (near)
		diag_help(d, e, "did you mean `%s`?", near);
	else
		diag_help(d, e, "give its features too, as in +avx2,+fma");
	return false;
}

bool machine_open(Diags *d, const CpuOptions *options, Machine *m)
{
	CpuOptions none = {0};
	const CpuOptions *o = options ? options : &none;
	*m = (Machine){0};
	char *native = LLVMGetDefaultTargetTriple(), *why = NULL;
	m->triple = LLVMCreateMessage(o->triple ? o->triple : native);
	bool is_native = !strcmp(m->triple, native);
	LLVMDisposeMessage(native);
	m->x86 = !strncmp(m->triple, "x86_64", 6);
	initialize(m->triple);
	LLVMTargetRef t;
	if (LLVMGetTargetFromTriple(m->triple, &t, &why)) {
		diag_error(d, span_none(), "the target `%s` is not known: %s", m->triple, why);
		LLVMDisposeMessage(why);
		machine_close(m);
		return false;
	}
	if (!choose_cpu(d, o, m, is_native)) {
		machine_close(m);
		return false;
	}
	const char *f = m->features;
	m->avx512 = m->x86 && has(f, "avx512f") && has(f, "avx512bw") && has(f, "avx512vl") &&
	            has(f, "avx512dq");
	bool avx2 = m->x86 && has(f, "avx2") && has(f, "fma");
	m->vnni = m->avx512 && has(f, "avx512vnni");
	m->bf16 = m->avx512 && has(f, "avx512bf16");
	m->fma = !m->x86 || avx2;
	m->masks = avx2;
	m->f16c = m->x86 && avx2 && has(f, "f16c");
	m->round = !m->x86 || avx2;
	m->lanes = m->avx512 ? 16 : avx2 ? 8 : 4;
	m->registers = m->avx512 || !m->x86 ? 32 : 16;
	m->llvm = LLVMCreateTargetMachine(t, m->triple, m->cpu, m->features, LLVMCodeGenLevelLess,
	                                  LLVMRelocPIC, LLVMCodeModelSmall);
	if (m->llvm) return true;
	diag_error(d, span_none(), "LLVM cannot generate code for `%s`, CPU `%s`", m->triple, m->cpu);
	machine_close(m);
	return false;
}

void machine_close(Machine *m)
{
	if (m->llvm) LLVMDisposeTargetMachine(m->llvm);
	if (m->triple) LLVMDisposeMessage(m->triple);
	if (m->cpu) LLVMDisposeMessage(m->cpu);
	if (m->features) LLVMDisposeMessage(m->features);
	*m = (Machine){0};
}

static const char *const checked[] = {
	"avx",      "avx2",     "fma",      "f16c",     "bmi",        "bmi2",       "avx512f",
	"avx512bw", "avx512dq", "avx512vl", "avx512cd", "avx512vnni", "avx512bf16", "sse4.1"};

const char *machine_required(Arena *a, const Machine *m)
{
	Text t = text_new(a);
	if (m->x86)
		for (size_t i = 0; i < COUNT(checked); i++)
			if (has(m->features, checked[i])) text_printf(&t, "%s%s", t.n ? "," : "", checked[i]);
	text_puts(&t, "");
	return t.n ? t.at : "";
}

bool cpu_features_present(const char *features, const char **missing)
{
	char *host = LLVMGetHostCPUFeatures();
	bool ok = true;
	for (const char *s = features ? features : ""; *s && ok;) {
		size_t n = strcspn(s, ",");
		char name[32];
		if (n >= sizeof name) {
			*missing = s;
			ok = false;
			break;
		}
		memcpy(name, s, n);
		name[n] = 0;
		if (!has(host, name)) {
			ok = false;
			*missing = s;
			for (size_t i = 0; i < COUNT(checked); i++)
				if (!strcmp(checked[i], name)) *missing = checked[i];
		}
		s += n + (s[n] == ',');
	}
	LLVMDisposeMessage(host);
	return ok;
}
