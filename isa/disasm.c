/* Programs as text that the assembler reads back to the same bytes. A thing is referred to by its
 * name when that is a plain word and no other of its kind has it, else by its number: #3. */
#include "isa/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Printer {
	Text *t;
	const PearlProgram *p;
	Symbols symbols;
} Printer;

static void put_string(Text *t, const char *s)
{
	text_puts(t, "\"");
	for (; s && *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			text_printf(t, "\\%c", c);
		else if (c == '\n')
			text_puts(t, "\\n");
		else if (c < 32 || c == 127)
			text_printf(t, "\\x%02x", c);
		else
			text_append(t, s, 1);
	}
	text_puts(t, "\"");
}

/* NULL: there are fewer. */
static const char *name_at(const PearlProgram *p, SymbolKind k, uint32_t n)
{
	const Interface *i = p->interface;
	const char *name = "";
	switch (k) {
	case SYMBOL_PARAM:
		if (n >= i->n_param) return NULL;
		name = i->param[n].name;
		break;
	case SYMBOL_TENSOR:
		if (n >= i->n_tensor) return NULL;
		name = i->tensor[n].name;
		break;
	case SYMBOL_REGION:
		if (n >= p->regions.n) return NULL;
		name = p->regions.at[n].name;
		break;
	case SYMBOL_TOKEN:
		if (n >= p->tokens.n) return NULL;
		name = p->tokens.at[n].name;
		break;
	case SYMBOL_DESC:
		if (n >= p->descs.n) return NULL;
		name = p->descs.at[n].name;
		break;
	case SYMBOL_ENTRY:
		if (n >= i->n_entry) return NULL;
		name = i->entry[n].name;
		break;
	default: return NULL;
	}
	return name ? name : "";
}

static void collect_names(Printer *x)
{
	for (uint32_t k = 0; k < NUM_SYMBOLS; k++) {
		const char *name;
		for (uint32_t n = 0; (name = name_at(x->p, (SymbolKind)k, n)); n++)
			if (symbol_is_plain(name)) symbol_add(&x->symbols, (SymbolKind)k, name, n);
	}
}

static bool is_named(const Printer *x, SymbolKind k, uint32_t n)
{
	const char *name = name_at(x->p, k, n);
	uint32_t first;
	return name && symbol_is_plain(name) && symbol_find(&x->symbols, k, name, &first) && first == n;
}

static void put_reference(const Printer *x, SymbolKind k, uint32_t n)
{
	if (is_named(x, k, n))
		text_puts(x->t, name_at(x->p, k, n));
	else
		text_printf(x->t, "#%u", n);
}

/* The name in a declaration: the number before it when references will use it. */
static void put_declared(const Printer *x, SymbolKind k, uint32_t n)
{
	const char *name = name_at(x->p, k, n);
	if (is_named(x, k, n)) {
		text_puts(x->t, name);
		return;
	}
	text_printf(x->t, "#%u", n);
	if (!name[0]) return;
	text_puts(x->t, " ");
	put_string(x->t, name);
}

/* --- size expressions ---------------------------------------------------------------------------- */

static int precedence(int32_t code)
{
	switch (code) {
	case EXPR_ADD:
	case EXPR_SUB: return 1;
	case EXPR_MUL:
	case EXPR_FLOORDIV:
	case EXPR_MOD: return 2;
	default: return 3;
	}
}

static void put_node(const Printer *x, const ExprWord *e, const uint32_t *left, uint32_t n);

static void put_child(const Printer *x, const ExprWord *e, const uint32_t *left, uint32_t n,
                      int least)
{
	bool brackets = precedence(e[n].code) < least;
	if (brackets) text_puts(x->t, "(");
	put_node(x, e, left, n);
	if (brackets) text_puts(x->t, ")");
}

