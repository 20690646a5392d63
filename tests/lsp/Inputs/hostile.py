"""Texts cut and spoiled anywhere, every request everywhere, hundreds of edits: no crash, no growth.
hostile.py NACRE EXAMPLES FOLDER"""
import os
import random
import shutil
import sys

from client import Client, LspError

nacre, examples, folder = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
draw = random.Random(3)
ASKED = ("hover", "definition", "references", "documentHighlight", "completion", "signatureHelp", "prepareRename")
c = Client(nacre, folder)


def ask_all(name, place):
    document = {"textDocument": c.document(name)}
    asked = [c.ask("textDocument/" + m, {**document, "position": place}) for m in ASKED]
    asked.append(c.ask("textDocument/rename", {**document, "position": place, "newName": "another"}))
    asked += [c.ask("textDocument/" + m, {**document, "options": {}})
              for m in ("documentSymbol", "semanticTokens/full", "formatting")]
    asked.append(c.ask("textDocument/codeAction", {**document, "range": {"start": place, "end": place}}))
    for number in asked:
        try:
            c.wait(number)
        except LspError as error:
            assert error.code == -32803, error


with open(os.path.join(examples, "llama", "llama.nac")) as f:
    text = f.read()
c.open("a.nac", text)
pieces = ['"', "(", ")", "[", "]", "{", "}", "#", ".", "..", "...", "->", "\n", "\0", "🐚", "=", "@", "h[", "from \"",
          "import \"", "as", "9" * 30, "((((((((", "if ", "for i in ", "einsum(", "rearrange(x, [", ": f32["]
for turn in range(40):
    spoiled = text
    for _ in range(draw.randrange(1, 4)):
        a = draw.randrange(len(spoiled))
        b = min(len(spoiled), a + draw.choice([0, 1, 5, 40]))
        spoiled = spoiled[:a] + draw.choice(pieces) + spoiled[b:]
    if turn % 4 == 0:
        spoiled = spoiled[:draw.randrange(len(spoiled))]
    c.change("a.nac", spoiled)
    for _ in range(2):
        ask_all("a.nac", c.position(spoiled, draw.randrange(len(spoiled) + 1)))
for odd in ("", "\n", "\r", "\0", "x", "#", '"', "import", 'import "', "import \"a\"\n" * 80, "layer A { use a: A }\nmodel M { use a: A }",
            "(" * 5000, "{" * 5000, "layer L(" + "a: int, " * 3000 + "b: int) {}", "x." * 3000, "model M { " + "if true { " * 150,
            "layer A(n: int) { use b[i in 0..n]: B(n) }\nlayer B(n: int) { use a[i in 0..n]: A(n) }",
            "layer A(n: int) { weight w: f32[n, n + q]\n def forward(x: f32[n]) -> f32[n] { return forward(x) } }",
            "def f(n: int) { let a = [i for i in 0..1000000000] }", "import \"b\"\nlet x = y", "\ufeffmodel",
            "let t = scaled(f8e4m3, f32, blocx = k=[1, 2], key=\"{key}_s\")\nmodel M { weight w: t[4, 4] }", "test \"é\" { x = }"):
    c.change("a.nac", odd)
    for offset in {0, len(odd) // 2, len(odd)}:
        ask_all("a.nac", c.position(odd, offset))

# files that import each other, themselves, and what is no file
c.open("b.nac", 'import "a"\nimport "b"\nlet y = x\n')
c.change("a.nac", 'import "b"\nimport "."\nimport "/etc/passwd"\nimport "std/none"\nlet x = y\n')
ask_all("a.nac", {"line": 0, "character": 9})
ask_all("b.nac", {"line": 2, "character": 8})
c.close("b.nac")


def memory():
    with open("/proc/%d/statm" % c.process.pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# hundreds of edits, each analysed
edits = 100 if "asan" in nacre else 400
c.change("a.nac", text)
at = {"line": 30, "character": 0}
for turn in range(edits):
    c.change("a.nac", (at, at if turn % 2 == 0 else {"line": 30, "character": 1}, "" if turn % 2 else "#"))
    c.wait(c.ask("textDocument/hover", {"textDocument": c.document("a.nac"), "position": at}))
    c.notices.clear()
    if turn == edits // 4:
        before = memory()
grown = memory() - before
assert "asan" in nacre or grown < 4 << 20, grown
assert c.finish() == 0
