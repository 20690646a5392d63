/* The oracle, kernel operations: each is its definition, written out. Sums are in double. */
#include "ir/interpret.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- contraction --- */

static bool run_einsum(Run *r, Node *n, Value *out)
{
	const char *spec = node_attr(n, "spec")->s, *comma = strchr(spec, ','),
			   *arrow = strstr(spec, "->");
	const char *part[3] = {spec, comma + 1, arrow + 2};
	Value *v[3] = {n->in[0]->data, n->in[1]->data, out};
	int64_t size[128], stride[3][128] = {{0}}, own[MAX_RANK];
	char outer[2 * MAX_RANK], inner[2 * MAX_RANK];
	uint32_t n_outer = 0, n_inner = 0;
	memset(size, -1, sizeof size);
	for (uint32_t k = 0; k < 3; k++) {
		value_strides(v[k], own);
		for (uint32_t i = 0; i < v[k]->rank; i++) {
			unsigned char c = (unsigned char)part[k][i];
			if (size[c] >= 0 && size[c] != v[k]->dims[i])
				return run_error(r, n,
				                 arena_printf(r->arena, "index %c has sizes %lld and %lld", c,
				                              (long long)size[c], (long long)v[k]->dims[i]));
			if (size[c] < 0) {
				size[c] = v[k]->dims[i];
				if (memchr(part[2], c, strlen(part[2])))
					outer[n_outer++] = (char)c;
				else
					inner[n_inner++] = (char)c;
			}
			stride[k][c] = own[i];
		}
	}
	Walk w, s;
	int64_t odims[MAX_RANK * 2], idims[MAX_RANK * 2];
	if (n_outer > MAX_RANK || n_inner > MAX_RANK) return run_error(r, n, "too many indices");
	for (uint32_t i = 0; i < n_outer; i++) odims[i] = size[(unsigned char)outer[i]];
	for (uint32_t i = 0; i < n_inner; i++) idims[i] = size[(unsigned char)inner[i]];
	if (!out->count) return true;
	dims_walk(&w, n_outer, odims);
	for (uint32_t k = 0; k < 3; k++)
		for (uint32_t i = 0; i < n_outer; i++) w.stride[k][i] = stride[k][(unsigned char)outer[i]];
	/* the last summed index runs in a plain loop */
	int64_t count = 1, sa = 0, sb = 0;
	if (n_inner) {
		unsigned char c = (unsigned char)inner[n_inner - 1];
		count = size[c];
		sa = stride[0][c];
		sb = stride[1][c];
		n_inner--;
	}
	bool integer = out->type.dtype == DT_I32;
	do {
		double sum = 0;
		dims_walk(&s, n_inner, idims);
		for (uint32_t k = 0; k < 2; k++)
			for (uint32_t i = 0; i < n_inner; i++)
				s.stride[k][i] = stride[k][(unsigned char)inner[i]];
		if (s.left > 0) {
			do {
				const double *a = v[0]->at + w.offset[0] + s.offset[0],
							 *b = v[1]->at + w.offset[1] + s.offset[1];
				for (int64_t i = 0; i < count; i++) sum += a[i * sa] * b[i * sb];
			} while (dims_next(&s));
		}
		out->at[w.offset[2]] = integer ? (double)(int32_t)(uint32_t)(int64_t)sum : sum;
	} while (dims_next(&w));
	return true;
}

/* --- scaled weights --- */

static void run_dequant(Node *n, Value *out)
{
	const Value *x = n->in[0]->data, *scale = n->in[1]->data,
				*zero = n->n_in == 3 ? n->in[2]->data : NULL;
	const Attr *block = node_attr(n, "block");
	int64_t stride[MAX_RANK];
	value_strides(scale, stride);
	Walk w;
	if (!out->count) return;
	dims_walk(&w, out->rank, out->dims);
	int64_t i = 0;
	do {
		int64_t at = 0;
		for (uint32_t d = 0; d < out->rank; d++) at += w.index[d] / block->ints[d] * stride[d];
		out->at[i] = (x->at[i] - (zero ? zero->at[at] : 0)) * scale->at[at];
		i++;
	} while (dims_next(&w));
}

