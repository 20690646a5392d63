"""readme.py NACRE FOLDER SOURCE [--no-llvm]: the README's commands work as they stand there.

net.nac is the README's own; weights and an input for it are drawn. `...` stands for the arguments of
the command before, a|b|c for each of them. The decoder that it shows is the one in examples/llama.
"""
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
import arrays
from examples import blocks


def files(folder, source, net):
    def draw(*shape):
        size = 1
        for n in shape:
            size *= n
        return arrays.Array("f4", shape, [random.uniform(-0.1, 0.1) for _ in range(size)])

    os.makedirs(folder, exist_ok=True)
    random.seed(1)
    weights = {"up.weight": draw(128, 784), "up.bias": draw(128), "down.weight": draw(10, 128), "down.bias": draw(10)}
    for name, data in [("net.nac", net.encode()), ("x.npy", arrays.npy_bytes(draw(3, 784))),
                       ("w.safetensors", arrays.safetensors_bytes(weights))]:
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    if not os.path.lexists(os.path.join(folder, "examples")):
        os.symlink(os.path.join(source, "examples"), os.path.join(folder, "examples"))


def commands(text):
    """The lines, without comments, as they are run."""
    text, last = text.replace("\\\n", " "), ""
    for line in text.split("\n"):
        line = line.split("#")[0].strip()
        if not line:
            continue
        if " ... " in line:
            line = line.replace("...", last.split("net.nac")[1].rsplit("--target", 1)[0])
        last = line
        choice = next((w for w in line.split() if "|" in w), None)
        for one in choice.split("|") if choice else [""]:
            yield line.replace(choice, one) if choice else line


def main():
    tool, folder, source = (os.path.abspath(p) for p in sys.argv[1:4])
    llvm, failed, n = "--no-llvm" not in sys.argv, 0, 0
    shown = blocks(os.path.join(source, "README.md"))
    marked = {mark: text for _, mark, text in shown}
    files(folder, source, marked["nac net.nac"])
    with open(os.path.join(source, "examples", "llama", "llama.nac"), encoding="utf-8") as f:
        if f.read() != marked["nac llama.nac"]:
            failed += 1
            print("the decoder of the README is not examples/llama/llama.nac")
    for command in commands(marked["sh"]):
        if command == "nacre lsp" or (not llvm and "cpu" in command):  # the first waits for an editor: tests/lsp
            continue
        n += 1
        done = subprocess.run(command.replace("nacre", f"'{tool}'", 1), shell=True, cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode:
            failed += 1
            print(f"{command}\nends with {done.returncode}\n{done.stderr[:2000]}")
    print(f"{n} commands, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
