/* Composing accesses. A kernel's region is read backwards from what is stored: each operation turns
 * the index at which its result is wanted into the indices at which its operands are. Movements
 * disappear into index expressions; elementwise operations become region nodes. */
#include "codegen/tile/build.h"

#include <string.h>

Dim dim_c(const Build *b, int64_t v)
{
	return dim_const(b->m->dims, v);
}

int64_t dim_most(const Build *b, Dim d)
{
	int64_t lo, hi;
	dim_range(&b->m->facts, d, &lo, &hi);
	return hi;
}

static bool symbolic(Dim d)
{
	return !dim_is_const(d, NULL);
}

uint32_t memory_dims(const Build *b, const Type *t, uint32_t keep, Dim *out)
{
	uint32_t last = 0, n = 0;
	bool any = false;
	for (uint32_t i = keep; i < t->rank; i++)
		if (symbolic(t->dim[i])) {
			last = i;
			any = true;
		}
	for (uint32_t i = 0; i < keep; i++) out[n++] = t->dim[i];
	if (any) {
		Dim all = dim_c(b, 1);
		for (uint32_t i = keep; i <= last; i++) all = dim_mul(b->m->dims, all, t->dim[i]);
		out[n++] = all;
	}
	for (uint32_t i = any ? last + 1 : keep; i < t->rank; i++) out[n++] = t->dim[i];
	if (!n) out[n++] = dim_c(b, 1); /* a scalar lies as one element */
	return n;
}

void memory_index(const Build *b, const Type *t, uint32_t keep, const Dim *index, Dim *out)
{
	uint32_t last = 0, n = 0;
	bool any = false;
	DimPool *p = b->m->dims;
	for (uint32_t i = keep; i < t->rank; i++)
		if (symbolic(t->dim[i])) {
			last = i;
			any = true;
		}
	for (uint32_t i = 0; i < keep; i++) out[n++] = index[i];
	if (any) {
		Dim at = index[keep];
		for (uint32_t i = keep + 1; i <= last; i++)
			at = dim_add(p, dim_mul(p, at, t->dim[i]), index[i]);
		out[n++] = at;
	}
	for (uint32_t i = any ? last + 1 : keep; i < t->rank; i++) out[n++] = index[i];
	if (!n) out[n++] = dim_c(b, 0);
}

bool dim_is_one(Dim d)
{
	int64_t v;
	return dim_is_const(d, &v) && v == 1;
}

/* e // d and e % d, decided when 0 <= e < d is known. */
static void split(const Build *b, Dim e, Dim d, Dim *quotient, Dim *rest)
{
	DimPool *p = b->m->dims;
	if (dim_le(&b->m->facts, dim_c(b, 0), e) == PROOF_YES &&
	    dim_le(&b->m->facts, dim_addc(p, e, 1), d) == PROOF_YES) {
		*quotient = dim_c(b, 0);
		*rest = e;
		return;
	}
	*quotient = dim_floordiv(p, e, d);
	*rest = dim_sub(p, e, dim_mul(p, d, *quotient));
}

/* index is into `to` (the reshape's result); out into `from`. Dims are matched in runs of equal
 * product from the left, so that unrelated dims never meet in one expression. */
