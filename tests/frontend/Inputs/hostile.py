"""Hostile model files for hostile.test: hostile.py NACRE FOLDER. Each case is a text, the message that it
must give ("" for none), and further arguments. The command must end by itself with code 0 or 1 within
SECONDS and print at most LONGEST bytes of messages."""
import os
import random
import subprocess
import sys

SECONDS = 120  # a sanitizer on a busy machine; alone no case takes 2 s
LONGEST = 30000
MB = 1 << 20

nacre, folder = sys.argv[1:3]
random.seed(1)
cases = []


def case(name, text, message, *arguments):
    cases.append((name, text if isinstance(text, bytes) else text.encode(), message, arguments))


def full(piece):
    return (piece * (MB // len(piece) + 1))[:MB]


def model(body, before=""):
    return f"{before}model M {{\n    entry e(x: f32[2]) -> (y: f32[2]) {{\n{body}\n        return x\n    }}\n}}\n"


def doubling(first, step, last=""):
    return f"let a0 = {first}\n" + "".join(f"let a{i + 1} = {step.format(f'a{i}')}\n" for i in range(60)) + last


# a megabyte of one thing
case("random", random.randbytes(MB), "error: ")
case("random_ascii", bytes(random.choice(b"abc(){}[]+-*/ \n\"#.,:=<>019ifelsr") for _ in range(MB)), "error: ")
DEEP = "nested too deeply"
for name, piece, message in (
        ("paren", "(", "brackets are nested too deeply: at most 200 levels"), ("bracket", "[", "brackets are " + DEEP),
        ("minus", "-", DEEP), ("not", "not ", DEEP), ("if", "if ", "unexpected if"), ("power", "a^", DEEP),
        ("sum", "a+", DEEP), ("dot", "a.", DEEP), ("call", "a(", DEEP), ("index", "a[", DEEP),
        ("choice", "a if b else ", DEEP), ("close", ")", "this ')' closes nothing"), ("digits", "9", "too large: at most 2^53"),
        ("name", "x", "is not defined"), ("lines", "\n", "unexpected end of line"), ("comment", "#\n", "unexpected end of line"),
        ("quote", '"', "error: "), ("semicolon", ";", "statements end with their line"), ("control", "\1", "is not a text file")):
    case(name, "let a = " + full(piece), message)
case("one_control", "let a = 1 \1\n", "a byte of value 1")
case("braces", full("{"), "error: ")
case("attributes", full("@a\n"), "unexpected end of file")
case("layers", full("layer A {\n"), "error: ")
case("imports", full('import "std/nn"\n'), "")
case("long_text", f'let s = "{full("x")}"\n', "")
case("many_expressions", f'let s = "{full("{1}")[:300000]}"\n', "error: ")

# nested constructs
case("loops", "model M { entry e() -> (y: i32) {\n" + "for i in 0..2 {\n" * 50000, "brackets are " + DEEP)
case("conditions", "model M { entry e() -> (y: i32) {\n" + "if true {\n" * 50000, "brackets are " + DEEP)
case("members", "model M {\n" + "if true {\n" * 50000, "brackets are " + DEEP)
case("else_if", model("if x { y = 1 }" + " else if x { y = 1 }" * 20000), DEEP)
case("comprehensions", "let x = " + "[" * 150 + "1" + " for i in 0..2]" * 150 + "\n", "this takes too long to evaluate")
case("lists", doubling("[1]", "[{0}]").replace("let a0", "let b = 1\nlet a0") +
     "".join(f"let c{i + 1} = [{'a60' if i == 0 else f'c{i}'}]\n" for i in range(60000)), "lists are nested more than 64 deep")

# a billion of something
BILLION = 1000000000
case("list", f"let x = [i for i in 0..{BILLION}]\n", "grows beyond 1048576 elements")
case("clauses", "let x = [1" + " for i in 0..1000" * 8 + "]\n", "grows beyond 1048576 elements")
case("loop", model(f"for i in 0..{BILLION} {{ x = x + 1.0 }}"), "at most 4096")
case("unrolled", model(f"@unroll\nfor i in 0..{BILLION} {{ x = x + 1.0 }}"), "error: ")
case("counted", model(f"n = 0\nfor i in 0..{BILLION} {{ n += i % 3 }}\nx = x * n"), "error: ")
case("loops_inside", model("for i in 0..1000 {\n" * 20 + "x = x + 1.0\n" + "}\n" * 20), "the model is too large")
case("array", model("", "layer L { weight w: f32[2] }\n").replace("entry", f"use l[i in 0..{BILLION}]: L\nentry"), "error: ")
case("weights", model("x = x + w[0]").replace("entry", f'weight w[i in 0..{BILLION}]: f32[2] from "a.{{i}}"\nentry'), "error: ")
case("tensor", model("x = x + w[0, 0, 0]").replace("entry", f"weight w: f32[{BILLION}, {BILLION}, {BILLION}]\nentry"), "error: ")
case("power_of_ten", "let a = 10^400\n", "error: ")
case("product", "let a = 9007199254740992 * 9007199254740992\n", "error: ")

# twice as much in each line
case("lists_doubled", doubling("[1]", "{0} + {0}"), "error: ")
case("lists_shared", doubling("[1]", "[{0}, {0}]", "let b = a60 == a60\nlet c = a60 == [a59, a58]\n"), "")
case("lists_apart", doubling("[1]", "[{0}, {0}]", doubling("[1]", "[{0}, {0}]").replace("let a", "let b").replace("[a", "[b").replace(", a", ", b") +
                             "let c = a60 == b60\n"), "this takes too long to evaluate")
case("texts_doubled", doubling('"x"', "{0} + {0}"), "error: ")
case("texts_joined", doubling('"x"', '"{{{0}}}{{{0}}}"'), "error: ")
case("tensors_doubled", model("x = concat(x, x, axis=0)\n" * 62), "error: ")
DEFS = "".join(f"def f{i + 1}(x: int) -> int {{ return f{i}(f{i}(x)) }}\n" for i in range(60))
case("defs", "def f0(x: int) -> int { return x + 1 }\n" + DEFS + "let x = f60(1)\n", "this takes too long to evaluate")
case("defs_of_tensors", model("x = f60(x)", "def f0(x: f32[2]) -> f32[2] { return x + 1.0 }\n" + DEFS.replace("int", "f32[2]")), "error: ")
case("layers_doubled", model("x = l(x)", "layer L0 { weight w: f32[2]\n def forward(x: f32[2]) -> f32[2] { return x + w } }\n" + "".join(
    f"layer L{i + 1} {{ use a: L{i}\n use b: L{i}\n def forward(x: f32[2]) -> f32[2] {{ return b(a(x)) }} }}\n" for i in range(28))
    ).replace("entry", "use l: L28\nentry"), "more than 50000 layers")
case("dims_multiplied", "dim A in 1..8, B in 1..8, C in 1..8\nmodel M {\nentry e(x: f32[A, B, C]) -> (y: f32[" +
     "*".join(["(A+B+C+1)"] * 100) + "]) { return x } }\n", "error: ")

# round and round
case("layer_itself", model("", "layer L { use l: L }\n").replace("entry", "use l: L\nentry"), "error: ")
case("layers_each_other", model("", "layer A { use l: B\n use m: B }\nlayer B { use l: A\n use m: A }\n").replace("entry", "use l: A\nentry"), "error: ")
case("unknown_many", model("for i in 0..2 { z = x }\n" + "".join(f"a{i} = q{i} + 1\n" for i in range(60000))), "is not defined")
case("list_repeated", "let a = [1, 2]\n" + "".join(f"let b{i} = a * 500000\n" for i in range(3000)), "this takes too long to evaluate")
case("list_tower", "let a0 = [1, 2]\n" + "".join(f"let a{i + 1} = [a{i}] * 2\n" for i in range(400)), "error: ")
case("def_itself", "def f(x: int) -> int { return f(x) + f(x) }\nlet a = f(1)\n", "error: ")

# many of something
N = 20000
case("mistakes", "".join(f"let a{i} = b{i}\n" for i in range(N)), "`b0` is not defined")
case("twice", "let a = 1\n" * N, "`a` is declared twice")
case("defs_many", "".join(f"def f{i}(x: f32[2]) -> f32[2] {{ return x }}\n" for i in range(N)), "")
case("dims", "dim " + ", ".join(f"D{i} in 1..8" for i in range(N)) + "\n", "")
case("tests", "".join(f'test "t{i}" {{ assert 1 == 1 }}\n' for i in range(N)), "at most 1000 tests")
case("entries", "model M {\n" + "".join(f"entry e{i}(x: f32[2]) -> (y: f32[2]) {{ return x }}\n" for i in range(N)) + "}\n", "at most 1000 entries")
case("arguments", "def f(" + ", ".join(f"a{i}: int = 1" for i in range(N)) + ") -> int { return 1 }\nlet x = f(" +
     ", ".join(f"a{i}=1" for i in range(N)) + ")\n", "at most 1000 arguments")

# settings
SET = "let a = 1\nlet t = \"x\"\nmodel M(L: int = 2, p: int[2] = [1, 2]) {\n    weight w: f32[L]\n    entry e(x: f32[L]) -> (y: f32[L]) { return x * w }\n}\n"
case("set_large", SET, "error: ", "--set", "L=99999999999999999999")
case("set_billion", SET, "", "--set", f"L={BILLION}")
case("set_long", SET, "", "--set", "t=" + "y" * 100000)
case("set_deep", SET, "error: ", "--set", "p=" + "[" * 60000)
case("set_list", SET, "error: ", "--set", f"p=[i for i in 0..{BILLION}]")
case("set_unknown", SET, "error: ", "--set", "q" * 100000 + "=1")

# imports
for i in range(100):
    with open(f"{folder}/chain{i}.nac", "w") as f:
        f.write(f'import "chain{i + 1}"\nlet a{i} = 1\n')
for name, text in (("chain100", "let z = 1\n"), ("ring_a", 'import "ring_b"\n'), ("ring_b", 'import "ring_a"\n'), ("fan0", "let z = 1\n")):
    with open(f"{folder}/{name}.nac", "w") as f:
        f.write(text)
for i in range(1, 40):
    with open(f"{folder}/fan{i}.nac", "w") as f:
        f.write(f'import "fan{i - 1}"\nimport "./fan{i - 1}"\nimport "././fan{i - 1}"\n')
case("import_chain", 'import "chain0"\n', "more than 64 files are imported")
case("import_ring", 'import "ring_a"\n', "imports itself")
case("import_itself", 'import "import_itself"\n', "imports itself")
case("import_fan", 'import "fan39"\n', "more than 64 files are imported")

failed = 0
for name, text, message, arguments in cases:
    path = os.path.join(folder, name + ".nac")
    with open(path, "wb") as f:
        f.write(text)
    try:
        r = subprocess.run([nacre, "check", path, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=SECONDS)
        said = r.stderr.decode(errors="replace")
        good = r.returncode == (1 if message else 0) and message in said and len(said) <= LONGEST
        what = f"code {r.returncode}, {len(said)} bytes: {said[:300]}"
    except subprocess.TimeoutExpired:
        good, what = False, f"still running after {SECONDS} s"
    if not good:
        failed += 1
        print(f"{name}: expected `{message}`; {what}")
    os.remove(path)
print(f"{len(cases) - failed} of {len(cases)} as expected")
sys.exit(failed > 0)
