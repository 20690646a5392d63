#!/usr/bin/env python3
"""Whisper after Hugging Face's WhisperForConditionalGeneration, without a cache."""
import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded

L, D, H, WIDE, V, MELS, M, T = 2, 16, 2, 24, 40, 5, 10, 8


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(D, D), nn.Linear(D, D, False), nn.Linear(D, D)
        self.out_proj = nn.Linear(D, D)

    def forward(self, x, y, causal=False):
        q, k, v = (p(t).view(t.shape[0], t.shape[1], H, D // H).transpose(1, 2)
                   for p, t in ((self.q_proj, x), (self.k_proj, y), (self.v_proj, y)))
        scores = q @ k.transpose(-1, -2) * (D // H) ** -0.5
        if causal:
            scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), -torch.inf)
        return self.out_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, decoder):
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = Attention(), nn.LayerNorm(D)
        if decoder:
            self.encoder_attn, self.encoder_attn_layer_norm = Attention(), nn.LayerNorm(D)
        self.fc1, self.fc2, self.final_layer_norm = nn.Linear(D, WIDE), nn.Linear(WIDE, D), nn.LayerNorm(D)

    def forward(self, x, sound=None):
        y = self.self_attn_layer_norm(x)
        x = x + self.self_attn(y, y, sound is not None)
        if sound is not None:
            x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), sound)
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


def layers(decoder):
    return nn.ModuleList(Layer(decoder) for _ in range(L))


net = nn.Module()
net.model = nn.ModuleDict({
    "encoder": nn.ModuleDict({"conv1": nn.Conv1d(MELS, D, 3, padding=1), "conv2": nn.Conv1d(D, D, 3, 2, 1),
                              "embed_positions": nn.Embedding(M, D), "layers": layers(False), "layer_norm": nn.LayerNorm(D)}),
    "decoder": nn.ModuleDict({"embed_tokens": nn.Embedding(V, D), "embed_positions": nn.Embedding(T, D),
                              "layers": layers(True), "layer_norm": nn.LayerNorm(D)})})
net = rounded(seeded(net))
g = torch.Generator().manual_seed(2)
sound = torch.randn(2, MELS, 2 * M, generator=g).double()
ids = torch.randint(0, V, (2, 7), generator=g)
e, d = net.model["encoder"], net.model["decoder"]
y = F.gelu(e["conv2"](F.gelu(e["conv1"](sound)))).transpose(1, 2) + e["embed_positions"].weight
for layer in e["layers"]:
    y = layer(y)
y = e["layer_norm"](y)
x = d["embed_tokens"](ids) + d["embed_positions"].weight[:7]
for layer in d["layers"]:
    x = layer(x, y)
logits = d["layer_norm"](x) @ d["embed_tokens"].weight.T
save_case("whisper", "whisper.nac", net.state_dict(), {"input_features": sound, "decoder_input_ids": ids},
          {"logits": logits}, model="Whisper", entry="forward",
          set=f"L={L},D={D},H={H},F={WIDE},V={V},mels={MELS},M={M},T={T}", parameters=37760640, full="")
