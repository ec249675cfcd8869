#!/usr/bin/env python3
"""The program without a GPU: usage, text commands, inspect, and every way to fail. What computes runs on -d cpu."""
import json
import os
import signal
import struct
import subprocess

from harness import *

COMMANDS = ["devices", "demo", "run", "chat", "tokenize", "detokenize", "logits", "perplexity", "eval", "inspect", "convert", "verify", "bench"]


def test_help_of_all_commands():
    top = good("--help").decode()
    for name in COMMANDS:
        assert name in top, name
        for args in ([name, "--help"], [name, "-h"], ["help", name]):
            r = start(*args)
            assert r.returncode == 0 and r.stderr == b"", (args, r.stderr)
            text = r.stdout.decode()
            assert text.startswith(f"usage: gsa-vk {name}") and "examples:" in text, text
            assert max(map(len, text.splitlines())) <= 120, name


def test_version():
    assert good("--version").startswith(b"gsa-vk 0.")


def test_wrong_usage_exits_2():
    r = start()
    assert r.returncode == 2 and r.stdout == b"" and b"usage:" in r.stderr
    bad("frobnicate", code=2, says=["frobnicate", "--help"])
    bad("--frobnicate", code=2, says="--frobnicate")
    for name in COMMANDS:
        bad(name, "--frobnicate", code=2, says=["--frobnicate", f"gsa-vk {name} --help"])
        bad(name, "-Z", code=2, says="-Z")
    bad("run", "-m", code=2, says="-m needs")
    bad("run", "-p", "x", code=2, says="-m")
    bad("run", "-m", TINY, code=2, says="-p")
    bad("run", "-m", TINY, "-p", "x", "--tokens", "1", code=2)
    bad("run", "-m", TINY, "-p", "x", "-n", "many", code=2, says="many")
    bad("run", "-m", TINY, "-p", "x", "-n", "-1", code=2, says="-1")
    bad("run", "-m", TINY, "-p", "x", "--top-p", "1.5", code=2, says="1.5")
    bad("run", "-m", TINY, "-p", "x", "--temp=nan", code=2, says="nan")
    bad("run", "-m", TINY, "-p", "x", "--ids=1", code=2, says="--ids")
    bad("run", "-m", TINY, "-p", "x", "surplus", code=2, says="surplus")
    bad("run", "-m", TINY, "--tokens", "1,two", code=2, says="two")
    bad("logits", "-m", TINY, "--tokens", "1", code=2, says="-o")
    bad("logits", "-m", TINY, "-o", path("x"), code=2, says="--tokens")
    bad("logits", "-m", TINY, "--tokens", "1", "-o", path("x"), "--slice", "0", code=2, says="--slice")
    bad("inspect", code=2, says="-m")
    bad("bench", code=2, says="--synthetic")


def test_tokenize_argument_and_stdin():
    ids = numbers(good("tokenize", "-m", TINY, "Hello world"))
    assert ids[0] == 1 and ids == numbers(good("tokenize", "-m", TINY, stdin=b"Hello world"))
    assert ids == numbers(good("tokenize", "-m", os.path.join(TINY, "tokenizer.json"), "Hello world"))
    assert ids[1:] == numbers(good("tokenize", "-m", TINY, "--no-bos", "Hello world"))
    assert good("tokenize", "-m", TINY, "Hello").count(b"\n") == 1
    assert ids != numbers(good("tokenize", "-m", TINY, stdin=b"Hello world\n"))
    assert numbers(good("tokenize", "-m", TINY, "--no-bos", stdin=b"")) == []
    assert numbers(good("tokenize", "-m", GQA, stdin=b"a\0b")) != numbers(good("tokenize", "-m", GQA, stdin=b"a"))
    both = json.loads(good("tokenize", "-m", TINY, "--json", "Hello world"))
    assert both["ids"] == ids and both["tokens"][0] == "<s>"
    assert numbers(good("tokenize", "-m", TINY, "--", "-m")) != []


