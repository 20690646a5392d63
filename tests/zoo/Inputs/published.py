"""published.py NACRE BUILD_HAS_LLVM FOLDER: DeepSeek-V3 from a checkpoint in the form that is published.

The golden's weights are written twice: in f8 with a scale for each block, as the published checkpoint has them, and in f32 with
the numbers that those stand for. The first form must give what the second gives, which is compared with PyTorch elsewhere.
"""
import json
import math
import os
import re
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", ".."))
import arrays

ZOO = os.path.join(HERE, "..", "..", "..", "examples", "zoo")
GOLDEN = os.path.join(ZOO, "golden", "deepseek_v3")
BLOCK = 4
# the weights that are stored in f8
NARROW = re.compile(r"(q_a|q_b|kv_a|kv_b|o|gate|up|down)_proj(_with_mqa)?\.weight$")


def f8e4m3(code):
    sign, exponent, fraction = -1.0 if code & 128 else 1.0, code >> 3 & 15, code & 7
    return sign * (fraction / 8 * 2.0**-6 if exponent == 0 else (1 + fraction / 8) * 2.0 ** (exponent - 7))


VALUES = sorted((f8e4m3(c), c) for c in range(256) if c & 127 != 127)


def nearest(x):
    return min(VALUES, key=lambda v: abs(v[0] - x))


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def quantize(tensor):
    """The bytes of its f8 codes, the shape and bytes of its scales, and the bytes of what they stand for."""
    rows, columns = tensor.shape
    down, across = math.ceil(rows / BLOCK), math.ceil(columns / BLOCK)
    scales = [1e-30] * (down * across)
    for i, v in enumerate(tensor.values):
        at = i // columns // BLOCK * across + i % columns // BLOCK
        scales[at] = max(scales[at], abs(v) / 448)
    scales = [f32(s) for s in scales]
    codes, plain = bytearray(), []
    for i, v in enumerate(tensor.values):
        scale = scales[i // columns // BLOCK * across + i % columns // BLOCK]
        value, code = nearest(v / scale)
        codes.append(code)
        plain.append(value * scale)
    return bytes(codes), (down, across), struct.pack(f"{len(scales)}f", *scales), struct.pack(f"{len(plain)}f", *plain)


def write(path, tensors):
    """tensors: name -> (type, shape, bytes)"""
    header, offset = {}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def run(nacre, case, target, weights, out, more):
    command = [nacre, "run", os.path.join(ZOO, case["file"]), "--model", case["model"], "--target", target, "--entry", case["entry"],
               "--weights", weights, "--set", case["set"] + more]
    for name, file in case["inputs"].items():
        command += ["--input", f"{name}={os.path.join(GOLDEN, file)}"]
    command += ["--output", f"logits={out}"] + (["--no-time"] if target == "pearl" else [])
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return arrays.read_one(out)


def main(nacre, llvm, folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(GOLDEN, "case.json")) as f:
        case = json.load(f)
    stored, plain, narrow = {}, {}, 0
    for name, tensor in arrays.read(os.path.join(GOLDEN, "weights.safetensors")).items():
        stored[name] = plain[name] = ("F32", tensor.shape, tensor.bytes())
        if not NARROW.search(name):
            continue
        codes, shape, scales, values = quantize(tensor)
        stored[name], plain[name] = ("F8_E4M3", tensor.shape, codes), ("F32", tensor.shape, values)
        stored[name + "_scale_inv"] = ("F32", shape, scales)
        narrow += 1
    files = [os.path.join(folder, n) for n in ("published.safetensors", "plain.safetensors")]
    write(files[0], stored)
    write(files[1], plain)
    out = os.path.join(folder, "logits.npy")
    want = run(nacre, case, "interp", files[1], out, "")
    for target in ["interp", "cpu", "pearl"] if llvm == "1" else ["interp", "pearl"]:
        got = run(nacre, case, target, files[0], out, f",published=true,block={BLOCK}")
        worst = arrays.difference(got, want)
        if not worst <= 1e-4:
            sys.exit(f"{target}: differs by {worst:.3g}")
        print(f"{target} {worst:.1e}", flush=True)
    # declared without scales, the model refuses the file
    refused = subprocess.run([nacre, "check", os.path.join(ZOO, case["file"]), "--weights", files[0], "--set", case["set"]],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if refused.returncode != 1 or "is stored with scales; declare that" not in refused.stderr:
        sys.exit(f"scales that nothing declares: {refused.stderr}")
    print(f"{narrow} weights in f8")


main(*sys.argv[1:])
