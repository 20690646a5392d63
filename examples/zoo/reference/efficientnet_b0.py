#!/usr/bin/env python3
"""EfficientNet-B0 by torchvision, at a quarter of the width and with fewer stages."""
import torch
from torchvision.models import efficientnet_b0
from torchvision.models.efficientnet import EfficientNet, MBConvConfig

from common import rounded, save_case, seeded

STAGES = [(1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 1), (6, 5, 2, 24, 40, 2)]
config = [MBConvConfig(t, k, s, c, d, n, width_mult=0.25) for t, k, s, c, d, n in STAGES]
net = rounded(seeded(EfficientNet(config, dropout=0.2, num_classes=5)))
images = torch.randn(2, 3, 33, 41, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
save_case("efficientnet_b0", "efficientnet_b0.nac", net.state_dict(), {"images": images}, {"logits": net(images)},
          model="EfficientNetB0", entry="classify",
          set="width=0.25,classes=5,stages=" + str([(t, k, s, d, n) for t, k, s, _, d, n in STAGES]).replace(" ", ""),
          parameters=sum(p.numel() for p in efficientnet_b0().parameters()), full="")
