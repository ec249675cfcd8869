#!/usr/bin/env python3
"""Table of branch coverage out of gcov's counters: coverage.py ROOT yes|no FILE... ; run in the build folder.

A branch counts as taken when any object of the file took it. Those of tests/fuzz/unreachable.txt are not counted.
`yes` also prints the lines with branches never taken.
"""

import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

root, missing = sys.argv[1], sys.argv[2] == "yes"
wanted = {os.path.relpath(os.path.join(root, f), root) for f in sys.argv[3:] if "*" not in f}
cannot = []  # (file, how many, start of the line)
for line in open(os.path.join(root, "tests/fuzz/unreachable.txt"), encoding="utf-8"):
    if line.strip() and not line.startswith("#"):
        name, n, rest = (x.strip() for x in line.split(" | ", 2))
        cannot.append((name, int(n), rest.rsplit(" | ", 1)[0].strip()))
lines = {}  # file -> {(line, number of the branch): taken}
code = {}
for data in glob.glob("**/*.gcda", recursive=True):
    if not any(os.path.basename(w) in data for w in wanted):
        continue
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            ["gcov", "--json-format", "--branch-probabilities", os.path.abspath(data)],
            cwd=out,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for path in glob.glob(out + "/*.gz"):
            for f in json.load(gzip.open(path))["files"]:
                base = json.load(gzip.open(path))["current_working_directory"]
                name = os.path.relpath(os.path.normpath(os.path.join(base, f["file"])), root)
                if name not in wanted:
                    name = os.path.relpath(os.path.realpath(os.path.join(os.getcwd(), f["file"])), root)
                if name not in wanted:
                    continue
                for line in f["lines"]:
                    number = line["line_number"]
                    code.setdefault(name, {}).setdefault(number, 0)
                    code[name][number] += line["count"]
                    for i, b in enumerate(line["branches"]):
                        key = (number, i)
                        lines.setdefault(name, {})
                        lines[name][key] = lines[name].get(key, 0) + b["count"]
total = [0, 0, 0, 0, 0]
print(f"{'file':32} {'lines':>12} {'branches':>14}           unreachable")
for name in sorted(wanted):
    if name not in code:
        continue  # nothing that runs in it
    text = [x.strip() for x in open(os.path.join(root, name), encoding="utf-8").read().splitlines()]
    n_lines, run = len(code[name]), sum(1 for c in code[name].values() if c)
    branches = lines.get(name, {})
    n, taken, excused, never = len(branches), sum(1 for c in branches.values() if c), 0, []
    for number in sorted({k[0] for k, c in branches.items() if not c}):
        missed = [k[1] for k, c in sorted(branches.items()) if k[0] == number and not c]
        allowed = max(
            (a for f, a, start in cannot if f in (name, "*") and text[number - 1].startswith(start)), default=0
        )
        excused += min(allowed, len(missed))
        if len(missed) > allowed:
            never.append(f"    {number}: {text[number - 1][:110]}   {missed}")
    n -= excused
    total = [a + b for a, b in zip(total, (run, n_lines, taken, n, excused))]
    print(
        f"{name:32} {run:5} / {n_lines:4} {taken:6} / {n:5}  {100 * taken / n if n else 100:6.1f} %  {excused or '':>5}"
    )
    if missing and never:
        print("\n".join(never))
print(
    f"{'all':32} {total[0]:5} / {total[1]:4} {total[2]:6} / {total[3]:5}  {100 * total[2] / max(1, total[3]):6.1f} %  {total[4]:5}"
)
