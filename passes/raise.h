/* Shared by the files of the pass raise. */
#ifndef NACRE_PASSES_RAISE_H
#define NACRE_PASSES_RAISE_H
#include "passes/passes.h"

/* --- raise_attention.c --- */
Node *raise_attention(Rewrite *w, Node *n); /* of a product whose first operand is a softmax */
Node *raise_repeated_heads(Rewrite *w,
                           Node *n); /* of attention whose keys are repeated for each head */
#endif
