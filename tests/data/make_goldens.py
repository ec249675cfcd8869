#!/usr/bin/env python3
"""Make tests/data/models and tests/data/ops from the full set of golden files.

    make_goldens.py FULL [OUT]        OUT: tests/data, by default the folder of this script

FULL holds what flash-linear-attention computed (see README.md): models/NAME/{config.json, *.safetensors,
golden.safetensors, golden.json, tokenizer.json} and ops/NAME.safetensors. Weights, configs and op files are copied as
they are. golden.safetensors is thinned out: every 8th row of the long prompt's logits, the states once per kv head,
gaps in place of the logits of each greedy step. Needs numpy and safetensors.
"""
import json
import os
import shutil
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

MODELS = {  # name -> has a tokenizer file of its own (the others share these two)
    'gsa-tiny': True, 'gsa-small-gqa': True, 'gsa-t2r': False, 'gsa-relu-conv': False, 'gsa-bf16-sharded': False,
    'gsa-old-2024-10': False, 'gsa-misc': False}
CONFIG_ONLY = ['gsa-hybrid', 'gsa-attnres']  # refused by name, before any weight is looked at
OPS = ['b1t1_k64m32_zero', 'b1t1_k64m32_init', 'b1t63_k64m32_init', 'b2t130_h4k60m64_zero', 'gqa_hq4h2_t1',
       'gate_forgetall_t200', 'gate_mixed_t200', 'gate_neverforget_t200']
ROWS = {'p1': 'all', 'p37': 'all', 'p200': 'thin', 't0': 'last'}
STATES = ['p37', 'p200']


def rows(prompt, n):
    keep = {'all': range(n), 'thin': sorted({*range(0, n, 8), n - 1}), 'last': [n - 1]}[ROWS[prompt]]
    return np.array(keep, np.int32)


def thin(full, config, facts):
    """The tensors of a trimmed golden file."""
    group = config['num_heads'] // (config.get('num_kv_heads') or config['num_heads'])
    out = {}
    for p in ROWS:
        if p + '.ids' not in full:
            continue
        out[p + '.ids'] = full[p + '.ids'].astype(np.int32)
        out[p + '.rows'] = rows(p, len(full[p + '.ids']))
        out[p + '.logits'] = full[p + '.logits'][out[p + '.rows']]
        out[p + '.greedy_ids'] = full[p + '.greedy_ids'].astype(np.int32)
        if p + '.greedy_logits' in full:
            best = np.sort(full[p + '.greedy_logits'], axis=1)[:, -2:]
            out[p + '.greedy_gap'] = (best[:, 1] - best[:, 0]).astype(np.float32)
        elif p in facts['ref64']:
            out[p + '.greedy_gap'] = np.array([facts['ref64'][p]['greedy_min_top2_gap']], np.float32)
    for name, x in full.items():
        prompt, _, rest = name.partition('.')
        if prompt not in STATES or not rest.startswith('layer'):
            continue
        if rest.endswith(('.hk', '.hv')):
            assert all(np.array_equal(x[i], x[i - i % group]) for i in range(len(x))), name
            x = x[::group]
        out[name] = x
    return {name: np.ascontiguousarray(x) for name, x in out.items()}


def copy(source, target):
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)


def make_model(source, target, tokenizer):
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(source)):
        weights = name.startswith('model') and name.endswith(('.safetensors', '.safetensors.index.json'))
        if weights or name == 'config.json' or (name == 'tokenizer.json' and tokenizer):
            copy(os.path.join(source, name), os.path.join(target, name))
    config = json.load(open(os.path.join(source, 'config.json')))
    facts = json.load(open(os.path.join(source, 'golden.json')))['info']
    golden = os.path.join(source, 'golden.safetensors')
    with safe_open(golden, 'np') as f:
        origin = f.metadata()['compute']
    out = os.path.join(target, 'golden.safetensors')
    save_file(thin(load_file(golden), config, facts), out, {'compute': origin})
    os.chmod(out, 0o644)


def size(folder):
    return sum(os.path.getsize(os.path.join(where, f)) for where, _, files in os.walk(folder) for f in files)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    full, out = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    for name, tokenizer in MODELS.items():
        make_model(os.path.join(full, 'models', name), os.path.join(out, 'models', name), tokenizer)
    for name in CONFIG_ONLY:
        os.makedirs(os.path.join(out, 'models', name), exist_ok=True)
        copy(os.path.join(full, 'models', name, 'config.json'), os.path.join(out, 'models', name, 'config.json'))
    os.makedirs(os.path.join(out, 'ops'), exist_ok=True)
    for name in OPS:
        copy(os.path.join(full, 'ops', name + '.safetensors'), os.path.join(out, 'ops', name + '.safetensors'))
    for folder in 'models', 'ops':
        print(f'{folder}: {size(os.path.join(out, folder)) / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
