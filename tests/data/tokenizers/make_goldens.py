#!/usr/bin/env python3
"""Remake the expected values of this folder with the Python package `tokenizers` (0.23).

    pip install tokenizers==0.23.2
    python3 tests/data/tokenizers/make_goldens.py

Texts and id sequences are kept; ids and decoded texts are computed anew. variants.jsonl is written from the list below.
"""
import json
import os
import tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = ['mistral', 'bytelevel', 'llama3']
B = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': True}


def added(first, *tokens):
    """Added tokens from (content, flags): s special, w single word, l lstrip, r rstrip, n normalized."""
    return [{'id': first + i, 'content': c, 'single_word': 'w' in f, 'lstrip': 'l' in f, 'rstrip': 'r' in f,
             'normalized': 'n' in f, 'special': 's' in f} for i, (c, f) in enumerate(tokens)]


def metaspace(**more): return {'type': 'Metaspace', 'replacement': '\u2581', **more}


def steps(*parts): return {'type': 'Sequence', 'decoders': list(parts)}


QWEN2 = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
         "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
REPLACE = {'type': 'Replace', 'pattern': {'String': '\u2581'}, 'content': ' '}
TEMPLATE = {'type': 'TemplateProcessing',
            'single': [{'SpecialToken': {'id': 'B', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}}, {'SpecialToken': {'id': 'E', 'type_id': 0}}],
            'pair': [{'Sequence': {'id': 'A', 'type_id': 0}}, {'Sequence': {'id': 'B', 'type_id': 1}}],
            'special_tokens': {'B': {'id': 'B', 'ids': [1, 2], 'tokens': ['1', '2']}, 'E': {'id': 'E', 'ids': [3], 'tokens': ['3']}}}
SPECIALS = [('<unk>', 's'), ('<s>', 's'), ('</s>', 's')]
TOKENS = [('<x>', ''), ('<x><y>', 's'), ('foo', 'w'), ('[L]', 'l'), ('[R]', 'r'), ('[LR]', 'lrs'), ('\n', 'lr'), ('bar baz', '')]
NORMALIZED = [('<x>', 'n'), ('foo', 'wn'), ('[L]', 'ln'), ('[R]', 'rn'), ('bar baz', 'n')]

# base file, changed top-level members ("model": changed members of it), tokens dropped from the vocabulary
VARIANTS = [
    ('mistral', {}, []),
    ('mistral', {'normalizer': None, 'pre_tokenizer': metaspace(prepend_scheme='always')}, []),
    ('mistral', {'normalizer': None, 'pre_tokenizer': metaspace(prepend_scheme='first', split=False)}, []),
    ('mistral', {'normalizer': None, 'pre_tokenizer': metaspace(prepend_scheme='never', split=True)}, []),
    ('mistral', {'normalizer': None, 'pre_tokenizer': metaspace(add_prefix_space=True), 'decoder': metaspace(add_prefix_space=True)}, []),
    ('mistral', {'decoder': metaspace(prepend_scheme='never')}, []),
    ('mistral', {'decoder': None}, []),
    ('mistral', {'decoder': REPLACE}, []),
    ('mistral', {'decoder': steps(REPLACE, {'type': 'ByteFallback'}, {'type': 'Fuse'})}, []),
    ('mistral', {'decoder': steps(REPLACE, {'type': 'Fuse'}, {'type': 'Strip', 'content': ' ', 'start': 3, 'stop': 0})}, []),
    ('mistral', {'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'Replace', 'pattern': {'String': 'oo'}, 'content': ''},
                                                                     {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '\u2581'}]}}, []),
    ('mistral', {'added_tokens': added(0, *SPECIALS) + added(1000, *TOKENS)}, []),
    ('mistral', {'added_tokens': added(0, *SPECIALS) + added(1000, *NORMALIZED)}, []),
    ('mistral', {'model': {'fuse_unk': False}}, ['<0xC3>', '<0xE4>', '<0xF0>']),
    ('mistral', {'model': {'fuse_unk': True}}, ['<0xC3>', '<0xE4>', '<0xF0>']),
    ('mistral', {'model': {'byte_fallback': False}}, []),
    ('mistral', {'model': {'byte_fallback': False, 'fuse_unk': False}}, []),
    ('mistral', {'model': {'unk_token': None, 'byte_fallback': False}}, []),
    ('mistral', {'model': {'ignore_merges': True}, 'normalizer': None, 'pre_tokenizer': metaspace()}, []),
    ('mistral', {'post_processor': TEMPLATE}, []),
    ('bytelevel', {'pre_tokenizer': {**B, 'add_prefix_space': True}}, []),
    ('bytelevel', {'pre_tokenizer': {**B, 'use_regex': False}}, []),
    ('bytelevel', {'pre_tokenizer': {**B, 'add_prefix_space': True}, 'added_tokens': added(0, ('<|endoftext|>', 's')) + added(640, *TOKENS)}, []),
    ('bytelevel', {'added_tokens': added(0, ('<|endoftext|>', 's')) + added(640, *NORMALIZED, ('\u4e2d', ''))}, []),
    ('bytelevel', {'model': {'unk_token': '!', 'fuse_unk': True}}, ['\u0120', '0', '\u00c3']),
    ('bytelevel', {'model': {'ignore_merges': True}}, []),
    ('bytelevel', {'post_processor': {'type': 'Sequence', 'processors': [B, TEMPLATE]}}, []),
    ('llama3', {'model': {'ignore_merges': True}, 'post_processor': {'type': 'Sequence', 'processors': [B, TEMPLATE]}}, []),
    ('llama3', {'added_tokens': added(0, ('<|endoftext|>', 's')) + added(700, *TOKENS)}, []),
    ('llama3', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [
        {'type': 'Split', 'pattern': {'Regex': QWEN2}, 'behavior': 'Isolated', 'invert': False}, {**B, 'use_regex': False}]}}, []),
    ('llama3', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'Digits', 'individual_digits': True}, B]}}, []),
]

