"""JSON, letter for letter: what RFC 8259 takes and refuses, and Python's reader beside ours."""

import json
import random
import string
from typing import Any

import pytest

from tests import json_reference
from tests.json_lines import read
from tracelake.normalize import shapes

UNKNOWN = shapes.read([("json/other.toml", 'time = "t"')])
"""Every object is of no shape: all that it says stands in `unmapped`."""


def taken(text: bytes) -> list[tuple[str, str | None]] | None:
    """The pairs of the row of a line; None where it is damage."""
    # A first line that is no list: the text keeps to lines.
    rows, account = read(b"{}\n" + text, known=UNKNOWN)
    if account.damaged:
        assert len(rows) == 1
        return None
    ((_, _), (_, row)) = rows
    return list(row.get("unmapped", []))


GOOD = [
    b"{}",
    b"[]",
    b"0",
    b"-0",
    b"1e5",
    b"1E+5",
    b"1.0e-05",
    b"-1.5",
    b'""',
    b"true",
    b"false",
    b"null",
    b'{"":0}',
    b'{"a":{}}',
    b'{"a":[]}',
    b"[[],{},[{}]]",
    b" [ 1 , 2 ] ",
    b'{ "a" : 1 , "b" : 2 }\t',
    b'"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    b'"\\u0041\\u00e9\\u20ac\\ud83d\\ude00"',
    b'"\x7f"',
    '"é€😀\u2028"'.encode(),
    b"123456789012345678901234567890",
    b"1e400",
    b"-1e-400",
    b"0.10000000000000000000000001",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"99999999999999999999",
    b"10000000000000000000",
    b"NaN",
    b"-Infinity",
    b'{"a":1,"a":2,"a[2]":3,"a":4}',
    b'{"a":[{"b":1,"b":2}]}',
    b'["\\u0001\\u001f\\u0022\\u005c/"]',
    b'[ "a b" , { "c" : [ 1.50 , -0 ] } ]',
    b'{"a":"\\ud800"}',
    b'{"a":"\\ude00\\ud83d"}',
    b'{"a":["\\ud800\\u0041"]}',
    b'{"\\u0061":1,"a":2}',
    b'{"a\\"b":1}',
    b'{"x":"' + b"y" * 100 + b'"}',
    b'{"a":' * 33 + b"1" + b"}" * 33,
    b'{"a":' * 34 + b"1" + b"}" * 34,
    b'{"a":' * 33 + b"{}" + b"}" * 33,
    b"[" * 200 + b"]" * 200,
]
BAD = [
    b"{",
    b"[",
    b"}",
    b"]",
    b'"',
    b"'a'",
    b'{"a"}',
    b'{"a":}',
    b'{"a":1,}',
    b'{,"a":1}',
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b'{"a":1 "b":2}',
    b'{"a" 1}',
    b"{a:1}",
    b"{1:1}",
    b"{null:1}",
    b"[1}",
    b'{"a":1]',
    b"01",
    b"-",
    b"-a",
    b"+1",
    b".5",
    b"5.",
    b"5.e1",
    b"1e",
    b"1e+",
    b"0x1",
    b"1_0",
    b"--1",
    b"- 1",
    b"nul",
    b"nulll",
    b"True",
    b"tru",
    b"inf",
    b"nan",
    b"+Infinity",
    b'"\\x41"',
    b'"\\u12"',
    b'"\\u12g4"',
    b'"\\U00000041"',
    b'"\\"',
    b'"a\\',
    b'"\x00"',
    b'"\x1f"',
    b'"\t"',
    b'{"a\tb":1}',
    b'["\x01"]',
    b"{}{}",
    b"{} x",
    b"1 2",
    b'"a" "b"',
    b"[] ]",
    b"\xff",
    b"{\xff}",
    b'{"a":\xff}',
    b"\x0b1",
    b"\xa01",
    b"\xef\xbb\xbf{}",
    b"[" * 1001 + b"]" * 1001,
    b"[" * 100000,
    b'{"a":' * 100000,
    b"/* c */ 1",
    b"[1] // c",
    b'{"a":1;"b":2}',
    b"undefined",
    b"[nul]",
    b"[-]",
    b"[1.]",
    b"[01]",
]


@pytest.mark.parametrize("text", GOOD, ids=lambda text: repr(text[:30]))
def test_what_json_is(text: bytes) -> None:
    assert taken(text) == json_reference.pairs(text)


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:30]))
def test_what_json_is_not(text: bytes) -> None:
    assert taken(text) is None


@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_nesting_is_bounded(opened: bytes) -> None:
    closed = b"]" if opened == b"[" else b"}"
    for depth, whole in ((1000, True), (1001, False), (1_000_000, False)):
        text = opened * depth + (b"" if opened == b"[" else b"1") + closed * depth
        assert (taken(text) is not None) == whole, depth


