/* What depends on weights alone is computed once, before the first call, by the prepack entry:
 * weights in the order in which contractions read them, and results of kernels whose operands are
 * all constant (a folded batch norm). Equal requests of several entries share one result. Inside a
 * loop over layers the whole stack is made, by a loop in the prepack entry. */
#include "codegen/tile/build.h"

#include <string.h>

struct Packed {
	TileObj *buf, *from;
	uint32_t n_lead;
	PackAs as;
	const Node *w;
};

typedef struct Derived {
	const Node *kernel;
	const Home *in;
	Home *out;
	const Frame *frames;
} Derived;

/* --- the prepack entry --- */

static void open_prepack(Build *b)
{
	if (b->p->prepack) return;
	b->p->prepack = NEW(b->m->arena, TileEntry);
	b->p->prepack->name = intern_str(b->m->names, "prepack");
	b->prepack_tail = &b->p->prepack->steps;
}

/* Loops for the frames from the outermost in; the tail of the innermost body. */
static TileStep **open_frames(Build *b, const Frame *f)
{
	if (!f) return b->prepack_tail;
	TileStep **tail = open_frames(b, f->up);
	TileStep *s = step_loop(b, f->var, f->count, f->up ? &tail : &b->prepack_tail);
	return &s->body;
}

/* --- kernels of constants --- */

static bool is_static(const Type *t)
{
	for (uint32_t i = 0; i < t->rank; i++)
		if (!dim_is_const(t->dim[i], NULL)) return false;
	return !t->is_tuple;
}

static void note_symbol(void *found, DimSym *s)
{
	if (s->kind != SYM_LOOP) *(bool *)found = true;
}

static bool region_static(const Graph *g)
{
	bool found = false;
	for (const Node *n = g->first; n; n = n->next) {
		const AttrInfo *row = op_info[n->op].attr;
		if (!is_static(&n->type)) return false;
		for (uint32_t i = 0; row[i].name; i++) {
			if (!n->attr[i].set) continue;
			if (row[i].kind == ATTR_DIM) dim_visit_syms(n->attr[i].d, note_symbol, &found);
			for (uint32_t d = 0; row[i].kind == ATTR_DIMS && d < n->attr[i].n; d++)
				dim_visit_syms(n->attr[i].dims[d], note_symbol, &found);
		}
	}
	return !found;
}

static bool depends_on_turn(const Node *n, const Home *in)
{
	for (uint32_t i = 0; i < n->n_in; i++)
		if (in[i].n_lead || lead_of(n->region, i)) return true;
	return false;
}

static Home *find_derived(Build *b, const Node *n, const Home *in, const Frame *frames)
{
	for (size_t i = 0; i < b->derived.n; i++) {
		const Derived *d = b->derived.at[i];
		const Frame *x = d->frames, *y = frames;
		Renaming r = {b->m->dims, frames, d->frames, 0};
		while (x && y && x->count == y->count) x = x->up, y = y->up;
		bool same =
			!x && !y && d->kernel->n_in == n->n_in && region_same(&r, n->region, d->kernel->region);
		for (uint32_t k = 0; same && k < n->n_in; k++) {
			same = in[k].buf == d->in[k].buf && in[k].n_lead == d->in[k].n_lead;
			for (uint32_t l = 0; same && l < in[k].n_lead; l++)
				same = dim_same(&r, in[k].lead[l], d->in[k].lead[l]);
		}
		if (same) return d->out;
	}
	return NULL;
}

