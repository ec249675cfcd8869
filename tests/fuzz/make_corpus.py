#!/usr/bin/env python3
"""Writes corpus/: good-* files and, for each rule of a format, a bad-* file that breaks it. make_corpus.py [FOLDER]

Each module corpus_*.py yields (name, bytes) for one or more targets. Python's standard library only.
"""

import os
import sys

import corpus_gguf
import corpus_hf
import corpus_state
import corpus_tokenizer

out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
targets = {}
for module in (corpus_gguf, corpus_hf, corpus_state, corpus_tokenizer):
    targets.update(module.targets())
for target, files in targets.items():
    folder = os.path.join(out, target)
    os.makedirs(folder, exist_ok=True)
    made = set()
    for name, data in files:
        assert name not in made, f"{target}/{name} is made twice"
        made.add(name)
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    for name in os.listdir(folder):  # found-* files come from fuzzing and stay
        if name.startswith(("good-", "bad-")) and name not in made:
            os.remove(os.path.join(folder, name))