/* --- windows --- */

typedef struct Window { /* of a convolution or pooling: channels-last or not, as strides */
	uint32_t spatial;
	int64_t in[MAX_RANK], out[MAX_RANK], size[MAX_RANK], stride[MAX_RANK], lo[MAX_RANK],
		dilation[MAX_RANK];
	int64_t in_stride[MAX_RANK], out_stride[MAX_RANK], w_stride[MAX_RANK];
} Window;

/* Sums or folds one output position: calls visit with the offset of each input inside. */
typedef struct Tap {
	int64_t in, w;
} Tap;

static uint32_t window_taps(const Window *g, const int64_t *pos, Tap *taps)
{
	uint32_t n = 0;
	int64_t k[MAX_RANK] = {0};
	for (;;) {
		int64_t in = 0, w = 0;
		bool inside = true;
		for (uint32_t i = 0; i < g->spatial; i++) {
			int64_t x = pos[i] * g->stride[i] - g->lo[i] + k[i] * g->dilation[i];
			inside &= x >= 0 && x < g->in[i];
			in += x * g->in_stride[i];
			w += k[i] * g->w_stride[i];
		}
		if (inside) taps[n++] = (Tap){in, w};
		uint32_t i = g->spatial;
		while (i-- > 0) {
			if (++k[i] < g->size[i]) break;
			k[i] = 0;
			if (i == 0) return n;
		}
	}
}

static void window_fill(Window *g, Node *n, const Value *x, const Value *out, bool last)
{
	int64_t xs[MAX_RANK], os[MAX_RANK];
	value_strides(x, xs);
	value_strides(out, os);
	g->spatial = x->rank - 2;
	for (uint32_t i = 0; i < g->spatial; i++) {
		uint32_t at = last ? 1 + i : 2 + i;
		g->in[i] = x->dims[at];
		g->out[i] = out->dims[at];
		g->in_stride[i] = xs[at];
		g->out_stride[i] = os[at];
		g->stride[i] = node_attr(n, "stride")->ints[i];
		g->lo[i] = node_attr(n, "lo")->ints[i];
		g->dilation[i] = 1;
	}
}

static bool run_conv(Run *r, Node *n, Value *out)
{
	Value *x = n->in[0]->data, *wv = n->in[1]->data;
	bool last = node_attr(n, "channels_last")->i;
	int64_t groups = node_attr(n, "groups")->i, xs[MAX_RANK], os[MAX_RANK], ws[MAX_RANK],
			taps_max = 1;
	Window g;
	uint32_t rank = x->rank, cx = last ? rank - 1 : 1, ck = last ? rank - 1 : 0,
			 ci = last ? rank - 2 : 1;
	window_fill(&g, n, x, out, last);
	value_strides(x, xs);
	value_strides(out, os);
	value_strides(wv, ws);
	for (uint32_t i = 0; i < g.spatial; i++) {
		g.size[i] = wv->dims[last ? i : 2 + i];
		g.w_stride[i] = ws[last ? i : 2 + i];
		g.dilation[i] = node_attr(n, "dilation")->ints[i];
		taps_max *= g.size[i];
	}
	int64_t kk = wv->dims[ck], per = wv->dims[ci], k_group = kk / groups;
	Tap *taps = NEW_ARRAY(r->arena, Tap, taps_max);
	Walk w;
	int64_t space[MAX_RANK] = {x->dims[0]};
	memcpy(space + 1, g.out, g.spatial * sizeof(int64_t));
	dims_walk(&w, g.spatial + 1, space);
	w.stride[0][0] = xs[0];
	w.stride[1][0] = os[0];
	for (uint32_t i = 0; i < g.spatial; i++) w.stride[1][i + 1] = g.out_stride[i];
	if (!out->count) return true;
	do {
		uint32_t count = window_taps(&g, w.index + 1, taps);
		for (int64_t k = 0; k < kk; k++) {
			const double *xb = x->at + w.offset[0] + k / k_group * per * xs[cx],
						 *wb = wv->at + k * ws[ck];
			double sum = 0;
			for (uint32_t t = 0; t < count; t++)
				for (int64_t c = 0; c < per; c++)
					sum += xb[taps[t].in + c * xs[cx]] * wb[taps[t].w + c * ws[ci]];
			out->at[w.offset[1] + k * os[cx]] = sum;
		}
	} while (dims_next(&w));
	return true;
}

