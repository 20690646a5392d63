/* Objects: emitting the module, loading it into this process, writing and linking it. */
#include "codegen/cpu/object.h"
#include <errno.h>
#include <fcntl.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool llvm_failed(Diags *d, const char *what, LLVMErrorRef e)
{
	if (!e) return false;
	char *why = LLVMGetErrorMessage(e);
	diag_error(d, span_none(), "%s: %s", what, why);
	LLVMDisposeErrorMessage(why);
	return true;
}

static bool emit_text(Diags *d, Gen *g, const CpuOptions *o)
{
	if (o && o->llvm_ir) {
		char *s = LLVMPrintModuleToString(g->module);
		text_puts(o->llvm_ir, s);
		LLVMDisposeMessage(s);
	}
	if (!o || !o->assembly) return true;
	char *why = NULL;
	LLVMMemoryBufferRef b;
	LLVMModuleRef copy = LLVMCloneModule(g->module);
	bool failed =
		LLVMTargetMachineEmitToMemoryBuffer(g->machine->llvm, copy, LLVMAssemblyFile, &why, &b);
	LLVMDisposeModule(copy);
	if (failed) {
		diag_error(d, span_none(), "LLVM cannot write assembly: %s", why);
		LLVMDisposeMessage(why);
		return false;
	}
	text_append(o->assembly, LLVMGetBufferStart(b), LLVMGetBufferSize(b));
	LLVMDisposeMemoryBuffer(b);
	return true;
}

CpuObject *object_emit(Diags *d, Gen *g, const CpuOptions *options)
{
	char *why = NULL;
	bool broken = LLVMVerifyModule(g->module, LLVMReturnStatusAction, &why);
	if (broken) {
		if (options && options->llvm_ir) emit_text(d, g, options);
		diag_error(d, span_none(), "internal error: the generated code is malformed: %s", why);
	}
	LLVMDisposeMessage(why);
	if (broken) return NULL;
	/* Micro-kernels with equal epilogues come out equal: half of all functions, before anything is
	 * spent on them. */
	static const char passes[] = "mergefunc,function(early-cse)";
	LLVMPassBuilderOptionsRef po = LLVMCreatePassBuilderOptions();
	bool failed =
		llvm_failed(d, "LLVM's passes", LLVMRunPasses(g->module, passes, g->machine->llvm, po));
	LLVMDisposePassBuilderOptions(po);
	if (failed || !emit_text(d, g, options)) return NULL;
	LLVMMemoryBufferRef b;
	why = NULL;
	if (LLVMTargetMachineEmitToMemoryBuffer(g->machine->llvm, g->module, LLVMObjectFile, &why,
	                                        &b)) {
		diag_error(d, span_none(), "LLVM cannot write an object: %s", why);
		LLVMDisposeMessage(why);
		return NULL;
	}
	CpuObject *o = NEW(d->arena, CpuObject);
	o->size = LLVMGetBufferSize(b);
	uint8_t *bytes = arena_alloc(d->arena, o->size);
	memcpy(bytes, LLVMGetBufferStart(b), o->size);
	o->bytes = bytes;
	LLVMDisposeMemoryBuffer(b);
	return o;
}

const uint8_t *cpu_object_bytes(const CpuObject *o, size_t *n)
{
	*n = o->size;
	return o->bytes;
}

double cpu_object_seconds(const CpuObject *o)
{
	return o->seconds;
}

/* --- loading --- */

struct CpuLoaded {
	LLVMOrcLLJITRef jit;
	const NacreArtefact *artefact;
};

static bool jit_add(Diags *d, LLVMOrcLLJITRef jit, const CpuObject *o)
{
	LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(jit);
	LLVMOrcDefinitionGeneratorRef process; /* memcpy and memset */
	if (llvm_failed(d, "loading",
	                LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
						&process, LLVMOrcLLJITGetGlobalPrefix(jit), NULL, NULL)))
		return false;
	LLVMOrcJITDylibAddGenerator(lib, process);
	LLVMMemoryBufferRef b =
		LLVMCreateMemoryBufferWithMemoryRangeCopy((const char *)o->bytes, o->size, "object");
	return !llvm_failed(d, "loading", LLVMOrcLLJITAddObjectFile(jit, lib, b));
}

static bool artefact_fits(Diags *d, const NacreArtefact *a)
{
	const char *missing = NULL;
	if (a->abi_version != NACRE_ABI_VERSION) {
		diag_error(
			d, span_none(),
			"the code was compiled for version %u of the runtime interface; this is version %d",
			a->abi_version, NACRE_ABI_VERSION);
		return false;
	}
	if (cpu_features_present(a->features, &missing)) return true;
	diag_error(
		d, span_none(),
		"the code was compiled for the CPU `%s` and needs `%s`, which this machine does not have",
		a->cpu, missing);
	return false;
}

