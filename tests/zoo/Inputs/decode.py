"""decode.py NACRE TARGETS: tokens one by one, on every target, are those of the whole text at once.

For each golden whose entry is `prefill`: caches, windows and recurrent states at every position, with the
golden's weights.
"""
import json
import os
import subprocess
import sys

ZOO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "examples", "zoo")
nacre, targets = sys.argv[1:]
failed = 0


def tokens(command, prompt, count, target):
    said = subprocess.run([*command, "--ids", ",".join(map(str, prompt)), "--max-tokens", str(count), "--target", target],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(said)["ids"]


for name in sorted(os.listdir(os.path.join(ZOO, "golden"))):
    golden = os.path.join(ZOO, "golden", name)
    with open(os.path.join(golden, "case.json")) as f:
        case = json.load(f)
    if case["entry"] != "prefill":
        continue
    command = [nacre, "generate", os.path.join(ZOO, case["file"]), "--weights", os.path.join(golden, "weights.safetensors"),
               "--set", case["set"], "--json"]
    text = tokens(command, [7, 3], 13, "interp")
    bad = [t for t in targets.split(",") if tokens(command, [7, 3], 13, t) != text]
    bad += [f"{n} tokens at once" for n in (6, 14) if tokens(command, text[:n], 1, "interp") != text[:n + 1]]
    print(f"{name}: {text}" + (f" FAILED: {', '.join(bad)}" if bad else ""))
    failed |= bool(bad)
sys.exit(failed)
