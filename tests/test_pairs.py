"""key=value, CEF and LEEF, divided."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelake.parsers.pairs import tell


def test_cef_with_escapes_and_labels() -> None:
    text = (
        rb"CEF:0|Security|threat\|manager|1.0|100|detected a \\ in packet|10|src=10.0.0.1 "
        rb"act=blocked a \\ dst=1.1.1.1 msg=two\nlines and x\=y request=http://a/?b=c "
        rb"cs1Label=Rule Name cs1=Block all cn1=5 cn1Label=Count"
    )
    assert tell(text, "cef") == [
        ("cefVersion", "0"), ("deviceVendor", "Security"), ("deviceProduct", "threat|manager"),
        ("deviceVersion", "1.0"), ("signatureId", "100"), ("name", "detected a \\ in packet"),
        ("severity", "10"), ("src", "10.0.0.1"), ("act", "blocked a \\"), ("dst", "1.1.1.1"),
        ("msg", "two\nlines and x=y"), ("request", "http://a/?b=c"), ("cs1Label", "Rule Name"),
        ("Rule Name", "Block all"), ("Count", "5"), ("cn1Label", "Count"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", [b"CEF:0|a|b|c", b"CEF:0|a|b|c|d|e", b"CEF:0|a|b\\|c|d|e|f", b"LEEF:1.0|a|b|c"]
)
def test_broken_headers(text: bytes) -> None:
    assert tell(text, "cef" if text.startswith(b"C") else "leef") is None


def test_cef_without_extension() -> None:
    found = tell(b"CEF:0|a|b|c|d|e|5", "cef")
    assert found is not None
    assert found[-1] == ("severity", "5")


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (b"LEEF:1.0|V|P|4|15345|src=1.2.3.4\tmsg=a=b c\tx=", ["1.2.3.4", "a=b c", ""]),
        (b"LEEF:2.0|V|P|4|1|^|src=1.2.3.4^msg=a b^x=1", ["1.2.3.4", "a b", "1"]),
        (b"LEEF:2.0|V|P|4|1|x5E|src=1.2.3.4^msg=a b^x=1", ["1.2.3.4", "a b", "1"]),
        (b"LEEF:2.0|V|P|4|1|0x7C|src=1.2.3.4|msg=a b|x=1", ["1.2.3.4", "a b", "1"]),
        (b"LEEF:2.0|V|P|4|1||src=1.2.3.4\tmsg=a b\tx=1", ["1.2.3.4", "a b", "1"]),
        (b"LEEF:1.0|V|P|4|1|src=1.2.3.4 msg=a b x=1", ["1.2.3.4", "a b", "1"]),
    ],
)
def test_leef(text: bytes, pairs: list[str]) -> None:
    found = tell(text, "leef")
    assert found is not None
    assert [name for name, _ in found] == [
        "leefVersion", "deviceVendor", "deviceProduct", "deviceVersion", "eventID", "src", "msg",
        "x",
    ]  # fmt: skip
    assert [value for _, value in found[5:]] == pairs


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (b'a=1 b="two words" c=', [("a", "1"), ("b", "two words"), ("c", "")]),
        (b'a="say \\"hi\\"" b=C:\\x', [("a", 'say "hi"'), ("b", "C:\\x")]),
        (b'path="C:\\x\\" b=2', [("path", "C:\\x\\"), ("b", "2")]),
        (b"user=a b c next=d", [("user", "a b c"), ("next", "d")]),
        (b"url=/i.php?a=1&b=2 x=3", [("url", "/i.php?a=1&b=2"), ("x", "3")]),
        (b'a=1,b="x,y",c=3', [("a", "1"), ("b", "x,y"), ("c", "3")]),
        (b'[action:"Accept"; src:"10.0.0.1"; n:"a;b"]',
         [("action", "Accept"), ("src", "10.0.0.1"), ("n", "a;b")]),
        (b"before it a=1 b='x y'", [("text", "before it"), ("a", "1"), ("b", "x y")]),
        (b'a="never closed b=2', [("a", '"never closed'), ("b", "2")]),
        (b"no pairs at all", [("text", "no pairs at all")]),
        (b"= =x a=b", [("text", "= =x"), ("a", "b")]),
    ],
)
def test_pairs(text: bytes, pairs: list[tuple[str, str]]) -> None:
    assert tell(text) == pairs


def test_flags_of_the_packet_filter() -> None:
    text = b"[UFW BLOCK] IN=eth0 OUT= SRC=1.2.3.4 ID=0 DF PROTO=TCP SYN ACK URGP=0"
    found = tell(text, flags=True)
    assert found == [
        ("text", "[UFW BLOCK]"), ("IN", "eth0"), ("OUT", ""), ("SRC", "1.2.3.4"), ("ID", "0"),
        ("flag", "DF"), ("PROTO", "TCP"), ("flag", "SYN"), ("flag", "ACK"), ("URGP", "0"),
    ]  # fmt: skip


@given(st.binary(max_size=200), st.sampled_from(["cef", "leef", "pairs"]))
def test_anything_is_divided(text: bytes, style: str) -> None:
    head = {"cef": b"CEF:0|a|b|c|d|e|5|", "leef": b"LEEF:2.0|a|b|c|d|", "pairs": b""}[style]
    tell(head + text, style)


@pytest.mark.parametrize(
    "text", [b'a="' * 300_000, b"a=" * 400_000, b'"' * 900_000, b"a='b' " * 150_000]
)
def test_hostile_lines_take_no_time(text: bytes) -> None:
    begun = time.process_time()
    tell(text[: 1 << 20])
    tell(b"CEF:0|a|b|c|d|e|5|" + text[: 1 << 20], "cef")
    assert time.process_time() - begun < 10
