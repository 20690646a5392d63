#!/usr/bin/env python3
"""What narrow weights gain on a CPU: bench/scaled.py NACRE [ROWS [ROUNDS]]

A product of ROWS rows (1 to 64; by default 1, a step of a decoder) by 4096 x 4096 weights in f32 and in each narrow type, by
`nacre bench` in turns, so that what else the machine does falls on all alike. Prints the least time of each, how many
times faster than f32 that is, and the bytes of weights read a second."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = 4096
BITS = {"fp32": 32, "bf_16": 16, "int8": 8, "fp8_e4m3": 8, "fp8_e5m2": 8, "int4": 4.125, "int4_zeros": 4.625}


def least(nacre, entry, rows):
    made = subprocess.run([nacre, "bench", os.path.join(HERE, "scaled.nac"), "--entry", entry, "--dim", f"B={rows}",
                           "--random-weights", "1", "--targets", "cpu", "--threads", "1", "--repeat", "30", "--json"],
                          check=True, capture_output=True, text=True)
    return json.loads(made.stdout)[0]["least_seconds"]


def main():
    nacre, rows = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    best = {}
    for _ in range(rounds):
        for entry in BITS:
            best[entry] = min(best.get(entry, 1e9), least(nacre, entry, rows))
    for entry, seconds in best.items():
        rate = BITS[entry] / 8 * SIDE * SIDE / seconds / 1e9
        print(f"{entry:12} {seconds * 1e3:8.3f} ms  {best['fp32'] / seconds:5.2f} x  {rate:6.1f} GB/s")


if __name__ == "__main__":
    main()
