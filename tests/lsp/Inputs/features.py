"""Every feature of `nacre lsp`: features.py NACRE EXAMPLES FOLDER"""
import json
import os
import shutil
import struct
import sys

from client import Client, LspError

nacre, examples, folder = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
folder = os.path.realpath(folder)

MODEL = '''import "std/nn"
import "lib" as lib

let T = 64      # longest text
session dim B in 1..8
dim S in 1..T

# Mixes positions.
layer Mixer(D: int, H: int) {
    let Dh = D // H
    weight w: f32[D, D] from "proj.weight"
    use norm: LayerNorm(D)
    use extra: lib.Scale(D)
    def forward(x: f32[B, S, D]) -> f32[B, S, D] {
        # "quoted" 🐚 comment
        y = norm(x) @ w.T
        heads = rearrange(y, [B, S, (H, Dh)] -> [B, H, S, Dh])
        scores = einsum(heads[b, h, s, d] * heads[b, h, t, d] -> [b, h, s, t])
        p = softmax(scores, axis=-1)
        z = rearrange(p @ heads, [B, H, S, Dh] -> [B, S, (H, Dh)])
        return extra(x + z)
    }
}

layer Unused(C: int) {
    weight scale: f32[C]
    def forward(x: f32[..., C]) -> f32[..., C] {
        doubled = x * scale + x
        return doubled
    }
}

model Net(L: int = 2, D: int = 32, H: int = 4, V: int = 50) {
    weight embed: f32[V, D]
    use h[i in 0..L]: Mixer(D, H) from "layers.{i}"
    use wide: Mixer(64, H)
    entry forward(ids: i32[B, S]) -> (logits: f32[B, S, V]) {
        x = embed[ids]
        for i in 0..L { x = h[i](x) }
        u = concat([x, x], axis=-1)
        v = wide(u)
        return (x + v[:, :, 0:32]) @ embed.T
    }
}
'''
LIB = '''# Scales each channel.
layer Scale(D: int) {
    weight gain: f32[D]
    def forward(x: f32[..., D]) -> f32[..., D] { return x * gain }
}
'''


def refused(code, function, *arguments, **more):
    try:
        function(*arguments, **more)
    except LspError as error:
        assert error.code == code, error.code
        return str(error)
    raise AssertionError("it was not refused")


def edited(client, text, edits):
    """The text after the edits of one file."""
    lines = text.split("\n")

    def offset(p):
        return sum(len(x) + 1 for x in lines[:p["line"]]) + p["character"]
    for e in sorted(edits, key=lambda e: offset(e["range"]["start"]), reverse=True):
        text = text[:offset(e["range"]["start"])] + e["newText"] + text[offset(e["range"]["end"]):]
    return text


def write(name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)


def checkpoint(name, keys):
    header, at = {}, 0
    for key in keys:
        header[key] = {"dtype": "F32", "shape": [1], "data_offsets": [at, at + 4]}
        at += 4
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + bytes(at))


