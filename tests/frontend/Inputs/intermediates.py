"""intermediates.py write FILE.safetensors OUT.npy | compare FILE.safetensors DUMP.npz NAME=VALUE...
Writes the published token ids as an input; compares dumped values with published ones (1e-5). NumPy is
not needed: files hold little-endian floats."""
import json
import math
import struct
import sys
import zipfile


def read_safetensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    out = {}
    for key, entry in header.items():
        if key != "__metadata__":
            begin, end = entry["data_offsets"]
            out[key] = entry["shape"], struct.unpack("<%df" % ((end - begin) // 4), body[begin:end])
    return out


def write_npy(path, shape, values):
    text = "{'descr': '<i4', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
        f.write(struct.pack("<%di" % len(values), *map(int, values)))


def read_npy(data):
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack("<%df" % ((len(data) - begin) // 4), data[begin:])


published = read_safetensors(sys.argv[2])
if sys.argv[1] == "write":
    write_npy(sys.argv[3], *published["idx"])
    sys.exit()
worst = 0
with zipfile.ZipFile(sys.argv[3]) as dump:
    for pair in sys.argv[4:]:
        name, value = pair.split("=")
        have, want = read_npy(dump.read(value + ".npy")), published[name][1]
        if len(have) != len(want):
            sys.exit("%s: %d values, %d published" % (name, len(have), len(want)))
        for a, b in zip(have, want):
            if a != b:
                if not math.isfinite(a) or abs(a - b) > 1e-5:
                    sys.exit("%s: %r, published %r" % (name, a, b))
                worst = max(worst, abs(a - b))
print("%d values agree, largest difference %g" % (len(sys.argv) - 4, worst))
