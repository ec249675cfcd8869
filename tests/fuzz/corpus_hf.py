"""Hugging Face files: safetensors, config.json, folders."""

import json
import struct


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def safetensors(header, data=b"", length=None):
    if not isinstance(header, bytes):
        header = dump(header)
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def safetensors_files():
    good = {
        "__metadata__": {"format": "pt"},
        "b": entry("F16", (2, 3), (8, 20)),
        "a": entry("F32", (2,), (0, 8)),
        "c": entry("I64", (), (20, 28)),
        "d": entry("BF16", (0, 7), (28, 28)),
        "e": entry("F4", (2, 1, 1, 2), (28, 30)),
    }
    data = bytes(range(30))
    yield "good-mixed", safetensors(good, data)
    yield "good-empty", safetensors({})
    yield "good-trailing-space", safetensors(dump({"a": entry()}) + b"   ", bytes(4))
    yield "bad-nothing", b""
    yield "bad-seven-bytes", bytes(7)
    yield "bad-length-past-end", safetensors({}, length=3)
    yield "bad-length-past-cap", safetensors({}, length=100000001)
    yield "bad-length-max", safetensors({}, length=2**64 - 1)
    yield "bad-length-wraps", safetensors({}, length=2**64 - 8)
    yield "bad-length-zero", safetensors(b"", b"")
    yield "bad-length-cuts-json", safetensors(dump(good), data, length=20)
    yield "bad-pickle", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    yield "bad-begins-with-space", safetensors(b" {}")
    yield "bad-array", safetensors(b"[]")
    yield "bad-json-cut", safetensors(b'{"a":')
    yield "bad-json-twice", safetensors(b"{}{}")
    yield "bad-json-nan", safetensors(b'{"a":NaN}')
    yield "bad-json-not-utf8", safetensors(b'{"a\xff":1}')
    yield "bad-json-surrogate", safetensors(b'{"\xed\xa0\x80":1}')
    yield "bad-json-nul-escape", safetensors(b'{"a\\u0000b":1}')
    yield "bad-json-nul-byte", safetensors(b'{"a\0b":1}')
    yield "bad-json-duplicate-key", safetensors(b'{"a":1,"a":1}')
    yield "bad-json-huge-integer", safetensors(b'{"a":{"dtype":"F32","shape":[99999999999999999999]}}')
    yield "bad-json-huge-real", safetensors(b'{"a":{"dtype":"F32","shape":[1e999]}}')
    yield "bad-json-deep", safetensors(b'{"a":' + b"[" * 4000 + b"]" * 4000 + b"}")
    yield "bad-json-many-values", safetensors(b'{"a":[' + b"[]," * 3000 + b"0]}")
    yield "bad-metadata-not-object", safetensors({"__metadata__": []})
    yield "bad-metadata-not-strings", safetensors({"__metadata__": {"k": 1}})
    yield "bad-entry-not-object", safetensors({"a": 1})
    yield "bad-name-with-controls", safetensors({"\x1b[2J\n\x9b2J": 1})

    def one(name, **change):
        e = entry()
        for key, value in change.items():
            if value is None:
                del e[key]
            else:
                e[key] = value
        return f"bad-{name}", safetensors({"bad": e}, bytes(4))

    yield one("dtype-missing", dtype=None)
    yield one("dtype-number", dtype=7)
    yield one("dtype-unknown", dtype="F33")
    yield one("shape-missing", shape=None)
    yield one("shape-number", shape=1)
    yield one("shape-real", shape=[1.0])
    yield one("shape-bool", shape=[True])
    yield one("shape-negative", shape=[-1])
    yield one("shape-huge", shape=[2**63 - 1])
    yield one("shape-product-wraps", shape=[2**48, 2**48])
    yield one("shape-product-wraps-to-zero", shape=[2**48, 2**48, 0])
    yield one("shape-bits-wrap", shape=[2**31, 2**31])
    yield one("shape-5-dims", shape=[1, 1, 1, 1, 1])
    yield one("offsets-missing", data_offsets=None)
    yield one("offsets-one", data_offsets=[0])
    yield one("offsets-three", data_offsets=[0, 4, 4])
    yield one("offsets-real", data_offsets=[0, 4.0])
    yield one("offsets-text", data_offsets=["0", 4])
    yield one("offsets-negative", data_offsets=[-4, 0])
    yield one("offsets-reversed", data_offsets=[4, 0])
    yield one("offsets-past-end", data_offsets=[0, 8])
    yield one("offsets-max", data_offsets=[0, 2**63 - 1])
    yield one("size-too-small", shape=[2])
    yield one("size-too-large", dtype="F16")
    yield one("half-a-byte", dtype="F4", shape=[7])
    two = {"good": entry(), "bad": entry(offsets=(2, 6))}
    yield "bad-overlap", safetensors(two, bytes(6))
    yield "bad-overlap-whole", safetensors({"good": entry(), "bad": entry()}, bytes(4))
    yield "bad-overlap-empty", safetensors({"good": entry(), "bad": entry(shape=(0,), offsets=(2, 2))}, bytes(4))
    yield "bad-hole", safetensors({"good": entry(), "bad": entry(offsets=(6, 10))}, bytes(10))
    yield "bad-hole-first", safetensors({"bad": entry(offsets=(4, 8))}, bytes(8))
    empty = {
        "b": entry(shape=(0,), offsets=(4, 4)),
        "a": entry(),
        "d": entry(offsets=(4, 8)),
        "c": entry(shape=(0,), offsets=(4, 4)),
    }
    for i, order in enumerate(("abcd", "dcba", "cdab", "bdac")):
        yield f"good-empty-tensors-{i}", safetensors({k: empty[k] for k in order}, bytes(8))
    for name, header in (
        ("null", {"a": None}),
        ("dim-null", {"a": entry(shape=(None,))}),
        ("begin-null", {"a": entry(offsets=(None, 4))}),
        ("metadata-null", {"__metadata__": None}),
        ("metadata-value-null", {"__metadata__": {"k": None}}),
    ):
        yield f"bad-{name}", safetensors(header, bytes(4))
    yield "bad-rest", safetensors({"a": entry()}, bytes(5))


