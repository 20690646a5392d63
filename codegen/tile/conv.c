/* Convolution and pooling, channels last. A strip of input rows with its padding is brought to near
 * memory once for all output channels; then a convolution is the same register tile as a product,
 * with the pixel stride as row stride and (kx, c) as one run of k. */
#include "codegen/tile/build.h"

#include <math.h>
#include <string.h>

enum { MOST_SPATIAL = 3 };

typedef struct Conv {
	Kernel *k;
	Node *n;
	uint32_t spatial;
	int64_t stride[MOST_SPATIAL], lo[MOST_SPATIAL], dilation[MOST_SPATIAL], size[MOST_SPATIAL];
	Dim in[MOST_SPATIAL], out[MOST_SPATIAL];
	Dim batch;
	int64_t c, kk, groups;
} Conv;

static bool conv_shape(Kernel *k, Node *n, Conv *v)
{
	const Type *x = &n->in[0]->type, *t = &n->type;
	*v = (Conv){.k = k, .n = n, .spatial = x->rank - 2, .batch = t->dim[0], .groups = 1};
	if (!node_attr(n, "channels_last")->i)
		return kernel_fail(
			k, "convolutions and pooling must be channels-last here (run the pass `layout` first)");
	if (v->spatial > MOST_SPATIAL)
		return kernel_fail(k, "more than three spatial dims are not supported");
	if (!dim_is_const(x->dim[x->rank - 1], &v->c))
		return kernel_fail(k, "the number of channels must be known at compile time");
	v->kk = v->c;
	for (uint32_t i = 0; i < v->spatial; i++) {
		v->stride[i] = node_attr(n, "stride")->ints[i];
		v->lo[i] = node_attr(n, "lo")->ints[i];
		v->dilation[i] = 1;
		v->in[i] = x->dim[1 + i];
		v->out[i] = t->dim[1 + i];
		if (n->op == OP_POOL) v->size[i] = node_attr(n, "size")->ints[i];
	}
	if (n->op == OP_POOL) return true;
	const Type *w = &n->in[1]->type;
	v->groups = node_attr(n, "groups")->i;
	if (!dim_is_const(w->dim[w->rank - 1], &v->kk))
		return kernel_fail(k, "the number of output channels must be known at compile time");
	for (uint32_t i = 0; i < v->spatial; i++) {
		v->dilation[i] = node_attr(n, "dilation")->ints[i];
		if (!dim_is_const(w->dim[i], &v->size[i]))
			return kernel_fail(k, "the kernel size must be known at compile time");
	}
	return true;
}

/* A space variable over the taps of a dim; none is needed for one tap. */
static Dim tap(Kernel *k, TileStmt *s, const char *name, int64_t taps)
{
	return taps == 1 ? dim_c(k->b, 0) : space(k, s, name, dim_c(k->b, taps));
}

/* Input positions that `n` outputs of dim i touch: (n - 1)*stride + (size - 1)*dilation + 1. */
static Dim reach(const Conv *v, uint32_t i, Dim n)
{
	DimPool *p = v->k->b->m->dims;
	return dim_addc(p, dim_mulc(p, dim_addc(p, n, -1), v->stride[i]),
	                (v->size[i] - 1) * v->dilation[i] + 1);
}

static int64_t reach_most(const Conv *v, uint32_t i, int64_t n)
{
	return (n - 1) * v->stride[i] + (v->size[i] - 1) * v->dilation[i] + 1;
}

/* Loops over batch and all spatial dims but the last two (or one): one by one. */
typedef struct Strip {
	TileBlock *body;
	Dim batch, outer; /* index in dim 0 of three spatial dims, or of none */
	Dim y, yn;        /* block of output rows; NULL when spatial is 1 */
	Dim x, xn;        /* and of output columns: all of them where they fit */
	int64_t yn_most, xn_most;
	TileObj *place;      /* [outer taps.., rows, width * c] */
	int64_t rows, width; /* capacity in input positions */
	Dim width_now;
	uint32_t rank;
} Strip;

static Dim input_at(const Conv *v, uint32_t i, Dim out, Dim tap)
{
	/* out*stride - lo + tap */
	DimPool *p = v->k->b->m->dims;
	return dim_add(p, dim_addc(p, dim_mulc(p, out, v->stride[i]), -v->lo[i]), tap);
}