static bool run_pool(Run *r, Node *n, Value *out)
{
	Value *x = n->in[0]->data;
	bool last = node_attr(n, "channels_last")->i,
		 mean = strcmp(node_attr(n, "reduce")->s, "mean") == 0,
		 count_pad = node_attr(n, "count_pad")->i;
	int64_t xs[MAX_RANK], os[MAX_RANK], full = 1;
	Window g;
	uint32_t cx = last ? x->rank - 1 : 1;
	window_fill(&g, n, x, out, last);
	value_strides(x, xs);
	value_strides(out, os);
	for (uint32_t i = 0; i < g.spatial; i++) {
		g.size[i] = node_attr(n, "size")->ints[i];
		g.w_stride[i] = 0;
		full *= g.size[i];
	}
	Tap *taps = NEW_ARRAY(r->arena, Tap, full);
	Walk w;
	int64_t space[MAX_RANK] = {x->dims[0]};
	memcpy(space + 1, g.out, g.spatial * sizeof(int64_t));
	dims_walk(&w, g.spatial + 1, space);
	w.stride[0][0] = xs[0];
	w.stride[1][0] = os[0];
	for (uint32_t i = 0; i < g.spatial; i++) w.stride[1][i + 1] = g.out_stride[i];
	if (!out->count) return true;
	do {
		uint32_t count = window_taps(&g, w.index + 1, taps);
		for (int64_t c = 0; c < x->dims[cx]; c++) {
			const double *xb = x->at + w.offset[0] + c * xs[cx];
			double v = mean ? 0 : -INFINITY;
			for (uint32_t t = 0; t < count; t++)
				v = mean ? v + xb[taps[t].in] : scalar_eval(SC_MAX, false, v, xb[taps[t].in], 0);
			out->at[w.offset[1] + c * os[cx]] = mean ? v / (double)(count_pad ? full : count) : v;
		}
	} while (dims_next(&w));
	return true;
}

/* --- reductions --- */

static bool run_reduce(Run *r, Node *n, Value *out, const char *how)
{
	Value *x = n->in[0]->data;
	const Attr *axes = node_attr(n, "axes");
	bool keep = node_attr(n, "keep")->i, argmax = strcmp(how, "argmax") == 0,
		 sum = strcmp(how, "sum") == 0 || strcmp(how, "mean") == 0, prod = strcmp(how, "prod") == 0;
	Scalar f = strcmp(how, "min") == 0 ? SC_MIN : SC_MAX;
	bool integer = out->type.dtype == DT_I32 && !argmax;
	int64_t os[MAX_RANK], total = 1;
	uint32_t gone = 0, at = 0;
	Walk w;
	value_strides(out, os);
	dims_walk(&w, x->rank, x->dims);
	for (uint32_t i = 0; i < axes->n; i++) {
		gone |= 1u << axes->ints[i];
		total *= x->dims[axes->ints[i]];
	}
	for (uint32_t i = 0; i < x->rank; i++) {
		if (!(gone >> i & 1))
			w.stride[0][i] = os[at++];
		else if (keep)
			at++;
	}
	if (!total && !sum && !prod && out->count)
		return run_error(r, n, "max, min or argmax of nothing");
	double *best = argmax ? NEW_ARRAY(r->arena, double, out->count + 1) : out->at;
	for (int64_t i = 0; i < out->count; i++)
		best[i] = sum           ? 0
		          : prod        ? 1
		          : f == SC_MIN ? (integer ? 2147483647.0 : (double)INFINITY)
		          : integer     ? -2147483648.0
		                        : (double)-INFINITY;
	if (!x->count) return true;
	int64_t i = 0;
	bool *seen = argmax ? NEW_ARRAY(r->arena, bool, out->count + 1) : NULL;
	do {
		double v = x->at[i++], *b = &best[w.offset[0]];
		if (argmax) {
			if (!seen[w.offset[0]] || v > *b) {
				*b = v;
				out->at[w.offset[0]] = (double)w.index[axes->ints[0]];
				seen[w.offset[0]] = true;
			}
		} else {
			*b = sum ? *b + v : prod ? *b * v : scalar_eval(f, integer, *b, v, 0);
		}
	} while (dims_next(&w));
	for (i = 0; i < out->count && integer; i++)
		out->at[i] = (double)(int32_t)(uint32_t)(int64_t)out->at[i];
	for (i = 0; i < out->count && strcmp(how, "mean") == 0; i++) out->at[i] /= (double)total;
	return true;
}

