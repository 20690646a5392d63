/* Instructions: thin helpers over LLVM's builder. Every helper takes scalars and vectors alike;
 * vectors of one lane do not exist, so that the same lowering serves both. No fast-math flags are
 * set: results are those of the instructions written, on every machine. */
#include "codegen/cpu/emit.h"
#include <string.h>

Type vector_of(Type element, uint32_t n)
{
	return n == 1 ? element : LLVMVectorType(element, n);
}

uint32_t lanes_of(Value v)
{
	Type t = LLVMTypeOf(v);
	return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1;
}

Type element_type(Value v)
{
	Type t = LLVMTypeOf(v);
	return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}

/* --- constants --- */

static Value const_splat(Value v, uint32_t n)
{
	if (n == 1) return v;
	Value all[128];
	for (uint32_t i = 0; i < n; i++) all[i] = v;
	return LLVMConstVector(all, n);
}

Value const_i64(Gen *g, int64_t v)
{
	return LLVMConstInt(g->i64, (uint64_t)v, 1);
}
Value const_int(Type element, int64_t v, uint32_t n)
{
	return const_splat(LLVMConstInt(element, (uint64_t)v, 1), n);
}
Value const_i32(Gen *g, int64_t v, uint32_t n)
{
	return const_int(g->i32, v, n);
}
Value const_f32(Gen *g, double v, uint32_t n)
{
	return const_splat(LLVMConstReal(g->f32, v), n);
}
Value const_bool(Gen *g, bool v, uint32_t n)
{
	return const_int(g->i1, v, n);
}

bool value_is_const(Value v, int64_t *out)
{
	if (!LLVMIsAConstantInt(v)) return false;
	if (out) *out = LLVMConstIntGetSExtValue(v);
	return true;
}

Value iota(Gen *g, uint32_t n)
{
	if (n == 1) return const_i32(g, 0, 1);
	Value all[128];
	for (uint32_t i = 0; i < n; i++) all[i] = const_i32(g, i, 1);
	return LLVMConstVector(all, n);
}

/* --- lanes --- */

Value splat(Gen *g, Value scalar, uint32_t n)
{
	if (n == 1) return scalar;
	if (LLVMIsConstant(scalar)) return const_splat(scalar, n);
	Type t = LLVMVectorType(LLVMTypeOf(scalar), n);
	Value one = LLVMBuildInsertElement(g->build, LLVMGetPoison(t), scalar, const_i32(g, 0, 1), "");
	return LLVMBuildShuffleVector(g->build, one, LLVMGetPoison(t),
	                              LLVMConstNull(LLVMVectorType(g->i32, n)), "");
}

Value lane(Gen *g, Value v, uint32_t i)
{
	if (lanes_of(v) == 1) return v;
	return LLVMBuildExtractElement(g->build, v, const_i32(g, i, 1), "");
}

Value set_lane(Gen *g, Value v, Value element, uint32_t i)
{
	if (lanes_of(v) == 1) return element;
	return LLVMBuildInsertElement(g->build, v, element, const_i32(g, i, 1), "");
}

/* --- memory --- */

Value load(Gen *g, Type t, Value p, uint32_t align)
{
	Value v = LLVMBuildLoad2(g->build, t, p, "");
	LLVMSetAlignment(v, align);
	return v;
}

void store(Gen *g, Value v, Value p, uint32_t align)
{
	LLVMSetAlignment(LLVMBuildStore(g->build, v, p), align);
}

static Value intrinsic_of(Gen *g, const char *name, Type *over, uint32_t n_over, uint32_t n,
                          Value *args)
{
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	Value f = LLVMGetIntrinsicDeclaration(g->module, id, over, n_over);
	return LLVMBuildCall2(g->build, LLVMGlobalGetValueType(f), f, args, n, "");
}

Value intrinsic(Gen *g, const char *name, Type over, uint32_t n, Value *args)
{
	return intrinsic_of(g, name, &over, over ? 1 : 0, n, args);
}

Value masked_load(Gen *g, Type t, Value p, Value mask, Value otherwise, uint32_t align)
{
	Type over[] = {t, g->ptr};
	Value args[] = {p, const_i32(g, align, 1), mask, otherwise};
	return intrinsic_of(g, "llvm.masked.load", over, 2, 4, args);
}

void masked_store(Gen *g, Value v, Value p, Value mask, uint32_t align)
{
	Type over[] = {LLVMTypeOf(v), g->ptr};
	Value args[] = {v, p, const_i32(g, align, 1), mask};
	intrinsic_of(g, "llvm.masked.store", over, 2, 4, args);
}

