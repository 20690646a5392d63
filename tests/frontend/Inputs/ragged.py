"""Rows of a ragged batch give what each gives alone, whatever stands in the padding, which comes out as zeros.

    ragged.py NACRE FOLDER MODEL ENTRY TARGET INPUT=DTYPE:DIMS:BELOW.. -- DIM=LENGTHS..

DIMS are numbers, B, or ragged dims; LENGTHS are one a row. Inputs are made up; padding is NaN, or -7 for integers.
An output whose first dim is not the batch is not compared; the others agree within 1e-4."""
import itertools
import math
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
import arrays  # noqa: E402


def positions(shape):
    return itertools.product(*[range(n) for n in shape])


def at(shape, index):
    flat = 0
    for n, i in zip(shape, index):
        flat = flat * n + i
    return flat


def run(nacre, folder, model, entry, target, inputs, name):
    out = os.path.join(folder, f"{name}.npz")
    command = [nacre, "run", model, "--entry", entry, "--target", target, "--random-weights", "5", f"--output={out}"]
    for key, a in inputs.items():
        path = os.path.join(folder, f"{name}.{key}.npy")
        with open(path, "wb") as f:
            f.write(arrays.npy_bytes(a))
        command.append(f"--input={key}={path}")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return arrays.read(out)


def main():
    nacre, folder, model, entry, target = sys.argv[1:6]
    split = sys.argv.index("--")
    lengths = {k: [int(x) for x in v.split(",")] for k, v in (a.split("=") for a in sys.argv[split + 1:])}
    rows = len(next(iter(lengths.values())))
    os.makedirs(folder, exist_ok=True)
    maker = random.Random(1)
    batch, alone = {}, [{} for _ in range(rows)]
    for spec in sys.argv[6:split]:
        name, rest = spec.split("=")
        dtype, dims, *below = rest.split(":")
        dims = dims.split(",")
        shape = [rows if d == "B" else max(lengths[d]) if d in lengths else int(d) for d in dims]
        whole = arrays.Array(dtype, shape, [math.nan if dtype == "f4" else -7] * math.prod(shape))
        for b in range(rows):
            own = [1 if d == "B" else lengths[d][b] if d in lengths else int(d) for d in dims]
            values = [maker.uniform(-1, 1) if dtype == "f4" else maker.randrange(int(below[0])) for _ in range(math.prod(own))]
            alone[b][name] = arrays.Array(dtype, own, values)
            for i in positions(own):
                whole.values[at(shape, [b if d == "B" else x for d, x in zip(dims, i)])] = values[at(own, i)]
        batch[name] = whole
    for name, each in lengths.items():
        batch[name] = arrays.Array("i4", [rows], each)
        for b in range(rows):
            alone[b][name] = arrays.Array("i4", [1], [each[b]])
    got = run(nacre, folder, model, entry, target, batch, "batch")
    compared = 0
    for b in range(rows):
        want = run(nacre, folder, model, entry, target, alone[b], f"row{b}")
        for name, a in got.items():
            if not a.shape or a.shape[0] != rows:
                continue
            w = want[name]
            for i in positions(a.shape[1:]):
                x = a.values[at(a.shape, (b, *i))]
                inside = all(k < n for k, n in zip(i, w.shape[1:]))
                y = w.values[at(w.shape, (0, *i))] if inside else 0
                same = x == y or abs(x - y) <= 1e-4 * (1 + abs(y))
                if not same:
                    sys.exit(f"{name}{[b, *i]} is {x}, alone {y if inside else '0: padding'}")
                compared += 1
    print(f"{compared} elements agree")


main()
