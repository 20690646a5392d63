#!/usr/bin/env python3
"""ConvNeXt-T by torchvision, 4 to 16 channels wide."""
import torch
from torchvision.models.convnext import CNBlockConfig, ConvNeXt, convnext_tiny

from common import rounded, save_case, seeded

DEPTHS, WIDTHS = [1, 1, 2, 1], [4, 8, 12, 16]
config = [CNBlockConfig(w, w2, n) for w, w2, n in zip(WIDTHS, WIDTHS[1:] + [None], DEPTHS)]
net = rounded(seeded(ConvNeXt(config, num_classes=5)))
images = torch.randn(2, 3, 70, 77, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
save_case("convnext_tiny", "convnext_tiny.nac", net.state_dict(), {"images": images}, {"logits": net(images)},
          model="ConvNeXtTiny", entry="classify", set=f"depths={DEPTHS},widths={WIDTHS},classes=5".replace(" ", ""),
          parameters=sum(p.numel() for p in convnext_tiny().parameters()), full="")
