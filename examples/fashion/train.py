#!/usr/bin/env python3
"""Train a small residual CNN on Fashion-MNIST and write weights.safetensors.

The network takes float32 [N,1,28,28] with pixels in [0,1] and gives ten logits:

    normalise  (x - 0.2860) / 0.3530
    stem       conv 3x3, 1 -> 16, BatchNorm, ReLU
    stage 0    residual block, 16 -> 16, 28x28
    stage 1    residual block, 16 -> 32, stride 2, 14x14
    stage 2    residual block, 32 -> 64, stride 2, 7x7
    head       mean over the 7x7 positions, Linear 64 -> 10

Needs PyTorch (Debian: python3-torch) and the data set (dataset-fashion-mnist).
"""
import argparse
import gzip
import json
import os
import struct
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = 0.2860, 0.3530


class Block(nn.Module):
    """conv3x3-BN-ReLU-conv3x3-BN plus a shortcut, then ReLU."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.reshapes = stride != 1 or cin != cout
        if self.reshapes:
            self.down = nn.Conv2d(cin, cout, 1, stride, bias=False)
            self.down_bn = nn.BatchNorm2d(cout)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = self.down_bn(self.down(x)) if self.reshapes else x
        return F.relu(y + shortcut)


class Net(nn.Module):
    def __init__(self, widths=(16, 32, 64), blocks=1, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        stages, cin = [], widths[0]
        for i, width in enumerate(widths):
            stage = []
            for j in range(blocks):
                stage.append(Block(cin, width, 2 if i > 0 and j == 0 else 1))
                cin = width
            stages.append(nn.Sequential(*stage))
        self.stage = nn.Sequential(*stages)
        self.fc = nn.Linear(cin, classes)

    def forward(self, x):
        x = (x - MEAN) / STD
        x = F.relu(self.bn(self.stem(x)))
        x = self.stage(x)
        return self.fc(x.mean((2, 3)))


def read_split(folder, split):
    """One half of the data set: uint8 [N,1,28,28] and int64 [N]."""
    def payload(name, header):
        with gzip.open(os.path.join(folder, split + name)) as f:
            return numpy.frombuffer(f.read()[header:], numpy.uint8).copy()
    images = payload("-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = payload("-labels-idx1-ubyte.gz", 8).astype(numpy.int64)
    return torch.from_numpy(images), torch.from_numpy(labels)


def pixels(images):
    """uint8 [0,255] to float32 [0,1], the network's input."""
    return images.float() / 255


def augment(x, pad=1):
    """Mirror half of the images, and shift the whole batch by up to `pad`."""
    mirror = torch.rand(len(x)) < 0.5
    x = torch.where(mirror[:, None, None, None], x.flip(3), x)
    dy, dx = torch.randint(0, 2 * pad + 1, (2,)).tolist()
    return F.pad(x, (pad,) * 4)[:, :, dy:dy + 28, dx:dx + 28]


def train(net, images, labels, epochs, batch, peak):
    params = [{"params": [p for p in net.parameters() if p.dim() > 1],
               "weight_decay": 5e-4},
              {"params": [p for p in net.parameters() if p.dim() == 1],
               "weight_decay": 0.0}]
    steps = len(images) // batch
    net.to(memory_format=torch.channels_last)  # a third faster on a CPU
    optimiser = torch.optim.SGD(params, lr=peak, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, peak, total_steps=epochs * steps, pct_start=0.25,
        cycle_momentum=False)
    start = time.time()
    for epoch in range(epochs):
        net.train()
        order, total = torch.randperm(len(images)), 0.0
        for step in range(steps):
            pick = order[step * batch:(step + 1) * batch]
            loss = F.cross_entropy(net(augment(pixels(images[pick]))),
                                   labels[pick])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print("epoch %2d of %d  loss %.4f  %4.0f s" % (
            epoch + 1, epochs, total / steps, time.time() - start), flush=True)


def accuracy(net, images, labels, batch=500):
    net.eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(images), batch):
            guess = net(pixels(images[i:i + batch])).argmax(1)
            right += (guess == labels[i:i + batch]).sum().item()
    return 100.0 * right / len(images)


def tensors_of(net):
    return {k: v for k, v in net.state_dict().items()
            if not k.endswith("num_batches_tracked")}


def save_safetensors(path, tensors):
    """Header length (u64, little endian), JSON header, then the raw data."""
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    (length,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    return {name: torch.from_numpy(numpy.frombuffer(
                body[slice(*t["data_offsets"])], "<f4").reshape(t["shape"]).copy())
            for name, t in header.items() if name != "__metadata__"}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(
        description="Train a small residual CNN on Fashion-MNIST; write "
                    "weights.safetensors and expected.npy.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", default="/usr/share/datasets/fashion-mnist",
                   help="folder with the four .gz files of the data set")
    p.add_argument("--out", default=here, help="folder to write to")
    p.add_argument("--epochs", type=int, default=14, help="passes over the data")
    p.add_argument("--batch", type=int, default=128, help="images per step")
    p.add_argument("--rate", type=float, default=0.1, help="peak learning rate")
    p.add_argument("--blocks", type=int, default=1, help="blocks per stage")
    p.add_argument("--seed", type=int, default=1, help="random seed")
    p.add_argument("--threads", type=int, default=1, help="threads to use")
    p.add_argument("--evaluate", action="store_true",
                   help="do not train: read weights.safetensors from the "
                        "output folder, measure it and write expected.npy")
    args = p.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    weights = os.path.join(args.out, "weights.safetensors")
    net = Net(blocks=args.blocks)
    print("%d parameters" % sum(q.numel() for q in net.parameters()))
    if not args.evaluate:
        train(net, *read_split(args.data, "train"), args.epochs, args.batch,
              args.rate)
        save_safetensors(weights, tensors_of(net))

    # Measure what was written, not what is in memory.
    net = Net(blocks=args.blocks)
    missing, unexpected = net.load_state_dict(load_safetensors(weights), False)
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise SystemExit("%s: missing %s, unexpected %s"
                         % (weights, missing, unexpected))
    images, labels = read_split(args.data, "t10k")
    print("test accuracy %.2f %% of %d images"
          % (accuracy(net, images, labels), len(images)))

    # Reference logits of the first 32 test images, computed in float64.
    net.double().eval()
    with torch.no_grad():
        logits = net(pixels(images[:32]).double()).float()
    numpy.save(os.path.join(args.out, "expected.npy"), logits.numpy())


if __name__ == "__main__":
    main()
