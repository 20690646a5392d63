"""labels.py LOGITS.npy TEXT: the greatest of each row of f32 logits are the numbers in TEXT."""
import struct
import sys

with open(sys.argv[1], "rb") as f:
    head = f.read(10)
    f.read(struct.unpack("<H", head[8:])[0])
    data = f.read()
values = struct.unpack(f"<{len(data) // 4}f", data)
rows = [values[i:i + 10] for i in range(0, len(values), 10)]
labels = [row.index(max(row)) for row in rows]
with open(sys.argv[2]) as f:
    got = [int(word) for word in f.read().split()]
assert labels == got, (labels, got)
