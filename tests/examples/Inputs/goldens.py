"""goldens.py NACRE TARGETS FOLDER: models of examples/language give what PyTorch gave (reference.py there), on every target.

DeepSeek-V3, which the zoo says too, is given the zoo's weights and outputs, and must write the same text."""
import json
import os
import subprocess
import sys

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
sys.exit(failed)
