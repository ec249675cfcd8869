#!/usr/bin/env python3
"""test_exports.py NM LIBRARY: the shared library exports gsa_* and nothing else, and its needs are few."""
import subprocess
import sys

lines = subprocess.run([sys.argv[1], "-D", "--defined-only", sys.argv[2]], capture_output=True, text=True, check=True).stdout.splitlines()
names = [line.split()[-1] for line in lines]
wrong = [n for n in names if not n.startswith("gsa_")]
print(f"{len(names)} exported: {' '.join(names)}")
if wrong or not names:
    print(f"expected gsa_* only, found: {' '.join(wrong) or 'nothing'}", file=sys.stderr)
    sys.exit(1)
