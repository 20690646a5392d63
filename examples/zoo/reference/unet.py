#!/usr/bin/env python3
"""U-Net as Ronneberger et al. drew it, two channels wide, on an image of 188 pixels."""
import torch
from torch import nn

from common import rounded, save_case, seeded


def double(c, k):
    return nn.Sequential(nn.Conv2d(c, k, 3), nn.ReLU(), nn.Conv2d(k, k, 3), nn.ReLU())


class Up(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.up = nn.ConvTranspose2d(c, c // 2, 2, 2)
        self.conv = double(c, c // 2)

    def forward(self, x, skip):
        x = self.up(x)
        top, left = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[3]) // 2
        skip = skip[:, :, top:top + x.shape[2], left:left + x.shape[3]]
        return self.conv(torch.cat([skip, x], 1))


class UNet(nn.Module):
    def __init__(self, w=64, channels=1, classes=2):
        super().__init__()
        self.down = nn.ModuleList([double(channels if i == 0 else w << i - 1, w << i) for i in range(5)])
        self.up = nn.ModuleList([Up(w << 4 - i) for i in range(4)])
        self.last = nn.Conv2d(w, classes, 1)

    def forward(self, x):
        skips = []
        for i, down in enumerate(self.down):
            x = down(x if i == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        for up, skip in zip(self.up, skips[-2::-1]):
            x = up(x, skip)
        return self.last(x)


net = rounded(seeded(UNet(w=1)))
images = torch.randn(1, 1, 188, 188, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
save_case("unet", "unet.nac", net.state_dict(), {"images": images}, {"logits": net(images)}, model="UNet",
          entry="segment", set="width=1", parameters=sum(p.numel() for p in UNet().parameters()), full="")
