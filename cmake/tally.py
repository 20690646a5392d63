#!/usr/bin/env python3
"""Counts tests for ./check: prints "PASSED FAILED SKIPPED".

    tally.py units LOG     of a `ctest -V` log of Criterion programs
    tally.py lit JSON      of lit's --output
"""
import json
import re
import sys


def units(path):
    text = open(path, encoding="utf-8", errors="replace").read()
    passed = failed = 0
    skipped = len(re.findall(r"^\d+: .*\[.*SKIP.*\]", text, re.M))
    counted = set()
    pattern = (r"^(\d+): .*Synthesis: Tested: \D*(\d+)\D* \| Passing: \D*(\d+)\D* \| "
               r"Failing: \D*(\d+)\D* \| Crashing: \D*(\d+)")
    for m in re.finditer(pattern, re.sub(r"\x1b\[[0-9;]*m", "", text), re.M):
        counted.add(m.group(1))
        passed += int(m.group(3))
        failed += int(m.group(4)) + int(m.group(5))
    # A program that ctest calls failed although it counted no failure, or did not come to count.
    bad = re.findall(r"^\s*\d+/\d+ Test\s+#(\d+): \S+ \.*\s*\*\*\*", text, re.M)
    if bad:
        failed = max(failed, 1) + sum(1 for number in bad if number not in counted)
    return passed, failed, skipped


def lit(path):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for test in json.load(open(path, encoding="utf-8"))["tests"]:
        code = test["code"]
        if code in ("PASS", "XFAIL", "FLAKYPASS"):
            counts["passed"] += 1
        elif code in ("UNSUPPORTED", "SKIPPED", "EXCLUDED"):
            counts["skipped"] += 1
        else:
            counts["failed"] += 1
    return counts["passed"], counts["failed"], counts["skipped"]


try:
    print(*{"units": units, "lit": lit}[sys.argv[1]](sys.argv[2]))
except (OSError, ValueError, KeyError) as error:
    print(f"tally: {error}", file=sys.stderr)
    print(0, 1, 0)
