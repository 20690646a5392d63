"""run.py NACRE BUILD_HAS_LLVM FOLDER [NAME...]: the zoo against its goldens.

For each examples/zoo/golden/NAME/case.json: the model file has the published number of parameters at
full size, and at the size of the golden every target gives PyTorch's output.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", ".."))
import arrays

ZOO = os.path.join(HERE, "..", "..", "..", "examples", "zoo")


def nacre_run(command):
    """Its standard output; a failure is told with what the program said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        sys.stdout.write(" ".join(command) + "\n" + done.stderr.decode(errors="replace")[:4000] + "\n")
        raise RuntimeError(f"exit code {done.returncode}")
    return done.stdout


def check_size(nacre, model, case):
    full = ["--set", case["full"]] if case["full"] else []
    said = json.loads(nacre_run([nacre, "check", "--json", *model, *full]))
    said = said[0] if isinstance(said, list) else said
    if said["parameters"] != case["parameters"]:
        raise RuntimeError(f"{said['parameters']} parameters, published are {case['parameters']}")


def check_target(nacre, model, case, folder, golden, target):
    command = [nacre, "run", *model, "--target", target, "--weights", os.path.join(golden, "weights.safetensors")]
    if case["set"]:
        command += ["--set", case["set"]]
    if case["entry"]:
        command += ["--entry", case["entry"]]
    if target == "pearl":
        command += ["--no-time"]
    for name, file in case["inputs"].items():
        command += ["--input", f"{name}={os.path.join(golden, file)}"]
    outputs = {name: os.path.join(folder, f"{os.path.basename(golden)}.{target}.{name}.npy") for name in case["outputs"]}
    for name, file in outputs.items():
        command += ["--output", f"{name}={file}"]
    nacre_run(command)
    worst = 0.0
    for name, file in case["outputs"].items():
        got, want = arrays.read_one(outputs[name]), arrays.read_one(os.path.join(golden, file))
        if got.shape != want.shape:
            raise RuntimeError(f"{target}: {name} has shape {got.shape}, not {want.shape}")
        worst = max(worst, arrays.difference(got, want))
    if not worst <= case["tolerance"]:
        raise RuntimeError(f"{target}: differs by {worst:.3g}")
    return f"{target} {worst:.1e}"


def main(nacre, llvm, folder, *names):
    os.makedirs(folder, exist_ok=True)
    failed = 0
    goldens = os.path.join(ZOO, "golden")
    for name in names or sorted(os.listdir(goldens)):
        golden = os.path.join(goldens, name)
        with open(os.path.join(golden, "case.json")) as f:
            case = json.load(f)
        model = [os.path.join(ZOO, case["file"])] + (["--model", case["model"]] if case["model"] else [])
        try:
            check_size(nacre, model, case)
            said = [check_target(nacre, model, case, folder, golden, target)
                    for target in (["interp", "cpu", "pearl"] if llvm == "1" else ["interp", "pearl"])]
            print(f"{name}: {', '.join(said)}; {case['parameters']} parameters", flush=True)
        except RuntimeError as e:
            failed = 1
            print(f"{name}: FAILED: {e}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