bool derive_constant(Build *b, Node *n, const Home *in, Home *out)
{
	Arena *a = b->m->arena;
	Dim outer[MAX_RANK], turn[MAX_RANK];
	uint32_t depth = 0, results = (uint32_t)n->region->results.n;
	for (uint32_t i = 0; i < n->n_in; i++)
		if (in[i].buf->kind != TB_WEIGHT) return false;
	if (n->type.is_tuple || !region_static(n->region)) return false;
	Frame *frames = depends_on_turn(n, in) ? b->frames : NULL;
	for (const Frame *f = frames; f; f = f->up) {
		if (!dim_is_const(f->count, NULL) || ++depth >= MAX_RANK) return false;
	}
	uint32_t at = depth;
	for (const Frame *f = frames; f; f = f->up) {
		outer[--at] = f->count;
		turn[at] = dim_sym(b->m->dims, f->var);
	}
	Home *made = find_derived(b, n, in, frames);
	if (!made) {
		Derived *d = NEW(a, Derived);
		Frame *copy = frames_copy(b, frames);
		made = NEW_ARRAY(a, Home, results + 1);
		*d = (Derived){n, in, made, copy};
		open_prepack(b);
		for (uint32_t r = 0; r < results; r++) {
			made[r] = home_new(b, TB_WEIGHT, arena_printf(a, "constant%u", b->serial++),
			                   &n->region->results.at[r]->type, 0, depth, outer);
			made[r].n_lead = depth;
			memcpy(made[r].lead, turn, sizeof turn[0] * depth);
		}
		TileStep **tail = open_frames(b, copy);
		kernel_launch(b, n, in, made, copy ? &tail : &b->prepack_tail);
		vec_push(a, &b->derived, d);
	}
	for (uint32_t r = 0; r < results; r++) {
		out[r] = made[r];
		memcpy(out[r].lead, turn, sizeof turn[0] * depth);
	}
	return true;
}

/* --- panels --- */

static Node *root_argument(Node *w)
{
	while (w->op == OP_RESHAPE || w->op == OP_TRANSPOSE || w->op == OP_SLICE) w = w->in[0];
	return w->op == OP_ARG ? w : NULL;
}

uint32_t pack_rank(PackForm form)
{
	return form == PACK_MATRIX || form == PACK_SCALES ? 2 : 3;
}

static bool in_panels(PackForm form)
{
	return form != PACK_SCALES && form != PACK_SCALES_STACK;
}

/* out[k, n] = w[k, n] (or w[n, k]); out[e, k, n] = w[e, n, k]; out[y, x*C + c, n] = w[(z,) y, x, c, n];
 * scales: n // block in w */
static bool pack_body(Kernel *k, Node *w, const PackAs *as, const Dim *dims, TileObj *to)
{
	Build *b = k->b;
	PackForm form = as->form;
	bool k_first = as->k_first;
	Dim block = dim_c(b, in_panels(form) ? 1 : as->block);
	DimPool *p = b->m->dims;
	uint32_t rank = w->type.rank;
	Dim index[MAX_RANK], columns = dims[pack_rank(form) - 1], matrix = dim_c(b, 0);
	TileBlock *body = &k->k->body;
	bool matrices = form == PACK_STACK || form == PACK_SCALES_STACK;
	if (matrices) body = each_of(k, body, "e", dims[0], &matrix);
	TileStmt *s = loop(k, body, TILE_PAR, "n", dim_c(b, 0), columns, b->t->nr, true);
	TileStmt *put = tile_stmt(b->p, &s->body, TILE_PUT);
	if (pack_rank(form) == 2) {
		Dim row = space(k, put, "k", dims[0]),
			column = dim_add(p, loop_at(b, s), space(k, put, "n", loop_len(b, s)));
		index[k_first ? 0 : 1] = row;
		index[k_first ? 1 : 0] = in_panels(form) ? column : dim_floordiv(p, column, block);
		put->out[0] = access2(to, row, column);
	} else if (matrices) {
		Dim row = space(k, put, "k", dims[1]),
			column = dim_add(p, loop_at(b, s), space(k, put, "n", loop_len(b, s)));
		index[0] = matrix, index[2] = row;
		index[1] = in_panels(form) ? column : dim_floordiv(p, column, block);
		put->out[0] = access_of(to, 3, (Dim[]){matrix, row, column});
	} else {
		Dim tap = dim_c(b, 0);
		for (uint32_t i = 0; i + 1 < rank; i++)
			index[i] = space(k, put, i + 2 == rank ? "c" : "y", w->type.dim[i]);
		Dim column = dim_add(p, loop_at(b, s), space(k, put, "n", loop_len(b, s)));
		index[rank - 1] = column;
		for (uint32_t i = 0; i + 3 < rank; i++)
			tap = dim_add(p, dim_mul(p, tap, w->type.dim[i]), index[i]);
		Dim row = dim_add(p, dim_mul(p, index[rank - 3], w->type.dim[rank - 2]), index[rank - 2]);
		put->out[0] = access_of(to, 3, (Dim[]){tap, row, column});
	}
	put->n_out = 1;
	TileAccess from;
	if (!access_value(k, w, index, &from)) return false;
	RegionMaker m = region_begin(k, put);
	uint16_t v = region_access(&m, &from);
	region_end(&m, 1, &v);
	return true;
}

