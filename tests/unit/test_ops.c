/* Every operation of ir/ops.def, at odd sizes and with dims that the program
 * does not know: the graph interpreter against the tile interpreter on what the passes and kernel
 * builders make. A row of ops.def is covered by a row of `rows` here (elementwise functions have
 * their rows made from scalar.def); `covered` fails for an operation without one. */
#include "codegen/tile/build.h"
#include "ir/ir.h"
#include "ops_rows.h"
#include "passes/passes.h"
#include "support/support.h"

/* Operations that have no result of their own: the other rows are made of them. OP_HAND computes what its
 * region says: tests/build/hand.ir. */
static const Op structure[] = {OP_PARAM, OP_ARG, OP_WEIGHT, OP_STATE,  OP_CONST, OP_DIM,
                               OP_TUPLE, OP_GET, OP_LOOP,   OP_KERNEL, OP_HAND};

/* One test a kind, so that they run side by side. */
Test(ops, movement)
{
	run_kind(KIND_MOVEMENT, agree_tiles, COUNT(agree_tiles), NULL);
}

Test(ops, compute)
{
	run_kind(KIND_COMPUTE, agree_tiles, COUNT(agree_tiles), NULL);
}

Test(ops, composite)
{
	run_kind(KIND_COMPOSITE, agree_tiles, COUNT(agree_tiles), NULL);
}

Test(ops, casts)
{
	run_kind(KIND_ELEMENTWISE, agree_tiles, COUNT(agree_tiles), NULL);
}

Test(ops, elementwise)
{
	run_elementwise(agree_tiles, COUNT(agree_tiles), NULL);
}

Test(ops, covered)
{
	bool seen[NUM_OPS] = {0};
	for (size_t i = 0; i < COUNT(rows); i++) seen[rows[i].op] = true;
	for (size_t i = 0; i < COUNT(structure); i++) seen[structure[i]] = true;
	for (uint32_t op = 0; op < NUM_OPS; op++)
		cr_expect(seen[op] || (op_info[op].kind == KIND_ELEMENTWISE && op != OP_CAST),
		          "operation %s has no row in tests/unit/ops_rows.h", op_info[op].mnemonic);
}

Test(ops, documented)
{
	Arena *a = arena_new();
	const char *why = NULL;
	const Source *s = source_from_file(a, NACRE_SOURCE_DIR "/doc/ir.md", &why);
	cr_assert(s, "%s", why);
	for (uint32_t op = 0; op < NUM_OPS; op++)
		cr_expect(strstr(s->text, arena_printf(a, "`%s`", op_info[op].mnemonic)),
		          "doc/ir.md does not tell of %s", op_info[op].mnemonic);
	arena_free(a);
}
