"""encoder.py NACRE MODEL FOLDER BxS...: the artefacts in FOLDER give what the interpreter gives."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
import arrays

nacre, model, folder = sys.argv[1:4]
failed = 0


def run(artefact, ids, *more):
    out = os.path.join(folder, "out.npy")
    subprocess.run([nacre, "run", artefact, "--input", "ids=" + ids, "--output", "hidden=" + out, "--json", *more],
                   check=True, stdout=subprocess.DEVNULL)
    return arrays.read_one(out)


for size in sys.argv[4:]:
    shape = tuple(int(n) for n in size.split("x"))
    ids = os.path.join(folder, "ids.npy")
    arrays.write(ids, arrays.npy_bytes(arrays.random_array("i4", shape, below=1000, seed=sum(shape))))
    want = run(model, ids, "--target", "interp", "--random-weights", "2")
    for name in "encoder.so", "encoder.pearl":
        artefact = os.path.join(folder, name)
        if not os.path.exists(artefact):
            continue
        worst = arrays.difference(run(artefact, ids), want)
        print(f"{name} at {size}: {worst:.2g}")
        failed |= not worst <= 1e-4
sys.exit(failed)
