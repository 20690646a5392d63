#!/usr/bin/env python3
"""A multilayer perceptron, 12-10-8-5."""
import torch
from torch import nn

from common import rounded, save_case, seeded

net = rounded(seeded(nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 5))))
images = torch.randn(3, 12, generator=torch.Generator().manual_seed(2)).double()
save_case("mlp", "mlp.nac", net.state_dict(), {"images": images}, {"logits": net(images)}, model="MLP",
          entry="classify", set="width=[12,10,8,5]", parameters=669706, full="")
