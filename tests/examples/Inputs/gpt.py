"""gpt.py GREEDY.json COUNT COMMAND...: the command, `nacre generate` and its options, continues the file's prompts
with the file's tokens; COUNT of them at most, and if that leads past the context it ends there and says so."""
import json
import subprocess
import sys

golden, count = json.load(open(sys.argv[1])), int(sys.argv[2])
command = sys.argv[3:] + ["--json", "-n", str(count)]
for case in golden:
    command += ["--prompt", case["prompt"]]
done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
warnings = done.stderr.decode()
for case, got in zip(golden, json.loads(done.stdout)):
    want = case["ids"][: len(case["prompt_ids"]) + count]
    assert got["prompt_ids"] == case["prompt_ids"], (got["prompt_ids"], case["prompt_ids"])
    assert got["ids"] == want, (got["text"], case["text"])
    if want == case["ids"]:
        assert got["finish"] == "context" and got["text"] == case["text"], got["finish"]
        assert f"the text ends after {len(want)} tokens, as the context is full" in warnings, warnings
    else:
        assert got["finish"] == "length", got["finish"]