/* Calls f on each line along an axis: base and stride into the value. */
typedef void LineFn(const Node *n, const double *in, double *out, int64_t length, int64_t stride);

static void each_line(const Node *n, const Value *x, Value *out, int64_t axis, LineFn *f)
{
	int64_t inner = 1, outer = 1;
	for (uint32_t i = 0; i < x->rank; i++) {
		if ((int64_t)i < axis) outer *= x->dims[i];
		if ((int64_t)i > axis) inner *= x->dims[i];
	}
	for (int64_t o = 0; o < outer; o++)
		for (int64_t i = 0; i < inner; i++) {
			int64_t at = o * x->dims[axis] * inner + i;
			f(n, x->at + at, out->at + at, x->dims[axis], inner);
		}
}

static void line_softmax(const Node *n, const double *in, double *out, int64_t length, int64_t s)
{
	double max = -INFINITY, sum = 0;
	for (int64_t i = 0; i < length; i++) max = fmax(max, in[i * s]);
	for (int64_t i = 0; i < length; i++) sum += exp(in[i * s] - max);
	for (int64_t i = 0; i < length; i++) {
		double y = in[i * s] - max;
		if (n->op == OP_LOG_SOFTMAX)
			out[i * s] = y - log(sum);
		else
			out[i * s] = max == -INFINITY ? 0 : exp(y) / sum;
	}
}

static void line_scan(const Node *n, const double *in, double *out, int64_t length, int64_t s)
{
	const char *how = node_attr_const(n, "reduce")->s;
	double v = 0;
	bool integer = n->type.dtype == DT_I32;
	Scalar f = strcmp(how, "sum") == 0 ? SC_ADD : strcmp(how, "min") == 0 ? SC_MIN : SC_MAX;
	for (int64_t i = 0; i < length; i++) {
		v = i ? scalar_eval(f, integer, v, in[i * s], 0) : in[0];
		out[i * s] = v;
	}
}

static bool run_norm(Node *n, Value *out)
{
	Value *x = n->in[0]->data, *w = n->n_in > 1 ? n->in[1]->data : NULL,
		  *b = n->n_in > 2 ? n->in[2]->data : NULL;
	double eps = node_attr(n, "eps")->f;
	int64_t d = x->dims[x->rank - 1];
	for (int64_t row = 0; d && row < x->count / d; row++) {
		const double *in = x->at + row * d;
		double mean = 0, square = 0;
		for (int64_t i = 0; i < d && n->op == OP_LAYER_NORM; i++) mean += in[i] / (double)d;
		for (int64_t i = 0; i < d; i++) square += (in[i] - mean) * (in[i] - mean) / (double)d;
		for (int64_t i = 0; i < d; i++)
			out->at[row * d + i] =
				(in[i] - mean) / sqrt(square + eps) * (w ? w->at[i] : 1) + (b ? b->at[i] : 0);
	}
	return true;
}

