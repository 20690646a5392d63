#!/usr/bin/env python3
"""compare.py NACRE [LINES]: `nacre tokenize` against Hugging Face's `tokenizers` package.

Both encode generated lines of mixed scripts, emoji, control characters and invalid UTF-8 with every
tokenizer file in Inputs, and decode what came out; some are cut and padded too. Invalid UTF-8 is U+FFFD, as in Python's
decode(errors="replace"). Without the package it says so and compares nothing.
"""
import glob
import os
import random
import subprocess
import sys
import tempfile

try:
    from tokenizers import Tokenizer, pre_tokenizers
except ImportError:
    print("compare.py: the package `tokenizers` is not installed: nothing was compared")
    sys.exit(0)

INPUTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Inputs")
RANGES = [(0x20, 0x7e), (0x20, 0x7e), (0x61, 0x7a), (0xa0, 0x17f), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x4ff),
          (0x5d0, 0x5ea), (0x620, 0x64a), (0x904, 0x939), (0xe01, 0xe30), (0x1100, 0x1112),
          (0x2000, 0x206f), (0x2160, 0x2188), (0x24b6, 0x24e9), (0x3000, 0x30ff), (0x4e00, 0x4eff),
          (0xac00, 0xacff), (0xfb00, 0xfb06), (0xff01, 0xff5e), (0x1f300, 0x1f64f), (0x1, 0x1f)]
WORDS = ["hello", "the", "you're", "don't", "[MASK]", "<s>", "</s>", "<|endoftext|>", "  ", "\u2581", "123", "4567", "memory",
         "room", "İstanbul", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301", "...", " [MASK] ", "##", "<0x41>", "<unk>"]


def line(rng):
    parts = []
    for _ in range(rng.randint(0, 12)):
        lo, hi = rng.choice(RANGES)
        kind = rng.random()
        if kind < 0.3:
            parts.append(rng.choice(WORDS).encode())
        elif kind < 0.92:
            parts.append("".join(chr(rng.randint(lo, hi)) for _ in range(rng.randint(1, 8))).encode())
        else:
            parts.append(bytes(rng.randint(0x80, 0xff) for _ in range(rng.randint(1, 4))))
        if rng.random() < 0.5:
            parts.append(b" ")
    return b"".join(parts).replace(b"\n", b"")


def run(nacre, arguments, text):
    return subprocess.run([nacre, "tokenize", *arguments], input=text, stdout=subprocess.PIPE, check=True).stdout


# What each of these files is changed to: truncation, padding, pre-tokenizers that no file in Inputs has.
VARIANTS = [
    ("wordpiece", lambda t: (t.enable_truncation(12), t.enable_padding(pad_id=4, pad_to_multiple_of=8))),
    ("wordpiece", lambda t: (t.enable_truncation(9, stride=3, strategy="only_first", direction="left"), t.enable_padding(length=7))),
    ("byte_level", lambda t: t.enable_truncation(5, direction="left")),
    ("unigram", lambda t: (t.enable_padding(direction="left", pad_id=1, length=16), t.enable_truncation(1))),
    ("words", lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.CharDelimiterSplit("e"))),
    ("words", lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.FixedLength(3))),
]


def compare_variants(nacre, lines):
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, change) in enumerate(VARIANTS):
            tokenizer = Tokenizer.from_file(os.path.join(INPUTS, name + ".json"))
            change(tokenizer)
            path = os.path.join(folder, f"{name}.{i}.json")
            tokenizer.save(path)
            wrong += compare(nacre, path, lines)
    return wrong


def compare(nacre, path, lines):
    theirs = Tokenizer.from_file(path)
    got = run(nacre, ["--tokenizer", path], b"\n".join(lines) + b"\n").decode().split("\n")[:-1]
    wrong = 0
    if len(got) != len(lines):
        print(f"{path}: {len(got)} lines of {len(lines)}")
        return 1
    for text, ids in zip(lines, got):
        want = theirs.encode(text.decode(errors="replace")).ids
        mine = [int(i) for i in ids.split(",") if i]
        if want != mine:
            wrong += 1
            if wrong <= 3:
                print(f"{path}: {text!r}\n  nacre      {mine}\n  tokenizers {want}")
    lists = [[int(i) for i in ids.split(",") if i] for ids in got]
    texts = run(nacre, ["--tokenizer", path, "--decode"], "".join(i + "\n" for i in got).encode())
    want = "".join(theirs.decode(ids, skip_special_tokens=True) + "\n" for ids in lists).encode()
    if texts != want:
        wrong += 1
        for a, b in zip(texts.split(b"\n"), want.split(b"\n")):
            if a != b:
                print(f"{path}: decoded\n  nacre      {a!r}\n  tokenizers {b!r}")
                break
    return wrong


def main():
    nacre, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    rng = random.Random(7)
    lines = [line(rng) for _ in range(count)]
    paths = sorted(glob.glob(os.path.join(INPUTS, "*.json")))
    wrong = compare_variants(nacre, lines)
    for path in paths + sys.argv[3:]:
        bad = compare(nacre, path, lines)
        print(f"{os.path.basename(path)}: {count - bad if bad <= count else 0} of {count} lines agree")
        wrong += bad
    sys.exit(1 if wrong else 0)


main()
