"""Text against Python's own codecs."""

import datetime
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelake.native import text


@given(st.binary(max_size=64))
def test_utf8_check_agrees_with_python(data: bytes) -> None:
    try:
        data.decode("utf-8")
        expected = len(data)
    except UnicodeDecodeError as error:
        expected = error.start
    assert text.check_utf8(data) == expected


@given(st.text(max_size=40), st.binary(max_size=6), st.text(max_size=40))
def test_utf8_repair_agrees_with_python(a: str, broken: bytes, b: str) -> None:
    data = a.encode() + broken + b.encode()
    assert text.repair_utf8(data) == data.decode("utf-8", "replace").encode()


@pytest.mark.parametrize("lead", range(0x80, 0x100))
def test_utf8_repair_of_every_lead_byte(lead: int) -> None:
    for rest in (b"", b"A", b"\x80", b"\x80\x80", b"\x90\x80A", b"\xbf\xbf\xbf", b"\x9f\xff"):
        data = bytes([lead]) + rest
        assert text.repair_utf8(data) == data.decode("utf-8", "replace").encode(), data


@given(st.text(max_size=60))
def test_utf16_of_well_formed_text(value: str) -> None:
    assert text.decode_utf16(value.encode("utf-16-le")) == (value.encode(), False)


@given(st.lists(st.integers(0, 0xFFFF), max_size=40))
def test_utf16_replaces_each_unpaired_surrogate(units: list[int]) -> None:
    data = b"".join(unit.to_bytes(2, "little") for unit in units)
    expected = data.decode("utf-16-le", "surrogatepass")
    lone = any(0xD800 <= ord(c) < 0xE000 for c in expected)
    fixed = "".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 else c for c in expected)
    assert text.decode_utf16(data) == (fixed.encode(), lone)


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers(value: int) -> None:
    assert text.render("int", value) == str(value)
    assert text.render("uint", value & (2**64 - 1)) == str(value & (2**64 - 1))
    assert text.render("hex", value & (2**64 - 1)) == hex(value & (2**64 - 1))


@given(st.binary(min_size=4, max_size=4))
def test_ipv4(raw: bytes) -> None:
    assert text.render("ipv4", raw) == str(ipaddress.IPv4Address(raw))


@given(st.lists(st.sampled_from([0, 0, 0, 1, 0xAB, 0xFFFF]), min_size=8, max_size=8))
def test_ipv6(groups: list[int]) -> None:
    raw = b"".join(group.to_bytes(2, "big") for group in groups)
    address = ipaddress.IPv6Address(raw)
    mapped = address.ipv4_mapped
    assert text.render("ipv6", raw) == (f"::ffff:{mapped}" if mapped else address.compressed)


def test_mac() -> None:
    assert text.render("mac", bytes.fromhex("00a0c9fe1234")) == "00:a0:c9:fe:12:34"


@given(st.datetimes(), st.integers(0, 9))
def test_times_there_and_back(moment: datetime.datetime, tenths: int) -> None:
    us = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
    written = text.render("time", (us, tenths * 100))
    assert written == moment.strftime("%Y").zfill(4) + moment.strftime(
        f"-%m-%dT%H:%M:%S.%f{tenths}Z"
    )
    assert text.parse_time(written.encode()) == (us, tenths * 100, True)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"2020-09-14T12:13:09Z", (1600085589000000, 0, True)),
        (b"2020-09-14 12:13:09", (1600085589000000, 0, False)),
        (b"2020-09-14 12:13:09.5", (1600085589500000, 0, False)),
        (b"2020-09-14T14:13:09+02:00", (1600085589000000, 0, True)),
        (b"2020-09-14T07:43:09.000000001-0430", (1600085589000000, 1, True)),
        (b"2016-12-31T23:59:60Z", (1483228800000000, 0, True)),
        (b"2020-02-30T00:00:00Z", None),
        (b"2020-13-01T00:00:00Z", None),
        (b"2020-09-14T12:13:09.Z", None),
        (b"2020-09-14T12:13:09+2:00", None),
        (b"2020-09-14T12:13:0", None),
        (b"2020/09/14T12:13:09", None),
        (b"", None),
    ],
)
def test_times(written: bytes, expected: tuple[int, int, bool] | None) -> None:
    assert text.parse_time(written) == expected
