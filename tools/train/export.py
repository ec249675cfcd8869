#!/usr/bin/env python3
"""What train.py left behind as an ordinary Hugging Face folder.

  export.py OUT/innkeeper models/innkeeper      OUT/innkeeper.json and -0.bin, -1.bin ...; the tokenizer is there already
"""
import glob, json, math, os, sys
import numpy as np

path, out = sys.argv[1:3]
info = json.load(open(path + ".json"))
parts = sorted(glob.glob(path + "-[0-9].bin"))
flat = np.concatenate([np.fromfile(p, "<f2") for p in parts])
header, at = {"__metadata__": {"format": "pt"}}, 0
for name, shape in info["shapes"].items():
    n = math.prod(shape)
    header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [2 * at, 2 * (at + n)]}
    at += n
assert at == len(flat), f"{at} numbers expected, {len(flat)} there"
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
os.makedirs(out, exist_ok=True)
with open(os.path.join(out, "model.safetensors"), "wb") as f:
    f.write(len(text).to_bytes(8, "little") + text + flat.astype("<f2").tobytes())
with open(os.path.join(out, "config.json"), "w") as f: json.dump({**info["hf_config"], "dtype": "float16"}, f, indent=2)
print(f"{out}: {len(flat)} parameters")
