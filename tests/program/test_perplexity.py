#!/usr/bin/env python3
"""gsa-vk perplexity against sums made here from the logits of gsa-vk logits; on the CPU reference, and the test device."""
import json
import math
import subprocess

from harness import *

DEVICE = device_options()
TEXT = b"Once upon a time there was a key.\nIt lay under the stone, and nobody knew.\n" * 4


def softmax_logs(row):
    most = max(row)
    total = math.log(sum(math.exp(x - most) for x in row)) + most
    return [x - total for x in row]


def logits_of(model, ids, device=CPU):
    data = floats(good("logits", "-m", model, "--tokens", joined(ids), "-o", "-", *device))
    n = len(data) // len(ids)
    return [data[i * n:(i + 1) * n] for i in range(len(ids))]


def nlls(model, bos, ids, context=None):
    """Of every token, in windows that begin with bos."""
    out = []
    for at in range(0, len(ids), context or len(ids)):
        window = bos + ids[at:at + (context or len(ids))]
        rows = logits_of(model, window)
        out += [-softmax_logs(rows[i])[window[i + 1]] for i in range(len(window) - 1)]
    return out


def perplexity(*args, **more):
    return json.loads(good("perplexity", "--json", *args, **more))


def near(a, b, relative=1e-5):
    assert abs(a - b) <= relative * abs(b) + 1e-12, (a, b)


def test_one_pass_is_the_mean_over_all_tokens():
    file = write("text.txt", TEXT)
    ids = numbers(good("tokenize", "-m", TINY, "--no-bos", stdin=TEXT))
    want = nlls(TINY, [1], ids)
    got = perplexity("-m", TINY, "-f", file, *CPU)
    assert got["tokens"] == len(ids) == len(want) and got["context"] is None and got["against"] is None
    near(got["mean_nll"], sum(want) / len(want))
    near(got["perplexity"], math.exp(sum(want) / len(want)))
    near(got["bits_per_byte"], sum(want) / math.log(2) / len(TEXT))
    mean = sum(want) / len(want)
    near(got["standard_error"], math.sqrt(sum((x - mean) ** 2 for x in want) / (len(want) - 1) / len(want)))
    piped = perplexity("-m", TINY, "-f", "-", *CPU, stdin=TEXT)
    assert piped["mean_nll"] == got["mean_nll"]
    text = good("perplexity", "-m", TINY, "-f", file, *CPU).decode()
    assert "one pass" in text and "perplexity" in text and "bits per byte" in text


def test_windows_forget():
    file = write("text.txt", TEXT)
    ids = numbers(good("tokenize", "-m", TINY, "--no-bos", stdin=TEXT))
    for context in 7, 64, 100:
        got = perplexity("-m", TINY, "-f", file, "--context", context, *CPU)
        want = nlls(TINY, [1], ids, context)
        assert got["tokens"] == len(want) == len(ids) and got["context"] == context
        near(got["mean_nll"], sum(want) / len(want))
    got = perplexity("-m", TINY, "-f", file, "--context", 7, "--no-bos", *CPU)
    want = nlls(TINY, [], ids, 7)
    assert got["tokens"] == len(want) < len(ids)
    near(got["mean_nll"], sum(want) / len(want))


def test_token_files_and_limits():
    ids = list(golden(TINY, "p37.ids"))
    file = write("ids.txt", "\n".join(map(str, ids)).encode())
    got = perplexity("-m", TINY, "--tokens-file", file, *CPU)
    want = nlls(TINY, [], ids)
    assert got["tokens"] == 36 and got["bits_per_byte"] is None
    near(got["mean_nll"], sum(want) / len(want))
    got = perplexity("-m", TINY, "--tokens-file", file, "-n", 10, *CPU)
    assert got["tokens"] == 9
    near(got["mean_nll"], sum(want[:9]) / 9)


def test_long_files_in_pieces_take_constant_memory():
    """Few ids in much white space: one number lies across the border of two pieces of 4 MiB."""
    piece = 4 << 20
    want = perplexity("-m", TINY, "--tokens-file", write("short.txt", b"5 123 7 9"), *CPU)
    for at in 0, 1, 2, 3:
        data = b"5".ljust(piece - at, b"\n") + b"123 7 9" + b"\n" * (6 * piece)
        got = perplexity("-m", TINY, "--tokens-file", write("long.txt", data), *CPU)
        assert got["tokens"] == 3 and got["mean_nll"] == want["mean_nll"], at
    p = subprocess.Popen(command("perplexity", "-m", TINY, "--tokens-file", "-", "-q", *CPU), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, env=environment())
    peaks = []
    for ids in b"5 6", b"", b"7", b"8":
        p.stdin.write(ids + b"\n" * (8 * piece))
        p.stdin.flush()
        with open(f"/proc/{p.pid}/status") as f:
            peaks.append(next(int(line.split()[1]) for line in f if line.startswith("VmHWM")))
    out, _ = p.communicate(timeout=60)
    assert p.returncode == 0 and b"3 scored" in out, out
    assert peaks[-1] < peaks[0] + 8192, peaks