void reshape_index(const Build *b, const Type *from, const Type *to, const Dim *index, Dim *out)
{
	DimPool *p = b->m->dims;
	uint32_t i = 0, k = 0;
	while (i < from->rank || k < to->rank) {
		uint32_t i0 = i, k0 = k;
		type_run(p, from, to, &i, &k);
		if (i - i0 == 1 && k - k0 == 1) {
			out[i0] = index[k0];
			continue;
		}
		Dim linear = dim_c(b, 0), astray = dim_c(b, 0), all = dim_c(b, 1);
		uint32_t top = i0; /* takes what the others leave: out of range shows there */
		while (top + 1 < i && dim_is_one(from->dim[top])) top++;
		uint32_t one = i0;
		for (uint32_t n = i0; n < i; n++) out[n] = dim_c(b, 0);
		for (uint32_t n = k0; n < k; n++) {
			if (!dim_is_one(to->dim[n])) {
				linear = dim_add(p, dim_mul(p, linear, to->dim[n]), index[n]);
				all = dim_mul(p, all, to->dim[n]);
			} else if (index[n] !=
			           dim_c(b, 0)) { /* of a padded dim of size 1: must be seen out of range */
				while (one < i && (one == top || !dim_is_one(from->dim[one]))) one++;
				if (one < i)
					out[one++] = index[n];
				else
					astray = dim_add(p, astray, dim_max(p, index[n], dim_mulc(p, index[n], -1)));
			}
		}
		linear = dim_add(p, linear, dim_mul(p, astray, all));
		for (uint32_t n = i; n-- > i0;) {
			if (dim_is_one(from->dim[n]) && n != top) {
				continue;
			} else if (n == top) {
				out[n] = linear;
			} else {
				Dim rest;
				split(b, linear, from->dim[n], &linear, &rest);
				out[n] = rest;
			}
		}
	}
}

bool kernel_fail(Kernel *k, const char *why)
{
	if (!k->b->failed) diag_error(k->b->d, k->node->span, "kernel `%s`: %s", k->k->name, why);
	k->b->failed = true;
	return false;
}

TileAccess access_of(TileObj *o, uint32_t rank, const Dim *index)
{
	TileAccess a = {.obj = o};
	for (uint32_t i = 0; i < rank; i++) a.index[i] = index[i];
	return a;
}

TileAccess access1(TileObj *o, Dim i)
{
	return access_of(o, 1, &i);
}

TileAccess access2(TileObj *o, Dim i, Dim j)
{
	return access_of(o, 2, (Dim[]){i, j});
}

void bind(Kernel *k, const Node *n, const Dim *index, uint32_t rank, TileAccess at)
{
	struct Bound *b = &k->bound[k->n_bound++];
	b->node = n;
	b->at = at;
	for (uint32_t i = 0; i < rank; i++) b->index[i] = index[i];
}

static const TileAccess *find_bound(const Kernel *k, const Node *n, const Dim *index)
{
	for (uint32_t i = 0; i < k->n_bound; i++) {
		bool same = k->bound[i].node == n;
		for (uint32_t j = 0; same && j < n->type.rank; j++)
			same = k->bound[i].index[j] == index[j] || dim_is_one(n->type.dim[j]);
		if (same) return &k->bound[i].at;
	}
	return NULL;
}

/* The formal of a region argument, made at its first use. */
static TileObj *formal_of(Kernel *k, const Node *arg)
{
	uint32_t n = (uint32_t)node_attr_const(arg, "number")->i;
	if (k->formal[n]) return k->formal[n];
	Dim dims[MAX_RANK];
	TileObj *buf = k->actual[n].buf;
	Type rest = arg->type;
	rest.rank -= k->lead[n];
	for (uint32_t i = 0; i < rest.rank; i++) rest.dim[i] = arg->type.dim[i + k->lead[n]];
	uint32_t rank = memory_dims(k->b, &rest, k->keep[n], dims);
	TileKind kind = buf->kind == TB_WEIGHT ? TB_WEIGHT : TB_IN;
	for (size_t i = 0; i < k->k->bufs.n; i++)
		if (k->args[i].buf == buf && k->k->bufs.at[i]->kind == TB_STATE) kind = TB_STATE;
	TileObj *f = tile_formal(k->b->p, k->k, kind, arena_printf(k->b->m->arena, "a%u", n),
	                         arg->type.dtype, rank, dims);
	k->args[k->k->bufs.n - 1] = k->actual[n];
	k->origin[k->k->bufs.n - 1] = (Origin){.kind = FROM_ARG, .number = n};
	k->formal[n] = f;
	return f;
}

