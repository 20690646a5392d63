/* What each target of ir/targets.def is to the tools. */
#include "tools/tool.h"

#include "codegen/pearl/pearl.h"
#ifdef NACRE_HAVE_LLVM
#include "codegen/cpu/cpu.h"
#endif

#include <string.h>

#ifdef NACRE_HAVE_LLVM
static bool traits_cpu(Tool *t, Target *out)
{
	CpuOptions o = {.cpu = t->a.mcpu, .triple = t->a.triple};
	return cpu_target(&t->d, &o, out);
}
#endif

static bool traits_pearl(Tool *t, Target *out)
{
	PearlMachine m;
	if (!machine_chosen(t, &m)) return false;
	pearl_target(&m, out);
	return true;
}

/* The interpreter takes the module as it is; for `opt` it counts as a plain machine. */
static bool traits_interp(Tool *t, Target *out)
{
	PearlMachine m;
	if (!pearl_machine_named("nano", &m)) return tool_fail(t, "there is no machine `nano`");
	pearl_target(&m, out);
	out->name = "interp";
	out->runs_hand_written = false;
	return true;
}

static bool (*const traits[NUM_TARGETS])(Tool *t, Target *out) = {
	[TARGET_INTERP] = traits_interp,
#ifdef NACRE_HAVE_LLVM
	[TARGET_CPU] = traits_cpu, /* else NULL: left out of this build */
#endif
	[TARGET_PEARL] = traits_pearl,
};

const char *target_name(TargetId id)
{
	return target_info[id].name;
}

bool target_built(TargetId id)
{
	return traits[id] != NULL;
}

bool target_named(Tool *t, const char *name, TargetId *out)
{
	const char *names[NUM_TARGETS];
	for (size_t i = 0; i < NUM_TARGETS; i++) {
		names[i] = target_info[i].name;
		if (strcmp(target_info[i].name, name) != 0) continue;
		*out = (TargetId)i;
		if (target_built(*out)) return true;
		return tool_fail(t, "this nacre was built without LLVM, so it has no target `%s`", name);
	}
	Diag *d = diag_error(&t->d, span_none(), "there is no target `%s`", name);
	const char *near = nearest_name(name, names, NUM_TARGETS);
	if (near)
		diag_help(&t->d, d, "did you mean `%s`?", near);
	else
		diag_help(&t->d, d, "the targets are interp, cpu and pearl");
	return false;
}

bool target_chosen(Tool *t, TargetId otherwise, TargetId *out)
{
	if (t->a.target) return target_named(t, t->a.target, out);
	*out = otherwise;
	return true;
}

bool machine_chosen(Tool *t, PearlMachine *out)
{
	if (!t->a.machine)
		return pearl_machine_named("base", out) || tool_fail(t, "there is no machine `base`");
	return pearl_machine_read(&t->d, t->arena, t->a.machine, out);
}

bool target_traits(Tool *t, TargetId id, Target *out)
{
	return traits[id](t, out);
}
