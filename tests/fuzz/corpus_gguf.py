"""GGUF files, written from the specification: headers, models, tokenizers."""

import json
import struct

import corpus_tokenizer
from corpus_hf import CONFIG, shapes

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(s)) + s


def value(kind, v):
    if kind == STR:
        return text(v)
    if kind == ARR:  # (kind, items) or (kind, items, claimed number)
        item, items, *n = v
        return struct.pack("<IQ", item, n[0] if n else len(items)) + b"".join(value(item, x) for x in items)
    return struct.pack("<" + FORMATS[kind], v)


def pair(key, kind, v):
    return text(key) + struct.pack("<I", kind) + (v if isinstance(v, bytes) and kind != STR else value(kind, v))


SIZES = {
    0: (1, 4),
    1: (1, 2),
    30: (1, 2),
    8: (32, 34),
    2: (32, 18),
    12: (256, 144),
    14: (256, 210),
    24: (1, 1),
    26: (1, 4),
}


def gguf(
    pairs=(),
    tensors=(),
    magic=b"GGUF",
    version=3,
    n_tensors=None,
    n_pairs=None,
    align=32,
    cut=None,
    tail=b"",
    data=None,
    raw_tensors=b"",
):
    """tensors: (name, dims outermost first, type[, offset])"""
    head = b"".join(p if isinstance(p, bytes) else pair(*p) for p in pairs)
    at, total = 0, 0
    for name, dims, kind, *offset in tensors:
        n = 1
        for d in dims:
            n *= d
        block, size = SIZES.get(kind, (1, 0))
        begin = offset[0] if offset else at
        head += text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in reversed(dims))
        head += struct.pack("<IQ", kind, begin)
        if n < 1 << 20:
            total = at + n // block * size
            at = (total + align - 1) // align * align
    head = (
        magic
        + struct.pack(
            "<IQQ",
            version,
            len(tensors) if n_tensors is None else n_tensors,
            len(pairs) if n_pairs is None else n_pairs,
        )
        + head
        + raw_tensors
    )
    if tensors or raw_tensors:
        head += bytes(-len(head) % align)
    out = head + (bytes(i * 37 & 0x3F for i in range(total)) if data is None else data) + tail
    return out[:cut]


ONE = [("a", (2, 3), 0)]
ARCH = ("general.architecture", STR, "gsa")


