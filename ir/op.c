/* The operation table made from ops.def, and the types of values. */
#include "ir/ir.h"

#include <string.h>

#define ATTR(name, kind, required) {#name, ATTR_##kind, required},
#define REQUIRED true
#define OPTIONAL false
const OpInfo op_info[NUM_OPS] = {
#define OP(id, mnemonic, kind, lo, hi, rule, traits, attrs, summary)                               \
	[OP_##                                                                                         \
		id] = {mnemonic, summary, KIND_##kind,  lo,                                                \
	           hi,       traits,  infer_##rule, (const AttrInfo[]){attrs{NULL, ATTR_INT, false}}},
#include "ir/ops.def"
};
#undef ATTR
#undef REQUIRED
#undef OPTIONAL

const TargetInfo target_info[NUM_TARGETS] = {
#define TARGET(id, name, compiled) [TARGET_##id] = {name, compiled},
#include "ir/targets.def"
};

bool op_from_name(const char *mnemonic, Op *out)
{
	for (uint32_t i = 0; i < NUM_OPS; i++) {
		if (strcmp(op_info[i].mnemonic, mnemonic) == 0) {
			*out = (Op)i;
			return true;
		}
	}
	return false;
}

Type type_scalar(DType t)
{
	return (Type){.dtype = t};
}

Type type_tensor(DType t, uint32_t rank, const Dim *dims)
{
	Type type = {.dtype = t, .rank = rank};
	for (uint32_t i = 0; i < rank; i++) type.dim[i] = dims[i];
	return type;
}

bool type_equal(const Type *a, const Type *b)
{
	if (a->is_tuple != b->is_tuple) return false;
	if (a->is_tuple) {
		if (a->n != b->n) return false;
		for (uint32_t i = 0; i < a->n; i++)
			if (!type_equal(&a->element[i], &b->element[i])) return false;
		return true;
	}
	if (a->dtype != b->dtype || a->rank != b->rank) return false;
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i]) return false;
	return true;
}

void type_print(Text *t, const Type *type)
{
	if (type->is_tuple) {
		text_puts(t, "(");
		for (uint32_t i = 0; i < type->n; i++) {
			if (i) text_puts(t, ", ");
			type_print(t, &type->element[i]);
		}
		text_puts(t, ")");
		return;
	}
	text_puts(t, dtype_name(type->dtype));
	if (!type->rank) return;
	text_puts(t, "[");
	for (uint32_t i = 0; i < type->rank; i++) {
		if (i) text_puts(t, ", ");
		dim_print(t, type->dim[i]);
	}
	text_puts(t, "]");
}

const char *type_text(Arena *a, const Type *type)
{
	Text t = text_new(a);
	type_print(&t, type);
	return t.at ? t.at : "";
}

Dim type_count(DimPool *p, const Type *type)
{
	Dim n = dim_const(p, 1);
	for (uint32_t i = 0; i < type->rank; i++) n = dim_mul(p, n, type->dim[i]);
	return n;
}

static bool divides(DimPool *p, Dim small, Dim large)
{
	int64_t zero;
	if (dim_is_const(small, &zero) && zero == 0) return false;
	return dim_mul(p, dim_floordiv(p, large, small), small) == large;
}

void type_run(DimPool *p, const Type *a, const Type *b, uint32_t *i, uint32_t *k)
{
	uint32_t i0 = *i, k0 = *k;
	Dim pi = dim_const(p, 1), pk = pi;
	do {
		/* the side whose product divides the other's is extended; both take a dim at first */
		bool left =
			*i < a->rank &&
			(*k >= b->rank || *i == i0 ||
		     (*k > k0 && (divides(p, pi, pk) || (!divides(p, pk, pi) && *i - i0 <= *k - k0))));
		if (left)
			pi = dim_mul(p, pi, a->dim[(*i)++]);
		else
			pk = dim_mul(p, pk, b->dim[(*k)++]);
	} while ((pi != pk || (*k == k0 && *k < b->rank)) && (*i < a->rank || *k < b->rank));
}