/* Values that a strip of yb rows and xb columns of the output holds. */
static int64_t strip_values(const Conv *v, int64_t yb, int64_t xb)
{
	uint32_t x = v->spatial - 1;
	int64_t outer = v->spatial == 3 ? v->size[0] : 1;
	int64_t rows = v->spatial >= 2 ? reach_most(v, x - 1, yb) + v->stride[x - 1] - 1 : 1;
	return outer * rows * (reach_most(v, x, xb) + v->stride[x]) * v->c;
}

static bool strip_open(Conv *v, Strip *s)
{
	Kernel *k = v->k;
	Build *b = k->b;
	uint32_t x = v->spatial - 1;
	int64_t ow = dim_most(b, v->out[x]), xb = ow > 0 ? ow : 1, yb = 1;
	int64_t budget = b->t->near_bytes / 4 / 4, most = (b->t->near_bytes - b->t->near_bytes / 4) / 4;
	TileStmt *l = loop(k, &k->k->body, TILE_PAR, "n", dim_c(b, 0), v->batch, 1, false);
	*s = (Strip){.body = &l->body, .batch = loop_at(b, l), .rows = 1};
	if (v->spatial >= 2) {
		/* as many rows as keep the strip within a quarter of near memory, about mb positions */
		yb = b->t->mb / xb;
		if (yb < 1) yb = 1;
		if (yb > dim_most(b, v->out[x - 1])) yb = dim_most(b, v->out[x - 1]);
		while (yb > 1 && strip_values(v, yb, xb) > budget) yb--;
		s->rows = reach_most(v, x - 1, yb);
		if (!dim_is_const(v->out[x - 1], NULL))
			s->rows += v->stride[x - 1] - 1; /* as far as bounds tell */
	}
	/* and of a wide image as many columns */
	bool cut = strip_values(v, yb, xb) > most;
	while (xb > 1 && strip_values(v, yb, xb) > (cut ? budget : most)) xb = (xb + 1) / 2;
	s->width = reach_most(v, x, xb);
	if (!dim_is_const(v->out[x], NULL)) s->width += v->stride[x];
	if (strip_values(v, yb, xb) > most)
		return kernel_fail(
			k,
			arena_printf(
				b->m->arena,
				"a window of the input (%lld x %lld x %lld values) does not fit the fast memory of the target",
				(long long)s->rows, (long long)s->width, (long long)v->c));
	if (v->spatial == 3) {
		l = loop(k, s->body, TILE_PAR, "z", dim_c(b, 0), v->out[0], 1, false);
		s->outer = loop_at(b, l);
		s->body = &l->body;
	}
	if (v->spatial >= 2) {
		l = loop(k, s->body, TILE_PAR, "y", dim_c(b, 0), v->out[x - 1], yb, true);
		s->y = loop_at(b, l);
		s->yn = loop_len(b, l);
		s->yn_most = yb;
		s->body = &l->body;
	} else {
		s->y = dim_c(b, 0);
		s->yn = dim_c(b, 1);
	}
	s->x = dim_c(b, 0);
	s->xn = v->out[x];
	s->xn_most = xb;
	if (cut) {
		l = loop(k, s->body, TILE_PAR, "x", dim_c(b, 0), v->out[x], xb, true);
		s->x = loop_at(b, l);
		s->xn = loop_len(b, l);
		s->body = &l->body;
	}
	s->width_now = reach(v, x, s->xn);
	return true;
}

/* Of three spatial dims the outermost is brought tap by tap, and what lies outside is filled, so that
 * one access leaves its buffer in two dims at most. */
