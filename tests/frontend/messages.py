# Checks the golden tests of messages as a whole: each `%fails` file beside this script gives as many
# errors as its CHECK lines name (no cascades), and all of them, with the one-mistake files, show at least
# MINIMUM distinct kinds of message. Kinds are texts without what the user wrote: names, types, numbers.
# Usage: messages.py NACRE FOLDER
import pathlib
import re
import subprocess
import sys

MINIMUM = 150


def kind(text):
    text = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", "_", text)
    text = re.sub(r"\b(f32|f16|bf16|i8|u8|i4|i32|i64|bool)\b(\[[^\]]*\])?", "T", text)
    text = re.sub(r"-?\b\d+(\.\d+)?\b", "N", text)
    return re.sub(r"\b[A-Z]\w*\b|\([^)]*\)|\[[^\]]*\]", "S", text)


def errors(text):
    return re.findall(r"^\S*?:?(?:\d+:\d+: )?error: (.*)$", text, re.M)


def main():
    nacre, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    kinds, failed, files = set(), 0, 0
    for path in sorted(folder.glob("*.nac")):
        source = path.read_text()
        if "%fails %nacre check %s" not in source or source.count("RUN:") != 1:
            continue
        files += 1
        out = subprocess.run([nacre, "check", path], capture_output=True, text=True, timeout=60).stderr
        shown = errors(out)
        hidden = re.search(r"^(\d+) more errors? (?:is|are) not shown", out, re.M)
        named = len(re.findall(r"CHECK[-A-Z]*:.*error:", source))
        if len(shown) + (int(hidden.group(1)) if hidden else 0) != named:
            print(f"{path.name}: {len(shown)} errors, {named} CHECK lines\n{out}")
            failed += 1
        kinds |= {kind(e) for e in shown}
    for path in folder.glob("Inputs/*/*.txt"):
        kinds |= {kind(e) for e in errors(path.read_text())}
    if len(kinds) < MINIMUM:
        print(f"only {len(kinds)} kinds of message")
        failed += 1
    print(f"{files} files, {len(kinds)} kinds of message, {failed} failed")
    return failed != 0


sys.exit(main())
