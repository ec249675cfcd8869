#!/usr/bin/env python3
"""Write src/text/unicode_tables.c: the character classes that the tokenizer's split rules ask for.

    pip install unicodedata2==16.0.0
    python3 tools/make_unicode_tables.py src/text/unicode_tables.c

The Unicode version is part of the tokenizer's behaviour: it must be the one of the `tokenizers` release that the
golden files come from. Python's own unicodedata is used when it has that version.
"""
import sys
import unicodedata

VERSION = '16.0.0'
if unicodedata.unidata_version != VERSION:
    import unicodedata2 as unicodedata
if unicodedata.unidata_version != VERSION:
    sys.exit(f'unicodedata has Unicode {unicodedata.unidata_version}, {VERSION} is needed: pip install unicodedata2=={VERSION}')

LETTER, NUMBER, SPACE, WORD = 1, 2, 4, 8
# The property White_Space, which unicodedata does not have.
WHITE_SPACE = {*range(0x09, 0x0e), 0x20, 0x85, 0xa0, 0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f, 0x3000}
# Word characters that no general category gives: joiners, and symbols with the property Other_Alphabetic.
OTHER_WORD = {0x200c, 0x200d, *range(0x24b6, 0x24ea), *range(0x1f130, 0x1f14a), *range(0x1f150, 0x1f16a),
              *range(0x1f170, 0x1f18a)}


def char_class(c):
    category = unicodedata.category(chr(c))
    bits = 0
    if category[0] == 'L': bits |= LETTER
    if category[0] == 'N': bits |= NUMBER
    if c in WHITE_SPACE: bits |= SPACE
    if category[0] in 'LM' or category in ('Nd', 'Nl', 'Pc') or c in OTHER_WORD: bits |= WORD
    return bits


def main():
    entries, last = [], None
    for c in range(0x110000):
        bits = char_class(c)
        if bits != last: entries.append(c << 4 | bits)
        last = bits
    lines = [f'/* Made by tools/make_unicode_tables.py from Unicode {VERSION}. Do not edit. */', '#include "text/unicode.h"', '',
             '/* clang-format off */',
             f'const uint32_t gsai_char_class_table[{len(entries)}] = {{']
    for i in range(0, len(entries), 12):
        lines.append('    ' + ', '.join(f'0x{e:06x}' for e in entries[i:i + 12]) + ',')
    lines += ['};', f'const uint32_t gsai_char_class_count = {len(entries)};']
    with open(sys.argv[1], 'w', encoding='ascii') as f: f.write('\n'.join(lines) + '\n')


main()
