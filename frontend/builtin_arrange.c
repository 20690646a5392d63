/* Built-in functions that put the elements of an axis in other places: flipping, rolling, repeating,
 * padding by what is there, triangles. */
#include "frontend/builtin.h"

#include <string.h>

static Node *positions(Build *b, Dim n, Span at)
{
	Node *i = node_new(b->m, OP_IOTA, 0, NULL, at);
	attr_dims(b->m, i, "dims", 1, &n);
	attr_int(i, "axis", 0);
	return emit(b, i);
}

static Node *dim_value(Call *c, Dim d)
{
	Item i = item_dim(d);
	return as_node(c->b, &i, DT_I32, c->at);
}

static Node *taken(Call *c, Node *x, Node *index, int64_t axis)
{
	if (!x || !index) return NULL;
	Node *n = node_new(c->b->m, OP_GATHER, 2, (Node *[]){x, index}, c->at);
	attr_int(n, "axis", axis);
	return emit(c->b, n);
}

Node *flip_axis(Call *c, Node *x, int64_t axis)
{
	Build *b = c->b;
	uint32_t batch;
	if (ragged_axis(b, &x->type, (uint32_t)axis, &batch))
		return ragged_places(b, x, (uint32_t)axis, true, 0, c->at);
	Node *last = dim_value(c, dim_addc(b->m->dims, x->type.dim[axis], -1));
	Node *back = emit_binary(b, OP_SUB, last, positions(b, x->type.dim[axis], c->at), c->at);
	return taken(c, x, back, axis);
}

Item builtin_flip(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t axes[MAX_RANK];
	uint32_t n;
	if (!x || !call_axes(c, 1, x->type.rank, &n, axes)) return bad();
	for (uint32_t i = 0; i < n && x; i++) x = flip_axis(c, x, axes[i]);
	return item_node(x);
}

/* Element i goes to i + shift, around the end. */
Item builtin_roll(Call *c)
{
	Build *b = c->b;
	Node *x = call_tensor(c, 0);
	int64_t axes[MAX_RANK], shift[MAX_RANK];
	uint32_t n;
	if (!x || !call_axes(c, 2, x->type.rank, &n, axes) ||
	    !need_ints(b, &c->in[1].item, c->in[1].span, call_what(c, "shifts"), n, shift))
		return bad();
	for (uint32_t i = 0; i < n && x; i++) {
		Dim size = x->type.dim[axes[i]];
		uint32_t batch;
		if (ragged_axis(b, &x->type, (uint32_t)axes[i], &batch)) {
			x = ragged_places(b, x, (uint32_t)axes[i], false, shift[i], c->at);
			continue;
		}
		Node *from = emit_binary(b, OP_SUB, positions(b, size, c->at),
		                         emit_number(b, DT_I32, (double)shift[i], c->at), c->at);
		x = taken(c, x, emit_binary(b, OP_MOD, from, dim_value(c, size), c->at), axes[i]);
	}
	return item_node(x);
}

/* A dim of 1 is put before (or behind) the dims whose count is not 1, stretched and merged. */
static Node *repeated(Call *c, Node *x, uint32_t axis, int64_t times, bool each)
{
	Build *b = c->b;
	Dim dims[MAX_RANK + 1];
	uint32_t rank = x->type.rank, n = 0;
	if (times == 1) return x;
	if (rank == MAX_RANK) {
		complain(b, c->at, "`%s` of a tensor of %d dims", c->f->name, MAX_RANK);
		return NULL;
	}
	for (uint32_t i = 0; i < rank; i++) {
		if (i == axis && !each) dims[n++] = dim_const(b->m->dims, 1);
		dims[n++] = x->type.dim[i];
		if (i == axis && each) dims[n++] = dim_const(b->m->dims, 1);
	}
	Node *wide = emit_reshape(b, x, n, dims, c->at);
	dims[each ? axis + 1 : axis] = dim_const(b->m->dims, times);
	wide = emit_broadcast(b, wide, n, dims, c->at);
	if (!wide) return NULL;
	Type t = x->type;
	t.dim[axis] = dim_mulc(b->m->dims, t.dim[axis], times);
	return emit_reshape(b, wide, rank, t.dim, c->at);
}

static bool count_is_right(Call *c, int64_t times)
{
	if (times >= 1 && times <= INT32_MAX) return true;
	complain(c->b, c->in[1].span, "`%s`: a count is at least 1, this is %lld", c->f->name,
	         (long long)times);
	return false;
}

/* repeat(x, counts): the whole tensor beside itself; more counts than dims add leading dims. */
Item builtin_repeat(Call *c)
{
	Build *b = c->b;
	Node *x = call_tensor(c, 0);
	const Item *l = &c->in[1].item;
	int64_t times[MAX_RANK];
	if (!x) return bad();
	uint32_t n = l->kind == ITEM_LIST ? (uint32_t)l->list->n : 1, rank = x->type.rank;
	bool tile = strcmp(c->f->how, "tile") == 0;
	if (n > MAX_RANK || (n < rank && !tile)) {
		Diag *m = complain(b, c->in[1].span, "repeat of %s: one count for each of its %u dims",
		                   type_text(b->arena, &x->type), rank);
		note_origin(b, m, &c->in[0].item, NULL);
		diag_help(b->d, m, "tile(x, counts) counts for the last dims");
		return bad();
	}
	if (!need_ints(b, l, c->in[1].span, call_what(c, "counts"), n, times)) return bad();
	if (n > rank) {
		Dim dims[MAX_RANK];
		for (uint32_t i = 0; i < n; i++)
			dims[i] = i < n - rank ? dim_const(b->m->dims, 1) : x->type.dim[i - (n - rank)];
		x = emit_reshape(b, x, n, dims, c->at);
	}
	for (uint32_t i = 0; i < n && x; i++) {
		if (!count_is_right(c, times[i])) return bad();
		x = repeated(c, x, x->type.rank - n + i, times[i], false);
	}
	return item_node(x);
}

