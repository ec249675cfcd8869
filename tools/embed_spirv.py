#!/usr/bin/env python3
"""Make the C table of built-in shaders (src/vk/shaders.h) out of SPIR-V files.

usage: embed_spirv.py [--spirv-val PROGRAM] -o OUT.c [--absent NAME=REASON]... FILE.spv...

A row is named after its file. Bindings, push constant size, group size and needed capabilities are read from the
SPIR-V, so the table cannot disagree with the shader. A capability this library has no word for fails the build.
"""
import argparse
import os
import struct
import subprocess
import sys

# SPIR-V capability -> bit of gsai_cap ("" = part of every Vulkan device)
CAPABILITIES = {
    0: "", 1: "",  # Matrix, Shader
    50: "",  # ImageQuery
    4433: "STORAGE16", 4434: "STORAGE16",
    4448: "STORAGE8", 4449: "STORAGE8",
    9: "FLOAT16", 39: "INT8", 22: "INT16",
    61: "SUBGROUP", 62: "SUBGROUP", 63: "SUBGROUP", 64: "SUBGROUP", 65: "SUBGROUP", 66: "SUBGROUP",
    67: "SUBGROUP_CLUSTERED",
    6016: "INTEGER_DOT", 6017: "INTEGER_DOT", 6018: "INTEGER_DOT", 6019: "INTEGER_DOT",
    6022: "COOPMAT",
    5430: "COOPMAT2", 5431: "COOPMAT2", 5432: "COOPMAT2", 5433: "COOPMAT2", 5434: "COOPMAT2", 5439: "COOPMAT2",
    5116: "BFLOAT16", 5118: "BFLOAT16",
    4464: "ROUND16", 4467: "ROUND16",  # denormals kept, rounding to nearest; of f16 alone
    5345: "MEMORY_MODEL", 5346: "DEVICE_SCOPE", 5347: "BUFFER_ADDRESS",
}
STORAGE_UNIFORM, STORAGE_PUSH, STORAGE_BUFFER = 2, 9, 12


class Module:
    """What of a SPIR-V module the table needs."""

    def __init__(self, name, data):
        self.name = name
        if len(data) < 20 or len(data) % 4:
            self.fail("not SPIR-V")
        self.words = struct.unpack(f"<{len(data) // 4}I", data)
        if self.words[0] != 0x07230203:
            self.fail("not SPIR-V (bad magic number)")
        self.version = self.words[1]
        self.caps, self.types, self.constants, self.decorations, self.members = [], {}, {}, {}, {}
        self.variables, self.local_size, self.local_ids, self.composites = [], None, None, {}
        at = 5
        while at < len(self.words):
            count, op = self.words[at] >> 16, self.words[at] & 0xFFFF
            if count == 0 or at + count > len(self.words):
                self.fail("truncated")
            self.read(op, self.words[at + 1:at + count])
            at += count

    def fail(self, text):
        sys.exit(f"{self.name}: {text}")

    def read(self, op, w):
        if op == 17:  # OpCapability
            self.caps.append(w[0])
        elif op == 16 and w[1] == 17:  # OpExecutionMode LocalSize
            self.local_size = list(w[2:5])
        elif op == 331 and w[1] == 38:  # OpExecutionModeId LocalSizeId
            self.local_ids = list(w[2:5])
        elif op == 71:  # OpDecorate
            self.decorations.setdefault(w[0], {})[w[1]] = w[2] if len(w) > 2 else True
        elif op == 72:  # OpMemberDecorate
            self.members.setdefault(w[0], {}).setdefault(w[1], {})[w[2]] = w[3] if len(w) > 3 else True
        elif op in (21, 22, 23, 24, 28, 29, 30, 32):  # int float vector matrix array runtime-array struct pointer
            self.types[w[0]] = (op, w[1:])
        elif op in (43, 50):  # OpConstant, OpSpecConstant
            self.constants[w[1]] = w[2]
        elif op in (44, 51):  # composites
            self.composites[w[1]] = list(w[2:])
        elif op == 59:  # OpVariable
            self.variables.append((w[0], w[1], w[2]))

    def size(self, type_id):
        op, w = self.types[type_id]
        if op in (21, 22):
            return w[0] // 8
        if op == 23:
            return self.size(w[0]) * w[1]
        if op == 28:
            stride = self.decorations.get(type_id, {}).get(6) or self.size(w[0])
            return stride * self.constants[w[1]]
        if op == 30:
            offsets = self.members.get(type_id, {})
            return max((offsets[i][35] + self.size(m) for i, m in enumerate(w)), default=0)
        self.fail(f"a push constant member of an unexpected type (opcode {op})")

    def push_bytes(self):
        sizes = [self.size(self.types[t][1][1]) for t, _, storage in self.variables if storage == STORAGE_PUSH]
        return (max(sizes, default=0) + 3) // 4 * 4

    def n_bindings(self):
        found = set()
        for _, variable, storage in self.variables:
            d = self.decorations.get(variable, {})
            if storage in (STORAGE_BUFFER, STORAGE_UNIFORM):
                if d.get(34, 0) != 0:
                    self.fail("a descriptor set other than 0")
                found.add(d[33])
        n = max(found, default=-1) + 1
        if n > 8:
            self.fail(f"{n} storage buffers; GSAI_MAX_BINDINGS is 8")
        return n

    def group_size(self):
        sizes, ids = list(self.local_size or [1, 1, 1]), [-1, -1, -1]
        parts = self.local_ids
        for target, d in self.decorations.items():
            if d.get(11) == 25:  # BuiltIn WorkgroupSize outranks the execution mode
                parts = self.composites[target]
        for i, part in enumerate(parts or []):
            sizes[i] = self.constants[part]
            ids[i] = self.decorations.get(part, {}).get(1, -1)
        return sizes, ids

    def cap_bits(self):
        bits = set()
        for c in self.caps:
            if c not in CAPABILITIES:
                self.fail(f"SPIR-V capability {c} has no bit in src/vk/caps.h: add one, or avoid what needs it")
            bits.add(CAPABILITIES[c])
        return " | ".join(f"GSAI_CAP_{b}" for b in sorted(bits - {""})) or "0"