static bool make_packed(Kernel *k, Node *w, Packed *p, const Dim *dims)
{
	Build *b = k->b;
	Arena *a = b->m->arena;
	Node *arg = root_argument(w);
	uint32_t number = (uint32_t)node_attr(arg, "number")->i, rank = pack_rank(p->as.form);
	Kernel pk = {.b = b, .node = k->node, .g = k->g, .lead = k->lead, .keep = k->keep};
	TileArg actual = k->actual[number], to = {.buf = p->buf, .n_lead = p->n_lead};
	Frame *frames = NULL;
	/* loops over the whole stack, in place of the loops around the kernel */
	for (uint32_t i = 0; i < p->n_lead; i++) {
		Frame *f = NEW(a, Frame);
		*f = (Frame){
			frames,
			dim_sym_new(b->m->dims, intern_str(b->m->names, arena_printf(a, "l%u", b->serial++)),
		                SYM_LOOP, dim_c(b, 0), dim_addc(b->m->dims, p->from->dims[i], -1), w->span),
			p->from->dims[i]};
		frames = f;
		to.lead[i] = actual.lead[i] = dim_sym(b->m->dims, f->var);
	}
	pk.k = tile_kernel(b->p, arena_printf(a, "pack_%u", b->serial++));
	pk.k->span = w->span;
	pk.k->note = intern_str(b->m->names, arena_printf(a, "pack %s", p->from->name));
	pk.formal = NEW_ARRAY(a, TileObj *, k->node->n_in + 1);
	pk.actual = NEW_ARRAY(a, TileArg, k->node->n_in + 1);
	pk.args = NEW_ARRAY(a, TileArg, 2 * k->node->n_in + 16);
	pk.origin = NEW_ARRAY(a, Origin, 2 * k->node->n_in + 16);
	pk.actual[number] = actual;
	TileObj *out = kernel_formal(&pk, TB_OUT, "panels", p->buf->dtype, rank, dims, to);
	out->enc = p->buf->enc;
	if (!pack_body(&pk, w, &p->as, dims, out)) return false;
	open_prepack(b);
	TileStep **tail = open_frames(b, frames);
	step_launch(b, pk.k, pk.args, frames ? &tail : &b->prepack_tail);
	return true;
}

static Packed *find_packed(Build *b, const Packed *want, const Dim *dims, uint32_t rank)
{
	Renaming r = {b->m->dims, NULL, NULL, want->n_lead};
	for (size_t i = 0; i < b->packed.n; i++) {
		Packed *p = b->packed.at[i];
		const PackAs *x = &p->as, *y = &want->as;
		bool same = p->from == want->from && p->n_lead == want->n_lead && x->form == y->form &&
		            x->k_first == y->k_first && x->mixed == y->mixed && x->block == y->block &&
		            p->buf->rank == p->n_lead + rank && tree_same(&r, p->w, want->w);
		for (uint32_t k = 0; same && k < rank; k++) same = p->buf->dims[p->n_lead + k] == dims[k];
		if (same) return p;
	}
	return NULL;
}

/* What a packed form of elements of t holds: no row of bits that no address names. */
static DType packed_dtype(const PackAs *as, DType t)
{
	return t == DT_I4 && !in_panels(as->form) ? DT_I8 : t;
}

static Encoding panels_of(const TileTraits *t, const PackAs *as, DType dtype)
{
	uint32_t kg = dtype == DT_I4 ? 2 : as->mixed || !t->kg[dtype] ? 1 : t->kg[dtype];
	return (Encoding){.kind = ENC_PACK, .nb = t->nr, .kg = kg};
}

/* At most; what takes less than a byte counts as a byte, as some targets hold it so. */
static int64_t most_bytes(const Build *b, const Encoding *e, DType t, uint32_t rank,
                          const Dim *dims)
{
	int64_t least, most;
	Dim bytes = encoding_bytes_dim(b->m->dims, e, t, rank, dims);
	if (dtype_bits(t) < 8) bytes = dim_mulc(b->m->dims, bytes, 8 / dtype_bits(t));
	dim_range(&b->m->facts, bytes, &least, &most);
	return most;
}

