"""terminal.py COMMAND...: runs the command with stderr on a terminal and stdout in a pipe; prints what came
to the terminal, its control characters written as ^M and ^[, then the exit code."""
import os
import pty
import subprocess
import sys

ours, theirs = pty.openpty()
command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
seen = b""
while True:
    try:
        part = os.read(ours, 4096)
    except OSError:  # the other end is closed
        break
    if not part:
        break
    seen += part
text = seen.decode().replace("\r\n", "\n").replace("\r", "^M").replace("\x1b", "^[")
print(text + ("" if text.endswith("\n") else "\n") + f"exit {command.wait()}")
