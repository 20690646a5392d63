/* link.c: the code of a kernel written in assembly among that of compiled ones. A launch of it has the
 * scratchpad, the accumulators and all registers for itself, as any launch has, and ends with a barrier. The
 * text is assembled once more, with the steps that its tensors have in this program; then
 *
 *   tensors      descriptors of a tensor's region become descriptors of the buffer's. What a loop around chooses
 *                (`w[layer]`) is added after each `ldd`, from a register that the program does not use
 *   parameters   `param` becomes a constant, or a copy of such a register, which is set before the code
 *   tokens       those that other kernels have left at their initial counts, else new ones
 *   marks        go: time is accounted to the launch
 *
 * Levels of loops count outwards, so loops of the program around the launch need no change. */
#include "codegen/pearl/hand.h"
#include <string.h>

typedef struct Linker {
	Compiler *c;
	const HandCall *call;
	const PearlProgram *h; /* placed */
	const Store **store;   /* of each tensor of h */
	uint32_t used;         /* registers of h, and those taken here */
	uint32_t *desc;        /* of each descriptor of h: its number here + 1 */
	uint8_t token[PEARL_TOKENS];
	uint8_t *param_reg, *offset_reg; /* of each parameter and tensor of h; PEARL_REGS: none */
	VEC(Dim) value;                  /* to be computed before the code, and where to */
	VEC(uint8_t) into;
	VEC(bool) taken; /* tokens of the program that this launch uses */
} Linker;

/* --- the call ------------------------------------------------------------------------------------------ */

static HandCall call_of(Compiler *c, const TileStep *step)
{
	const TileKernel *k = step->kernel;
	HandTensor *t = NEW_ARRAY(c->arena, HandTensor, k->bufs.n + 1);
	for (uint32_t i = 0; i < k->bufs.n; i++) {
		const TileObj *o = k->bufs.at[i];
		t[i] = (HandTensor){.name = o->name,
		                    .dtype = pearl_buffer_dtype(o),
		                    .rank = o->rank,
		                    .dims = o->dims,
		                    .result = o->kind == TB_OUT,
		                    .span = o->kind == TB_OUT ? span_none() : o->span};
	}
	return (HandCall){k->hand->file, k->span,       (uint32_t)k->bufs.n, k->hand->n_size, t,
	                  k->hand->size, k->hand->value};
}

/* --- the text with the steps of this program ------------------------------------------------------------- */

/* Strides that the text gives are those that the tensors have here? */
static bool strides_agree(Linker *l)
{
	const Interface *f = l->h->interface;
	for (uint32_t k = 0; k < f->n_tensor; k++)
		for (uint32_t d = 0; d < f->tensor[k].rank && d < l->store[k]->rank; d++) {
			int64_t one, have = f->tensor[k].stride[d], want = l->store[k]->stride[d];
			uint32_t n = hand_tensor(l->call, f->tensor[k].name);
			if (have == want || (dim_is_const(l->call->tensor[n].dims[d], &one) && one == 1))
				continue;
			Diag *m = hand_error(
				l->c->hand, l->h->text->tensor[k],
				"`%s` has %lld bytes from one element of dim %u to the next here, %lld in the model",
				f->tensor[k].name, (long long)have, d, (long long)want);
			diag_note(l->c->d, m, l->call->at, "called here");
			diag_help(
				l->c->d, m,
				"without `bytes`, `strides` and `address` it lies as the model has it, and the step is  %s.%u",
				f->tensor[k].name, d);
			return false;
		}
	return true;
}

static bool assemble(Linker *l, const HandFile *file)
{
	Compiler *c = l->c;
	const Interface *f = file->program->interface;
	const char **name = NEW_ARRAY(c->arena, const char *, f->n_tensor + 1);
	const int64_t **stride = NEW_ARRAY(c->arena, const int64_t *, f->n_tensor + 1);
	l->store = NEW_ARRAY(c->arena, const Store *, f->n_tensor + 1);
	for (uint32_t k = 0; k < f->n_tensor; k++) {
		uint32_t n = hand_tensor(l->call, f->tensor[k].name);
		l->store[k] = binding_store(c, c->kernel->bufs.at[n]);
		name[k] = f->tensor[k].name;
		stride[k] = l->store[k]->stride;
	}
	PearlPlacing placing = {f->n_tensor, name, stride};
	l->h = pearl_assemble_placed(c->arena, c->d, file->source, &placing, c->m);
	return l->h && strides_agree(l);
}

/* --- registers --------------------------------------------------------------------------------------------- */

static void note_registers(Linker *l)
{
	for (uint32_t k = 0; k < l->h->code.n; k++) {
		const PearlInsn *i = &l->h->code.at[k];
		const PearlFieldInfo *f = pearl_format[pearl_insn[i->op].format];
		for (uint32_t n = 0; f[n].name; n++)
			if (f[n].kind == FK_REG) l->used |= UINT32_C(1) << i->field[n];
	}
}