static void put_node(const Printer *x, const ExprWord *e, const uint32_t *left, uint32_t n)
{
	static const char *const sign[] = {[EXPR_ADD] = " + ",
	                                   [EXPR_SUB] = " - ",
	                                   [EXPR_MUL] = " * ",
	                                   [EXPR_FLOORDIV] = " // ",
	                                   [EXPR_MOD] = " % "};
	int32_t code = e[n].code;
	if (code == EXPR_CONST)
		text_printf(x->t, "%lld", (long long)e[n].value);
	else if (code == EXPR_PARAM)
		put_reference(x, SYMBOL_PARAM, (uint32_t)e[n].value);
	else if (code == EXPR_MIN || code == EXPR_MAX) {
		text_puts(x->t, code == EXPR_MIN ? "min(" : "max(");
		put_node(x, e, left, left[n]);
		text_puts(x->t, ", ");
		put_node(x, e, left, n - 1);
		text_puts(x->t, ")");
	} else {
		put_child(x, e, left, left[n], precedence(code));
		text_puts(x->t, sign[code]);
		put_child(x, e, left, n - 1, precedence(code) + 1);
	}
}

/* Expects what pearl_check has accepted: at most PEARL_EXPR_WORDS words. */
static void put_expr(const Printer *x, const ExprWord *e)
{
	uint32_t left[PEARL_EXPR_WORDS + 1] = {0}, stack[EXPR_STACK + 1], n = 0, at = 0;
	if (!e) {
		text_puts(x->t, "0");
		return;
	}
	for (; e[at].code != EXPR_END && at < PEARL_EXPR_WORDS; at++) {
		if (e[at].code != EXPR_CONST && e[at].code != EXPR_PARAM) left[at] = stack[--n - 1], n--;
		stack[n++] = at;
	}
	put_node(x, e, left, at - 1);
}

/* --- declarations ------------------------------------------------------------------------------------ */

static void put_machine(Printer *x)
{
	PearlMachine profile;
	const PearlMachine *m = &x->p->machine;
	if (!pearl_machine_named(m->name, &profile)) pearl_machine_named("base", &profile);
	text_puts(x->t, "machine ");
	if (symbol_is_plain(m->name))
		text_puts(x->t, m->name);
	else
		put_string(x->t, m->name);
	for (uint32_t k = 0; k < pearl_machine_keys; k++) {
		int64_t here, there;
		memcpy(&here, (const char *)m + pearl_machine_key[k].offset, sizeof here);
		memcpy(&there, (const char *)&profile + pearl_machine_key[k].offset, sizeof there);
		if (here != there)
			text_printf(x->t, " %s=%lld", pearl_machine_key[k].name, (long long)here);
	}
	text_puts(x->t, "\n");
}

static void put_tensor(Printer *x, uint32_t n)
{
	static const char *const kind[] = {"weight", "state", "in", "out", "arena", "const"};
	const InterfaceTensor *v = &x->p->interface->tensor[n];
	text_puts(x->t, "tensor ");
	put_declared(x, SYMBOL_TENSOR, n);
	text_printf(x->t, " %s %s [", kind[v->kind], pearl_dtype[v->dtype].name);
	for (uint32_t d = 0; d < v->rank; d++) {
		if (d) text_puts(x->t, ", ");
		put_expr(x, v->dim[d]);
	}
	text_puts(x->t, "] bytes ");
	put_expr(x, v->bytes);
	if (v->plain) text_puts(x->t, " plain");
	if (v->entry) text_printf(x->t, " entry %u", v->entry);
	if (v->live_first || v->live_last)
		text_printf(x->t, " live %u..%u", v->live_first, v->live_last);
	if (v->sliced) text_puts(x->t, " sliced");
	bool strides = false;
	for (uint32_t d = 0; d < v->rank; d++) strides |= v->stride[d] != 0;
	for (uint32_t d = 0; strides && d < v->rank; d++)
		text_printf(x->t, d ? ", %lld" : " strides [%lld", (long long)v->stride[d]);
	if (strides) text_puts(x->t, "]");
	if (v->address) text_printf(x->t, " address %llu", (unsigned long long)v->address);
	if (v->fill) text_printf(x->t, " fill %llu", (unsigned long long)v->fill);
	if (v->offset != ~UINT64_C(0)) text_printf(x->t, " offset %llu", (unsigned long long)v->offset);
	if (v->key && v->key[0]) {
		text_puts(x->t, " key ");
		put_string(x->t, v->key);
	}
	text_puts(x->t, "\n");
}

static bool begins_elsewhere(const InterfaceParam *p)
{
	const ExprWord *a = p->initial, *b = p->lo;
	if (!a) return false;
	while (a->code == b->code && a->value == b->value && a->code != EXPR_END) a++, b++;
	return a->code != b->code || a->value != b->value;
}