static TileBlock *each_tap(Conv *v, Strip *s, int64_t taps, double outside, Dim *tap_at)
{
	Kernel *k = v->k;
	Build *b = k->b;
	DimPool *p = b->m->dims;
	uint32_t x = v->spatial - 1;
	TileStmt *l = loop(k, s->body, TILE_FOR, "z", dim_c(b, 0), dim_c(b, taps), 1, false);
	*tap_at = loop_at(b, l);
	Dim at = input_at(v, 0, s->outer, dim_mulc(p, *tap_at, v->dilation[0]));
	TileStmt *inner = tile_stmt(b->p, &l->body, TILE_IF);
	inner->cond[inner->n_cond++] = (TileCond){REL_LE, dim_c(b, 0), at};
	inner->cond[inner->n_cond++] = (TileCond){REL_LT, at, v->in[0]};
	TileStmt *fill = tile_stmt(b->p, &inner->orelse, TILE_MAP);
	Dim y = space(k, fill, "y", reach(v, x - 1, s->yn));
	Dim c = space(k, fill, "x", dim_mulc(p, s->width_now, v->c));
	fill->out[0] = access_of(s->place, 3, (Dim[]){*tap_at, y, c});
	fill->n_out = 1;
	RegionMaker m = region_begin(k, fill);
	uint16_t value = region_const(&m, s->place->dtype, outside);
	region_end(&m, 1, &value);
	return &inner->body;
}

static bool is_padded(const Conv *v)
{
	const Attr *hi = node_attr(v->n, "hi");
	for (uint32_t i = 0; i < v->spatial; i++)
		if (v->lo[i] || hi->ints[i]) return true;
	return false;
}

/* Whether an access is known to need nothing in place of what lies outside. */
static bool stays_inside(const Build *b, const TileAccess *x)
{
	const DimFacts *f = &b->m->facts;
	for (uint32_t d = 0; d < x->obj->rank; d++)
		if (dim_le(f, dim_c(b, 0), x->index[d]) != PROOF_YES ||
		    dim_le(f, dim_addc(b->m->dims, x->index[d], 1), x->obj->dims[d]) != PROOF_YES)
			return false;
	return true;
}

/* strip[tap, y, x*C + c] = input, zero (or `outside`) in the padding */
static bool strip_bring(Conv *v, Strip *s, double outside)
{
	Kernel *k = v->k;
	Build *b = k->b;
	DimPool *p = b->m->dims;
	uint32_t x = v->spatial - 1;
	int64_t taps = v->spatial == 3 ? v->size[0] : 1;
	int64_t cap[3] = {taps, s->rows, s->width * v->c};
	if (is_padded(v) && !lies_apart(k, v->n->in[0]))
		return kernel_fail(k, "its input lies with dims of symbolic size merged, and is padded");
	s->place = place(k, s->body, "strip", v->n->in[0]->type.dtype, LEVEL_NEAR, 3, cap);
	Dim zt = dim_c(b, 0);
	TileBlock *body = v->spatial == 3 ? each_tap(v, s, taps, outside, &zt) : s->body;
	TileStmt *st = tile_stmt(b->p, body, TILE_BRING);
	Dim ys = space(k, st, "y", v->spatial >= 2 ? reach(v, x - 1, s->yn) : dim_c(b, 1));
	Dim xs = space(k, st, "x", s->width_now), cs = space(k, st, "c", dim_c(b, v->c));
	Dim index[MAX_RANK];
	uint32_t at = 0;
	index[at++] = s->batch;
	if (v->spatial == 3) { /* inside, as each_tap has found */
		Dim z = input_at(v, 0, s->outer, dim_mulc(p, zt, v->dilation[0]));
		index[at++] = dim_max(p, dim_c(b, 0), dim_min(p, z, dim_addc(p, v->in[0], -1)));
	}
	if (v->spatial >= 2) index[at++] = input_at(v, x - 1, s->y, ys);
	index[at++] = input_at(v, x, s->x, xs);
	index[at++] = cs;
	st->n_in = st->n_out = 1;
	if (!access_value(k, v->n->in[0], index, &st->in[0])) return false;
	st->in[0].has_else = is_padded(v) || !stays_inside(b, &st->in[0]);
	st->in[0].else_value = outside;
	st->out[0] = access_of(s->place, 3, (Dim[]){zt, ys, dim_add(p, dim_mulc(p, xs, v->c), cs)});
	return true;
}

/* result index [n, (z,) (y,) x, channel]; x within the strip */
static void out_index(const Conv *v, const Strip *s, Dim y, Dim x, Dim c, Dim *index)
{
	uint32_t at = 0;
	index[at++] = s->batch;
	if (v->spatial == 3) index[at++] = s->outer;
	if (v->spatial >= 2) index[at++] = y;
	index[at++] = dim_add(v->k->b->m->dims, s->x, x);
	index[at] = c;
}

