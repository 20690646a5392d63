"""The protocol itself: positions, edits, errors, order, ends. protocol.py NACRE FOLDER"""
import json
import os
import random
import shutil
import subprocess
import sys

from client import Client, LspError

nacre, folder = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)

TEXT = '''import "std/nn"
dim N in 1..4
model Net(D: int = 8) {
    use fc: Linear(D, D)    # 🐚 nacre é 漢字
    weight w: f32[D]
    entry f(x: f32[N, D]) -> (y: f32[N, D]) { return fc(x) * w }
}
'''


def error_of(c, method, params):
    try:
        c.request(method, params)
    except LspError as error:
        return error.code
    return None


def test_said():
    """What is wrong with the connection is told where somebody looks, too."""
    for sent, wanted in ((b"Content-Length: 99999999999\r\n\r\n{}", "a message of more than 64 MB"),
                         (b"Content-Len: 2\r\n\r\n{}", "a message without Content-Length"),
                         (b"Content-Length: 2\r\n\r\n{]", "a message that is no JSON"), (b"", "the client ended without `shutdown`")):
        ended = subprocess.run([nacre, "lsp"], input=sent, capture_output=True)
        assert ended.returncode == 1 and wanted in ended.stderr.decode(), (sent, ended)


def test_positions():
    """An emoji is 2 units of UTF-16, 4 of UTF-8."""
    line = 'assert "🐚é漢" == name, "m"\n'
    text = 'import "std/nn"\nlayer A(name: str) {\n    ' + line + "}\n"
    for encodings, wanted, column in (None, "utf-16", 21), (["utf-32", "utf-8"], "utf-8", 26), (["utf-16", "utf-8"], "utf-8", 26):
        c = Client(nacre, folder, encodings)
        assert c.encoding == wanted, c.encoding
        c.open("a.nac", text)
        got = c.at("definition", "a.nac", text, "== |name")
        assert c.slice(text, got["range"]) == "name"
        use = [m for m in c.at("documentHighlight", "a.nac", text, "A(|name") if m["range"]["start"]["line"] == 2]
        assert use[0]["range"]["start"]["character"] == column, use
        # an edit behind the emoji, and one that takes it away
        at = c.find(text, "é|漢")
        end = c.find(text, "漢|\"")
        c.change("a.nac", (at, end, "🐚🐚"))
        text2 = text.replace("漢", "🐚🐚")
        assert c.slice(text2, c.at("definition", "a.nac", text2, "== |name")["range"]) == "name"
        c.change("a.nac", (c.find(text2, "|🐚é"), c.find(text2, "🐚|é"), ""), (c.find(text2.replace("🐚é", "é"), "é|🐚"), c.find(text2.replace("🐚é", "é"), "é|🐚"), "x"))
        text3 = text2.replace("🐚é", "éx")
        marks = c.at("documentHighlight", "a.nac", text3, "A(|name")
        assert [c.slice(text3, m["range"]) for m in marks] == ["name", "name"]
        # positions behind the end of a line or file are its end
        far = {"line": 2, "character": 10000}
        c.request("textDocument/hover", {"textDocument": c.document("a.nac"), "position": far})
        c.request("textDocument/hover", {"textDocument": c.document("a.nac"), "position": {"line": 99999, "character": 0}})
        assert c.finish() == 0


def test_edits():
    """Random edits, in pieces, leave the server with the text that we have; CRLF lines too."""
    c = Client(nacre, folder)
    draw = random.Random(7)
    for newline in "\n", "\r\n":
        text = TEXT.replace("\n", newline)
        c.open("e.nac", text)

        def place(offset):
            before = text[:offset]
            start = before.rfind("\n") + 1
            return {"line": before.count("\n"), "character": c.width(before[start:])}
        for _ in range(300):
            a, b = sorted(draw.randrange(len(text) + 1) for _ in range(2))
            b = min(b, a + draw.randrange(8))
            while text[a - 1:a] == "\r" and a < len(text):
                a += 1      # not between the halves of a line end
            while text[b - 1:b] == "\r" and b < len(text):
                b += 1
            b = max(a, b)
            new = draw.choice(["", "x", "🐚", newline, "{", "}", '"', " ", "fc(", "w."])
            c.change("e.nac", (place(a), place(b), new))
            text = text[:a] + new + text[b:]
        c.change("e.nac", (place(0), place(0), "let probe_begin = 1" + newline))
        text = "let probe_begin = 1" + newline + text
        c.change("e.nac", (place(len(text)), place(len(text)), newline + "# end 🐚"))
        text += newline + "# end 🐚"
        # a formatting edit of a text that parses would replace all of it: the range tells how long it is
        c.change("e.nac", (place(0), place(len(text)), "let   a = 1" + newline))
        edits = c.request("textDocument/formatting", {"textDocument": c.document("e.nac"), "options": {}})
        assert edits[0]["newText"].strip() == "let a = 1", edits
        c.close("e.nac")
    assert c.finish() == 0