def test_hover(c):
    for needle, wants in [
            ("|heads = rearr", ["heads: f32[B, H, S, Dh]", "It differs", "f32[B, 4, S, 8]", "f32[B, 4, S, 16]"]),
            ("|scores = ein", ["scores: f32[B, H, S, S]"]),
            ("p @| heads", ["f32[B, H, S, Dh]"]),
            ("weight |w:", ["weight w: f32[D, D]", '"proj.weight"', "`layers.0.`"]),
            ("weight |embed", ["f32[50, 32]", 'Key: "embed"']),
            ("use |norm", ["LayerNorm(D)", 'Key: "norm"']),
            ("use h[i in 0..L]: |Mixer", ["layer Mixer(D: int, H: int)", "Mixes positions.", "`layers.1.`"]),
            ("norm: Layer|Norm", ["layer LayerNorm(", 'from "std/nn"']),
            ("lib.Sc|ale(", ["layer Scale(D: int)", "Scales each channel.", 'from "lib"']),
            ("softm|ax(", ["softmax(x, axis)", "divided by its sum"]),
            ("dim |S in", ["dim S in 1..T", "inputs of each call"]),
            ("f32[|B, S, D]) -> f32[B, S, D] {\n        #", ["session dim B in 1..8", "once for a session"]),
            ("let |Dh", ["let Dh = D // H", "`8`", "`16`"]),
            ("let |T", ["let T = 64", "longest text"]),
            ("|D: int = 32", ["D: int = 32", "# 32"]),
            ("i|ds: i32", ["ids: i32[B, S]"]),
            ("|doubled = x", ["doubled: f32[..., C]", "No model uses this"]),
            ("weight |scale", ["weight scale: f32[C]", "No model uses this"]),
            ("u = |concat", ["concat(xs, axis)"])]:
        got = c.hover("main.nac", MODEL, needle)
        for want in wants:
            assert got and want in got, (needle, want, got)
    assert c.hover("main.nac", MODEL, "# \"quo|ted") is None
    assert c.hover("main.nac", MODEL, "impo|rt \"std") is None


def test_definition(c):
    def target(needle):
        got = c.at("definition", "main.nac", MODEL, needle)
        return got and (os.path.basename(got["uri"]), got["range"]["start"])
    here = "main.nac"
    assert target("@ |w.T") == (here, c.find(MODEL, "weight |w:"))
    assert target("h[i](|x) }") == (here, c.find(MODEL, "|x = embed"))
    assert target("|h[i](x)") == (here, c.find(MODEL, "use |h["))
    assert target("-> f32[B, |S, D] {\n        #") == (here, c.find(MODEL, "dim |S in"))
    assert target("in 1..|T") == (here, c.find(MODEL, "let |T"))
    assert target('"layers.{|i}"') == (here, c.find(MODEL, "h[|i in"))
    assert target("[b, h, |s, t]") == (here, c.find(MODEL, "heads[b, h, |s, d] *"))
    assert target("wide: |Mixer") == (here, c.find(MODEL, "layer |Mixer"))
    assert target("lib.|Scale") == ("lib.nac", c.find(LIB, "layer |Scale"))
    assert target('import "l|ib"') == ("lib.nac", {"line": 0, "character": 0})
    assert target("soft|max(") is None
    got = c.at("definition", "main.nac", MODEL, "norm: |LayerNorm")
    with open(got["uri"][len("file://"):]) as f:
        std = f.read()
    assert c.slice(std, got["range"]) == "LayerNorm"
    # the library itself is a document like any other
    c.open(got["uri"], std)
    assert not [d for d in c.diagnostics(got["uri"]) if d["severity"] < 3]
    assert "x: f32[..., D]" in c.hover(got["uri"], std, "return rms_norm(|x, weight")
    c.close(got["uri"])


def test_references(c):
    got = c.at("references", "main.nac", MODEL, "weight |w:", context={"includeDeclaration": True})
    assert sorted(c.slice(MODEL, r["range"]) for r in got) == ["w", "w"]
    assert len(c.at("references", "main.nac", MODEL, "layer |Mixer", context={"includeDeclaration": False})) == 2
    got = c.at("references", "lib.nac", LIB, "layer |Scale", context={"includeDeclaration": True})
    assert sorted(os.path.basename(r["uri"]) for r in got) == ["lib.nac", "main.nac"]
    marks = c.at("documentHighlight", "main.nac", MODEL, "|heads = ")
    assert len(marks) == 4 and sum(m["kind"] == 3 for m in marks) == 1


