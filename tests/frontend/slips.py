# Checks files that hold one mistake each: `nacre check` gives exactly one message (an error and exit
# code 1; a warning when the text beside the file begins with one), and its whole text is the one beside
# the file. Usage: slips.py NACRE FOLDER [--update]; --update writes the texts.
import pathlib
import re
import subprocess
import sys


def message(nacre, path):
    r = subprocess.run([nacre, "check", path.name], cwd=path.parent, capture_output=True, text=True, timeout=60)
    return r.returncode, re.sub(r"(std/\w+\.nac):\d+:\d+", r"\1", r.stderr)  # lines of the library move


def main():
    nacre, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    update = "--update" in sys.argv
    failed = 0
    files = sorted(folder.glob("*.nac"))
    for path in files:
        code, text = message(nacre, path)
        errors = text.count(": error: ")
        warnings = text.count(": warning: ")
        golden = path.with_suffix(".txt")
        if update:
            golden.write_text(text)
        want = golden.read_text()
        one = (code, errors) == (1, 1) or (code, errors, warnings) == (0, 0, 1)
        if text != want or not one or (": error:" in text and ": warning:" in text):
            print(f"{path.name}: exit {code}, {errors} errors, {warnings} warnings\n{text}-- wanted:\n{want}")
            failed += 1
    print(f"{len(files)} mistakes, {failed} failed")
    return failed != 0 or not files


sys.exit(main())