TEXTS = ['', ' ', '  two  spaces ', 'Hello world', "I'm, we'LL, it'\u017f; don't!", 'foo foobar _foo foo.', 'a<x>b <x><y><x c', ' [L] a  [L]b [R]  c[R]\t\nd [LR] [LR]  e',
         'line\n\n  \n next\r\n\n', '12345 \u0663\u0664\u0665\u0666 \u00bd\u2167', 'caf\u00e9 e\u0301 \u4e2d\u6587\u5b57 \U0001f600\U0001f469\u200d\U0001f469', 'bar baz bar  baz<s>bar</s><|endoftext|>',
         '\u00a0\u3000x\u2028y\u0085 z', '\u2581\u2581a \u2581', 'a\0b\x7f', '\uffff\U0010ffff', 'the the the 000 000']
SEQUENCES = [[], [5], [200, 130, 170], [300, 200, 131, 301], [1, 2, 3], list(range(3, 80, 7)), list(range(195, 640, 31))]


def decoded(t, ids):
    return {'decoded': t.decode(ids, skip_special_tokens=False), 'decoded_skip': t.decode(ids, skip_special_tokens=True)}


def golden(t, text):
    ids = t.encode(text).ids
    plain = t.encode(text, add_special_tokens=False)
    return {'text': text, 'ids': ids, 'ids_nospecial': plain.ids, 'tokens': plain.tokens, **decoded(t, ids)}


def write(path, rows):
    with open(path, 'w', encoding='ascii') as f:
        for row in rows: f.write(json.dumps(row) + '\n')


def variant(base, patch, drop):
    model = patch.get('model', {})
    j = json.load(open(os.path.join(HERE, base, 'tokenizer.json'), encoding='utf-8'))
    j.update({k: v for k, v in patch.items() if k != 'model'})
    j['model'].update(model)
    # Dropped tokens keep their id under another name, so that no id is missing.
    j['model']['vocab'] = {(t + ' gone' if t in drop else t): i for t, i in j['model']['vocab'].items()}
    j['model']['merges'] = [m for m in j['model']['merges'] if not set(drop) & {*m}]
    return j


def main():
    print('tokenizers', tokenizers.__version__)
    for family in FAMILIES:
        folder = os.path.join(HERE, family)
        t = tokenizers.Tokenizer.from_file(os.path.join(folder, 'tokenizer.json'))
        rows = [json.loads(line) for line in open(os.path.join(folder, 'goldens.jsonl'), encoding='utf-8')]
        write(os.path.join(folder, 'goldens.jsonl'), [golden(t, r['text']) for r in rows])
        rows = [json.loads(line) for line in open(os.path.join(folder, 'decode.jsonl'), encoding='utf-8')]
        write(os.path.join(folder, 'decode.jsonl'), [{'ids': r['ids'], **decoded(t, r['ids'])} for r in rows])
    rows = []
    for base, patch, drop in VARIANTS:
        t = tokenizers.Tokenizer.from_str(json.dumps(variant(base, patch, drop)))
        texts = [{k: v for k, v in golden(t, s).items() if k != 'tokens'} for s in TEXTS]
        rows.append({'base': base, 'patch': patch, 'drop': drop, 'texts': texts, 'sequences': [{'ids': s, **decoded(t, s)} for s in SEQUENCES]})
    write(os.path.join(HERE, 'variants.jsonl'), rows)


main()
