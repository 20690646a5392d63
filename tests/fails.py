#!/usr/bin/env python3
"""fails.py [--no-output FILE] COMMAND...: succeeds when COMMAND ends with exit code 1, which is how
nacre reports a mistake of its user, and (--no-output) has left no FILE. Unlike `not`, a crash or a
leak found by a sanitizer is no success. Its output is passed on, stderr into stdout."""
import os
import subprocess
import sys

args = sys.argv[1:]
absent = []
while args and args[0] == "--no-output":
    absent.append(args[1])
    args = args[2:]
for path in absent:
    if os.path.isfile(path):
        os.remove(path)
done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
sys.stdout.buffer.write(done.stdout)
if done.returncode != 1:
    print(f"fails.py: exit code {done.returncode}, not 1")
    sys.exit(1)
for path in absent:
    if os.path.exists(path):
        print(f"fails.py: {path} was left behind")
        sys.exit(1)
