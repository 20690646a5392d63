"""What the reference scripts share: random weights, and the files of a golden case.

Each script builds a published network in PyTorch at a tiny size, with random weights, and writes to
golden/NAME: weights.safetensors (the names of its state_dict), inputs and outputs as .npy, and
case.json, which says how the model file is run. Needs PyTorch and torchvision (Debian: python3-torch,
python3-torchvision).
"""
import json
import os
import struct

import numpy
import torch

ZOO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def seeded(net, seed=1):
    """Gives every parameter and statistic of a network values that keep its activations near one."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if not t.dtype.is_floating_point:
                continue
            noise = torch.randn(t.shape, generator=g)
            if name.endswith("running_var"):
                t.copy_(1 + 0.2 * noise.clamp(-2, 2))
            elif t.dim() > 1:
                t.copy_(noise / (t[0].numel() ** 0.5))
            elif name.endswith("bias") or name.endswith("running_mean"):
                t.copy_(0.1 * noise)
            else:
                t.copy_(1 + 0.1 * noise)
    return net.double().eval()


def save_safetensors(path, tensors):
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().contiguous().to(torch.float32).numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def rounded(net):
    """The network with weights rounded to float32, as the files hold them, computing in double."""
    return net.float().double()


def save_case(name, file, tensors, inputs, outputs, **case):
    """inputs and outputs: arrays by name; case: model, set, entry, parameters, full, tolerance."""
    folder = os.path.join(ZOO, "golden", name)
    os.makedirs(folder, exist_ok=True)
    save_safetensors(os.path.join(folder, "weights.safetensors"),
                     {k: v for k, v in tensors.items() if v.dtype.is_floating_point})
    for key, value in {**inputs, **outputs}.items():
        value = value.detach().numpy()
        kind = numpy.float32 if value.dtype.kind == "f" else numpy.int32
        numpy.save(os.path.join(folder, key + ".npy"), value.astype(kind))
    case = {"file": file, **case, "inputs": {k: k + ".npy" for k in inputs},
            "outputs": {k: k + ".npy" for k in outputs}}
    case.setdefault("tolerance", 1e-4)
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump(case, f, indent=1)
        f.write("\n")
    size = sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder))
    print(f"{name}: {size / 1000:.0f} KB")
