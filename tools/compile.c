/* nacre compile: a model file to a library, an object or a Pearl program. */
#include "tools/tool.h"

#ifdef NACRE_HAVE_LLVM
#include "codegen/cpu/cpu.h"
#endif

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Pearl --------------------------------------------------------------------------------------------------- */

static bool compile_pearl(Tool *t, Module *m, const char *out)
{
	Runner r = {.t = t, .target = TARGET_PEARL, .module = m};
	r.bare = !t->a.weights && !t->a.random_weights.given;
	Weights w = {0};
	Lowered l;
	if (!r.bare && !weights_open(t, m, &w)) return false;
	bool ok =
		module_lower(t, m, TARGET_PEARL, &l) && pearl_open_module(&r, &l, &w) && pearl_image(&r);
	weights_close(&w);
	if (ok) {
		Text bytes = text_new(t->arena);
		pearl_write_text(pearl_program(&r), &bytes);
		ok = write_file(t, out, bytes.at, bytes.n);
	}
	runner_close(&r);
	return ok;
}

/* --- CPU --------------------------------------------------------------------------------------------------------- */

#ifdef NACRE_HAVE_LLVM
/* build/lib beside this program. */
static const char *runtime_archive(Tool *t)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0) return NULL;
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash) return NULL;
	*slash = '\0';
	const char *path = arena_printf(t->arena, "%s/lib/libnacre_runtime.a", self);
	return access(path, R_OK) == 0 ? path : NULL;
}

static bool write_artefact(Tool *t, const CpuObject *o, const Interface *face, const char *out)
{
	bool shared = path_ends(out, ".so");
	const char *archive = runtime_archive(t);
	if (shared && !archive)
		return tool_fail(t, "libnacre_runtime.a is not found beside this program");
	if (!(shared ? cpu_write_shared(&t->d, o, archive, out) : cpu_write_object(&t->d, o, out)))
		return false;
	const char *header =
		arena_printf(t->arena, "%.*s.h", (int)(strlen(out) - (shared ? 3 : 2)), out);
	if (cpu_write_header(&t->d, face, header)) return true;
	unlink(out);
	return false;
}

static bool compile_cpu(Tool *t, Module *m, const char *out)
{
	if (!path_ends(out, ".so") && !path_ends(out, ".o"))
		return tool_fail(t, "-o %s: OUT.so makes a shared library, OUT.o an object", out);
	Weights w = {0};
	Lowered l;
	bool embed = t->a.weights || t->a.random_weights.given;
	if (embed && !weights_open(t, m, &w)) return false;
	bool ok = module_lower(t, m, TARGET_CPU, &l);
	CpuArtefactData data = {0};
	Interface face;
	if (ok) {
		face = *l.face;
		data.constants = interface_constants(l.tile, &data.constants_bytes);
		ok = !embed || constants_embed(t, m, &l, &w, &face, &data.constants, &data.constants_bytes);
	}
	weights_close(&w);
	if (!ok) return false;
	Text bytes = text_new(t->arena);
	interface_write(&face, &bytes);
	data.interface_data = (const uint8_t *)bytes.at;
	data.interface_bytes = bytes.n;
	CpuOptions o = {.cpu = t->a.mcpu, .triple = t->a.triple, .position_independent = true};
	CpuObject *object = cpu_compile(&t->d, l.tile, &o, &data);
	return object && write_artefact(t, object, &face, out);
}
#else
static bool compile_cpu(Tool *t, Module *m, const char *out)
{
	(void)m, (void)out;
	return tool_fail(t, "this nacre was built without LLVM, so it has no target `cpu`");
}
#endif

static void print_done(Tool *t, const Module *m, const char *out, double seconds)
{
	struct stat st;
	for (size_t i = 0; i < m->left_out.n; i++)
		printf("entry %s is for %s only: left out\n", m->left_out.at[i]->name,
		       m->left_out.at[i]->target);
	if (stat(out, &st) != 0) return;
	printf("%s: %.1f KB, compiled in %s\n", out, (double)st.st_size * 1e-3,
	       seconds_text(t->arena, seconds));
}

bool command_compile(Tool *t)
{
	double began = seconds_now();
	TargetId target;
	if (!t->a.target) return tool_fail(t, "--target is missing: cpu or pearl");
	if (!t->a.out) return tool_fail(t, "-o is missing: the file to write");
	if (!target_named(t, t->a.target, &target)) return false;
	if (target == TARGET_INTERP)
		return tool_fail(t,
		                 "the interpreter runs model files as they are: compile for cpu or pearl");
	if (!path_writable(t, t->a.out)) return false;
	Module *m = module_load(t, t->a.files.at[0]);
	if (!m || !module_for_target(m, &t->d, target_name(target))) return false;
	progress_begin(t, arena_printf(t->arena, "compiling for %s", target_name(target)));
	bool done =
		target == TARGET_PEARL ? compile_pearl(t, m, t->a.out) : compile_cpu(t, m, t->a.out);
	progress_end(t);
	if (!done) return false;
	print_done(t, m, t->a.out, seconds_now() - began);
	return true;
}