def test_detokenize_gives_the_text_back():
    for model in TINY, GQA:
        for text in "Hello world", "two\nlines\n", "  blanks  ", "\u00e4\u4e16\U0001f600", "":
            raw = text.encode()
            ids = good("tokenize", "-m", model, "--no-bos", stdin=raw)
            assert good("detokenize", "-m", model, stdin=ids) == raw, (model, text)
            assert good("detokenize", "-m", model, "--skip-special", joined(numbers(ids))) == raw or not text
            assert json.loads(good("detokenize", "-m", model, "--json", stdin=ids))["text"] == text
    assert good("detokenize", "-m", TINY, "1") == b"<s>"
    assert good("detokenize", "-m", TINY, "1", "--skip-special") == b""


def test_detokenize_bad_ids():
    bad("detokenize", "-m", TINY, "1000", says="1000")
    bad("detokenize", "-m", TINY, stdin=b"1 -4", says="-4")
    bad("detokenize", "-m", TINY, stdin=b"1 x", says="x")
    bad("detokenize", "-m", TINY, "99999999999", says="99999999999")
    bad("detokenize", "-m", TINY, "1x", code=2, says="1x")


def test_run_ids_match_goldens():
    for prompt in "p1", "p37":
        ids, want = golden(TINY, f"{prompt}.ids"), golden(TINY, f"{prompt}.greedy_ids")
        got = numbers(good("run", "-m", TINY, "--tokens", joined(ids), "-n", "64", "--temp", "0", "--ids", *CPU))
        assert len(got) == 64 and got == list(want), prompt
    assert good("run", "-m", TINY, "--tokens", "1", "-n", "0", "--ids", *CPU) == b""


def test_run_text_is_the_text_of_the_ids():
    ids = numbers(good("run", "-m", TINY, "-p", "Once upon a time", "-n", "24", "--seed", "1", "--ids", *CPU))
    text = good("run", "-m", TINY, "-p", "Once upon a time", "-n", "24", "--seed", "1", "--ignore-eos", *CPU)
    prompt = numbers(good("tokenize", "-m", TINY, "Once upon a time"))
    whole = good("detokenize", "-m", TINY, "--skip-special", joined(prompt + ids))
    assert b"Once upon a time" + text == whole + b"\n", (text, whole)
    echo = good("run", "-m", TINY, "-p", "Once upon a time", "-n", "24", "--seed", "1", "--ignore-eos", "--echo", *CPU)
    assert echo == whole + b"\n", echo
    j = json.loads(good("run", "-m", TINY, "-p", "Once upon a time", "-n", "24", "--seed", "1", "--ignore-eos", "--json", *CPU))
    assert j["ids"] == ids and j["prompt_ids"] == prompt and j["text"].encode() + b"\n" == text and j["stopped_by"] == "length"


def test_run_prompt_from_file_and_stdin():
    text = b"Once upon a time"
    want = good("run", "-m", TINY, "-p", text.decode(), "-n", "8", "--temp", "0", "--ids", *CPU)
    assert want == good("run", "-m", TINY, "-f", write("prompt.txt", text), "-n", "8", "--temp", "0", "--ids", *CPU)
    assert want == good("run", "-m", TINY, "-f", "-", "-n", "8", "--temp", "0", "--ids", *CPU, stdin=text)
    bad("run", "-m", TINY, "-f", path("absent"), *CPU, says="absent")
    bad("run", "-m", TINY, "-p", "", "--no-bos", *CPU, says="empty")


def test_run_seeds():
    def run(*more):
        return good("run", "-m", TINY, "--tokens", "1,2,3", "-n", "16", "--ids", *CPU, *more)
    assert run("--seed", "4") == run("--seed", "4") != run("--seed", "5")
    assert run("--temp", "0", "--seed", "4") == run("--temp", "0", "--seed", "5") == run("--top-k", "1")


def test_run_stats_line_and_quiet():
    r = start("run", "-m", TINY, "--tokens", "1", "-n", "4", "--ids", *CPU)
    assert r.stderr.count(b"\n") == 1 and b"tok/s" in r.stderr and b"CPU reference" in r.stderr, r.stderr
    assert start("run", "-m", TINY, "--tokens", "1", "-n", "4", "--ids", "-q", *CPU).stderr == b""


