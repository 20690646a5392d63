#!/usr/bin/env python3
"""Mamba-2 after Hugging Face's Mamba2ForCausalLM, its recurrence written out: the chunks must give the same."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded
from decoders import Norm

L, D, P, N, G, K, V = 2, 16, 8, 4, 2, 4, 40
E = 2 * D
H, W = E // P, E + 2 * G * N


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(D, E + W + H, False), nn.Linear(E, D, False)
        self.conv1d = nn.Conv1d(W, W, K, groups=W, padding=K - 1)
        self.A_log, self.D, self.dt_bias = (nn.Parameter(torch.ones(H)) for _ in range(3))
        self.norm = Norm(E, 1e-5)

    def forward(self, u):
        b, s, _ = u.shape
        z, x, dt = self.in_proj(u).split([E, W, H], -1)
        x = F.silu(self.conv1d(x.transpose(1, 2))[..., :s]).transpose(1, 2)
        x, into, out = x.split([E, G * N, G * N], -1)
        x = x.reshape(b, s, H, P)
        into, out = (t.reshape(b, s, G, N).repeat_interleave(H // G, 2) for t in (into, out))
        dt = F.softplus(dt + self.dt_bias)
        h, ys = torch.zeros(b, H, P, N).double(), []
        for t in range(s):
            h = (torch.exp(-torch.exp(self.A_log) * dt[:, t])[..., None, None] * h
                 + (dt[:, t, :, None] * x[:, t])[..., None] * into[:, t, :, None])
            ys.append((h * out[:, t, :, None]).sum(-1) + self.D[:, None] * x[:, t])
        return self.out_proj(self.norm(torch.stack(ys, 1).reshape(b, s, E) * F.silu(z)))


net = nn.Module()
net.backbone = nn.ModuleDict({
    "embeddings": nn.Embedding(V, D), "norm_f": Norm(D, 1e-5),
    "layers": nn.ModuleList(nn.ModuleDict({"norm": Norm(D, 1e-5), "mixer": Mixer()}) for _ in range(L))})
net = rounded(seeded(net))
ids = torch.randint(0, V, (2, 11), generator=torch.Generator().manual_seed(2))
x = net.backbone["embeddings"](ids)
for layer in net.backbone["layers"]:
    x = x + layer["mixer"](layer["norm"](x))
logits = net.backbone["norm_f"](x)[:, -1] @ net.backbone["embeddings"].weight.T
save_case("mamba2", "mamba2.nac", net.state_dict(), {"ids": ids}, {"logits": logits}, model="", entry="prefill",
          set=f"L={L},D={D},P={P},N={N},G={G},K={K},V={V},Q=4", parameters=128989632, full="")
