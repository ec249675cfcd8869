"""tokenizer.json files."""
import copy
import json

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def added(id, content, special=False, **flags):
    out = {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
           "special": special}
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
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [added(0, "<u>", True), added(1, "<s>", True),
                     added(14, "<n>", single_word=True, lstrip=True, rstrip=True, normalized=True)],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "pre_tokenizer": None,
    "post_processor": template([token("<s>"), TEXT], special("<s>", 1)),
    "decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "dropout": None, "unk_token": "<u>", "continuing_subword_prefix": None,
              "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
              "vocab": {"<u>": 0, "<s>": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4, "a": 5, "b": 6, "c": 7, "ab": 8, "▁a": 9,
                        "▁ab": 10, "cc": 11, "e": 12, "l": 13},
              "merges": ["a b", "▁ a", "▁ ab", "c c"]},
}

# Byte-level, as Llama 3's.
BYTES = {
    "version": "1.0", "added_tokens": [added(9, "<s>", True), added(10, "</s>", True, rstrip=True)],
    "normalizer": None,
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
    "post_processor": {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        template([token("<s>"), TEXT, token("</s>")], {**special("<s>", 9), **special("</s>", 10)})]},
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "ignore_merges": True,
              "vocab": {"Ġ": 0, "h": 1, "e": 2, "l": 3, "o": 4, "he": 5, "Ġhe": 6, "ll": 7, "Ã": 8},
              "merges": [["h", "e"], ["Ġ", "he"], ["l", "l"]]},
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
    yield "good-gpt2", dump(put(BYTES, "pre_tokenizer",
                                {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}))
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
    yield "good-empty-token", dump(put(put(BASE, "model.vocab", {"": 0, "<u>": 1, "<s>": 2, "a": 3}), "added_tokens", [])
                                   | {"post_processor": None, "model": {"vocab": {"": 0, "a": 1, "aa": 2},
                                      "merges": [["", "a"], ["a", "a"], ["", ""]], "unk_token": ""}})
    yield "good-gap-in-ids", dump({"model": {"vocab": {"a": 0, "b": 70}, "merges": []}})
    long = "x" * 700
    yield "good-long-tokens", dump({"model": {"vocab": {"x" * 350: 0, long: 1}, "merges": [["x" * 350, "x" * 350]]}})
    nested = [added(i, "a" * (i + 1)) for i in range(8)] + [added(8, "ab", normalized=True), added(9, " ", lstrip=True)]
    yield "good-nested-added", dump({"added_tokens": nested, "model": {"vocab": {}, "merges": []}})
    grow = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 250}] * 4
    yield "good-growing", dump(put(BASE, "normalizer.normalizers", grow))
    yield "good-growing-decoder", dump(put(BASE, "decoder.decoders", grow))

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
        b'"normalizer":0', b'"normalizer":' + s * 50 + b"]}" * 50)

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
    yield bad("added-grows", "normalizer.normalizers", [
        {"type": "Replace", "pattern": {"String": "n"}, "content": "n" * 250}] * 3)
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
    yield "bad-post-id-in-gap", dump({"model": {"vocab": {"a": 0, "b": 9}, "merges": []},
                                      "post_processor": template([token("x"), TEXT], special("x", 5))})


def targets():
    return {"tokenizer": files()}
