"""whole.py RESULT COMMAND...: `generate` with every id but the last as its prompt adds that last one."""
import json
import subprocess
import sys

ids = json.load(open(sys.argv[1]))["ids"]
if len(sys.argv) > 2:
    for n in (1, 2, 17, len(ids) - 1):
        text = ",".join(str(i) for i in ids[:n])
        done = subprocess.run([*sys.argv[2:], "--ids", text, "--max-tokens", "1", "--json"], check=True, capture_output=True)
        if json.loads(done.stdout)["ids"] != ids[:n + 1]:
            sys.exit(f"after {n} tokens: {json.loads(done.stdout)['ids'][-1]}, one by one it was {ids[n]}")
