/* Whole modules by the graph interpreter and by the tile interpreter on what the passes and builders
 * make of them. */
#include "codegen/tile/build.h"
#include "ir/ir.h"
#include "modules.h"
#include "passes/passes.h"
#include "support/support.h"

Test(build, packed)
{
	run_modules(&agree_tiles[0], NULL);
}

Test(build, plain)
{
	run_modules(&agree_tiles[1], NULL);
}
