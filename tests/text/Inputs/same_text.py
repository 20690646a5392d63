"""same_text.py GREEDY.json PROMPT... < TEXT: the texts are those of the file for the prompts."""
import json
import sys

texts = json.load(open(sys.argv[1]))
want = "\n".join(texts[prompt]["text"] + "\n" for prompt in sys.argv[2:])
got = sys.stdin.buffer.read().decode()
if want != got:
    sys.exit(f"the text is {got!r}\nit should be {want!r}")