bool reshape_divides(const Build *b, const Node *n, bool back)
{
	const Type *from = back ? &n->type : &n->in[0]->type;
	const Type *to = back ? &n->in[0]->type : &n->type;
	uint32_t i = 0, k = 0;
	while (i < from->rank || k < to->rank) {
		uint32_t first = i, large = 0;
		type_run(b->m->dims, from, to, &i, &k);
		for (uint32_t d = first; d < i; d++) large += !dim_is_one(from->dim[d]);
		if (large > 1) return true;
	}
	return false;
}

/* A reshape of what lies dense in memory is the same memory with other dims: a formal of its own
 * spares the division. NULL: it does not lie so, or nothing is spared. */
static TileObj *view_of(Kernel *k, const Node *n)
{
	Dim dims[MAX_RANK];
	if (n->in[0]->op != OP_ARG || !reshape_divides(k->b, n, false)) return NULL;
	uint32_t arg = (uint32_t)node_attr_const(n->in[0], "number")->i;
	if (k->lead[arg] || k->keep[arg] || k->n_view == COUNT(k->view)) return NULL;
	TileObj *buf = k->actual[arg].buf;
	uint32_t rank = memory_dims(k->b, &n->type, 0, dims);
	for (uint32_t i = 0; i < k->n_view; i++) {
		bool same = k->view[i].arg == arg && k->view[i].obj->rank == rank;
		for (uint32_t d = 0; same && d < rank; d++) same = k->view[i].obj->dims[d] == dims[d];
		if (same) return k->view[i].obj;
	}
	TileKind kind = buf->kind == TB_WEIGHT ? TB_WEIGHT : TB_IN;
	TileObj *f = kernel_formal(k, kind, arena_printf(k->b->m->arena, "v%u", k->n_view),
	                           n->type.dtype, rank, dims, k->actual[arg]);
	k->view[k->n_view++] = (struct View){arg, f};
	k->origin[k->k->bufs.n - 1] = (Origin){.kind = FROM_ARG, .number = arg};
	return f;
}

bool is_access(const Node *n)
{
	switch (n->op) {
	case OP_ARG: return true;
	case OP_RESHAPE:
	case OP_TRANSPOSE:
	case OP_BROADCAST:
	case OP_SLICE: return is_access(n->in[0]);
	case OP_GATHER: return is_access(n->in[0]) && is_access(n->in[1]);
	case OP_PAD: return is_access(n->in[0]);
	default: return false;
	}
}

/* Index of an operand that broadcasts (aligned at the right) to the result of rank `rank`. */
static void broadcast_index(const Build *b, const Type *operand, uint32_t rank, const Dim *index,
                            Dim *out)
{
	for (uint32_t i = 0; i < operand->rank; i++) {
		int64_t one;
		bool stretched = dim_is_const(operand->dim[i], &one) && one == 1;
		out[i] = stretched ? dim_c(b, 0) : index[rank - operand->rank + i];
	}
}

/* The index into the operand of a plain movement. */
static void moved_index(const Build *b, Node *n, const Dim *index, Dim *out)
{
	DimPool *p = b->m->dims;
	const Type *x = &n->in[0]->type;
	switch (n->op) {
	case OP_RESHAPE: reshape_index(b, x, &n->type, index, out); break;
	case OP_TRANSPOSE:
		for (uint32_t i = 0; i < x->rank; i++) out[node_attr(n, "perm")->ints[i]] = index[i];
		break;
	case OP_BROADCAST: broadcast_index(b, x, n->type.rank, index, out); break;
	case OP_SLICE:
		for (uint32_t i = 0; i < x->rank; i++) {
			const Attr *step = node_attr(n, "step");
			out[i] = dim_add(p, node_attr(n, "start")->dims[i],
			                 dim_mulc(p, index[i], step->set ? step->ints[i] : 1));
		}
		break;
	case OP_PAD:
		for (uint32_t i = 0; i < x->rank; i++)
			out[i] = dim_addc(p, index[i], -node_attr(n, "lo")->ints[i]);
		break;
	default: break;
	}
}

