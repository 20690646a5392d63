#!/usr/bin/env python3
"""CLIP after Hugging Face's CLIPModel."""
import torch
from torch import nn

from common import rounded, save_case, seeded

IMAGE, P, L, DV, HV, DT, HT, V, T, D = 8, 4, 2, 16, 2, 12, 3, 40, 9, 10


class Layer(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.self_attn = nn.ModuleDict({n: nn.Linear(d, d) for n in ("k_proj", "v_proj", "q_proj", "out_proj")})
        self.layer_norm1, self.layer_norm2, self.h = nn.LayerNorm(d), nn.LayerNorm(d), h
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(d, 4 * d), "fc2": nn.Linear(4 * d, d)})

    def forward(self, x, causal=False):
        b, s, d = x.shape
        y = self.layer_norm1(x)
        q, k, v = (self.self_attn[n](y).view(b, s, self.h, d // self.h).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
        scores = q @ k.transpose(-1, -2) * (d // self.h) ** -0.5
        if causal:
            scores = scores.masked_fill(~torch.ones(s, s).tril().bool(), -torch.inf)
        x = x + self.self_attn["out_proj"]((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, s, d))
        y = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](y * torch.sigmoid(1.702 * y))


class Places(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def encoder(d, h):
    return nn.ModuleDict({"layers": nn.ModuleList(Layer(d, h) for _ in range(L))})


net = nn.Module()
net.vision_model = nn.ModuleDict({
    "embeddings": Places(class_embedding=nn.Parameter(torch.zeros(DV)), patch_embedding=nn.Conv2d(3, DV, P, P, bias=False),
                         position_embedding=nn.Embedding((IMAGE // P) ** 2 + 1, DV)),
    "pre_layrnorm": nn.LayerNorm(DV), "encoder": encoder(DV, HV), "post_layernorm": nn.LayerNorm(DV)})
net.text_model = nn.ModuleDict({
    "embeddings": Places(token_embedding=nn.Embedding(V, DT), position_embedding=nn.Embedding(T, DT)),
    "encoder": encoder(DT, HT), "final_layer_norm": nn.LayerNorm(DT)})
net.visual_projection, net.text_projection = nn.Linear(DV, D, False), nn.Linear(DT, D, False)
net.logit_scale = nn.Parameter(torch.tensor(0.0))
net = rounded(seeded(net))
g = torch.Generator().manual_seed(2)
images = torch.randn(3, 3, IMAGE, IMAGE, generator=g).double()
ids = torch.stack([torch.randperm(V, generator=g)[:7] for _ in range(2)])
v, t = net.vision_model, net.text_model
x = v["embeddings"].patch_embedding(images).flatten(2).transpose(1, 2)
x = torch.cat([v["embeddings"].class_embedding.expand(3, 1, DV), x], 1) + v["embeddings"].position_embedding.weight
x = v["pre_layrnorm"](x)
for layer in v["encoder"]["layers"]:
    x = layer(x)
x = net.visual_projection(v["post_layernorm"](x[:, 0]))
y = t["embeddings"].token_embedding(ids) + t["embeddings"].position_embedding.weight[:7]
for layer in t["encoder"]["layers"]:
    y = layer(y, True)
y = net.text_projection(t["final_layer_norm"](y)[torch.arange(2), ids.argmax(-1)])
x, y = x / x.norm(dim=-1, keepdim=True), y / y.norm(dim=-1, keepdim=True)
save_case("clip", "clip.nac", net.state_dict(), {"pixel_values": images, "input_ids": ids},
          {"logits_per_image": x @ y.T * net.logit_scale.exp()}, model="CLIP", entry="compare",
          set=f"image={IMAGE},P={P},LV={L},DV={DV},HV={HV},LT={L},DT={DT},HT={HT},V={V},T={T},D={D}", parameters=151277313, full="")