Value ptr_add(Gen *g, Value p, Value bytes)
{
	int64_t c;
	if (value_is_const(bytes, &c) && c == 0) return p;
	return LLVMBuildGEP2(g->build, g->i8, p, &bytes, 1, "");
}

Value ptr_addc(Gen *g, Value p, int64_t bytes)
{
	return ptr_add(g, p, const_i64(g, bytes));
}

/* --- floats --- */

Value fma_(Gen *g, Value a, Value b, Value c)
{
	Value args[] = {a, b, c};
	return intrinsic(g, "llvm.fma", LLVMTypeOf(a), 3, args);
}

Value fmadd(Gen *g, Value a, Value b, Value c)
{
	return g->machine->fma ? fma_(g, a, b, c) : float_add(g, float_mul(g, a, b), c);
}

Value float_add(Gen *g, Value a, Value b)
{
	return LLVMBuildFAdd(g->build, a, b, "");
}
Value float_sub(Gen *g, Value a, Value b)
{
	return LLVMBuildFSub(g->build, a, b, "");
}
Value float_mul(Gen *g, Value a, Value b)
{
	return LLVMBuildFMul(g->build, a, b, "");
}
Value float_div(Gen *g, Value a, Value b)
{
	return LLVMBuildFDiv(g->build, a, b, "");
}

Value fgreater(Gen *g, Value a, Value b)
{
	return LLVMBuildSelect(g->build, LLVMBuildFCmp(g->build, LLVMRealOGT, a, b, ""), a, b, "");
}

Value fless(Gen *g, Value a, Value b)
{
	return LLVMBuildSelect(g->build, LLVMBuildFCmp(g->build, LLVMRealOLT, a, b, ""), a, b, "");
}

/* --- integers --- */

Value iadd(Gen *g, Value a, Value b)
{
	int64_t c;
	if (value_is_const(b, &c) && c == 0) return a;
	if (value_is_const(a, &c) && c == 0) return b;
	return LLVMBuildAdd(g->build, a, b, "");
}

Value isub(Gen *g, Value a, Value b)
{
	int64_t c;
	if (value_is_const(b, &c) && c == 0) return a;
	return LLVMBuildSub(g->build, a, b, "");
}

Value imul(Gen *g, Value a, Value b)
{
	int64_t c;
	if (value_is_const(a, &c) && c == 1) return b;
	if (value_is_const(b, &c) && c == 1) return a;
	if (value_is_const(a, &c) && c == 0) return a;
	if (value_is_const(b, &c) && c == 0) return b;
	return LLVMBuildMul(g->build, a, b, "");
}

Value iless(Gen *g, Value a, Value b)
{
	return LLVMBuildICmp(g->build, LLVMIntSLT, a, b, "");
}
Value imin(Gen *g, Value a, Value b)
{
	return a == b ? a : LLVMBuildSelect(g->build, iless(g, b, a), b, a, "");
}
Value imax(Gen *g, Value a, Value b)
{
	return a == b ? a : LLVMBuildSelect(g->build, iless(g, a, b), b, a, "");
}
Value choose(Gen *g, Value condition, Value a, Value b)
{
	return LLVMBuildSelect(g->build, condition, a, b, "");
}
Value bits(Gen *g, Value v, Type element)
{
	return LLVMBuildBitCast(g->build, v, vector_of(element, lanes_of(v)), "");
}

/* --- functions and blocks --- */

Value alloca_at_entry(Gen *g, Type t, uint32_t align)
{
	Block here = LLVMGetInsertBlock(g->build), entry = LLVMGetEntryBasicBlock(g->function);
	Value first = LLVMGetFirstInstruction(entry);
	if (first)
		LLVMPositionBuilderBefore(g->build, first);
	else
		LLVMPositionBuilderAtEnd(g->build, entry);
	Value v = LLVMBuildAlloca(g->build, t, "");
	LLVMSetAlignment(v, align);
	LLVMPositionBuilderAtEnd(g->build, here);
	return v;
}

Block block_new(Gen *g, const char *name)
{
	return LLVMAppendBasicBlockInContext(g->context, g->function, name);
}

void block_enter(Gen *g, Block b)
{
	if (!LLVMGetBasicBlockTerminator(LLVMGetInsertBlock(g->build))) LLVMBuildBr(g->build, b);
	LLVMPositionBuilderAtEnd(g->build, b);
}

Value call(Gen *g, Value function, Value *args, uint32_t n)
{
	return LLVMBuildCall2(g->build, LLVMGlobalGetValueType(function), function, args, n, "");
}