static void put_interface(Printer *x)
{
	static const char *const kind[] = {"session", "call", "state"};
	const Interface *i = x->p->interface;
	text_puts(x->t, "model ");
	put_string(x->t, i->model);
	text_puts(x->t, " target ");
	put_string(x->t, i->target);
	text_puts(x->t, " version ");
	put_string(x->t, i->version);
	text_puts(x->t, "\n");
	for (uint32_t n = 0; n < i->n_param; n++) {
		text_puts(x->t, "param ");
		put_declared(x, SYMBOL_PARAM, n);
		text_printf(x->t, " %s ", kind[i->param[n].kind]);
		put_expr(x, i->param[n].lo);
		text_puts(x->t, "..");
		put_expr(x, i->param[n].hi);
		if (begins_elsewhere(&i->param[n])) {
			text_puts(x->t, " begin ");
			put_expr(x, i->param[n].initial);
		}
		text_puts(x->t, "\n");
	}
	for (uint32_t n = 0; n < i->n_require; n++) {
		text_puts(x->t, "require ");
		put_expr(x, i->require[n]);
		text_puts(x->t, " ");
		put_string(x->t, i->require_text && i->require_text[n] ? i->require_text[n] : "");
		text_puts(x->t, "\n");
	}
	for (uint32_t n = 0; n < i->n_check; n++) {
		text_puts(x->t, "check ");
		put_string(x->t, i->check[n]);
		text_puts(x->t, "\n");
	}
	for (uint32_t n = 0; n < i->n_tensor; n++) put_tensor(x, n);
}

/* Type, place, dims and so on: what a comment of the code repeats. */
static void put_desc(Printer *x, const PearlDesc *d)
{
	text_printf(x->t, "%s ", pearl_dtype[d->dtype].name);
	put_reference(x, SYMBOL_REGION, d->region);
	text_printf(x->t, "[%lld] dims [", (long long)d->base);
	for (uint32_t k = 0; k < d->rank; k++) {
		text_printf(x->t, k ? ", %lld" : "%lld", (long long)d->dim[k]);
		if (d->dim_len[k]) text_printf(x->t, "*len%u", d->dim_len[k] - 1u);
	}
	text_puts(x->t, "] strides [");
	for (uint32_t k = 0; k < d->rank; k++)
		text_printf(x->t, k ? ", %lld" : "%lld", (long long)d->stride[k]);
	text_puts(x->t, "]");
	if (d->ring > 1) text_printf(x->t, " ring %u by %lld", d->ring, (long long)d->ring_stride);
	for (uint32_t k = 0; k < d->n_step; k++)
		text_printf(x->t, k ? ", %u: %lld" : " steps [%u: %lld", d->step[k].level,
		            (long long)d->step[k].bytes);
	if (d->n_step) text_puts(x->t, "]");
	for (uint32_t k = 0; k < 2; k++)
		if (d->window[k].on)
			text_printf(x->t, " window %u dim %u start %lld limit %lld", k, d->window[k].dim,
			            (long long)d->window[k].start, (long long)d->window[k].limit);
}

static void put_tables(Printer *x)
{
	static const char *const rights[] = {"none", "read", "write", "read+write"};
	for (uint32_t n = 0; n < x->p->regions.n; n++) {
		const PearlRegion *r = &x->p->regions.at[n];
		text_puts(x->t, "region ");
		put_declared(x, SYMBOL_REGION, n);
		text_printf(x->t, " %s at %lld bytes %lld %s", pearl_space_name[r->space],
		            (long long)r->address, (long long)r->bytes,
		            rights[r->readable | r->writable << 1]);
		if (r->tensor >= 0) {
			text_puts(x->t, " tensor ");
			put_reference(x, SYMBOL_TENSOR, (uint32_t)r->tensor);
		}
		text_puts(x->t, "\n");
	}
	for (uint32_t n = 0; n < x->p->tokens.n; n++) {
		const PearlToken *k = &x->p->tokens.at[n];
		text_puts(x->t, "token ");
		put_declared(x, SYMBOL_TOKEN, n);
		text_printf(x->t, " %s>%s %u of %u\n", pearl_queue_name[k->producer],
		            pearl_queue_name[k->consumer], k->initial, k->capacity);
	}
	for (uint32_t n = 0; n < x->p->descs.n; n++) {
		text_puts(x->t, "desc ");
		put_declared(x, SYMBOL_DESC, n);
		text_puts(x->t, " ");
		put_desc(x, &x->p->descs.at[n]);
		text_puts(x->t, "\n");
	}
}