static bool run_rope(Run *r, Node *n, Value *out)
{
	Value *x = n->in[0]->data;
	int64_t pos, d = x->dims[x->rank - 1], length = x->dims[x->rank - 2];
	const Value *freqs = n->n_in > 1 ? n->in[1]->data : NULL;
	double base = node_attr(n, "base")->f;
	bool half = node_attr(n, "half")->i;
	if (!run_dim(r, n, node_attr(n, "pos")->d, &pos)) return false;
	if (d % 2) return run_error(r, n, "the width is odd");
	for (int64_t row = 0; d && row < x->count / d; row++) {
		const double *in = x->at + row * d;
		double *to = out->at + row * d;
		for (int64_t i = 0; i < d / 2; i++) {
			double turn = freqs ? freqs->at[i] : pow(base, -2.0 * (double)i / (double)d);
			double angle = (double)(pos + row % length) * turn;
			int64_t a = half ? i : 2 * i, b = half ? i + d / 2 : 2 * i + 1;
			to[a] = in[a] * cos(angle) - in[b] * sin(angle);
			to[b] = in[b] * cos(angle) + in[a] * sin(angle);
		}
	}
	return true;
}

static bool run_attention(Run *r, Node *n, Value *out)
{
	Value *q = n->in[0]->data, *k = n->in[1]->data, *v = n->in[2]->data,
		  *bias = n->n_in > 3 ? n->in[3]->data : NULL;
	uint32_t rk = q->rank;
	int64_t heads = q->dims[rk - 3], groups = k->dims[rk - 3], s = q->dims[rk - 2],
			t = k->dims[rk - 2], d = q->dims[rk - 1], dv = v->dims[rk - 1];
	int64_t outer = s * heads * d > 0 ? q->count / (s * heads * d) : 0,
			window = node_attr(n, "window")->i;
	double scale = node_attr(n, "scale")->f, cap = node_attr(n, "soft_cap")->f;
	bool causal = node_attr(n, "causal")->i;
	double *p = NEW_ARRAY(r->arena, double, t + 1);
	int64_t bs[MAX_RANK] = {0};
	if (bias) {
		int64_t own[MAX_RANK];
		value_strides(bias, own);
		for (uint32_t i = 0; i < bias->rank; i++)
			bs[4 - bias->rank + i] = bias->dims[i] == 1 ? 0 : own[i];
		if (bias->rank > 4 || rk > 4) return run_error(r, n, "a bias beyond 4 dims");
	}
	for (int64_t o = 0; o < outer; o++)
		for (int64_t h = 0; h < heads; h++) {
			int64_t g = h / (heads / groups);
			const double *kb = k->at + (o * groups + g) * t * d,
						 *vb = v->at + (o * groups + g) * t * dv;
			for (int64_t i = 0; i < s; i++) {
				const double *qr = q->at + ((o * heads + h) * s + i) * d;
				double *to = out->at + ((o * heads + h) * s + i) * dv, max = -INFINITY, sum = 0;
				int64_t last = i + t - s; /* the key aligned with this query */
				for (int64_t j = 0; j < t; j++) {
					double dot = 0;
					for (int64_t c = 0; c < d; c++) dot += qr[c] * kb[j * d + c];
					dot *= scale;
					if (cap > 0) dot = cap * tanh(dot / cap);
					if (bias) dot += bias->at[o * bs[0] + h * bs[1] + i * bs[2] + j * bs[3]];
					if ((causal && j > last) || (window > 0 && j <= last - window)) dot = -INFINITY;
					p[j] = dot;
					max = fmax(max, dot);
				}
				for (int64_t j = 0; j < t; j++)
					sum += p[j] = max == -INFINITY ? 0 : exp(p[j] - max);
				for (int64_t c = 0; c < dv; c++) to[c] = 0;
				for (int64_t j = 0; j < t && sum > 0; j++)
					for (int64_t c = 0; c < dv; c++) to[c] += p[j] / sum * vb[j * dv + c];
			}
		}
	return true;
}

/* --- sorting --- */

