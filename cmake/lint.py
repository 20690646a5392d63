#!/usr/bin/env python3
"""The project's rules that a compiler does not check. One line for each violation, exit code 1.

    cmake/lint.py                 the rules below (under a second)
    cmake/lint.py --format        and clang-format over every C file
    cmake/lint.py --fix-format    format every C file in place
    cmake/lint.py --tidy BUILD    and clang-tidy, with BUILD's compile_commands.json (minutes)

Rules: rooms include only what doc/hacking.md's table allows; LLVM stays in codegen/cpu; only tools
exit; only the owners of memory free it; no .c file is included; nothing is left "to do".
"""
import argparse
import bisect
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Room -> what its files may include besides their own room. A longer prefix wins. An entry may be a
# room or one header.
ROOMS = {
    "support": [],
    "ir": ["support"],
    "frontend": ["support", "ir"],
    "passes": ["support", "ir"],
    "isa": ["support", "ir/dtypes.def"],
    "codegen/tile": ["support", "ir"],
    "codegen/cpu": ["support", "ir", "codegen/tile", "runtime/nacre_abi.h"],
    "codegen/pearl": ["support", "ir", "codegen/tile", "isa"],
    "runtime": ["support", "isa", "runtime/sim"],
    "runtime/sim": ["support", "isa"],
    "text": ["support"],
    "tools": ["support", "text", "ir", "frontend", "passes", "isa", "codegen/tile", "codegen/cpu",
              "codegen/pearl", "runtime", "runtime/sim"],
    "bench": ["support", "runtime/nacre.h"],
    "bench/frontend": ["support", "ir", "frontend"],
    # kernels have no model around them, so they are measured below the public interface
    "bench/tile": ["support", "ir", "codegen/cpu", "runtime"],
}
CODE_SUFFIXES = (".c", ".h", ".def", ".l", ".y")
# The last word on a way out: arena.c stops when memory is gone and nobody asked to be told.
MAY_EXIT = ("tools/", "bench/", "tests/", "examples/", "support/arena.c")
# Phases own memory (arenas); these own what the system or a library lends.
MAY_FREE = ("support/", "runtime/", "tools/", "codegen/cpu/", "bench/", "tests/", "examples/")
LONG_FILE = 800
SKIPPED = {".git", "out", "__pycache__", "Inputs"}


def files_of(*suffixes):
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("build"))
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def room_of(path):
    best = None
    for room in ROOMS:
        if path.startswith(room + "/") and (best is None or len(room) > len(best)):
            best = room
    return best