def test_errors():
    c = Client(nacre, folder, start=False)
    assert error_of(c, "textDocument/hover", {}) == -32002     # before initialize
    c.notify("textDocument/didOpen", {})                       # ignored
    assert c.request("initialize", {"capabilities": {}})["serverInfo"]["name"] == "nacre"
    assert error_of(c, "initialize", {"capabilities": {}}) == -32600
    assert error_of(c, "no/such/method", {}) == -32601
    assert error_of(c, "$/optional", None) == -32601
    c.notify("no/such/notification", {"a": [1]})
    c.notify("$/setTrace", {"value": "off"})
    assert error_of(c, "textDocument/hover", {"textDocument": {"uri": "file:///not/open.nac"}}) == -32602
    for params in (None, [], {}, {"textDocument": 1}, {"textDocument": {"uri": 5}}):
        assert error_of(c, "textDocument/hover", params) == -32602, params
    c.open("a.nac", TEXT)
    document = {"textDocument": c.document("a.nac")}
    for position in (None, {}, {"line": -1, "character": 0}, {"line": "1", "character": 0}, {"line": 0.5, "character": 1}):
        assert error_of(c, "textDocument/hover", {**document, "position": position}) == -32602, position
    c.send({"jsonrpc": "2.0", "id": "text", "method": "textDocument/documentSymbol", "params": document})
    while "text" not in c.answers:
        c.take(c.receive())
    assert c.answers.pop("text")["result"]

    def refused(data, code=-32700):
        c.raw(data)
        while None not in c.answers:
            c.take(c.receive())
        assert c.answers.pop(None)["error"]["code"] == code
    refused(b"Content-Length: 5\r\n\r\n{]{]{")
    refused(b"Content-Length: 4\r\n\r\n\"\xff\xfe\"")
    refused(b"Content-Length: 2\r\n\r\n[]", -32600)
    refused(b"Content-Length: 2\r\n\r\n{}", -32600)
    refused(b"Content-Length: 20000\r\n\r\n" + b"[" * 20000)
    refused(b"X: y\r\n\r\n")
    refused(b"Content-Length: many\r\n\r\n")
    refused(b"Content-Length: 70000000\r\n\r\n" + b" " * 70000000)
    refused(b"y" * 200000 + b"\r\n\r\n")
    assert c.request("textDocument/documentSymbol", document)
    c.answers.clear()       # it was refused in several parts
    # headers in another order and case; parts that arrive one by one
    data = json.dumps({"jsonrpc": "2.0", "id": 900, "method": "textDocument/documentSymbol", "params": document}).encode()
    message = b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-LENGTH: %d\r\n\r\n" % len(data) + data
    for i in range(0, len(message), 7):
        c.raw(message[i:i + 7])
    assert c.wait(900)
    assert c.request("shutdown", None) is None
    assert error_of(c, "textDocument/documentSymbol", document) == -32600
    c.notify("exit", None)
    assert c.end() == 0


def test_cancel():
    """Requests that arrive together: the one that is cancelled while it waits is not computed."""
    c = Client(nacre, folder)
    c.open("a.nac", TEXT)
    c.diagnostics("a.nac")
    data = b""
    document = {"textDocument": c.document("a.nac")}
    for message in (
            [{"jsonrpc": "2.0", "id": 100 + i, "method": "textDocument/documentSymbol", "params": document} for i in range(20)]
            + [{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 119}},
               {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 4711}},
               {"jsonrpc": "2.0", "method": "$/cancelRequest"}]):
        text = json.dumps(message).encode()
        data += b"Content-Length: %d\r\n\r\n" % len(text) + text
    c.raw(data)
    for i in range(19):
        assert c.wait(100 + i)
    try:
        c.wait(119)
        raise AssertionError("not cancelled")
    except LspError as error:
        assert error.code == -32800
    assert c.finish() == 0


def test_ends():
    c = Client(nacre, folder)
    c.notify("exit", None)
    assert c.end() == 1         # without shutdown
    c = Client(nacre, folder)
    assert c.end() == 1         # the client is gone
    c = Client(nacre, folder)
    c.request("shutdown", None)
    assert c.end() == 0


test_said()
test_positions()
test_edits()
test_errors()
test_cancel()
test_ends()
