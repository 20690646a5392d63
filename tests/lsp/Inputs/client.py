"""A language client over stdio for the tests of `nacre lsp`; the standard library only.

    from client import Client
    c = Client(sys.argv[1])            # starts NACRE lsp, sends initialize
    c.open("a.nac", text)
    c.at("textDocument/hover", "a.nac", text, "needle|")   # `|` marks the cursor
"""
import json
import os
import select
import subprocess
import tempfile


class LspError(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]


class Client:
    def __init__(self, nacre, folder=None, encodings=None, options=None, start=True, env=None):
        self.folder = folder or tempfile.mkdtemp()
        environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(self.folder, ".cache"), **(env or {}))
        self.process = subprocess.Popen([nacre, "lsp", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment)
        self.buffer = b""
        self.next_id, self.answers, self.notices, self.versions = 1, {}, [], {}
        self.encoding = "utf-16"
        if start:
            capabilities = {"general": {"positionEncodings": encodings}} if encodings else {}
            self.server = self.request("initialize", {
                "processId": None, "rootUri": self.uri(""), "capabilities": capabilities,
                "initializationOptions": options or {}})
            self.encoding = self.server["capabilities"]["positionEncoding"]
            self.notify("initialized", {})

    # --- messages

    def raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        data = json.dumps(message).encode()
        self.raw(b"Content-Length: %d\r\n\r\n" % len(data) + data)

    def notify(self, method, params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method, params):
        """Sends a request without waiting; gives its id."""
        number = self.next_id
        self.next_id += 1
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def wait(self, number):
        while number not in self.answers:
            self.take(self.receive())
        answer = self.answers.pop(number)
        if "error" in answer:
            raise LspError(answer["error"])
        return answer["result"]

    def request(self, method, params):
        return self.wait(self.ask(method, params))

    def take(self, message):
        assert message is not None, "the server ended"
        if "method" in message:
            self.notices.append(message)
        else:
            self.answers[message["id"]] = message

    def receive(self, timeout=60):
        """The next message, or None at the end of the output."""
        while True:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if mark:
                length = int(head.split(b":")[1])
                assert head.startswith(b"Content-Length:"), head
                if len(rest) >= length:
                    self.buffer = rest[length:]
                    return json.loads(rest[:length])
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            assert ready, "no answer"
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                assert not self.buffer, self.buffer
                return None
            self.buffer += more

    # --- documents

    def uri(self, name):
        return name if ":" in name else "file://" + os.path.join(self.folder, name)

    def document(self, name):
        return {"uri": self.uri(name)}

    def open(self, name, text):
        self.versions[name] = 1
        self.notify("textDocument/didOpen", {"textDocument": {
            "uri": self.uri(name), "languageId": "nacre", "version": 1, "text": text}})

    def change(self, name, *changes):
        """Each change is a whole text, or (start, end, text) with positions."""
        self.versions[name] += 1
        self.notify("textDocument/didChange", {
            "textDocument": {"uri": self.uri(name), "version": self.versions[name]},
            "contentChanges": [{"text": c} if isinstance(c, str) else
                               {"range": {"start": c[0], "end": c[1]}, "text": c[2]} for c in changes]})

    def close(self, name):
        self.notify("textDocument/didClose", {"textDocument": self.document(name)})

    def diagnostics(self, name):
        """Those of the newest version."""
        uri, version = self.uri(name), self.versions[name]
        while True:
            for notice in self.notices:
                if (notice["method"] == "textDocument/publishDiagnostics" and notice["params"]["uri"] == uri
                        and notice["params"]["version"] == version):
                    self.notices.remove(notice)
                    return notice["params"]["diagnostics"]
            self.take(self.receive())

    # --- positions

    def width(self, text):
        if self.encoding == "utf-8":
            return len(text.encode())
        return len(text.encode("utf-16-le")) // 2

    def position(self, text, offset):
        before = text[:offset]
        return {"line": before.count("\n"), "character": self.width(before[before.rfind("\n") + 1:])}

    def find(self, text, needle):
        """The position that `|` marks in the first place where the rest of needle stands."""
        mark = needle.index("|")
        plain = needle.replace("|", "")
        assert plain in text, plain
        return self.position(text, text.index(plain) + mark)

    def slice(self, text, span):
        lines = text.split("\n")

        def offset(p):
            line, width = lines[p["line"]], 0
            for i, c in enumerate(line):
                if width >= p["character"]:
                    break
                width += self.width(c)
            else:
                i = len(line)
            return sum(len(x) + 1 for x in lines[:p["line"]]) + i
        return text[offset(span["start"]):offset(span["end"])]

    def at(self, method, name, text, needle, **more):
        return self.request("textDocument/" + method, {
            "textDocument": self.document(name), "position": self.find(text, needle), **more})

    def hover(self, name, text, needle):
        got = self.at("hover", name, text, needle)
        return got and got["contents"]["value"]

    def complete(self, name, text, needle):
        return {i["label"]: i for i in self.at("completion", name, text, needle)["items"]}

    def finish(self):
        """Shuts down as the specification says; the exit code."""
        self.request("shutdown", None)
        self.notify("exit", None)
        return self.end()

    def end(self):
        self.process.stdin.close()
        while self.receive() is not None:
            pass
        return self.process.wait(timeout=60)
