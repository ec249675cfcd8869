#!/usr/bin/env python3
"""Logits of the original implementation (flash-linear-attention, float32), to compare with those of `gsa-vk logits`.

  original.py FOLDER IDS OUT [--gguf FILE] [--compare LOGITS ...]

FOLDER is a Hugging Face folder. IDS is a file of token ids, OUT raw little-endian float32 [T, V]. With --gguf the weights are
those of a GGUF file, dequantised, and FOLDER gives the config only. --compare prints how far other files of logits are
off. Without a GPU the library's own Triton kernels run in Triton's interpreter: a second a token, so keep IDS short.
Needs PyTorch, transformers, flash-linear-attention; --gguf also the package gguf.
"""
import argparse, os, sys
import numpy as np
import torch

a = argparse.ArgumentParser()
for x in ("folder", "ids", "out"): a.add_argument(x)
a.add_argument("--gguf", default="")
a.add_argument("--compare", nargs="*", default=[])
o = a.parse_args()
device = "cuda" if torch.cuda.is_available() else "cpu"
if device == "cpu": os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gsa_torch
from fla.models import GSAConfig, GSAForCausalLM


def from_gguf(path, config):
    from gguf import GGUFReader, dequantize
    m = GSAForCausalLM(config)
    want = m.state_dict()
    got = {gsa_torch.name_of(t.name): torch.from_numpy(np.array(dequantize(t.data, t.tensor_type))) for t in GGUFReader(path).tensors}
    got = {k: v.reshape(want[k].shape) for k, v in got.items()}
    if config.tie_word_embeddings: got["lm_head.weight"] = got["model.embeddings.weight"]
    m.load_state_dict(got)
    return m


gsa_torch.one_config_per_kernel()
m = from_gguf(o.gguf, GSAConfig.from_pretrained(o.folder)) if o.gguf else \
    GSAForCausalLM.from_pretrained(o.folder, dtype=torch.float32)
m = m.to(device).eval()
ids = torch.tensor([[int(x) for x in open(o.ids).read().split()]], device=device)
with torch.no_grad(): logits = m(ids).logits[0].float().cpu().numpy()
print(logits.shape, sum(p.numel() for p in m.parameters()), "parameters on", device)
logits.tofile(o.out)
for path in o.compare:
    x = np.fromfile(path, "<f4").reshape(logits.shape).astype(float)
    error = np.linalg.norm(x - logits) / np.linalg.norm(logits)
    print(f"{path}: relative error {error:.2e}, equal greedy tokens {(x.argmax(1) == logits.argmax(1)).mean():.1%}")
