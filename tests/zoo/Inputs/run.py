"""run.py NACRE sizes | compile | goldens | resized | table [--no-llvm] [--folder DIR] [NAME...]: the zoo against what is published.

sizes: each line of examples/zoo/sizes.json has its number of parameters.
compile: each of its default sizes (with --all: each size) compiles for every target, without weights; what
is too large for one chip of Pearl says so.
goldens: at the size of each examples/zoo/golden/NAME/case.json every target gives PyTorch's output.
resized: one artefact of a target gives what the interpreter gives at each of the sizes of RESIZED.
table: all of that as the tables of doc/zoo.md.
"""
import argparse
import json
import os
import re
import resource
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", ".."))
import arrays

ZOO = os.path.normpath(os.path.join(HERE, "..", "..", "..", "examples", "zoo"))


# Of goldens: sizes of images and volumes that one program must serve.
RESIZED = {
    "resnet18": ["N=1,Y=33,X=65", "N=2,Y=40,X=36"],
    "mobilenet_v2": ["N=1,Y=33,X=65", "N=2,Y=40,X=36"],
    "efficientnet_b0": ["N=2,Y=64,X=32", "N=1,Y=39,X=98"],
    "convnext_tiny": ["N=2,Y=33,X=64", "N=1,Y=32,X=101"],
    "resnet3d": ["N=2,T=1,Y=16,X=17", "N=1,T=7,Y=20,X=24"],
    "yolo_head": ["N=2,Y=3,X=5", "N=1,Y=1,X=6"],
    "yolo_head_detections": ["N=1,Y=3,X=5"],
    "unet": ["N=1,y=9,x=8", "N=1,y=8,x=10"],
    "sd_unet": ["N=1,Y=1,X=1,T=7", "N=3,Y=2,X=1,T=1"],
    "unet3d": ["N=2,z=1,y=1,x=1", "N=1,z=2,y=1,x=3"],
}


class Failed(Exception):
    pass