int64_t room_for_panels(const Build *b)
{
	int64_t room = b->t->memory_bytes - b->t->memory_bytes / 8;
	if (!b->t->memory_bytes) return INT64_MAX;
	for (size_t i = 0; i < b->p->bufs.n; i++) {
		const TileObj *o = b->p->bufs.at[i];
		int64_t most = most_bytes(b, &o->enc, o->dtype, o->rank, o->dims);
		if (most >= room) return 0;
		room -= most;
	}
	return room;
}

/* Takes the panels' bytes off the room for them; false, with a remark: there is none. */
static bool take_room(Build *b, const Packed *p, const Encoding *e, DType t, uint32_t rank,
                      const Dim *dims)
{
	if (b->room == INT64_MAX || p->as.form == PACK_CONV) return true;
	int64_t most = most_bytes(b, e, t, rank, dims);
	if (most <= b->room) {
		b->room -= most;
		return true;
	}
	diag_remark(b->d, p->from->span,
	            "weight `%s` is read as it lies: memory has no room for a packed copy beside it",
	            p->from->name);
	return false;
}

bool pack_argument(Kernel *k, Node *w, const PackAs *as, const Dim *dims, TileArg *out)
{
	Build *b = k->b;
	Node *arg = root_argument(w);
	uint32_t rank = pack_rank(as->form);
	if (!arg || (as->form != PACK_CONV && !b->t->packs_weights)) return false;
	const TileArg *actual = &k->actual[node_attr(arg, "number")->i];
	DType t = w->type.dtype;
	if (actual->buf->kind != TB_WEIGHT || !is_static(&w->type) ||
	    (t == DT_I4 && in_panels(as->form) && !as->mixed) || actual->n_lead + rank > TILE_RANK)
		return false;
	Packed want = {.from = actual->buf, .n_lead = actual->n_lead, .as = *as, .w = w};
	Packed *p = find_packed(b, &want, dims, rank);
	if (!p) {
		Dim all[TILE_RANK];
		for (uint32_t i = 0; i < want.n_lead; i++) all[i] = want.from->dims[i];
		for (uint32_t i = 0; i < rank; i++) all[want.n_lead + i] = dims[i];
		Encoding e = {0}; /* plain: only the order of the dims changes */
		if (b->t->packs_weights && in_panels(as->form)) e = panels_of(b->t, as, t);
		if (!take_room(b, &want, &e, packed_dtype(as, t), want.n_lead + rank, all)) return false;
		p = NEW(b->m->arena, Packed);
		*p = want;
		p->buf = tile_buf(b->p, TB_WEIGHT,
		                  arena_printf(b->m->arena, "%s.panels%u", want.from->name, b->serial++),
		                  packed_dtype(as, t), want.n_lead + rank, all);
		p->buf->enc = e;
		if (!make_packed(k, w, p, dims)) return false;
		vec_push(b->m->arena, &b->packed, p);
	}
	*out = (TileArg){.buf = p->buf, .n_lead = p->n_lead};
	memcpy(out->lead, actual->lead, sizeof out->lead);
	return true;
}

TileObj *pack_weight(Kernel *k, Node *w, const PackAs *as, const Dim *dims)
{
	TileArg to;
	uint32_t rank = pack_rank(as->form);
	if (!pack_argument(k, w, as, dims, &to)) return NULL;
	TileObj *f = kernel_formal(k, TB_WEIGHT, in_panels(as->form) ? "panels" : "table",
	                           to.buf->dtype, rank, dims, to);
	f->enc = to.buf->enc;
	Origin *o = &k->origin[k->k->bufs.n - 1];
	*o = (Origin){.kind = FROM_PACK, .w = w, .as = *as};
	memcpy(o->dims, dims, rank * sizeof *dims);
	return f;
}

void share_panels(Build *b)
{
	if (!b->t->gathers_panels) return;
	for (size_t i = 0; i < b->packed.n; i++) {
		const Packed *p = b->packed.at[i];
		const Node *w = p->w;
		bool k_first = p->as.k_first;
		for (; w->op == OP_TRANSPOSE && w->type.rank == 2; w = w->in[0])
			k_first ^= node_attr_const(w, "perm")->ints[0] == 1;
		if (p->as.form == PACK_MATRIX && !k_first && !p->n_lead && w->op == OP_ARG)
			rows_from_panels(b->p, p->from, p->buf);
	}
}