def validate(program, path, version):
    target = {0x10300: "vulkan1.1", 0x10400: "vulkan1.1spv1.4", 0x10500: "vulkan1.2"}.get(version, "vulkan1.3")
    done = subprocess.run([program, "--target-env", target, path], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{path}: spirv-val: {(done.stdout + done.stderr).strip()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spirv-val", default="")
    parser.add_argument("-o", dest="out", required=True)
    parser.add_argument("--absent", action="append", default=[])
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    rows, arrays = [], []
    for path in args.files:
        name = os.path.basename(path).removesuffix(".spv")
        with open(path, "rb") as f:
            m = Module(name, f.read())
        if args.spirv_val:
            validate(args.spirv_val, path, m.version)
        push, (sizes, ids) = m.push_bytes(), m.group_size()
        if push > 128:
            m.fail(f"{push} bytes of push constants; 128 is what every device has")
        lines = [", ".join(f"0x{w:08x}u" for w in m.words[i:i + 10]) for i in range(0, len(m.words), 10)]
        arrays.append(f"static const uint32_t words_{name}[] = {{\n    " + ",\n    ".join(lines) + "};\n")
        rows.append(f'    {{"{name}", words_{name}, {len(m.words)}, 0x{m.version:x}, {m.cap_bits()}, {m.n_bindings()}, {push},\n'
                    f"        {{{sizes[0]}, {sizes[1]}, {sizes[2]}}}, {{{ids[0]}, {ids[1]}, {ids[2]}}}}},\n")
    absent = "".join('    {"%s", "%s"},\n' % tuple(a.split("=", 1)) for a in args.absent)
    with open(args.out, "w", encoding="utf-8") as f:
        f.write('#include "vk/shaders.h"\n\n#include <stddef.h>\n\n#include "vk/caps.h"\n\n')
        f.write("\n".join(arrays))
        f.write("\nconst gsai_shader gsai_shaders[] = {\n" + "".join(rows) + "    {NULL, NULL, 0, 0, 0, 0, 0, {0}, {0}}};\n")
        f.write(f"const uint32_t gsai_n_shaders = {len(rows)};\n")
        f.write("const struct gsai_shader_absent gsai_shaders_absent[] = {\n" + absent + "    {NULL, NULL}};\n")


main()