Item builtin_repeat_interleave(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t times, axis;
	if (!x || !need_int(c->b, &c->in[1].item, c->in[1].span, call_what(c, "repeats"), &times) ||
	    !count_is_right(c, times) || !call_axis(c, 2, x->type.rank, &axis))
		return bad();
	return item_node(repeated(c, x, (uint32_t)axis, times, true));
}

/* Into n parts of one size, the last smaller when they do not divide: as torch.chunk. */
Item builtin_chunk(Call *c)
{
	Build *b = c->b;
	Node *x = call_tensor(c, 0);
	int64_t n, axis = 0, size;
	if (!x || !need_int(b, &c->in[1].item, c->in[1].span, call_what(c, "chunks"), &n) ||
	    (c->given[2] && !call_axis(c, 2, x->type.rank, &axis)))
		return bad();
	if (!x->type.rank || !dim_is_const(x->type.dim[axis], &size) || n < 1 || n > size ||
	    size % n == 0) {
		Call parts = *c;
		parts.in[2].item = item_int(axis);
		return builtin_split(&parts);
	}
	ItemList l = {0};
	int64_t each = (size + n - 1) / n;
	for (int64_t at = 0; at < size; at += each)
		vec_push(b->arena, &l, item_int(at + each < size ? each : size - at));
	Call parts = *c;
	parts.in[1].item = item_list(b, &l);
	parts.in[2].item = item_int(axis);
	return builtin_split(&parts);
}

/* tril, triu: elements above or below the diagonal become 0. */
Item builtin_triangle(Call *c)
{
	Build *b = c->b;
	Node *x = call_tensor(c, 0);
	int64_t diagonal = 0;
	if (!x || (c->given[1] &&
	           !need_int(b, &c->in[1].item, c->in[1].span, call_what(c, "diagonal"), &diagonal)))
		return bad();
	uint32_t r = x->type.rank;
	if (r < 2) {
		Diag *m = complain(b, c->in[0].span, "`%s` of %s: it has no two dims", c->f->name,
		                   type_text(b->arena, &x->type));
		note_origin(b, m, &c->in[0].item, NULL);
		return bad();
	}
	Dim column[2] = {x->type.dim[r - 2], dim_const(b->m->dims, 1)};
	Node *row = emit_reshape(b, positions(b, x->type.dim[r - 2], c->at), 2, column, c->at);
	Node *to = emit_binary(b, OP_ADD, row, emit_number(b, DT_I32, (double)diagonal, c->at), c->at);
	Node *keep = emit_binary(b, strcmp(c->f->how, "lower") == 0 ? OP_LE : OP_GE,
	                         positions(b, x->type.dim[r - 1], c->at), to, c->at);
	Node *zero = emit_number(b, x->type.dtype, 0, c->at);
	if (!keep || !zero) return bad();
	return item_node(emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){keep, x, zero}, c->at)));
}

/* --- padding ------------------------------------------------------------------------------------------- */

const char *pad_mode(Call *c, uint32_t i)
{
	static const char *const modes[] = {"constant", "reflect", "replicate", "circular"};
	const Item *mode = &c->in[i].item;
	if (mode->kind == ITEM_NONE) return "constant";
	if (mode->kind == ITEM_TEXT && strcmp(mode->text, "zeros") == 0) return "constant";
	for (size_t k = 0; k < COUNT(modes); k++)
		if (mode->kind == ITEM_TEXT && strcmp(mode->text, modes[k]) == 0) return modes[k];
	if (mode->kind != ITEM_BAD)
		complain(
			c->b, c->in[i].span,
			"the mode of padding is \"constant\", \"reflect\", \"replicate\" or \"circular\", not %s",
			item_kind(c->b, mode));
	return NULL;
}

Node *pad_axis(Call *c, Node *x, int64_t axis, int64_t lo, int64_t hi, const char *mode)
{
	Build *b = c->b;
	DimPool *p = b->m->dims;
	Dim size = x->type.dim[axis];
	bool reflect = strcmp(mode, "reflect") == 0, around = strcmp(mode, "circular") == 0;
	int64_t most = lo > hi ? lo : hi;
	if (!lo && !hi) return x;
	if ((reflect || around) && !assume_le(b, dim_const(p, most + reflect), size, c->at)) {
		Diag *m = complain(b, c->at, "a padding of %lld by \"%s\" is more than axis %lld of %s has",
		                   (long long)most, mode, (long long)axis, type_text(b->arena, &x->type));
		note_origin(b, m, &c->in[0].item, NULL);
		return NULL;
	}
	Node *i = emit_binary(b, OP_SUB, positions(b, dim_addc(p, size, lo + hi), c->at),
	                      emit_number(b, DT_I32, (double)lo, c->at), c->at);
	Node *last = dim_value(c, dim_addc(p, size, -1));
	if (around)
		i = emit_binary(b, OP_MOD, i, dim_value(c, size), c->at);
	else if (reflect)
		i = emit_binary(
			b, OP_SUB, last,
			emit_unary(b, OP_ABS,
		               emit_binary(b, OP_SUB, last, emit_unary(b, OP_ABS, i, c->at), c->at), c->at),
			c->at);
	else
		i = emit_binary(b, OP_MIN,
		                emit_binary(b, OP_MAX, i, emit_number(b, DT_I32, 0, c->at), c->at), last,
		                c->at);
	return taken(c, x, i, axis);
}
