"""What the tests of the program share: running it, looking at failures, tiny models to break, TAP output.

Arguments of a test: PROGRAM DATA_FOLDER. Environment: GSA_TEST_DEVICE, GSA_TEST_MASK and GSA_TEST_VALIDATION as for the
C tests; VKRUN, a command that programs are started with."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

PROGRAM, DATA = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
MODELS = os.path.join(DATA, "models")
TINY = os.path.join(MODELS, "gsa-tiny")
GQA = os.path.join(MODELS, "gsa-small-gqa")
WORK = tempfile.mkdtemp(prefix="gsa-vk-test-")
CPU = ["-d", "cpu"]
NO_VULKAN = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent", "VK_ADD_DRIVER_FILES": ""}
SANITIZER = (b"AddressSanitizer", b"LeakSanitizer", b"runtime error:")


def device_options():
    """Options that choose the test device."""
    out = []
    if os.environ.get("GSA_TEST_DEVICE"):
        out += ["-d", os.environ["GSA_TEST_DEVICE"]]
    if os.environ.get("GSA_TEST_MASK"):
        out += ["--mask", os.environ["GSA_TEST_MASK"]]
    if os.environ.get("GSA_TEST_VALIDATION") == "1":
        out += ["--validation"]
    return out


def command(*args):
    runner = os.environ.get("VKRUN")
    return ([runner] if runner else []) + [PROGRAM, *map(str, args)]


def environment(more=None):
    env = dict(os.environ, GSA_VK_CACHE_DIR=os.path.join(WORK, "cache"))
    env.update(more or {})
    return env


def start(*args, env=None, stdin=None, timeout=900):
    r = subprocess.run(command(*args), input=stdin, capture_output=True, env=environment(env), timeout=timeout,
                       stdin=subprocess.DEVNULL if stdin is None else None)
    for word in SANITIZER:
        assert word not in r.stderr, r.stderr.decode(errors="replace")
    return r


def good(*args, **more):
    """Standard output, as bytes, of a run that must succeed."""
    r = start(*args, **more)
    assert r.returncode == 0, f"{args}: exit {r.returncode}: {r.stderr.decode(errors='replace')}"
    return r.stdout


def bad(*args, code=1, says=(), **more):
    """A run that must fail with one line on stderr that holds every word of says, and print nothing."""
    r = start(*args, **more)
    text = r.stderr.decode(errors="replace")
    lines = text.splitlines()
    assert r.returncode == code, f"{args}: exit {r.returncode}, expected {code}: {text}"
    assert len(lines) == 1 and lines[0].startswith("gsa-vk: "), f"{args}: stderr is not one line: {text!r}"
    assert r.stdout == b"", f"{args}: printed {r.stdout[:80]!r}"
    for word in [says] if isinstance(says, str) else says:
        assert word in text, f"{args}: {text!r} does not say {word!r}"
    return text


def numbers(out):
    return [int(t) for t in out.split()]


def floats(data):
    return struct.unpack(f"<{len(data) // 4}f", data)


def error(got, want):
    """|got - want| / |want|"""
    assert len(got) == len(want), f"{len(got)} numbers, expected {len(want)}"
    norm = sum(b * b for b in want) ** 0.5
    return sum((a - b) ** 2 for a, b in zip(got, want)) ** 0.5 / norm


def path(name):
    return os.path.join(WORK, name)


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    return path(name)


def read(name):
    with open(name, "rb") as f:
        return f.read()


def copy_model(name, source=TINY):
    """A copy that a test may break."""
    folder = path(name)
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    os.chmod(folder, 0o755)
    return folder


def read_safetensors(file):
    data = read(file)
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return header, data[8 + size:]


def write_safetensors(file, header, body):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(file, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def golden(model, name):
    header, body = read_safetensors(os.path.join(model, "golden.safetensors"))
    t = header[name]
    begin, end = t["data_offsets"]
    kind = {"I32": "i", "F32": "f", "I64": "q"}[t["dtype"]]
    return struct.unpack(f"<{(end - begin) // struct.calcsize(kind)}{kind}", body[begin:end])


def joined(ids):
    return ",".join(map(str, ids))


def run_tests(module):
    """Every function of a module whose name begins with test_, as TAP."""
    tests = [(n[5:], f) for n, f in module.items() if n.startswith("test_") and callable(f)]
    only = sys.argv[3:]
    failed = 0
    try:
        print(f"1..{len(tests)}")
        for i, (name, test) in enumerate(tests, 1):
            if only and name not in only:
                print(f"ok {i} - {name} # SKIP not asked for")
                continue
            try:
                test()
                print(f"ok {i} - {name}", flush=True)
            except Exception:  # a test that breaks is a failed test
                failed += 1
                print(f"not ok {i} - {name}")
                for line in traceback.format_exc().splitlines():
                    print(f"# {line}", flush=True)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    sys.exit(1 if failed else 0)
