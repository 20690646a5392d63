#!/usr/bin/env python3
"""The Detect module of YOLOv5 after ultralytics/yolov5's models/yolo.py, and torchvision's suppression, on narrow maps."""
import torch
from torch import nn
from torchvision.ops import batched_nms

from common import rounded, save_case, seeded

CHANNELS, CLASSES, Y, X, KEEP, THRESHOLD = [3, 4, 5], 3, 2, 1, 20, 0.8
STRIDES = [8, 16, 32]
ANCHORS = torch.tensor([[(10, 13), (16, 30), (33, 23)], [(30, 61), (62, 45), (59, 119)], [(116, 90), (156, 198), (373, 326)]])


class Detect(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = nn.ModuleList(nn.Conv2d(c, 3 * (5 + CLASSES), 1) for c in CHANNELS)
        self.register_buffer("anchors", ANCHORS / torch.tensor(STRIDES)[:, None, None])

    def forward(self, maps):
        z = []
        for conv, x, anchors, stride in zip(self.m, maps, self.anchors, STRIDES):
            n, _, v, u = x.shape
            y = conv(x).view(n, 3, 5 + CLASSES, v, u).permute(0, 1, 3, 4, 2).sigmoid()
            rows, columns = torch.meshgrid(torch.arange(v), torch.arange(u), indexing="ij")
            grid = torch.stack([columns, rows], -1)
            xy = (y[..., 0:2] * 2 - 0.5 + grid) * stride
            wh = (y[..., 2:4] * 2) ** 2 * (anchors * stride).view(1, 3, 1, 1, 2)
            z.append(torch.cat([xy - wh / 2, xy + wh / 2, y[..., 4:]], -1).view(n, -1, 5 + CLASSES))
        return torch.cat(z, 1)


def detections(boxes):
    score, label = (boxes[:, 5:] * boxes[:, 4:5]).max(-1)
    likely = score > THRESHOLD
    corners, score, label = boxes[likely, :4], score[likely], label[likely]
    picks = batched_nms(corners, score, label, 0.45)[:KEEP]
    room = lambda t: torch.cat([t[picks], t.new_zeros(KEEP - len(picks), *t.shape[1:])])
    return room(corners), room(score), room(label), torch.tensor(len(picks))


net = nn.Module()
net.model = nn.ModuleDict({"24": Detect()})
seeded(net)
net.model["24"].anchors.copy_(ANCHORS / torch.tensor(STRIDES)[:, None, None])
net = rounded(net)
g = torch.Generator().manual_seed(2)
maps = [torch.randn(2, c, Y << i, X << i, generator=g).double() * 2 for c, i in zip(CHANNELS, (2, 1, 0))]
with torch.no_grad():
    boxes = net.model["24"](maps)
found = [torch.stack(t) for t in zip(*map(detections, boxes))]
print(found[3])
inputs = dict(zip(("p3", "p4", "p5"), maps))
case = dict(model="Yolo", set=f"channels={CHANNELS},classes={CLASSES},keep={KEEP},threshold={THRESHOLD}".replace(" ", ""),
            parameters=229245, full="")
save_case("yolo_head", "yolo_head.nac", net.state_dict(), inputs, {"boxes": boxes}, entry="raw", **case)
save_case("yolo_head_detections", "yolo_head.nac", net.state_dict(), inputs, dict(zip(("boxes", "scores", "labels", "count"), found)),
          entry="detections", **case)
