#!/usr/bin/env python3
"""The U-Net of Stable Diffusion 1 after diffusers' UNet2DConditionModel: three levels, one resnet each on the way down."""
import math

import torch
from torch import nn
from torch.nn import functional as F

from common import rounded, save_case, seeded

WIDTHS, DEPTH, TEXT, HEADS, GROUPS, CHANNELS = [4, 8, 8], 1, 6, 2, 2, 4
E, LAST = 4 * WIDTHS[0], WIDTHS[-1]


class Resnet(nn.Module):
    def __init__(self, c, k):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, c), nn.GroupNorm(GROUPS, k)
        self.conv1, self.conv2 = nn.Conv2d(c, k, 3, padding=1), nn.Conv2d(k, k, 3, padding=1)
        self.time_emb_proj = nn.Linear(E, k)
        if c != k:
            self.conv_shortcut = nn.Conv2d(c, k, 1)

    def forward(self, x, t):
        h = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(F.silu(t))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Attention(nn.Module):
    def __init__(self, d, c):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(n, d, bias=False) for n in (d, c, c))
        self.to_out = nn.ModuleList([nn.Linear(d, d)])

    def forward(self, x, y):
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (self.to_q(x), self.to_k(y), self.to_v(y)))
        p = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.to_out[0]((p @ v).transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.proj = nn.Linear(d, 8 * d)

    def forward(self, x):
        h, gate = self.proj(x).chunk(2, -1)
        return h * F.gelu(gate)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d) for _ in range(3))
        self.attn1, self.attn2 = Attention(d, d), Attention(d, TEXT)
        self.ff = nn.Module()
        self.ff.net = nn.Sequential(GEGLU(d), nn.Identity(), nn.Linear(4 * d, d))

    def forward(self, x, text):
        n = self.norm1(x)
        x = x + self.attn1(n, n)
        x = x + self.attn2(self.norm2(x), text)
        return x + self.ff.net(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, d, eps=1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(d, d, 1), nn.Conv2d(d, d, 1)
        self.transformer_blocks = nn.ModuleList([Block(d)])

    def forward(self, x, text):
        h = self.transformer_blocks[0](self.proj_in(self.norm(x)).flatten(2).transpose(1, 2), text)
        return x + self.proj_out(h.transpose(1, 2).unflatten(2, x.shape[2:]))


class Resize(nn.Module):
    def __init__(self, c, up):
        super().__init__()
        self.up, self.conv = up, nn.Conv2d(c, c, 3, stride=1 if up else 2, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest") if self.up else x)


class Level(nn.Module):
    def __init__(self, ins, k, words, resize):
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(c, k) for c in ins)
        if words:
            self.attentions = nn.ModuleList(Transformer(k) for _ in ins)
        if resize:
            setattr(self, resize + "samplers", nn.ModuleList([Resize(k, resize == "up")]))

    def step(self, i, x, t, text):
        x = self.resnets[i](x, t)
        return self.attentions[i](x, text) if hasattr(self, "attentions") else x


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        first, n = WIDTHS[0], len(WIDTHS)
        self.time_embedding = nn.ModuleDict({"linear_1": nn.Linear(first, E), "linear_2": nn.Linear(E, E)})
        self.conv_in = nn.Conv2d(CHANNELS, first, 3, padding=1)
        self.down_blocks, self.up_blocks, kept, below = nn.ModuleList(), nn.ModuleList(), [first], first
        for i, k in enumerate(WIDTHS):
            inner = i < n - 1
            self.down_blocks.append(Level([below] + [k] * (DEPTH - 1), k, inner, "down" if inner else ""))
            kept += [k] * (DEPTH + inner)
            below = k
        self.mid_block = nn.ModuleDict({"resnets": nn.ModuleList([Resnet(LAST, LAST), Resnet(LAST, LAST)]),
                                        "attentions": nn.ModuleList([Transformer(LAST)])})
        for i, k in enumerate(reversed(WIDTHS)):
            ins = [(below if j == 0 else k) + kept.pop() for j in range(DEPTH + 1)]
            self.up_blocks.append(Level(ins, k, i > 0, "up" if i < n - 1 else ""))
            below = k
        self.conv_norm_out, self.conv_out = nn.GroupNorm(GROUPS, first), nn.Conv2d(first, CHANNELS, 3, padding=1)

    def forward(self, sample, t, text):
        half = WIDTHS[0] // 2
        angle = t[:, None] * torch.exp(-math.log(10000.0) * torch.arange(half).double() / half)
        t = self.time_embedding["linear_1"](torch.cat([angle.cos(), angle.sin()], -1))
        t = self.time_embedding["linear_2"](F.silu(t))
        x = self.conv_in(sample)
        kept = [x]
        for level in self.down_blocks:
            for j in range(DEPTH):
                x = level.step(j, x, t, text)
                kept.append(x)
            if hasattr(level, "downsamplers"):
                x = level.downsamplers[0](x)
                kept.append(x)
        mid = self.mid_block
        x = mid["resnets"][1](mid["attentions"][0](mid["resnets"][0](x, t), text), t)
        for level in self.up_blocks:
            for j in range(DEPTH + 1):
                x = level.step(j, torch.cat([x, kept.pop()], 1), t, text)
            if hasattr(level, "upsamplers"):
                x = level.upsamplers[0](x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


net = rounded(seeded(UNet()))
g = torch.Generator().manual_seed(2)
sample, text = (torch.randn(*s, generator=g).double() for s in ((2, CHANNELS, 8, 16), (2, 5, TEXT)))
steps = torch.tensor([3.0, 871.0]).double()
widths = ",".join(map(str, WIDTHS))
save_case("sd_unet", "sd_unet.nac", net.state_dict(), {"sample": sample, "t": steps, "text": text},
          {"noise": net(sample, steps, text)}, model="", entry="denoise",
          set=f"widths=[{widths}],depth={DEPTH},C={TEXT},H={HEADS},G={GROUPS},channels={CHANNELS}",
          parameters=859520964, full="")
