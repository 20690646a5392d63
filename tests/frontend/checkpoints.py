# Makes checkpoints that fit a model and others that do not, each in one way, and prints what `nacre
# check --weights` says of each: one message. Usage: checkpoints.py NACRE MODEL FOLDER
import json
import pathlib
import struct
import subprocess
import sys

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "F64": 8}
D, F, V = 4, 6, 10


def save(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = BYTES[dtype]
        for n in shape:
            size *= n
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))


def whole(layers=3, dtype="F32", prefix="model."):
    t = {prefix + "embed_tokens.weight": (dtype, [V, D])}
    for i in range(layers):
        t[f"{prefix}layers.{i}.up_proj.weight"] = (dtype, [F, D])
        t[f"{prefix}layers.{i}.down_proj.weight"] = (dtype, [D, F])
        t[f"{prefix}layers.{i}.norm.weight"] = (dtype, [D])
    t["lm_head.weight"] = (dtype, [V, D])
    return t


def changed(**by):
    t = whole()
    for name, value in by.items():
        name = name.replace("__", ".")
        if value is None:
            del t[name]
        else:
            t[name] = value
    return t


def renamed(old, new):
    return {k.replace(old, new): v for k, v in whole().items()}


def transposed(suffix):
    return {k: (d, s[::-1] if k.endswith(suffix) else s) for k, (d, s) in whole().items()}


CASES = {
    "fits": whole(),
    "half": whole(dtype="BF16"),
    "surplus prefix": renamed("model.", "transformer.model."),
    "lacking prefix": renamed("model.", ""),
    "mixed prefixes": renamed("model.layers.1", "layers.1"),
    "mixed prefixes, more": renamed("model.layers.2", "transformer.model.layers.2"),
    "one missing": changed(model__layers__1__norm__weight=None),
    "misspelt": renamed("layers.2.norm", "layers.2.nrom"),
    "many missing": renamed("proj.weight", "projection.w"),
    "fewer layers": whole(2),
    "more layers": whole(5),
    "tied": changed(lm_head__weight=None),
    "other model": {"bert.pooler.dense.weight": ("F32", [D, D]), "cls.bias": ("F32", [D])},
    "unused": changed(model__layers__0__rotary_emb__inv_freq=("F32", [2]), step=("F32", [])),
    "transposed": transposed("up_proj.weight"),
    "another width": {k: (d, [n + 2 if n == F else n for n in s]) for k, (d, s) in whole().items()},
    "reshaped": changed(model__layers__0__norm__weight=("F32", [2, 2])),
    "integers": changed(lm_head__weight=("I8", [V, D])),
    "narrowing": whole(dtype="F64"),
}


def main():
    nacre, model, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)

    def show(case, path, *options):
        r = subprocess.run([nacre, "check", model, "--weights", path.name if path.is_file() else str(path), *options],
                           cwd=path.parent, capture_output=True, text=True, timeout=60)
        said = [line for line in r.stderr.splitlines() if "loop over" not in line and " | " not in line]
        said = [line.split("/")[-1] if ".nac:" in line else line for line in said]
        fits = [line for line in r.stdout.splitlines() if line.startswith("weights:")]
        print(f"== {case}: exit {r.returncode}, {r.stderr.count('error:')} errors")
        print("\n".join(said + fits).replace(str(folder) + "/", ""))

    for case, tensors in CASES.items():
        path = folder / (case.replace(" ", "-") + ".safetensors")
        save(path, tensors)
        show(case, path)
    show("surplus prefix, told", folder / "surplus-prefix.safetensors", "--prefix", "transformer.")
    show("mixed prefixes, told", folder / "mixed-prefixes.safetensors", "--prefix", "model.")
    show("lacking prefix, told", folder / "lacking-prefix.safetensors", "--prefix", "model.")

    shards = folder / "shards"
    shards.mkdir(exist_ok=True)
    names = list(whole())
    parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, keys in parts.items():
        save(shards / file, {k: whole()[k] for k in keys})
    index = {"metadata": {"total_size": 0}, "weight_map": {k: f for f, keys in parts.items() for k in keys}}
    path = shards / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    show("shards, by the index", path)
    show("shards, by the folder", shards)
    index["weight_map"][names[0]] = "model-00002-of-00002.safetensors"
    path.write_text(json.dumps(index))
    show("shards that disagree", path)
    index["weight_map"][names[0]] = "model-00003-of-00003.safetensors"
    path.write_text(json.dumps(index))
    show("a shard is missing", path)
    index["weight_map"][names[0]] = "../shards/model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    show("a shard elsewhere", path)
    path.write_text("{}")
    show("no index", path)
    path.write_text("{\"weight_map\": ")
    show("cut index", path)
    return 0


sys.exit(main())
