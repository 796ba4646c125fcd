"""LZO1X: each instruction, what is bounded, and random streams against a reader in Python."""

import random

import pytest

from tests.netflow_build import lzo
from tracelake.native.lzo import unpack

END = b"\x11\0\0"


@pytest.mark.parametrize(
    ("stream", "plain"),
    [
        (END, b""),
        (b"\x15abcd" + END, b"abcd"),
        # Three literals, then a run cannot follow: a copy of two bytes from 3 before (op < 16).
        (b"\x14abc" + b"\x08\0" + END, b"abcab"),
        # Five to eight bytes from up to 2048 before, and two literals behind it.
        (b"\x15abcd" + b"\xae\0xy" + END, b"abcdabcdabxy"),
        # Three or four bytes.
        (b"\x15abcd" + b"\x6c\0" + END, b"abcdabcd"),
        # A copy of up to 33 bytes from up to 16384 before, which overlaps itself.
        (b"\x12a" + b"\x3f\0\0" + END, b"a" + b"a" * 33),
        # A long one: 2 + 31 + 255 + 7.
        (b"\x12a" + b"\x20\0\x07\0\0" + END, b"a" + b"a" * 295),
    ],
)  # fmt: skip
def test_instructions(stream: bytes, plain: bytes) -> None:
    assert unpack(stream, 4096) == plain


def test_three_bytes_behind_a_run_of_literals() -> None:
    """The instruction that copies two bytes behind others: from 2049 and more before."""
    body = random.Random(2).randbytes(2305)
    stream = bytes(9) + b"\xf7" + body + b"\x01\0!" + END
    assert unpack(stream, 4096) == body + body[-2049:][:3] + b"!"


def test_a_copy_from_far_before() -> None:
    body = random.Random(1).randbytes(40000)
    stream = lzo(body)[:-3] + bytes([0x1C, 0x00, 0x10]) + END
    # 0001 1 100: 2 + 4 bytes from 16384 + 16384 + 1024 before.
    assert unpack(stream, 65536) == body + body[-33792:][:6]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 238, 239, 273, 274, 500, 70000])
def test_literals_only(length: int) -> None:
    plain = random.Random(length).randbytes(length)
    if length:
        assert unpack(lzo(plain), length) == plain
        assert unpack(lzo(plain), length - 1) is None


@pytest.mark.parametrize(
    "stream",
    [
        b"", b"\x15", b"\x15abc", b"\x15abcd", b"\x15abcd\x11", b"\x15abcd\x11\0",
        b"\x15abcd" + END + b"!", b"\x11\0\0\0", b"\x20", b"\x3f\0\0" + END,
        b"\x12a\x3f\x08\0" + END, b"\x40", b"\x40\0" + END, b"\0" * 1000, b"\0" * 1000 + b"\xff",
        b"\x10", b"\x20\0\0\0\0\0", b"\x15abcd\x00", b"\x03\xff",
    ],
)  # fmt: skip
def test_what_is_no_stream(stream: bytes) -> None:
    assert unpack(stream, 1000) is None


def packed(draw: random.Random) -> tuple[bytes, bytes]:
    """A random stream, and what it is unpacked: written apart from the reader."""
    out = bytearray(draw.randbytes(draw.randint(4, 60)))
    stream = bytearray([17 + len(out)]) + out
    state = 4
    for _ in range(draw.randint(0, 40)):
        literals = draw.randint(0, 3)
        kinds = ["near", "middle", "short"] + ["run"] * (state == 0) + ["two"] * (1 <= state <= 3)
        if len(out) > 2049 and state == 4:
            kinds.append("three")
        kind = draw.choice(kinds)
        if kind == "run":
            length = draw.randint(4, 400)
            if length <= 18:
                stream.append(length - 3)
            else:
                zeros, rest = divmod(length - 18 - 1, 255)
                stream += bytes(1 + zeros) + bytes([rest + 1])
            body = draw.randbytes(length)
            stream += body
            out += body
            state = 4
            continue
        most = {"near": 2048, "short": 2048, "middle": 16384, "two": 1024, "three": 3072}[kind]
        least = 2049 if kind == "three" else 1
        if len(out) < least:
            continue
        distance = draw.randint(least, min(most, len(out)))
        if kind == "middle":
            length = draw.randint(2, 500)
            count = length - 2
            if 1 <= count <= 31:
                stream.append(32 | count)
            elif count > 31:
                zeros, rest = divmod(count - 31 - 1, 255)
                stream += b"\x20" + bytes(zeros) + bytes([rest + 1])
            else:
                continue
            stream += ((distance - 1) << 2 | literals).to_bytes(2, "little")
        elif kind in ("two", "three"):
            length = 2 if kind == "two" else 3
            high = distance - least
            stream += bytes([(high & 3) << 2 | literals, high >> 2])
        else:
            length = draw.randint(3, 4) if kind == "short" else draw.randint(5, 8)
            op = 64 | (length - 3) << 5 if kind == "short" else 128 | (length - 5) << 5
            stream += bytes([op | (distance - 1 & 7) << 2 | literals, distance - 1 >> 3])
        for _ in range(length):
            out.append(out[-distance])
        body = draw.randbytes(literals)
        stream += body
        out += body
        state = literals
    return bytes(stream) + END, bytes(out)


@pytest.mark.parametrize("seed", range(200))
def test_random_streams(seed: int) -> None:
    draw = random.Random(seed)
    stream, plain = packed(draw)
    assert unpack(stream, len(plain)) == plain
    assert unpack(stream, max(0, len(plain) - 1)) is None
    assert unpack(stream[:-1], len(plain)) is None
    for _ in range(20):
        broken = bytearray(stream)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        found = unpack(bytes(broken), len(plain))
        assert found is None or len(found) <= len(plain)
