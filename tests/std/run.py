# Runs each model beside this script on the targets given and compares every output with PyTorch's values
# (reference.py). Usage: run.py NACRE FOLDER TARGET...
import pathlib
import subprocess
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import arrays  # noqa: E402

TOLERANCE = 2e-5


def main():
    nacre, out, targets = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    here = pathlib.Path(__file__).parent / "Inputs"
    out.mkdir(parents=True, exist_ok=True)
    failed = compared = 0
    for model in sorted((here / "models").glob("*.nac")):
        golden, inputs, command = {}, [], [nacre, "run", str(model)]
        with zipfile.ZipFile(here / "golden" / (model.stem + ".npz")) as z:
            for name in z.namelist():
                array, kind = arrays.npy_parse(z.read(name)), name[:-4]
                if kind.startswith("in."):
                    path = out / (model.stem + "." + kind[3:] + ".npy")
                    path.write_bytes(arrays.npy_bytes(array))
                    inputs += ["--input", f"{kind[3:]}={path}"]
                else:
                    golden[kind[4:]] = array
        weights = here / "golden" / (model.stem + ".safetensors")
        if weights.exists():
            command += ["--weights", str(weights)]
        for target in targets:
            result = out / f"{model.stem}.{target}.npz"
            r = subprocess.run(command + inputs + ["--target", target, "--output", str(result)], capture_output=True, text=True, timeout=300)
            if r.returncode:
                print(f"{model.name} on {target}: exit {r.returncode}\n{r.stderr}")
                failed += 1
                continue
            with zipfile.ZipFile(result) as z:
                have = {n[:-4]: arrays.npy_parse(z.read(n)) for n in z.namelist()}
            if set(have) != set(golden):
                print(f"{model.name}: golden values and outputs differ in {sorted(set(have) ^ set(golden))}")
                failed += 1
            for name in have.keys() & golden.keys():
                a, b = have[name], golden[name]
                worst = max((abs(x - y) / (1 + abs(y)) for x, y in zip(a.values, b.values)), default=0)
                compared += 1
                if a.shape != b.shape or not worst <= TOLERANCE:
                    print(f"{model.name} on {target}: {name} {a.shape} against {b.shape}, error {worst}")
                    failed += 1
    print(f"{compared} outputs compared, {failed} failed")
    return failed != 0


sys.exit(main())
