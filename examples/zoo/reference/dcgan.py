#!/usr/bin/env python3
"""DCGAN's generator and discriminator as in PyTorch's tutorial, two channels wide."""
import torch
from torch import nn

from common import rounded, save_case, seeded


class Net(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x)


def generator(nz, w, nc):
    def up(a, b, stride, padding):
        return [nn.ConvTranspose2d(a, b, 4, stride, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return Net(*up(nz, 8 * w, 1, 0), *up(8 * w, 4 * w, 2, 1), *up(4 * w, 2 * w, 2, 1), *up(2 * w, w, 2, 1),
               nn.ConvTranspose2d(w, nc, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(w, nc):
    def down(a, b):
        return [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    return Net(nn.Conv2d(nc, w, 4, 2, 1, bias=False), nn.LeakyReLU(0.2), *down(w, 2 * w), *down(2 * w, 4 * w),
               *down(4 * w, 8 * w), nn.Conv2d(8 * w, 1, 4, 1, 0, bias=False), nn.Sigmoid())


def random(*shape):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()


def parameters(net):
    return sum(p.numel() for p in net.parameters())


net, z = rounded(seeded(generator(5, 2, 3))), random(1, 5, 1, 1)
save_case("dcgan_generator", "dcgan.nac", net.state_dict(), {"z": z}, {"images": net(z)}, model="Generator",
          entry="generate", set="noise=5,width=2", parameters=parameters(generator(100, 64, 3)), full="")
net, images = rounded(seeded(discriminator(2, 3))), random(1, 3, 64, 64)
save_case("dcgan_discriminator", "dcgan.nac", net.state_dict(), {"images": images}, {"real": net(images)},
          model="Discriminator", entry="judge", set="width=2", parameters=parameters(discriminator(64, 3)), full="")
