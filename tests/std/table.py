# Checks doc/operations.md: every name of its second column is a built-in function, or a layer or def of the
# standard library, every def and layer of std/ but nn.nac is in the table or used by one that is, and every
# file that it names exists; and that doc/language.md names every built-in function. Usage: table.py SOURCE
import pathlib
import re
import sys

source = pathlib.Path(sys.argv[1])
table = (source / "doc/operations.md").read_text()
builtins = set(re.findall(r'^(?:BUILTIN|FORM)\("(\w+)"', (source / "frontend/builtins.def").read_text(), re.M))
files = {p.stem: p.read_text() for p in (source / "frontend/std").glob("*.nac")}
std = {name for text in files.values() for name in re.findall(r"^(?:layer|def) (\w+)", text, re.M)}
words = {"approximate", "tanh", "correction", "amax", "padding", "before", "after", "reduction", "mean", "sum", "none", "unbiased", "padding_idx", "lengths"}

failed = []
rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", table, re.M)[1:]
said = set()
for theirs, ours, where in rows:
    code = " ".join(re.findall(r"`([^`]*)`", ours))
    code = re.sub(r'"\w+"', "", code)
    names = set(re.findall(r"\b([A-Za-z_]\w*)(?=\()", code))
    if "the same" in ours:
        names |= {n for n in re.findall(r"\b[A-Za-z_]\w*\b", re.sub(r"[(:].*", "", theirs).replace("F.", "").replace("`", "")) if n != "amax"}
        names -= {"amin"}
    names |= {n for part in re.findall(r"`([a-z_]+(?: [a-z_]+)*)`", ours) for n in part.split()} - words
    said |= names
    for name in sorted(names - builtins - std):
        failed.append(f"{name}: neither built in nor in std/")
    for file in re.findall(r"std/(\w+)", where):
        if file not in files:
            failed.append(f"std/{file}.nac is not there")
spoken = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", (source / "doc/language.md").read_text()))))
failed += [f"{name}: no word in doc/language.md" for name in sorted(builtins - spoken)]
for file, text in files.items():
    if file == "nn":
        continue
    for name in re.findall(r"^(?:layer|def) (\w+)", text, re.M):
        used = sum(len(re.findall(rf"\b{name}\b", t)) for t in files.values()) > 1
        if name not in said and not used and name not in re.findall(r"\w+", table):
            failed.append(f"std/{file}.nac: {name} is not in doc/operations.md")
print("\n".join(failed + [f"{len(rows)} rows, {len(said)} names, {len(failed)} failed"]))
sys.exit(bool(failed))