CONFIG = {
    "model_type": "gsa",
    "vocab_size": 5,
    "num_hidden_layers": 1,
    "hidden_size": 4,
    "num_heads": 2,
    "num_kv_heads": 1,
    "num_slots": 3,
    "expand_k": 1,
    "expand_v": 1.0,
    "intermediate_size": 6,
    "max_position_embeddings": 64,
    "norm_eps": 1e-6,
    "gate_logit_normalizer": 8,
    "feature_map": "swish",
    "hidden_act": "swish",
    "elementwise_affine": True,
    "use_norm": True,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "use_short_conv": False,
    "attn": None,
}


def config(**change):
    c = dict(CONFIG)
    for key, value in change.items():
        if value is ...:
            c.pop(key, None)
        else:
            c[key] = value
    return c


def config_files():
    yield "good-full", dump(CONFIG)
    yield "good-defaults", b'{"model_type":"gsa"}'
    yield "good-conv-t2r", dump(config(use_short_conv=True, conv_size=4, feature_map="t2r", num_slots=None))
    yield "good-relu-powlu", dump(config(feature_map="relu", hidden_act="powlu", eos_token_id=[2, 3], attn=[]))
    yield "good-misspelt", dump(config(expand_k=..., exapnd_k=0.5, expand_v=..., exapnd_v=2, hidden_ratio=4))
    yield "good-ids-outside", dump(config(bos_token_id=5, eos_token_id=[], num_kv_heads=None, intermediate_size=None))
    yield "good-unknown-keys", dump(config(**{"zz\x1b[2J": 1, "_private": 2, "zy": [1], "zx": {}}))
    yield "good-many-unknown-keys", dump(config(**{f"k{i}": i for i in range(200)}))
    yield "bad-nothing", b""
    yield "bad-not-json", b"model_type: gsa"
    yield "bad-cut", dump(CONFIG)[:-5]
    yield "bad-array", b"[]"
    yield "bad-text", b'"gsa"'
    yield "bad-duplicate-key", b'{"model_type":"gsa","hidden_size":4,"hidden_size":8}'
    yield "bad-not-utf8", b'{"model_type":"gsa\xff"}'
    yield "bad-nul", b'{"model_type":"gsa\\u0000"}'
    yield "bad-nan", b'{"model_type":"gsa","norm_eps":NaN}'
    yield "bad-infinity", b'{"model_type":"gsa","norm_eps":Infinity}'
    yield "bad-deep", b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"

    def bad(name, **change):
        return f"bad-{name}", dump(config(**change))

    yield bad("type-missing", model_type=...)
    yield bad("type-null", model_type=None)
    yield bad("type-number", model_type=1)
    yield bad("type-other", model_type="llama")
    yield bad("hybrid", attn={"layers": [1]})
    yield bad("residuals", attnres_block_size=4)
    yield bad("quantised", quantization_config={"bits": 4})
    for key in (
        "vocab_size",
        "num_hidden_layers",
        "hidden_size",
        "num_heads",
        "num_kv_heads",
        "num_slots",
        "intermediate_size",
    ):
        yield bad(f"{key}-zero", **{key: 0})
        yield bad(f"{key}-negative", **{key: -1})
        yield bad(f"{key}-huge", **{key: 2**40})
        yield bad(f"{key}-text", **{key: "4"})
        yield bad(f"{key}-real", **{key: 4.0})
    yield bad("heads-do-not-divide", num_kv_heads=2, num_heads=3, hidden_size=6)
    yield bad("heads-wider-than-hidden", num_heads=8)
    yield bad("expand-zero", expand_k=0)
    yield bad("expand-negative", expand_v=-1)
    yield bad("expand-huge", expand_k=1e30)
    yield bad("expand-tiny", expand_k=1e-30)
    yield bad("expand-underflows", expand_k=1e-300)
    yield bad("expand-text", expand_k="1")
    yield bad("ratio-huge", intermediate_size=None, hidden_ratio=1e30)
    yield bad("ratio-negative", hidden_ratio=-1)
    yield bad("length-negative", max_position_embeddings=-1)
    yield bad("length-huge", max_position_embeddings=2**31)
    yield bad("conv-not-bool", use_short_conv=1)
    yield bad("conv-zero", use_short_conv=True, conv_size=0)
    yield bad("conv-huge", use_short_conv=True, conv_size=65)
    yield bad("eps-zero", norm_eps=0)
    yield bad("eps-negative", norm_eps=-1e-6)
    yield bad("eps-overflows", norm_eps=1e300)
    yield bad("eps-underflows", norm_eps=1e-300)
    yield bad("normalizer-null", gate_logit_normalizer=None)
    yield bad("map-number", feature_map=1)
    yield bad("map-unknown", feature_map="elu")
    yield bad("act-number", hidden_act=1)
    yield bad("act-unknown", hidden_act="gelu")
    yield bad("act-long", hidden_act="s" * 1000)
    yield bad("affine-number", elementwise_affine=1)
    yield bad("norm-text", use_norm="yes")
    yield bad("tied-number", tie_word_embeddings=0)
    yield bad("bos-text", bos_token_id="<s>")
    yield bad("eos-list-of-text", eos_token_id=["</s>"])
    for key, value in (
        ("hidden_size", True),
        ("hidden_size", None),
        ("hidden_size", []),
        ("norm_eps", False),
        ("use_norm", {}),
        ("bos_token_id", {}),
        ("bos_token_id", 1.5),
        ("hidden_act", None),
        ("attn", 0),
        ("attn", [1]),
    ):
        yield bad(f"{key}-{type(value).__name__}", **{key: value})
    yield "good-nulls", dump(
        config(
            use_norm=None,
            use_short_conv=None,
            num_kv_heads=None,
            bos_token_id=None,
            eos_token_id=None,
            attnres_block_size=None,
            quantization_config=None,
            max_position_embeddings=None,
            hidden_ratio=None,
        )
    )
    yield bad("slots-times-heads", num_heads=2**20, hidden_size=2**20, num_kv_heads=2**20, num_slots=2)


