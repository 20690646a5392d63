"""scaled_weights.py arrays.py FOLDER: files of weights in i4 with scales and zero points, and the products that they stand for."""
import importlib.util
import random
import sys

spec = importlib.util.spec_from_file_location("arrays", sys.argv[1])
arrays = importlib.util.module_from_spec(spec)
spec.loader.exec_module(arrays)

ROWS, COLUMNS, GROUP = 5, 11, 4
GROUPS = -(-COLUMNS // GROUP)
random.seed(3)
stored = [random.randrange(-8, 8) for _ in range(ROWS * COLUMNS)]
scales = [random.randrange(1, 9) / 8 for _ in range(ROWS * GROUPS)]
zeros = [random.randrange(-8, 8) for _ in range(ROWS * GROUPS)]
x = [random.randrange(-16, 17) / 4 for _ in range(2 * COLUMNS)]


def weight(row, column):
    group = row * GROUPS + column // GROUP
    return (stored[row * COLUMNS + column] - zeros[group]) * scales[group]


y = [sum(x[b * COLUMNS + c] * weight(r, c) for c in range(COLUMNS)) for b in range(2) for r in range(ROWS)]
files = {"w": arrays.Array("i1", (ROWS, COLUMNS), stored), "w.scales": arrays.Array("f4", (ROWS, GROUPS), scales),
         "w.zeros": arrays.Array("i1", (ROWS, GROUPS), zeros)}
open(sys.argv[2] + "/w.safetensors", "wb").write(arrays.safetensors_bytes(files))
files["w"].values[7] = 8
open(sys.argv[2] + "/wide.safetensors", "wb").write(arrays.safetensors_bytes(files))
open(sys.argv[2] + "/x.npy", "wb").write(arrays.npy_bytes(arrays.Array("f4", (2, COLUMNS), x)))
open(sys.argv[2] + "/y.npy", "wb").write(arrays.npy_bytes(arrays.Array("f4", (2, ROWS), y)))
