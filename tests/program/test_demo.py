#!/usr/bin/env python3
"""The bundled model on the test device: the demo's replies, and recall as eval measures it."""
import json

from harness import *

DEVICE = device_options()
MODEL = os.path.join(DATA, "..", "..", "models", "innkeeper.gguf")


def replies(text, *options):
    return good("demo", "--script", "-", "-q", *options, *DEVICE, stdin=text.encode()).decode()


def test_demo_remembers_and_follows_changes():
    out = replies("My name is Mara. The red key is under the barrel.\nWhere is the red key?\n"
                  "The red key is in the attic now.\nWhere is the red key?\nWhat is my name?\n")
    lines = out.splitlines()
    assert lines[0].startswith("> ") and len(lines) == 10, out
    assert lines[3] == "The red key is under the barrel." and lines[7] == "The red key is in the attic.", out
    assert lines[9] == "Your name is Mara.", out


def test_demo_does_not_know_what_it_was_not_told():
    out = replies("Tom owes me four coins.\nWhere does Tom come from?\nWhat is the capital of Harrow?\n").splitlines()
    assert out[3] == "I don't know where Tom comes from." and "beyond" in out[5], out


def test_demo_facts_asks_about_everything_and_leaves_no_trace():
    text = "Tom owes me four coins and Anna is a baker.\n/facts\nWhat is Anna's trade?\n/quit\n"
    out = good("demo", "--no-scene", "-q", *DEVICE, stdin=text.encode()).decode()
    assert "Tom owes you four coins." in out and out.count("Anna is a baker.") == 2, out
    plain = good("demo", "--no-scene", "-q", *DEVICE, stdin=text.replace("/facts\n", "").encode()).decode()
    assert plain.splitlines()[-1] == out.splitlines()[-1], (plain, out)


def test_demo_needs_the_right_model():
    bad("demo", "-m", TINY, "--script", "-", *DEVICE, says="innkeeper")
    bad("demo", "--json", says="--json", code=2)


def test_eval_recall_counts_and_repeats():
    base = ["eval", "recall", "-m", MODEL, "--facts", "2", "--tokens", "64", "--pairs", "4", "--rows", "3", "--questions", "4",
            "-q", *DEVICE]
    svg = os.path.join(WORK, "recall.svg")
    j = json.loads(good(*base, "--json", "--svg", svg))
    talk, pairs = j["points"]
    assert talk["all"]["asked"] == 12 == sum(talk[k]["asked"] for k in ("known", "changed", "unknown", "yes_no"))
    assert pairs["task"] == "pairs" and pairs["all"]["asked"] == 12
    assert talk["all"]["right"] >= 9 and pairs["all"]["right"] >= 5, j
    assert read(svg).startswith(b"<svg") and read(svg).rstrip().endswith(b"</svg>")
    again = json.loads(good(*base, "--json", "--sessions", "2"))
    assert again["points"] == j["points"]


def test_eval_mistakes():
    bad("eval", "-m", MODEL, says="recall", code=2)
    bad("eval", "memory", "-m", MODEL, says="memory", code=2)
    bad("eval", "recall", "-m", MODEL, "--facts", "0", says="--facts", code=2)
    bad("eval", "recall", "-m", TINY, *DEVICE, says="innkeeper")


if __name__ == "__main__":
    probe = start("devices", *DEVICE)
    if probe.returncode:
        print("1..0 # SKIP " + probe.stderr.decode(errors="replace").strip().removeprefix("gsa-vk: "))
    else:
        run_tests(globals())
