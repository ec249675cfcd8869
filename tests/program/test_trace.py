#!/usr/bin/env python3
"""run --trace: the numbers of a trace, and that its drawing shows them."""
import json, math, re
import xml.etree.ElementTree as ElementTree

from harness import *

DEVICE = device_options()
LEVELS = 9


def trace(name, *options, device=CPU):
    good("run", "-m", GQA, "--tokens", "5,9,2,40,7,7", "-n", "3", "--ids", "--temp", "0", "-q", "--trace", path(name), *options,
        *device)
    return read(path(name))


def cells(group, slots, tokens):
    """The shade of each cell, from the strokes of a map: [slot][token]."""
    grid = [[0] * tokens for _ in range(slots)]
    for p in group:
        if not p.tag.endswith("path"): continue
        level = int(p.get("class")[1:])
        for x, y, n in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", p.get("d")):
            for i in range(int(n)):
                assert grid[int(y)][int(x) + i] == 0
                grid[int(y)][int(x) + i] = level
    return grid


def test_trace_numbers_are_those_of_the_cpu():
    here, cpu = json.loads(trace("a.json", device=DEVICE)), json.loads(trace("b.json"))
    assert here["ids"][:6] == [5, 9, 2, 40, 7, 7] and len(here["ids"]) == 9 and here["ids"] == cpu["ids"]
    assert len(here["write"]) == len(here["layers"]) and len(here["read"][0]) == len(here["heads"])
    for which in ("write", "read"):
        for a, b in zip(here[which], cpu[which]):
            for head, other in zip(a, b):
                for token, same in zip(head, other):
                    assert len(token) == here["slots"]
                    assert all(abs(x - y) <= 1e-4 for x, y in zip(token, same))
                    if which == "read": assert abs(sum(token) - 1) < 1e-3


def test_trace_drawing_shows_the_numbers():
    j = json.loads(trace("c.json"))
    root = ElementTree.fromstring(trace("c.svg"))
    groups = [g for g in root.iter() if g.get("data-layer") is not None]
    assert len(groups) == 2 * len(j["layers"]) * len(j["heads"])
    n_tokens, seen = len(j["ids"]), set()
    for g in groups:
        which, layer, head = g.get("class"), int(g.get("data-layer")), int(g.get("data-head"))
        seen.add((which, layer, head))
        most = max(x for l in j[which] for h in l for t in h for x in t)
        values = j[which][j["layers"].index(layer)][j["heads"].index(head)]
        grid = cells(g, j["slots"], n_tokens)
        for t in range(n_tokens):
            for m in range(j["slots"]):
                assert abs(grid[m][t] - LEVELS * math.sqrt(values[t][m] / most)) <= .5 + 1e-3, (which, layer, head, t, m)
    assert len(seen) == len(groups)
    texts = [t.text for t in root.iter() if t.get("class") == "token"]
    assert len(texts) == 2 * n_tokens * len(j["layers"]) and "gsa-small-gqa" in trace("c.svg").decode()


def test_trace_shows_what_is_chosen():
    whole, part = json.loads(trace("d.json")), json.loads(trace("e.json", "--trace-layer", "1", "--trace-head", "2,0"))
    assert part["layers"] == [1] and part["heads"] == [2, 0]
    assert part["read"] == [[whole["read"][1][2], whole["read"][1][0]]]


def test_trace_of_a_loaded_state_begins_there():
    whole = json.loads(trace("f.json"))
    run = ["run", "-m", GQA, "--temp", "0", "--ids", "-q", *DEVICE]
    good(*run, "--tokens", "5,9,2", "-n", "0", "--save", path("f.state"))
    good(*run, "--load", path("f.state"), "--tokens", "40,7,7", "-n", "3", "--trace", path("g.json"))
    rest = json.loads(read(path("g.json")))
    assert rest["ids"] == whole["ids"][3:]
    for a, b in zip(rest["read"], whole["read"]):
        for head, other in zip(a, b):
            assert all(abs(x - y) <= 1e-4 for t, u in zip(head, other[3:]) for x, y in zip(t, u))


def test_trace_mistakes():
    bad("run", "-m", TINY, "--tokens", "1", "--trace-layer", "1", says="--trace", code=2)
    ask = ["run", "-m", TINY, "--ids", "-q", "-n", "1", *CPU, "--trace", path("h.svg")]
    bad(*ask, "--tokens", "1", "--trace-layer", "99", says=["--trace-layer", "99"])
    bad(*ask, "--tokens", ",".join(["1"] * 8000), says=["cells", "--trace-layer"])
    assert not os.path.exists(path("h.svg"))


if __name__ == "__main__":
    probe = start("devices", *DEVICE)
    if probe.returncode:
        print("1..0 # SKIP " + probe.stderr.decode(errors="replace").strip().removeprefix("gsa-vk: "))
    else:
        run_tests(globals())
