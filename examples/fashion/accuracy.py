#!/usr/bin/env python3
"""Accuracy of the compiled Fashion network on the test set, target by target.

    examples/fashion/accuracy.py [--targets interp,cpu,pearl=500] [--nacre build/nacre]

TARGET=COUNT classifies only the first COUNT images. For each target: how many are right, and how
many are classified otherwise than by the first target. Exit code 1 when more than --most-other of
them differ. Needs the data set (Debian: dataset-fashion-mnist) and Python's standard library.
"""
import argparse
import array
import os
import subprocess
import sys
import tempfile

import prepare

PIXELS = prepare.SIDE * prepare.SIDE


def read_npy(path):
    """The float32 elements of a little-endian .npy file."""
    with open(path, "rb") as f:
        data = f.read()
    values = array.array("f")
    values.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    if sys.byteorder == "big":
        values.byteswap()
    return values


def classify(args, target, images, count, folder):
    """The class of each of the first `count` images."""
    guesses = []
    source, result = os.path.join(folder, "images.npy"), os.path.join(folder, "logits.npy")
    for first in range(0, count, args.batch):
        n = min(args.batch, count - first)
        part = images[first * PIXELS:(first + n) * PIXELS]
        prepare.save_npy(source, "<f4", (n, 1, prepare.SIDE, prepare.SIDE),
                         array.array("f", (v / 255 for v in part)))
        subprocess.run([args.nacre, "run", os.path.join(args.here, "fashion.nac"),
                        "--weights", os.path.join(args.here, "weights.safetensors"),
                        "--entry", "classify", "--target", target,
                        "--input", "images=" + source, "--output", "logits=" + result],
                       check=True, stdout=subprocess.DEVNULL)
        logits = read_npy(result)
        for i in range(n):
            row = logits[10 * i:10 * i + 10]
            guesses.append(max(range(10), key=row.__getitem__))
        if sys.stderr.isatty():
            print(f"\r{target}: {first + n} of {count}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return guesses


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", default="/usr/share/datasets/fashion-mnist",
                   help="folder with the .gz files of the data set")
    p.add_argument("--nacre", default=os.path.join(here, "..", "..", "build", "nacre"),
                   help="the nacre command")
    p.add_argument("--targets", default="interp,cpu,pearl=500", help="TARGET or TARGET=COUNT, ...")
    p.add_argument("--batch", type=int, default=500, help="images a call")
    p.add_argument("--most-other", type=int, default=2,
                   help="images that may be classified otherwise than by the first target")
    args = p.parse_args()
    args.here = here

    total, images = prepare.read_idx(os.path.join(args.data, "t10k-images-idx3-ubyte.gz"), 0x803)
    _, labels = prepare.read_idx(os.path.join(args.data, "t10k-labels-idx1-ubyte.gz"), 0x801)
    reference, worst = None, 0
    print("target  images  right  accuracy  otherwise than the first")
    with tempfile.TemporaryDirectory() as folder:
        for item in args.targets.split(","):
            target, _, count = item.partition("=")
            count = min(int(count or total), total)
            guesses = classify(args, target, images, count, folder)
            right = sum(g == label for g, label in zip(guesses, labels))
            other = sum(g != r for g, r in zip(guesses, reference or guesses))
            reference = reference or guesses
            worst = max(worst, other)
            print(f"{target:7} {count:6} {right:6}  {100 * right / count:6.2f} %  {other}", flush=True)
    return worst > args.most_other


if __name__ == "__main__":
    sys.exit(main())