/* The memory dim of the formal of `arg` that dim `axis` of its type is, or -1 when it is merged. */
static int64_t own_dim(const Kernel *k, const Node *arg, uint32_t axis)
{
	uint32_t number = (uint32_t)node_attr_const(arg, "number")->i;
	uint32_t first = k->lead[number] + k->keep[number], last = first;
	for (uint32_t i = first; i < arg->type.rank; i++)
		if (symbolic(arg->type.dim[i])) last = i;
	if (axis < k->lead[number]) return -1;
	if (axis >= first && axis <= last && last > first) return -1;
	return (int64_t)axis - k->lead[number] - (axis > last ? last - first : 0);
}

bool lies_apart(const Kernel *k, const Node *n)
{
	while (n->op == OP_TRANSPOSE || n->op == OP_RESHAPE) n = n->in[0];
	if (n->op != OP_ARG) return false;
	uint32_t lead = k->lead[node_attr_const(n, "number")->i];
	for (uint32_t i = lead; i < n->type.rank; i++)
		if (own_dim(k, n, i) < 0) return false;
	return true;
}

const char *access_check(Build *b, const Node *n, bool counts)
{
	static const char own[] = "{an index}";
	const Attr *check = node_attr_const(n, "check");
	if (!check->set) return NULL;
	const char *text = check->s, *index = counts ? strstr(text, own) : NULL;
	if (index)
		text = arena_printf(b->m->arena, "%.*s{some index}%s", (int)(index - text), text,
		                    index + sizeof own - 1);
	if (n->span.source)
		text = arena_printf(b->m->arena, "%s (%s:%u)", text, n->span.source->name,
		                    source_place(n->span.source, n->span.begin).line);
	return tile_check(b->p, text);
}

bool access_value(Kernel *k, Node *n, const Dim *index, TileAccess *out)
{
	Dim inner[MAX_RANK] = {0};
	const TileAccess *known = find_bound(k, n, index);
	if (known) {
		*out = *known;
		return true;
	}
	switch (n->op) {
	case OP_ARG: {
		TileObj *f = formal_of(k, n);
		uint32_t lead = k->lead[node_attr(n, "number")->i];
		Type rest = n->type;
		rest.rank -= lead;
		for (uint32_t i = 0; i < rest.rank; i++) rest.dim[i] = n->type.dim[i + lead];
		*out = (TileAccess){.obj = f};
		memory_index(k->b, &rest, k->keep[node_attr(n, "number")->i], index + lead, out->index);
		return true;
	}
	case OP_RESHAPE: {
		TileObj *view = view_of(k, n);
		if (view) {
			*out = (TileAccess){.obj = view};
			memory_index(k->b, &n->type, 0, index, out->index);
			return true;
		}
		moved_index(k->b, n, index, inner);
		return access_value(k, n->in[0], inner, out);
	}
	case OP_TRANSPOSE:
	case OP_BROADCAST:
	case OP_SLICE: moved_index(k->b, n, index, inner); return access_value(k, n->in[0], inner, out);
	case OP_PAD: {
		/* memory dims may be merged: what is outside must show in a dim of its own */
		const Attr *lo = node_attr(n, "lo"), *hi = node_attr(n, "hi");
		for (uint32_t i = 0; i < n->type.rank; i++)
			if ((lo->ints[i] || hi->ints[i]) && n->in[0]->op == OP_ARG &&
			    own_dim(k, n->in[0], i) < 0)
				return kernel_fail(
					k, "padding of a dim that lies inside a run of symbolic dims is not supported");
		if (n->in[0]->op != OP_ARG)
			return kernel_fail(k, "padding of a moved value is not supported in one kernel");
		moved_index(k->b, n, index, inner);
		if (!access_value(k, n->in[0], inner, out)) return false;
		out->has_else = true;
		out->else_value = node_attr(n, "value")->f;
		return true;
	}
	case OP_GATHER: {
		int64_t axis = node_attr(n, "axis")->i;
		Node *x = n->in[0], *idx = n->in[1];
		uint32_t ir = idx->type.rank;
		Dim at[MAX_RANK] = {0};
		TileAccess *rows = NEW(k->b->m->arena, TileAccess);
		if (!access_value(k, idx, index + axis, rows)) return false;
		if (rows->rows)
			return kernel_fail(k, "a gather by gathered indices is not supported in one kernel");
		for (uint32_t i = 0; i < x->type.rank; i++)
			at[i] = (int64_t)i < axis    ? index[i]
			        : (int64_t)i == axis ? dim_c(k->b, 0)
			                             : index[i - 1 + ir];
		if (x->op != OP_ARG)
			return kernel_fail(k, "a gather from a moved value is not supported in one kernel");
		int64_t dim = own_dim(k, x, (uint32_t)axis);
		if (dim < 0)
			return kernel_fail(
				k,
				"a gather along an axis that lies inside a run of symbolic dims is not supported");
		if (!access_value(k, x, at, out)) return false;
		out->rows = rows;
		out->check = access_check(k->b, n, false);
		out->rows_dim = (uint32_t)dim;
		out->index[out->rows_dim] = NULL;
		return true;
	}
	default:
		return kernel_fail(k, arena_printf(k->b->m->arena,
		                                   "the operand computed by %s must be in memory",
		                                   op_info[n->op].mnemonic));
	}
}

