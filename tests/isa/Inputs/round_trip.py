"""round_trip.py NACRE OUT FILE...: compiles each model for Pearl, base and nano; the program must be
accepted by the verifier, and assembling its own assembly text must give the same bytes."""
import os
import subprocess
import sys

nacre, out, files = sys.argv[1], sys.argv[2], sys.argv[3:]
os.makedirs(out, exist_ok=True)


def run(*args):
    subprocess.run([nacre, *args], check=True)


for path in files:
    for machine in "base", "nano":
        stem = os.path.join(out, os.path.splitext(os.path.basename(path))[0] + "." + machine)
        program, text, again = stem + ".pearl", stem + ".pasm", stem + ".again.pearl"
        run("compile", path, "--target", "pearl", "--machine", machine, "--random-weights", "1", "-o", program)
        run("verify", program)
        run("disasm", program, "-o", text)
        run("asm", text, "-o", again)
        same = open(program, "rb").read() == open(again, "rb").read()
        print(path, machine, "same bytes" if same else "OTHER BYTES")
        if not same:
            sys.exit(1)
