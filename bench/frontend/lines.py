#!/usr/bin/env python3
"""Writes a model file of about N lines as people write them: blocks of layers with weights, sub-layers,
defs, comments, each used by the model. lines.py [N] > OUT.nac"""
import sys

LAYER = """
# Block {i}: attention over the positions, then a gated feed-forward part of width {f}.
layer Norm{i}(D: int, eps: f32 = 1e-5) {{
    weight scale: f32[D] from "weight"
    def forward(x: f32[..., D]) -> f32[..., D] {{ return rms_norm(x, scale, eps=eps) }}
}}

layer Attention{i}(D: int, H: int, KV: int) {{
    let Dh = D // H
    weight wq: f32[H*Dh,  D] from "q_proj.weight"
    weight wk: f32[KV*Dh, D] from "k_proj.weight"
    weight wv: f32[KV*Dh, D] from "v_proj.weight"
    weight wo: f32[D,  H*Dh] from "o_proj.weight"

    def heads(x: f32[B, S, D]) -> (q: f32[B, H, S, Dh], k: f32[B, KV, S, Dh], v: f32[B, KV, S, Dh]) {{
        q = rearrange(x @ wq.T, [B, S, (H,  Dh)] -> [B, H,  S, Dh])
        k = rearrange(x @ wk.T, [B, S, (KV, Dh)] -> [B, KV, S, Dh])
        v = rearrange(x @ wv.T, [B, S, (KV, Dh)] -> [B, KV, S, Dh])
        return q, k, v
    }}

    def forward(x: f32[B, S, D]) -> f32[B, S, D] {{
        q, k, v = heads(x)
        q, k = rope(q, 0), rope(k, 0)
        y = attention(q, k, v, mask=causal, scale=Dh^-0.5)
        return rearrange(y, [B, H, S, Dh] -> [B, S, (H, Dh)]) @ wo.T
    }}
}}

layer SwiGLU{i}(D: int, F: int) {{
    weight gate: f32[F, D] from "gate_proj.weight"
    weight up:   f32[F, D] from "up_proj.weight"
    weight down: f32[D, F] from "down_proj.weight"
    def forward(x: f32[..., D]) -> f32[..., D] {{
        hidden = silu(x @ gate.T) * (x @ up.T)
        return hidden @ down.T
    }}
}}

# mean and spread over the last axis, for the head
def normed{i}(x: f32[B, S, D], D: int) -> f32[B, S, D] {{
    centre = mean(x, axis=-1, keep=true)
    spread = mean((x - centre)^2, axis=-1, keep=true)
    return (x - centre) * rsqrt(spread + 1e-5)
}}

layer Block{i}(D: int, H: int, KV: int, F: int) {{
    use norm1: Norm{i}(D)             from "input_layernorm"
    use attn:  Attention{i}(D, H, KV) from "self_attn"
    use norm2: Norm{i}(D)             from "post_attention_layernorm"
    use mlp:   SwiGLU{i}(D, F)        from "mlp"

    def forward(x: f32[B, S, D]) -> f32[B, S, D] {{
        x += attn(norm1(x))
        x += mlp(norm2(x))
        return normed{i}(x, D) + x if {i} % 3 == 0 else x
    }}
}}
"""


def text(lines):
    each = LAYER.count("\n") + 2
    n = max(1, (lines - 20) // each)
    yield "# Written by bench/frontend/lines.py: as long as nobody should write a file.\n"
    yield "dim B in 1..8\ndim S in 1..512\n"
    for i in range(n):
        yield LAYER.format(i=i, f=256 + 16 * (i % 5))
    yield "\nmodel Long(D: int = 64, H: int = 4, KV: int = 2, V: int = 1000) {\n    weight embed: f32[V, D]\n"
    for i in range(n):
        yield f'    use b{i}: Block{i}(D, H, KV, {256 + 16 * (i % 5)}) from "blocks.{i}"\n'
    yield "    entry forward(ids: i32[B, S]) -> (logits: f32[B, S, V]) {\n        x = embed[ids]\n"
    for i in range(n):
        yield f"        x = b{i}(x)\n"
    yield "        return x @ embed.T\n    }\n}\n"


if __name__ == "__main__":
    sys.stdout.writelines(text(int(sys.argv[1]) if len(sys.argv) > 1 else 10000))