def test_against_another_model():
    file = write("text.txt", TEXT)
    same = perplexity("-m", TINY, "-f", file, "--against", TINY, *CPU)
    assert same["against"]["mean_kl"] == 0 and same["against"]["same_first_choice"] == 1
    assert same["against"]["perplexity"] == same["perplexity"]
    folder = copy_model("changed")
    header, body = read_safetensors(os.path.join(TINY, "model.safetensors"))
    begin, _ = header["lm_head.weight"]["data_offsets"] if "lm_head.weight" in header else \
        header["model.embeddings.weight"]["data_offsets"]
    body = bytearray(body)
    for i in range(64):  # one row of the head doubled
        at = begin + 4 * (64 * 300 + i)
        body[at:at + 4] = struct.pack("<f", 2 * struct.unpack("<f", body[at:at + 4])[0])
    write_safetensors(os.path.join(folder, "model.safetensors"), header, bytes(body))
    ids = [1] + numbers(good("tokenize", "-m", TINY, "--no-bos", stdin=TEXT))
    kl = same_choice = 0
    for p, q in zip(logits_of(TINY, ids[:-1]), logits_of(folder, ids[:-1])):
        p, q = softmax_logs(p), softmax_logs(q)
        kl += sum(math.exp(a) * (a - b) for a, b in zip(p, q))
        same_choice += p.index(max(p)) == q.index(max(q))
    got = perplexity("-m", folder, "-f", file, "--against", TINY, *CPU)["against"]
    near(got["mean_kl"], kl / (len(ids) - 1), 1e-3)
    near(got["same_first_choice"], same_choice / (len(ids) - 1))
    assert got["max_kl"] >= got["mean_kl"] > 0 and got["perplexity"] == same["perplexity"]
    bad("perplexity", "-m", TINY, "-f", file, "--against", GQA, *CPU, says="vocabulary")


def test_a_quantised_file_against_what_it_was_made_from():
    file, made = write("text.txt", TEXT), path("q8.gguf")
    good("convert", "-m", TINY, "--type", "q8_0", "-o", made, "-q")
    got = perplexity("-m", made, "-f", file, "--against", TINY, *CPU)
    assert 0 < got["against"]["mean_kl"] < 1e-2 and got["against"]["same_first_choice"] > 0.9, got
    near(got["perplexity"], got["against"]["perplexity"], 0.05)


def test_states_of_f16_against_f32():
    file = write("text.txt", TEXT * 2)
    got = perplexity("-m", TINY, "-f", file, "--state", "f16", "--against", TINY, *CPU)
    assert 0 < got["against"]["mean_kl"] < 1e-5 and got["perplexity"] != got["against"]["perplexity"], got


def test_mistakes():
    bad("perplexity", "-m", TINY, code=2, says="--tokens-file")
    bad("perplexity", "-m", TINY, "-f", path("absent"), *CPU, says="absent")
    bad("perplexity", "-m", TINY, "-f", write("none.txt", b""), *CPU, says="no token")
    bad("perplexity", "-m", TINY, "--tokens-file", write("one.txt", b"5"), *CPU, says="no token")
    bad("perplexity", "-m", TINY, "--tokens-file", write("big.txt", b"5 1000"), *CPU, says="1000")
    bad("perplexity", "-m", TINY, "--tokens-file", write("word.txt", b"5 x"), *CPU, says="x")
    bad("perplexity", "-m", TINY, "--tokens-file", write("minus.txt", b"5 -1"), *CPU, says="-1")
    bad("perplexity", "-m", TINY, "-f", write("x.txt", b"x"), "--against", path("nowhere"), *CPU, says="nowhere")


def test_the_device_agrees_with_the_reference():
    file = write("text.txt", TEXT)
    if start("devices", *DEVICE).returncode:
        return
    for more in [], ["--context", "50"]:
        got = perplexity("-m", TINY, "-f", file, "-n", 80, *more, *DEVICE)
        want = perplexity("-m", TINY, "-f", file, "-n", 80, *more, *CPU)
        assert got["tokens"] == want["tokens"]
        near(got["perplexity"], want["perplexity"], 1e-4)


if __name__ == "__main__":
    run_tests(globals())
