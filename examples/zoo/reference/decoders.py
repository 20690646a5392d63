#!/usr/bin/env python3
"""Llama 3, Mistral, Qwen2, Gemma 2 and Mixtral after Hugging Face's modelling files, without a cache."""
import sys

import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded
from rotary import default, llama3, rotate

SIZES = dict(L=2, D=24, H=4, KV=2, F=40, V=50)


class Norm(nn.Module):
    def __init__(self, d, eps, one=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))
        self.eps, self.one = eps, one

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * (self.weight + self.one)


class Attention(nn.Module):
    def __init__(self, c, window):
        super().__init__()
        d, h, kv, dh, bias = c["D"], c["H"], c["KV"], c["Dh"], c["qkv_bias"]
        self.q_proj, self.k_proj = nn.Linear(d, h * dh, bias), nn.Linear(d, kv * dh, bias)
        self.v_proj, self.o_proj = nn.Linear(d, kv * dh, bias), nn.Linear(h * dh, d, False)
        self.c, self.window = c, window

    def forward(self, x):
        c, (b, s, _) = self.c, x.shape
        q, k, v = (p(x).view(b, s, -1, c["Dh"]).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        freqs = llama3(c["Dh"], c["base"], c["stretch"], 8192) if "stretch" in c else default(c["Dh"], c["base"])
        q, k = rotate(q, freqs), rotate(k, freqs)
        k, v = (t.repeat_interleave(c["H"] // c["KV"], 1) for t in (k, v))
        scores = q @ k.transpose(-1, -2) * c["Dh"] ** -0.5
        if c["cap"]:
            scores = torch.tanh(scores / c["cap"]) * c["cap"]
        i, j = torch.arange(s)[:, None], torch.arange(s)
        seen = (j <= i) & (i - j < (self.window or s))
        y = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ v
        return self.o_proj(y.transpose(1, 2).reshape(b, s, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(c["D"], c["F"], False) for _ in range(2))
        self.down_proj, self.act = nn.Linear(c["F"], c["D"], False), c["act"]

    def forward(self, x):
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


class Expert(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.w1, self.w3 = (nn.Linear(c["D"], c["F"], False) for _ in range(2))
        self.w2 = nn.Linear(c["F"], c["D"], False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Experts(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate = nn.Linear(c["D"], c["E"], False)
        self.experts = nn.ModuleList(Expert(c) for _ in range(c["E"]))
        self.k = c["K"]

    def forward(self, x):
        p, chosen = self.gate(x).softmax(-1).topk(self.k, -1)
        p = p / p.sum(-1, keepdim=True)
        y = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            y = y + expert(x) * (p * (chosen == e)).sum(-1, keepdim=True)
        return y


class Block(nn.Module):
    def __init__(self, c, i):
        super().__init__()
        norm = lambda: Norm(c["D"], c["eps"], c["one"])
        self.input_layernorm, self.post_attention_layernorm = norm(), norm()
        window = c["W"] if not c["alternate"] or i % 2 == 0 else 0
        self.self_attn = Attention(c, window)
        self.around = c["alternate"]
        if "E" in c:
            self.block_sparse_moe = Experts(c)
        else:
            self.mlp = MLP(c)
        if self.around:
            self.pre_feedforward_layernorm, self.post_feedforward_layernorm = norm(), norm()

    def forward(self, x):
        if self.around:
            x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x)))
            return x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))
        x = x + self.self_attn(self.input_layernorm(x))
        inner = self.block_sparse_moe if hasattr(self, "block_sparse_moe") else self.mlp
        return x + inner(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.model = c, nn.Module()
        self.model.embed_tokens = nn.Embedding(c["V"], c["D"])
        self.model.layers = nn.ModuleList(Block(c, i) for i in range(c["L"]))
        self.model.norm = Norm(c["D"], c["eps"], c["one"])
        if not c["tied"]:
            self.lm_head = nn.Linear(c["D"], c["V"], False)

    def forward(self, ids):
        x = self.model.embed_tokens(ids)
        if self.c["alternate"]:
            x = x * self.c["D"] ** 0.5
        for layer in self.model.layers:
            x = layer(x)
        x = self.model.norm(x)[:, -1]
        logits = x @ (self.model.embed_tokens.weight if self.c["tied"] else self.lm_head.weight).T
        return torch.tanh(logits / self.c["final_cap"]) * self.c["final_cap"] if self.c["final_cap"] else logits


PLAIN = dict(SIZES, Dh=6, W=0, base=10000.0, eps=1e-5, one=0.0, qkv_bias=False, cap=0, final_cap=0, tied=False,
             alternate=False, act=F.silu)
CASES = {
    "llama3": ("Llama3", dict(base=500000.0), 8030261248, "", "T=16"),
    "llama3_2": ("Llama3", dict(base=500000.0, stretch=32.0, tied=True), 1235814400, "L=16,D=2048,F=8192,tied=true,stretch=32",
                 "T=16,tied=true,stretch=32"),
    "mistral": ("Mistral", dict(W=4), 7241732096, "", "T=16,W=4"),
    "qwen2": ("Qwen2", dict(base=1000000.0, eps=1e-6, qkv_bias=True), 7615616512, "", "T=16"),
    "gemma2": ("Gemma2", dict(Dh=8, W=4, eps=1e-6, one=1.0, cap=50.0, final_cap=30.0, tied=True, alternate=True,
                              act=lambda x: F.gelu(x, approximate="tanh")), 2614341888, "", "T=16,W=4,Dh=8,scalar=8"),
    "mixtral": ("Mixtral", dict(base=1000000.0, E=4, K=2, F=16), 46702792704, "", "T=16,E=4,K=2"),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        model, changes, parameters, full, settings = CASES[name]
        c = {**PLAIN, **changes}
        net = rounded(seeded(Decoder(c)))
        ids = torch.randint(0, c["V"], (2, 9), generator=torch.Generator().manual_seed(2))
        sizes = ",".join(f"{k}={c[k]}" for k in SIZES)
        save_case(name, name.split("_")[0] + ".nac", net.state_dict(), {"ids": ids}, {"logits": net(ids)}, model=model, entry="prefill",
                  set=f"{sizes},{settings}", parameters=parameters, full=full)
