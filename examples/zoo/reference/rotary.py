#!/usr/bin/env python3
"""Scaled rotary positions as Hugging Face's modeling_rope_utils computes them, in double, and their cases for tests/zoo."""
import math

import torch

from common import save_case


def default(d, base):
    return base ** (-torch.arange(0, d, 2).double() / d)


def linear(d, base, factor):
    return default(d, base) / factor


def dynamic(d, base, factor, original, length):
    if length > original:
        base = base * (factor * length / original - (factor - 1)) ** (d / (d - 2))
    return default(d, base)


def llama3(d, base, factor, original, low=1.0, high=4.0):
    f = default(d, base)
    wavelength = 2 * math.pi / f
    smooth = (original / wavelength - low) / (high - low)
    between = (1 - smooth) * f / factor + smooth * f
    scaled = torch.where(wavelength > original / low, f / factor, f)
    is_between = ~(wavelength < original / high) & ~(wavelength > original / low)
    return torch.where(is_between, between, scaled)


def yarn(d, base, factor, original, fast=32, slow=1):
    def dim(turns):
        return d * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
    low, high = max(math.floor(dim(fast)), 0), min(math.ceil(dim(slow)), d - 1)
    if low == high:
        high += 0.001
    extrapolated = 1 - ((torch.arange(d // 2).double() - low) / (high - low)).clamp(0, 1)
    f = default(d, base)
    return f / factor * (1 - extrapolated) + f * extrapolated


def yarn_mscale(factor, mscale=1.0):
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1


def rotate(x, freqs, interleaved=False):
    """x: [.., S, D]; pairs are the two halves of a head, or neighbours."""
    angle = torch.arange(x.shape[-2]).double()[:, None] * freqs
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
    y, z = a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()
    return torch.stack([y, z], -1).flatten(-2) if interleaved else torch.cat([y, z], -1)


if __name__ == "__main__":
    x = torch.randn(2, 40, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1)).float().double()
    ways = {
        "linear": (linear(16, 10000.0, 4.0), 1),
        "llama3": (llama3(16, 500.0, 8.0, 256), 1),
        "yarn": (yarn(16, 10000.0, 40.0, 4096), yarn_mscale(40.0, 0.707)),
        "dynamic": (dynamic(16, 10000.0, 2.0, 10, 40), 1),
        "short": (dynamic(16, 10000.0, 2.0, 64, 40), 1),
    }
    for name, (freqs, m) in ways.items():
        save_case("rope_" + name, "../../tests/zoo/Inputs/rope.nac", {}, {"x": x},
                  {"halves": rotate(x, freqs) * m, "neighbours": rotate(x, freqs, True) * m}, model="", entry=name,
                  set="", parameters=0, full="")
