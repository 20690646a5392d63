"""greedy.py GREEDY.json < RESULT: the ids of `nacre generate --json` are those of the file for that prompt."""
import json
import sys

result = json.load(sys.stdin)
for entry in json.load(open(sys.argv[1])).values():
    if entry["prompt_ids"] == result["prompt_ids"]:
        break
else:
    sys.exit("the file has no such prompt")
want, got = entry["greedy_ids"], result["ids"]
for i, (a, b) in enumerate(zip(want, got)):
    if a != b:
        sys.exit(f"token {i} is {b}, it should be {a}")
if len(want) != len(got):
    sys.exit(f"{len(got)} tokens, there should be {len(want)}")
