#!/usr/bin/env python3
"""Arrays in files for the golden tests, in plain Python: .npy, .npz and safetensors, read and written.

    arrays.py make FOLDER               the files that tests/cli uses, good and bad ones
    arrays.py close A B TOLERANCE       fails when two files (or FILE:NAME) differ by more
    arrays.py show FILE [N]             type, shape and first elements of each array
    arrays.py random FILE DTYPE DIMS [BELOW [SEED]]   an .npy file, DIMS as 2,3
"""
import array
import ast
import io
import json
import math
import os
import random
import struct
import sys
import zipfile

CODES = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "u1": "B", "i1": "b", "b1": "B"}
SAFE = {"f4": "F32", "f8": "F64", "i4": "I32", "i8": "I64", "u1": "U8", "i1": "I8"}


class Array:
    def __init__(self, dtype, shape, values):
        self.dtype, self.shape = dtype, tuple(shape)
        self.values = values if isinstance(values, array.array) else array.array(CODES[dtype], values)
        assert len(self.values) == math.prod(self.shape), (len(self.values), shape)

    def bytes(self):
        return self.values.tobytes()


def npy_bytes(a):
    header = repr({"descr": ("|" if a.dtype in ("u1", "i1", "b1") else "<") + a.dtype,
                   "fortran_order": False, "shape": a.shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + a.bytes()


def npy_parse(data):
    assert data[:6] == b"\x93NUMPY", "no .npy file"
    size = struct.unpack_from("<H" if data[6] == 1 else "<I", data, 8)[0]
    start = 10 if data[6] == 1 else 12
    header = ast.literal_eval(data[start:start + size].decode())
    values = array.array(CODES[header["descr"][1:]])
    values.frombytes(data[start + size:])
    return Array(header["descr"][1:], header["shape"], values)


def safetensors_bytes(arrays):
    header, data = {}, b""
    for name, a in arrays.items():
        header[name] = {"dtype": SAFE[a.dtype], "shape": list(a.shape),
                        "data_offsets": [len(data), len(data) + len(a.bytes())]}
        data += a.bytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def safetensors_parse(data):
    size = struct.unpack_from("<Q", data)[0]
    names = {code: dtype for dtype, code in SAFE.items()}
    arrays = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        dtype = names[entry["dtype"]]
        values = array.array(CODES[dtype])
        values.frombytes(data[8 + size + first:8 + size + last])
        arrays[name] = Array(dtype, entry["shape"], values)
    return arrays


def read(path):
    """The arrays of a file by name; an .npy file holds one, ""."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:6] == b"\x93NUMPY":
        return {"": npy_parse(data)}
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            return {name[:-4]: npy_parse(z.read(name)) for name in z.namelist()}
    return safetensors_parse(data)


def read_one(what):
    path, _, name = what.partition(":")
    arrays = read(path)
    if not name and len(arrays) == 1:
        return next(iter(arrays.values()))
    return arrays[name]


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def random_array(dtype, shape, below=0, seed=0):
    r = random.Random(seed)
    n = math.prod(shape)
    if dtype.startswith("f"):
        return Array(dtype, shape, [r.uniform(-1, 1) for _ in range(n)])
    return Array(dtype, shape, [r.randrange(below or 2) for _ in range(n)])


def difference(a, b):
    worst = 0.0
    for x, y in zip(a.values, b.values):
        d = 0.0 if x == y else abs(x - y)
        worst = max(worst, math.inf if math.isnan(d) else d)
    return worst


def make(folder):
    os.makedirs(folder, exist_ok=True)
    up = random_array("f4", (40, 24), seed=1)
    down = random_array("f4", (24, 40), seed=2)
    bias = random_array("f4", (24,), seed=3)
    turned = Array("f4", (24, 40), [up.values[r * 24 + c] for c in range(24) for r in range(40)])
    good = {"up.weight": up, "down.weight": down, "down.bias": bias}

    def place(name):
        return os.path.join(folder, name)

    write(place("good.safetensors"), safetensors_bytes(good))
    write(place("missing.safetensors"), safetensors_bytes({k: good[k] for k in ("up.weight", "down.weight")}))
    write(place("turned.safetensors"), safetensors_bytes({**good, "up.weight": turned}))
    write(place("surplus.safetensors"), safetensors_bytes({**good, "other.weight": bias}))
    write(place("double.safetensors"), safetensors_bytes({**good, "down.bias": random_array("f8", (24,))}))
    write(place("cut.safetensors"), safetensors_bytes(good)[:-100])
    for name, dtype, shape in (("x", "f4", (2, 5, 24)), ("x_double", "f8", (2, 5, 24)), ("x_wide", "f4", (2, 5, 25)),
                               ("x_flat", "f4", (2, 120)), ("x_long", "f4", (2, 33, 24)), ("x_many", "f4", (9, 5, 24))):
        write(place(name + ".npy"), npy_bytes(random_array(dtype, shape, seed=4)))
    write(place("x_cut.npy"), npy_bytes(random_array("f4", (2, 5, 24), seed=4))[:-50])


def main(args):
    if args[0] == "make":
        make(args[1])
    elif args[0] == "close":
        a, b = read_one(args[1]), read_one(args[2])
        if a.shape != b.shape:
            print(f"{args[1]} has shape {a.shape}, {args[2]} has {b.shape}")
            return 1
        worst = difference(a, b)
        print(f"max error {worst:.3g}")
        return 0 if worst <= float(args[3]) else 1
    elif args[0] == "show":
        for name, a in sorted(read(args[1]).items()):
            print(name, a.dtype, list(a.shape), list(a.values[:int(args[2]) if len(args) > 2 else 4]))
    elif args[0] == "random":
        shape = tuple(int(d) for d in args[3].split(","))
        below, seed = (int(x) for x in (args[4:6] + ["0", "0"])[:2])
        write(args[1], npy_bytes(random_array(args[2], shape, below, seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
