#!/usr/bin/env python3
"""full.py NACRE [TARGET]: torchvision's networks at full size, with random weights, against Nacre.

Saves each state_dict as safetensors, runs the model file of the zoo on an image and prints how far the
outputs are from torchvision's, computed in double: that all keys and shapes are torchvision's, and that
nothing is lost at full size. Needs a few GB of memory and some minutes; nothing is kept.
"""
import os
import subprocess
import sys
import tempfile

import numpy
import torch
from torchvision import models

from common import ZOO, rounded, save_safetensors, seeded

# model file, its model, entry, torchvision's constructor, output, size of the image
CASES = [
    ("resnet.nac", "ResNet18", "classify", models.resnet18, "logits", 224),
    ("resnet.nac", "ResNet50", "classify", models.resnet50, "logits", 224),
    ("mobilenet_v2.nac", "MobileNetV2", "classify", models.mobilenet_v2, "logits", 224),
    ("efficientnet_b0.nac", "EfficientNetB0", "classify", models.efficientnet_b0, "logits", 224),
    ("convnext_tiny.nac", "ConvNeXtTiny", "classify", models.convnext_tiny, "logits", 224),
    ("vit_b16.nac", "ViT", "classify", models.vit_b_16, "logits", 224),
    ("ssd300.nac", "SSD300", "predict", models.detection.ssd300_vgg16, "logits", 300),
]


def network(build):
    return build(weights=None, weights_backbone=None) if build is models.detection.ssd300_vgg16 else build(weights=None)


def wanted(net, image):
    with torch.no_grad():
        if not hasattr(net, "backbone"):
            return net(image)
        prepared, _ = net.transform(list(image))
        return net.head(list(net.backbone(prepared.tensors).values()))["cls_logits"]


def main(nacre, target="cpu"):
    failed = False
    for file, model, entry, build, output, size in CASES:
        net = seeded(network(build))
        if model == "SSD300":                # images of 0..255 go in
            with torch.no_grad():
                net.backbone.features[0].weight /= 255
        net = rounded(net)
        shape = (1, 3, size, size)
        image = torch.rand(shape, dtype=torch.double, generator=torch.Generator().manual_seed(2)).float().double()
        want = wanted(net, image).numpy()
        with tempfile.TemporaryDirectory() as folder:
            at = lambda name: os.path.join(folder, name)
            save_safetensors(at("w.safetensors"), {k: v for k, v in net.state_dict().items() if v.dtype.is_floating_point})
            numpy.save(at("x.npy"), image.numpy().astype(numpy.float32))
            subprocess.run([nacre, "run", os.path.join(ZOO, file), "--model", model, "--entry", entry, "--target", target,
                            "--weights", at("w.safetensors"), "--input", "images=" + at("x.npy"),
                            "--output", output + "=" + at("y.npy")], check=True, stdout=subprocess.DEVNULL)
            got = numpy.load(at("y.npy"))
        error, largest = numpy.abs(got - want).max(), numpy.abs(want).max()
        failed |= got.shape != want.shape or not error <= 1e-4 * max(1, largest)
        print(f"{model}: {error:.1e} of {largest:.2g}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
