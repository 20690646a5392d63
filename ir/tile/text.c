/* The text form, writing half: programs, entries, kernels and statements. doc/tile.md has the
 * grammar. Where two visible things share a name, the later one is printed under another. */
#include "ir/tile/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static const char *const kind_word[] = {
	[TB_WEIGHT] = "weight", [TB_STATE] = "state", [TB_IN] = "in",
	[TB_OUT] = "out",       [TB_ARENA] = "arena", [TB_PLACE] = "place"};
static const char *const level_word[] = {
	[LEVEL_AUTO] = "", [LEVEL_ACC] = " acc", [LEVEL_NEAR] = " near", [LEVEL_SHARED] = " shared"};
static const char *const reduce_word[] = {[RED_SUM] = "sum",
                                          [RED_MAX] = "max",
                                          [RED_MIN] = "min",
                                          [RED_AMAX] = "amax",
                                          [RED_ARGMAX] = "argmax"};
static const char *const rel_word[] = {
	[REL_LT] = "<", [REL_LE] = "<=", [REL_EQ] = "==", [REL_NE] = "!="};
static const char *const tile_word[] = {
#define TILE(id, word, summary) word,
#include "ir/tile/tile.def"
};

/* Words that may follow an access at the same level, where a name would be taken for them. */
static bool is_reserved(const char *s)
{
	static const char *const more[] = {"over", "else", "along", "and", "by", "in"};
	for (size_t i = 0; i < COUNT(more); i++)
		if (strcmp(s, more[i]) == 0) return true;
	for (size_t i = 0; i < COUNT(tile_word); i++)
		if (strcmp(s, tile_word[i]) == 0) return true;
	return false;
}

/* A name as a word where it is one (dots may stand inside), else as a string. */
static void put_name(Text *t, const char *s)
{
	bool word = (isalpha((unsigned char)*s) || *s == '_') && !is_reserved(s);
	for (const char *c = s; *c && word; c++)
		word = isalnum((unsigned char)*c) || *c == '_' ||
		       (*c == '.' && (isalnum((unsigned char)c[1]) || c[1] == '_'));
	if (word)
		text_puts(t, s);
	else
		text_quoted(t, s);
}

static void indent(Printer *p)
{
	for (int i = 0; i < p->depth; i++) text_puts(p->t, "  ");
}

static void put_dim(Printer *p, Dim d)
{
	print_dim(p, p->t, d);
}

static void put_dims(Printer *p, uint32_t n, const Dim *d)
{
	text_puts(p->t, "[");
	for (uint32_t i = 0; i < n; i++) {
		if (i) text_puts(p->t, ", ");
		put_dim(p, d[i]);
	}
	text_puts(p->t, "]");
}

/* --- objects and accesses --- */

static void put_object(Printer *p, const TileObj *o)
{
	Text *t = p->t;
	text_printf(t, "%s ", kind_word[o->kind]);
	put_name(t, print_define(p, &p->objs, o, o->name, false));
	text_printf(t, " %s", dtype_name(o->dtype));
	put_dims(p, o->rank, o->dims);
	if (o->kind == TB_PLACE)
		text_puts(t, level_word[o->level]);
	else if (o->enc.kind == ENC_PACK)
		text_printf(t, " pack(%u, %u)", o->enc.nb, o->enc.kg);
	else if (o->enc.kind == ENC_I4)
		text_printf(t, " i4(%u, %u)", o->enc.group, o->enc.nb);
	else if (o->enc.pad)
		text_printf(t, " pad %u", o->enc.pad);
	if (o->initial != 0) {
		text_puts(t, " = ");
		text_double(t, o->initial);
	}
	if (o->key) {
		text_puts(t, " key ");
		text_quoted(t, o->key);
	}
}

static void put_object_name(Printer *p, const TileObj *o)
{
	const char *name = print_find(&p->objs, o);
	put_name(p->t, name ? name : o->name);
}

static void put_access(Printer *p, const TileAccess *a)
{
	Text *t = p->t;
	put_object_name(p, a->obj);
	text_puts(t, "[");
	for (uint32_t i = 0; i < a->obj->rank; i++) {
		if (i) text_puts(t, ", ");
		if (a->rows && a->rows_dim == i) {
			text_puts(t, "rows(");
			put_access(p, a->rows);
			if (a->check) {
				text_puts(t, ", ");
				text_quoted(t, a->check);
			}
			text_puts(t, ")");
		} else {
			put_dim(p, a->index[i]);
		}
	}
	text_puts(t, "]");
	if (a->has_else) {
		text_puts(t, " else ");
		text_double(t, a->else_value);
	}
}

