"""Our files and readers against the packages gguf, safetensors and tokenizers of PyPI. tools/interop.sh runs this.

Arguments: PROGRAM DATA_FOLDER. Everything is compared for equality: keys, shapes, types, every number of every tensor,
every id."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "program"))

import gguf  # noqa: E402
import numpy as np  # noqa: E402
import safetensors  # noqa: E402
import safetensors.numpy  # noqa: E402
import tokenizers  # noqa: E402
from gguf import quants  # noqa: E402
from harness import DATA, GQA, MODELS, TINY, good, path, read, run_tests  # noqa: E402

TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"]
CHECKPOINTS = sorted(m for m in os.listdir(MODELS) if os.path.exists(os.path.join(MODELS, m, "golden.safetensors")))


def make_model(name, tokenizer=None, vocab=320, D=256, F=512, heads=2, layers=2):
    """A folder with random weights: heavy tails, a few outliers, one row of zeros, tiny and large rows."""
    folder = path(name)
    if os.path.isdir(folder):
        return folder
    os.makedirs(folder)
    rng = np.random.default_rng(7)
    slots = 32

    def matrix(rows, columns):
        w = rng.laplace(size=(rows, columns)) * 0.02
        w[rng.random(w.shape) < 0.002] *= 12
        w[0] = 0
        w[1] *= 1e-6
        w[2] *= 1e3
        return w.astype(np.float32)

    t = {"model.embeddings.weight": matrix(vocab, D), "model.norm.weight": np.ones(D, np.float32),
         "lm_head.weight": matrix(vocab, D)}
    for i in range(layers):
        p = f"model.layers.{i}."
        for n in ("attn_norm", "mlp_norm", "attn.g_norm"):
            t[f"{p}{n}.weight"] = (1 + 0.1 * rng.standard_normal(D)).astype(np.float32)
        for n, rows, columns in (("attn.q_proj", D, D), ("attn.k_proj", D, D), ("attn.v_proj", D, D), ("attn.o_proj", D, D),
                                 ("attn.f_proj", heads * slots, D), ("mlp.gate_proj", F, D), ("mlp.up_proj", F, D),
                                 ("mlp.down_proj", D, F)):
            t[f"{p}{n}.weight"] = matrix(rows, columns)
    safetensors.numpy.save_file(t, os.path.join(folder, "model.safetensors"))
    config = {"model_type": "gsa", "vocab_size": vocab, "hidden_size": D, "num_hidden_layers": layers, "num_heads": heads,
              "num_slots": slots, "intermediate_size": F, "tie_word_embeddings": False, "norm_eps": 1e-6,
              "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    if tokenizer:
        with open(os.path.join(folder, "tokenizer.json"), "wb") as f:
            f.write(read(tokenizer))
    return folder


def convert(source, type_, name=None):
    out = path(name or f"{os.path.basename(source)}-{type_}.gguf")
    good("convert", "-m", source, "-o", out, "-t", type_, "-q")
    return out


def value(field):
    """A metadata value as Python sees it."""
    return field.contents()


def ours(model, tensor):
    out = path("tensor.f32")
    good("inspect", "-m", model, "--tensor", tensor, "-o", out)
    return np.fromfile(out, dtype="<f4")


def same_bits(a, b):
    return a.shape == b.shape and np.array_equal(a.view(np.uint32), b.view(np.uint32))


def check_file(source, type_):
    """Every key and every number of a converted file, as the package reads them. Returns its tensor types."""
    file = convert(source, type_)
    reader = gguf.GGUFReader(file)
    info = json.loads(good("inspect", "-m", source, "--json"))["model"]
    listed = json.loads(good("inspect", "-m", file, "--json"))
    got = {k: value(f) for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    want = {"general.architecture": "gsa", "general.quantization_version": 2, "gsa.vocab_size": info["vocabulary"],
            "gsa.embedding_length": info["D"], "gsa.block_count": info["layers"], "gsa.feed_forward_length": info["F"],
            "gsa.attention.head_count": info["H"], "gsa.attention.head_count_kv": info["G"],
            "gsa.attention.key_length": info["K"], "gsa.attention.value_length": info["V"], "gsa.slot.count": info["M"],
            "gsa.slot.feature_map": info["feature_map"]}
    for key, expected in want.items():
        assert got.get(key) == expected, (key, got.get(key), expected)
    for key, expected in (("gsa.attention.layer_norm_rms_epsilon", info["norm_eps"]),
                          ("gsa.slot.gate_normalizer", info["gate_normalizer"]), ("gsa.slot.scale", 1.0)):
        assert np.float32(got[key]) == np.float32(expected), (key, got[key])
    assert got.get("gsa.shortconv.l_cache", 0) == info["W"]
    assert len(got) == len(listed["metadata"]) if "metadata" in listed else True
    mine = {t["name"]: t for t in listed["tensors"]}
    assert list(mine) == [t.name for t in reader.tensors]
    for t in reader.tensors:
        m = mine[t.name]
        assert t.tensor_type.name.lower() == m["type"].lower(), (t.name, t.tensor_type, m["type"])
        assert [int(d) for d in reversed(t.shape)] == m["shape"], (t.name, t.shape, m["shape"])
        theirs = np.ascontiguousarray(quants.dequantize(t.data, t.tensor_type).astype(np.float32)).reshape(-1)
        assert same_bits(theirs, ours(file, t.name)), f"{file}: {t.name} ({m['type']}) differs"
    return {t.tensor_type.name for t in reader.tensors}


def test_gguf_reads_every_type_of_our_files():
    for type_ in TYPES:
        types = check_file(make_model("wide"), type_)
        assert type_.upper() in types, (type_, types)
    assert "Q6_K" in check_file(make_model("wide"), "q4_k")


def test_gguf_reads_every_converted_checkpoint():
    for model in CHECKPOINTS:
        for type_ in ("f32", "q4_0", "q6_k"):
            check_file(os.path.join(MODELS, model), type_)


def test_gguf_to_gguf_keeps_metadata():
    first = convert(make_model("wide", os.path.join(TINY, "tokenizer.json")), "f16", "first.gguf")
    second = path("second.gguf")
    good("convert", "-m", first, "-o", second, "-t", "q8_0", "-q")
    a, b = gguf.GGUFReader(first), gguf.GGUFReader(second)
    skip = {"general.file_type"}
    keep = [k for k in a.fields if not k.startswith("GGUF.") and k not in skip]
    for key in keep:
        assert value(a.fields[key]) == value(b.fields[key]), key
    assert set(keep) | skip == {k for k in b.fields if not k.startswith("GGUF.")}


def test_our_blocks_are_no_worse_than_those_of_the_package():
    folder = make_model("wide")
    source = safetensors.numpy.load_file(os.path.join(folder, "model.safetensors"))["lm_head.weight"]
    for type_ in ("q8_0", "q4_0"):
        out = path(f"override-{type_}.gguf")
        good("convert", "-m", folder, "-o", out, "-t", type_, "--override", f"output.weight={type_}", "-q")
        mine = ours(out, "output.weight").reshape(source.shape)
        kind = gguf.GGMLQuantizationType[type_.upper()]
        theirs = quants.dequantize(quants.quantize(source, kind), kind)
        error = [float(((x.astype(np.float64) - source) ** 2).sum()) for x in (mine, theirs)]
        assert error[0] <= error[1], (type_, error)
        print(f"# {type_}: squared error {error[0] / error[1]:.3f} of the package's")


def bits_as_float32(t):
    raw = np.frombuffer(t["data"], dtype={"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[t["dtype"]])
    if t["dtype"] == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)


def test_safetensors_agrees_on_every_tensor():
    n = 0
    for model in CHECKPOINTS + [make_model("wide")]:
        folder = os.path.join(MODELS, model)
        listed = {t["name"]: t for t in json.loads(good("inspect", "-m", folder, "--json"))["tensors"]}
        names = set()
        for file in sorted(os.listdir(folder)):
            if not file.startswith("model") or not file.endswith(".safetensors"):
                continue
            for name, t in safetensors.deserialize(read(os.path.join(folder, file))):
                names.add(name)
                assert listed[name]["shape"] == list(t["shape"]), (model, name)
                assert same_bits(bits_as_float32(t), ours(folder, name)), (model, name)
                n += 1
        assert names == set(listed), model
    assert n > 100


def strings(kind):
    with open(os.path.join(DATA, "tokenizers", kind, "goldens.jsonl"), encoding="utf-8") as f:
        return [json.loads(line)["text"] for line in f]


def test_tokenizers_agree_on_the_golden_strings():
    for kind in ("mistral", "bytelevel", "llama3"):
        file = os.path.join(DATA, "tokenizers", kind, "tokenizer.json")
        theirs = tokenizers.Tokenizer.from_file(file)
        folder = make_model(f"text-{kind}", file, vocab=theirs.get_vocab_size(), D=32, F=32, heads=1, layers=1)
        model = convert(folder, "q8_0")
        for i, text in enumerate(strings(kind)):
            want = theirs.encode(text, add_special_tokens=True).ids
            # Each string through the folder or the GGUF file in turn, some through both.
            for source in ([file], [model], [file, model])[i % 3]:
                got = [int(x) for x in good("tokenize", "-m", source, stdin=text.encode()).split()]
                assert got == want, (kind, os.path.basename(source), text, got, want)


def test_gguf_reads_our_tokenizers():
    for kind in ("mistral", "bytelevel", "llama3"):
        file = os.path.join(DATA, "tokenizers", kind, "tokenizer.json")
        theirs = tokenizers.Tokenizer.from_file(file)
        n = theirs.get_vocab_size()
        folder = make_model(f"text-{kind}", file, vocab=n, D=32, F=32, heads=1, layers=1)
        fields = gguf.GGUFReader(convert(folder, "q8_0")).fields
        tokens = value(fields["tokenizer.ggml.tokens"])
        vocabulary = theirs.get_vocab(with_added_tokens=True)
        assert len(tokens) == n == len(value(fields["tokenizer.ggml.token_type"]))
        for text, id_ in vocabulary.items():
            assert tokens[id_] == text, (kind, id_, text, tokens[id_])
        assert value(fields["tokenizer.ggml.model"]) == ("llama" if kind == "mistral" else "gpt2")
        merges = json.loads(read(file))["model"]["merges"]
        if kind == "mistral":
            assert len(value(fields["tokenizer.ggml.scores"])) == n
        else:
            assert value(fields["tokenizer.ggml.merges"]) == [m if isinstance(m, str) else " ".join(m) for m in merges]
        assert value(fields["tokenizer.huggingface.json"]).encode() == read(file)
    assert os.path.exists(os.path.join(GQA, "tokenizer.json"))


if __name__ == "__main__":
    run_tests(globals())
