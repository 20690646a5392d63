#!/usr/bin/env python3
"""ViT by torchvision, on images of 12 x 12 in patches of 4 x 4."""
import torch
from torchvision.models import vision_transformer

from common import rounded, save_case, seeded

net = rounded(seeded(vision_transformer.VisionTransformer(image_size=12, patch_size=4, num_layers=2, num_heads=2,
                                                         hidden_dim=16, mlp_dim=24, num_classes=5)))
images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(2)).double()
full = vision_transformer.vit_b_16()
save_case("vit_b16", "vit_b16.nac", net.state_dict(), {"images": images}, {"logits": net(images)}, model="ViT",
          entry="classify", set="image=12,P=4,L=2,H=2,D=16,F=24,classes=5",
          parameters=sum(p.numel() for p in full.parameters()), full="")