static void put_accesses(Printer *p, uint32_t n, const TileAccess *a)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i) text_puts(p->t, ", ");
		put_access(p, &a[i]);
	}
}

/* --- statements --- */

static const char *assignment(const TileStmt *s)
{
	static const char *const combine[] = {[RED_SUM] = " += ",
	                                      [RED_MAX] = " max= ",
	                                      [RED_MIN] = " min= ",
	                                      [RED_AMAX] = " amax= ",
	                                      [RED_ARGMAX] = " argmax= "};
	if (!s->accumulate) return " = ";
	return s->op == TILE_REDUCE ? combine[s->reduce] : " += ";
}

static bool is_identity(const TileStmt *s)
{
	const Region *g = &s->region;
	if (s->n_in != 1 || s->n_out != 1) return false;
	return !g->n || (g->n_out == 1 && g->node[g->out[0]].kind == RN_ARG);
}

static void put_axis(Printer *p, const TileStmt *s)
{
	const char *axis = s->axis < s->n_space ? print_find(&p->syms, s->space[s->axis].sym) : NULL;
	text_printf(p->t, " along %s", axis ? axis : "?");
}

static void put_operation(Printer *p, const TileStmt *s)
{
	Text *t = p->t;
	size_t outer = p->syms.list.n;
	for (uint32_t i = 0; i < s->n_space; i++)
		print_define(p, &p->syms, s->space[i].sym, s->space[i].sym->name, true);
	text_printf(t, "%s ", tile_word[s->op]);
	if (s->op == TILE_REDUCE || s->op == TILE_SCAN) text_printf(t, "%s ", reduce_word[s->reduce]);
	put_accesses(p, s->n_out, s->out);
	text_puts(t, assignment(s));
	switch (s->op) {
	case TILE_CONTRACT:
		put_access(p, &s->in[0]);
		text_puts(t, " * ");
		put_access(p, &s->in[1]);
		break;
	case TILE_MAP:
	case TILE_PUT:
	case TILE_REDUCE:
	case TILE_SCAN:
		if (is_identity(s)) {
			put_access(p, &s->in[0]);
			break;
		}
		text_puts(t, "(");
		put_accesses(p, s->n_in, s->in);
		text_puts(t, ")");
		print_region(p, s);
		break;
	default: put_accesses(p, s->n_in, s->in); break;
	}
	if (s->op == TILE_SCAN || s->op == TILE_TOPK || s->op == TILE_SORT) put_axis(p, s);
	if (s->op == TILE_SORT && s->descending) text_puts(t, " descending");
	if (s->op == TILE_SOFTMAX_STEP) {
		text_puts(t, " scale ");
		text_double(t, s->scale);
	}
	for (uint32_t i = 0; i < s->n_space; i++) {
		text_printf(t, "%s%s < ", i ? ", " : " over ", print_find(&p->syms, s->space[i].sym));
		put_dim(p, s->space[i].extent);
	}
	text_puts(t, "\n");
	p->syms.list.n = outer;
}

static void put_block(Printer *p, const TileBlock *b);

static void put_loop(Printer *p, const TileStmt *s)
{
	Text *t = p->t;
	size_t outer = p->syms.list.n;
	int64_t zero = 1;
	/* the bounds are outside the scope of the variables */
	Text bounds = text_new(p->arena);
	if (s->op != TILE_SPLIT || !dim_is_const(s->lo, &zero) || zero != 0) {
		print_dim(p, &bounds, s->lo);
		text_puts(&bounds, "..");
	}
	print_dim(p, &bounds, s->hi);
	const char *var = print_define(p, &p->syms, s->var, s->var->name, true);
	if (s->len)
		text_printf(t, "%s (%s, %s) in ", tile_word[s->op], var,
		            print_define(p, &p->syms, s->len, s->len->name, true));
	else
		text_printf(t, "%s %s in ", tile_word[s->op], var);
	text_puts(t, bounds.at);
	if (s->len || s->by != 1) text_printf(t, " by %" PRId64, s->by);
	if (s->stages > 1) text_printf(t, " stages %u", s->stages);
	if (s->ways > 1) text_printf(t, " ways %u", s->ways);
	put_block(p, &s->body);
	text_puts(t, "\n");
	p->syms.list.n = outer;
}

