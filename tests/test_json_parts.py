"""Parts of JSON texts, and times since an epoch, against Python's own reading."""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tracelake.parsers.json_parts import values_at
from tracelake.parsers.since_epoch import epoch

TEXT = json.dumps({
    "a": [{"ip": "10.0.0.1", "n": 1}, {"ip": "::1"}, {"no": {}}, 7],
    "b": {"c": {"d": "x\ty \u00e9 \U0001f600"}},
    "list": ["one", 2, None, True, ["in"], {"k": "v"}],
    "say \"hi\"": 1,
    "empty": "",
}).encode()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"a.*.ip", [b"10.0.0.1", b"::1"]),
        (b"a.1.ip", [b"::1"]),
        (b"a.0", [b'{"ip": "10.0.0.1", "n": 1}']),
        (b"a.3", [b"7"]),
        (b"a.4", []),
        (b"b.c.d", ["x\ty \u00e9 \U0001f600".encode()]),
        (b"b.*.d", ["x\ty \u00e9 \U0001f600".encode()]),
        (b"b.d", []),
        (b"list.*", [b"one", b"2", b"true", b'["in"]', b'{"k": "v"}']),
        (b"list.2", []),
        (b"empty", [b""]),
        (b"nothing", []),
        (b"", [TEXT]),
    ],
)
def test_values_at_a_path(path: bytes, found: list[bytes]) -> None:
    assert values_at(TEXT, path) == found


def test_halves_of_surrogate_pairs_and_odd_escapes() -> None:
    assert values_at(rb'["\ud800x","\udc00","\ud83d\ude00","\/\b\f\n\r\t\q","\u12"]', b"*") == [
        "\ufffdx".encode(), "\ufffd".encode(), "\U0001f600".encode(), b"/\b\f\n\r\tq", b"u12",
    ]


def _at(value: Any, path: list[str]) -> list[Any]:
    if not path:
        return [] if value is None else [value]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()
    return [found for key, inner in items if path[0] in ("*", str(key))
            for found in _at(inner, path[1:])]


def _some(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth else 5)
    if kind >= 6:
        return {chance.choice("abc"): _some(chance, depth - 1) for _ in range(chance.randrange(4))}
    if kind == 5:
        return [_some(chance, depth - 1) for _ in range(chance.randrange(4))]
    text = "".join(chance.choices('a"\\\n\u00e9,}]', k=4))
    return [None, True, chance.randrange(-9, 99), text, 1.5][kind]


def test_any_path_of_any_json_gives_what_python_finds() -> None:
    chance = random.Random(6)
    for _ in range(3000):
        value = _some(chance, 4)
        path = [chance.choice("abc012*") for _ in range(chance.randrange(4))]
        indent, plain = chance.choice([None, 1]), chance.random() < 0.5
        text = json.dumps(value, indent=indent, ensure_ascii=plain)
        given = values_at(text.encode(), ".".join(path).encode())
        wanted = _at(value, path)
        assert len(given) == len(wanted)
        for one, other in zip(given, wanted, strict=True):
            assert other == (one.decode() if isinstance(other, str) else json.loads(one))


def test_what_is_no_json_ends() -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        text = bytes(chance.choices(b'[]{}",:\\ua1 \n', k=chance.randrange(24)))
        for path in (b"*", b"a", b"*.*", b"0.a"):
            values_at(text, path)
    assert values_at(b"[" * 100_000, b"*") == [b"[" * 99_999]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "filetime", ""])
def test_times_since_an_epoch(unit: str) -> None:
    chance = random.Random(8)
    scale = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1, "filetime": 100}
    for _ in range(3000):
        text = str(chance.randrange(10 ** chance.randrange(1, 19)) * chance.choice([1, 1, -1]))
        if chance.random() < 0.3:
            text += "." + str(chance.randrange(10 ** chance.randrange(1, 12)))
        number = Decimal(text)
        size = abs(int(number))
        sizes = {10**11: "s", 10**14: "ms", 10**17: "us"}
        by_size = next((unit for most, unit in sizes.items() if size < most), "ns")
        nanos = abs(number) * scale[unit or by_size]
        nanos = int(nanos) if number >= 0 else -int(nanos)
        if unit == "filetime":
            nanos -= 11644473600 * 10**9
        try:
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanos // 1000)
        except OverflowError:
            assert epoch(text.encode(), unit) is None
            continue
        whole = unit != "" and "." not in text and text != "-0"
        assert epoch(text.encode(), unit) == (nanos // 1000, nanos % 1000, whole), text


@pytest.mark.parametrize("text", ["", "-", ".", "1.", ".5", "1e9", "0x1", " 1", "1 ", "9" * 19])
def test_what_is_no_number_is_no_time(text: str) -> None:
    assert epoch(text.encode()) is None


def test_a_number_that_is_not_written_in_the_shortest_way_cannot_be_made_again() -> None:
    assert epoch(b"01", "s") == (1_000_000, 0, False)
    assert epoch(b"-0", "s") == (0, 0, False)
