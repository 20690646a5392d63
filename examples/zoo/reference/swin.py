#!/usr/bin/env python3
"""Swin Transformer by torchvision, on images of 28 x 28: patches of 4 x 4, windows of 3 x 3 that do not divide them."""
import torch
from torchvision.models import swin_transformer

from common import rounded, save_case, seeded

net = rounded(seeded(swin_transformer.SwinTransformer(patch_size=[4, 4], embed_dim=12, depths=[3, 2], num_heads=[2, 3],
                                                      window_size=[3, 3], num_classes=5)))
images = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(2)).double()
full = swin_transformer.swin_t()
save_case("swin", "swin.nac", net.state_dict(), {"images": images}, {"logits": net(images)}, model="", entry="classify",
          set="image=28,D=12,depths=[3,2],heads=[2,3],W=3,classes=5",
          parameters=sum(p.numel() for p in full.parameters()), full="")