/* --- instructions ---------------------------------------------------------------------------------------- */

static void put_float(Text *t, int64_t bits)
{
	uint32_t u = (uint32_t)bits;
	float v;
	memcpy(&v, &u, sizeof v);
	if (isnan(v))
		text_printf(t, "bits(0x%08x)", u);
	else if (isinf(v))
		text_puts(t, v < 0 ? "-inf" : "inf");
	else {
		char s[40];
		for (int digits = 1; digits <= 9; digits++) {
			snprintf(s, sizeof s, "%.*g", digits, (double)v);
			if (strtof(s, NULL) == v) break;
		}
		text_puts(t, s);
	}
}

/* Whether a field is shown though it is zero. */
static bool always_shown(const PearlInsn *i, uint32_t field)
{
	switch (pearl_insn[i->op].format) {
	case FMT_DMA: return field == F_DMA_limit && (i->op == I_L_GATHER || i->op == I_W_SCATTER);
	case FMT_DRAIN: return true;
	case FMT_VEC:
		if (field == F_VEC_reg) return i->field[F_VEC_use_reg] != 0;
		return field == F_VEC_func && (i->op == I_V_UN || i->op == I_V_BIN || i->op == I_V_TRI ||
		                               i->op == I_V_RED || i->op == I_V_SCAN);
	case FMT_SMX: return i->field[F_SMX_causal] && (field == F_SMX_limit || field == F_SMX_first);
	default: return false;
	}
}

static void put_fields(Printer *x, const PearlInsn *i)
{
	PearlFormat format = pearl_insn[i->op].format;
	const PearlFieldInfo *f = pearl_format[format];
	for (uint32_t k = 0; f[k].name; k++) {
		int64_t v = i->field[k];
		if (!v && !always_shown(i, k)) continue;
		text_printf(x->t, " %s", f[k].name);
		switch (f[k].kind) {
		case FK_FLAG: break;
		case FK_REG: text_printf(x->t, "=r%lld", (long long)v); break;
		case FK_ENUM: text_printf(x->t, "=%s", pearl_enum_name(format, k, v)); break;
		case FK_F32:
			text_puts(x->t, "=");
			if (i->op == I_V_IOTA)
				text_printf(x->t, "%d", (int32_t)(uint32_t)v);
			else
				put_float(x->t, v);
			break;
		default: text_printf(x->t, "=%lld", (long long)v); break;
		}
	}
}

static void put_operands(Printer *x, const PearlInsn *i)
{
	uint32_t n = 4;
	while (n && i->desc[n - 1] == PEARL_NONE) n--;
	for (uint32_t k = 0; k < n; k++) {
		text_puts(x->t, k ? ", " : " ");
		if (i->desc[k] == PEARL_NONE)
			text_puts(x->t, "-");
		else
			text_printf(x->t, "d%u%s", i->desc[k], i->advance >> k & 1 ? "+" : "");
	}
}

static void put_second(Printer *x, const int64_t *f, uint32_t use_imm, uint32_t b, uint32_t imm)
{
	if (f[use_imm])
		text_printf(x->t, "%lld", (long long)f[imm]);
	else
		text_printf(x->t, "r%lld", (long long)f[b]);
}