def shapes(c, layout="C"):
    D, H, G, M, F = c["hidden_size"], c["num_heads"], c["num_kv_heads"], c["num_slots"], c["intermediate_size"]
    K = V = D // H
    out = {
        "model.embeddings.weight": [c["vocab_size"], D],
        "model.norm.weight": [D],
        "lm_head.weight": [c["vocab_size"], D],
    }
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        out[p + ("attn.norm.weight" if layout == "A" else "attn_norm.weight")] = [D]
        out[p + "attn.q_proj.weight"] = [H * K, D]
        out[p + "attn.k_proj.weight"] = [G * K, D]
        out[p + "attn.v_proj.weight"] = [G * V, D]
        out[p + "attn.f_proj.weight"] = [G * M, D]
        out[p + "attn.g_norm.weight"] = [H * V]
        out[p + "attn.o_proj.weight"] = [D, H * V]
        out[p + ("mlp.norm.weight" if layout == "A" else "mlp_norm.weight")] = [D]
        if layout == "C":
            out[p + "mlp.gate_proj.weight"] = [F, D]
            out[p + "mlp.up_proj.weight"] = [F, D]
        else:
            out[p + "mlp.gate_proj.weight"] = [2 * F, D]
        out[p + "mlp.down_proj.weight"] = [D, F]
        if c.get("use_short_conv"):
            W = c.get("conv_size", 4)
            for x, n in (("q", H * K), ("k", G * K), ("v", G * V)):
                out[p + f"attn.{x}_conv1d.weight"] = [n, 1, W]
        if c.get("feature_map") == "t2r":
            out[p + "attn.feature_map.layer.weight"] = [K, K]
    return out