static bool store(Conv *v, TileStmt *put, const Dim *at, TileAccess value)
{
	Kernel *k = v->k;
	Dim index[MAX_RANK];
	/* In a dim of 1 there is one place, which broadcasting calls 0. */
	for (uint32_t i = 0; i < v->n->type.rank; i++)
		index[i] = dim_is_const(v->n->type.dim[i], NULL) && v->n->type.dim[i] == dim_c(k->b, 1)
		               ? dim_c(k->b, 0)
		               : at[i];
	Node *stored = k->g->results.at[0];
	while (stored != v->n && (stored->op == OP_RESHAPE || stored->op == OP_TRANSPOSE))
		stored = stored->in[0];
	bind(k, v->n, index, v->n->type.rank, value);
	RegionMaker r = region_begin(k, put);
	uint16_t got = region_value(&r, stored, index);
	region_end(&r, 1, &got);
	put->n_out = 1;
	return !k->b->failed && result_access(k, 0, stored, at, &put->out[0]);
}

/* The tile of outputs a contract takes: rows y of the strip one by one (CPU), positions of x split. */
typedef struct XTile {
	TileBlock *body;
	Dim y, x, h;
} XTile;

static XTile x_tile(Conv *v, Strip *s, TileBlock *body, int64_t mr)
{
	Build *b = v->k->b;
	XTile t = {.body = body, .y = dim_c(b, 0)};
	if (v->spatial >= 2) {
		TileStmt *l = loop(v->k, body, TILE_FOR, "y", dim_c(b, 0), s->yn, 1, false);
		t.y = loop_at(b, l);
		t.body = &l->body;
	}
	TileStmt *split = loop(v->k, t.body, TILE_SPLIT, "x", dim_c(b, 0), s->xn, mr, true);
	t.x = loop_at(b, split);
	t.h = loop_len(b, split);
	t.body = &split->body;
	return t;
}

