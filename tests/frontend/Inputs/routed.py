"""routed.py NACRE MODEL: the multiplications of a routed product on Pearl go with the experts chosen, and its cycles for one token do
not grow with the experts there are."""
import json
import subprocess
import sys

nacre, model = sys.argv[1:]


def simulated(entry, rows, **sizes):
    command = [nacre, "run", model, "--random-weights", "1", "--target", "pearl", "--json", "--entry", entry, "--dim", f"B=1,S={rows}",
               "--set", ",".join(f"{name}={value}" for name, value in sizes.items())]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["sim"]


for entry, rows in ("one", 1), ("many", 40):
    sim = {(e, k): simulated(entry, rows, E=e, K=k) for e in (8, 64) for k in (2, 4)}
    gate = 24 * rows  # multiplications of the gate for each expert
    for k in 2, 4:
        if sim[64, k]["macs"] - sim[8, k]["macs"] != 56 * gate:
            sys.exit(f"{entry}: {sim[8, k]['macs']} multiplications with 8 experts, {sim[64, k]['macs']} with 64")
    # for each expert chosen 3 products of 24 x 40, one elementwise, and a sum of its results
    if sim[8, 4]["macs"] - sim[8, 2]["macs"] != 2 * rows * (3 * 24 * 40 + 40 + 24):
        sys.exit(f"{entry}: {sim[8, 2]['macs']} multiplications with 2 experts chosen, {sim[8, 4]['macs']} with 4")
    if entry == "one" and sim[64, 2]["cycles"] > 1.25 * sim[8, 2]["cycles"]:
        sys.exit(f"{sim[8, 2]['cycles']} cycles with 8 experts, {sim[64, 2]['cycles']} with 64")