/* A register that holds d through the whole launch. */
static uint8_t hold(Linker *l, Dim d)
{
	for (uint32_t k = 0; k < l->value.n; k++)
		if (l->value.at[k] == d) return l->into.at[k];
	uint32_t r = PEARL_REGS;
	while (r && l->used >> (r - 1) & 1) r--;
	if (!r) {
		Diag *m = hand_error(l->c->hand, l->call->at, "the kernel leaves too few registers alone");
		diag_help(
			l->c->d, m,
			"it needs one for each size that this call computes, and for each tensor of which a "
			"loop around chooses a part");
		l->c->failed = true;
		return 0;
	}
	l->used |= UINT32_C(1) << (r - 1);
	vec_push(l->c->arena, &l->value, d);
	vec_push(l->c->arena, &l->into, (uint8_t)(r - 1));
	return (uint8_t)(r - 1);
}

static Dim moving_offset(const Linker *l, const Store *s)
{
	DimPool *p = l->c->p->dims;
	return s->offset ? dim_addc(p, s->offset, -dim_constant(s->offset)) : dim_const(p, 0);
}

/* The value of parameter n of the kernel. */
static Dim param_value(const Linker *l, uint32_t n)
{
	uint32_t s = 0;
	while (strcmp(l->call->size[s], l->h->interface->param[n].name) != 0) s++;
	return l->call->value[s];
}

/* The parameter of the whole program that d is, or -1. */
static int64_t own_param(const Linker *l, Dim d)
{
	const DimSym *s = dim_as_sym(d);
	for (uint32_t i = 0; s && i < l->c->p->params.n; i++)
		if (l->c->p->params.at[i] == s) return i;
	return -1;
}

static void hold_all(Linker *l)
{
	const Interface *f = l->h->interface;
	l->param_reg = NEW_ARRAY(l->c->arena, uint8_t, f->n_param + 1);
	l->offset_reg = NEW_ARRAY(l->c->arena, uint8_t, f->n_tensor + 1);
	memset(l->param_reg, PEARL_REGS, f->n_param);
	memset(l->offset_reg, PEARL_REGS, f->n_tensor);
	for (uint32_t k = 0; k < l->h->code.n; k++) {
		const PearlInsn *i = &l->h->code.at[k];
		uint32_t n = i->op == I_PARAM ? (uint32_t)i->field[F_GET_what] : UINT32_MAX;
		if (n == UINT32_MAX || l->param_reg[n] < PEARL_REGS) continue;
		Dim d = param_value(l, n);
		if (!dim_is_const(d, NULL) && own_param(l, d) < 0) l->param_reg[n] = hold(l, d);
	}
	for (uint32_t k = 0; k < f->n_tensor; k++) {
		Dim d = moving_offset(l, l->store[k]);
		if (!dim_is_const(d, NULL)) l->offset_reg[k] = hold(l, d);
	}
}

/* --- tokens, descriptors -------------------------------------------------------------------------------------- */

static const char hand_token[] = "hand";

/* A token of the program that is like t, belonged to a kernel of this kind, and is free in this launch. */
static void link_tokens(Linker *l)
{
	PearlProgram *q = l->c->q;
	while (l->taken.n < PEARL_TOKENS) vec_push(l->c->arena, &l->taken, false);
	for (uint32_t k = 0; k < l->h->tokens.n; k++) {
		const PearlToken *t = &l->h->tokens.at[k];
		uint32_t n = 0;
		for (; n < q->tokens.n; n++) {
			const PearlToken *u = &q->tokens.at[n];
			if (!l->taken.at[n] && strncmp(u->name, hand_token, sizeof hand_token - 1) == 0 &&
			    u->producer == t->producer && u->consumer == t->consumer &&
			    u->initial == t->initial && u->capacity == t->capacity)
				break;
		}
		if (n == PEARL_TOKENS) {
			hand_error(l->c->hand, l->call->at,
			           "with this kernel the program needs more than %d tokens", PEARL_TOKENS);
			l->c->failed = true;
			return;
		}
		if (n == q->tokens.n)
			pearl_add_token(q, arena_printf(q->arena, "%s%u", hand_token, n),
			                (PearlQueue)t->producer, (PearlQueue)t->consumer, t->initial,
			                t->capacity);
		l->taken.at[n] = true;
		l->token[k] = (uint8_t)n;
	}
}