static void put_if(Printer *p, const TileStmt *s)
{
	text_puts(p->t, "if ");
	for (uint32_t i = 0; i < s->n_cond; i++) {
		if (i) text_puts(p->t, " and ");
		put_dim(p, s->cond[i].a);
		text_printf(p->t, " %s ", rel_word[s->cond[i].rel]);
		put_dim(p, s->cond[i].b);
	}
	put_block(p, &s->body);
	if (s->orelse.first) {
		text_puts(p->t, " else");
		put_block(p, &s->orelse);
	}
	text_puts(p->t, "\n");
}

static void put_index(Printer *p, const TileStmt *s)
{
	Text *t = p->t;
	Text range = text_new(p->arena);
	print_dim(p, &range, s->lo);
	text_puts(&range, "..");
	print_dim(p, &range, s->hi);
	size_t at = p->syms.list.n;
	const char *name = print_define(p, &p->syms, s->var, s->var->name, true);
	p->syms.list.n = at;
	text_printf(t, "index %s = ", name);
	put_access(p, &s->in[0]);
	text_printf(t, " in %s", range.at);
	if (s->in[0].check) {
		text_puts(t, " ");
		text_quoted(t, s->in[0].check);
	}
	text_puts(t, "\n");
	p->syms.list.n = at + 1;
}

static void put_stmt(Printer *p, const TileStmt *s)
{
	indent(p);
	switch (s->op) {
	case TILE_PAR:
	case TILE_FOR:
	case TILE_SPLIT: put_loop(p, s); break;
	case TILE_IF: put_if(p, s); break;
	case TILE_PLACE:
		put_object(p, s->place);
		text_puts(p->t, "\n");
		break;
	case TILE_INDEX: put_index(p, s); break;
	default: put_operation(p, s); break;
	}
}

/* ` {`, the statements, and `}` without the end of the line */
static void put_block(Printer *p, const TileBlock *b)
{
	size_t syms = p->syms.list.n, objs = p->objs.list.n;
	text_puts(p->t, " {\n");
	p->depth++;
	for (const TileStmt *s = b->first; s; s = s->next) put_stmt(p, s);
	p->depth--;
	indent(p);
	text_puts(p->t, "}");
	p->syms.list.n = syms;
	p->objs.list.n = objs;
}

/* --- kernels and entries --- */

static void put_kernel(Printer *p, const TileKernel *k)
{
	Text *t = p->t;
	PrintNames program = p->objs;
	p->objs = (PrintNames){0};
	text_puts(t, "\nkernel ");
	put_name(t, print_define(p, &p->kernels, k, k->name, false));
	text_puts(t, "(");
	for (size_t i = 0; i < k->bufs.n; i++) {
		text_puts(t, i ? ",\n  " : "\n  ");
		put_object(p, k->bufs.at[i]);
	}
	text_puts(t, ")");
	if (k->note) {
		text_puts(t, " note ");
		text_quoted(t, k->note);
	}
	if (k->hand) {
		text_puts(t, " hand ");
		text_quoted(t, k->hand->file);
		text_puts(t, " (");
		for (uint32_t i = 0; i < k->hand->n_size; i++) {
			text_puts(t, i ? ", " : "");
			put_name(t, k->hand->size[i]);
			text_puts(t, " = ");
			print_dim(p, t, k->hand->value[i]);
		}
		text_puts(t, ")");
	}
	put_block(p, &k->body);
	text_puts(t, "\n");
	p->objs = program;
}

static void put_steps(Printer *p, const TileStep *s)
{
	Text *t = p->t;
	for (; s; s = s->next) {
		indent(p);
		if (s->kind == STEP_LAUNCH) {
			const char *name = print_find(&p->kernels, s->kernel);
			text_puts(t, "launch ");
			put_name(t, name ? name : s->kernel->name);
			text_puts(t, "(");
			for (size_t i = 0; i < s->kernel->bufs.n; i++) {
				if (i) text_puts(t, ", ");
				put_object_name(p, s->args[i].buf);
				if (s->args[i].n_lead) put_dims(p, s->args[i].n_lead, s->args[i].lead);
			}
			text_puts(t, ")\n");
			continue;
		}
		size_t outer = p->syms.list.n;
		Text count = text_new(p->arena);
		print_dim(p, &count, s->count);
		text_printf(t, "loop %s < %s {\n", print_define(p, &p->syms, s->var, s->var->name, true),
		            count.at);
		p->depth++;
		put_steps(p, s->body);
		p->depth--;
		indent(p);
		text_puts(t, "}\n");
		p->syms.list.n = outer;
	}
}

