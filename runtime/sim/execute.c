/* The data of one step: an instruction with its operands captured goes to the file of its queue. */
#include "runtime/sim/internal.h"

/* Operands that are not optional must be there. */
static bool operands_present(PearlSim *s, const SimStep *step)
{
	PearlOperand o;
	for (uint32_t k = 0; k < 4 && pearl_operand(step->insn->op, k, &o); k++)
		if (!o.optional && !step->arg[k].memory)
			return sim_trap(s, step->insn, "operand `%.*s` is missing", o.name_len, o.name);
	return true;
}

/* The units beside the DMA see only their core's memories. */
static bool operands_near(PearlSim *s, const SimStep *step)
{
	for (uint32_t k = 0; k < 4; k++)
		if (step->arg[k].memory && step->arg[k].space != SPACE_SPM &&
		    step->arg[k].space != SPACE_ACC)
			return sim_trap(s, step->insn, "operand %u must lie in SPM or ACC", k);
	return true;
}

bool step_execute(PearlSim *s, const SimStep *step)
{
	s->instructions++;
	if (!step->active) return true;
	if (!operands_present(s, step)) return false;
	PearlQueue q = pearl_insn[step->insn->op].queue;
	if ((q == Q_M || q == Q_D || q == Q_V) && !operands_near(s, step)) return false;
	switch (step->insn->op) {
	case I_L_DMA:
	case I_W_DMA: return execute_dma(s, step);
	case I_L_GATHER: return execute_gather(s, step);
	case I_W_SCATTER: return execute_scatter(s, step);
	case I_M_GEMM: return execute_gemm(s, step);
	case I_D_DRAIN: return execute_drain(s, step);
	case I_V_UN:
	case I_V_BIN:
	case I_V_TRI: return execute_elements(s, step);
	case I_V_FILL: return execute_fill(s, step);
	case I_V_IOTA: return execute_iota(s, step);
	case I_V_RED: return execute_reduce(s, step);
	case I_V_SCAN: return execute_scan(s, step);
	case I_V_SMX: return execute_softmax(s, step);
	case I_V_TOPK:
	case I_V_SORT: return execute_order(s, step);
	default: return true; /* SYNC */
	}
}
