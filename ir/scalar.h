/* Scalar functions: the enum of scalar.def, their reference evaluation, and scalar regions: small
 * straight-line functions that tile operations apply to each element. */
#ifndef NACRE_IR_SCALAR_H
#define NACRE_IR_SCALAR_H
#include "ir/dim.h"
#include "ir/dtype.h"

typedef enum Scalar {
#define SCALAR(id, ...) SC_##id,
#include "ir/scalar.def"
	NUM_SCALARS
} Scalar;
typedef enum { SCALAR_SAME, SCALAR_BOOLEAN, SCALAR_FLOAT } ScalarResult;
enum { S_COMM = 1, S_ASSOC = 2 };
typedef struct ScalarInfo {
	const char *name;
	uint8_t arity;
	ScalarResult result;
	uint8_t traits;
	const char *summary;
} ScalarInfo;
extern const ScalarInfo scalar_info[NUM_SCALARS];
bool scalar_from_name(const char *name, Scalar *out);
/* The reference value in double; `integer`: operands are i32 and the result wraps to i32. */
double scalar_eval(Scalar f, bool integer, double a, double b, double c);

/* A region is a list of nodes in order; a node's arguments come before it. Value types inside a
 * region: f32, i32, bool (and what a cast names: the value is rounded to it, then used widened). */
typedef enum RegionKind {
	RN_ARG,   /* input `index` of the region */
	RN_CONST, /* value, of `type` (f32, i32 or bool) */
	RN_DIM,   /* `dim` as i32: may mention the space variables of the operation */
	RN_CAST,  /* arg[0] converted to type */
	RN_CALL   /* f(arg...) */
} RegionKind;
typedef struct RegionNode {
	RegionKind kind;
	DType type; /* of the result */
	Scalar f;   /* RN_CALL */
	uint16_t arg[3];
	uint16_t index; /* RN_ARG */
	double value;   /* RN_CONST */
	Dim dim;        /* RN_DIM */
} RegionNode;
typedef struct Region {
	RegionNode *node;
	uint32_t n;
	uint16_t *out; /* the node of each result */
	uint32_t n_out;
	uint32_t n_arg;
} Region;
/* Evaluates for one element. arg: n_arg values; out: n_out values. typed: round each node to its
 * type (f32 arithmetic), else double throughout (integers still wrap). */
void region_eval(const Region *r, const double *arg, double *out, bool typed, DimValue *value,
                 void *ctx);
/* The widened type in which values of a storage type compute: f32, i32 or bool. */
DType dtype_widened(DType t);
#endif
