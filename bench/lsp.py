#!/usr/bin/env python3
"""Latency of `nacre lsp` as an editor sees it: bench/lsp.py NACRE [FILE.nac]

The file (by default the longest of the zoo) is edited at random places; each edit is followed by the wait
for its diagnostics, then hovers and completions at random names, a first one on the text as just changed
and further ones that find it analysed. Prints the distribution of each in milliseconds."""
import glob
import os
import random
import re
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lsp", "Inputs"))
from client import Client  # noqa: E402

ROUNDS, ASKED = 40, 10


def timed(results, name, function):
    began = time.perf_counter()
    function()
    results.setdefault(name, []).append((time.perf_counter() - began) * 1e3)


def main():
    nacre = sys.argv[1]
    if len(sys.argv) > 2:
        path = sys.argv[2]
    else:
        path = max(glob.glob(os.path.join(ROOT, "examples", "zoo", "*.nac")), key=lambda p: len(open(p).readlines()))
    with open(path) as f:
        text = f.read()
    name = "file://" + os.path.abspath(path)
    client, draw, results = Client(nacre), random.Random(1), {}
    names = [m.start() for m in re.finditer(r"\b[A-Za-z_]\w*", text)]
    document = {"textDocument": {"uri": name}}
    client.open(name, text)
    client.diagnostics(name)
    start = {"line": 0, "character": 0}
    for turn in range(ROUNDS):
        client.change(name, (start, start, "#") if turn % 2 == 0 else (start, {"line": 0, "character": 1}, ""))
        timed(results, "diagnostics after an edit", lambda: client.diagnostics(name))
        client.change(name, text)
        place = client.position(text, draw.choice(names))
        timed(results, "hover right after an edit",
              lambda: client.request("textDocument/hover", {**document, "position": place}))
        client.diagnostics(name)
        for _ in range(ASKED):
            place = client.position(text, draw.choice(names))
            for what in "hover", "completion", "definition":
                timed(results, what, lambda: client.request("textDocument/" + what, {**document, "position": place}))
        client.change(name, text)
        client.diagnostics(name)
    client.finish()
    print(f"{os.path.relpath(path, ROOT)}, {text.count(chr(10))} lines; milliseconds")
    print(f"{'':28}{'median':>8}{'p90':>8}{'p99':>8}{'most':>8}")
    for what, times in results.items():
        times.sort()
        at = [times[min(len(times) - 1, int(len(times) * q))] for q in (0.5, 0.9, 0.99)] + [times[-1]]
        print(f"{what:28}" + "".join(f"{t:8.2f}" for t in at))


if __name__ == "__main__":
    main()