static void attribute_text(Gen *g, Value f, const char *name, const char *value)
{
	LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
	                        LLVMCreateStringAttribute(g->context, name, (unsigned)strlen(name),
	                                                  value, (unsigned)strlen(value)));
}

Value function_new(Gen *g, const char *name, Type *params, uint32_t n, bool exported)
{
	Value f = LLVMAddFunction(g->module, name, LLVMFunctionType(g->none, params, n, 0));
	if (!exported) LLVMSetLinkage(f, LLVMInternalLinkage);
	const Machine *m = g->machine;
	attribute_text(g, f, "target-cpu", m->cpu);
	attribute_text(g, f, "target-features", m->features);
	if (m->x86) {
		const char *width = m->lanes == 16 ? "512" : m->lanes == 8 ? "256" : "128";
		attribute_text(g, f, "prefer-vector-width", width);
		attribute_text(g, f, "min-legal-vector-width", width);
	}
	static const char nounwind[] = "nounwind";
	LLVMAddAttributeAtIndex(
		f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
		LLVMCreateEnumAttribute(g->context,
	                            LLVMGetEnumAttributeKindForName(nounwind, sizeof nounwind - 1), 0));
	LLVMPositionBuilderAtEnd(g->build, LLVMAppendBasicBlockInContext(g->context, f, "entry"));
	return f;
}

/* --- control --- */

void loop_begin(Gen *g, Loop *l, Value lo, Value hi, Value step)
{
	memset(l, 0, sizeof *l);
	int64_t a, b;
	l->guarded = !(value_is_const(lo, &a) && value_is_const(hi, &b) && a < b);
	l->hi = hi;
	l->step = step;
	l->before = LLVMGetInsertBlock(g->build);
	l->body = block_new(g, "loop");
	l->after = block_new(g, "after");
	if (l->guarded)
		LLVMBuildCondBr(g->build, iless(g, lo, hi), l->body, l->after);
	else
		LLVMBuildBr(g->build, l->body);
	LLVMPositionBuilderAtEnd(g->build, l->body);
	l->iv = LLVMBuildPhi(g->build, g->i64, "iv");
	LLVMAddIncoming(l->iv, &lo, &l->before, 1);
}

Value loop_carry(Gen *g, Loop *l, Value init)
{
	Value p = LLVMBuildPhi(g->build, LLVMTypeOf(init), "");
	LLVMAddIncoming(p, &init, &l->before, 1);
	l->init[l->n] = init;
	l->next[l->n] = p;
	l->phi[l->n++] = p;
	return p;
}

void loop_end(Gen *g, Loop *l)
{
	Value next = LLVMBuildNSWAdd(g->build, l->iv, l->step, "");
	Block latch = LLVMGetInsertBlock(g->build);
	LLVMBuildCondBr(g->build, iless(g, next, l->hi), l->body, l->after);
	LLVMAddIncoming(l->iv, &next, &latch, 1);
	for (uint32_t i = 0; i < l->n; i++) LLVMAddIncoming(l->phi[i], &l->next[i], &latch, 1);
	LLVMMoveBasicBlockAfter(l->after, latch);
	LLVMPositionBuilderAtEnd(g->build, l->after);
	for (uint32_t i = 0; i < l->n; i++) {
		l->out[i] = l->next[i];
		if (!l->guarded) continue;
		l->out[i] = LLVMBuildPhi(g->build, LLVMTypeOf(l->init[i]), "");
		LLVMAddIncoming(l->out[i], &l->init[i], &l->before, 1);
		LLVMAddIncoming(l->out[i], &l->next[i], &latch, 1);
	}
}

void if_begin(Gen *g, If *i, Value condition)
{
	i->then = block_new(g, "then");
	i->end = block_new(g, "end");
	i->branch = LLVMBuildCondBr(g->build, condition, i->then, i->end);
	LLVMPositionBuilderAtEnd(g->build, i->then);
}

void if_else(Gen *g, If *i)
{
	Block orelse = block_new(g, "else");
	LLVMSetSuccessor(i->branch, 1, orelse);
	LLVMBuildBr(g->build, i->end);
	LLVMPositionBuilderAtEnd(g->build, orelse);
}

void if_end(Gen *g, If *i)
{
	LLVMBuildBr(g->build, i->end);
	LLVMMoveBasicBlockAfter(i->end, LLVMGetInsertBlock(g->build));
	LLVMPositionBuilderAtEnd(g->build, i->end);
}
