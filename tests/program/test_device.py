#!/usr/bin/env python3
"""The program on the test device. Without one, it skips."""
import json
import os
import signal
import subprocess
import time

from harness import *

DEVICE = device_options()


def test_devices_first_line_names_the_best():
    first = good("devices").decode().splitlines()[0]
    assert first.startswith("best device: "), first
    j = json.loads(good("devices", "--json"))
    best = next(d for d in j["devices"] if d["index"] == j["best"])
    assert best["name"] in first and best["usable"]
    assert "limits" not in best


def test_devices_shows_limits_capabilities_and_kernels():
    if DEVICE[:2] == ["-d", "cpu"]:
        return
    select = DEVICE if "-d" in DEVICE else ["-d", "0", *DEVICE]
    text = good("devices", *select).decode()
    for word in "limits", "capabilities", "kernels", "max_range_bytes", "gsa_step_k", "subgroup":
        assert word in text, word
    d = json.loads(good("devices", *select, "--json"))["devices"][0]
    assert set(d["capabilities"].values()) <= {"yes", "no", "masked"} and d["variants"] and d["limits"]
    everything = json.loads(good("devices", "--all", "--json"))["devices"]
    assert all("limits" in d for d in everything if d["usable"])
    masked = json.loads(good("devices", "-d", str(d["index"]), "--mask", "minimum", "--json"))["devices"][0]
    assert "yes" not in masked["capabilities"].values(), masked["capabilities"]


def test_bad_selection_and_mask():
    bad("devices", "-d", "no such device", says="no such device")
    bad("run", "-m", TINY, "--tokens", "1", "--ids", "-d", "99", says="99")
    bad("run", "-m", TINY, "--tokens", "1", "--ids", "--mask", "frobnication", says="frobnication")


def test_run_ids_match_goldens():
    for model in TINY, GQA:
        ids, want = golden(model, "p1.ids"), list(golden(model, "p1.greedy_ids"))
        n = 64 if golden(model, "p1.greedy_gap")[0] > 1e-3 else 1
        got = numbers(good("run", "-m", model, "--tokens", joined(ids), "-n", "64", "--temp", "0", "--ids", *DEVICE))
        assert len(got) == 64 and got[:n] == want[:n], (model, got, want)


def test_run_text_and_stats():
    r = start("run", "-m", TINY, "-p", "Once upon a time", "-n", "12", "--seed", "3", *DEVICE)
    assert r.returncode == 0 and r.stdout.endswith(b"\n") and r.stderr.count(b"\n") == 1, r.stderr
    assert r.stdout == good("run", "-m", TINY, "-p", "Once upon a time", "-n", "12", "--seed", "3", "-q", *DEVICE)


def test_logits_match_goldens():
    ids, want = golden(GQA, "p37.ids"), golden(GQA, "p37.logits")
    for more in [], ["--slice", "7"]:
        out = good("logits", "-m", GQA, "--tokens", joined(ids), "-o", "-", *more, *DEVICE)
        assert error(floats(out), want) < 1e-4, more


def test_state_files_continue_as_if_never_left():
    base = ["run", "-m", TINY, "--ids", *DEVICE]
    rules = ["--seed", "5", "--repeat-penalty", "1.3"]
    whole = numbers(good(*base, "--tokens", "7,8,9", "-n", "30", *rules))
    first = numbers(good(*base, "--tokens", "7,8,9", "-n", "11", *rules, "--save", path("a.state")))
    assert first + numbers(good(*base, "--load", path("a.state"), "-n", "19")) == whole


def test_pipeline_cache_is_kept_and_never_trusted():
    if DEVICE[:2] == ["-d", "cpu"]:
        return
    run = ["run", "-m", TINY, "--tokens", "1", "-n", "2", "--temp", "0", "--ids", *DEVICE]
    folder = path("own cache/below")
    env = {"GSA_VK_CACHE_DIR": folder}
    want = good(*run, "--no-cache", env=env)
    assert not os.path.exists(folder)
    assert good(*run, env=env) == want
    files = os.listdir(folder)
    assert len(files) == 1 and files[0].startswith("pipelines-"), files
    file = os.path.join(folder, files[0])
    data = read(file)
    for broken in b"", b"x" * 5000, data[:-3], data[:20] + bytes(20) + data[40:]:
        with open(file, "wb") as f:
            f.write(broken)
        assert good(*run, env=env) == want
    assert os.listdir(folder) == files
    for place in "/dev/null/x", "/proc/nowhere":
        r = start(*run, "-q", env={"GSA_VK_CACHE_DIR": place})
        assert r.returncode == 0 and r.stdout == want and r.stderr == b"", r.stderr


def test_inspect_plans_for_the_device():
    plan = json.loads(good("inspect", "-m", TINY, "--json", *DEVICE))["memory_plan"]
    assert plan["device_bytes"] == plan["weight_bytes"] + plan["prompt_weight_bytes"] + plan["arena_bytes"] + plan["scratch_bytes"] > 0


