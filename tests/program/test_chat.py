#!/usr/bin/env python3
"""gsa-vk chat in a pipe, on the CPU reference, and a few turns on the test device."""
import signal
import subprocess

from harness import *

DEVICE = device_options()
PLAIN = ["-m", TINY, "--template", "plain", "--temp", "0"]
START = "Once upon a time"


def chat(*lines, args=(), base=PLAIN, device=CPU):
    """What was printed; stderr as text."""
    r = start("chat", *base, *args, *device, stdin="".join(line + "\n" for line in lines).encode())
    assert r.returncode == 0, r.stderr
    return r.stdout, r.stderr.decode(errors="replace")


def run_text(prompt, n, *more):
    return good("run", "-m", TINY, "-p", prompt, "-n", n, "--temp", "0", *more, *CPU)


def test_a_plain_turn_is_a_run():
    out, err = chat(START, args=["-n", 12])
    assert out == run_text(START, 12), out
    assert "12 tokens" in err and "tok/s" in err and "state" in err and "position" in err
    assert chat(START, args=["-n", 12, "-q"]) == (out, "")
    assert chat(args=["-q"]) == (b"", "") and chat("", "", "/quit", START, args=["-q"]) == (b"", "")
    assert chat(START[:9] + "\\", START[9:], args=["-n", 3])[0] != out
    assert b"Once" not in out and chat("//undo", args=["-n", 3])[0] == run_text("/undo", 3)


def test_a_second_turn_continues_the_first():
    state = path("talk.state")
    out, _ = chat(START, "/save " + state, "and then", args=["-n", 12])
    first = run_text(START, 12)
    assert out.startswith(first)
    again = good("run", "-m", TINY, "--load", state, "-p", "and then", "-n", 12, "--temp", "0", *CPU)
    assert out[len(first):] == again, (out, again)
    assert chat("/load " + state, "and then", args=["-n", 12])[0] == again
    assert chat("and then", args=["-n", 12, "--load", state])[0] == again


def test_undo_reset_and_fork_give_the_same_words():
    one, _ = chat(START, args=["-n", 8])
    two, _ = chat(START, "and then", args=["-n", 8])
    second = two[len(one):]
    assert chat(START, "/undo", START, args=["-n", 8])[0] == one + one
    assert chat(START, "and then", "/undo", "and then", args=["-n", 8])[0] == two + second
    assert chat(START, "and then", "/undo", "/undo", START, args=["-n", 8])[0] == two + one
    assert chat(START, "/reset", START, "/undo", "/undo", "and then", args=["-n", 8])[0] == one + one + second
    out, err = chat(START, "/fork", "something else", "/switch 1", "and then", "/switch 2", "/undo", "and then", args=["-n", 8])
    assert out.startswith(one) and out.endswith(second) and out.count(second) == 2, out
    assert "timeline 2 of 2" in err and "branch 1" in err
    err = chat("/undo", START, "/undo", "/undo", args=["-n", 2])[1]
    assert err.count("nothing to undo") == 2
    err = chat(*[START, "/undo"] * 3, args=["-n", 2, "--undo", "0"])[1]
    assert err.count("nothing to undo") == 3
    err = chat(*["x"] * 5, *["/undo"] * 5, args=["-n", 2, "--undo", "3"])[1]
    assert err.count("taken back") == 3 and err.count("nothing to undo") == 2


def test_a_stop_string_leaves_the_state_before_it():
    ids = numbers(good("run", "-m", TINY, "-p", START, "-n", 24, "--temp", "0", "--ids", *CPU))
    prompt = numbers(good("tokenize", "-m", TINY, START))
    for k in 3, 7, 10:  # the stop string begins with token k and has several
        whole = good("detokenize", "-m", TINY, "--skip-special", joined(prompt + ids)).decode()
        head = good("detokenize", "-m", TINY, "--skip-special", joined(prompt + ids[:k])).decode()
        stop = whole[len(head):len(head) + 5]
        if "\ufffd" in stop or stop in whole[len(START):len(head) + 4]:
            continue
        made = path("stopped.state")
        out, err = chat(START, "/save " + made, args=["-n", 24, "--stop", stop])
        assert out.decode() == head[len(START):] + "\n" and f"position {len(prompt) + k}" in err, (k, out, err)
        want = path("want.state")
        good("run", "-m", TINY, "--tokens", joined(prompt + ids[:k]), "-n", "0", "--save", want, *CPU)
        go_on = ["-p", "x", "-n", "8", "--temp", "0", "--ids", *CPU]
        assert good("run", "-m", TINY, "--load", made, *go_on) == good("run", "-m", TINY, "--load", want, *go_on)
        return
    assert False, "no stop string fits"


