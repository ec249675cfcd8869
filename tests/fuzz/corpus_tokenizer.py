"""tokenizer.json files."""

import copy
import json

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def added(id, content, special=False, **flags):
    out = {
        "id": id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": special,
    }
    out.update(flags)
    return out


def template(single, special):
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special}


def special(name, *ids):
    return {name: {"id": name, "ids": list(ids), "tokens": [name]}}


def token(name):
    return {"SpecialToken": {"id": name, "type_id": 0}}


TEXT = {"Sequence": {"id": "A", "type_id": 0}}

# SentencePiece style.
BASE = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        added(0, "<u>", True),
        added(1, "<s>", True),
        added(14, "<n>", single_word=True, lstrip=True, rstrip=True, normalized=True),
    ],
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    },
    "pre_tokenizer": None,
    "post_processor": template([token("<s>"), TEXT], special("<s>", 1)),
    "decoder": {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    },
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<u>",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": {
            "<u>": 0,
            "<s>": 1,
            "<0xC3>": 2,
            "<0xA9>": 3,
            "▁": 4,
            "a": 5,
            "b": 6,
            "c": 7,
            "ab": 8,
            "▁a": 9,
            "▁ab": 10,
            "cc": 11,
            "e": 12,
            "l": 13,
        },
        "merges": ["a b", "▁ a", "▁ ab", "c c"],
    },
}

# Byte-level, as Llama 3's.
BYTES = {
    "version": "1.0",
    "added_tokens": [added(9, "<s>", True), added(10, "</s>", True, rstrip=True)],
    "normalizer": None,
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        ],
    },
    "post_processor": {
        "type": "Sequence",
        "processors": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            template([token("<s>"), TEXT, token("</s>")], {**special("<s>", 9), **special("</s>", 10)}),
        ],
    },
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {
        "type": "BPE",
        "ignore_merges": True,
        "vocab": {"Ġ": 0, "h": 1, "e": 2, "l": 3, "o": 4, "he": 5, "Ġhe": 6, "ll": 7, "Ã": 8},
        "merges": [["h", "e"], ["Ġ", "he"], ["l", "l"]],
    },
}


def put(base, path, value):
    """A copy with the member at a path such as model.merges.0 set; ... removes it."""
    out = copy.deepcopy(base)
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    at = out
    for p in parents:
        at = at[p]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return out