def test_rename(c):
    def rename(needle, to, name="main.nac", text=MODEL):
        return c.at("rename", name, text, needle, newName=to)["changes"]
    changes = rename("|heads = ", "parts")
    want = MODEL.replace("heads", "parts")
    assert edited(c, MODEL, changes[c.uri("main.nac")]) == want
    # a weight whose name is its key keeps the key
    text = edited(c, MODEL, rename("weight |embed", "table")[c.uri("main.nac")])
    assert 'weight table: f32[V, D] from "embed"' in text and "@ table.T" in text and "x = table[ids]" in text
    text = edited(c, MODEL, rename("weight |w:", "proj")[c.uri("main.nac")])
    assert 'weight proj: f32[D, D] from "proj.weight"' in text and "@ proj.T" in text
    text = edited(c, MODEL, rename("use |norm", "ln")[c.uri("main.nac")])
    assert 'use ln: LayerNorm(D) from "norm"' in text and "y = ln(x)" in text
    # across files: a layer and a parameter
    changes = rename("layer |Scale", "Gain", "lib.nac", LIB)
    assert "layer Gain(D" in edited(c, LIB, changes[c.uri("lib.nac")])
    assert "lib.Gain(D)" in edited(c, MODEL, changes[c.uri("main.nac")])
    dim = edited(c, MODEL, rename("dim |S in", "Len")[c.uri("main.nac")])
    assert "dim Len in" in dim and "i32[B, Len]" in dim and "[B, Len, (H, Dh)]" in dim and "S" not in [
        w for w in dim.replace(",", " ").replace("]", " ").replace("[", " ").split()]
    assert c.at("prepareRename", "main.nac", MODEL, "@ |w.T")["placeholder"] == "w"
    assert "already the name" in refused(-32803, rename, "|heads = ", "scores")
    assert "already the name" in refused(-32803, rename, "|heads = ", "norm")
    assert "already the name" in refused(-32803, rename, "|heads = ", "LayerNorm")
    assert "taken by the language" in refused(-32803, rename, "|heads = ", "softmax")
    assert "taken by the language" in refused(-32803, rename, "|heads = ", "for")
    assert "letters" in refused(-32803, rename, "|heads = ", "2x")
    assert "letters" in refused(-32803, rename, "|heads = ", "a b")
    assert "standard library" in refused(-32803, rename, "norm: |LayerNorm", "Norm")
    assert "forward" in refused(-32803, rename, "def |forward(x: f32[B", "call")
    assert "only names" in refused(-32803, rename, "soft|max(", "other")
    assert "standard library" in refused(-32803, c.at, "prepareRename", "main.nac", MODEL, "norm: |LayerNorm")


def complete(c, before, after="", name="main.nac"):
    """What is offered while `before` is being written in the entry of the model."""
    start = MODEL.index("        u = concat")
    text = MODEL[:start] + before + after + "\n" + MODEL[start:]
    c.change(name, text)
    got = c.request("textDocument/completion", {"textDocument": c.document(name),
                                                "position": c.position(text, start + len(before))})
    c.change(name, MODEL)
    return {i["label"]: i for i in got["items"]}


def test_completion(c):
    got = complete(c, "        y = ")
    for name in ("x", "ids", "embed", "h", "wide", "T", "S", "Mixer", "Linear", "lib", "softmax", "L", "V", "f32"):
        assert name in got, name
    assert "u" not in got and "Dh" not in got and "scale" not in got
    assert got["softmax"]["detail"] == "softmax(x, axis)" and "documentation" in got["softmax"]
    assert got["x"]["detail"] == "f32[B, S, D]"
    assert got["embed"]["detail"] == "weight embed: f32[V, D]"
    assert set(complete(c, "        y = wide.no")) == {"D", "H", "Dh", "w", "norm", "extra", "forward"}
    assert set(complete(c, "        y = h[i].norm.")) >= {"weight", "forward"}
    assert set(complete(c, "        y = h[i].extra.")) == {"D", "gain", "forward"}
    assert set(complete(c, "        y = lib.")) == {"Scale"}
    assert set(complete(c, "        y = ids.")) == {"T", "shape", "dtype"}
    got = complete(c, "        y = softmax(x, ")
    assert "axis=" in got and "ids" in got
    assert "k=" in complete(c, "        y = topk(relu(x), ", ")")
    assert "x=" in complete(c, "        y = wide(")
    assert {"let", "for", "return"} <= set(complete(c, "        "))
    assert not complete(c, "        # y = ")
    assert not complete(c, '        assert true, "te')
    text = MODEL.replace('import "lib" as lib', 'import "')
    c.change("main.nac", text)
    assert set(c.complete("main.nac", text, '\nimport "|\n')) >= {"std/nn", "lib"}
    c.change("main.nac", MODEL)