def test_run_stop_strings():
    base = ["run", "-m", TINY, "-p", "Once upon a time", "-n", "24", "--seed", "1", "--ignore-eos", *CPU]
    text = good(*base)[:-1].decode()
    for stop in text[9:12], text[5], text[-2:], text[:1]:
        got = good(*base, "--stop", "never there", "--stop", stop).decode()
        assert got == text[:text.index(stop)] + "\n", (stop, got)
    assert json.loads(good(*base, "--stop", text[9:12], "--json"))["stopped_by"] == "stop"
    assert good(*base, "--stop", text[-2:] + "#").decode() == text + "\n"
    bad(*base, "--stop", "", code=2, says="--stop")


def test_run_ends_at_the_end_token():
    folder = copy_model("ends")
    ids = numbers(good("run", "-m", TINY, "--tokens", "1,2", "-n", "8", "--temp", "0", "--ids", *CPU))
    config = json.loads(read(os.path.join(folder, "config.json")))
    config["eos_token_id"] = ids[3]
    write("ends/config.json", json.dumps(config).encode())
    base = ["run", "-m", folder, "--tokens", "1,2", "-n", "8", "--temp", "0", "--json", *CPU]
    j = json.loads(good(*base))
    assert j["ids"] == ids[:3] and j["stopped_by"] == "end", j
    assert json.loads(good(*base, "--ignore-eos"))["ids"] == ids
    assert json.loads(good(*base, "--ids"))["ids"] == ids


def test_state_files_continue_as_if_never_left():
    for rules in ["--temp", "0"], ["--seed", "5", "--repeat-penalty", "1.3"]:
        base = ["run", "-m", TINY, "--ids", *CPU]
        whole = numbers(good(*base, "--tokens", "7,8,9", "-n", "30", *rules))
        state, state2 = path("a.state"), path("b.state")
        first = numbers(good(*base, "--tokens", "7,8,9", "-n", "11", *rules, "--save", state))
        second = numbers(good(*base, "--load", state, "-n", "9", "--save", state2))
        third = numbers(good(*base, "--load", state2, "-n", "10"))
        assert first + second + third == whole, rules
    good(*base, "--tokens", "7,8", "-n", "0", "--save", state)
    good(*base, "--load", state, "--tokens", "9", "-n", "0", "--save", state2)
    assert numbers(good(*base, "--load", state2, "-n", "30", "--temp", "0")) == numbers(good(*base, "--tokens", "7,8,9", "-n", "30", "--temp", "0"))
    text = good("run", "-m", TINY, "--load", state, "-p", "and", "-n", "4", *CPU)
    assert text.endswith(b"\n")


def test_state_files_of_others_are_refused():
    state = path("good.state")
    run = ["run", "-m", TINY, "-n", "1", "--ids", *CPU]
    good(*run, "--tokens", "1,2", "--save", state)
    data = read(state)
    bad("run", "-m", GQA, "-n", "1", "--ids", *CPU, "--load", state, says=["good.state", "another model"])
    bad(*run, "--load", path("absent.state"), says="absent.state")
    bad(*run, "--load", TINY)
    bad(*run, "--load", write("short.state", data[:-9]), says="short.state")
    bad(*run, "--load", write("empty.state", b""), says="empty.state")
    bad(*run, "--load", write("changed.state", data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]), says="changed")
    bad(*run, "--load", os.path.join(TINY, "config.json"), says="state file")
    r = start(*run, "--tokens", "1", "-q", "--save", path("no/such/folder.state"))
    assert r.returncode == 1 and r.stderr.count(b"\n") == 1 and b"folder.state" in r.stderr, r.stderr


