/* Shared by program.c and loops.c: values and their homes. */
#ifndef NACRE_CODEGEN_TILE_PROGRAM_H
#define NACRE_CODEGEN_TILE_PROGRAM_H
#include "codegen/tile/build.h"

/* --- program.c --- */
Home *value_home(Build *b, Node *n);                /* made when the value has none yet */
void value_move(Build *b, Node *n, const Home *to); /* a kernel that copies */
bool home_equal(const Home *a, const Home *b);
Users users_of(const Build *b, const Node *n);
void build_graph(Build *b, Graph *g);
void loop_symbol_found(void *found, DimSym *s); /* for dim_visit_syms; found: a bool */

/* --- layout.c --- */
int64_t output_number(const Build *b, const Node *n); /* of the entry, or -1 */
void note_layout(Build *b, Node *n); /* what kernel n wants of its operands and result */
void lay_apart(Build *b, Node *n,
               Home *in); /* copies of operands that lie otherwise than it wants */
uint32_t keep_of(const Build *b, const Node *n); /* dims that lie apart in memory */
uint32_t lead_wanted(const Build *b, const Node *n);
bool merge_wanted(const Build *b, const Node *n);
bool apart_wanted(const Build *b, const Node *n);
uint32_t keep_for(uint32_t lead, bool apart, uint32_t rank);

/* --- loops.c --- */
Node *update_source(Node *n); /* what an update kernel writes over, or NULL */
/* The home of v, free to be changed by `at`: those who read the old value later get a copy. */
Home value_own(Build *b, Node *v, Node *at);
bool loop_target(Build *b, const Node *value, Home *out); /* where a loop wants the value */
void build_loop(Build *b, Node *n);
#endif