def test_keys(c):
    checkpoint("b.safetensors", ["embed", "layers.0.proj.weight", "layers.0.norm.bias", "layers.1.proj.weight",
                                 "wide.proj.weight", "head.weight"])
    checkpoint("c.safetensors", ["other"])

    def keys(old, new):
        text = MODEL.replace(old, new.replace("|", ""))
        assert text != MODEL
        c.change("main.nac", text)
        got = c.complete("main.nac", text, new)
        c.change("main.nac", MODEL)
        return set(got)
    assert keys("weight embed: f32[V, D]", 'weight embed: f32[V, D] from "|') == {
        "embed", "layers.0.proj.weight", "layers.0.norm.bias", "layers.1.proj.weight", "wide.proj.weight",
        "head.weight"}
    assert keys('f32[D, D] from "proj.weight"', 'f32[D, D] from "|proj') == {"proj.weight", "norm.bias"}
    assert "layers.{i}" in keys('(D, H) from "layers.{i}"', '(D, H) from "|"')
    assert "proj.weight" in keys("weight scale: f32[C]", 'weight scale: f32[C] from "|"')
    assert keys("weight embed: f32[V, D]", '# checkpoint: c.safetensors\n    weight embed: f32[V, D] from "a" or "|') == {"other"}
    d = Client(nacre, folder, options={"checkpoint": "c.safetensors"})
    text = MODEL.replace("weight embed: f32[V, D]", 'weight embed: f32[V, D] from ""')
    d.open("main.nac", text)
    assert set(d.complete("main.nac", text, 'from "|"\n    use h')) == {"other"}
    d.notify("workspace/didChangeConfiguration", {"settings": {"nacre": {"checkpoint": "b.safetensors"}}})
    assert "embed" in d.complete("main.nac", text, 'from "|"\n    use h')
    assert d.finish() == 0


def test_signature(c):
    def help_at(needle):
        got = c.at("signatureHelp", "main.nac", MODEL, needle)
        return got and (got["signatures"][0]["label"], got["activeParameter"])
    assert help_at("softmax(|scores") == ("softmax(x, axis)", 0)
    assert help_at("axis=|-1)\n        z") == ("softmax(x, axis)", 1)
    assert help_at("Mixer(|64, H") == ("Mixer(D: int, H: int)", 0)
    assert help_at("Mixer(64, |H") == ("Mixer(D: int, H: int)", 1)
    assert help_at("wide(|u)") == ("forward(x: f32[B, S, D]) -> f32[B, S, D]", 0)
    assert help_at("[x, |x], axis") == ("concat(xs, axis)", 0)
    assert help_at("|x = embed") is None


def test_symbols(c):
    got = c.request("textDocument/documentSymbol", {"textDocument": c.document("main.nac")})
    names = {s["name"]: s for s in got}
    assert {"T", "B", "S", "Mixer", "Unused", "Net", "lib"} == set(names)
    mixer = names["Mixer"]
    assert [s["name"] for s in mixer["children"]] == ["Dh", "w", "norm", "extra", "forward"]
    assert c.slice(MODEL, mixer["range"]).startswith("layer Mixer") and c.slice(MODEL, mixer["range"]).endswith("}")
    assert c.slice(MODEL, mixer["selectionRange"]) == "Mixer"
    legend = c.server["capabilities"]["semanticTokensProvider"]["legend"]["tokenTypes"]
    data = c.request("textDocument/semanticTokens/full", {"textDocument": c.document("main.nac")})["data"]
    line = column = 0
    seen = {}
    lines = MODEL.split("\n")
    for dl, dc, n, kind, _ in zip(*[iter(data)] * 5):
        line, column = line + dl, dc if dl else column + dc
        seen.setdefault(lines[line][column:column + n], set()).add(legend[kind])
    assert seen["Mixer"] == {"class"} and seen["w"] == {"property"} and seen["S"] == {"typeParameter"}
    assert seen["heads"] == {"variable"} and seen["ids"] == {"parameter"}