def test_bench_profile_and_cold_start():
    if DEVICE[:2] == ["-d", "cpu"]:
        return
    base = ["bench", "-m", TINY, "--quick", "--prefill", "16", "-n", "4", "--no-verify", *DEVICE]
    r = start(*base, "--profile", "--json")
    if r.returncode == 0:  # there are devices without timestamps
        decode, prefill = [json.loads(line) for line in r.stdout.splitlines()]
        assert decode["measure"] == "decode" and prefill["tokens_per_step"] == 16
        for p in decode, prefill:
            assert abs(sum(c["share"] for c in p["calls"]) - 1) < 1e-6
            assert any(c["call"].startswith("gsa_") for c in p["calls"]), p
        assert b"us a step" in good(*base, "--profile")
    else:
        assert b"no times" in r.stderr, r.stderr
    rows = [json.loads(line) for line in good(*base, "--cold", "--json").splitlines()]
    assert {"load_cold", "pipelines_cold", "pipelines_warm", "load_model"} <= {r["measure"] for r in rows}
    assert rows[0]["startup"]["pipeline_cache_fitted"] is True and rows[0]["startup"]["pipelines"] > 10
    assert rows[0]["memory"]["device_bytes"] == sum(rows[0]["memory"][k] for k in ("weight_bytes", "prompt_weight_bytes", "arena_bytes", "scratch_bytes"))


def test_bench_without_proof_is_invalid():
    if DEVICE[:2] == ["-d", "cpu"]:
        return
    base = ["bench", "-m", TINY, "--quick", "--prefill", "16", "-n", "4", "--no-verify", *DEVICE]
    rows = [json.loads(line) for line in good(*base, "--json").splitlines()]
    assert rows and not any(r["valid"] for r in rows) and rows[0]["validity"]["verdict"] == "not run"
    assert rows[0]["device"]["variants"] and rows[0]["ceilings"]["read_bandwidth_bytes_per_second"] > 0
    decode = next(r for r in rows if r["measure"] == "decode")
    assert 0 < decode["fraction_of_read_bandwidth"] < 1 and decode["median"] > 0
    assert 0 < decode["fraction_of_matrix_rate"] < 10 and decode["min"] <= decode["median"] <= decode["max"]
    assert rows[0]["ceilings"]["matrix_rates"][0]["kernel"].startswith("matmul") and len(rows[0]["model"]["hash"]) == 16
    record = path("bench.jsonl")
    lines = good(*base, "--record", record).decode().splitlines()
    assert sum(line.endswith("INVALID") for line in lines) == len(rows)
    written = [json.loads(line) for line in read(record).splitlines()]  # of a run with a warm cache
    assert [r["measure"].split("_cold")[0].split("_warm")[0] for r in written] == [r["measure"].split("_cold")[0].split("_warm")[0] for r in rows]
    bad(*base, "--profile", "--record", record, code=2)


def test_bench_of_the_recurrence_alone():
    if DEVICE[:2] == ["-d", "cpu"]:
        return
    base = ["bench", "--op", "gsa", "--shape", "2,1,32,32,16", "--tokens", "1,5,70", "--reps", "2", *DEVICE]
    rows = [json.loads(line) for line in good(*base, "--json").splitlines()]
    alone = [r for r in rows if r["measure"] == "gsa"]
    assert [r["tokens"] for r in alone] == [1, 5, 70]
    for r in alone:
        assert r["valid"] and r["model"] is None and r["op"]["M"] == 16 and r["n"] == 2
        assert r["median"] > 0 and 0 < r["error"] < 5e-3, r


def test_bench_stops_at_ctrl_c():
    if DEVICE[:2] == ["-d", "cpu"]:
        return
    p = subprocess.Popen(command("bench", "-m", TINY, "--no-verify", "-n", "1000000", "--prefill", "16", *DEVICE), env=environment(),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(8)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=600)
    assert p.returncode == 1 and out == b"" and err.count(b"\n") == 1, (p.returncode, out, err)


def test_bench_into_a_closed_pipe_fails():
    if DEVICE[:2] == ["-d", "cpu"]:
        return
    with open("/dev/full", "w") as full:
        r = subprocess.run(command("bench", "-m", TINY, "--quick", "--prefill", "9", "-n", "2", "--no-verify", *DEVICE), env=environment(),
                           stdout=full, stderr=subprocess.PIPE)
    assert r.returncode == 1 and r.stderr.count(b"\n") == 1, r


if __name__ == "__main__":
    probe = start("devices", *DEVICE)
    if probe.returncode:
        print("1..0 # SKIP " + probe.stderr.decode(errors="replace").strip().removeprefix("gsa-vk: "))
    else:
        run_tests(globals())
