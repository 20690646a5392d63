/* Shared by the shape rules. */
#ifndef NACRE_IR_INFER_H
#define NACRE_IR_INFER_H
#include "ir/ir.h"
bool dims_match(const Module *m, Dim a, Dim b);
/* Reports `mnemonic of types: why` at the node; returns false. */
bool infer_fail(Module *m, Diags *d, const Node *n, const char *why);
#endif
