/* Random modules by the graph interpreter and the tile interpreter. */
#include "codegen/tile/build.h"
#include "ir/ir.h"
#include "passes/passes.h"
#include "random_modules.h"
#include "support/support.h"

Test(random, packed)
{
	run_random(1, 1000, &agree_tiles[0], NULL);
}

Test(random, plain)
{
	run_random(10001, 1000, &agree_tiles[1], NULL);
}
