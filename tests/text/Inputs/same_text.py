"""same_text.py GREEDY.json PROMPT < TEXT: the text is that of the file for the prompt."""
import json
import sys

want = json.load(open(sys.argv[1]))[sys.argv[2]]["text"] + "\n"
got = sys.stdin.buffer.read().decode()
if want != got:
    sys.exit(f"the text is {got!r}\nit should be {want!r}")