static void put_body(Printer *x, const PearlInsn *i)
{
	const int64_t *f = i->field;
	Text *t = x->t;
	switch (pearl_insn[i->op].format) {
	case FMT_NONE: break;
	case FMT_ALU:
		text_printf(t, " r%lld, ", (long long)f[F_ALU_dst]);
		if (i->op != I_MOVI) text_printf(t, "r%lld, ", (long long)f[F_ALU_a]);
		put_second(x, f, F_ALU_use_imm, F_ALU_b, F_ALU_imm);
		break;
	case FMT_GET:
		text_printf(t, " r%lld, ", (long long)f[F_GET_dst]);
		if (i->op == I_PARAM)
			put_reference(x, SYMBOL_PARAM, (uint32_t)f[F_GET_what]);
		else
			text_printf(t, "%lld", (long long)f[F_GET_what]);
		break;
	case FMT_LOOP:
		text_puts(t, " ");
		put_second(x, f, F_LOOP_use_imm, F_LOOP_n_reg, F_LOOP_n);
		text_printf(t, " tile %lld", (long long)f[F_LOOP_tile]);
		if (f[F_LOOP_par]) text_puts(t, " par");
		if (f[F_LOOP_stages]) text_printf(t, " stages %lld", (long long)f[F_LOOP_stages]);
		break;
	case FMT_COND:
		text_printf(t, " r%lld %s ", (long long)f[F_COND_a], pearl_rel_name[f[F_COND_rel] & 3]);
		put_second(x, f, F_COND_use_imm, F_COND_b, F_COND_imm);
		break;
	case FMT_LDD:
		text_printf(t, " d%lld, ", (long long)f[F_LDD_slot]);
		put_reference(x, SYMBOL_DESC, (uint32_t)f[F_LDD_entry]);
		break;
	case FMT_SETD:
		text_printf(t, " d%lld, %s", (long long)f[F_SETD_slot], pearl_dfield_name[f[F_SETD_field]]);
		if (f[F_SETD_field] != DF_BASE) text_printf(t, " %lld", (long long)f[F_SETD_index]);
		text_printf(t, ", r%lld", (long long)f[F_SETD_src]);
		break;
	case FMT_LDI:
		text_printf(t, " r%lld,", (long long)f[F_LDI_dst]);
		put_operands(x, i);
		text_printf(t, ", r%lld, r%lld", (long long)f[F_LDI_lo], (long long)f[F_LDI_hi]);
		if (f[F_LDI_check]) text_printf(t, " check=%lld", (long long)f[F_LDI_check]);
		break;
	case FMT_MARK: text_printf(t, " %lld", (long long)f[F_MARK_number]); break;
	default: put_operands(x, i); put_fields(x, i);
	}
}

static void put_insn(Printer *x, const PearlInsn *i)
{
	Text *t = x->t;
	text_puts(t, pearl_insn[i->op].mnemonic);
	put_body(x, i);
	for (uint32_t k = 0; k < 4; k++) {
		uint8_t token = k < 2 ? i->wait[k] : i->signal[k - 2];
		if (!token) continue;
		text_puts(t, k == 0 ? " wait " : k == 2 ? " sig " : ", ");
		put_reference(x, SYMBOL_TOKEN, token - 1u);
	}
	if (i->stage) text_printf(t, " @%u", i->stage);
	if (i->group) text_printf(t, " group %u", i->group);
}

void pearl_insn_text(Text *t, const PearlProgram *p, const PearlInsn *i)
{
	Printer x = {t, p, {.arena = t->arena}};
	for (uint32_t n = 0; n < p->tokens.n; n++) /* the only names that matter are few */
		if (symbol_is_plain(p->tokens.at[n].name))
			symbol_add(&x.symbols, SYMBOL_TOKEN, p->tokens.at[n].name, n);
	for (uint32_t n = 0; n < p->interface->n_param; n++)
		if (symbol_is_plain(p->interface->param[n].name))
			symbol_add(&x.symbols, SYMBOL_PARAM, p->interface->param[n].name, n);
	put_insn(&x, i);
}

/* --- entries -------------------------------------------------------------------------------------------------- */

static void put_comment(Printer *x, const PearlInsn *i, const InterfaceEntry *e)
{
	if (i->op == I_LDD && i->field[F_LDD_entry] < (int64_t)x->p->descs.n) {
		text_puts(x->t, "   ; ");
		put_desc(x, &x->p->descs.at[i->field[F_LDD_entry]]);
	}
	if (i->op == I_MARK && i->field[F_MARK_number] < e->launches && e->launch_name) {
		text_puts(x->t, "   ; ");
		put_string(x->t, e->launch_name[i->field[F_MARK_number]]);
	}
}