@pytest.mark.parametrize("width", range(1, 70))
def test_a_text_ends_where_it_ends_whatever_its_length(width: int) -> None:
    """Sixteen bytes are looked at together: none of them may be missed."""
    for end in (b'"', b"\\n", b"\\u00e9", "é".encode(), b"\xff", b"\x01", b"\\", b""):
        text = b'{"a":"' + b"x" * width + end + b'"}'
        try:
            wanted = json_reference.pairs(text)
        except ValueError:
            wanted = None
        assert taken(text) == wanted, text


CHARACTERS = 'ab"\\/\b\n\x1f\x7fé€😀\ud800\udc00 .[]{}:,' + string.digits


def some_text(rng: random.Random) -> str:
    return "".join(rng.choice(CHARACTERS) for _ in range(rng.choice((0, 1, 3, 15, 16, 17, 40))))


def some_value(rng: random.Random, depth: int = 0) -> str:
    """JSON text of anything, with white space here and there."""
    gap = rng.choice(("", "", "", " ", "\t", "\r "))
    kind = rng.randrange(12 if depth < 5 else 8)
    if kind < 3:
        return gap + json.dumps(some_text(rng), ensure_ascii=rng.random() < 0.5) + gap
    if kind < 6:
        return gap + rng.choice(
            ("0", "-0", "1", "-17", "1.50", "1e5", "-1E-7", "12345678901234567890", "NaN",
             "18446744073709551616", "-9223372036854775808", "0.1", "9" * 40)
        ) + gap  # fmt: skip
    if kind < 8:
        return gap + rng.choice(("true", "false", "null", "{}", "[]", '""')) + gap
    items = [some_value(rng, depth + 1) for _ in range(rng.choice((1, 1, 2, 5)))]
    if kind < 10:
        return gap + "[" + ",".join(items) + "]" + gap
    names = [json.dumps(rng.choice(("a", "b", "a.b", "é", some_text(rng)))) for _ in items]
    return gap + "{" + ",".join(f"{n}{gap}:{i}" for n, i in zip(names, items, strict=True)) + "}"


def some_bytes(rng: random.Random) -> bytes:
    made = bytearray(some_value(rng).encode("utf-8", "surrogatepass"))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        at = rng.randrange(len(made) or 1)
        if not made:
            break
        match rng.randrange(4):
            case 0:
                made[at] = rng.choice(b'"\\{}[]:,019-.eEtfnu \t\x00\x1f\x80\xc3\xed\xf0\xff')
            case 1:
                del made[at]
            case 2:
                made.insert(at, rng.choice(b'"\\{}[]:,0 -'))
            case _:
                del made[at:]
                made += b" " * (not made)
    return bytes(made).replace(b"\n", b"") or b" 0"


def test_pythons_reader_says_the_same_of_any_text() -> None:
    rng = random.Random(8259)
    texts = [some_bytes(rng) for _ in range(15_000)]
    texts = [text for text in texts if text.strip(b" \t\r")]
    rows, account = read(b"{}\n" + b"\n".join(texts), known=UNKNOWN)
    found: dict[int, Any] = {row["src_offset"]: row for _, row in rows}
    offset, refused = 3, 0
    for text in texts:
        row = found.get(offset)
        offset += len(text) + 1
        try:
            wanted: Any = json_reference.pairs(text)
        except ValueError:
            wanted = None
        got = None if row is None else list(row.get("unmapped", []))
        assert got == wanted, text
        refused += wanted is None
        if row is not None and "\ufffd" in str(wanted):
            assert row["raw"] == text
            assert row["parse_flags"] & 128
    assert account.damaged == refused
    assert 3_000 < refused < 12_000


def test_a_line_cut_anywhere_is_damage_or_a_value() -> None:
    text = '{"a":"é\\u00e9\\n","b":[1,{"c":[true,null]}],"d":{"e":-1.5e3},"f":"'.encode() + (
        b"x" * 40 + b'"}'
    )
    for end in range(len(text)):
        assert taken(text[:end] or b"{") is None, end


def test_a_record_of_very_many_names() -> None:
    text = b"{" + b",".join(b'"k%d":%d' % (i, i) for i in range(300_000)) + b"}"
    assert taken(text) == [(f"k{i}", str(i)) for i in range(300_000)]
    same = b"{" + b",".join(b'"k":1' for _ in range(100_000)) + b"}"
    found = taken(same)
    assert found is not None
    assert [name for name, _ in found] == ["k", *(f"k[{i}]" for i in range(2, 100_001))]


def test_more_values_than_any_record_has_are_damage_alone() -> None:
    text = b'{"a":[' + b"1," * 100 + b"1]}\n{" + b",".join([b'"k":1'] * 1_100_000) + b'}\n{"b":1}'
    rows, account = read(text)
    assert [next(iter(row["unmapped"]))[0] for _, row in rows] == ["a", "b"]
    assert account.damaged == 1
    (damage,) = account.take_damage().to_pylist()  # type: ignore[union-attr]
    assert "more than 1048576 values" in damage["why"]
