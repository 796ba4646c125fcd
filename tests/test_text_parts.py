"""Parts of texts: of URLs, of Defender's resources, of socket addresses; digests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelake.normalize import mapping
from tracelake.normalize.rebuild import pairs
from tracelake.parsers.events import Events

MAPPING = mapping.read([("parts.toml", """
provider = "P"
[1]
table = "http_activity"
[1.columns]
url_scheme = "Url | url_scheme"
url_hostname = "Url | url_host"
url_path = "Url | url_path"
url_query = "Url | url_query"
file_path = "Resources | resource_path"
src_ip = "Address | sockaddr_ip"
src_port = "Address | sockaddr_port"
job_uid = "Digest | digest"
""")])
EVENT = MAPPING.events["P", "1"]


def row_of(**fields: str) -> dict[str, Any]:
    events = Events(MAPPING)
    events.add("P", "1", [(name, "text", text.encode()) for name, text in fields.items()])
    ((_, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    assert pairs(row, EVENT) == fields
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://a.example/b/c?d=e&f#g", ("https", "a.example", "/b/c", "d=e&f")),
        ("http://u:p@a.example:8080/", ("http", "a.example", "/", None)),
        ("http://[2001:db8::1]:80?x", ("http", "2001:db8::1", None, "x")),
        ("ftp://a.example", ("ftp", "a.example", None, None)),
        ("http://a.example?b=/c@d", ("http", "a.example", None, "b=/c@d")),
        ("http://a.example#b?c/d", ("http", "a.example", None, None)),
        ("http://a.example/?", ("http", "a.example", "/", None)),
        ("http:///c", ("http", None, "/c", None)),
        ("http://", ("http", None, None, None)),
        ("://a", (None, None, None, None)),
        ("C:\\a\\b", (None, None, None, None)),
        ("http:/a", (None, None, None, None)),
    ],
)
def test_parts_of_a_url(url: str, parts: tuple[str | None, ...]) -> None:
    row = row_of(Url=url)
    names = ("url_scheme", "url_hostname", "url_path", "url_query")
    assert tuple(row.get(name) for name in names) == parts


@pytest.mark.parametrize(
    ("resources", "path"),
    [
        ("file:_C:\\a b\\c.exe", "C:\\a b\\c.exe"),
        ("process:_pid:1,ProcessStart:2; file:_C:\\c.exe; file:_C:\\d.exe", "C:\\c.exe"),
        ("containerfile:_C:\\a.zip; file:_C:\\a.zip->b.exe", "C:\\a.zip"),
        ("file:_C:\\a.zip->b->c", "C:\\a.zip"),
        ("webfile:_C:\\a.exe|https://a.example/a.exe|pid:1", "C:\\a.exe"),
        ("amsi:_C:\\a.ps1;", "C:\\a.ps1"),
        ("regkey:_HKLM\\a; behavior:_pid:1:2", None),
        ("file:_", None),
        ("file:C:\\a", None),
        (";;", None),
    ],
)
def test_the_first_file_of_a_detection(resources: str, path: str | None) -> None:
    assert row_of(Resources=resources).get("file_path") == path


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("02000035C0A801010000000000000000", ("192.168.1.1", 53)),
        ("020001BD0A000001", ("10.0.0.1", 445)),
        (
            "170001BD00000000FE80000000000000021122FFFE33445500000000",
            ("fe80::211:22ff:fe33:4455", 445),
        ),
        ("1700003500000000" + "0" * 20 + "FFFF0A000001", ("10.0.0.1", 53)),
        ("0200000008080808" + "0" * 16, ("8.8.8.8", None)),
        ("17000035000000000000", (None, None)),
        ("0300003500000000", (None, None)),
        ("02000035C0A80", (None, None)),
        ("02000035C0A8010G", (None, None)),
    ],
)
def test_a_socket_address(address: str, found: tuple[str | None, int | None]) -> None:
    row = row_of(Address=address)
    assert (row.get("src_ip"), row.get("src_port")) == found


@pytest.mark.parametrize("digits", [32, 40, 64, 128])
def test_a_digest_is_held_in_lower_case(digits: int) -> None:
    row = row_of(Digest="0A" * (digits // 2))
    assert row["job_uid"] == "0a" * (digits // 2)
    assert "unmapped" not in row or not row["unmapped"]
    assert row_of(Digest="0a" * (digits // 2))["job_uid"] == "0a" * (digits // 2)


@pytest.mark.parametrize("text", ["0A" * 15, "0A" * 65, "0G" * 16])
def test_no_digest(text: str) -> None:
    assert "job_uid" not in row_of(Digest=text)


@given(st.text(alphabet="hftp:/@?#[]._;|->C\\ 0aAF", max_size=80))
def test_any_text_is_given_back(text: str) -> None:
    row_of(Url=text, Resources=text, Address=text, Digest=text)
