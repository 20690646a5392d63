#!/usr/bin/env python3
"""TabNet after its paper (Arik and Pfister 2019, figure 4), with the names of pytorch_tabnet."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded

C, CLASSES, D, A, STEPS, GAMMA = 10, 3, 5, 4, 3, 1.5


def sparsemax(x):
    """By bisection of the threshold for which the result sums to one."""
    low, high = x.max(-1, keepdim=True)[0] - 1, x.max(-1, keepdim=True)[0]
    for _ in range(100):
        middle = (low + high) / 2
        too_much = F.relu(x - middle).sum(-1, keepdim=True) > 1
        low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
    return F.relu(x - low)


def wrapped(name, module):
    m = nn.Module()
    setattr(m, name, module)
    return m


class Block(nn.Module):
    def __init__(self, shared=None):
        super().__init__()
        self.shared_layers = shared
        self.glu_layers = nn.ModuleList()
        for i in range(2):
            layer = wrapped("fc", shared[i] if shared else nn.Linear(D + A, 2 * (D + A), False))
            layer.bn = wrapped("bn", nn.BatchNorm1d(2 * (D + A)))
            self.glu_layers.append(layer)

    def forward(self, x):
        for i, layer in enumerate(self.glu_layers):
            y = F.glu(layer.bn.bn(layer.fc(x)), -1)
            x = y if i == 0 and self.shared_layers else (x + y) * 0.5 ** 0.5
        return x


class TabNet(nn.Module):
    def __init__(self):
        super().__init__()
        shared = nn.ModuleList([nn.Linear(C, 2 * (D + A), False), nn.Linear(D + A, 2 * (D + A), False)])
        feature = lambda: nn.ModuleDict({"shared": Block(shared), "specifics": Block()})
        e = nn.Module()
        e.initial_bn, e.initial_splitter = nn.BatchNorm1d(C), feature()
        e.feat_transformers = nn.ModuleList(feature() for _ in range(STEPS))
        e.att_transformers = nn.ModuleList()
        for _ in range(STEPS):
            attention = wrapped("fc", nn.Linear(A, C, False))
            attention.bn = wrapped("bn", nn.BatchNorm1d(C))
            e.att_transformers.append(attention)
        self.tabnet = wrapped("encoder", e)
        self.tabnet.initial_bn, self.tabnet.final_mapping = nn.BatchNorm1d(C), nn.Linear(D, CLASSES, False)

    def forward(self, x):
        e = self.tabnet.encoder
        x = e.initial_bn(x)
        run = lambda m, x: m["specifics"](m["shared"](x))
        prior, y, importance = torch.ones_like(x), 0, 0
        a = run(e.initial_splitter, x)[:, D:]
        for feature, attention in zip(e.feat_transformers, e.att_transformers):
            mask = sparsemax(attention.bn.bn(attention.fc(a)) * prior)
            prior = prior * (GAMMA - mask)
            z = run(feature, mask * x)
            d = F.relu(z[:, :D])
            y, importance, a = y + d, importance + mask * d.sum(-1, keepdim=True), z[:, D:]
        return self.tabnet.final_mapping(y), importance


net = rounded(seeded(TabNet()))
x = torch.randn(7, C, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
logits, importance = net(x)
if __name__ == "__main__":
    save_case("tabnet", "tabnet.nac", net.state_dict(), {"x": x}, {"logits": logits, "importance": importance}, model="TabNet",
              entry="classify", set=f"C={C},classes={CLASSES},D={D},A={A},steps={STEPS},gamma={GAMMA}", parameters=470472, full="")
