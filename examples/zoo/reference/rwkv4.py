#!/usr/bin/env python3
"""RWKV-4 after Hugging Face's RwkvForCausalLM, with its sums as the paper's equations have them, unscaled."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded

L, D, V = 3, 16, 40


class Part(nn.Module):
    def mixed(self, x, use):
        share = getattr(self, "time_mix_" + use)
        return x * share + F.pad(x, (0, 0, 1, -1)) * (1 - share)


class Attention(Part):
    def __init__(self):
        super().__init__()
        self.time_decay, self.time_first = nn.Parameter(torch.zeros(D)), nn.Parameter(torch.zeros(D))
        for use in ("key", "value", "receptance"):
            setattr(self, "time_mix_" + use, nn.Parameter(torch.ones(1, 1, D)))
            setattr(self, use, nn.Linear(D, D, bias=False))
        self.output = nn.Linear(D, D, bias=False)

    def forward(self, x):
        k, v, r = (getattr(self, use)(self.mixed(x, use)) for use in ("key", "value", "receptance"))
        fade, ys = torch.exp(-torch.exp(self.time_decay)), []
        num = den = torch.zeros(x.shape[0], D).double()
        for t in range(x.shape[1]):
            own, new = torch.exp(self.time_first + k[:, t]), torch.exp(k[:, t])
            ys.append((num + own * v[:, t]) / (den + own))
            num, den = fade * num + new * v[:, t], fade * den + new
        return self.output(torch.sigmoid(r) * torch.stack(ys, 1))


class FeedForward(Part):
    def __init__(self):
        super().__init__()
        self.time_mix_key, self.time_mix_receptance = nn.Parameter(torch.ones(1, 1, D)), nn.Parameter(torch.ones(1, 1, D))
        self.key, self.value = nn.Linear(D, 4 * D, bias=False), nn.Linear(4 * D, D, bias=False)
        self.receptance = nn.Linear(D, D, bias=False)

    def forward(self, x):
        value = self.value(torch.square(torch.relu(self.key(self.mixed(x, "key")))))
        return torch.sigmoid(self.receptance(self.mixed(x, "receptance"))) * value


def block(i):
    parts = {"ln1": nn.LayerNorm(D), "ln2": nn.LayerNorm(D), "attention": Attention(), "feed_forward": FeedForward()}
    return nn.ModuleDict({**parts, "pre_ln": nn.LayerNorm(D)} if i == 0 else parts)


net = nn.ModuleDict({
    "rwkv": nn.ModuleDict({"embeddings": nn.Embedding(V, D), "ln_out": nn.LayerNorm(D),
                           "blocks": nn.ModuleList(block(i) for i in range(L))}),
    "head": nn.Linear(D, V, bias=False)})
net = rounded(seeded(net))
ids = torch.randint(0, V, (2, 9), generator=torch.Generator().manual_seed(2))
x = net["rwkv"]["blocks"][0]["pre_ln"](net["rwkv"]["embeddings"](ids))
for part in net["rwkv"]["blocks"]:
    x = x + part["attention"](part["ln1"](x))
    x = x + part["feed_forward"](part["ln2"](x))
logits = net["head"](net["rwkv"]["ln_out"](x)[:, -1])
save_case("rwkv4", "rwkv4.nac", net.state_dict(), {"ids": ids}, {"logits": logits}, model="", entry="prefill",
          set=f"L={L},D={D},V={V}", parameters=169342464, full="")
