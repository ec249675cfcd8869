#!/usr/bin/env python3
"""Compiles kernels of the recurrence into Triton's cache, beside the processes that get ready to train and need them next.

  warm.py PART TOKENS T...     PART: forward, or the way back through the second pass (v) or the first (k)

TOKENS is for a step of one GPU, as train.py's --tokens; some kernels are other ones for each length T.
"""
import os, sys, types
import torch
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fla.ops.gsa.chunk_bwd, fla.ops.gsa.chunk_fwd
from fla.ops.gla.chunk import chunk_gla_bwd
from fla.ops.utils import chunk_local_cumsum
import gsa_torch

part, tokens, lengths = sys.argv[1], int(sys.argv[2]), [int(x) for x in sys.argv[3:]]
gsa_torch.one_config_per_kernel()
gsa_torch.plain_softmax()
c = types.SimpleNamespace(**gsa_torch.DEFAULTS)
H, K, M = c.num_heads, c.hidden_size // c.num_heads, c.num_slots
full = torch.float
for T in lengths:
    new = lambda *n, t=torch.bfloat16, rows=T: torch.zeros(tokens // T, rows, H, *n, dtype=t, device="cuda")
    g = new(M, t=full)
    if part == "forward":
        g = chunk_local_cumsum(g=g, chunk_size=64, scale=1.44)
        fla.ops.gsa.chunk_fwd.chunk_gsa_fwd(new(K), new(K), new(K), new(M), g)
    elif part == "v":
        chunk_gla_bwd(new(M), new(M), new(K), None, g, 1., None, new(M, K, rows=T // 64), new(64, t=full), new(K), None)
    else:
        fla.ops.gsa.chunk_bwd.chunk_gsa_bwd_k(new(K), new(K), new(M), g, new(K, M, rows=T // 64), None, new(M), new(M), None,
            new(M, t=full))
    torch.cuda.synchronize()
