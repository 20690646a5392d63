#!/usr/bin/env python3
"""R3D-18 by torchvision's blocks, two channels wide."""
import torch
from torch import nn
from torchvision.models.video import r3d_18
from torchvision.models.video.resnet import BasicBlock, BasicStem, Conv3DSimple, VideoResNet

from common import rounded, save_case, seeded

BLOCKS, WIDTH = [1, 2, 1, 1], 2
net = VideoResNet(BasicBlock, [Conv3DSimple] * 4, BLOCKS, BasicStem, num_classes=5)
net.inplanes = WIDTH
net.stem[0] = nn.Conv3d(3, WIDTH, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
net.stem[1] = nn.BatchNorm3d(WIDTH)
for i, n in enumerate(BLOCKS):
    setattr(net, f"layer{i + 1}", net._make_layer(BasicBlock, Conv3DSimple, WIDTH << i, n, stride=1 if i == 0 else 2))
net.fc = nn.Linear(WIDTH << 3, 5)
net = rounded(seeded(net))
video = torch.randn(1, 3, 5, 33, 37, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
save_case("resnet3d", "resnet3d.nac", net.state_dict(), {"video": video}, {"logits": net(video)},
          model="R3D18", entry="classify", set=f"blocks={BLOCKS},width={WIDTH},classes=5".replace(" ", ""),
          parameters=sum(p.numel() for p in r3d_18().parameters()), full="")
