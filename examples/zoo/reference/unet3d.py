#!/usr/bin/env python3
"""The 3-D U-Net of Çiçek et al., padded, two channels wide."""
import torch
from torch import nn

from common import rounded, save_case, seeded


def double(c, m, k):
    return nn.Sequential(nn.Conv3d(c, m, 3, padding=1), nn.BatchNorm3d(m), nn.ReLU(),
                         nn.Conv3d(m, k, 3, padding=1), nn.BatchNorm3d(k), nn.ReLU())


class Up(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.up = nn.ConvTranspose3d(c, c, 2, 2, bias=False)
        self.conv = double(c + c // 2, c // 2, c // 2)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.up(x)], 1))


class UNet3D(nn.Module):
    def __init__(self, w=32, channels=3, classes=3):
        super().__init__()
        self.down = nn.ModuleList([double(channels if i == 0 else w << i, w << i, w << i + 1) for i in range(4)])
        self.up = nn.ModuleList([Up(w << 4 - i) for i in range(3)])
        self.last = nn.Conv3d(2 * w, classes, 1)

    def forward(self, x):
        skips = []
        for i, down in enumerate(self.down):
            x = down(x if i == 0 else nn.functional.max_pool3d(x, 2))
            skips.append(x)
        for up, skip in zip(self.up, skips[-2::-1]):
            x = up(x, skip)
        return self.last(x)


net = rounded(seeded(UNet3D(w=1)))
volumes = torch.randn(1, 3, 8, 16, 24, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
save_case("unet3d", "unet3d.nac", net.state_dict(), {"volumes": volumes}, {"logits": net(volumes)}, model="UNet3D",
          entry="segment", set="width=1", parameters=sum(p.numel() for p in UNet3D().parameters()), full="")