static bool build_dense(Conv *v, Strip *s)
{
	Kernel *k = v->k;
	Build *b = k->b;
	DimPool *p = b->m->dims;
	uint32_t x = v->spatial - 1;
	int64_t mr = b->t->mr, nr = b->t->nr, per = v->c / v->groups, kg = v->kk / v->groups;
	Node *w = v->n->in[1];
	/* with dilation 1 and one group, (kx, c) is one run of k */
	bool run = v->dilation[x] == 1 && v->groups == 1;
	int64_t outer_taps = v->spatial == 3 ? v->size[0] : 1,
			ytaps = v->spatial >= 2 ? v->size[x - 1] : 1;
	TileObj *packed = NULL;
	if (run) {
		Dim dims[3] = {dim_c(b, outer_taps * ytaps), dim_c(b, v->size[x] * v->c), dim_c(b, v->kk)};
		packed = pack_weight(k, w, &(PackAs){.form = PACK_CONV, .k_first = true}, dims);
		run = packed != NULL; /* a weight that the call computes is read tap by tap */
	}
	TileBlock *body = s->body;
	Dim group = dim_c(b, 0);
	if (v->groups > 1) {
		TileStmt *g = loop(k, body, TILE_FOR, "g", dim_c(b, 0), dim_c(b, v->groups), 1, false);
		group = loop_at(b, g);
		body = &g->body;
	}
	TileStmt *ns = loop(k, body, v->groups > 1 ? TILE_FOR : TILE_PAR, "k", dim_c(b, 0),
	                    dim_c(b, kg), nr, true);
	ns->stages = b->t->stages;
	Dim k0 = dim_add(p, dim_mulc(p, group, kg), loop_at(b, ns));
	/* whole images of a block at once where the target can, so that weights come once for all rows */
	int64_t ow = s->xn_most;
	bool pairs = b->t->row_pairs && v->spatial >= 2 && ow <= mr && ow * s->yn_most <= mr;
	XTile t =
		pairs ? (XTile){&ns->body, dim_c(b, 0), dim_c(b, 0), s->xn} : x_tile(v, s, &ns->body, mr);
	TileObj *acc =
		pairs ? place(k, t.body, "acc", v->n->type.dtype, LEVEL_ACC, 3,
	                  (int64_t[]){s->yn_most, ow, nr})
			  : place(k, t.body, "acc", v->n->type.dtype, LEVEL_ACC, 2, (int64_t[]){mr, nr});
	TileStmt *c = tile_stmt(b->p, t.body, TILE_CONTRACT);
	Dim row = pairs ? space(k, c, "y", s->yn) : t.y;
	Dim i = space(k, c, "i", t.h), j = space(k, c, "j", loop_len(b, ns));
	c->out[0] = pairs ? access_of(acc, 3, (Dim[]){row, i, j}) : access2(acc, i, j);
	c->n_out = 1;
	c->n_in = 2;
	Dim xi = dim_mulc(p, dim_add(p, t.x, i), v->stride[x]);
	Dim y = v->spatial >= 2 ? dim_mulc(p, row, v->stride[x - 1]) : dim_c(b, 0), z = dim_c(b, 0),
		ky = dim_c(b, 0);
	if (v->spatial == 3) z = tap(k, c, "kz", v->size[0]);
	if (v->spatial >= 2) ky = tap(k, c, "ky", v->size[x - 1]);
	y = v->spatial >= 2 ? dim_add(p, y, dim_mulc(p, ky, v->dilation[x - 1])) : y;
	Dim column = dim_add(p, k0, j);
	if (run) {
		Dim kc = space(k, c, "kc", dim_c(b, v->size[x] * v->c));
		c->in[0] = access_of(s->place, 3, (Dim[]){z, y, dim_add(p, dim_mulc(p, xi, v->c), kc)});
		c->in[1] = access_of(packed, 3, (Dim[]){dim_add(p, dim_mulc(p, z, ytaps), ky), kc, column});
	} else {
		Dim kx = tap(k, c, "kx", v->size[x]), ci = space(k, c, "c", dim_c(b, per)), index[MAX_RANK];
		uint32_t at = 0;
		xi = dim_add(p, xi, dim_mulc(p, kx, v->dilation[x]));
		Dim channel = dim_add(p, dim_mulc(p, group, per), ci);
		c->in[0] =
			access_of(s->place, 3, (Dim[]){z, y, dim_add(p, dim_mulc(p, xi, v->c), channel)});
		if (v->spatial == 3) index[at++] = z;
		if (v->spatial >= 2) index[at++] = ky;
		index[at++] = kx;
		index[at++] = ci;
		index[at] = column;
		if (!access_value(k, w, index, &c->in[1])) return false;
	}
	TileStmt *put = tile_stmt(b->p, t.body, TILE_PUT);
	Dim index[MAX_RANK];
	row = pairs ? space(k, put, "y", s->yn) : t.y;
	i = space(k, put, "i", t.h);
	/* the one channel may have no dim of its own where the result lies */
	j = v->kk == 1 ? dim_c(b, 0) : space(k, put, "j", loop_len(b, ns));
	out_index(v, s, dim_add(p, s->y, row), dim_add(p, t.x, i), dim_add(p, k0, j), index);
	return store(v, put, index, pairs ? access_of(acc, 3, (Dim[]){row, i, j}) : access2(acc, i, j));
}

