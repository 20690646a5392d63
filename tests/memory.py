"""memory.py REPORT.json [PARAMETERS [BYTES]]: checks the memory that `nacre run --json` reports.

The peak stays within weights, states and planned activations and 64 MB; the weights within so many
bytes a parameter, by default four and a hundredth more, for padding and constants.
"""

import json
import sys

report = json.load(open(sys.argv[1]))
held = report["memory"]
bound = held["weights"] + held["state"] + held["activations"] + (64 << 20)
if report["peak_memory"] > bound:
    sys.exit(f"{report['peak_memory']} bytes at most in memory, more than {bound}: {held}")
each = float(sys.argv[3]) if len(sys.argv) > 3 else 4.04
if len(sys.argv) > 2 and held["weights"] > each * int(sys.argv[2]):
    sys.exit(f"{held['weights']} bytes of weights for {sys.argv[2]} parameters")