def header_files():
    yield "good-all-types", gguf(
        [
            ARCH,
            *MODEL[1:],
            *[(f"k{k}", k, 1) for k in FORMATS],
            ("s", STR, ""),
            ("a", ARR, (I16, [1, -1])),
            ("e", ARR, (U8, [])),
            ("n", ARR, (ARR, [(STR, ["x", ""]), (ARR, [(F64, [1.5])])])),
        ],
        MODEL_TENSORS,
    )
    yield "bad-nothing", b""
    for n in (3, 7, 8, 15, 23, 24, 30):
        yield f"bad-cut-at-{n}", gguf([ARCH], ONE)[:n]
    yield "bad-magic", gguf(magic=b"GGUG")
    yield "bad-ggml", gguf(magic=b"lmgg")
    yield "bad-reversed-magic", gguf(magic=b"FUGG")
    yield "bad-zip", b"PK\3\4" + bytes(40)
    for v in (0, 1, 2, 4, 3 << 24, 2**32 - 1):
        yield f"bad-version-{v}", gguf(version=v)
    for name, n in (("more", 9), ("huge", 2**40), ("max", 2**64 - 1), ("wraps", 2**61 + 1), ("wraps-to-0", 2**61)):
        yield f"bad-keys-{name}", gguf([ARCH], n_pairs=n)
        yield f"bad-tensors-{name}", gguf([ARCH], [("a", (1,), 0)], n_tensors=n)
        yield f"bad-key-length-{name}", gguf([struct.pack("<Q", n) + b"a" + struct.pack("<IB", U8, 1)])
        yield f"bad-string-length-{name}", gguf([text("a") + struct.pack("<IQ", STR, n) + b"b"])
        yield f"bad-array-length-{name}", gguf([("a", ARR, (U64, [1, 2], n))])
        yield f"bad-array-of-strings-length-{name}", gguf([("a", ARR, (STR, ["x"], n))])
        yield f"bad-array-of-arrays-length-{name}", gguf([("a", ARR, (ARR, [(U8, [1])], n))])
    yield "bad-key-empty", gguf([("", U8, 1)], tail=bytes(9))
    yield "bad-key-long", gguf([("k" * 65536, U8, 1)])[:99]
    yield "bad-key-control", gguf([("a\nb", U8, 1)])
    yield "bad-key-nul", gguf([("a\0b", U8, 1)])
    yield "bad-key-not-ascii", gguf([("é", U8, 1)])
    yield "bad-key-twice", gguf([("a", U8, 1), ("b", U8, 1), ("a", U8, 2)])
    yield "bad-kind", gguf([("a", 13, b"\0")])
    yield "bad-kind-max", gguf([("a", 2**32 - 1, b"\0")])
    yield "bad-array-kind", gguf([text("a") + struct.pack("<IIQ", ARR, 13, 1)])
    yield "bad-bool", gguf([("a", BOOL, 2)])
    yield "bad-bool-in-array", gguf([("a", ARR, (BOOL, [0, 1, 255]))])
    nested = (U8, [1])
    for _ in range(40):
        nested = (ARR, [nested])
    yield "bad-arrays-in-arrays", gguf([("a", ARR, nested)])
    yield "bad-value-cut", gguf([text("a") + struct.pack("<I", U64) + b"1234"])
    yield "bad-value-cut-in-kind", gguf([ARCH, text("abcdefghijkl") + b"\0\0"])
    yield "bad-array-cut-in-kind", gguf([text("abcd") + struct.pack("<IH", ARR, 1)])
    yield "bad-array-cut-in-length", gguf([text("abcd") + struct.pack("<III", ARR, 1, 1)])
    yield "bad-key-cut-in-kind", gguf([text("abcdef") + b"\0"])
    for a in (0, 1, 4, 12, 3 * 2**10, 2**21):
        yield f"bad-alignment-{a}", gguf([ARCH, ("general.alignment", U32, a)], ONE, align=min(max(a, 8), 4096))
    yield "bad-alignment-text", gguf([("general.alignment", STR, "32")])
    yield "bad-alignment-negative", gguf([("general.alignment", I32, -32)])
    yield "bad-alignment-of-array", gguf([("general.alignment", ARR, (U32, [32]))])

    def tensor(name, *tensors, **more):
        return f"bad-tensor-{name}", gguf([ARCH], tensors, **more)

    yield tensor("name-empty", ("", (1,), 0))
    yield tensor("name-long", ("n" * 256, (1,), 0))
    yield tensor("name-control", ("a\x1b[2J", (1,), 0))
    yield tensor("name-nul", ("a\0", (1,), 0))
    yield tensor("name-twice", ("a", (1,), 0), ("b", (1,), 0), ("a", (1,), 0))
    yield tensor("name-of-200", ("n" * 200, (2**50,), 0))
    yield tensor("name-not-utf8", (b"\xff\xfe", (2**48 + 1,), 0))
    yield tensor("5-dims", ("a", (1, 1, 1, 1, 1), 0))
    yield "bad-tensor-huge-dims", gguf(
        [ARCH], raw_tensors=text("a") + struct.pack("<IIQ", 2**32 - 1, 0, 0), n_tensors=1
    )
    yield tensor("dim-huge", ("a", (2**48 + 1,), 0))
    yield tensor("dim-max", ("a", (2**64 - 1,), 0))
    yield tensor("product-wraps", ("a", (2**32, 2**32), 0))
    yield tensor("product-wraps-to-zero", ("a", (2**40, 2**40, 0), 0))
    yield tensor("bytes-wrap", ("a", (2**31, 2**31), 0))
    yield tensor("past-end", ("a", (2**20,), 0))
    yield tensor("cut", ("a", (64,), 0), data=bytes(255))
    yield tensor("offset-past-end", ("a", (2,), 0, 2**40))
    yield tensor("offset-max", ("a", (2,), 0, 2**64 - 32))
    yield tensor("offset-not-aligned", ("a", (2,), 0, 4))
    yield tensor("overlap", ("a", (16,), 0), ("b", (2,), 0, 32))
    yield tensor("same-place", ("a", (2,), 0), ("b", (2,), 0, 0))
    yield tensor("half-block", ("a", (2, 16), 8))
    yield tensor("half-super-block", ("a", (1, 32), 12))
    yield tensor("cut-in-dims", raw_tensors=text("a") + struct.pack("<IQ", 2, 1), n_tensors=1)
    yield tensor("cut-in-type", raw_tensors=text("a") + struct.pack("<IQH", 1, 1, 0), n_tensors=1)
    yield tensor("cut-in-offset", raw_tensors=text("a") + struct.pack("<IQII", 1, 1, 0, 0), n_tensors=1)
    # These are fine to list, and no models.
    yield "bad-model-other-architecture", gguf([("general.architecture", STR, "llama\x1b[2J")], ONE)
    yield "bad-model-no-architecture", gguf()
    yield "bad-model-architecture-number", gguf([("general.architecture", U32, 1)])
    yield "bad-model-odd-tensors", gguf(
        [("general.architecture", STR, "x")],
        [
            ("scalar", (), 0),
            ("empty", (0, 3), 0),
            ("unknown", (5,), 99),
            ("gone", (5,), 4),
            ("i8", (3,), 24),
            ("four", (1, 2, 1, 2), 1),
        ],
    )
    yield "bad-model-empty-tensors-at-end", gguf(
        [("general.architecture", STR, "x")],
        [("b", (8,), 0), ("e", (0,), 0, 32), ("d", (0,), 0, 0), ("c", (0,), 0, 32)],
    )