def test_interrupt_ends_cleanly_and_saves():
    state = path("interrupted.state")
    for rules in [], ["--ids"]:
        p = subprocess.Popen(command("run", "-m", TINY, "--tokens", "1,2", "-n", "100000000", "--ignore-eos", "--save", state, *CPU, *rules),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        p.stdout.read(10)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0 and b"Ctrl-C" in err and err.count(b"\n") == 1, (p.returncode, err)
        assert out.endswith(b"\n")
        good("run", "-m", TINY, "--load", state, "-n", "3", *CPU)
        assert os.listdir(WORK).count("interrupted.state") == 1 and not [f for f in os.listdir(WORK) if f.startswith("interrupted.state.")]


def test_logits_match_goldens():
    ids, want = golden(TINY, "p37.ids"), golden(TINY, "p37.logits")
    base = ["logits", "-m", TINY, *CPU]
    good(*base, "--tokens", joined(ids), "-o", path("all.f32"))
    whole = read(path("all.f32"))
    assert error(floats(whole), want) < 1e-4
    good(*base, "--tokens-file", write("ids.txt", joined(ids).replace(",", "\n").encode()), "--slice", "7", "-o", path("slices.f32"))
    assert error(floats(read(path("slices.f32"))), want) < 1e-4
    assert good(*base, "--tokens-file", "-", "-o", "-", stdin=joined(ids).encode()) == whole
    good(*base, "--tokens", joined(ids), "--last", "-o", path("last.f32"))
    assert error(floats(read(path("last.f32"))), want[-1000:]) < 1e-4
    assert not [f for f in os.listdir(WORK) if ".part" in f]


def test_ids_outside_the_vocabulary_are_refused():
    for token in "1000", "2147483647", "-1":
        bad("run", "-m", TINY, "--tokens", f"1,{token}", "--ids", *CPU, says=token)
        bad("logits", "-m", TINY, "--tokens", f"1,{token}", "-o", path("never"), *CPU, says=token)
    bad("run", "-m", TINY, "--tokens", "4294967297", "--ids", *CPU, says="4294967297")
    bad("logits", "-m", TINY, "--tokens", "", "-o", path("never"), *CPU)
    assert not os.path.exists(path("never"))


def test_unwritable_outputs():
    base = ["logits", "-m", TINY, "--tokens", "1", *CPU, "-o"]
    bad(*base, path("no/such/folder"), says="no/such/folder")
    bad(*base, WORK, says=WORK)
    if os.path.exists("/dev/full"):
        bad(*base, "/dev/full", says="/dev/full")
        with open("/dev/full", "wb") as full:
            r = subprocess.run(command("tokenize", "-m", TINY, "Hello"), stdout=full, stderr=subprocess.PIPE, env=environment())
        assert r.returncode == 1 and r.stderr.count(b"\n") == 1, r.stderr


def test_absent_and_broken_models():
    run = ["--tokens", "1", "--ids", *CPU]
    for name in ["run", "inspect", "logits"]:
        more = {"run": run, "inspect": [], "logits": ["--tokens", "1", "-o", path("never"), *CPU]}[name]
        bad(name, "-m", path("absent"), *more, says="absent")
        bad(name, "-m", WORK, *more, says="config.json")
        bad(name, "-m", os.path.join(MODELS, "gsa-hybrid"), *more, says="attn")
        bad(name, "-m", os.path.join(MODELS, "gsa-attnres"), *more, says="attnres_block_size")
    weights = read(os.path.join(TINY, "model.safetensors"))
    folder = copy_model("broken")

    def broken(data, **more):
        write("broken/model.safetensors", data)
        bad("run", "-m", folder, *run, **more)
        bad("inspect", "-m", folder, **more)
    broken(weights[:-1000], says="model.safetensors")
    broken(weights[:6], says="model.safetensors")
    broken(b"", says="model.safetensors")
    broken(struct.pack("<Q", 1 << 62) + weights[8:], says="model.safetensors")
    broken(weights[:8] + b"x" + weights[9:], says="model.safetensors")
    os.remove(os.path.join(folder, "model.safetensors"))
    bad("run", "-m", folder, *run, says="model.safetensors")


def test_missing_and_misshapen_tensors():
    folder = copy_model("tensors")
    file = os.path.join(folder, "model.safetensors")
    header, body = read_safetensors(os.path.join(TINY, "model.safetensors"))
    name = "model.layers.1.attn.f_proj.weight"
    begin, end = header[name]["data_offsets"]
    kept = {k: dict(v) for k, v in header.items() if k != name}
    for t in kept.values():
        t["data_offsets"] = [at - (end - begin) if at >= end else at for at in t["data_offsets"]]
    write_safetensors(file, kept, body[:begin] + body[end:])
    bad("run", "-m", folder, "--tokens", "1", "--ids", *CPU, says=name)
    write_safetensors(file, {**header, name: {**header[name], "shape": header[name]["shape"][::-1]}}, body)
    bad("run", "-m", folder, "--tokens", "1", "--ids", *CPU, says=name)
    write_safetensors(file, {**header, name: {**header[name], "data_offsets": [begin, end + 4]}}, body)
    bad("run", "-m", folder, "--tokens", "1", "--ids", *CPU, says=name)


def test_broken_configs():
    folder = copy_model("configs")
    config = json.loads(read(os.path.join(TINY, "config.json")))
    for change, word in ({"hidden_act": "gelu"}, "gelu"), ({"hidden_size": -1}, "hidden_size"), ({"num_slots": 1e9}, "num_slots"), \
            ({"model_type": "llama"}, "llama"):
        write("configs/config.json", json.dumps({**config, **change}).encode())
        bad("run", "-m", folder, "--tokens", "1", "--ids", *CPU, says=word)
    write("configs/config.json", b'{"model_type": "gsa",')
    bad("run", "-m", folder, "--tokens", "1", "--ids", *CPU, says="config.json")


def test_tokenizers_absent_broken_and_of_another_model():
    folder = copy_model("tokenizers")
    file = os.path.join(folder, "tokenizer.json")
    write("tokenizers/tokenizer.json", b"{")
    bad("tokenize", "-m", folder, "x", says="tokenizer.json")
    bad("run", "-m", folder, "-p", "x", *CPU, says="tokenizer.json")
    write("tokenizers/tokenizer.json", b'{"model": {"type": "Unigram"}}')
    bad("tokenize", "-m", folder, "x", says="Unigram")
    os.remove(file)
    bad("tokenize", "-m", folder, "x", says="tokenizer.json")
    bad("run", "-m", folder, "-p", "x", *CPU, says=["tokenizer.json", "--tokens"])
    bad("run", "-m", folder, "--tokens", "1", *CPU, says=["tokenizer.json", "--ids"])
    assert len(numbers(good("run", "-m", folder, "--tokens", "1", "-n", "3", "--ids", *CPU))) == 3
    assert b"none" in good("inspect", "-m", folder)
    other = copy_model("other", GQA)
    write("other/tokenizer.json", read(os.path.join(TINY, "tokenizer.json")))
    bad("run", "-m", other, "-p", "Once upon a time, there was", *CPU, says=["tokenizer.json", "vocabulary"])
    assert b"WARNING" in good("inspect", "-m", other)


def test_no_vulkan_is_said_and_cpu_still_works():
    for args in (["devices"], ["devices", "-d", "0"], ["verify"], ["run", "-m", TINY, "--tokens", "1", "--ids"],
                 ["logits", "-m", TINY, "--tokens", "1", "-o", path("never")], ["bench", "-m", TINY], ["devices", "--json"]):
        bad(*args, env=NO_VULKAN, says="cpu")
    assert len(numbers(good("run", "-m", TINY, "--tokens", "1", "-n", "2", "--ids", *CPU, env=NO_VULKAN))) == 2
    good("inspect", "-m", TINY, env=NO_VULKAN)
    assert b"CPU reference" in good("devices", *CPU, env=NO_VULKAN)


def test_bad_mask_is_refused():
    for mask in "frobnication", "range=many", "coopmat,,":
        bad("run", "-m", TINY, "--tokens", "1", "--ids", *CPU, "--mask", mask, says=mask.split("=")[0].split(",")[0])


def test_inspect():
    text = good("inspect", "-m", TINY).decode()
    assert "model.layers.1.mlp.up_proj.weight" in text and "memory plan" in text and "1000" in text
    for args in (["-m", TINY], ["-m", os.path.join(MODELS, "gsa-bf16-sharded"), "--slots", "3"], ["--synthetic", "1.3b"], ["-m", TINY, *CPU]):
        j = json.loads(good("inspect", "--json", *args))
        plan = j["memory_plan"]
        assert plan["device_bytes"] == plan["weight_bytes"] + plan["prompt_weight_bytes"] + plan["arena_bytes"] + plan["scratch_bytes"]
        assert sum(t["bytes"] for t in j["tensors"]) == j["model"]["weight_bytes"]
        assert plan["load_bytes"] > 0 or "-d" in args
        if "-d" not in args:
            assert plan["arena_bytes"] >= j["model"]["state_bytes"] * plan["slots"] > 0
    assert "tensors" not in json.loads(good("inspect", "--json", "-m", TINY, "--no-tensors"))
    j = json.loads(good("inspect", "--json", "-m", TINY))["tokenizer"]
    assert j["kind"] == "BPE with byte fallback" and j["bos_id"] == 1 and j["eos_id"] == -1 and j["fits"]
    assert {"id": 1, "text": "<s>"} in j["special_tokens"] and len(j["special_tokens"]) == j["special"]
    assert "byte-level BPE" in good("inspect", "-m", GQA).decode()
    assert "BPE with byte fallback" in text and "puts token <s> before and nothing behind" in text and "1 <s>" in text
    bad("inspect", "--synthetic", "9b", says="9b")
    bad("inspect", "--synthetic", "1.3b", "--type", "f64", says="f64")


def test_states_of_f16():
    full, half = (json.loads(good("inspect", "--json", "--synthetic", "1.3b", "--state", t)) for t in ("f32", "f16"))
    assert full["model"]["state_type"] == "f32" and half["model"]["state_type"] == "f16"
    assert full["model"]["state_bytes"] == 2 * half["model"]["state_bytes"] == 24 << 20
    assert full["memory_plan"]["arena_bytes"] == 2 * half["memory_plan"]["arena_bytes"]
    ids = "5 6 7 8 9"
    for form in ["--slice", 1], []:
        a, b = path("full.f32"), path("half.f32")
        good("logits", "-m", TINY, "--tokens", ids, "-o", a, *form, *CPU)
        good("logits", "-m", TINY, "--tokens", ids, "-o", b, *form, *CPU, "--state", "f16")
        # rounded where calls end: tokens of one call do not see it
        assert len(read(a)) == len(read(b)) and (read(a) == read(b)) == (not form)
    bad("run", "-m", TINY, "--tokens", "1", "--ids", *CPU, "--state", "f17", code=2, says="f32 or f16")


def gguf(name, keys, tensors=()):
    """A GGUF file. keys: (key, value); tensors: (name, type, dims innermost first, bytes)."""
    def text(t): return struct.pack("<Q", len(t.encode())) + t.encode()

    def value(v):
        if isinstance(v, bool): return 7, struct.pack("<B", v)
        if isinstance(v, int): return 4, struct.pack("<I", v)
        if isinstance(v, float): return 6, struct.pack("<f", v)
        if isinstance(v, str): return 8, text(v)
        kind = value(v[0])[0]
        return 9, struct.pack("<IQ", kind, len(v)) + b"".join(value(x)[1] for x in v)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for k, v in keys:
        kind, data = value(v)
        head += text(k) + struct.pack("<I", kind) + data
    body = b""
    for n, kind, dims, data in tensors:
        head += text(n) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(body))
        body += data + bytes(-len(data) % 32)
    with open(path(name), "wb") as f:
        f.write(head + bytes(-len(head) % 32) + body)
    return path(name)


