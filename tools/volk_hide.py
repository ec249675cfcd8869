#!/usr/bin/env python3
"""Make two headers from volk.h, so that volk can live inside a library.

usage: volk_hide.py VOLK_H TABLE_H NAMES_H

TABLE_H  volk.h without its global function pointers: the device table alone, so a stray global vkX() does not compile.
NAMES_H  #define vkX gsai_vkX for each global of volk.h, for the one file that compiles volk: a program that links the
         static library and brings its own volk gets neither a clash of names nor somebody else's table layout.
"""
import re
import sys


def main():
    source, table, names = sys.argv[1:]
    text = open(source, encoding="utf-8").read()
    pointers = sorted(set(re.findall(r"^extern PFN_\w+ (vk\w+);", text, re.M)))
    functions = sorted(set(re.findall(r"^[A-Za-z][\w ]*\b(volk[A-Z]\w*)\(", text, re.M)))
    if len(pointers) < 100 or "volkInitialize" not in functions or "struct VolkDeviceTable\n" not in text:
        sys.exit(f"{source}: not a volk.h this script knows ({len(pointers)} pointers)")
    stripped = re.sub(r"^extern PFN_\w+ vk\w+;\n", "", text, flags=re.M)
    with open(table, "w", encoding="utf-8") as f:
        f.write(stripped)
    with open(names, "w", encoding="utf-8") as f:
        f.write("".join(f"#define {n} gsai_{n}\n" for n in pointers + functions))


main()
