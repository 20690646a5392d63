#!/usr/bin/env python3
"""Latency of `nacre lsp` as an editor sees it: bench/lsp.py NACRE [FILE.nac]

The file (by default the longest of the zoo) is edited at many places: in code, in strings, in comments, between
lines; what is typed may leave it wrong. At once after each edit a name is hovered, which waits for the text to be
analysed anew; then further hovers, completions and definitions find it analysed. Prints the distribution of each
in milliseconds."""
import glob
import os
import random
import re
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lsp", "Inputs"))
from client import Client  # noqa: E402

ROUNDS, ASKED = 60, 4
TYPED = ("x", "1", " ", "(", "\n", "]", "x = ", "# ")


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
    strings = [m.start() + 1 for m in re.finditer(r'"[^"\n]*"', text)]
    lines = [m.start() for m in re.finditer(r"^", text, re.M)]
    document = {"textDocument": {"uri": name}}

    def ask(what, at):
        client.request("textDocument/" + what, {**document, "position": client.position(text, at)})

    client.open(name, text)
    client.diagnostics(name)
    for turn in range(ROUNDS):
        at = draw.choice((names, strings, lines)[turn % 3])
        start, typed = client.position(text, at), draw.choice(TYPED)
        end = client.position(text[:at] + typed + text[at:], at + len(typed))
        before = [n for n in names if n < at] or [0]
        client.change(name, (start, start, typed))
        timed(results, "hover at once after an edit", lambda: ask("hover", draw.choice(before)))
        client.diagnostics(name)
        client.change(name, (start, end, ""))
        timed(results, "diagnostics after an edit", lambda: client.diagnostics(name))
        client.change(name, (start, start, " "), (start, client.position(text[:at] + " " + text[at:], at + 1), ""))
        timed(results, "hover at once after an edit", lambda: ask("hover", draw.choice(names)))
        client.diagnostics(name)
        for _ in range(ASKED):
            for what in "hover", "completion", "definition":
                timed(results, what, lambda: ask(what, draw.choice(names)))
    client.finish()
    print(f"{os.path.relpath(path, ROOT)}, {text.count(chr(10))} lines; milliseconds")
    print(f"{'':28}{'median':>8}{'p90':>8}{'p99':>8}{'most':>8}")
    for what, times in results.items():
        times.sort()
        at = [times[min(len(times) - 1, int(len(times) * q))] for q in (0.5, 0.9, 0.99)] + [times[-1]]
        print(f"{what:28}" + "".join(f"{t:8.2f}" for t in at))


if __name__ == "__main__":
    main()