OTHER = [("general.architecture", "llama"), ("general.name", "some\x1b[2Jmodel"), ("llama.block_count", 1), ("llama.rope", 0.5),
         ("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "gpt-2"),
         ("tokenizer.ggml.tokens", ["a", "b", "ab", "\u0120", "<end>", "c", "d", "e"]),
         ("tokenizer.ggml.merges", ["a b"]), ("tokenizer.ggml.eos_token_id", 4)]


def test_gguf_files_of_other_architectures():
    f = gguf("other.gguf", OTHER, [("blk.0.w", 6, [32, 2], bytes(44)), ("odd", 200, [3], b"")])
    text = good("inspect", "-m", f).decode()
    for part in "architecture llama (cannot be run", "llama.rope", "0.5", "8 x string [\"a\", \"b\"", "blk.0.w", "Q5_0", "2 x 32", "type 200":
        assert part in text, (part, text)
    assert "\x1b" not in text and "..." in text
    j = json.loads(good("inspect", "--json", "-m", f))
    assert j["file"]["architecture"] == "llama" and j["file"]["runs_here"] is False and j["file"]["tokenizer"] is True
    assert j["metadata"]["llama.block_count"] == 1 and j["metadata"]["tokenizer.ggml.merges"] == ["a b"]
    assert [t["name"] for t in j["tensors"]] == ["blk.0.w", "odd"] and j["tensors"][0]["shape"] == [2, 32]
    assert "tensors" not in json.loads(good("inspect", "--json", "-m", f, "--no-tensors"))
    assert good("tokenize", "-m", f, "ab a") == b"2 3 0\n"
    assert good("detokenize", "-m", f, "2", "3", "0", "4") == b"ab a<end>"
    bad("run", "-m", f, "--tokens", "0", "--ids", *CPU, says=["other.gguf", "\"llama\"", "inspect, tokenize"])
    bad("logits", "-m", f, "--tokens", "0", "-o", path("never"), *CPU, says="\"llama\"")


def test_gguf_files_that_are_broken():
    f = gguf("fine.gguf", OTHER)
    data = open(f, "rb").read()
    for n in 0, 3, 20, 200:
        broken = path("broken.gguf")
        open(broken, "wb").write(data[:n])
        for name in "inspect", "tokenize":
            bad(name, "-m", broken, *(["x"] if name == "tokenize" else []), says="broken.gguf")
    open(broken, "wb").write(data[:4] + struct.pack("<I", 2) + data[8:])
    bad("inspect", "-m", broken, says=["version 2", "version 3"])
    bad("tokenize", "-m", gguf("bare.gguf", OTHER[:4]), "x", says="no tokenizer")
    bad("tokenize", "-m", gguf("rule.gguf", OTHER[:5] + [("tokenizer.ggml.pre", "gpt-4o")] + OTHER[6:]), "x", says="gpt-4o")


def test_bench_on_the_reference():
    base = ["bench", "-m", TINY, "--quick", "--prefill", "8,16", "-n", "4", *CPU]
    rows = [json.loads(line) for line in good(*base, "--json").splitlines()]
    assert {"prefill", "decode", "first_token", "fork", "restore", "save"} <= {r["measure"] for r in rows}
    for r in rows:
        assert r["schema_version"] == 2 and r["valid"] is True and r["validity"]["verdict"] == "pass"
        assert r["median"] >= 0 and r["n"] >= 1 and r["model"]["type"] == "f32" and r["gpu_median"] is None
        assert len(r["model"]["hash"]) == 16 and r["memory"]["process_peak_bytes_after_load"] > 1e6
        assert r["ceilings"] == {"read_bandwidth_bytes_per_second": None, "f16_matrix_flops_per_second": None, "matrix_rates": []}
        assert r["min"] <= r["median"] <= r["max"] and r["op"] is None
    assert [r["tokens"] for r in rows if r["measure"] == "prefill"] == [8, 16]
    assert len(good(*base, "--csv").splitlines()) == len(rows) + 1
    assert good(*base, "--md").count(b"\n|") == len(rows) + 2
    assert b"valid" in good(*base) and b"INVALID" not in good(*base)
    bad(*base, "--csv", "--md", code=2)
    bad(*base, "--profile", says="no times")
    bad(*base, "--profile", "--md", code=2)
    lists = [json.loads(line) for line in good(*base, "--context", "0,5", "--batch", "1,3", "--prompts", "2x3,1x9", "--json").splitlines()]
    assert [r["context"] for r in lists if r["measure"] == "decode"] == [0, 5]
    assert [r["batch"] for r in lists if r["measure"] == "decode_batch"] == [1, 3]
    assert [(r["batch"], r["tokens"]) for r in lists if r["measure"] == "prefill_batch"] == [(2, 3), (1, 9)]
    assert len({r["model"]["hash"] for r in rows + lists}) == 1 and lists[0]["model"]["hash"] != "0" * 16
    r = start(*base, "--crossover", "--lengths", "7,2", "--json")
    assert [r["tokens"] for r in map(json.loads, r.stdout.splitlines()) if r["measure"] == "prompt_gain"] == [7, 2]
    r = start(*base, "--crossover", "--json")
    gains = [r for r in map(json.loads, r.stdout.splitlines()) if r["measure"] == "prompt_gain"]
    slower = [str(g["tokens"]) for g in gains if g["median"] < 1]
    assert len(gains) == 14 and r.returncode == (1 if slower else 0)
    assert not slower or ", ".join(slower).encode() in r.stderr, r.stderr
    for wrong in (["--prefill", "0"], ["--prefill", "1,,x"], ["--context", "-1"], ["--batch", "257"], ["--batch", "0"], ["--reps", "0"],
                  ["--prompts", "8"], ["--prompts", "0x5"], ["--prompts", "2x3,"], ["--prompts", "2x3x4"], ["--prompts", "999x5"],
                  ["--op", "attention"], ["--tokens", "5"], ["--lengths", "5"], ["--crossover", "--lengths", "1"], ["--op", "gsa", "--shape", "1,2,3"], ["--op", "gsa", "--tokens", "0"],
                  ["--prefill", ",".join(["1"] * 17)], ["--synthetic", "7b"]):
        bad("bench", "-m", TINY, *wrong, *CPU, code=2)
    bad("bench", *CPU, code=2, says="--op")
    bad(*base, "--record", "/nonexistent/x", says="/nonexistent/x")
    bad("bench", "--op", "gsa", "--profile", *CPU, code=2)
    bad("bench", "--op", "gsa", *CPU, says="runs no kernels")


def test_verify_of_the_reference():
    assert b"CPU reference" in good("verify", *CPU)


def test_convert():
    out = path("converted.gguf")
    logits = ["--tokens", "1,2,3,4,5,6,7,8", *CPU]
    text = good("convert", "-m", TINY, "-o", out, "--type", "f32", "--tensors").decode()
    assert "blk.1.ffn_down.weight" in text and "read back and compared" in text
    good("logits", "-m", TINY, "-o", path("a.f32"), *logits)
    good("logits", "-m", out, "-o", path("b.f32"), *logits)
    assert read(path("a.f32")) == read(path("b.f32"))
    assert good("tokenize", "-m", out, "Once upon") == good("tokenize", "-m", TINY, "Once upon")
    first = read(out)
    j = json.loads(good("convert", "-m", out, "-o", path("small.gguf"), "-t", "q4_0", "--threads", "3", "--json",
                        "--override", "blk.*.attn_slot_gate*=q8_0"))
    assert j["checked"] and j["n_tensors"] == 25 and j["file_bytes"] == len(read(path("small.gguf")))
    gates = [t for t in j["tensors"] if "slot_gate" in t["name"]]
    assert len(gates) == 2 and all(t["type"] == "q8_0" and t["why"] == "override" for t in gates)
    assert sum(t["parameters"] for t in j["types"]) == j["parameters"]
    bad("convert", "-m", out, code=2, says="-o")
    bad("convert", "-o", out, code=2, says="-m")
    bad("convert", "-m", TINY, "-o", out, "--override", "q8_0", code=2, says="PATTERN=TYPE")
    bad("convert", "-m", TINY, "-o", out, "--type", "q5_0", says=["q5_0", "q4_k"])
    bad("convert", "-m", TINY, "-o", out, "--override", "blk.7.*=f16", says="blk.7.*")
    bad("convert", "-m", path("nothing"), "-o", out, says="nothing")
    bad("convert", "-m", TINY, "-o", path("no/such/folder.gguf"), says="no/such")
    assert read(out) == first


def test_inspect_writes_a_tensor():
    good("inspect", "-m", TINY, "--tensor", "model.norm.weight", "-o", path("norm.f32"))
    header, body = read_safetensors(os.path.join(TINY, "model.safetensors"))
    begin, end = header["model.norm.weight"]["data_offsets"]
    assert read(path("norm.f32")) == body[begin:end]
    bad("inspect", "-m", TINY, "--tensor", "norm", "-o", path("none.f32"), says="norm")
    assert not os.path.exists(path("none.f32"))
    bad("inspect", "-m", TINY, "--tensor", "model.norm.weight", code=2, says="-o")


if __name__ == "__main__":
    run_tests(globals())
