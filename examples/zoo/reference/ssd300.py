#!/usr/bin/env python3
"""SSD by torchvision's class, its heads, default boxes and postprocessing, on a narrow VGG with one extra map."""
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import vgg
from torchvision.models.detection import ssd, ssd300_vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator

from common import rounded, save_case, seeded

W, SIDE, CLASSES = 2, 36, 3
EXTRA, ASPECTS, STEPS, SCALES = [(2, 1)], [[2, 3], [], [2]], [8, 16, 36], [0.2, 0.37, 0.71, 1.05]


def convolution(*sizes, **options):
    return [nn.Conv2d(*sizes, **options), nn.ReLU(inplace=True)]


class Backbone(nn.Module):
    """SSDFeatureExtractorVGG with W instead of 64."""
    def __init__(self):
        super().__init__()
        layers = vgg.make_layers([c if c == "M" else c * W // 64 for c in vgg.cfgs["D"]])
        _, _, third, fourth, _ = (i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d))
        layers[third].ceil_mode = True
        self.scale_weight = nn.Parameter(torch.ones(8 * W))
        self.features = layers[:fourth]
        fc = nn.Sequential(nn.MaxPool2d(3, 1, 1), *convolution(8 * W, 16 * W, 3, padding=6, dilation=6), *convolution(16 * W, 16 * W, 1))
        self.extra = nn.ModuleList([nn.Sequential(*layers[fourth:-1], fc)])
        self.widths = [8 * W, 16 * W]
        for i, (stride, padding) in enumerate(EXTRA):
            wide, narrow = self.widths[-1], (4, 2, 2, 2)[i] * W
            self.widths.append(2 * narrow)
            self.extra.append(nn.Sequential(*convolution(wide, narrow, 1), *convolution(narrow, 2 * narrow, 3, stride, padding)))

    def forward(self, x):
        x = self.features(x)
        maps = [self.scale_weight.view(1, -1, 1, 1) * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return dict(enumerate(maps))


backbone, anchors = Backbone(), DefaultBoxGenerator(ASPECTS, scales=SCALES, steps=STEPS)
net = ssd.SSD(backbone, anchors, (SIDE, SIDE), CLASSES, head=ssd.SSDHead(backbone.widths, anchors.num_anchors_per_location(), CLASSES),
              image_mean=[0.48235, 0.45882, 0.40784], image_std=[1 / 255] * 3, score_thresh=0.45, topk_candidates=20, detections_per_img=30)
net = rounded(seeded(net))
with torch.no_grad():                       # so that what is in the images reaches the last map
    for name, p in net.backbone.named_parameters():
        if p.dim() == 4:
            p *= 2 if name != "features.0.weight" else 2 / 255
net = rounded(net)
images = torch.rand(2, 3, SIDE, SIDE, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
with torch.no_grad():
    found = net(list(images))
    prepared, _ = net.transform(list(images))
    maps = list(net.backbone(prepared.tensors).values())
    heads = net.head(maps)
    boxes = [net.box_coder.decode_single(d, a) for d, a in zip(heads["bbox_regression"], net.anchor_generator(prepared, maps))]
print([len(f["scores"]) for f in found], [m.shape[-1] for m in maps], heads["cls_logits"].std(0).mean())
sizes = (f"W={W},side={SIDE},classes={CLASSES},extra={EXTRA},aspects={ASPECTS},steps={STEPS},scales={SCALES},threshold=0.45,"
         "candidates=20,keep=30").replace(" ", "")
case = dict(model="SSD300", set=sizes, parameters=sum(p.numel() for p in ssd300_vgg16(weights_backbone=None).parameters()), full="")
save_case("ssd300", "ssd300.nac", net.state_dict(), {"images": images},
          {"logits": heads["cls_logits"], "corners": torch.stack(boxes).clamp(0, SIDE)}, entry="predict", **case)
# The outputs of detect have room for 30 boxes.
save_case("ssd300_detect", "ssd300.nac", net.state_dict(), {"images": images},
          {"count": torch.tensor([len(f["scores"]) for f in found]),
           **{k: torch.stack([F.pad(f[k].double(), (0, 0) * (f[k].dim() - 1) + (0, 30 - len(f[k]))) for f in found])
              for k in ("boxes", "scores")},
           "labels": torch.stack([F.pad(f["labels"], (0, 30 - len(f["labels"]))) for f in found])},
          entry="detect", **case)
