#!/usr/bin/env python3
"""Table of branch coverage out of gcov's counters: coverage.py ROOT yes|no FILE... ; run in the build folder.

A branch counts as taken when any object of the file took it. `yes` also prints the lines with branches never taken;
lines that say why they cannot be reached carry the comment "unreachable:".
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
lines = {}  # file -> {(line, number of the branch): taken}
code = {}
for data in glob.glob("**/*.gcda", recursive=True):
    if not any(os.path.basename(w) in data for w in wanted):
        continue
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["gcov", "--json-format", "--branch-probabilities", os.path.abspath(data)], cwd=out, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
total = [0, 0, 0, 0]
print(f"{'file':32} {'lines':>12} {'branches':>14}  {'':>7}")
for name in sorted(wanted):
    if name not in code:
        print(f"{name:32} not run")
        continue
    n_lines, run = len(code[name]), sum(1 for c in code[name].values() if c)
    branches = lines.get(name, {})
    n, taken = len(branches), sum(1 for c in branches.values() if c)
    total = [a + b for a, b in zip(total, (run, n_lines, taken, n))]
    print(f"{name:32} {run:5} / {n_lines:4} {taken:6} / {n:5}  {100 * taken / n if n else 100:6.1f} %")
    if missing:
        text = open(os.path.join(root, name), encoding="utf-8").read().splitlines()
        for number in sorted({k[0] for k, c in branches.items() if not c}):
            which = ",".join(str(k[1]) for k, c in sorted(branches.items()) if k[0] == number and not c)
            print(f"    {number}: {text[number - 1].strip()[:110]}   [{which}]")
print(f"{'all':32} {total[0]:5} / {total[1]:4} {total[2]:6} / {total[3]:5}  {100 * total[2] / max(1, total[3]):6.1f} %")