typedef struct Ranked {
	double value;
	int64_t at;
} Ranked;

static int ascending(const void *a, const void *b)
{
	const Ranked *x = a, *y = b;
	if (x->value != y->value) return x->value < y->value ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int descending(const void *a, const void *b)
{
	const Ranked *x = a, *y = b;
	if (x->value != y->value) return x->value > y->value ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

bool run_compute_tuple(Run *r, Node *n)
{
	if (n->op == OP_ROUTE) return run_route(r, n);
	Value *x = n->in[0]->data, *values = value_new(r, n, &n->type.element[0]),
		  *at = value_new(r, n, &n->type.element[1]);
	if (!values || !at) return false;
	int64_t d = x->dims[x->rank - 1], k = values->dims[values->rank - 1];
	if (k > d) return run_error(r, n, "k is more than the last axis holds");
	Ranked *line = NEW_ARRAY(r->arena, Ranked, d + 1);
	bool down = n->op == OP_TOPK || node_attr(n, "descending")->i;
	for (int64_t row = 0; d && row < x->count / d; row++) {
		for (int64_t i = 0; i < d; i++) line[i] = (Ranked){x->at[row * d + i], i};
		qsort(line, (size_t)d, sizeof *line, down ? descending : ascending);
		for (int64_t i = 0; i < k; i++) {
			values->at[row * k + i] = line[i].value;
			at->at[row * k + i] = (double)line[i].at;
		}
	}
	Value **list = NEW_ARRAY(r->arena, Value *, 2);
	list[0] = values;
	list[1] = at;
	n->data = list;
	return true;
}

/* --- composites --- */

static bool run_batch_norm(Node *n, Value *out)
{
	Value *v[5];
	for (int i = 0; i < 5; i++) v[i] = n->in[i]->data;
	int64_t axis = node_attr(n, "axis")->i, inner = 1;
	double eps = node_attr(n, "eps")->f;
	for (uint32_t i = (uint32_t)axis + 1; i < out->rank; i++) inner *= out->dims[i];
	for (int64_t i = 0; i < out->count; i++) {
		int64_t c = i / inner % out->dims[axis];
		out->at[i] =
			(v[0]->at[i] - v[3]->at[c]) / sqrt(v[4]->at[c] + eps) * v[1]->at[c] + v[2]->at[c];
	}
	return true;
}

bool run_compute(Run *r, Node *n, Value *out)
{
	Value *x = n->in[0]->data;
	switch (n->op) {
	case OP_EINSUM: return run_einsum(r, n, out);
	case OP_DEQUANT: run_dequant(n, out); return true;
	case OP_ROUTED: return run_routed(r, n, out);
	case OP_CONV: return run_conv(r, n, out);
	case OP_POOL: return run_pool(r, n, out);
	case OP_REDUCE: return run_reduce(r, n, out, node_attr(n, "reduce")->s);
	case OP_MEAN: return run_reduce(r, n, out, "mean");
	case OP_SOFTMAX:
	case OP_LOG_SOFTMAX: each_line(n, x, out, node_attr(n, "axis")->i, line_softmax); return true;
	case OP_SCAN: each_line(n, x, out, node_attr(n, "axis")->i, line_scan); return true;
	case OP_LAYER_NORM:
	case OP_RMS_NORM: return run_norm(n, out);
	case OP_ATTENTION: return run_attention(r, n, out);
	case OP_ROPE: return run_rope(r, n, out);
	case OP_BATCH_NORM: return run_batch_norm(n, out);
	case OP_CLAMP:
		for (int64_t i = 0; i < out->count; i++)
			out->at[i] = fmin(fmax(x->at[i], node_attr(n, "lo")->f), node_attr(n, "hi")->f);
		return true;
	case OP_SOFTPLUS:
		for (int64_t i = 0; i < out->count; i++)
			out->at[i] = fmax(x->at[i], 0) + log1p(exp(-fabs(x->at[i])));
		return true;
	default: return run_error(r, n, "no kernel operation");
	}
}
