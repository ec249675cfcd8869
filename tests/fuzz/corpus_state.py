"""State files of the tiny model in fuzz_state.c, written from FORMAT.md."""

import struct

A, B, MASK = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, (1 << 64) - 1
IDENTITY, FLOATS, VOCAB, SAMPLER = 0x0123456789ABCDEF, 24, 5, 1080


def mix(x):
    x = (x ^ x >> 32) * B & MASK
    x = (x ^ x >> 29) * A & MASK
    return x ^ x >> 32


def content_hash(data):
    lanes = [mix((B + i) & MASK) for i in range(4)]
    padded = data + bytes(-len(data) % 32)
    for at in range(0, len(padded), 32):
        for i, word in enumerate(struct.unpack_from("<4Q", padded, at)):
            t = (lanes[i] ^ word) * A & MASK
            lanes[i] = t ^ t >> 31
    x = len(data)
    for lane in lanes:
        x = mix(x ^ lane)
    return x


def sampler(
    temperature=0.75,
    top_p=0.5,
    min_p=0.125,
    penalty=1.25,
    top_k=4,
    last_n=16,
    seed=7,
    drawn=3,
    n_recent=3,
    zero=0,
    zeros=0,
    recent=(1, 4, 2),
):
    out = struct.pack(
        "<4f2I2Q2IQ", temperature, top_p, min_p, penalty, top_k, last_n, seed, drawn, n_recent, zero, zeros
    )
    return out + struct.pack("<256i", *(list(recent) + [0] * (256 - len(recent))))


def state(
    magic=b"GSASTATE",
    version=1,
    header=64,
    identity=IDENTITY,
    position=9,
    floats=FLOATS,
    kind=0,
    vocab=VOCAB,
    n_logits=VOCAB,
    extra=b"",
    n_extra=None,
    zero=0,
    values=None,
    logits=(1, 0.25, -2, 3, 0.5),
    body=None,
    checksum=None,
):
    data = magic + struct.pack(
        "<2I3Q4IQ",
        version,
        header,
        identity,
        position,
        floats,
        kind,
        vocab,
        n_logits,
        len(extra) if n_extra is None else n_extra,
        zero,
    )
    values = values or [((i * 7) % 13 - 6) / 8 for i in range(FLOATS)]
    data += struct.pack(f"<{len(values)}f", *values) if body is None else body
    if n_logits:
        data += struct.pack(f"<{len(logits)}f", *logits)
    data += extra
    return data + struct.pack("<Q", content_hash(data) if checksum is None else checksum)


def files():
    nan, inf = float("nan"), float("inf")
    half = struct.pack("<8e16f", *[i / 8 - 0.5 for i in range(FLOATS)])  # hk and hv in f16
    whole = state(extra=sampler())
    yield "good-plain", state(n_logits=0)
    yield "good-logits", state()
    yield "good-sampler", whole
    yield "good-full-history", state(extra=sampler(n_recent=256, recent=range(256)))
    yield "good-odd-history", state(extra=sampler(n_recent=2, recent=(-1, 2**31 - 1), penalty=3e38))
    yield "good-nan-state", state(values=[nan] * FLOATS, logits=(nan,) * 5, extra=sampler())
    yield "good-infinite-state", state(values=[inf, -inf] * 12, logits=(inf, inf, -inf, 0, 1), extra=sampler())
    yield "good-late-position", state(position=2**62)
    yield "good-half", state(kind=1, zero=len(half), body=half, extra=sampler())
    yield "bad-nothing", b""
    yield "bad-short", whole[:71]
    yield "bad-magic", state(magic=b"GSASTATF")
    yield "bad-version", state(version=2)
    yield "bad-header-size", state(header=65)
    yield "bad-cut", whole[:-1]
    yield "bad-longer", whole + b"\0"
    yield "bad-floats-huge", state(floats=2**61)
    yield "bad-floats-wrap", state(floats=2**62 + FLOATS)
    yield "bad-floats-more", state(floats=FLOATS + 1)
    yield "bad-logits-huge", state(n_logits=2**32 - 1)
    yield "bad-sampler-huge", state(n_extra=2**32 - 1)
    yield "bad-checksum", state(checksum=0)
    yield "bad-identity", state(identity=IDENTITY + 1)
    yield "bad-other-state-size", state(floats=FLOATS - 1, values=[0] * (FLOATS - 1))
    yield "bad-other-vocabulary", state(vocab=6)
    yield "bad-type", state(kind=2)
    yield "bad-half-bytes", state(kind=1, zero=len(half) - 4, body=half[4:])
    yield "bad-half-bytes-huge", state(kind=1, zero=2**63 + 1, body=half)
    yield "bad-half-bytes-none", state(kind=1, body=half)
    yield "bad-some-logits", state(n_logits=4, logits=(1, 2, 3, 4))
    yield "bad-some-sampler", state(extra=sampler()[:-4])
    yield "bad-reserved", state(zero=1)
    yield "bad-position", state(position=2**63)
    for name, change in {
        "temperature-nan": {"temperature": nan},
        "temperature-negative": {"temperature": -1},
        "temperature-infinite": {"temperature": inf},
        "top-p-above-1": {"top_p": 1.5},
        "top-p-nan": {"top_p": nan},
        "min-p-above-1": {"min_p": 2},
        "penalty-negative": {"penalty": -1},
        "penalty-infinite": {"penalty": inf},
        "last-n-zero": {"last_n": 0},
        "last-n-huge": {"last_n": 257},
        "history-huge": {"n_recent": 257},
        "history-max": {"n_recent": 2**32 - 1},
        "reserved": {"zero": 1},
        "reserved-2": {"zeros": 1},
        "rest-of-history": {"n_recent": 2},
    }.items():
        yield f"bad-sampler-{name}", state(extra=sampler(**change))


def targets():
    return {"state": files()}
