#!/usr/bin/env python3
"""The dictionary of fuzz_nac: the words and signs of the lexer, the names of the built-in functions
and dtypes. Written from the lists that the compiler itself is made of: dictionary.py SOURCE > OUT."""
import os
import re
import sys


def read(source, path):
    with open(os.path.join(source, path)) as f:
        return f.read()


def words(source):
    rules = read(source, "frontend/lexer.l").split("\n%%\n")[1]
    for alternatives in re.findall(r'^("[^ ]+)', rules, re.M):
        yield from re.findall(r'"([^"]+)"', alternatives)
    yield from re.findall(r'^(?:BUILTIN|FORM)\("(\w+)"', read(source, "frontend/builtins.def"), re.M)
    for path, row in (("ir/dtypes.def", r"^\w+\(\w+,\s*\"?(\w+)"), ("frontend/std/nn.nac", r"^(?:layer|def) (\w+)")):
        yield from re.findall(row, read(source, path), re.M)
    # what takes several tokens to say
    yield from ("import \\\"std/nn\\\"\\x0a", "weight w: f32[", "use h[i in 0..4]: ", " from \\\"k.{i}\\\"", "@unroll\\x0a",
                "entry f(x: f32[", "state s: f32[", "test \\\"t\\\" {\\x0a", "rearrange(x, [", "einsum(", "for i in 0..")


for word in sorted(set(words(sys.argv[1]))):
    print(f'"{word}"')