def files():
    yield "good-sentencepiece", dump(BASE)
    yield "good-bytes", dump(BYTES)
    yield "good-gpt2", dump(
        put(
            BYTES,
            "pre_tokenizer",
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        )
    )
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
    m = put(put(put(BASE, "normalizer", None), "pre_tokenizer", metaspace), "decoder", metaspace)
    yield "good-metaspace", dump(m)
    old = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": False}
    yield "good-metaspace-old", dump(put(put(m, "pre_tokenizer", old), "decoder", old))
    yield "good-no-fallback", dump(put(put(BASE, "model.byte_fallback", False), "model.fuse_unk", False))
    yield "good-no-unk", dump(put(put(BASE, "model.unk_token", None), "model.byte_fallback", False))
    yield "good-no-decoder", dump(put(BASE, "decoder", None))
    yield "good-plain", dump({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})
    yield "good-empty-vocabulary", dump({"model": {"vocab": {}, "merges": []}})
    yield "good-empty-token", dump(
        put(put(BASE, "model.vocab", {"": 0, "<u>": 1, "<s>": 2, "a": 3}), "added_tokens", [])
        | {
            "post_processor": None,
            "model": {"vocab": {"": 0, "a": 1, "aa": 2}, "merges": [["", "a"], ["a", "a"], ["", ""]], "unk_token": ""},
        }
    )
    yield "good-gap-in-ids", dump({"model": {"vocab": {"a": 0, "b": 70}, "merges": []}})
    long = "x" * 700
    yield "good-long-tokens", dump({"model": {"vocab": {"x" * 350: 0, long: 1}, "merges": [["x" * 350, "x" * 350]]}})
    nested = [added(i, "a" * (i + 1)) for i in range(8)] + [added(8, "ab", normalized=True), added(9, " ", lstrip=True)]
    yield "good-nested-added", dump({"added_tokens": nested, "model": {"vocab": {}, "merges": []}})
    grow = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 250}] * 4
    yield "good-growing", dump(put(BASE, "normalizer.normalizers", grow))
    yield "good-growing-decoder", dump(put(BASE, "decoder.decoders", grow))

    # Everything on the way through the merges: queues that grow while they empty, characters without a token.
    many = {"a" * n: i for i, n in enumerate(range(1, 9))}
    run = {
        "model": {
            "vocab": many,
            "merges": [f"{'a' * i} {'a' * j}" for n in range(2, 9) for i in range(1, n) for j in [n - i]],
        }
    }
    yield "good-many-merges", dump({"a" * 290: None} | run)
    bytes_ = {f"<0x{i:02X}>": i for i in range(256)}
    odd = {
        "<0x4a>": 256,
        "<0x+F>": 257,
        "<0xZZ>": 258,
        "<0x4G>": 259,
        "<0x/1>": 260,
        "<0x1:>": 261,
        "<0x41)": 262,
        "<0y41>": 263,
        "a": 264,
        "<0x0g>": 265,
        "<0x+`>": 266,
        "<0x`0>": 267,
        "<0x{1>": 268,
    }
    yield "good-byte-tokens", dump(
        {"model": {"vocab": bytes_ | odd, "merges": [], "byte_fallback": True}, "decoder": BASE["decoder"]}
    )
    yield "good-odd-byte-tokens", dump(
        {"model": {"vocab": {k: i for i, k in enumerate(odd)}, "merges": []}, "decoder": {"type": "ByteFallback"}}
    )
    yield "good-word-tokens", dump(
        {
            "added_tokens": [
                added(2, "z", single_word=True),
                added(3, " ", rstrip=True),
                added(4, "  ", lstrip=True),
                added(5, "é", single_word=True, lstrip=True),
                added(6, "abc"),
                added(7, "bcd"),
                added(8, "c"),
                added(9, "abcde", single_word=True),
                added(10, "world", single_word=True),
                added(11, "\n", lstrip=True, rstrip=True),
            ],
            "z azb z é éa aé abcd bcde abcdef abcde z  z   z\n\n z": None,
            "model": {"vocab": {"a": 0, "b": 1}, "merges": []},
        }
    )
    for i, order in enumerate(((2, 3, 4), (4, 3, 2), (3, 2, 4))):  # three added tokens that are equal once rewritten
        tokens = [added(t, "xyz"[t - 2], t == order[0], normalized=True) for t in (2, 3, 4)]
        yield f"good-equal-added-{i}", dump(
            {
                "added_tokens": [added(0, "b"), added(1, "ab"), *tokens],
                "xyz ab b abab": None,
                "normalizer": {
                    "type": "Sequence",
                    "normalizers": [
                        {"type": "Replace", "pattern": {"String": "y"}, "content": "x"},
                        {"type": "Replace", "pattern": {"String": "z"}, "content": "x"},
                    ],
                },
                "model": {"vocab": {}, "merges": []},
            }
        )
    split = BYTES["pre_tokenizer"]["pretokenizers"]
    yield "good-split-gpt2", dump(put(BYTES, "pre_tokenizer.pretokenizers.0.pattern", {"Regex": GPT2}))
    yield "good-split-qwen2", dump(
        put(BYTES, "pre_tokenizer.pretokenizers.0.pattern", {"Regex": LLAMA3.replace("{1,3}", "")})
    )
    # Tokenizers that GGUF's own keys cannot say, or say otherwise.
    yield "good-for-json-key-only-1", dump(put(BASE, "model.ignore_merges", True))
    yield "good-for-json-key-only-2", dump(put(BASE, "normalizer", BASE["normalizer"]["normalizers"][1]))
    yield "good-for-json-key-only-3", dump(put(BYTES, "normalizer", {"type": "Prepend", "prepend": "a"}))
    yield "good-for-json-key-only-4", dump(put(BYTES, "decoder", None))
    yield "good-for-json-key-only-5", dump(put(BASE, "normalizer.normalizers.1.content", "_"))
    yield "good-for-json-key-only-6", dump(put(BASE, "normalizer.normalizers.0.prepend", "_"))
    yield "good-for-json-key-only-7", dump(
        put(put(m, "pre_tokenizer.prepend_scheme", "always"), "decoder", BASE["decoder"])
    )
    yield "good-for-json-key-only-8", dump(
        put(
            put(BASE, "model.vocab", BASE["model"]["vocab"] | {"a▁b": 14, "[PAD17]": 15}),
            "added_tokens",
            BASE["added_tokens"][:2],
        )
    )
    yield "good-pair-twice", dump(put(BASE, "model.merges", ["a b", "▁ a", "a b"]))
    yield "good-spaces-held", dump(
        {
            "added_tokens": [added(2, "x", rstrip=True), added(3, " y")],
            "x   y x y x  x    y": None,
            "model": {"vocab": {"a": 0, "b": 1}, "merges": []},
        }
    )
    digits = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, split[1] | {"use_regex": True}],
    }
    yield "good-digits", dump(put(BYTES, "pre_tokenizer", digits))
    for name, path, value in (
        ("alone", "pretokenizers.1", ...),
        ("in-groups", "pretokenizers.0.individual_digits", False),
        ("no-setting", "pretokenizers.0.individual_digits", ...),
        ("unknown", "pretokenizers.0.x", 1),
        ("number", "pretokenizers.0.individual_digits", 1),
        ("twice", "pretokenizers.1", digits["pretokenizers"][0]),
        ("no-regex", "pretokenizers.1.use_regex", False),
        ("prefix", "pretokenizers.1.add_prefix_space", True),
    ):
        yield f"bad-digits-{name}", dump(put(BYTES, "pre_tokenizer", put(digits, path, value)))
    yield "good-added-longest-first", dump(
        {
            "added_tokens": [added(i, "a" * (5 - i), rstrip=i > 2) for i in range(5)]
            + [added(5, " ", rstrip=True), added(6, "x", rstrip=True), added(7, "}", single_word=True)],
            "x    x a  ": None,
            "model": {"vocab": {}, "merges": []},
        }
    )
    yield "good-strip-wide", dump(
        {
            "decoder": {
                "type": "Sequence",
                "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "▁", "start": 2, "stop": 0}],
            },
            "model": {"vocab": {"a": 0, "▁": 1, "▁▁": 2, "b": 3}, "merges": []},
        }
    )
    yield "good-empty-token-bytes", dump(
        {"decoder": {"type": "ByteLevel"}, "model": {"vocab": {"": 0, "a": 1}, "merges": []}}
    )
    yield "bad-added-vanishes-first", dump(
        {
            "added_tokens": [added(0, "a", normalized=True)],
            "normalizer": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "Replace", "pattern": {"String": "a"}, "content": ""},
                    {"type": "Prepend", "prepend": "b"},
                ],
            },
            "model": {"vocab": {}, "merges": []},
        }
    )
    yield "bad-merge-long-name", dump({"model": {"vocab": {"a": 0}, "merges": ["x" * 300 + " a"]}})
    yield "good-split-only", dump({"pre_tokenizer": split[0], "model": {"vocab": {"a": 0}, "merges": []}})
    yield "good-bytes-no-regex", dump(put(BYTES, "pre_tokenizer", split[1]))
    yield "good-metaspace-nulls", dump(
        put(
            put(m, "pre_tokenizer", {"type": "Metaspace", "replacement": "▁", "add_prefix_space": None, "split": None}),
            "decoder",
            None,
        )
    )
    yield "good-metaspace-no-split", dump(put(m, "pre_tokenizer.split", False))
    yield "good-vanishing-text", dump(
        put(
            put(
                BASE,
                "normalizer.normalizers",
                [{"type": "Replace", "pattern": {"String": "a"}, "content": ""}, {"type": "Prepend", "prepend": "b"}],
            ),
            "added_tokens",
            [],
        )
        | {"post_processor": None, "aaaaaaaaaa": None}
    )
    yield "good-zeros", dump(
        {
            "added_tokens": [],
            "post_processor": None,
            "model": {
                "dropout": 0.0,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "vocab": {"a": 0},
                "merges": ["#version: 0.2"],
            },
        }
    )
    yield "good-post-after-only", dump(
        put(BYTES, "post_processor", template([TEXT, token("</s>")], special("</s>", 10)))
    )
    yield "good-two-sequences", dump(
        put(
            put(BASE, "normalizer", {"type": "Sequence", "normalizers": [BASE["normalizer"]]}),
            "post_processor",
            {"type": "Sequence", "processors": []},
        )
    )

    yield "bad-nothing", b""
    yield "bad-not-json", b"a b\n"
    yield "bad-cut", dump(BASE)[:-1]
    yield "bad-not-utf8", dump(BASE).replace(b"<u>", b"<\xff>")
    yield "bad-surrogate", dump(BASE).replace(b'"cc"', b'"\\ud800"')
    yield "bad-nul", dump(BASE).replace(b'"cc"', b'"\\u0000"')
    yield "bad-duplicate-token", dump(BASE).replace(b'"cc":11', b'"a":11')
    yield "bad-deep", b'{"model":' + b"[" * 5000
    yield "bad-array", b"[]"
    s = b'{"type":"Sequence","normalizers":['
    yield "bad-sequences-in-sequences", dump(put(BASE, "normalizer", 0)).replace(
        b'"normalizer":0', b'"normalizer":' + s * 50 + b"]}" * 50
    )

    def bad(name, path, value, base=BASE):
        return f"bad-{name}", dump(put(base, path, value))

    yield bad("version", "version", "2.0")
    yield bad("version-number", "version", 1)
    yield bad("unknown-part", "extra", 1)
    yield bad("model-missing", "model", ...)
    yield bad("model-array", "model", [])
    yield bad("model-type", "model.type", "Unigram")
    yield bad("model-type-number", "model.type", 1)
    yield bad("model-unknown-setting", "model.extra", 1)
    yield bad("dropout", "model.dropout", 0.5)
    yield bad("prefix", "model.continuing_subword_prefix", "##")
    yield bad("suffix", "model.end_of_word_suffix", "</w>")
    yield bad("fuse-number", "model.fuse_unk", 1)
    yield bad("vocab-missing", "model.vocab", ...)
    yield bad("vocab-array", "model.vocab", [])
    yield bad("id-text", "model.vocab.a", "5")
    yield bad("id-real", "model.vocab.a", 5.0)
    yield bad("id-negative", "model.vocab.a", -1)
    yield bad("id-past-cap", "model.vocab.a", 2**24)
    yield bad("id-huge", "model.vocab.a", 2**32 + 5)
    yield bad("id-far", "model.vocab.a", 2**23)
    yield bad("id-twice", "model.vocab.a", 6)
    yield bad("unk-number", "model.unk_token", 0)
    yield bad("unk-unknown", "model.unk_token", "<unk>")
    yield bad("merges-missing", "model.merges", ...)
    yield bad("merges-object", "model.merges", {})
    yield bad("merge-one-word", "model.merges.0", "ab")
    yield bad("merge-three-words", "model.merges.0", "a b c")
    yield bad("merge-number", "model.merges.0", 1)
    yield bad("merge-unknown-part", "model.merges.0", "a z")
    yield bad("merge-unknown-whole", "model.merges.0", "b a")
    yield bad("merge-pair-of-three", "model.merges.0", ["h", "e", "l"], BYTES)
    yield bad("merge-pair-of-numbers", "model.merges.0", [1, 2], BYTES)
    yield bad("merge-mixed", "model.merges.1", "h e", BYTES)
    yield bad("added-object", "added_tokens", {})
    yield bad("added-number", "added_tokens.0", 1)
    yield bad("added-no-content", "added_tokens.0.content", ...)
    yield bad("added-no-id", "added_tokens.0.id", ...)
    yield bad("added-other-id", "added_tokens.0.id", 5)
    yield bad("added-not-next-id", "added_tokens.2.id", 15)
    yield bad("added-id-negative", "added_tokens.0.id", -1)
    yield bad("added-flag-missing", "added_tokens.0.lstrip", ...)
    yield bad("added-flag-number", "added_tokens.0.lstrip", 0)
    yield bad("added-unknown-flag", "added_tokens.0.extra", True)
    yield bad("added-twice", "added_tokens.1", added(0, "<u>"))
    yield bad("added-empty", "added_tokens.2.content", "")
    yield bad("added-long", "added_tokens.2.content", "x" * 1025)
    vanish = {"type": "Replace", "pattern": {"String": "<n>"}, "content": ""}
    yield bad("added-vanishes", "normalizer", vanish)
    yield bad(
        "added-grows",
        "normalizer.normalizers",
        [{"type": "Replace", "pattern": {"String": "n"}, "content": "n" * 250}] * 3,
    )
    yield bad("normalizer-number", "normalizer", 1)
    yield bad("normalizer-no-type", "normalizer", {})
    yield bad("normalizer-type", "normalizer", {"type": "NFKC"})
    yield bad("normalizer-regex", "normalizer", {"type": "Replace", "pattern": {"Regex": "a+"}, "content": ""})
    yield bad("normalizer-no-pattern", "normalizer", {"type": "Replace", "content": ""})
    yield bad("normalizer-empty-pattern", "normalizer", {"type": "Replace", "pattern": {"String": ""}, "content": "a"})
    yield bad("normalizer-no-content", "normalizer", {"type": "Replace", "pattern": {"String": "a"}})
    yield bad("normalizer-long", "normalizer", {"type": "Prepend", "prepend": "x" * 257})
    yield bad("normalizer-17-steps", "normalizer.normalizers", [{"type": "Prepend", "prepend": "x"}] * 17)
    yield bad("normalizer-sequence-no-list", "normalizer", {"type": "Sequence"})
    yield bad("pre-type", "pre_tokenizer", {"type": "Whitespace"})
    yield bad("pre-two-splits", "pre_tokenizer.pretokenizers", [BYTES["pre_tokenizer"]["pretokenizers"][0]] * 2, BYTES)
    yield bad("pre-regex-after-split", "pre_tokenizer.pretokenizers.1.use_regex", True, BYTES)
    yield bad("pre-prefix-after-split", "pre_tokenizer.pretokenizers.1.add_prefix_space", True, BYTES)
    yield bad("pre-other-regex", "pre_tokenizer.pretokenizers.0.pattern", {"Regex": "(a*)*b"}, BYTES)
    yield bad("pre-plain-split", "pre_tokenizer.pretokenizers.0.pattern", {"String": " "}, BYTES)
    yield bad("pre-no-pattern", "pre_tokenizer.pretokenizers.0.pattern", ..., BYTES)
    yield bad("pre-empty-pattern", "pre_tokenizer.pretokenizers.0.pattern", {}, BYTES)
    yield bad("pre-behavior", "pre_tokenizer.pretokenizers.0.behavior", "Removed", BYTES)
    yield bad("pre-invert", "pre_tokenizer.pretokenizers.0.invert", True, BYTES)
    yield bad("pre-trim-missing", "pre_tokenizer.pretokenizers.1.trim_offsets", ..., BYTES)
    yield bad("metaspace-two-characters", "pre_tokenizer.replacement", "ab", m)
    yield bad("metaspace-empty", "pre_tokenizer.replacement", "", m)
    yield bad("metaspace-scheme", "pre_tokenizer.prepend_scheme", "last", m)
    yield bad("metaspace-contradiction", "pre_tokenizer.add_prefix_space", False, m)
    yield bad("metaspace-first-with-normalizer", "normalizer", BASE["normalizer"], m)
    yield bad("metaspace-unknown", "pre_tokenizer.extra", 1, m)
    yield bad("metaspace-no-mark", "pre_tokenizer.replacement", ..., m)
    yield bad("metaspace-split-number", "pre_tokenizer.split", 1, m)
    yield bad("metaspace-scheme-null", "pre_tokenizer.prepend_scheme", None, m)
    yield bad("split-no-behavior", "pre_tokenizer.pretokenizers.0.behavior", ..., BYTES)
    yield bad("split-invert-number", "pre_tokenizer.pretokenizers.0.invert", 0, BYTES)
    yield bad("split-unknown", "pre_tokenizer.pretokenizers.0.extra", 0, BYTES)
    yield bad("split-pattern-number", "pre_tokenizer.pretokenizers.0.pattern", 1, BYTES)
    yield bad("bytes-prefix-missing", "pre_tokenizer.pretokenizers.1.add_prefix_space", ..., BYTES)
    yield bad("bytes-regex-number", "pre_tokenizer.pretokenizers.1.use_regex", 1, BYTES)
    yield bad("bytes-unknown", "pre_tokenizer.pretokenizers.1.extra", 1, BYTES)
    yield bad("pre-bytes-twice", "pre_tokenizer.pretokenizers", [split[1]] * 2, BYTES)
    yield bad("pre-bytes-then-split", "pre_tokenizer.pretokenizers", split[::-1], BYTES)
    yield bad(
        "pre-mark-then-bytes",
        "pre_tokenizer",
        {"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "_"}, split[1]]},
        BYTES,
    )
    yield bad(
        "pre-mark-without-split-then-bytes",
        "pre_tokenizer",
        {"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "_", "split": False}, split[1]]},
        BYTES,
    )
    yield bad("pre-mark-twice", "pre_tokenizer", {"type": "Sequence", "pretokenizers": [metaspace] * 2}, m)
    yield bad("pre-sequence-unknown", "pre_tokenizer.extra", 1, BYTES)
    yield bad("pre-null-part", "pre_tokenizer.pretokenizers.0", None, BYTES)
    yield bad("replace-unknown", "normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "", "x": 1})
    yield bad("replace-to-long", "normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "x" * 257})
    yield bad("replace-from-long", "normalizer", {"type": "Replace", "pattern": {"String": "a" * 257}, "content": ""})
    yield bad("prepend-unknown", "normalizer", {"type": "Prepend", "prepend": "a", "x": 1})
    yield bad("prepend-number", "normalizer", {"type": "Prepend", "prepend": 1})
    yield bad("strip-unknown", "decoder.decoders.3.extra", 1)
    yield bad("strip-start-text", "decoder.decoders.3.start", "1")
    yield bad("decoder-part-number", "decoder.decoders.1", 1)
    yield bad("decoder-unknown", "decoder.extra", 1)
    yield bad("decoder-step-unknown", "decoder.decoders.1.extra", 1)
    yield bad("decoder-list-object", "decoder.decoders", {})
    yield bad("post-unknown", "post_processor.extra", 1)
    yield bad("post-single-object", "post_processor.single", {})
    yield bad("post-special-no-id", "post_processor.single.0", {"SpecialToken": {}})
    yield bad("post-part-null", "post_processor.single.0", None)
    yield bad(
        "post-template-after-template",
        "post_processor",
        {"type": "Sequence", "processors": [template([TEXT, token("<s>")], special("<s>", 1)), BASE["post_processor"]]},
    )
    yield bad("added-flags-null", "added_tokens.0.special", None)
    yield bad("added-content-number", "added_tokens.0.content", 1)
    yield "bad-added-id-taken", dump(
        {"added_tokens": [added(2, "c")], "model": {"vocab": {"a": 0, "b": 2}, "merges": []}}
    )
    for name, value in (("real", 1.5), ("true", True), ("false", False), ("null", None)):
        if value is not None:
            yield bad(f"added-{name}", "added_tokens", value)
        yield bad(f"added-entry-{name}", "added_tokens.0", value)
    for key, value in (("version", None), ("type", None)):
        yield f"bad-{key}-null", dump(put(BASE, key if key == "version" else "model.type", value))
    for name, value in (("true", True), ("text", "0"), ("tiny", 1e-9)):
        yield bad(f"dropout-{name}", "model.dropout", value)
    yield bad("prefix-number", "model.continuing_subword_prefix", 1)
    yield bad("unk-list", "model.unk_token", [])
    yield bad("byte-fallback-null", "model.byte_fallback", None)
    yield bad("ignore-merges-text", "model.ignore_merges", "no")
    yield bad("merge-pair-left-null", "model.merges.0", [None, "e"], BYTES)
    yield bad("merge-pair-right-null", "model.merges.0", ["h", None], BYTES)
    yield bad("merge-left-unknown", "model.merges.0", "z a")
    yield bad("merges-null", "model.merges", None)
    yield bad("decoder-type", "decoder", {"type": "WordPiece"})
    yield bad("decoder-order", "decoder.decoders", [{"type": "Fuse"}, {"type": "ByteFallback"}])
    yield bad("decoder-twice", "decoder.decoders", [{"type": "Fuse"}, {"type": "Fuse"}])
    yield bad("decoder-strip-first", "decoder.decoders", [{"type": "Strip", "content": " ", "start": 1, "stop": 0}])
    yield bad("decoder-whole-second", "decoder.decoders", [{"type": "Fuse"}, {"type": "ByteLevel"}])
    yield bad("decoder-strip-end", "decoder.decoders.3.stop", 1)
    yield bad("decoder-strip-huge", "decoder.decoders.3.start", 2**40)
    yield bad("decoder-strip-text", "decoder.decoders.3.content", "  ")
    yield bad("decoder-no-list", "decoder", {"type": "Sequence"})
    yield bad("post-type", "post_processor", {"type": "BertProcessing"})
    yield bad("post-two-templates", "post_processor", {"type": "Sequence", "processors": [BASE["post_processor"]] * 2})
    yield bad("post-text-twice", "post_processor.single", [token("<s>"), TEXT, TEXT])
    yield bad("post-no-text", "post_processor.single", [token("<s>")])
    yield bad("post-other-text", "post_processor.single", [{"Sequence": {"id": "B"}}])
    yield bad("post-part-number", "post_processor.single", [1])
    yield bad("post-65-parts", "post_processor.single", [TEXT] + [token("<s>")] * 64)
    yield bad("post-not-described", "post_processor.special_tokens", {})
    yield bad("post-ids-missing", "post_processor.special_tokens", {"<s>": {}})
    yield bad("post-id-outside", "post_processor.special_tokens", special("<s>", 99))
    yield bad("post-id-negative", "post_processor.special_tokens", special("<s>", -1))
    yield bad("post-id-text", "post_processor.special_tokens", special("<s>", "1"))
    yield bad("post-many-ids", "post_processor.special_tokens", special("<s>", *([1] * 300)))
    yield "bad-post-id-in-gap", dump(
        {
            "model": {"vocab": {"a": 0, "b": 9}, "merges": []},
            "post_processor": template([token("x"), TEXT], special("x", 5)),
        }
    )


def targets():
    return {"tokenizer": files()}
