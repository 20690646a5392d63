#!/usr/bin/env python3
"""DeepSeek-V2 and V3 after the modelling files beside their checkpoints, without a cache; V3's prediction head after its paper."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded
from decoders import MLP, Norm
from rotary import rotate, yarn, yarn_mscale

L, DENSE, D, H, C, N, R, W, WIDE, FE, E, K, G, KG, V = 3, 1, 16, 2, 10, 6, 8, 5, 20, 8, 8, 3, 4, 2, 40
ORIGINAL, STRETCH = 8, 40.0                 # so short that YaRN's ramp lies inside of the 4 pairs


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.q = c["Q"]
        if self.q:
            self.q_a_proj, self.q_a_layernorm = nn.Linear(D, self.q, False), Norm(self.q, 1e-6)
            self.q_b_proj = nn.Linear(self.q, H * (N + R), False)
        else:
            self.q_proj = nn.Linear(D, H * (N + R), False)
        self.freqs = yarn(R, 10000.0, STRETCH, ORIGINAL)
        self.scale = (N + R) ** -0.5 * yarn_mscale(STRETCH, c["mscale"]) ** 2
        self.kv_a_proj_with_mqa, self.kv_a_layernorm = nn.Linear(D, C + R, False), Norm(C, 1e-6)
        self.kv_b_proj, self.o_proj = nn.Linear(C, H * (N + W), False), nn.Linear(H * W, D, False)

    def forward(self, x):
        b, s, _ = x.shape
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))) if self.q else self.q_proj(x)
        q = q.view(b, s, H, N + R).transpose(1, 2)
        c, k_pe = self.kv_a_proj_with_mqa(x).split([C, R], -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(c)).view(b, s, H, N + W).transpose(1, 2)
        k_pe = rotate(k_pe[:, None], self.freqs, True).expand(b, H, s, R)
        q = torch.cat([q[..., :N], rotate(q[..., N:], self.freqs, True)], -1)
        k = torch.cat([kv[..., :N], k_pe], -1)
        scores = (q @ k.transpose(-1, -2) * self.scale).masked_fill(~torch.ones(s, s).tril().bool(), -torch.inf)
        return self.o_proj((scores.softmax(-1) @ kv[..., N:]).transpose(1, 2).reshape(b, s, -1))


class Gate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(E, D))
        if c["sigmoid"]:
            self.e_score_correction_bias = nn.Parameter(torch.zeros(E))


class Experts(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.gate = c, Gate(c)
        self.experts = nn.ModuleList(MLP(dict(D=D, F=FE, act=F.silu)) for _ in range(E))
        self.shared_experts = MLP(dict(D=D, F=FE * c["shared"], act=F.silu))

    def forward(self, x):
        c, rows = self.c, x.reshape(-1, D)
        logits = rows @ self.gate.weight.T
        scores = logits.sigmoid() if c["sigmoid"] else logits.softmax(-1)
        choice = scores + self.gate.e_score_correction_bias if c["sigmoid"] else scores
        groups = choice.view(-1, G, E // G).topk(2 if c["sigmoid"] else 1, -1)[0].sum(-1).topk(KG, -1)[1]
        is_open = torch.zeros(rows.shape[0], G).scatter(1, groups, 1).bool()
        choice = choice.masked_fill(~is_open.repeat_interleave(E // G, 1), 0.0)
        chosen = choice.topk(K, -1)[1]
        p = scores.gather(1, chosen)
        if c["sigmoid"]:
            p = p / (p.sum(-1, keepdim=True) + 1e-20)
        p = p * c["scale"]
        y = sum(expert(rows) * (p * (chosen == e)).sum(-1, keepdim=True) for e, expert in enumerate(self.experts))
        return y.view(x.shape) + self.shared_experts(x)


class Block(nn.Module):
    def __init__(self, c, dense):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(D, 1e-6), Norm(D, 1e-6)
        self.self_attn = Attention(c)
        self.mlp = MLP(dict(D=D, F=WIDE, act=F.silu)) if dense else Experts(c)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Draft(Block):
    """Section 2.2 of the report on V3: the module that predicts one more token."""
    def __init__(self, c):
        super().__init__(c, False)
        self.embed_tokens = nn.Embedding(V, D)
        self.enorm, self.hnorm, self.eh_proj = Norm(D, 1e-6), Norm(D, 1e-6), nn.Linear(2 * D, D, False)
        self.shared_head = nn.ModuleDict({"norm": Norm(D, 1e-6), "head": nn.Linear(D, V, False)})


def network(c):
    net = nn.Module()
    layers = [Block(c, i < DENSE) for i in range(L)] + ([Draft(c)] if c["draft"] else [])
    net.model = nn.ModuleDict({"embed_tokens": nn.Embedding(V, D), "layers": nn.ModuleList(layers), "norm": Norm(D, 1e-6)})
    net.lm_head = nn.Linear(D, V, False)
    net = rounded(seeded(net))
    if c["draft"]:                          # the checkpoint holds these twice
        layers[L].embed_tokens.weight, layers[L].shared_head["head"].weight = net.model["embed_tokens"].weight, net.lm_head.weight
    return net


V2 = dict(Q=8, mscale=0.707, sigmoid=False, shared=2, scale=16.0, draft=False)
LITE = dict(V2, Q=0, scale=1.0)
V3 = dict(Q=8, mscale=1.0, sigmoid=True, shared=1, scale=2.5, draft=True)
SIZES = f"T=16,L={L},dense={DENSE},D={D},H={H},C={C},N={N},R={R},W={W},F={WIDE},FE={FE},E={E},K={K},G={G},KG={KG},V={V},original={ORIGINAL}"
# What the checkpoint of V3 holds, 684,489,845,504, without its second copy of embedding and head.
FULL_V3 = 684489845504 - 2 * 129280 * 7168
for name, file, c, parameters, full in (
        ("deepseek_v2", "DeepSeekV2", V2, 235741434880, ""),
        ("deepseek_v2_lite", "DeepSeekV2", LITE, 15706484224, "L=27,D=2048,H=16,Q=0,F=10944,FE=1408,E=64,G=1,KG=1,scale=1.0"),
        ("deepseek_v3", "DeepSeekV3", V3, FULL_V3, "")):
    net = network(c)
    settings = SIZES + f",Q={c['Q']},scale={c['scale']}"
    ids = torch.randint(0, V, (2, 9), generator=torch.Generator().manual_seed(2))
    x = net.model["embed_tokens"](ids)
    for layer in net.model["layers"][:L]:
        x = layer(x)
    hidden = net.model["norm"](x)
    outputs = {"logits": net.lm_head(hidden[:, -1])}
    if c["draft"]:
        outputs["hidden"] = hidden
    case = dict(model=file, set=settings, parameters=parameters, full=full)
    save_case(name, file.lower().replace("seekv", "seek_v") + ".nac", net.state_dict(), {"ids": ids}, outputs, entry="prefill", **case)
    if c["draft"]:
        draft, hidden = net.model["layers"][L], hidden[:, :-1].float().double()
        x = draft(draft.eh_proj(torch.cat([draft.enorm(draft.embed_tokens(ids[:, 1:])), draft.hnorm(hidden)], -1)))
        save_case(name + "_draft", "deepseek_v3.nac", net.state_dict(), {"following": ids[:, 1:], "hidden": hidden},
                  {"logits": draft.shared_head["head"](draft.shared_head["norm"](x[:, -1])), "next_hidden": x},
                  entry="draft", **case)