def model_pairs(c):
    K = c["hidden_size"] // c["num_heads"]
    return [
        ARCH,
        ("gsa.vocab_size", U32, c["vocab_size"]),
        ("gsa.context_length", U32, 64),
        ("gsa.embedding_length", U32, c["hidden_size"]),
        ("gsa.block_count", U32, c["num_hidden_layers"]),
        ("gsa.feed_forward_length", U32, c["intermediate_size"]),
        ("gsa.attention.head_count", U32, c["num_heads"]),
        ("gsa.attention.head_count_kv", U32, c["num_kv_heads"]),
        ("gsa.attention.key_length", U32, K),
        ("gsa.attention.value_length", U32, K),
        ("gsa.attention.layer_norm_rms_epsilon", F32, 1e-6),
        ("gsa.slot.count", U32, c["num_slots"]),
        ("gsa.slot.gate_normalizer", F32, 8.0),
        ("gsa.slot.feature_map", STR, c["feature_map"]),
        ("tokenizer.ggml.bos_token_id", U32, 1),
    ]


NAMES = {
    "model.embeddings": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "attn_norm": "attn_norm",
    "attn.q_proj": "attn_q",
    "attn.k_proj": "attn_k",
    "attn.v_proj": "attn_v",
    "attn.f_proj": "attn_slot_gate",
    "attn.q_conv1d": "attn_conv_q",
    "attn.k_conv1d": "attn_conv_k",
    "attn.v_conv1d": "attn_conv_v",
    "attn.feature_map.layer": "attn_feature_map",
    "attn.g_norm": "attn_sub_norm",
    "attn.o_proj": "attn_output",
    "mlp_norm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def model_tensors(c, kind=1, kinds=None):
    out = []
    for name, dims in shapes(c).items():
        name = name.removesuffix(".weight")
        layer = name.startswith("model.layers.")
        short = NAMES[name.split(".", 3)[3] if layer else name]
        dims = [dims[0], dims[2]] if len(dims) == 3 else dims
        full = f"blk.{name.split('.')[2]}.{short}.weight" if layer else f"{short}.weight"
        out.append((full, tuple(dims), (kinds or {}).get(short, kind if len(dims) > 1 and "conv" not in short else 0)))
    return out


MODEL = model_pairs(CONFIG)
MODEL_TENSORS = model_tensors(CONFIG)
WIDE = dict(CONFIG, hidden_size=32, num_heads=1, num_kv_heads=1, num_slots=2, intermediate_size=32)


def changed(pairs, key, kind=None, v=None):
    return [p for p in pairs if p[0] != key] + ([(key, kind, v)] if kind is not None else [])


def model_files():
    yield "good-model", gguf(MODEL, MODEL_TENSORS)
    yield "good-model-no-options", gguf(
        changed(
            changed(changed(MODEL, "gsa.context_length"), "gsa.attention.head_count_kv", U64, 2),
            "tokenizer.ggml.bos_token_id",
        ),
        model_tensors(dict(CONFIG, num_kv_heads=2)),
    )
    yield "good-model-other-kinds", gguf([(k, {U32: U64, F32: F64}.get(t, t), v) for k, t, v in MODEL], MODEL_TENSORS)
    conv = dict(CONFIG, use_short_conv=True, conv_size=3, feature_map="t2r")
    yield "good-model-signed-kinds", gguf([(k, I32 if t == U32 else t, v) for k, t, v in MODEL], MODEL_TENSORS)
    yield "good-model-conv-t2r", gguf(
        model_pairs(conv)
        + [
            ("gsa.shortconv.l_cache", U8, 3),
            ("gsa.feed_forward.activation", STR, "powlu"),
            ("gsa.slot.scale", F32, 0.5),
            ("gsa.attention.sub_norm_epsilon", F32, 1e-4),
            ("split.count", U16, 1),
        ],
        model_tensors(conv, 0),
    )
    yield "good-model-tied", gguf(MODEL, [t for t in MODEL_TENSORS if t[0] != "output.weight"])
    yield "good-model-no-g-norm", gguf(MODEL, [t for t in MODEL_TENSORS if "sub_norm" not in t[0]])
    yield "good-model-ones", gguf(MODEL, [(n, (1,) * (4 - len(d)) + d, k) for n, d, k in MODEL_TENSORS])
    yield "good-model-q8", gguf(model_pairs(WIDE), model_tensors(WIDE, 8))
    yield "good-model-q4", gguf(model_pairs(WIDE), model_tensors(WIDE, 2))
    yield "good-model-align-8", gguf(MODEL + [("general.alignment", U32, 8)], MODEL_TENSORS, align=8)

    def key(name, key, kind=None, v=None):
        return f"bad-key-{name}", gguf(changed(MODEL, key, kind, v), MODEL_TENSORS)

    for k in (
        "vocab_size",
        "embedding_length",
        "block_count",
        "feed_forward_length",
        "attention.head_count",
        "attention.key_length",
        "attention.value_length",
        "slot.count",
    ):
        short = k.split(".")[-1]
        yield key(f"{short}-missing", "gsa." + k)
        yield key(f"{short}-zero", "gsa." + k, U32, 0)
        yield key(f"{short}-negative", "gsa." + k, I8, -1)
        yield key(f"{short}-huge", "gsa." + k, U64, 2**63)
        yield key(f"{short}-text", "gsa." + k, STR, "4")
        yield key(f"{short}-array", "gsa." + k, ARR, (U32, [4, 4]))
        yield key(f"{short}-other", "gsa." + k, U32, 7)
    for k in ("attention.layer_norm_rms_epsilon", "slot.gate_normalizer"):
        short = k.split(".")[-1]
        yield key(f"{short}-missing", "gsa." + k)
        yield key(f"{short}-zero", "gsa." + k, F32, 0)
        yield key(f"{short}-negative", "gsa." + k, F32, -1)
        yield key(f"{short}-nan", "gsa." + k, F32, float("nan"))
        yield key(f"{short}-infinite", "gsa." + k, F64, float("inf"))
        yield key(f"{short}-overflows", "gsa." + k, F64, 1e300)
        yield key(f"{short}-underflows", "gsa." + k, F64, 1e-300)
        yield key(f"{short}-integer", "gsa." + k, U32, 8)
    yield key("kv-zero", "gsa.attention.head_count_kv", U32, 0)
    yield key("kv-does-not-divide", "gsa.attention.head_count_kv", U32, 3)
    yield key("scale-nan", "gsa.slot.scale", F32, float("nan"))
    yield key("sub-norm-zero", "gsa.attention.sub_norm_epsilon", F32, 0)
    yield key("taps-huge", "gsa.shortconv.l_cache", U32, 65)
    yield key("taps-without-tensors", "gsa.shortconv.l_cache", U32, 4)
    yield key("map-missing", "gsa.slot.feature_map")
    yield key("map-number", "gsa.slot.feature_map", U32, 1)
    yield key("map-unknown", "gsa.slot.feature_map", STR, "swish2")
    yield key("map-empty", "gsa.slot.feature_map", STR, "")
    yield key("map-t2r-without-tensors", "gsa.slot.feature_map", STR, "t2r")
    yield key("act-unknown", "gsa.feed_forward.activation", STR, "gelu")
    yield key("bos-outside", "tokenizer.ggml.bos_token_id", U32, 5)
    yield key("eos-negative", "tokenizer.ggml.eos_token_id", I32, -1)
    yield key("eos-text", "tokenizer.ggml.eos_token_id", STR, "</s>")
    yield key("architecture-long", "general.architecture", STR, "x" * 100)
    yield key("map-long", "gsa.slot.feature_map", STR, "x" * 100)
    yield key("part", "split.count", U16, 3)
    yield key("part-text", "split.count", STR, "3")
    yield key("products", "gsa.attention.head_count", U32, 2**20)

    def tensor(name, drop=(), add=(), change=None, pairs=MODEL, base=MODEL_TENSORS):
        change = change or {}
        out = [(n, *change.get(n, (d, k))) for n, d, k in base if n not in drop]
        return f"bad-bind-{name}", gguf(pairs, out + list(add))

    q = "blk.0.attn_q.weight"
    for name, *_ in MODEL_TENSORS:
        if name not in ("output.weight", "blk.0.attn_sub_norm.weight"):
            yield tensor(f"no-{name.removesuffix('.weight')}", drop=[name])
    yield tensor("shape", change={q: ((4, 5), 1)})
    yield tensor("rank-1", change={q: ((16,), 1)})
    yield tensor("rank-3", change={q: ((4, 4, 2), 1)})
    yield tensor("transposed", change={"blk.0.ffn_down.weight": ((6, 4), 1)})
    yield tensor("type", change={q: ((4, 4), 26)})
    yield tensor("type-unknown", change={q: ((4, 4), 77)})
    yield tensor("extra", add=[("blk.1.attn_q.weight", (4, 4), 1)])
    yield tensor("bias", add=[("blk.0.attn_q.bias", (4,), 0)])
    yield tensor("t2r-unused", add=[("blk.0.attn_feature_map.weight", (2, 2), 0)])
    yield tensor("quantised-norm", pairs=model_pairs(WIDE), base=model_tensors(WIDE, 8, {"attn_norm": 8}))
    yield tensor("layers-lie", pairs=changed(MODEL, "gsa.block_count", U32, 1024))


def llama(**change):
    vocab = ["<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "<0xA9>", "▁", "a", "b", "ab", "▁a", "▁ab", "<n>", "", "ba"]
    keys = {
        "model": (STR, "llama"),
        "tokens": (ARR, (STR, vocab)),
        "scores": (ARR, (F32, [0, 0, 0, 0, 0, 0, -7, -8, -9, -1, -2, -3, 0, 0, -1])),
        "token_type": (ARR, (I32, [2, 3, 3, 6, 6, 6, 1, 1, 1, 1, 1, 1, 4, 5, 1])),
        "bos_token_id": (U32, 1),
        "eos_token_id": (U32, 2),
        "unknown_token_id": (U32, 0),
        "add_bos_token": (BOOL, 1),
    }
    return tokenizer(keys, change)


def gpt2(**change):
    vocab = ["Ġ", "h", "e", "l", "o", "he", "Ġhe", "ll", "Ã", "<s>", "1"]
    keys = {
        "model": (STR, "gpt2"),
        "pre": (STR, "llama-bpe"),
        "tokens": (ARR, (STR, vocab)),
        "token_type": (ARR, (I32, [1] * 9 + [3, 1])),
        "merges": (ARR, (STR, ["h e", "Ġ he", "l l"])),
        "bos_token_id": (U32, 9),
    }
    return tokenizer(keys, change)


def tokenizer(keys, change):
    for k, v in change.items():
        if v is None:
            keys.pop(k, None)
        else:
            keys[k] = v
    return gguf(
        [ARCH]
        + [
            (k.replace("hf", "tokenizer.huggingface.json") if k == "hf" else "tokenizer.ggml." + k, *v)
            for k, v in keys.items()
        ]
    )


def tokenizer_files():
    strs = lambda *s: (ARR, (STR, list(s)))
    yield "good-llama", llama()
    yield "good-llama-bare", llama(
        token_type=None, bos_token_id=None, eos_token_id=None, unknown_token_id=None, add_bos_token=None
    )
    yield "good-llama-no-space", llama(add_space_prefix=(BOOL, 0), add_eos_token=(BOOL, 1))
    yield "good-llama-integer-scores", llama(scores=(ARR, (I32, list(range(-15, 0)))))
    yield "good-llama-equal-scores", llama(scores=(ARR, (F32, [0.0] * 15)))
    yield "good-llama-infinite-scores", llama(scores=(ARR, (F32, [float("-inf"), float("inf"), 0.0] * 5)))
    yield "good-llama-types-of-none", llama(token_type=(ARR, (I32, [0] * 15)))
    yield "good-gpt2", gpt2()
    for pre in ("gpt-2", "default", "qwen2", "starcoder", "dbrx"):
        yield f"good-gpt2-{pre}", gpt2(pre=(STR, pre), add_space_prefix=(BOOL, pre == "default"))
    yield "good-gpt2-bare", gpt2(pre=None, token_type=None, bos_token_id=None)
    yield "good-gpt2-unused", gpt2(token_type=(ARR, (I32, [1] * 9 + [5, 5])), add_bos_token=(BOOL, 0))
    yield "good-json", gguf([ARCH, ("tokenizer.huggingface.json", STR, corpus_tokenizer.dump(corpus_tokenizer.BASE))])
    other = json.dumps({"model": {"type": "Unigram", "vocab": []}})
    yield "good-json-not-known-but-ggml", llama(hf=(STR, other))
    yield "good-long-run", llama(
        tokens=strs(*["a" * i for i in range(1, 33)]),
        scores=(ARR, (F32, list(range(32)))),
        token_type=None,
        bos_token_id=None,
        eos_token_id=None,
        unknown_token_id=None,
        add_bos_token=None,
    )

    yield "bad-nothing", b""
    yield "bad-no-tokenizer", gguf([ARCH])
    yield "bad-cut", llama()[:-1]
    yield "bad-model-none", llama(model=(STR, "none"))
    yield "bad-model-no-vocab", llama(model=(STR, "no_vocab"))
    yield "bad-model-number", llama(model=(U32, 1))
    yield "bad-model-bert", llama(model=(STR, "bert"))
    yield "bad-model-long", llama(model=(STR, "x" * 500))
    yield "bad-tokens-missing", llama(tokens=None)
    yield "bad-tokens-numbers", llama(tokens=(ARR, (U32, [1] * 15)))
    yield "bad-tokens-text", llama(tokens=(STR, "a b"))
    yield "bad-tokens-nested", llama(tokens=(ARR, (ARR, [(STR, ["a"])] * 15)))
    yield "bad-tokens-empty", llama(tokens=strs())
    yield "bad-token-not-utf8", llama(tokens=strs(*[b"\xff"] * 15))
    yield "bad-token-twice", llama(tokens=strs(*["a"] * 15))
    # The last bytes of the file, with nothing behind them that would end a text.
    yield "bad-token-twice-at-the-end", gguf(
        [
            ARCH,
            ("tokenizer.ggml.model", STR, "llama"),
            ("tokenizer.ggml.scores", ARR, (F32, [1.0] * 3)),
            ("tokenizer.ggml.tokens", *strs("a", "b", "a")),
        ]
    )
    yield "bad-token-long", llama(
        tokens=strs(*["x" * 257] + [""] * 14),
        token_type=None,
        bos_token_id=None,
        eos_token_id=None,
        unknown_token_id=None,
        add_bos_token=None,
    )
    yield "bad-added-token-long", llama(tokens=strs(*["x" * 1025] + [""] * 14))
    yield "bad-types-fewer", llama(token_type=(ARR, (I32, [1] * 14)))
    yield "bad-types-more", llama(token_type=(ARR, (I32, [1] * 16)))
    yield "bad-types-text", llama(token_type=strs("a"))
    yield "bad-type-7", llama(token_type=(ARR, (I32, [7] * 15)))
    yield "bad-type-negative", llama(token_type=(ARR, (I32, [-1] * 15)))
    yield "bad-scores-missing", llama(scores=None)
    yield "bad-scores-text", llama(scores=(STR, "1"))
    yield "bad-scores-texts", llama(scores=strs("1"))
    yield "bad-pre-long", gpt2(pre=(STR, "x" * 100))
    yield "bad-gpt2-setting", gpt2(add_bos_token=(U8, 1))
    yield "bad-no-tokens-but-bos", llama(tokens=strs(), token_type=None, scores=None, bos_token_id=(U32, 1))
    yield "good-no-tokens", llama(
        tokens=strs(),
        token_type=None,
        scores=(ARR, (F32, [])),
        bos_token_id=(U32, 0),
        eos_token_id=None,
        unknown_token_id=None,
        add_bos_token=None,
    )
    yield "good-one-token", llama(
        tokens=strs("a"),
        token_type=None,
        scores=(ARR, (F32, [0.5])),
        bos_token_id=None,
        eos_token_id=None,
        unknown_token_id=None,
        add_bos_token=None,
    )
    yield "bad-scores-fewer", llama(scores=(ARR, (F32, [0.0] * 14)))
    yield "bad-scores-f64", llama(scores=(ARR, (F64, [0.0] * 15)))
    yield "bad-scores-nan", llama(scores=(ARR, (F32, [float("nan")] * 15)))
    yield "bad-bos-outside", llama(bos_token_id=(U32, 15))
    yield "bad-eos-negative", llama(eos_token_id=(I32, -1))
    yield "bad-unk-text", llama(unknown_token_id=(STR, "<unk>"))
    yield "bad-bos-empty-token", llama(bos_token_id=(U32, 13))
    yield "bad-unk-empty-token", llama(unknown_token_id=(U32, 13))
    yield "bad-bos-missing", gpt2(bos_token_id=None, add_bos_token=(BOOL, 1))
    yield "bad-eos-missing", gpt2(add_eos_token=(BOOL, 1))
    yield "bad-add-bos-number", llama(add_bos_token=(U32, 1))
    yield "bad-add-eos-number", llama(add_eos_token=(U32, 1))
    yield "bad-add-space-number", llama(add_space_prefix=(U32, 1))
    yield "bad-add-sep", llama(add_sep_token=(BOOL, 1))
    yield "bad-add-sep-number", llama(add_sep_token=(U8, 1))
    yield "bad-remove-white-space", llama(remove_extra_whitespaces=(BOOL, 1))
    yield "bad-pre-unknown", gpt2(pre=(STR, "new-rule"))
    yield "bad-pre-number", gpt2(pre=(U32, 1))
    yield "bad-merges-missing", gpt2(merges=None)
    yield "bad-merges-numbers", gpt2(merges=(ARR, (U32, [1])))
    for name, m in (
        ("one-word", "he"),
        ("three-words", "h e l"),
        ("empty", ""),
        ("space", " "),
        ("left-empty", " e"),
        ("right-empty", "h "),
        ("left-unknown", "z e"),
        ("right-unknown", "h z"),
        ("whole-unknown", "e h"),
        ("nul", "h\0 e"),
        ("not-utf8", b"\xff e"),
    ):
        yield f"bad-merge-{name}", gpt2(merges=strs(m))
    yield "bad-json-number", llama(hf=(U32, 1))
    yield "bad-json-empty", llama(hf=(STR, ""))
    yield "bad-json-broken", llama(hf=(STR, "{"))
    yield "bad-json-not-known", gguf([ARCH, ("tokenizer.huggingface.json", STR, other)])


def targets():
    def all_files():
        yield from header_files()
        yield from model_files()

    return {"gguf": all_files(), "gguf_tokenizer": tokenizer_files()}
