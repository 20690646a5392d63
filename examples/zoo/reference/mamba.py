#!/usr/bin/env python3
"""Mamba after Hugging Face's MambaForCausalLM (its slow path: the scan written out)."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded
from decoders import Norm

L, D, N, K, V = 2, 24, 4, 4, 40
E, R = 2 * D, (D + 15) // 16


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(D, 2 * E, False), nn.Linear(E, D, False)
        self.conv1d = nn.Conv1d(E, E, K, groups=E, padding=K - 1)
        self.x_proj, self.dt_proj = nn.Linear(E, R + 2 * N, False), nn.Linear(R, E)
        self.A_log, self.D = nn.Parameter(torch.zeros(E, N)), nn.Parameter(torch.ones(E))

    def forward(self, u):
        s = u.shape[1]
        x, z = self.in_proj(u).transpose(1, 2).chunk(2, 1)
        x = F.silu(self.conv1d(x)[..., :s])
        dt, b, c = self.x_proj(x.transpose(1, 2)).split([R, N, N], -1)
        dt, a = F.softplus(self.dt_proj(dt)), -torch.exp(self.A_log)
        h, ys = torch.zeros(u.shape[0], E, N).double(), []
        for t in range(s):
            h = torch.exp(dt[:, t, :, None] * a) * h + dt[:, t, :, None] * b[:, t, None, :] * x[:, :, t, None]
            ys.append((h * c[:, t, None, :]).sum(-1))
        y = torch.stack(ys, -1) + x * self.D[:, None]
        return self.out_proj((y * F.silu(z)).transpose(1, 2))


net = nn.Module()
net.backbone = nn.ModuleDict({
    "embeddings": nn.Embedding(V, D), "norm_f": Norm(D, 1e-5),
    "layers": nn.ModuleList(nn.ModuleDict({"norm": Norm(D, 1e-5), "mixer": Mixer()}) for _ in range(L))})
net = rounded(seeded(net))
ids = torch.randint(0, V, (2, 7), generator=torch.Generator().manual_seed(2))
x = net.backbone["embeddings"](ids)
for layer in net.backbone["layers"]:
    x = x + layer["mixer"](layer["norm"](x))
logits = net.backbone["norm_f"](x)[:, -1] @ net.backbone["embeddings"].weight.T
save_case("mamba", "mamba.nac", net.state_dict(), {"ids": ids}, {"logits": logits}, model="Mamba", entry="prefill",
          set=f"L={L},D={D},N={N},K={K},V={V}", parameters=129135360, full="")