def test_a_stop_string_within_a_token_leaves_the_rest_for_the_next_turn():
    ids = numbers(good("run", "-m", TINY, "-p", START, "-n", 24, "--temp", "0", "--ids", *CPU))
    prompt = numbers(good("tokenize", "-m", TINY, START))
    before = good("detokenize", "-m", TINY, "--skip-special", joined(prompt)).decode()
    for k in range(len(ids)):
        after = good("detokenize", "-m", TINY, "--skip-special", joined(prompt + ids[:k + 1])).decode()
        piece = after[len(before):]
        if len(piece) >= 3 and piece.isascii() and piece[1] not in before[len(START):] + piece[0]:
            out, err = chat(START, "/save " + path("cut.state"), args=["-n", 24, "--stop", piece[1]])
            assert out.decode() == before[len(START):] + piece[0] + "\n"
            assert f"position {len(prompt) + k}" in err  # the token is not part of it; its first letter is, once saved
            saved = int(err.split("saved, position ")[1].split()[0])
            assert saved > len(prompt) + k, err
            return
        before = after
    assert False, "no token fits"


def test_template_names_the_turns_and_stops_at_the_next():
    base = ["-m", TINY, "--temp", "0", "-n", "10"]
    out, _ = chat("Hello", base=base)
    want = run_text("User: Hello\nAssistant:", 10)
    assert out == want.lstrip(), (out, want)
    custom, _ = chat("Hello", base=base, args=["--user", "Q: ", "--answer", "\\nA:"])
    assert custom == run_text("Q: Hello\nA:", 10).lstrip()
    before, _ = chat("Hello", base=base, args=["-p", "Once. "])
    assert before == run_text("Once. User: Hello\nAssistant:", 10).lstrip()
    assert chat("Hello", base=base, args=["-f", write("before.txt", b"Once. ")])[0] == before


def test_bad_commands_keep_the_dialog():
    out, err = chat("/load " + path("absent"), "/save", "/save " + path("no/folder"), "/load " + TINY, "/switch 2", "/switch x",
                    "/frobnicate", "/fork", "/fork", "/fork", "/fork", "/help", START, args=["-n", 8])
    assert out == run_text(START, 8)
    for word in "absent", "needs the name", "folder", "/switch needs", "no branch 2", "frobnicate", "4 branches", "/undo":
        assert word in err, word
    broken = path("broken.state")
    chat(START, "/save " + broken, args=["-n", 4])
    write("broken.state", read(broken)[:-3])
    out, err = chat(START, "/load " + broken, "/undo", START, args=["-n", 8])
    assert out == run_text(START, 8) * 2 and "broken.state" in err
    bad("chat", "-m", TINY, "--json", code=2, says="--json")
    bad("chat", "-m", TINY, "--template", "chatml", code=2, says="chatml")
    bad("chat", code=2, says="-m")
    bad("chat", "-m", os.path.join(MODELS, "gsa-misc"), *CPU, says="tokenizer.json")


def test_ctrl_c_stops_the_answer_and_keeps_the_session():
    p = subprocess.Popen(command("chat", *PLAIN, "-n", "100000000", "--ignore-eos", *CPU), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    p.stdin.write(START.encode() + b"\n")
    p.stdin.flush()
    p.stdout.read(10)
    p.send_signal(signal.SIGINT)
    state = path("stopped.state")
    out, err = p.communicate(f"/save {state}\n".encode(), timeout=60)
    assert p.returncode == 0 and b"stopped by Ctrl-C" in err and b"saved, position" in err, (p.returncode, err)
    good("run", "-m", TINY, "--load", state, "-p", "x", "-n", "3", *CPU)


def test_turns_on_the_device():
    if start("devices", *DEVICE).returncode:
        return
    out, err = chat(START, "/undo", START, "/fork", "x", "/switch 1", "x", args=["-n", "4"], device=DEVICE)
    one = run_text(START, 4)
    assert out.startswith(one * 2) and len(set(out[len(one) * 2:].split(b"\n")[:-1])) == 1, out


if __name__ == "__main__":
    run_tests(globals())
