#!/usr/bin/env python3
"""Each file of the corpus gives the status and the text that messages.txt has: test_messages.py TABLE CORPUS REPLAY...
With --write as the first argument the table is written instead."""

import os
import subprocess
import sys

args = sys.argv[1:]
write = args[0] == "--write"
table, corpus, *programs = args[write:]
found = []
for program in programs:
    target = os.path.basename(program).removeprefix("replay_")
    run = subprocess.run([program, "--messages", os.path.join(corpus, target)], stdout=subprocess.PIPE, check=True)
    found += [f"{target}/{line}" for line in run.stdout.decode().splitlines()]
if write:
    with open(table, "w", encoding="utf-8") as f:
        f.write("\n".join(found) + "\n")
    sys.exit()
expected = open(table, encoding="utf-8").read().splitlines()
wrong = [f"+ {x}" for x in found if x not in set(expected)] + [f"- {x}" for x in expected if x not in set(found)]
print("\n".join(wrong) or f"{len(found)} files, each with its message")
sys.exit(1 if wrong else 0)
