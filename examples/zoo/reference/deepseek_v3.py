#!/usr/bin/env python3
"""DeepSeek-V3 after the modelling file beside its checkpoint, without a cache, YaRN and the prediction head."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded
from decoders import MLP, Norm, rotate

L, DENSE, D, H, Q, C, N, R, W, WIDE, FE, E, K, G, KG, SCALE, V = 3, 1, 16, 2, 8, 10, 6, 4, 5, 20, 8, 8, 3, 4, 2, 2.5, 40


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_a_proj, self.q_a_layernorm, self.q_b_proj = nn.Linear(D, Q, False), Norm(Q, 1e-6), nn.Linear(Q, H * (N + R), False)
        self.kv_a_proj_with_mqa, self.kv_a_layernorm = nn.Linear(D, C + R, False), Norm(C, 1e-6)
        self.kv_b_proj, self.o_proj = nn.Linear(C, H * (N + W), False), nn.Linear(H * W, D, False)

    def forward(self, x):
        b, s, _ = x.shape
        apart = lambda t: torch.cat([t[..., 0::2], t[..., 1::2]], -1)  # pairs to halves, as apply_rotary_pos_emb does
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))).view(b, s, H, N + R).transpose(1, 2)
        c, k_pe = self.kv_a_proj_with_mqa(x).split([C, R], -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(c)).view(b, s, H, N + W).transpose(1, 2)
        k_pe = rotate(apart(k_pe[:, None]), 10000.0).expand(b, H, s, R)
        q = torch.cat([q[..., :N], rotate(apart(q[..., N:]), 10000.0)], -1)
        k = torch.cat([kv[..., :N], k_pe], -1)
        scores = (q @ k.transpose(-1, -2) * (N + R) ** -0.5).masked_fill(~torch.ones(s, s).tril().bool(), -torch.inf)
        return self.o_proj((scores.softmax(-1) @ kv[..., N:]).transpose(1, 2).reshape(b, s, -1))


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.e_score_correction_bias = nn.Parameter(torch.zeros(E, D)), nn.Parameter(torch.zeros(E))


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        c = dict(D=D, F=FE, act=F.silu)
        self.gate, self.experts, self.shared_experts = Gate(), nn.ModuleList(MLP(c) for _ in range(E)), MLP(c)

    def forward(self, x):
        rows = x.reshape(-1, D)
        scores = (rows @ self.gate.weight.T).sigmoid()
        choice = scores + self.gate.e_score_correction_bias
        groups = choice.view(-1, G, E // G).topk(2, -1)[0].sum(-1).topk(KG, -1)[1]
        is_open = torch.zeros(rows.shape[0], G).scatter(1, groups, 1).bool()
        choice = choice.masked_fill(~is_open.repeat_interleave(E // G, 1), 0.0)
        chosen = choice.topk(K, -1)[1]
        p = scores.gather(1, chosen)
        p = p / (p.sum(-1, keepdim=True) + 1e-20) * SCALE
        y = sum(expert(rows) * (p * (chosen == e)).sum(-1, keepdim=True) for e, expert in enumerate(self.experts))
        return y.view(x.shape) + self.shared_experts(x)


class Block(nn.Module):
    def __init__(self, i):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(D, 1e-6), Norm(D, 1e-6)
        self.self_attn = Attention()
        self.mlp = MLP(dict(D=D, F=WIDE, act=F.silu)) if i < DENSE else Experts()

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


net = nn.Module()
net.model = nn.ModuleDict({"embed_tokens": nn.Embedding(V, D), "layers": nn.ModuleList(Block(i) for i in range(L)),
                           "norm": Norm(D, 1e-6)})
net.lm_head = nn.Linear(D, V, False)
net = rounded(seeded(net))
ids = torch.randint(0, V, (2, 7), generator=torch.Generator().manual_seed(2))
x = net.model["embed_tokens"](ids)
for layer in net.model["layers"]:
    x = layer(x)
save_case("deepseek_v3", "deepseek_v3.nac", net.state_dict(), {"ids": ids},
          {"logits": net.lm_head(net.model["norm"](x)[:, -1])}, model="DeepSeekV3", entry="prefill",
          set=f"T=16,L={L},dense={DENSE},D={D},H={H},Q={Q},C={C},N={N},R={R},W={W},F={WIDE},FE={FE},E={E},K={K},G={G},"
              f"KG={KG},scale={SCALE},V={V}", parameters=671026419200, full="")