static uint32_t link_desc(Linker *l, uint32_t number)
{
	Compiler *c = l->c;
	if (l->desc[number]) return l->desc[number] - 1;
	PearlDesc d = l->h->descs.at[number];
	const PearlRegion *r = &l->h->regions.at[d.region];
	d.name = "";
	if (d.space == SPACE_HBM) {
		const Store *s = l->store[r->tensor];
		d.base += r->address - (int64_t)l->h->interface->tensor[r->tensor].address;
		d.base += s->offset ? dim_constant(s->offset) : 0;
		d.region = (uint16_t)s->region;
	} else if (d.space == SPACE_GSM) {
		d.base += r->address;
		d.region = (uint16_t)c->gsm_region;
	} else {
		d.region = (uint16_t)(d.space == SPACE_SPM ? c->spm_region : c->acc_region);
	}
	l->desc[number] = pearl_add_desc(c->q, &d) + 1;
	return l->desc[number] - 1;
}

/* --- code --------------------------------------------------------------------------------------------------------- */

static PearlInsn *put(Linker *l, const PearlInsn *like)
{
	PearlInsn *i = pearl_emit(l->c->q, like->op);
	*i = *like;
	for (uint32_t k = 0; k < 2; k++) {
		if (i->wait[k]) i->wait[k] = (uint8_t)(l->token[i->wait[k] - 1] + 1);
		if (i->signal[k]) i->signal[k] = (uint8_t)(l->token[i->signal[k] - 1] + 1);
	}
	return i;
}

/* As `like`, at its place: of the same stage and line. */
static PearlInsn insn_like(const PearlInsn *like, PearlOpcode op)
{
	PearlInsn i = {.op = op, .stage = like->stage, .line = like->line};
	memset(i.desc, PEARL_NONE, sizeof i.desc);
	return i;
}

static void put_param(Linker *l, const PearlInsn *like)
{
	uint32_t n = (uint32_t)like->field[F_GET_what];
	Dim d = param_value(l, n);
	int64_t value, own = own_param(l, d);
	if (own >= 0) {
		put(l, like)->field[F_GET_what] = own;
		return;
	}
	bool fixed = dim_is_const(d, &value);
	PearlInsn i = insn_like(like, fixed ? I_MOVI : I_ADD);
	i.field[F_ALU_dst] = like->field[F_GET_dst];
	i.field[F_ALU_use_imm] = 1;
	i.field[F_ALU_imm] = fixed ? value : 0;
	i.field[F_ALU_a] = fixed ? 0 : l->param_reg[n];
	put(l, &i);
}

static void put_ldd(Linker *l, const PearlInsn *like)
{
	uint32_t number = (uint32_t)like->field[F_LDD_entry];
	const PearlDesc *d = &l->h->descs.at[number];
	put(l, like)->field[F_LDD_entry] = link_desc(l, number);
	int32_t tensor = d->space == SPACE_HBM ? l->h->regions.at[d->region].tensor : -1;
	if (tensor < 0 || l->offset_reg[tensor] == PEARL_REGS) return;
	PearlInsn i = insn_like(like, I_SETD);
	i.field[F_SETD_slot] = like->field[F_LDD_slot];
	i.field[F_SETD_field] = DF_BASE;
	i.field[F_SETD_src] = l->offset_reg[tensor];
	put(l, &i);
}

static bool loops_fit(Linker *l)
{
	uint32_t around = l->c->loop ? l->c->loop->depth + 1 : 0, depth = around;
	for (uint32_t k = 0; k < l->h->code.n; k++) {
		PearlOpcode op = l->h->code.at[k].op;
		depth += op == I_LOOP;
		depth -= op == I_ENDL;
		if (depth <= PEARL_LEVELS) continue;
		hand_error(
			l->c->hand, pearl_insn_span(l->h, &l->h->code.at[k]),
			"with the loops of the model around it (%u), the kernel's loops nest more than %d deep",
			around, PEARL_LEVELS);
		return false;
	}
	return true;
}

void pearl_link(Compiler *c, const TileStep *step)
{
	HandCall call = call_of(c, step);
	const HandFile *file = hand_open(c->hand, &call);
	Linker l = {.c = c, .call = &call};
	if (!file || !assemble(&l, file) || !loops_fit(&l)) {
		c->failed = true;
		return;
	}
	note_registers(&l);
	hold_all(&l);
	link_tokens(&l);
	if (c->failed) return;
	l.desc = NEW_ARRAY(c->arena, uint32_t, l.h->descs.n + 1);
	emit_values(c, (uint32_t)l.value.n, l.value.at, l.into.at);
	for (uint32_t k = 0; k < l.h->code.n; k++) {
		const PearlInsn *i = &l.h->code.at[k];
		if (i->op == I_PARAM)
			put_param(&l, i);
		else if (i->op == I_LDD)
			put_ldd(&l, i);
		else if (i->op != I_MARK)
			put(&l, i);
	}
}
