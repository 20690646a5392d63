#!/usr/bin/env python3
"""The networks of this folder in PyTorch, at a tiny size with random weights: writes golden/NAME with weights.safetensors, inputs and
outputs as .npy, and case.json. Needs PyTorch and torchvision (Debian: python3-torch, python3-torchvision)."""
import json
import os
import struct

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {torch.float32: "F32", torch.int8: "I8"}


def save(name, tensors, inputs, outputs, **case):
    folder = os.path.join(HERE, "golden", name)
    os.makedirs(folder, exist_ok=True)
    header, blobs, offset = {}, [], 0
    for key, t in tensors.items():
        t = t.detach().contiguous()
        t = t.float() if t.dtype.is_floating_point else t
        blob = t.numpy().tobytes()
        header[key] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "weights.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    for key, t in {**inputs, **outputs}.items():
        t = t.detach()
        numpy.save(os.path.join(folder, key + ".npy"), (t.float() if t.dtype.is_floating_point else t).numpy())
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({**case, "inputs": list(inputs), "outputs": list(outputs)}, f, indent=1)
        f.write("\n")


def generator(seed):
    return torch.Generator().manual_seed(seed)


def resnet50_int8():
    """Bottlenecks of quantised convolutions: whole numbers in double are exact."""
    g, width, blocks = generator(1), 8, [1, 2, 1, 1]
    tensors = {}

    def conv(x, name, k_out, k, stride=1, padding=0):
        c = x.shape[1]
        w = torch.randint(-127, 128, (k_out, c, k, k), generator=g, dtype=torch.int8)
        sw = (0.5 + torch.rand(k_out, generator=g)) / 127 / (c * k * k) ** 0.5 * 2
        sx = torch.tensor(float(x.abs().max() / 100)).float()
        b = 0.1 * torch.randn(k_out, generator=g)
        tensors.update({name + ".weight": w, name + ".weight_scale": sw, name + ".input_scale": sx, name + ".bias": b})
        q = (x.float() / sx).round().clamp(-128, 127).double()
        y = F.conv2d(q, w.double(), stride=stride, padding=padding)
        return (y.float() * (sx * sw)[:, None, None] + b[:, None, None]).double()

    images = torch.randn(2, 3, 32, 32, generator=g)
    x = F.max_pool2d(conv(images.double(), "conv1", width, 7, 2, 3).relu(), 3, 2, 1)
    for s in range(4):
        for i in range(blocks[s]):
            name, w, stride = f"layer{s + 1}.{i}", width << s, 2 if i == 0 and s else 1
            y = conv(x, name + ".conv1", w, 1).relu()
            y = conv(y, name + ".conv2", w, 3, stride, 1).relu()
            y = conv(y, name + ".conv3", 4 * w, 1)
            skip = conv(x, name + ".downsample.0", 4 * w, 1, stride) if stride != 1 or x.shape[1] != 4 * w else x
            x = (y + skip).relu()
    fc = torch.randn(5, 32 * width, generator=g) / 16
    tensors.update({"fc.weight": fc, "fc.bias": torch.zeros(5)})
    save("resnet50_int8", tensors, {"img": images}, {"logits": x.mean([2, 3]) @ fc.T.double()}, file="resnet50_int8.nac",
         set=f"blocks={blocks},width={width},image=32,classes=5".replace(" ", ""), tolerance=1e-3)


def dlrm_bags():
    g, rows, dense, d = generator(2), [7, 5, 9], 13, 4
    tensors = {}

    def linear(x, name, n, last):
        tensors[name + ".weight"] = torch.randn(n, x.shape[1], generator=g) / x.shape[1] ** 0.5
        tensors[name + ".bias"] = 0.1 * torch.randn(n, generator=g)
        y = x @ tensors[name + ".weight"].T.double() + tensors[name + ".bias"].double()
        return y.sigmoid() if last else y.relu()

    x = torch.randn(6, dense, generator=g)
    n = torch.randint(0, 5, (6, len(rows)), generator=g, dtype=torch.int32)
    idx = torch.stack([torch.randint(0, r, (6, 4), generator=g, dtype=torch.int32) for r in rows], 1)
    h = linear(linear(x.double(), "bot_l.0", 8, False), "bot_l.2", d, False)
    v = [h]
    for t, r in enumerate(rows):
        table = tensors[f"emb_l.{t}.weight"] = torch.randn(r, d, generator=g)
        flat = torch.cat([idx[b, t, :n[b, t]] for b in range(6)]).long()
        ends = torch.cat([torch.zeros(1, dtype=torch.int64), n[:, t].long().cumsum(0)[:-1]])
        v.append(F.embedding_bag(flat, table, ends, mode="sum").double())
    v = torch.stack(v, 1)
    z = v @ v.transpose(1, 2)
    low = [(i, j) for i in range(len(rows) + 1) for j in range(i)]
    z = torch.stack([z[:, i, j] for i, j in low], 1)
    y = linear(linear(torch.cat([h, z], 1), "top_l.0", 6, False), "top_l.2", 1, True)
    save("dlrm_bags", tensors, {"x": x, "idx": idx, "n": n}, {"click": y[:, 0]}, file="dlrm_bags.nac",
         set=f"rows={rows},dense={dense},D={d},bottom=[8],top=[6]".replace(" ", ""), tolerance=1e-4)


def classify():
    g, width, blocks = generator(3), 2, [1, 1, 1, 1]
    net = resnet.ResNet(resnet.Bottleneck, blocks, num_classes=7)
    net.inplanes = width
    net.conv1, net.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
    for i, n in enumerate(blocks):
        setattr(net, f"layer{i + 1}", net._make_layer(resnet.Bottleneck, width << i, n, stride=1 if i == 0 else 2))
    net.fc = nn.Linear((width << 3) * 4, 7)
    with torch.no_grad():
        for t in net.parameters():
            t.copy_(torch.randn(t.shape, generator=g) / max(t[0].numel(), 1) ** 0.5 if t.dim() > 1 else 1 + 0.2 * torch.randn(t.shape, generator=g))
    net.eval()
    tensors = {k: t.clone() for k, t in net.state_dict().items() if t.dtype.is_floating_point}
    net.double()
    img = torch.randint(0, 256, (2, 80, 70, 3), generator=g, dtype=torch.uint8)
    x = img.permute(0, 3, 1, 2).double() / 255
    x = F.interpolate(x, (36 * 80 // 70, 36), mode="bilinear", antialias=True)
    x = x[:, :, (41 - 32) // 2:(41 - 32) // 2 + 32, 2:34]
    x = (x - torch.tensor([0.485, 0.456, 0.406]).double()[:, None, None]) / torch.tensor([0.229, 0.224, 0.225]).double()[:, None, None]
    p, label = net(x).softmax(-1).topk(5)
    save("classify", tensors, {"img": img}, {"prob": p, "label": label.int()}, file="classify.nac",
         set=f"blocks={blocks},width={width},classes=7,shorter=36,crop=32,Y=80,X=70".replace(" ", ""), tolerance=1e-4)


for make in (resnet50_int8, dlrm_bags, classify):
    make()
