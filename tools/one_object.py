#!/usr/bin/env python3
"""Make one relocatable object of static libraries, in which only the symbols gsa_* are global.

one_object.py --ld LD --objcopy OBJCOPY --ar AR -o libgsa.a lib1.a lib2.a ...
"""
import argparse
import os
import subprocess
import tempfile

parser = argparse.ArgumentParser(description=__doc__)
for tool in ("ld", "objcopy", "ar"):
    parser.add_argument("--" + tool, required=True)
parser.add_argument("-o", dest="output", required=True)
parser.add_argument("libraries", nargs="+")
args = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    whole = os.path.join(folder, "whole.o")
    ours = os.path.join(folder, "gsa.o")
    subprocess.run([args.ld, "-r", "-o", whole, "--whole-archive", *args.libraries], check=True)
    subprocess.run([args.objcopy, "--wildcard", "--keep-global-symbol=gsa_*", whole, ours], check=True)
    if os.path.exists(args.output):
        os.remove(args.output)
    subprocess.run([args.ar, "rcs", args.output, ours], check=True)