/* --- regions --- */

RegionMaker region_begin(Kernel *k, TileStmt *s)
{
	RegionMaker r = {.k = k, .s = s};
	return r;
}

static uint16_t push(RegionMaker *r, RegionNode n)
{
	vec_push(r->k->b->m->arena, &r->nodes, n);
	return (uint16_t)(r->nodes.n - 1);
}

static bool same_access(const TileAccess *a, const TileAccess *b)
{
	if (a->obj != b->obj || a->rows != b->rows || a->has_else != b->has_else) return false;
	for (uint32_t i = 0; i < a->obj->rank; i++)
		if (a->index[i] != b->index[i]) return false;
	return true;
}

uint16_t region_access(RegionMaker *r, const TileAccess *a)
{
	TileStmt *s = r->s;
	uint32_t i = 0;
	while (i < s->n_in && !same_access(&s->in[i], a)) i++;
	if (i == s->n_in) {
		if (s->n_in == TILE_INS) {
			r->failed = true;
			kernel_fail(
				r->k,
				"a fused expression reads more than 12 tensors; name an intermediate value and use it twice to split it");
			return 0;
		}
		s->in[s->n_in++] = *a;
	}
	for (size_t n = 0; n < r->nodes.n; n++)
		if (r->nodes.at[n].kind == RN_ARG && r->nodes.at[n].index == i) return (uint16_t)n;
	return push(r, (RegionNode){
					   .kind = RN_ARG, .type = dtype_widened(a->obj->dtype), .index = (uint16_t)i});
}

uint16_t region_const(RegionMaker *r, DType t, double v)
{
	return push(r, (RegionNode){.kind = RN_CONST, .type = dtype_widened(t), .value = v});
}

uint16_t region_dim(RegionMaker *r, Dim d)
{
	int64_t v;
	if (dim_is_const(d, &v)) return region_const(r, DT_I32, (double)v);
	return push(r, (RegionNode){.kind = RN_DIM, .type = DT_I32, .dim = d});
}

uint16_t region_cast(RegionMaker *r, DType t, uint16_t a)
{
	return push(r, (RegionNode){.kind = RN_CAST, .type = t, .arg = {a}});
}