def weights(table, dtype="F16", dtypes=None):
    header, at = {}, 0
    for name, dims in table.items():
        kind = (dtypes or {}).get(name, dtype)
        n = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}[kind]
        for d in dims:
            n *= d
        header[name] = entry(kind, dims, (at, at + n))
        at += n
    return safetensors(header, bytes(i * 37 & 0x3F for i in range(at)))


def folder(**files):
    names = {
        "config": "config.json",
        "index": "model.safetensors.index.json",
        "model": "model.safetensors",
        "a": "a.safetensors",
        "b": "b.safetensors",
        "pickle": "pytorch_model.bin",
    }
    return b"\n".join(b"@@" + names[k].encode() + b"\n" + v for k, v in files.items())


def folder_files():
    c = dump(CONFIG)
    full = shapes(CONFIG)
    yield "good-single", folder(config=c, model=weights(full))
    yield "good-layout-a", folder(config=c, model=weights(shapes(CONFIG, "A")))
    yield "good-layout-b", folder(config=c, model=weights(shapes(CONFIG, "B")))
    conv = config(use_short_conv=True, conv_size=3, feature_map="t2r", hidden_act="powlu")
    yield "good-conv-t2r", folder(config=dump(conv), model=weights(shapes(conv), "F32"))
    tied = {k: v for k, v in full.items() if k != "lm_head.weight"}
    yield "good-tied", folder(config=dump(config(tie_word_embeddings=True)), model=weights(tied, "BF16"))
    yield "good-tied-by-default", folder(config=dump(config(tie_word_embeddings=...)), model=weights(tied))
    yield "good-no-g-norm", folder(
        config=dump(config(elementwise_affine=False)),
        model=weights({k: v for k, v in full.items() if "g_norm" not in k}),
    )
    yield "good-inv-freq", folder(config=c, model=weights({**full, "model.layers.0.attn.rotary.inv_freq": [2]}))
    names = list(full)
    first, second = {k: full[k] for k in names[:5]}, {k: full[k] for k in names[5:]}
    index = {
        "metadata": {},
        "weight_map": {**{k: "a.safetensors" for k in first}, **{k: "b.safetensors" for k in second}},
    }
    a, b = weights(first), weights(second)
    yield "good-shards", folder(config=c, index=dump(index), a=a, b=b)
    yield "good-single-beats-index", folder(config=c, index=b"{}", model=weights(full))

    yield "bad-nothing", b""
    yield "bad-no-config", folder(model=weights(full))
    yield "bad-config-empty", folder(config=b"", model=weights(full))
    yield "bad-no-weights", folder(config=c)
    yield "bad-pickle-only", folder(config=c, pickle=b"\x80\x02.")
    yield "bad-weights-empty", folder(config=c, model=b"")
    yield "bad-weights-cut", folder(config=c, model=weights(full)[:-1])

    def with_index(name, value, **files):
        return f"bad-index-{name}", folder(
            config=c, index=value if isinstance(value, bytes) else dump(value), **{"a": a, "b": b, **files}
        )

    def mapped(**change):
        m = dict(index["weight_map"])
        for k, v in change.items():
            m[k.replace("__", ".")] = v
        return {"weight_map": m}

    yield with_index("empty", b"")
    yield with_index("not-json", b"{")
    yield with_index("array", [])
    yield with_index("no-map", {})
    yield with_index("map-array", {"weight_map": []})
    yield with_index("map-empty", {"weight_map": {}})
    yield with_index("shard-number", {"weight_map": {"a": 1}})
    yield with_index("shard-empty", {"weight_map": {"a": ""}})
    yield with_index("shard-dot", {"weight_map": {"a": "."}})
    yield with_index("shard-parent", {"weight_map": {"a": ".."}})
    yield with_index("shard-elsewhere", {"weight_map": {"a": "../../etc/passwd"}})
    yield with_index("shard-absolute", {"weight_map": {"a": "/etc/passwd"}})
    yield with_index("shard-backslash", {"weight_map": {"a": "..\\a"}})
    yield with_index("shard-drive", {"weight_map": {"a": "C:a"}})
    yield with_index("shard-absent", {"weight_map": {"a": "c.safetensors"}})
    yield with_index("shard-long-name", {"weight_map": {"a": "x" * 5000}})
    yield with_index("1001-shards", {"weight_map": {f"t{i}": f"{i}" for i in range(1001)}})
    yield with_index("unlisted", {"weight_map": {k: v for k, v in index["weight_map"].items() if "q_proj" not in k}})
    yield with_index("not-there", mapped(ghost="a.safetensors"))
    yield with_index("other-shard", mapped(model__norm__weight="b.safetensors"))
    yield with_index("in-both", index, b=weights({**second, names[0]: full[names[0]]}))

    def tensors(name, change=None, cfg=c, dtypes=None, **more):
        t = dict(full)
        t.update(more.get("add", {}))
        for k in more.get("drop", []):
            t.pop(k)
        t.update(change or {})
        return f"bad-tensor-{name}", folder(config=cfg, model=weights(t, dtypes=dtypes))

    layer = "model.layers.0."
    yield tensors("missing", drop=[layer + "attn.q_proj.weight"])
    yield tensors("embedding-missing", drop=["model.embeddings.weight"])
    yield tensors("norm-missing", drop=["model.norm.weight"])
    yield tensors("head-missing", drop=["lm_head.weight"])
    yield tensors("gate-half", drop=[layer + "mlp.up_proj.weight"])
    yield tensors("shape", {layer + "attn.q_proj.weight": [4, 5]})
    yield tensors("rank", {layer + "attn.q_proj.weight": [4, 4, 1]})
    yield tensors("transposed", {layer + "mlp.down_proj.weight": [6, 4]})
    yield tensors("type", dtypes={layer + "attn.q_proj.weight": "I64"})
    yield tensors("extra", add={"model.layers.1.attn_norm.weight": [4]})
    yield tensors("bias", add={layer + "attn.q_proj.bias": [4]})
    yield tensors("g-proj", add={layer + "attn.g_proj.weight": [4, 4]})
    yield tensors("conv-unused", add={layer + "attn.q_conv1d.weight": [4, 1, 4]})
    yield tensors("t2r-unused", add={layer + "attn.feature_map.layer.weight": [2, 2]})
    yield tensors("residual", add={layer + "attn_res_proj.weight": [2, 2]})
    yield tensors("head-differs", cfg=dump(config(tie_word_embeddings=True)))
    yield tensors("vocabulary-lie", cfg=dump(config(vocab_size=6)))
    yield tensors("layers-lie", cfg=dump(config(num_hidden_layers=1024)))
    yield "bad-no-norm-layout-a", folder(
        config=dump(config(use_norm=False)),
        model=weights({k: v for k, v in shapes(CONFIG, "A").items() if "g_norm" not in k}),
    )
    yield tensors("head-of-other-type", cfg=dump(config(tie_word_embeddings=True)), dtypes={"lm_head.weight": "F32"})
    same = weights({**{k: full[k] for k in names if k != "lm_head.weight"}, "lm_head.weight": full["lm_head.weight"]})
    header, at = json.loads(same[8 : 8 + struct.unpack("<Q", same[:8])[0]]), 8 + struct.unpack("<Q", same[:8])[0]
    (e0, e1), (h0, h1) = (header[k]["data_offsets"] for k in ("model.embeddings.weight", "lm_head.weight"))
    same = same[: at + h0] + same[at + e0 : at + e1] + same[at + h1 :]
    yield "good-tied-with-equal-head", folder(config=dump(config(tie_word_embeddings=True)), model=same)
    no_norm = {k: v for k, v in shapes(CONFIG, "A").items() if "g_norm" not in k}
    yield "good-layout-a-no-g-norm", folder(config=c, model=weights(no_norm))
    yield "good-layout-a-other-act", folder(config=dump(config(hidden_act="gelu")), model=weights(shapes(CONFIG, "A")))
    yield "bad-act", folder(config=dump(config(hidden_act="gelu")), model=weights(full))


def targets():
    return {"safetensors": safetensors_files(), "config": config_files(), "folder": folder_files()}
