#!/usr/bin/env python3
"""Accuracy on the Fashion-MNIST test set, target by target, and how many predictions differ from the
interpreter's. Needs only Python's standard library, the data set (Debian: dataset-fashion-mnist) and
build/nacre.

    examples/fashion/accuracy.py interp:10000 cpu:10000 pearl:500
"""
import argparse
import array
import ast
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import prepare

BATCH = 500


def read_logits(path):
    with open(path, "rb") as f:
        data = f.read()
    size, = struct.unpack_from("<H", data, 8)
    shape = ast.literal_eval(data[10:10 + size].decode("latin-1"))["shape"]
    values = array.array("f")
    values.frombytes(data[10 + size:])
    return shape, values


def classify(nacre, target, images, count):
    """The predicted class of each of the first images."""
    predicted = []
    pixels = prepare.SIDE * prepare.SIDE
    with tempfile.TemporaryDirectory() as folder:
        given, out = os.path.join(folder, "images.npy"), os.path.join(folder, "logits.npy")
        for first in range(0, count, BATCH):
            n = min(BATCH, count - first)
            part = array.array("B", images[first * pixels:(first + n) * pixels])
            prepare.save_npy(given, "|u1", (n, 1, prepare.SIDE, prepare.SIDE), part)
            subprocess.run([nacre, "run", os.path.join(HERE, "fashion.nac"), "--weights",
                            os.path.join(HERE, "weights.safetensors"), "--entry", "classify_bytes", "--input",
                            "images=" + given, "--output", "logits=" + out, "--target", target, "--json"],
                           check=True, stdout=subprocess.DEVNULL)
            (rows, classes), logits = read_logits(out)
            for i in range(rows):
                row = logits[i * classes:(i + 1) * classes]
                predicted.append(max(range(classes), key=row.__getitem__))
    return predicted


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("targets", nargs="+", metavar="TARGET:IMAGES", help="how many of the test images on which target")
    p.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="folder with the .gz files")
    p.add_argument("--nacre", default=os.path.join(HERE, "..", "..", "build", "nacre"))
    args = p.parse_args()
    total, images = prepare.read_idx(os.path.join(args.data, "t10k-images-idx3-ubyte.gz"), 0x803)
    _, labels = prepare.read_idx(os.path.join(args.data, "t10k-labels-idx1-ubyte.gz"), 0x801)
    reference = None
    for what in args.targets:
        target, _, count = what.partition(":")
        count = min(int(count or total), total)
        predicted = classify(args.nacre, target, images, count)
        right = sum(p == label for p, label in zip(predicted, labels))
        text = f"{target}: {right} of {count} right, {100 * right / count:.2f} %"
        if reference is None:
            reference = predicted
        else:
            both = min(count, len(reference))
            differ = sum(a != b for a, b in zip(predicted, reference))
            text += f"; {differ} of {both} predictions differ from {args.targets[0].partition(':')[0]}'s"
        print(text, flush=True)


if __name__ == "__main__":
    main()