/* One filter a channel: no n index, the channel is a batch index. */
static bool build_depthwise(Conv *v, Strip *s)
{
	Kernel *k = v->k;
	Build *b = k->b;
	DimPool *p = b->m->dims;
	uint32_t x = v->spatial - 1;
	int64_t mr = b->t->row_pairs ? b->t->mr : 8, cb = b->t->nr < v->c ? b->t->nr : v->c;
	TileStmt *cs = loop(k, s->body, TILE_PAR, "c", dim_c(b, 0), dim_c(b, v->c), cb, true);
	DType type = v->n->type.dtype;
	/* all rows of a block at once where the target can, and the image is of one size */
	bool block = b->t->row_pairs && v->spatial >= 2 && s->yn_most * s->xn_most <= mr &&
	             dim_is_const(v->out[x], NULL) && dim_is_const(v->out[x - 1], NULL);
	XTile t =
		block ? (XTile){&cs->body, dim_c(b, 0), dim_c(b, 0), s->xn} : x_tile(v, s, &cs->body, mr);
	TileObj *acc = block ? place(k, t.body, "acc", type, LEVEL_NEAR, 3,
	                             (int64_t[]){s->yn_most, s->xn_most, cb})
	                     : place(k, t.body, "acc", type, LEVEL_NEAR, 2, (int64_t[]){mr, cb});
	TileStmt *c = tile_stmt(b->p, t.body, TILE_CONTRACT);
	Dim row = block ? space(k, c, "y", s->yn) : t.y;
	Dim i = space(k, c, "i", t.h), j = space(k, c, "j", loop_len(b, cs)), z = dim_c(b, 0), ky = z,
		y = z, index[MAX_RANK];
	if (v->spatial == 3) z = tap(k, c, "kz", v->size[0]);
	if (v->spatial >= 2) ky = tap(k, c, "ky", v->size[x - 1]);
	Dim kx = tap(k, c, "kx", v->size[x]);
	if (v->spatial >= 2)
		y = dim_add(p, dim_mulc(p, row, v->stride[x - 1]), dim_mulc(p, ky, v->dilation[x - 1]));
	Dim xi =
		dim_add(p, dim_mulc(p, dim_add(p, t.x, i), v->stride[x]), dim_mulc(p, kx, v->dilation[x]));
	Dim channel = dim_add(p, loop_at(b, cs), j);
	c->out[0] = block ? access_of(acc, 3, (Dim[]){row, i, j}) : access2(acc, i, j);
	c->n_out = 1;
	c->n_in = 2;
	c->in[0] = access_of(s->place, 3, (Dim[]){z, y, dim_add(p, dim_mulc(p, xi, v->c), channel)});
	uint32_t at = 0;
	if (v->spatial == 3) index[at++] = z;
	if (v->spatial >= 2) index[at++] = ky;
	index[at++] = kx;
	index[at++] = dim_c(b, 0);
	index[at] = channel;
	if (!access_value(k, v->n->in[1], index, &c->in[1])) return false;
	TileStmt *put = tile_stmt(b->p, t.body, TILE_PUT);
	row = block ? space(k, put, "y", s->yn) : t.y;
	i = space(k, put, "i", t.h);
	j = space(k, put, "j", loop_len(b, cs));
	out_index(v, s, dim_add(p, s->y, row), dim_add(p, t.x, i), dim_add(p, loop_at(b, cs), j),
	          index);
	return store(v, put, index, block ? access_of(acc, 3, (Dim[]){row, i, j}) : access2(acc, i, j));
}

bool build_conv(Kernel *k)
{
	Conv v;
	Strip s;
	if (!conv_shape(k, kernel_anchor(k, OP_CONV), &v) || !strip_open(&v, &s) ||
	    !strip_bring(&v, &s, 0))
		return false;
	bool depthwise = v.groups == v.c && v.kk == v.c && v.groups > 1;
	return depthwise ? build_depthwise(&v, &s) : build_dense(&v, &s);
}

/* 1 where tap `at` of the window of output o lies inside dim i, else 0. */
static uint16_t inside(const Conv *v, RegionMaker *m, uint32_t i, Dim o, Dim at)
{
	DimPool *p = v->k->b->m->dims;
	Dim position = dim_add(p, dim_addc(p, dim_mulc(p, o, v->stride[i]), -v->lo[i]), at);
	uint16_t here = region_dim(m, position);
	uint16_t low = region_call(m, SC_GE, here, region_const(m, DT_I32, 0), 0);
	uint16_t high = region_call(m, SC_LT, here, region_dim(m, v->in[i]), 0);
	uint16_t both = region_call(m, SC_AND, low, high, 0);
	return region_call(m, SC_SELECT, both, region_const(m, DT_F32, 1), region_const(m, DT_F32, 0));
}

