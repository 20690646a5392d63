"""For minigpt.test.

    minigpt.py inputs PUBLISHED FOLDER            idx.npy of the published batch
    minigpt.py values PUBLISHED DUMPED OUTPUTS    every published value is reproduced within 1e-5
    minigpt.py sort NACRE ARTEFACT FOLDER         all 729 inputs are sorted
"""
import itertools
import math
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
import arrays


def inputs(published, folder):
    idx = arrays.read(published)["idx"]
    ids = arrays.Array("i4", idx.shape, [int(v) for v in idx.values])
    arrays.write(os.path.join(folder, "idx.npy"), arrays.npy_bytes(ids))


def values(published, dumped, outputs):
    have = {**arrays.read(dumped), **arrays.read(outputs)}
    # The published values of one block are those of the first; blockN is what block N passes on.
    failed = 0
    for name, want in arrays.read(published).items():
        mine = f"h.{name[5:]}.mlpResid" if name.startswith("block") else name
        got = have.get(mine) or have.get("h.0." + mine)
        if got is None:
            print(f"{name}: no such value")
            failed = 1
        elif math.prod(got.shape) != math.prod(want.shape):
            print(f"{name}: shape {got.shape}, published {want.shape}")
            failed = 1
        else:
            worst = arrays.difference(got, want)
            print(f"{name}: {worst:.2g}")
            failed |= not worst <= 1e-5
    return failed


def predict(nacre, artefact, folder, rows):
    length = len(rows[0])
    idx = os.path.join(folder, "all.npy")
    out = os.path.join(folder, "logits.npy")
    arrays.write(idx, arrays.npy_bytes(arrays.Array("i4", (len(rows), length), [v for row in rows for v in row])))
    subprocess.run([nacre, "run", artefact, "--input", "idx=" + idx, "--output", "logits=" + out, "--json"],
                   check=True, stdout=subprocess.DEVNULL)
    logits = arrays.read_one(out)
    classes = logits.shape[2]
    last = [logits.values[(i * length + length - 1) * classes:(i * length + length) * classes] for i in range(len(rows))]
    return [max(range(classes), key=row.__getitem__) for row in last]


def sort(nacre, artefact, folder):
    rows = [list(row) for row in itertools.product(range(3), repeat=6)]
    wanted = [sorted(row) for row in rows]
    for _ in range(6):
        for row, value in zip(rows, predict(nacre, artefact, folder, rows)):
            row.append(value)
    wrong = sum(row[6:] != want for row, want in zip(rows, wanted))
    print(f"{len(rows) - wrong} of {len(rows)} sorted")
    return wrong != 0


if __name__ == "__main__":
    sys.exit({"inputs": inputs, "values": values, "sort": sort}[sys.argv[1]](*sys.argv[2:]))