uint16_t region_call(RegionMaker *r, Scalar f, uint16_t a, uint16_t b, uint16_t c)
{
	DType of = dtype_widened(r->nodes.at[f == SC_SELECT ? b : a].type);
	DType t = scalar_info[f].result == SCALAR_BOOLEAN ? DT_BOOL : of;
	return push(r, (RegionNode){.kind = RN_CALL, .type = t, .f = f, .arg = {a, b, c}});
}

uint16_t region_value(RegionMaker *r, Node *n, const Dim *index)
{
	const Build *b = r->k->b;
	Dim inner[MAX_RANK] = {0};
	TileAccess a;
	uint16_t arg[3] = {0};
	const TileAccess *known = find_bound(r->k, n, index);
	if (r->failed || b->failed) return 0;
	if (known) return region_access(r, known);
	if (is_access(n)) {
		if (!access_value(r->k, n, index, &a)) {
			r->failed = true;
			return 0;
		}
		return region_access(r, &a);
	}
	switch (n->op) {
	case OP_CONST: {
		const Tensor *t = node_attr(n, "value")->tensor;
		return region_const(r, t->dtype, dtype_load(t->dtype, t->data, 0));
	}
	case OP_DIM: return region_dim(r, node_attr(n, "value")->d);
	case OP_IOTA: return region_dim(r, index[node_attr(n, "axis")->i]);
	case OP_RESHAPE:
	case OP_TRANSPOSE:
	case OP_BROADCAST:
	case OP_SLICE: moved_index(b, n, index, inner); return region_value(r, n->in[0], inner);
	default: break;
	}
	if (n->op == OP_DEQUANT) {
		const Attr *block = node_attr(n, "block");
		for (uint32_t i = 0; i < n->type.rank; i++)
			inner[i] = dim_is_one(n->in[1]->type.dim[i])
			               ? dim_c(b, 0)
			               : dim_floordiv(b->m->dims, index[i], dim_c(b, block->ints[i]));
		for (uint32_t i = 0; i < n->n_in; i++)
			arg[i] = region_value(r, n->in[i], i ? inner : index);
		if (r->failed || b->failed) return 0;
		if (n->n_in == 3) arg[0] = region_call(r, SC_SUB, arg[0], arg[2], 0);
		for (uint32_t i = 0; i < 2; i++) arg[i] = region_cast(r, DT_F32, arg[i]);
		return region_call(r, SC_MUL, arg[0], arg[1], 0);
	}
	if (op_info[n->op].kind != KIND_ELEMENTWISE) {
		r->failed = true;
		kernel_fail(r->k, arena_printf(b->m->arena, "%s cannot be computed inside this kernel",
		                               op_info[n->op].mnemonic));
		return 0;
	}
	for (uint32_t i = 0; i < n->n_in; i++) {
		broadcast_index(b, &n->in[i]->type, n->type.rank, index, inner);
		arg[i] = region_value(r, n->in[i], inner);
	}
	if (r->failed || b->failed) return 0;
	if (n->op == OP_CAST) return region_cast(r, n->type.dtype, arg[0]);
	return region_call(r, (Scalar)(n->op - OP_NEG), arg[0], arg[1], arg[2]);
}

void region_end(RegionMaker *r, uint32_t n_out, const uint16_t *out)
{
	Arena *a = r->k->b->m->arena;
	Region *g = &r->s->region;
	g->node = r->nodes.at;
	g->n = (uint32_t)r->nodes.n;
	g->n_out = n_out;
	g->out = NEW_ARRAY(a, uint16_t, n_out + 1);
	memcpy(g->out, out, n_out * sizeof *out);
	g->n_arg = r->s->n_in;
}

/* --- results --- */

