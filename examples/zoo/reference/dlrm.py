#!/usr/bin/env python3
"""DLRM after facebookresearch/dlrm (dlrm_s_pytorch.py): interaction by dot products, one index a table."""
import torch
from torch import nn

from common import rounded, save_case, seeded

ROWS, BOTTOM, TOP = [7, 5, 9], [4, 8, 6], [10, 1]
# The counts of the Kaggle data set: 33,762,577 rows of 16 numbers, and the perceptrons 13-512-256-64-16 and 367-512-256-1.
FULL_BOTTOM, FULL_TOP = [13, 512, 256, 64, 16], [367, 512, 256, 1]
FULL = 33762577 * 16 + sum((a + 1) * b for w in (FULL_BOTTOM, FULL_TOP) for a, b in zip(w, w[1:]))


def perceptron(width, last):
    layers = []
    for a, b in zip(width, width[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1], last)


class DLRM(nn.Module):
    def __init__(self):
        super().__init__()
        n = len(ROWS) + 1
        self.bot_l = perceptron(BOTTOM, nn.ReLU())
        self.emb_l = nn.ModuleList(nn.EmbeddingBag(rows, BOTTOM[-1], mode="sum") for rows in ROWS)
        self.top_l = perceptron([BOTTOM[-1] + n * (n - 1) // 2] + TOP, nn.Sigmoid())

    def forward(self, dense, categories):
        x = self.bot_l(dense)
        v = torch.stack([x] + [e(categories[:, t:t + 1]) for t, e in enumerate(self.emb_l)], 1)
        z = torch.bmm(v, v.transpose(1, 2))
        i, j = zip(*[(i, j) for i in range(v.shape[1]) for j in range(i)])
        return self.top_l(torch.cat([x, z[:, list(i), list(j)]], 1))


net = rounded(seeded(DLRM()))
g = torch.Generator().manual_seed(2)
dense = torch.randn(5, BOTTOM[0], generator=g).double()
categories = torch.stack([torch.randint(0, rows, (5,), generator=g) for rows in ROWS], 1)
save_case("dlrm", "dlrm.nac", net.state_dict(), {"dense": dense, "categories": categories},
          {"click": net(dense, categories)}, model="DLRM", entry="predict",
          set=f"rows={ROWS},bottom={BOTTOM},top={TOP}".replace(" ", ""), parameters=FULL, full="")