static void put_buffers(Printer *p, TileObj *const *b, size_t n)
{
	text_puts(p->t, "(");
	for (size_t i = 0; i < n; i++) {
		if (i) text_puts(p->t, ", ");
		put_object_name(p, b[i]);
	}
	text_puts(p->t, ")");
}

static void put_require(Printer *p, Dim d, const char *text)
{
	indent(p);
	text_puts(p->t, "require ");
	put_dim(p, d);
	text_puts(p->t, " >= 0 ");
	text_quoted(p->t, text ? text : "");
	text_puts(p->t, "\n");
}

static void put_entry(Printer *p, const TileEntry *e, const char *word)
{
	Text *t = p->t;
	text_printf(t, "\n%s ", word);
	put_name(t, e->name);
	put_buffers(p, e->ins.at, e->ins.n);
	text_puts(t, " -> ");
	put_buffers(p, e->outs.at, e->outs.n);
	text_puts(t, " {\n");
	p->depth++;
	for (size_t i = 0; i < e->require.n; i++)
		put_require(p, e->require.at[i], e->require_text.at[i]);
	put_steps(p, e->steps);
	for (size_t i = 0; i < e->set_sym.n; i++) {
		indent(p);
		const char *name = print_find(&p->syms, e->set_sym.at[i]);
		text_printf(t, "set %s = ", name ? name : e->set_sym.at[i]->name);
		put_dim(p, e->set_value.at[i]);
		text_puts(t, "\n");
	}
	p->depth--;
	text_puts(t, "}\n");
}

static void put_literal(Text *t, const TileObj *b)
{
	int64_t n = 1, extent;
	for (uint32_t i = 0; i < b->rank; i++) n *= dim_is_const(b->dims[i], &extent) ? extent : 0;
	text_puts(t, " = {");
	for (int64_t i = 0; i < n; i++) {
		text_puts(t, i == 0 ? " " : i % 12 ? ", " : ",\n  ");
		text_double(t, dtype_load(b->dtype, b->literal, i));
	}
	text_puts(t, " }");
}

static void put_params(Printer *p, const TileProgram *program)
{
	static const char *const word[] = {
		[SYM_SESSION] = "session dim", [SYM_CALL] = "dim", [SYM_STATE] = "state"};
	for (size_t i = 0; i < program->params.n; i++) {
		const DimSym *s = program->params.at[i];
		Text range = text_new(p->arena);
		print_dim(p, &range, s->lo);
		text_puts(&range, "..");
		print_dim(p, &range, s->hi);
		if (s->initial) {
			text_puts(&range, " = ");
			print_dim(p, &range, s->initial);
		}
		text_printf(p->t, "%s %s in %s\n", s->kind <= SYM_STATE ? word[s->kind] : "dim",
		            print_define(p, &p->syms, s, s->name, true), range.at);
	}
	for (size_t i = 0; i < program->require.n; i++)
		put_require(p, program->require.at[i], program->require_text.at[i]);
}

void tile_print(Text *t, const TileProgram *program)
{
	Printer p = {.t = t, .arena = t->arena, .words = interner_new(t->arena)};
	text_puts(t, "program ");
	put_name(t, program->name);
	text_puts(t, "\n");
	put_params(&p, program);
	for (size_t i = 0; i < program->bufs.n; i++) {
		const TileObj *b = program->bufs.at[i];
		put_object(&p, b);
		if (b->literal) put_literal(t, b);
		text_puts(t, "\n");
	}
	for (size_t i = 0; i < program->kernels.n; i++) put_kernel(&p, program->kernels.at[i]);
	if (program->prepack) put_entry(&p, program->prepack, "prepack");
	for (size_t i = 0; i < program->entries.n; i++) put_entry(&p, program->entries.at[i], "entry");
}

void tile_print_kernel(Text *t, const TileKernel *k)
{
	Printer p = {.t = t, .arena = t->arena, .words = interner_new(t->arena)};
	put_kernel(&p, k);
}
