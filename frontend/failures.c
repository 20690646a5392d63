/* How a check that fails while the model runs is told: in the names of the source, with the numbers of
 * the call as slots (support/message.c), since they are known only then. */
#include "frontend/build.h"

#include <ctype.h>
#include <string.h>

/* The input of the entry that n is, moved or converted at most; NULL: something else. */
static const char *input_of(const Build *b, const Node *n)
{
	while (n->op == OP_RESHAPE || n->op == OP_CAST || n->op == OP_TRANSPOSE ||
	       n->op == OP_BROADCAST)
		n = n->in[0];
	if (n->op != OP_PARAM || !b->entry) return NULL;
	size_t number = (size_t)node_attr_const(n, "number")->i;
	return number < b->entry->in_names.n ? b->entry->in_names.at[number] : NULL;
}

/* `+ 3`, or nothing for 0; what is not known when compiling is not shown. */
static const char *shift(Build *b, Dim d, int64_t more)
{
	int64_t v = 0;
	dim_is_const(d, &v);
	return v + more ? arena_printf(b->arena, "%+lld", (long long)(v + more)) : "";
}

const char *failed_index(Build *b, const Node *index, Span of, Span table, int64_t axis)
{
	const char *input = index ? input_of(b, index) : NULL, *name = text_of(b, of), *where = "";
	if (input)
		where = arena_printf(b->arena, " in {@%s}", input);
	else if (*name)
		where = arena_printf(b->arena, ", of `%s`,", name);
	name = text_of(b, table);
	if (!*name) return arena_printf(b->arena, "{an index}%s is outside of 0..{limit-1}", where);
	return axis ? arena_printf(b->arena,
	                           "{an index}%s is outside of axis %lld of `%s`, which has {limit}",
	                           where, (long long)axis, name)
	            : arena_printf(b->arena, "{an index}%s is outside of the {limit} rows of `%s`",
	                           where, name);
}

const char *failed_choice(Build *b, const Node *index, Dim matrices, Span table)
{
	const char *input = input_of(b, index), *where = "";
	int64_t n;
	bool known = dim_is_const(matrices, &n);
	if (input)
		where = known ? arena_printf(b->arena, " in {@%s<%lld}", input, (long long)n)
		              : arena_printf(b->arena, " in {@%s}", input);
	return arena_printf(b->arena, "{an index}%s is none of the %s matrices of `%s`", where,
	                    dim_text(b->arena, matrices), text_of(b, table));
}

const char *failed_range(Build *b, const Node *rows, const char *name, Dim lo)
{
	const char *input = rows ? input_of(b, rows) : NULL;
	const char *what =
		input && !strcmp(input, name) ? arena_printf(b->arena, "{@%s%s}", input, shift(b, lo, 0))
		: input ? arena_printf(b->arena, "`%s`, from {@%s%s},", name, input, shift(b, lo, 0))
				: arena_printf(b->arena, "`%s` of a row", name);
	if (!dim_is_const(lo, NULL))
		return arena_printf(b->arena, "`%s` of a row lies outside of its range", name);
	return arena_printf(b->arena, "%s is {index%s}, outside of %s..{limit%s}", what,
	                    shift(b, lo, 0), dim_text(b->arena, lo), shift(b, lo, -1));
}

const char *failed_rows(Build *b, Span relation, bool strict)
{
	return arena_printf(b->arena, "`%s` fails for a row: {index} %s", text_of(b, relation),
	                    strict ? ">= {limit}" : "> {limit-1}");
}

/* The text of d with a slot for each of its names. */
static const char *with_slots(Build *b, Dim d)
{
	Text t = text_new(b->arena);
	for (const char *s = dim_text(b->arena, d); *s;) {
		size_t n = 0;
		if (isalpha((unsigned char)*s) || *s == '_')
			while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '.') n++;
		bool slot = n && s[n] != '('; /* no min, max or ceildiv */
		if (slot) text_puts(&t, "{");
		text_append(&t, s, n ? n : 1);
		if (slot) text_puts(&t, "}");
		s += n ? n : 1;
	}
	return t.at ? t.at : "";
}

const char *failed_relation(Build *b, const char *relation, Dim lo, Dim hi, Span at)
{
	const char *place = at.source ? arena_printf(b->arena, " (%s:%u)", at.source->name,
	                                             source_place(at.source, at.begin).line)
	                              : "";
	return arena_printf(b->arena, "%s" RELATION_FAILS "%s > %s%s", relation, with_slots(b, lo),
	                    with_slots(b, hi), place);
}