def test_workspace_symbols(c):
    def found(query):
        return {(s["name"], s["containerName"], os.path.basename(s["location"]["uri"]))
                for s in c.request("workspace/symbol", {"query": query})}
    assert found("scale") == {("Scale", "", "lib.nac"), ("scale", "Unused", "main.nac")}
    assert found("Mxr") == {("Mixer", "", "main.nac")} and found("nowhere") == set()
    write("closed.nac", "let somewhere = 1\n")
    assert found("sOMEwh") == {("somewhere", "", "closed.nac")}
    os.remove(os.path.join(folder, "closed.nac"))


def test_rename_refused(c):
    """Where not all uses are known, and in what is no file of the user's."""
    broken = MODEL.replace("v = wide(u)", "v = wide(u")
    c.change("main.nac", broken)
    assert "mend its syntax" in refused(-32803, c.at, "rename", "main.nac", broken, "use |wide", newName="broad")
    c.change("main.nac", MODEL)
    std = c.at("definition", "main.nac", MODEL, "norm: Layer|Norm")["uri"]
    with open(std[len("file://"):]) as f:
        text = f.read()
    c.open(std, text)
    assert not c.diagnostics(std)
    assert "standard library" in refused(-32803, c.at, "rename", std, text, "layer |LayerNorm", newName="Other")
    assert "LayerNorm" in c.hover(std, text, "layer |LayerNorm")
    c.close(std)


def test_closing(c):
    """A file that is closed unsaved is what the disk holds, for those who import it."""
    c.change("lib.nac", LIB.replace("Scale", "Grow"))
    c.close("lib.nac")
    c.change("main.nac", MODEL + "\n")
    assert not [d for d in c.diagnostics("main.nac") if d["severity"] < 3]
    c.open("lib.nac", LIB)
    c.change("lib.nac", LIB.replace("Scale", "Grow"))
    c.change("main.nac", MODEL)
    assert "Scale" in [d for d in c.diagnostics("main.nac") if d["severity"] == 1][0]["message"]
    c.change("lib.nac", LIB)
    c.change("main.nac", MODEL)
    assert not [d for d in c.diagnostics("main.nac") if d["severity"] < 3]


def test_format(c):
    messy = "let   a=1\n"
    c.open("messy.nac", messy)
    options = {"options": {"tabSize": 4, "insertSpaces": True}}
    edits = c.request("textDocument/formatting", {"textDocument": c.document("messy.nac"), **options})
    assert edited(c, messy, edits) == "let a = 1\n"
    c.change("messy.nac", "let a = 1\n")
    assert c.request("textDocument/formatting", {"textDocument": c.document("messy.nac"), **options}) == []
    c.change("messy.nac", "let a = (\n")
    assert c.request("textDocument/formatting", {"textDocument": c.document("messy.nac"), **options}) == []
    c.close("messy.nac")