static void put_code(Printer *x, const PearlCode *code, const InterfaceEntry *e, uint32_t *line,
                     bool *any)
{
	uint32_t depth = 1;
	for (uint32_t n = 0; n < code->count; n++) {
		const PearlInsn *i = &x->p->code.at[code->first + n];
		bool closes = i->op == I_ENDL || i->op == I_ENDIF || i->op == I_ELSE;
		if (closes && depth > 1) depth--;
		for (uint32_t k = 0; k < depth; k++) text_puts(x->t, "  ");
		if (closes)
			text_puts(x->t, i->op == I_ELSE ? "} else {" : "}");
		else
			put_insn(x, i);
		bool opens = i->op == I_LOOP || i->op == I_IF;
		if (opens) text_puts(x->t, " {");
		if (!*any || i->line != *line) text_printf(x->t, " line %u", i->line);
		*any = true;
		*line = i->line;
		if (opens || i->op == I_ELSE) depth++;
		put_comment(x, i, e);
		text_puts(x->t, "\n");
	}
}

static void put_list(Printer *x, const char *word, const uint32_t *at, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++) {
		text_puts(x->t, k ? ", " : word);
		put_reference(x, SYMBOL_TENSOR, at[k]);
	}
}

static void put_entries(Printer *x)
{
	const Interface *f = x->p->interface;
	uint32_t line = 0;
	bool any = false;
	for (uint32_t n = 0; n < x->p->entries.n && n < f->n_entry; n++) {
		const InterfaceEntry *e = &f->entry[n];
		text_puts(x->t, "\nentry ");
		put_declared(x, SYMBOL_ENTRY, n);
		put_list(x, " in ", e->in, e->n_in);
		put_list(x, " out ", e->out, e->n_out);
		for (uint32_t k = 0; k < e->n_set; k++) {
			text_puts(x->t, k ? ", " : " set ");
			put_reference(x, SYMBOL_PARAM, e->set_param[k]);
			text_puts(x->t, " = ");
			put_expr(x, e->set_value[k]);
		}
		for (uint32_t k = 0; k < e->launches; k++) {
			text_puts(x->t, k ? ", " : " launches ");
			put_string(x->t, e->launch_name && e->launch_name[k] ? e->launch_name[k] : "");
		}
		for (uint32_t k = 0; k < e->n_require; k++) {
			text_puts(x->t, k ? ", " : " require ");
			put_expr(x, e->require[k]);
			text_puts(x->t, " ");
			put_string(x->t, e->require_text ? e->require_text[k] : "");
		}
		text_puts(x->t, f->prepack == (int32_t)n ? " prepack {\n" : " {\n");
		put_code(x, &x->p->entries.at[n], e, &line, &any);
		text_puts(x->t, "}\n");
	}
}

static void put_weights(Printer *x, const char *file)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t n = x->p->weights.bytes;
	const uint8_t *w = x->p->weights.data;
	if (!n) return;
	text_printf(x->t, "\nweights bytes %llu crc 0x%08x", (unsigned long long)n, crc32c(0, w, n));
	if (file) {
		text_puts(x->t, " file ");
		put_string(x->t, file);
		text_puts(x->t, "\n");
		return;
	}
	for (uint64_t at = 0; at < n; at += 3) {
		uint32_t v = 0;
		for (uint32_t k = 0; k < 3; k++) v = v << 8 | (at + k < n ? w[at + k] : 0u);
		char s[4];
		for (uint32_t k = 0; k < 4; k++) s[k] = at + k > n ? '=' : digit[v >> (18 - 6 * k) & 63];
		if (at % 57 == 0) text_puts(x->t, at ? "\"\n\"" : "\n\"");
		text_append(x->t, s, 4);
	}
	text_puts(x->t, "\"\n");
}

void pearl_disassemble_by(Text *t, const PearlProgram *p, const char *weights_file)
{
	Arena *a = arena_new();
	uint32_t insn;
	const char *why = pearl_check(a, p, &insn);
	if (why) { /* made in memory and wrong: there is no text that would assemble to it */
		text_printf(t, "; not a well-formed program: %s\n", why);
		arena_free(a);
		return;
	}
	Printer x = {t, p, {.arena = a}};
	collect_names(&x);
	text_puts(t, "pearl 1\n");
	put_machine(&x);
	put_interface(&x);
	put_tables(&x);
	put_entries(&x);
	put_weights(&x, weights_file);
	arena_free(a);
}

void pearl_disassemble(Text *t, const PearlProgram *p)
{
	pearl_disassemble_by(t, p, NULL);
}