def nacre(options, *command):
    """Standard output, what it says, and the CPU seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([options.nacre, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = done.stderr.decode(errors="replace")
    if done.returncode:
        raise Failed(f"exit code {done.returncode} of nacre {' '.join(command)}\n{said[:4000]}")
    return done.stdout, said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def model_of(case):
    command = [os.path.join(ZOO, case["file"])]
    return command + (["--model", case["model"]] if case["model"] else [])


def sizes():
    with open(os.path.join(ZOO, "sizes.json")) as f:
        return json.load(f)


def cases(options):
    folder = os.path.join(ZOO, "golden")
    for name in options.names or sorted(os.listdir(folder)):
        with open(os.path.join(folder, name, "case.json")) as f:
            yield name, json.load(f)


def targets(options):
    return ["interp", "pearl"] if options.no_llvm else ["interp", "cpu", "pearl"]


def check_size(options, size):
    said, _, _ = nacre(options, "check", "--json", *model_of(size), *(["--set", size["set"]] if size["set"] else []))
    said = json.loads(said)
    said = said[0] if isinstance(said, list) else said
    if said["parameters"] != size["parameters"]:
        raise Failed(f"{said['parameters']} parameters, published are {size['parameters']}")


def compile_time(options, size, target):
    """In CPU seconds; or what Pearl says of a model that one chip cannot hold."""
    settings = ["--set", size["set"]] if size["set"] else []
    out = os.path.join(options.folder, "zoo." + ("so" if target == "cpu" else "pearl"))
    try:
        return f"{nacre(options, 'compile', *model_of(size), *settings, '--target', target, '-o', out)[2]:.1f} s"
    except Failed as e:
        chips = re.search(r"[0-9]+ chips", str(e))
        if target == "pearl" and (re.search("memory of .base", str(e)) or chips):
            return chips.group() if chips else "too large"
        raise


def error(options, name, case, target):
    """The largest difference to PyTorch."""
    golden = os.path.join(ZOO, "golden", name)
    command = ["run", *model_of(case), "--target", target, "--weights", os.path.join(golden, "weights.safetensors")]
    command += ["--set", case["set"]] if case["set"] else []
    command += ["--entry", case["entry"]] if case["entry"] else []
    command += ["--no-time"] if target == "pearl" else []
    for key, file in case["inputs"].items():
        command += ["--input", f"{key}={os.path.join(golden, file)}"]
    outputs = {key: os.path.join(options.folder, f"{name}.{target}.{key}.npy") for key in case["outputs"]}
    for key, file in outputs.items():
        command += ["--output", f"{key}={file}"]
    nacre(options, *command)
    worst = 0.0
    for key, file in case["outputs"].items():
        got, want = arrays.read_one(outputs[key]), arrays.read_one(os.path.join(golden, file))
        if got.shape != want.shape:
            raise Failed(f"{target}: {key} has shape {got.shape}, not {want.shape}")
        worst = max(worst, arrays.difference(got, want))
    if not worst <= case["tolerance"]:
        raise Failed(f"{target}: differs by {worst:.3g}")
    return worst


def resized(options, name, case, target):
    """The largest difference of one artefact to the interpreter, over sizes; of large values, relative to the largest."""
    golden = os.path.join(ZOO, "golden", name)
    made = ["--weights", os.path.join(golden, "weights.safetensors"), "--set", case["set"]]
    artefact = os.path.join(options.folder, name + (".so" if target == "cpu" else ".pearl"))
    nacre(options, "compile", *model_of(case), "--target", target, *made, "-o", artefact)
    worst = 0.0
    for dims in RESIZED[name]:
        where = ["--seed", "5", "--entry", case["entry"], "--dim", dims]
        got = {key: os.path.join(options.folder, f"{name}.{key}.got.npy") for key in case["outputs"]}
        want = {key: os.path.join(options.folder, f"{name}.{key}.want.npy") for key in case["outputs"]}
        nacre(options, "run", artefact, *where, *(["--no-time"] if target == "pearl" else []),
              *[f"--output={key}={file}" for key, file in got.items()])
        nacre(options, "run", *model_of(case), "--target", "interp", *made, *where,
              *[f"--output={key}={file}" for key, file in want.items()])
        for key in case["outputs"]:
            a, b = arrays.read_one(got[key]), arrays.read_one(want[key])
            if a.shape != b.shape:
                raise Failed(f"{target}, {dims}: {key} has shape {a.shape}, not {b.shape}")
            worst = max(worst, arrays.difference(a, b) / max(1.0, *map(abs, b.values)))
        if not worst <= 1e-5:
            raise Failed(f"{target}, {dims}: differs by {worst:.3g}")
    return worst


def defaults():
    return [size for size in sizes() if not size["set"]]


def run_all(what, rows):
    """Does each (name, function); prints what it gives; how many failed."""
    failed = 0
    for name, function in rows:
        try:
            print(f"{name}: {function()}", flush=True)
        except Failed as e:
            failed += 1
            print(f"{name}: FAILED: {e}", flush=True)
    print(f"{what}: {failed} failed")
    return failed


def run_sizes(options):
    return run_all("sizes", [(s["name"], lambda s=s: check_size(options, s) or s["parameters"]) for s in sizes()])


def run_compile(options):
    def both(size):
        return ", ".join(f"{t} {compile_time(options, size, t)}" for t in targets(options)[1:])
    return run_all("compile", [(s["name"], lambda s=s: both(s)) for s in (sizes() if options.all else defaults())])


def run_goldens(options):
    def each(name, case):
        return ", ".join(f"{t} {error(options, name, case, t):.1e}" for t in targets(options))
    return run_all("goldens", [(name, lambda n=name, c=case: each(n, c)) for name, case in cases(options)])


def run_resized(options):
    def each(name, case):
        return ", ".join(f"{t} {resized(options, name, case, t):.1e}" for t in targets(options)[1:])
    return run_all("resized", [(name, lambda n=name, c=case: each(n, c)) for name, case in cases(options) if name in RESIZED])


def run_table(options):
    print("| model | file | lines | interpreter | CPU | Pearl | compiled for the CPU | for Pearl |\n" + "|---" * 8 + "|")
    found = {}
    for name, case in cases(options):
        found.setdefault((case["file"], case["model"]), []).append((name, case))
    for size in defaults():
        mine = found.get((size["file"], size["model"])) or next((g for k, g in found.items() if k[0] == size["file"]), [])
        if not mine and options.names:
            continue
        with open(os.path.join(ZOO, size["file"])) as f:
            lines = len(f.readlines())
        errors = [f"{max(error(options, n, c, t) for n, c in mine):.1e}" for t in targets(options)]
        times = [compile_time(options, size, t) for t in targets(options)[1:]]
        print(f"| {size['name']} | [{size['file']}](../examples/zoo/{size['file']}) | {lines} | {' | '.join(errors + times)} |", flush=True)
    print("\n| model | settings | parameters | published | compiled for the CPU | for Pearl |\n" + "|---" * 6 + "|")
    for size in sizes():
        check_size(options, size)
        settings = f"`{size['set']}`" if size["set"] else f"[{size['file']}](../examples/zoo/{size['file']})"
        times = [compile_time(options, size, t) if size["set"] else "above" for t in targets(options)[1:]]
        print(f"| {size['name']} | {settings} | {size['parameters']:,} | {size['source']} | {' | '.join(times)} |", flush=True)
    return 0


RUNS = {"sizes": run_sizes, "compile": run_compile, "goldens": run_goldens, "resized": run_resized, "table": run_table}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nacre")
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("names", nargs="*", help="of goldens; by default all")
    parser.add_argument("--no-llvm", action="store_true", help="without the CPU target")
    parser.add_argument("--all", action="store_true", help="compile: every published size")
    parser.add_argument("--folder", default="zoo-out", help="for what is written on the way")
    options = parser.parse_intermixed_args()
    os.makedirs(options.folder, exist_ok=True)
    return RUNS[options.what](options)


if __name__ == "__main__":
    sys.exit(main() > 0)
