#!/usr/bin/env python3
"""MobileNetV2 by torchvision, at a tenth of the width."""
import torch
from torchvision.models import mobilenet_v2

from common import rounded, save_case, seeded

SETTING = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2]]
net = rounded(seeded(mobilenet_v2(width_mult=0.25, num_classes=5, inverted_residual_setting=SETTING)))
images = torch.randn(2, 3, 33, 41, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
save_case("mobilenet_v2", "mobilenet_v2.nac", net.state_dict(), {"images": images}, {"logits": net(images)},
          model="MobileNetV2", entry="classify", set="width=0.25,classes=5,settings=[(1,16,1,1),(6,24,2,2),(6,32,2,2)]",
          parameters=sum(p.numel() for p in mobilenet_v2().parameters()), full="")
