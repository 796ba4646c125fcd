"""Bytes held at random: whatever is packed meanwhile, they are the same; memory is bounded."""

import random
from functools import partial

import pytest

from tests.hive_build import Builder, K, new_log, sz
from tests.hive_case import Found, read, unpacked
from tracelake.native.errors import Unsupported
from tracelake.parsers import hive
from tracelake.parsers.held import Held
from tracelake.parsers.lz4block import pack, unpack

BLOCK = 32768
TEXT = b"C:\\Program Files\\Common Files\\".hex(" ").encode()


def text(size: int, seed: int) -> bytes:
    """Bytes as a hive has them: they repeat, and are not all the same."""
    rng = random.Random(seed)
    out = bytearray()
    while len(out) < size:
        at = rng.randrange(len(TEXT))
        out += TEXT[at : at + rng.randrange(60)] + rng.randbytes(rng.randrange(9))
    return bytes(out[:size])


@pytest.mark.parametrize("seed", range(40))
def test_what_is_packed_unpacks_to_the_same(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.choice((1, 4, 5, 12, 13, 14, 255, 270, 4096, 65535, 65536))
    data = rng.choice((text(size, seed), bytes(size), (b"abc" * size)[:size], rng.randbytes(size)))
    packed = pack(data)
    if packed is None:
        return
    assert len(packed) <= len(data)
    assert unpack(packed, size) == data


def test_text_gets_smaller_and_noise_does_not() -> None:
    packed = pack(text(32768, 1))
    assert packed is not None
    assert len(packed) < 32768 * 0.6
    assert len(pack(bytes(65536)) or b"x" * 65536) < 300
    assert pack(random.Random(1).randbytes(32768)) is None
    assert pack(b"") is None
    assert pack(bytes(65537)) is None


@pytest.mark.parametrize("seed", range(12))
def test_the_same_as_a_bytearray(seed: int) -> None:
    rng = random.Random(seed)
    held = Held("thing", 8 << 20, plain=rng.choice((40_000, 70_000, 300_000, 0)))
    plain = bytearray()
    for _ in range(400):
        what = rng.random()
        at = rng.randrange(len(plain) + 1)
        size = rng.choice((1, 7, 4096, 40_000, 100_000))
        if what < 0.2 and len(plain) < 3 << 20:
            more = text(size, rng.randrange(99)) if rng.random() < 0.9 else rng.randbytes(size)
            held.extend(more)
            plain += more
        elif what < 0.4:
            part = text(min(size, len(plain) - at), rng.randrange(99))
            held[at : at + len(part)] = part
            plain[at : at + len(part)] = part
        elif what < 0.5 and len(plain) > 40:
            word = bytes(plain[at : at + 9])
            assert held.find(word) == plain.find(word)
            assert held.find(word, at) == plain.find(word, at)
        else:
            assert held[at : at + size] == plain[at : at + size]
        assert len(held) == len(plain)
    assert held[:] == plain
    assert held.find(b"not in it at all") == -1


def test_memory_is_bounded_and_what_is_out_is_packed() -> None:
    held = Held("thing", 96 << 20, plain=9 << 20)
    piece = text(1 << 20, 5)
    for _ in range(64):
        held.extend(piece)
    assert held.standing * BLOCK < 6 << 20
    assert held.packed < 0.6 * len(held)
    for at in range(0, len(held), 1 << 20):
        assert held[at : at + 99] == piece[:99]
    assert held.unpacked >= 40
    assert held.standing * BLOCK < 6 << 20


def test_what_does_not_pack_is_held_up_to_a_bound() -> None:
    held = Held("thing", 600 << 20)
    piece = random.Random(1).randbytes(1 << 20)

    def fill() -> None:
        for _ in range(600):
            held.extend(piece)

    with pytest.raises(Unsupported, match="MiB when packed, and more than 248 are not held"):
        fill()
    assert 240 << 20 < len(held) < 256 << 20


def test_more_than_there_is_room_for() -> None:
    held = Held("thing", 1 << 20)
    held.extend(bytes(1 << 20))
    with pytest.raises(Unsupported, match="longer than 1 MiB"):
        held.extend(b"x")
    assert held[:] == bytes(1 << 20)
    with pytest.raises(ValueError, match="2 bytes for 1"):
        held[0:1] = b"ab"


def same(one: Found, other: Found) -> None:
    assert one.tables == other.tables
    assert one.damage == other.damage
    assert one.account.records == other.account.records
    assert one.unexplained == other.unexplained


@pytest.mark.parametrize(("name", "plain"), [("SAM", 70_000), ("NTUSER.DAT", 200_000)])
def test_a_hive_that_is_packed_gives_the_same_rows(
    name: str, plain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = unpacked(name)
    expected = read(data)
    assert len(expected.rows()) > 100
    monkeypatch.setattr(hive, "Held", partial(Held, plain=plain))
    same(read(data), expected)
    # Damage leads to places that nobody looked at before.
    rng = random.Random(7)
    for _ in range(2 if name == "SAM" else 0):
        broken = bytearray(data)
        for _ in range(20):
            broken[rng.randrange(4096, len(broken))] = rng.randrange(256)
        with monkeypatch.context() as before:
            before.setattr(hive, "Held", Held)
            expected = read(bytes(broken))
        same(read(bytes(broken)), expected)


def test_a_log_is_applied_to_what_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    def root(last: str) -> K:
        keys = {f"key {n}": K({f"v{i}": sz(f"text {n} {i} " * 9) for i in range(9)})
                for n in range(300)}
        return K(keys=keys | {"last": K({"v": sz(last)})})

    before = Builder().hive(root("old"), first=2, second=1)
    after = Builder().hive(root("new"))
    logs = {"SOFTWARE.LOG1": new_log(before, after, 1)}
    expected = read(before, files=logs)
    assert any(row["reg_value_data"] == "new" for row in expected.rows())
    monkeypatch.setattr(hive, "Held", partial(Held, plain=70_000))
    same(read(before, files=logs), expected)
