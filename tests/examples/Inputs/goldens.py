"""goldens.py NACRE TARGETS FOLDER: models of examples/language give what PyTorch gave (reference.py there), on every target.

DeepSeek-V3 and T5, which the zoo says too, are given the zoo's weights and inputs, and must write the same texts: of T5 each row for
a source of its own length gives what that source gives alone."""
import json
import os
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", ".."))
import arrays  # noqa: E402

EXAMPLES = os.path.join(HERE, "..", "..", "..", "examples")
nacre, targets, folder = sys.argv[1:]
failed = 0

DEEPSEEK = "T=16,L=3,dense=1,D=16,H=2,Rq=8,R=10,Dn=6,Dr=8,Dv=5,F=20,FE=8,E=8,K=3,G=4,KG=2,V=40,original=8,cached=f32"


def check(name, golden, case):
    global failed
    for target in targets.split(","):
        command = [nacre, "run", os.path.join(EXAMPLES, "language", case["file"]), "--weights", os.path.join(golden, "weights.safetensors"),
                   "--set", case["set"], "--target", target]
        command += ["--entry", case["entry"]] if "entry" in case else []
        for x in case["inputs"]:
            command += ["--input", f"{x}={os.path.join(golden, x)}.npy"]
        for x in case["outputs"]:
            command += ["--output", f"{x}={os.path.join(folder, x)}.npy"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        worst = 0.0
        for x in case["outputs"]:
            have, want = (arrays.read_one(os.path.join(at, x + ".npy")) for at in (folder, golden))
            assert have.shape == want.shape, (name, x, have.shape, want.shape)
            worst = max([worst] + [abs(a - b) for a, b in zip(have.values, want.values)])
        bad = not worst <= case["tolerance"]
        failed |= bad
        print(f"{name} on {target}: {worst:.1e}{' FAILED' if bad else ''}")


def text(file, settings, golden, target):
    command = [nacre, "generate", os.path.join(EXAMPLES, file), "--set", settings, "--weights", os.path.join(golden, "weights.safetensors"),
               "--ids", "7,3", "--max-tokens", "13", "--json", "--target", target]
    return json.loads(subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout)["ids"]


for name in sorted(os.listdir(os.path.join(EXAMPLES, "language", "golden"))):
    at = os.path.join(EXAMPLES, "language", "golden", name)
    with open(os.path.join(at, "case.json")) as f:
        check(name, at, json.load(f))
zoo = os.path.join(EXAMPLES, "zoo", "golden", "deepseek_v3")
check("deepseek_v3", zoo, {"file": "deepseek_v3.nac", "set": DEEPSEEK, "entry": "prefill", "inputs": ["ids"],
                           "outputs": ["logits", "hidden"], "tolerance": 1e-4})
with open(os.path.join(zoo, "case.json")) as f:
    want = text("zoo/deepseek_v3.nac", json.load(f)["set"], zoo, "interp")
for target in targets.split(","):
    same = text("language/deepseek_v3.nac", DEEPSEEK, zoo, target) == want
    failed |= not same
    print(f"deepseek_v3 on {target}: {'the same text' if same else 'another text: FAILED'}")

# T5: the second row of the batch reads 7 tokens, the first 19.
zoo = os.path.join(EXAMPLES, "zoo", "golden", "t5_v1_1")
SIZES = "L=2,D=16,H=2,Dh=6,F=24,V=40"


def save(name, dtype, shape, values):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(arrays.npy_bytes(arrays.Array(dtype, shape, values)))
    return path


def rows(file, settings, target, given):
    path = os.path.join(folder, "logits.npz")
    command = [nacre, "generate", os.path.join(EXAMPLES, file), "--set", f"{SIZES},{settings}", "--weights", os.path.join(zoo, "weights.safetensors"),
               "--start", "7,3,9", "-n", "8", "--json", "--target", target, "--logits", path]
    for x, file in given.items():
        command += ["--input", f"{x}={file}"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(path) as z:
        return [list(arrays.npy_parse(z.read(name)).values) for name in sorted(z.namelist())]


source = arrays.read_one(os.path.join(zoo, "input_ids.npy"))
long, short = (list(source.values[i:i + 19]) for i in (0, 19))
alone = [rows("zoo/t5.nac", "gated=true", "interp", {"input_ids": save("alone.npy", "i4", (1, len(x)), x)})[0] for x in (long, short[:7])]
given = {"input_ids": save("ids.npy", "i4", (2, 19), long + short), "N": save("n.npy", "i4", (2,), [19, 7])}
for target in targets.split(","):
    have = rows("language/t5_ragged.nac", "cached=f32", target, given)
    worst = max(abs(a - b) for x, y in zip(have, alone) for a, b in zip(x, y))
    bad = not worst <= 1e-4 or len(have) != 2 or len(have[0]) != 8 * 40
    failed |= bad
    print(f"t5_ragged on {target}: {worst:.1e}{' FAILED' if bad else ''}")
sys.exit(failed)
