#!/usr/bin/env python3
"""Weights of a GGUF file as train.py's --init takes them: to go on from a model of which only the file is there.

  from_gguf.py models/innkeeper.gguf FIRST/innkeeper     writes FIRST/innkeeper-0.bin

The model must have the shape of gsa_torch.DEFAULTS. Needs PyTorch and the package gguf.
"""
import os, sys, types
import numpy as np
from gguf import GGUFReader, dequantize
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gsa_torch

path, out = sys.argv[1:3]
there = {gsa_torch.name_of(t.name): dequantize(t.data, t.tensor_type) for t in GGUFReader(path).tensors}
shapes = gsa_torch.shapes(types.SimpleNamespace(**gsa_torch.DEFAULTS))
assert there.keys() == shapes.keys(), f"other tensors: {sorted(there.keys() ^ shapes.keys())}"
flat = np.concatenate([there[name].reshape(shape).reshape(-1) for name, shape in shapes.items()])
os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
flat.astype("<f2").tofile(out + "-0.bin")
print(f"{out}-0.bin: {len(flat)} parameters")