def blank(text, keep_strings=False):
    """The text with comments (and strings) replaced by spaces, line ends kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def clear(match):
        piece = match.group(0)
        if keep_strings and piece[0] in "\"'":
            return piece
        return re.sub(r"[^\n]", " ", piece)

    return pattern.sub(clear, text)


class Lint:
    def __init__(self):
        self.errors, self.warnings = [], []

    def error(self, path, line, text):
        self.errors.append(f"{path}:{line}: {text}")

    def check(self, path):
        with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
            text = f.read()
        starts = [0] + [m.end() for m in re.finditer("\n", text)]

        def line_of(offset):
            return bisect.bisect_right(starts, offset)

        room = room_of(path)
        code = blank(text)
        self.includes(path, room, blank(text, keep_strings=True), line_of)
        if not path.startswith(MAY_EXIT):
            for m in re.finditer(r"(?<![\w.>])(?:exit|_exit|_Exit|quick_exit|abort)\s*\(", code):
                if code.startswith("_exit(127)", m.start()):
                    continue  # a forked child whose exec failed
                self.error(path, line_of(m.start()),
                           f"'{m.group(0)}' outside tools/: report and return instead")
        if room and not path.startswith(MAY_FREE):
            for m in re.finditer(r"(?<![\w.>])(?:malloc|calloc|realloc|free)\s*\(", code):
                self.error(path, line_of(m.start()),
                           f"'{m.group(0)}' outside support/ and runtime/: use an arena")
        for m in re.finditer(r"\b(?:TODO|FIXME|XXX)\b", text):
            self.error(path, line_of(m.start()), f"'{m.group(0)}': finish it, or open an issue")
        if room and not path.startswith("tools/") and path.endswith(".c"):
            self.globals(path, code, line_of)
        lines = text.count("\n")
        if lines > LONG_FILE and not path.endswith(".def"):
            self.warnings.append(f"{path}: {lines} lines, split it along its meaning (over {LONG_FILE})")

    def includes(self, path, room, text, line_of):
        for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', text, re.M):
            name, line = m.group(2), line_of(m.start())
            if name.endswith(".c"):
                self.error(path, line, f'a .c file is included: "{name}"')
            llvm = name.startswith(("llvm/", "llvm-c/", "clang/", "clang-c/"))
            if llvm and room != "codegen/cpu":
                self.error(path, line, f"LLVM header <{name}> outside codegen/cpu")
            if m.group(1) == "<" or llvm or room is None:
                continue
            target = room_of(name)
            if target is None:
                self.error(path, line, f'"{name}": write includes from the project\'s root, e.g. "ir/ir.h"')
            elif target != room and target not in ROOMS[room] and name not in ROOMS[room]:
                self.error(path, line, f'{room} may not include "{name}" (allowed: '
                                       f'{", ".join(ROOMS[room]) or "nothing of ours"})')

    def globals(self, path, code, line_of):
        """Mutable objects at file scope: a line at depth 0 that defines without const."""
        depth = 0
        for m in re.finditer(r"[^\n]*\n", code):
            line = m.group(0)
            if depth == 0 and re.match(r"static\s+(?!.*\bconst\b)(?!inline\b)[\w \t*]+(\[[^\]]*\])*\s*(=|;)", line):
                if not re.search(r"\b_Thread_local\b|\(", line.split("=")[0]):
                    self.error(path, line_of(m.start()), "a mutable global: pass it in a struct")
            depth += line.count("{") - line.count("}")


def clang_format(fix):
    tool = shutil.which("clang-format-19")
    if not tool:
        print("lint: clang-format-19 is missing, formatting is not checked", file=sys.stderr)
        return []
    files = [f for f in files_of(".c", ".h")]
    if fix:
        subprocess.run([tool, "-i", *files], cwd=ROOT, check=True)
        return []
    done = subprocess.run([tool, "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    bad = {}
    for m in re.finditer(r"^([^\s:][^:\n]*):(\d+):\d+: error: ", done.stderr, re.M):
        bad.setdefault(m.group(1), m.group(2))
    return [f"{path}:{line}: not formatted, run `ninja format`" for path, line in sorted(bad.items())]


def clang_tidy(build):
    tool = shutil.which("clang-tidy-19")
    if not tool:
        return ["lint: clang-tidy-19 is missing (apt-get install clang-tidy-19)"]
    files = [f for f in files_of(".c") if room_of(f)]

    def one(path):
        done = subprocess.run([tool, "-quiet", "-p", build, path], cwd=ROOT, capture_output=True, text=True)
        return [line.replace(ROOT + "/", "") for line in done.stdout.splitlines()
                if re.search(r": (error|warning): ", line)]

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        found = [line for lines in pool.map(one, files) for line in lines]
    return sorted(set(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", action="store_true")
    parser.add_argument("--fix-format", action="store_true")
    parser.add_argument("--tidy", metavar="BUILD")
    args = parser.parse_args()
    if args.fix_format:
        clang_format(fix=True)
        return 0
    lint = Lint()
    for path in files_of(*CODE_SUFFIXES):
        lint.check(path)
    if args.format:
        lint.errors += clang_format(fix=False)
    if args.tidy:
        lint.errors += clang_tidy(args.tidy)
    for line in lint.warnings:
        print(f"warning: {line}")
    for line in lint.errors:
        print(line)
    return 1 if lint.errors else 0


if __name__ == "__main__":
    sys.exit(main())
