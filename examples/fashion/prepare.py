#!/usr/bin/env python3
"""Write the first 32 Fashion-MNIST test images for the example.

images.npy   float32 [32,1,28,28], pixel / 255, so in [0,1]
labels.npy   int32 [32]
classes.txt  the ten class names, one a line, in label order
images.png   the 32 images on one sheet, eight in a row

With --full DIR the whole test set is written to DIR as well, as images.npy
(float32 [10000,1,28,28]) and labels.npy (int32 [10000]).

Needs only Python's standard library and the data set.
"""
import argparse
import array
import gzip
import os
import struct
import sys
import zlib

CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
           "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
SIDE = 28


def read_idx(path, magic):
    """The element count and the payload of a gzipped IDX file of bytes."""
    with gzip.open(path) as f:
        data = f.read()
    rank = magic & 0xff
    found, *dims = struct.unpack_from(">%dI" % (1 + rank), data)
    header, size = 4 * (1 + rank), 1
    for d in dims:
        size *= d
    if found != magic or len(data) != header + size:
        raise SystemExit("%s: not the expected IDX file" % path)
    return dims[0], data[header:]


def save_npy(path, descr, shape, values):
    """NumPy's format, version 1.0. `values` is an array.array."""
    text = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (
        descr, tuple(shape))
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    if sys.byteorder == "big":
        values = array.array(values.typecode, values)
        values.byteswap()
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)))
        f.write(text.encode("latin-1") + values.tobytes())


def save_png(path, images, columns=8, scale=2, gap=2):
    """A contact sheet, 8-bit grey, of square images held one after another."""
    cell = SIDE * scale + gap
    rows = -(-len(images) // (SIDE * SIDE) // columns)
    width, height = columns * cell + gap, rows * cell + gap
    sheet = bytearray(b"\xff" * (width * height))
    for n in range(len(images) // (SIDE * SIDE)):
        top, left = n // columns * cell + gap, n % columns * cell + gap
        for y in range(SIDE * scale):
            at = (n * SIDE + y // scale) * SIDE
            line = bytes(images[at + x // scale] for x in range(SIDE * scale))
            to = (top + y) * width + left
            sheet[to:to + len(line)] = line
    raw = b"".join(b"\0" + sheet[y * width:(y + 1) * width]
                   for y in range(height))

    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body
                + struct.pack(">I", zlib.crc32(kind + body)))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n"
                + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height,
                                             8, 0, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def save_arrays(folder, images, labels, count):
    os.makedirs(folder, exist_ok=True)
    scaled = [v / 255 for v in range(256)]
    save_npy(os.path.join(folder, "images.npy"), "<f4", (count, 1, SIDE, SIDE),
             array.array("f", (scaled[v] for v in images[:count * SIDE * SIDE])))
    save_npy(os.path.join(folder, "labels.npy"), "<i4", (count,),
             array.array("i", list(labels[:count])))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(
        description="Write images.npy, labels.npy, classes.txt and images.png "
                    "from the Fashion-MNIST test set.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", default="/usr/share/datasets/fashion-mnist",
                   help="folder with the .gz files of the data set")
    p.add_argument("--out", default=here, help="folder to write to")
    p.add_argument("--count", type=int, default=32, help="number of images")
    p.add_argument("--full", metavar="DIR",
                   help="also write all test images and labels to DIR")
    args = p.parse_args()

    total, images = read_idx(
        os.path.join(args.data, "t10k-images-idx3-ubyte.gz"), 0x803)
    entries, labels = read_idx(
        os.path.join(args.data, "t10k-labels-idx1-ubyte.gz"), 0x801)
    if entries != total or len(images) != total * SIDE * SIDE:
        raise SystemExit("%s: images and labels do not match" % args.data)
    if not 1 <= args.count <= total:
        p.error("--count must be from 1 to %d" % total)
    if args.full and os.path.realpath(args.full) == os.path.realpath(args.out):
        p.error("--full needs a folder other than the output folder")

    save_arrays(args.out, images, labels, args.count)
    save_png(os.path.join(args.out, "images.png"),
             images[:args.count * SIDE * SIDE])
    with open(os.path.join(args.out, "classes.txt"), "w") as f:
        f.write("\n".join(CLASSES) + "\n")
    if args.full:
        save_arrays(args.full, images, labels, total)


if __name__ == "__main__":
    main()
