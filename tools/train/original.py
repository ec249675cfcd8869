#!/usr/bin/env python3
"""Logits of the original implementation (flash-linear-attention, float32) for a folder, to compare with.

  original.py FOLDER IDS OUT      IDS: a file of token ids; OUT: raw little-endian float32 [T, V]
"""
import os, sys
import torch
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gsa_torch
from fla.models import GSAForCausalLM

gsa_torch.one_config_per_kernel()
m = GSAForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).cuda().eval()
ids = torch.tensor([[int(x) for x in open(sys.argv[2]).read().split()]], device="cuda")
with torch.no_grad(): logits = m(ids).logits
print(tuple(logits.shape), sum(p.numel() for p in m.parameters()), "parameters")
logits[0].float().cpu().numpy().tofile(sys.argv[3])
