#!/usr/bin/env python3
"""GPT-2 after Hugging Face's GPT2LMHeadModel, without a cache."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded

L, D, H, V, T = 2, 24, 4, 50, 16


class Conv1D(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(inputs, outputs)), nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(D), nn.Module(), nn.LayerNorm(D), nn.Module()
        self.attn.c_attn, self.attn.c_proj = Conv1D(D, 3 * D), Conv1D(D, D)
        self.mlp.c_fc, self.mlp.c_proj = Conv1D(D, 4 * D), Conv1D(4 * D, D)

    def forward(self, x):
        b, s, _ = x.shape
        q, k, v = (t.view(b, s, H, D // H).transpose(1, 2) for t in self.attn.c_attn(self.ln_1(x)).split(D, -1))
        scores = (q @ k.transpose(-1, -2) / (D // H) ** 0.5).masked_fill(~torch.ones(s, s).tril().bool(), -torch.inf)
        x = x + self.attn.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, s, D))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = nn.Module()
        self.transformer.wte, self.transformer.wpe = nn.Embedding(V, D), nn.Embedding(T, D)
        self.transformer.h = nn.ModuleList(Block() for _ in range(L))
        self.transformer.ln_f = nn.LayerNorm(D)

    def forward(self, ids):
        t = self.transformer
        x = t.wte(ids) + t.wpe(torch.arange(ids.shape[1]))
        for block in t.h:
            x = block(x)
        return t.ln_f(x)[:, -1] @ t.wte.weight.T


net = rounded(seeded(GPT2()))
ids = torch.randint(0, V, (2, 9), generator=torch.Generator().manual_seed(2))
save_case("gpt2", "gpt2.nac", net.state_dict(), {"ids": ids}, {"logits": net(ids)}, model="GPT2", entry="prefill",
          set=f"L={L},D={D},H={H},V={V},T={T}", parameters=124439808, full="")
