"""Calls that fail: the name of each, and the first line of what is told.

    failures.py NACRE FOLDER MODEL TARGET"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
import arrays  # noqa: E402

IDS = ("i4", (2, 3), [1, 2, 3, 4, 99, 2])
CALLS = [
    ("plain", "plain", "", {"ids": IDS}),
    ("wide", "wide", "", {"ids": ("i8", (2, 3), [1, 2, 3, 4, 99, 2])}),
    ("large", "wide", "", {"ids": ("i8", (2, 3), [1, 2, 3, (1 << 32) + 4, 5, 2])}),
    ("minus", "minus", "", {"ids": ("i4", (2, 3), [1, 2, 3, 4, 0, 2])}),
    ("step", "step", "B=1,N=16,pos=3", {}),
    ("slices", "slices", "B=1,N=12,pos=5", {}),
    ("none", "ragged", "", {"S": ("i4", (2,), [3, 0]), "ids": ("i4", (2, 3), [1] * 6)}),
    ("many", "ragged", "", {"S": ("i4", (2,), [4, 1]), "ids": ("i4", (2, 3), [1] * 6)}),
    ("unused", "unused", "", {"S": ("i4", (2,), [9, 1]), "ids": ("i4", (2, 9), [1] * 18)}),
    ("dropped", "dropped", "", {"S": ("i4", (2,), [9, 1]), "ids": ("i4", (2, 9), [1] * 18)}),
    ("rewind", "rewind", "", {"to": ("i4", (2,), [0, 5])}),
    ("sets", "sets", "", {"a": ("i4", (3,), [1, 17, 3])}),
    ("twice", "twice", "", {"S": ("i4", (2,), [9, 1]), "ids": ("i4", (2, 9), [1] * 18)}),
    ("reorder", "reorder", "", {"a": ("i4", (3,), [1, 7, 2])}),
    ("routed", "routed", "B=1", {"a": ("i4", (3,), [1, 7, 3])}),
    ("sized", "sized", "B=1,P=3", {}),
    ("two", "two", "B=1", {"a": ("i4", (3,), [1, 2, 3]), "b": ("i4", (3,), [1, 17, 3])}),
    ("both", "both", "B=1", {"a": ("i4", (3,), [1, 2, 3]), "b": ("i4", (3,), [1, 17, 3])}),
    ("columns", "columns", "B=1", {"a": ("i4", (3,), [1, 2, 9])}),
    ("placed", "placed", "B=1", {"a": ("i4", (3,), [1, 2, 9])}),
]


def main():
    nacre, folder, model, target = sys.argv[1:5]
    os.makedirs(folder, exist_ok=True)
    for name, entry, dims, inputs in CALLS:
        command = [nacre, "run", model, "--target", target, "--entry", entry, "--random-weights", "1", "--no-time"]
        if dims:
            command += ["--dim", dims]
        for key, array in inputs.items():
            path = os.path.join(folder, f"{name}.{key}.npy")
            with open(path, "wb") as f:
                f.write(arrays.npy_bytes(arrays.Array(*array)))
            command.append(f"--input={key}={path}")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 1:
            sys.exit(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
        print(f"{name}: {done.stderr.splitlines()[0]}")


main()
