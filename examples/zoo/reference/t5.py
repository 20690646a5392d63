#!/usr/bin/env python3
"""T5 after Hugging Face's T5ForConditionalGeneration, the first version and 1.1."""
import math

import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded
from decoders import Norm

L, D, H, DH, WIDE, V = 2, 16, 2, 6, 24, 40


def bucket(relative, both):
    """_relative_position_bucket, with 32 buckets and distances to 128."""
    n, found = 32, 0
    if both:
        n //= 2
        found = found + (relative > 0).long() * n
        r = relative.abs()
    else:
        r = -relative.clamp(max=0)
    e = n // 2
    far = e + (torch.log(r.float().clamp(min=1) / e) / math.log(128 / e) * (n - e)).long()
    return found + torch.where(r < e, r, far.clamp(max=n - 1))


class Attention(nn.Module):
    def __init__(self, biased=False):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, H * DH, False) for _ in range(3))
        self.o = nn.Linear(H * DH, D, False)
        if biased:
            self.relative_attention_bias = nn.Embedding(32, H)

    def bias(self, s, both):
        at = torch.arange(s)
        return self.relative_attention_bias(bucket(at[None] - at[:, None], both)).permute(2, 0, 1)

    def forward(self, x, y, bias=0, causal=False):
        q, k, v = (p(t).view(t.shape[0], t.shape[1], H, DH).transpose(1, 2) for p, t in ((self.q, x), (self.k, y), (self.v, y)))
        scores = q @ k.transpose(-1, -2) + bias
        if causal:
            scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), -torch.inf)
        return self.o((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, gated):
        super().__init__()
        self.gated = gated
        if gated:
            self.wi_0, self.wi_1 = nn.Linear(D, WIDE, False), nn.Linear(D, WIDE, False)
        else:
            self.wi = nn.Linear(D, WIDE, False)
        self.wo = nn.Linear(WIDE, D, False)

    def forward(self, x):
        return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x) if self.gated else F.relu(self.wi(x)))


def part(**modules):
    m = nn.Module()
    for name, module in modules.items():
        setattr(m, name, module)
    m.layer_norm = Norm(D, 1e-6)
    return m


def stack(gated, decoder):
    blocks = []
    for i in range(L):
        layers = [part(SelfAttention=Attention(i == 0))]
        if decoder:
            layers.append(part(EncDecAttention=Attention()))
        blocks.append(nn.ModuleDict({"layer": nn.ModuleList(layers + [part(DenseReluDense=FeedForward(gated))])}))
    s = nn.Module()
    s.block, s.final_layer_norm = nn.ModuleList(blocks), Norm(D, 1e-6)
    return s


class T5(nn.Module):
    def __init__(self, gated):
        super().__init__()
        self.gated, self.shared = gated, nn.Embedding(V, D)
        self.encoder, self.decoder = stack(gated, False), stack(gated, True)
        if gated:
            self.lm_head = nn.Linear(D, V, False)

    def run(self, stack, x, source=None):
        bias = stack.block[0]["layer"][0].SelfAttention.bias(x.shape[1], source is None)
        for block in stack.block:
            for p in block["layer"]:
                y = p.layer_norm(x)
                if hasattr(p, "SelfAttention"):
                    x = x + p.SelfAttention(y, y, bias, source is not None)
                elif hasattr(p, "EncDecAttention"):
                    x = x + p.EncDecAttention(y, source)
                else:
                    x = x + p.DenseReluDense(y)
        return stack.final_layer_norm(x)

    def forward(self, ids, decoder_ids):
        y = self.run(self.decoder, self.shared(decoder_ids), self.run(self.encoder, self.shared(ids)))
        return self.lm_head(y) if self.gated else (y * D ** -0.5) @ self.shared.weight.T


SIZES = f"L={L},D={D},H={H},Dh={DH},F={WIDE},V={V}"
for name, gated, parameters, full, settings in (("t5", False, 60506624, "", SIZES),
                                                ("t5_v1_1", True, 76961152, "gated=true,L=8,H=6,F=1024", SIZES + ",gated=true")):
    net = rounded(seeded(T5(gated)))
    g = torch.Generator().manual_seed(2)
    ids, decoder_ids = torch.randint(0, V, (2, 19), generator=g), torch.randint(0, V, (2, 21), generator=g)
    save_case(name, "t5.nac", net.state_dict(), {"input_ids": ids, "decoder_input_ids": decoder_ids},
              {"logits": net(ids, decoder_ids)}, model="T5", entry="forward", set=settings, parameters=parameters, full=full)
