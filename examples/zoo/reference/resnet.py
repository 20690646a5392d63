#!/usr/bin/env python3
"""ResNet-18 and ResNet-50 by torchvision's blocks, four channels wide."""
import torch
from torch import nn
from torchvision.models import resnet

from common import rounded, save_case, seeded


def tiny(block, blocks, width, classes):
    net = resnet.ResNet(block, blocks, num_classes=classes)
    net.inplanes = width
    net.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
    net.bn1 = nn.BatchNorm2d(width)
    for i, n in enumerate(blocks):
        layer = net._make_layer(block, width << i, n, stride=1 if i == 0 else 2)
        setattr(net, f"layer{i + 1}", layer)
    net.fc = nn.Linear((width << 3) * block.expansion, classes)
    return net


CASES = [("resnet18", "ResNet18", resnet.BasicBlock, [1, 2, 1, 1], 4, resnet.resnet18),
         ("resnet50", "ResNet50", resnet.Bottleneck, [1, 2, 1, 1], 2, resnet.resnet50)]
for name, model, block, blocks, width, full in CASES:
    net = rounded(seeded(tiny(block, blocks, width, 10)))
    images = torch.randn(2, 3, 37, 45, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
    save_case(name, "resnet.nac", net.state_dict(), {"images": images}, {"logits": net(images)}, model=model,
              entry="classify", set=f"blocks={blocks},width={width},classes=10".replace(" ", ""),
              parameters=sum(p.numel() for p in full().parameters()), full="")