def test_diagnostics(c):
    wrong = MODEL.replace("@ w.T", "@ embed2.T").replace("doubled = x * scale", "doubled = x * scalee")
    c.change("main.nac", wrong)
    got = c.diagnostics("main.nac")
    error = [d for d in got if d["severity"] == 1]
    assert [c.slice(wrong, d["range"]) for d in error] == ["embed2"], got
    # no model uses it, so it is no error of the model
    assert [c.slice(wrong, d["range"]) for d in got if d["severity"] == 2] == ["scalee"]
    wrong = MODEL.replace("softmax(scores", "sofmax(scores")
    c.change("main.nac", wrong)
    (error,) = [d for d in c.diagnostics("main.nac") if d["severity"] == 1]
    assert "`sofmax` is not defined" in error["message"] and "help: did you mean `softmax`?" in error["message"]
    (action,) = c.request("textDocument/codeAction", {
        "textDocument": c.document("main.nac"), "range": error["range"], "context": {"diagnostics": [error]}})
    assert edited(c, wrong, action["edit"]["changes"][c.uri("main.nac")]) == MODEL
    # both sides of a mismatch, with places
    wrong = MODEL.replace("f32[D, D] from", "f32[D, Dh] from")
    c.change("main.nac", wrong)
    error = [d for d in c.diagnostics("main.nac") if d["severity"] == 1][0]
    related = error["relatedInformation"]
    assert c.slice(wrong, error["range"]) == "@" and related
    assert "w" in [c.slice(wrong, r["location"]["range"]) for r in related]
    # what can be resolved still is
    assert "heads: f32" not in (c.hover("main.nac", wrong, "|heads = ") or "")

    # after a syntax error in one statement the others have types
    broken = MODEL.replace("p = softmax(scores, axis=-1)", "p = softmax(scores, axis=")
    c.change("main.nac", broken)
    assert any(d["severity"] == 1 for d in c.diagnostics("main.nac"))
    assert "scores: f32[B, H, S, S]" in c.hover("main.nac", broken, "|scores = ein")
    assert "weight w" in c.hover("main.nac", broken, "@ |w.T")
    # a file that ends in the middle
    cut = MODEL[:MODEL.index("        p = softmax")]
    c.change("main.nac", cut)
    assert any("never closed" in d["message"] for d in c.diagnostics("main.nac"))
    assert "scores: f32[B, H, S, S]" in c.hover("main.nac", cut, "|scores = ein")
    c.change("main.nac", MODEL)
    assert not [d for d in c.diagnostics("main.nac") if d["severity"] < 3]


def test_unsaved_imports(c):
    changed = LIB.replace("Scale", "Grow")
    c.change("lib.nac", changed)
    got = [d for d in c.diagnostics("main.nac") if d["severity"] == 1]
    assert len(got) == 1 and "Scale" in got[0]["message"], got
    # a mistake inside the imported file shows here, and there
    c.change("lib.nac", LIB.replace("x * gain", "x * gian"))
    (there,) = [d for d in c.diagnostics("lib.nac") if d["severity"] < 3]
    (here,) = [d for d in c.diagnostics("main.nac") if d["severity"] == 1]
    assert "gian" in there["message"] and "lib.nac" in here["message"]
    assert here["relatedInformation"][0]["location"]["uri"] == c.uri("lib.nac")
    c.change("lib.nac", LIB)
    assert not [d for d in c.diagnostics("main.nac") if d["severity"] < 3]


def test_zoo(c):
    """Each published model has no errors, a type under each name, and every name is known."""
    zoo = os.path.join(examples, "zoo")
    for name in sorted(os.listdir(zoo)):
        if not name.endswith(".nac"):
            continue
        with open(os.path.join(zoo, name)) as f:
            text = f.read()
        uri = "file://" + os.path.join(zoo, name)
        c.open(uri, text)
        got = [d for d in c.diagnostics(uri) if d["severity"] < 3]
        assert not got, (name, got)
        c.close(uri)


write("main.nac", MODEL)
write("lib.nac", LIB)
client = Client(nacre, folder)
client.open("lib.nac", LIB)
client.open("main.nac", MODEL)
first = client.diagnostics("main.nac")
assert not [d for d in first if d["severity"] < 3], first
for test in (test_hover, test_definition, test_references, test_rename, test_completion, test_signature, test_symbols,
             test_workspace_symbols, test_rename_refused, test_closing, test_format, test_diagnostics, test_unsaved_imports, test_zoo, test_keys):
    test(client)
assert client.finish() == 0