bool result_access(Kernel *k, uint32_t r, const Node *n, const Dim *index, TileAccess *out)
{
	Node *root = k->root[r];
	/* the movements between n's shape and the root, outermost last */
	Node *path[8];
	uint32_t steps = 0;
	Node *at = root;
	while (at != n && (at->op == OP_RESHAPE || at->op == OP_TRANSPOSE) && steps < COUNT(path)) {
		path[steps++] = at;
		at = at->in[0];
	}
	/* elementwise operations between keep the shape */
	Dim now[MAX_RANK] = {0}, next[MAX_RANK] = {0};
	for (uint32_t i = 0; i < at->type.rank; i++) now[i] = index[i];
	while (steps-- > 0) {
		Node *m = path[steps];
		if (m->op == OP_TRANSPOSE) {
			for (uint32_t i = 0; i < m->type.rank; i++)
				next[i] = now[node_attr(m, "perm")->ints[i]];
		} else {
			reshape_index(k->b, &m->type, &m->in[0]->type, now, next);
		}
		memcpy(now, next, sizeof now);
	}
	*out = (TileAccess){.obj = k->out[r]};
	memory_index(k->b, &root->type, k->out_keep[r], now, out->index);
	return true;
}

/* --- statements --- */

TileStmt *loop(Kernel *k, TileBlock *in, TileOp op, const char *name, Dim lo, Dim hi, int64_t by,
               bool with_len)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	TileStmt *s = tile_stmt(b->p, in, op);
	const char *var = intern_str(b->m->names, arena_printf(b->m->arena, "%s%u", name, b->serial));
	const char *len = intern_str(b->m->names, arena_printf(b->m->arena, "%sn%u", name, b->serial));
	b->serial++;
	s->var = dim_sym_new(p, var, SYM_LOOP, lo, dim_addc(p, hi, -1), k->node->span);
	if (with_len)
		s->len = dim_sym_new(p, len, SYM_LEN, dim_c(b, 1),
		                     dim_min(p, dim_c(b, by), dim_sub(p, hi, dim_sym(p, s->var))),
		                     k->node->span);
	s->lo = lo;
	s->hi = hi;
	s->by = by;
	return s;
}

TileBlock *each_of(Kernel *k, TileBlock *in, const char *name, Dim extent, Dim *at)
{
	*at = dim_c(k->b, 0);
	if (dim_is_one(extent)) return in;
	TileStmt *s = loop(k, in, TILE_PAR, name, dim_c(k->b, 0), extent, 1, false);
	*at = loop_at(k->b, s);
	return &s->body;
}

Dim loop_at(const Build *b, const TileStmt *s)
{
	return dim_sym(b->m->dims, s->var);
}

Dim loop_len(const Build *b, const TileStmt *s)
{
	return dim_sym(b->m->dims, s->len);
}

TileObj *place(Kernel *k, TileBlock *in, const char *name, DType t, TileLevel level, uint32_t rank,
               const int64_t *cap)
{
	TileStmt *s = tile_stmt(k->b->p, in, TILE_PLACE);
	TileObj *o = NEW(k->b->m->arena, TileObj);
	o->name = intern_str(k->b->m->names, arena_printf(k->b->m->arena, "%s%u", name, k->k->places));
	o->kind = TB_PLACE;
	o->dtype = t;
	o->level = level;
	o->rank = rank;
	for (uint32_t i = 0; i < rank; i++) o->dims[i] = dim_c(k->b, cap[i]);
	o->id = k->k->places++;
	s->place = o;
	return o;
}

Dim space(Kernel *k, TileStmt *s, const char *name, Dim extent)
{
	Build *b = k->b;
	const char *unique =
		intern_str(b->m->names, arena_printf(b->m->arena, "%s%u", name, b->serial++));
	TileVar *v = &s->space[s->n_space++];
	v->sym = dim_sym_new(b->m->dims, unique, SYM_LOOP, dim_c(b, 0),
	                     dim_addc(b->m->dims, extent, -1), k->node->span);
	v->extent = extent;
	return dim_sym(b->m->dims, v->sym);
}

Node *kernel_anchor(Kernel *k, Op op)
{
	for (Node *n = k->g->first; n; n = n->next)
		if (n->op == op) return n;
	return NULL;
}