/* The number of elements inside the window of each output of the tile. */
static TileObj *count_inside(Conv *v, const Strip *s, const XTile *t, int64_t mr)
{
	Kernel *k = v->k;
	DimPool *p = k->b->m->dims;
	uint32_t x = v->spatial - 1;
	TileObj *count = place(k, t->body, "count", DT_F32, LEVEL_NEAR, 1, &mr);
	TileStmt *r = tile_stmt(k->b->p, t->body, TILE_REDUCE);
	r->reduce = RED_SUM;
	Dim i = space(k, r, "i", t->h), z = dim_c(k->b, 0), y = z;
	if (v->spatial == 3) z = tap(k, r, "kz", v->size[0]);
	if (v->spatial >= 2) y = tap(k, r, "ky", v->size[x - 1]);
	Dim kx = tap(k, r, "kx", v->size[x]);
	r->out[0] = access1(count, i);
	r->n_out = 1;
	RegionMaker m = region_begin(k, r);
	uint16_t one = inside(v, &m, x, dim_add(p, s->x, dim_add(p, t->x, i)), kx);
	if (v->spatial >= 2)
		one = region_call(&m, SC_MUL, one, inside(v, &m, x - 1, dim_add(p, s->y, t->y), y), 0);
	if (v->spatial == 3) one = region_call(&m, SC_MUL, one, inside(v, &m, 0, s->outer, z), 0);
	region_end(&m, 1, &one);
	return count;
}

bool build_pool(Kernel *k)
{
	Conv v;
	Strip s;
	Build *b = k->b;
	DimPool *p = b->m->dims;
	Node *n = kernel_anchor(k, OP_POOL);
	bool mean = strcmp(node_attr(n, "reduce")->s, "mean") == 0;
	if (!conv_shape(k, n, &v) || !strip_open(&v, &s) ||
	    !strip_bring(&v, &s, mean ? 0 : -(double)INFINITY))
		return false;
	uint32_t x = v.spatial - 1;
	int64_t mr = 8, cb = v.c < 256 ? v.c : 256, full = 1;
	for (uint32_t i = 0; i < v.spatial; i++) full *= v.size[i];
	TileStmt *cs = loop(k, s.body, TILE_FOR, "c", dim_c(b, 0), dim_c(b, v.c), cb, true);
	XTile t = x_tile(&v, &s, &cs->body, mr);
	TileObj *acc =
		place(k, t.body, "pool", dtype_widened(n->type.dtype), LEVEL_NEAR, 2, (int64_t[]){mr, cb});
	TileStmt *r = tile_stmt(b->p, t.body, TILE_REDUCE);
	r->reduce = mean ? RED_SUM : RED_MAX;
	Dim i = space(k, r, "i", t.h), j = space(k, r, "j", loop_len(b, cs)), z = dim_c(b, 0), ky = z,
		y = z;
	if (v.spatial == 3) z = tap(k, r, "kz", v.size[0]);
	if (v.spatial >= 2) ky = tap(k, r, "ky", v.size[x - 1]);
	Dim kx = tap(k, r, "kx", v.size[x]);
	if (v.spatial >= 2) y = dim_add(p, dim_mulc(p, t.y, v.stride[x - 1]), ky);
	Dim xi = dim_add(p, dim_mulc(p, dim_add(p, t.x, i), v.stride[x]), kx);
	r->out[0] = access2(acc, i, j);
	r->n_out = 1;
	RegionMaker m = region_begin(k, r);
	TileAccess a = access_of(
		s.place, 3, (Dim[]){z, y, dim_add(p, dim_mulc(p, xi, v.c), dim_add(p, loop_at(b, cs), j))});
	uint16_t got = region_access(&m, &a);
	region_end(&m, 1, &got);
	bool partial = mean && is_padded(&v) && !node_attr(n, "count_pad")->i;
	TileObj *count = partial ? count_inside(&v, &s, &t, mr) : NULL;
	TileStmt *put = tile_stmt(b->p, t.body, TILE_PUT);
	Dim index[MAX_RANK];
	i = space(k, put, "i", t.h);
	j = space(k, put, "j", loop_len(b, cs));
	Dim oy = dim_add(p, s.y, t.y), ox = dim_add(p, t.x, i);
	out_index(&v, &s, oy, ox, dim_add(p, loop_at(b, cs), j), index);
	if (!mean) return store(&v, put, index, access2(acc, i, j));
	m = region_begin(k, put);
	a = access2(acc, i, j);
	got = region_access(&m, &a);
	if (partial) {
		a = access1(count, i);
		got = region_call(&m, SC_DIV, got, region_access(&m, &a), 0);
	} else {
		got = region_call(&m, SC_MUL, got, region_const(&m, DT_F32, 1.0 / (double)full), 0);
	}
	region_end(&m, 1, &got);
	put->n_out = 1;
	return result_access(k, 0, n, index, &put->out[0]);
}
