#!/usr/bin/env python3
"""compile_stats.py TARGETS FILE : the table of tools/compile-stats.sh out of its lines "target: kernel(constants): a=1; b=2"."""
import re
import sys

MAIN = ("staged_", "gsa_", "matvec_", "norm_matvec_", "matmul_", "rmsnorm", "argmax", "sample")


def number(stats, *names):
    found = [float(stats[n]) for n in names if n in stats]
    return sum(found) if found else None


def measures(stats):
    registers = number(stats, "VGPRs", "Number of GPRs")
    if registers is None and "Registers used" in stats:
        registers = 4 * float(stats["Registers used"])  # Adreno counts vectors of four
    if registers is None and "Max live registers" in stats:  # Intel: of 32 bytes; an invocation has four of each
        registers = float(stats["Max live registers"]) * 8 / float(stats["subgroup"])
    spills = number(stats, "Spilled SGPRs", "Spilled VGPRs", "Spills to memory", "Spills", "STP Count")
    shared = number(stats, "LDS size", "Workgroup Memory Size")
    waves = number(stats, "Subgroups per SIMD", "Max warps/SM", "Max Waves Per Core")
    return registers, spills, shared, waves, float(stats["subgroup"])


def worse(a, b):
    """Fewer waves are worse, and more of all else."""
    def pick(x, y, choose):
        return y if x is None else x if y is None else choose(x, y)
    return tuple(pick(x, y, min if i >= 3 else max) for i, (x, y) in enumerate(zip(a, b)))


def cell(value):
    if value is None:
        return ""
    registers, spills, shared, waves, subgroup = value
    kib = "-" if shared is None else f"{shared / 1024:.0f}"
    last = f"{waves:.0f}" if waves is not None else f"size {subgroup:.0f}"
    registers = "-" if registers is None else f"{registers:.0f}"
    spills = f"**{spills:.0f}**" if spills else "0"
    return f"{registers} / {spills} / {kib} / {last}"


def main():
    targets = sys.argv[1].split(",")
    table = {}
    with open(sys.argv[2], encoding="utf-8") as lines:
        for line in lines:
            target, kernel, rest = re.match(r"(\w+): (\w+)\([\d,]*\)[^:]*: (.*)", line).groups()
            if not kernel.startswith(MAIN):
                continue
            stats = dict(part.split("=", 1) for part in rest.strip().split("; ") if "=" in part)
            row = table.setdefault(kernel, {})
            row[target] = worse(row[target], measures(stats)) if target in row else measures(stats)
    print("| kernel | " + " | ".join(targets) + " |")
    print("| --- |" + " --- |" * len(targets))
    for kernel in sorted(table):
        print(f"| {kernel} | " + " | ".join(cell(table[kernel].get(t)) for t in targets) + " |")


if __name__ == "__main__":
    main()