CpuLoaded *cpu_jit_load(Diags *d, const CpuObject *o)
{
	CpuLoaded *l = calloc(1, sizeof *l);
	if (!l) {
		diag_error(d, span_none(), "out of memory");
		return NULL;
	}
	LLVMOrcExecutorAddress at = 0;
	if (llvm_failed(d, "loading", LLVMOrcCreateLLJIT(&l->jit, LLVMOrcCreateLLJITBuilder()))) {
		free(l);
		return NULL;
	}
	if (jit_add(d, l->jit, o) &&
	    !llvm_failed(d, "loading", LLVMOrcLLJITLookup(l->jit, &at, "nacre_artefact"))) {
		l->artefact = (const NacreArtefact *)(uintptr_t)at;
		cpu_release_memory();
		if (artefact_fits(d, l->artefact)) return l;
	}
	cpu_loaded_free(l);
	return NULL;
}

const NacreArtefact *cpu_loaded_artefact(const CpuLoaded *l)
{
	return l->artefact;
}

void cpu_loaded_free(CpuLoaded *l)
{
	if (!l) return;
	if (l->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(l->jit));
	free(l);
}

/* --- files --- */

static bool cannot_write(Diags *d, const char *path, const char *why)
{
	diag_error(d, span_none(), "cannot write '%s': %s", path, why);
	return false;
}

bool cpu_write_object(Diags *d, const CpuObject *o, const char *path)
{
	const char *why = NULL;
	FileOut *f = file_out_open(path, &why);
	if (!f) return cannot_write(d, path, why);
	file_out_write(f, o->bytes, o->size);
	return file_out_commit(f, &why) || cannot_write(d, path, why);
}

static bool on_path(const char *program)
{
	const char *path = getenv("PATH");
	while (path && *path) {
		size_t n = strcspn(path, ":");
		char file[4096];
		if (n &&
		    (size_t)snprintf(file, sizeof file, "%.*s/%s", (int)n, path, program) < sizeof file &&
		    !access(file, X_OK))
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

static int run(char *const argv[])
{
	pid_t child = fork();
	if (child < 0) return -1;
	if (!child) {
		execvp(argv[0], argv);
		_exit(127);
	}
	int status;
	if (waitpid(child, &status, 0) < 0) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A compiler knows where the libraries are, so it is asked before a bare linker. */
typedef struct Linker {
	const char *name;
	bool bare;
} Linker;

static const Linker *find_linker(void)
{
	static const Linker linkers[] = {{"cc", false},  {"clang-19", false}, {"clang", false},
	                                 {"gcc", false}, {"ld.lld-19", true}, {"ld.lld", true},
	                                 {"ld", true}};
	for (size_t i = 0; i < COUNT(linkers); i++)
		if (on_path(linkers[i].name)) return &linkers[i];
	return NULL;
}

/* Flags are those of the linker; a compiler passes them on. */
static int link_shared(Arena *a, const Linker *l, const char *object, const char *archive,
                       const char *out)
{
	char *argv[16];
	size_t n = 0;
	argv[n++] = arena_strdup(a, l->name);
	argv[n++] = arena_strdup(a, "-shared");
	argv[n++] = arena_strdup(a, l->bare ? "--strip-debug" : "-Wl,--strip-debug");
	argv[n++] = arena_strdup(a, "-o");
	argv[n++] = arena_strdup(a, out);
	argv[n++] = arena_strdup(a, object);
	if (archive) {
		argv[n++] = arena_strdup(a, l->bare ? "--whole-archive" : "-Wl,--whole-archive");
		argv[n++] = arena_strdup(a, archive);
		argv[n++] = arena_strdup(a, l->bare ? "--no-whole-archive" : "-Wl,--no-whole-archive");
	}
	if (!l->bare) argv[n++] = arena_strdup(a, "-lm");
	argv[n] = NULL;
	return run(argv);
}

bool cpu_write_shared(Diags *d, const CpuObject *o, const char *runtime_archive, const char *path)
{
	const Linker *l = find_linker();
	if (!l) {
		Diag *e = diag_error(d, span_none(), "no linker was found to write '%s'", path);
		diag_help(d, e, "install one (cc, clang or ld.lld), or write an object with the suffix .o");
		return false;
	}
	const char *why = NULL;
	FileOut *probe = file_out_open(path, &why); /* before any work: can it be written */
	if (!probe) return cannot_write(d, path, why);
	file_out_abandon(probe);
	const char *here = path[0] == '-' ? "./" : ""; /* no flag of the linker */
	char *object = arena_printf(d->arena, "%s%s.%ld.o", here, path, (long)getpid());
	char *linked = arena_printf(d->arena, "%s%s.%ld.tmp", here, path, (long)getpid());
	if (!cpu_write_object(d, o, object)) return false;
	int status = link_shared(d->arena, l, object, runtime_archive, linked);
	unlink(object);
	if (!status && !rename(linked, path)) return true;
	unlink(linked);
	return cannot_write(d, path,
	                    status ? arena_printf(d->arena, "%s failed", l->name) : strerror(errno));
}
