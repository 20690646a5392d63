"""decode.py NACRE TARGETS FOLDER: tokens one by one, on every target, are those of the whole text at once.

For each golden whose entry is `prefill`: caches, windows and recurrent states at every position, with the
golden's weights. For those of an encoder and a decoder: the logits of every step are those of `forward`.
"""
import json
import os
import subprocess
import sys
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
import arrays  # noqa: E402

ZOO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "examples", "zoo")
nacre, targets, folder = sys.argv[1:]
failed = 0


def said(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


def tokens(command, prompt, count, target):
    return json.loads(said([*command, "--ids", ",".join(map(str, prompt)), "--max-tokens", str(count), "--target", target]))["ids"]


def stepped(name, case, golden, target, start):
    """The largest difference between the logits of single steps and those of the text that they gave at once."""
    model = [os.path.join(ZOO, case["file"]), "--weights", os.path.join(golden, "weights.safetensors"), "--set", case["set"]]
    source = [k for k in case["inputs"] if k != "decoder_input_ids"][0]
    given = ["--input", f"{source}={os.path.join(golden, case['inputs'][source])}"]
    logits, ids, whole = (os.path.join(folder, f"{name}.{end}") for end in ("npz", "ids.npy", "npy"))
    rows = json.loads(said([nacre, "generate", *model, *given, "--start", ",".join(map(str, start)), "-n", str(8 - len(start)), "--json",
                            "--logits", logits, "--target", target]))
    text = [i for row in rows for i in row["ids"]]
    with open(ids, "wb") as f:
        f.write(arrays.npy_bytes(arrays.Array("i4", (len(rows), 8), text)))
    said([nacre, "run", *model, *given, "--entry", "forward", "--input", f"decoder_input_ids={ids}", "--output", f"logits={whole}"])
    want = arrays.read_one(whole)
    wide, worst = want.shape[2], 0.0
    with zipfile.ZipFile(logits) as z:
        for row in range(len(rows)):
            got = arrays.npy_parse(z.read(f"{row}.npy"))
            assert got.shape == (8 - len(start), wide), got.shape
            at = (8 * row + len(start) - 1) * wide
            worst = max(worst, max(abs(x - y) for x, y in zip(got.values, want.values[at:])))
    return worst


for name in sorted(os.listdir(os.path.join(ZOO, "golden"))):
    golden = os.path.join(ZOO, "golden", name)
    with open(os.path.join(golden, "case.json")) as f:
        case = json.load(f)
    if "decoder_input_ids" in case["inputs"]:
        bad = [(t, start) for t in ["interp", *targets.split(",")] for start in ([5], [7, 3, 9])
               if not stepped(name, case, golden, t, start) <= 1e-5]
        print(f"{name}: steps of the decoder" + (f" FAILED: {bad}" if bad else ""))
        failed |= bool(bad)
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
