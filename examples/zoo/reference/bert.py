#!/usr/bin/env python3
"""BERT after Hugging Face's BertModel; the second text is padded."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded

L, D, H, WIDE, V, T = 2, 16, 2, 24, 40, 12


def tree(**modules):
    return nn.ModuleDict(modules)


def block():
    attention = tree(self=tree(query=nn.Linear(D, D), key=nn.Linear(D, D), value=nn.Linear(D, D)),
                     output=tree(dense=nn.Linear(D, D), LayerNorm=nn.LayerNorm(D, 1e-12)))
    return tree(attention=attention, intermediate=tree(dense=nn.Linear(D, WIDE)),
                output=tree(dense=nn.Linear(WIDE, D), LayerNorm=nn.LayerNorm(D, 1e-12)))


class BERT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = tree(word_embeddings=nn.Embedding(V, D), position_embeddings=nn.Embedding(T, D),
                               token_type_embeddings=nn.Embedding(2, D), LayerNorm=nn.LayerNorm(D, 1e-12))
        self.encoder = tree(layer=nn.ModuleList(block() for _ in range(L)))
        self.pooler = tree(dense=nn.Linear(D, D))

    def forward(self, ids, kinds, mask):
        e, (b, s) = self.embeddings, ids.shape
        x = e["LayerNorm"](e["word_embeddings"](ids) + e["position_embeddings"](torch.arange(s))
                           + e["token_type_embeddings"](kinds))
        for layer in self.encoder["layer"]:
            a = layer["attention"]
            q, k, v = (a["self"][n](x).view(b, s, H, D // H).transpose(1, 2) for n in ("query", "key", "value"))
            scores = q @ k.transpose(-1, -2) / (D // H) ** 0.5
            scores = scores.masked_fill(mask[:, None, None, :] == 0, torch.finfo(torch.float32).min)
            y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, s, D)
            x = a["output"]["LayerNorm"](x + a["output"]["dense"](y))
            y = layer["output"]["dense"](F.gelu(layer["intermediate"]["dense"](x)))
            x = layer["output"]["LayerNorm"](x + y)
        return x, torch.tanh(self.pooler["dense"](x[:, 0]))


net = rounded(seeded(BERT()))
g = torch.Generator().manual_seed(2)
ids, kinds = torch.randint(0, V, (2, 9), generator=g), torch.randint(0, 2, (2, 9), generator=g)
mask = torch.ones(2, 9, dtype=torch.long)
mask[1, 6:] = 0
hidden, pooled = net(ids, kinds, mask)
save_case("bert", "bert.nac", net.state_dict(), {"input_ids": ids, "token_type_ids": kinds, "attention_mask": mask},
          {"last_hidden_state": hidden, "pooler_output": pooled}, model="BERT", entry="encode",
          set=f"L={L},D={D},H={H},F={WIDE},V={V},T={T}", parameters=109482240, full="")
