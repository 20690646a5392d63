"""examples.py NACRE FOLDER FILE.md...: the examples of a manual do what the manual says.

Fenced blocks by their mark:
    nac [NAME]          a whole model file: no errors, formatted, its tests pass, its entries run (interpreter)
    nac wrong [NAME]    a file with a mistake: `nacre check` says what the next block shows, no less and no more
    grammar             each of its quoted words and signs stands in an example
NAME is the file's name, where a message or another block (import "NAME") needs one. Other blocks are not run.
"""
import json
import os
import re
import subprocess
import sys


class Wrong(Exception):
    pass


def blocks(path):
    """(line, mark, text) of each fenced block."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    at, found = 0, []
    while at < len(lines):
        if lines[at].startswith("```"):
            end = lines.index("```", at + 1)
            found.append((at + 1, lines[at][3:].strip(), "\n".join(lines[at + 1:end]) + "\n"))
            at = end
        at += 1
    return found


def nacre(tool, folder, *command):
    done = subprocess.run([tool, *command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def must(tool, folder, *command):
    code, out, said = nacre(tool, folder, *command)
    if code:
        raise Wrong(f"nacre {' '.join(command)} ends with {code}\n{said}{out}")
    return out


def small(least, greatest):
    """A size for a dim, one above its least; 2 where that is an expression."""
    sizes = [int(x) if x.lstrip("-").isdigit() else None for x in (least, greatest)]
    size = 2 if sizes[0] is None else sizes[0] + 1
    return size if sizes[1] is None else min(size, sizes[1])


def run_entries(tool, folder, name, about):
    """Each entry once, with small dims and drawn inputs and weights; not what is of published size."""
    if about["parameters"] > 10_000_000:
        return
    for entry in about["entries"]:
        taken = " ".join(i["type"] for i in entry["inputs"])
        dims = [f"{d['name']}={small(d['least'], d['greatest'])}" for d in about["dims"]
                if d["kind"] == "session" or re.search(rf"\b{d['name']}\b", taken)]
        dims += [f"{d['name']}={d['least']}" for d in about["dims"] if d["name"] in entry["dims"]]
        command = ["run", name, "--entry", entry["name"], "--random-weights", "1", "--target", "interp"]
        must(tool, folder, *command, *(["--dim", ",".join(dims)] if dims else []))


def right(tool, folder, name, text):
    said = nacre(tool, folder, "check", "--json", name)
    if said[0]:
        raise Wrong(f"nacre check {name}:\n{must(tool, folder, 'check', name)}")
    must(tool, folder, "fmt", "--check", name)
    if re.search(r'^test "', text, re.M):
        must(tool, folder, "test", name)
    about = json.loads(said[1])
    for one in about if isinstance(about, list) else [about]:
        if one.get("entries"):
            run_entries(tool, folder, name, one)


def wrong(tool, folder, name, want):
    code, _, said = nacre(tool, folder, "check", name)
    if not code:
        raise Wrong(f"{name} has no error")
    if said.strip("\n") != want.strip("\n"):
        raise Wrong(f"nacre check {name} says\n{said}\nnot\n{want}")


def check_file(tool, folder, path):
    failed, examples, grammar = 0, [], ""
    found = blocks(path)
    for k, (line, mark, text) in enumerate(found):
        words = mark.split()
        if mark == "grammar":
            grammar += text
        if not words or words[0] != "nac":
            continue
        is_wrong = "wrong" in words
        names = [w for w in words[1:] if w != "wrong"]
        name = names[0] if names else f"line{line}.nac"
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
        examples.append(text)
        try:
            if is_wrong:
                wrong(tool, folder, name, found[k + 1][2] if k + 1 < len(found) else "")
            else:
                right(tool, folder, name, text)
        except Wrong as e:
            failed += 1
            print(f"{os.path.basename(path)}:{line}: {e}\n")
    every = "\n".join(examples)
    for word in sorted(set(re.findall(r'"([^"\s]+)"', grammar))):
        if not (re.search(rf"\b{word}\b", every) if word[0].isalpha() else word in every):
            failed += 1
            print(f"{os.path.basename(path)}: no example has `{word}` of the grammar\n")
    print(f"{os.path.basename(path)}: {len(examples)} examples, {failed} failed")
    return failed


def main():
    tool, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    failed = sum(check_file(tool, os.path.join(folder, os.path.basename(p)), p) for p in sys.argv[3:])
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
