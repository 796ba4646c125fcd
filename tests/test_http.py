"""HTTP/1.x and HTTP/2 in clear: rows from sessions that are built here, and hostile ones."""

import base64
import gzip
import hashlib
import math
import random
import struct
import time
import tracemalloc
import zlib
from collections import Counter
from typing import Any

import pytest

from tests.packets import pcap, session, timed
from tests.zeek_compare import tables
from tracelake.parsers.protocols.hpack import unpack

Said = tuple[bool, bytes]


def rows(*said: Said, mss: int = 1460, **more: Any) -> dict[str, list[dict[str, Any]]]:
    return tables(pcap(timed(session(*said, port=80, mss=mss, **more))))


def one(*said: Said, mss: int = 1460) -> dict[str, Any]:
    (row,) = rows(*said, mss=mss)["http_activity"]
    return row


def request(target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Said:
    lines = [f"{method} {target} HTTP/1.1", "Host: example.org", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return True, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def response(body: bytes, *headers: str, status: str = "200 OK") -> Said:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return False, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


PAGE = b"<!DOCTYPE html><html><body>" + b"text " * 900 + b"</body></html>"
PAIR = (
    request("/a%20b?q=%41&r", "User-Agent: curl/8", "Referer: http://x/", "Via: 1.1 proxy",
            "Authorization: Basic " + base64.b64encode(b"frank:secret").decode(),
            "X-Forwarded-For: 192.0.2.7"),
    response(PAGE, "Content-Type: text/html"),
)


@pytest.mark.parametrize("mss", [1, 2, 3, 17, 500, 1460])
def test_a_request_with_its_response(mss: int) -> None:
    found = rows(*PAIR, mss=mss)
    (row,) = found["http_activity"]
    wanted = {
        "http_method": "GET", "url_hostname": "example.org", "url_path": "/a b",
        "url_query": "q=A&r", "user_agent": "curl/8", "referrer": "http://x/",
        "user_name": "frank", "status_code": 200, "status_text": "OK", "http_version": "1.1",
        "request_len": 0, "response_len": len(PAGE), "resp_mime": "text/html", "trans_depth": 1,
        "proxied": ["VIA -> 1.1 proxy", "X-FORWARDED-FOR -> 192.0.2.7"],
        "x_forwarded_for": ["192.0.2.7"], "activity_id": 3, "status_id": 1,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert "secret" not in str(found)
    (file,) = found["network_file_activity"]
    assert file["file_md5"] == hashlib.md5(PAGE).hexdigest()
    assert file["file_sha1"] == hashlib.sha1(PAGE).hexdigest()
    assert file["file_sha256"] == hashlib.sha256(PAGE).hexdigest()
    assert row["file_uids"] == [file["file_uid"]]
    assert (file["seen_bytes"], file["total_bytes"], file["is_orig"]) == (
        len(PAGE), len(PAGE), False)
    shares = [n / len(PAGE) for n in Counter(PAGE).values()]
    assert file["entropy"] == pytest.approx(-sum(p * math.log2(p) for p in shares))


def test_pipelined_requests_are_answered_in_order() -> None:
    asked = b"".join(request(f"/{i}")[1] for i in range(20))
    said = b"".join(response(b"x" * i)[1] for i in range(20))
    found = rows((True, asked), (False, said))["http_activity"]
    assert [(r["url_path"], r["response_len"], r["trans_depth"]) for r in found] == [
        (f"/{i}", i, i + 1) for i in range(20)
    ]
    assert len({(r["src_offset"], r["sub"]) for r in found}) == 20


def test_continue_head_and_not_modified_have_no_body() -> None:
    found = rows(
        request("/up", "Expect: 100-continue", method="POST", body=b"data"),
        (False, b"HTTP/1.1 100 Continue\r\n\r\n"
                b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"),
        request("/h", method="HEAD"), (False, b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"),
        request("/n"), (False, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n"),
        request("/last"), response(b"end"),
    )["http_activity"]
    assert [(r["status_code"], r["request_len"], r["response_len"]) for r in found] == [
        (201, 4, 2), (200, 0, 0), (304, 0, 0), (200, 0, 3)]
    assert (found[0]["info_code"], found[0]["info_text"]) == (100, "Continue")


@pytest.mark.parametrize("mss", [1, 5, 1460])
def test_chunks_and_trailers(mss: int) -> None:
    said = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n")
    found = rows(request("/1"), (False, said), request("/2"), response(b"!"), mss=mss)
    assert [r["response_len"] for r in found["http_activity"]] == [11, 1]
    assert found["network_file_activity"][0]["file_md5"] == hashlib.md5(b"hello world").hexdigest()


@pytest.mark.parametrize("how", ["gzip", "deflate", "raw"])
def test_packed_bodies_are_counted_unpacked(how: str) -> None:
    raw = zlib.compressobj(wbits=-15)
    body = {"gzip": gzip.compress(PAGE), "deflate": zlib.compress(PAGE),
            "raw": raw.compress(PAGE) + raw.flush()}[how]
    coding = "gzip" if how == "gzip" else "deflate"
    found = rows(request("/"), response(body, f"Content-Encoding: {coding}"), mss=100)
    assert found["http_activity"][0]["response_len"] == len(PAGE)
    assert found["network_file_activity"][0]["file_md5"] == hashlib.md5(PAGE).hexdigest()


def test_a_bomb_is_left() -> None:
    body = gzip.compress(b"\0" * (256 << 20), 9)
    began = time.process_time()
    found = rows(request("/"), response(body, "Content-Encoding: gzip"))
    assert time.process_time() - began < 10
    assert found["http_activity"][0]["response_len"] < 128 << 20
    assert [r["name"] for r in found["network_weird"]] == ["HTTP_content_packed_too_tightly"]


def test_forms_of_parts() -> None:
    parts = (b'--b1\r\nContent-Disposition: form-data; name="t"\r\n\r\nvalue of it\r\n'
             b'--b1\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'
             b"\x00\r\n\n\r--b\xff\r\n--b1--\r\n")
    found = rows(
        request("/f", "Content-Type: multipart/form-data; boundary=b1", method="POST", body=parts),
        response(b""), mss=7,
    )
    (row,) = found["http_activity"]
    assert (row["request_len"], row["req_file_names"]) == (len(parts), ["a.bin"])
    assert [f["file_md5"] for f in found["network_file_activity"]] == [
        hashlib.md5(b"value of it").hexdigest(), hashlib.md5(b"\x00\r\n\n\r--b\xff").hexdigest()]


def test_parts_of_a_file_in_two_connections_are_one_file() -> None:
    whole = random.Random(7).randbytes(5000)
    frames = []
    for i, (first, last) in enumerate(((0, 1999), (2000, 4999))):
        frames += timed(session(
            request("/big", f"Range: bytes={first}-{last}"),
            response(whole[first : last + 1], f"Content-Range: bytes {first}-{last}/5000",
                     status="206 Partial Content"),
            port=80, sport=40000 + i,
        ), start=1000.0 + i)
    files = tables(pcap(frames))["network_file_activity"]
    assert len(files) == 2
    assert len({f["file_uid"] for f in files}) == 1
    assert {f["file_sha256"] for f in files} == {hashlib.sha256(whole).hexdigest()}


def test_a_hole_in_a_body_is_counted() -> None:
    segments = session(request("/"), response(PAGE), port=80, mss=500)
    sizes = [i for i, s in enumerate(segments) if not s.client and s.size == 500]
    lost = [s for i, s in enumerate(segments) if i != sizes[3]]
    found = tables(pcap(timed(lost)))
    (row,) = found["http_activity"]
    (file,) = found["network_file_activity"]
    assert row["response_len"] == len(PAGE)
    assert (file["missing_bytes"], file["seen_bytes"]) == (500, len(PAGE) - 500)
    assert file.get("file_md5") is None


def test_responses_alone() -> None:
    found = rows(response(b"one"), response(b"two!"))["http_activity"]
    assert [(r.get("http_method"), r["response_len"]) for r in found] == [(None, 3), (None, 4)]


def test_a_tunnel_is_somebody_else_s() -> None:
    found = rows(
        request("example.org:80", method="CONNECT"),
        (False, b"HTTP/1.1 200 Connection established\r\n\r\n"),
        request("/inner"), response(b"in"),
    )["http_activity"]
    assert [(r["http_method"], r["status_code"]) for r in found] == [("CONNECT", 200), ("GET", 200)]


def test_a_websocket() -> None:
    row = one(
        request("/chat", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Protocol: v1"),
        (False, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Protocol: v1\r\n\r\n\x81\x02hi"),
    )
    assert (row["upgrade_protocol"], row["ws_protocol"], row["ws_client_protocols"]) == (
        "websocket", ["v1"], ["v1"])


def test_what_breaks_the_rules_is_noted() -> None:
    found = rows(
        (True, b"GET /%zz%%41 HTTP/1.1\rHost: x\r\nA: b\r\n\r\n"), response(b""),
        (True, b"BREW /pot HTTP/1.0\r\n\r\n"), response(b""),
    )
    assert {r["name"] for r in found["network_weird"]} == {
        "unescaped_%_in_URI", "double_%_in_URI", "line_terminated_with_single_CR",
        "unknown_HTTP_method", "HTTP_version_mismatch",
    }
    assert found["http_activity"][0]["url_hostname"] == "x"


def test_ten_thousand_requests_without_an_answer() -> None:
    asked = b"".join(request(f"/{i}")[1] for i in range(10000))
    found = rows((True, asked))
    assert len(found["http_activity"]) == 10000
    assert [r["url_path"] for r in found["http_activity"]] == [f"/{i}" for i in range(10000)]
    assert "HTTP_excessive_pipelining" in {r["name"] for r in found["network_weird"]}


@pytest.mark.parametrize("kind", ["a line", "lines", "a folded line"])
def test_endless_headers(kind: str) -> None:
    unit = {"a line": b"x" * 1000, "lines": b"X-A: " + b"y" * 993 + b"\r\n",
            "a folded line": b"\r\n " + b"z" * 997}[kind]
    tracemalloc.start()
    began = time.process_time()
    found = rows((True, b"GET / HTTP/1.1\r\nX: " + unit * 4000))
    spent = time.process_time() - began
    tracemalloc.stop()
    assert spent < 20
    assert len(found["http_activity"]) == 1


def test_every_cut_and_flipped_bytes() -> None:
    """Nothing crashes, whatever is lost or changed."""
    form = request("/f", "Content-Type: multipart/form-data; boundary=b1", method="POST",
                   body=b"--b1\r\nA: b\r\n\r\nx\r\n--b1--\r\n")
    chunked = (False, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    asked, said = form[1] + request("/2")[1], chunked[1] + response(gzip.compress(b"q"))[1]
    for at in range(len(asked)):
        rows((True, asked[:at]), (False, said))
    for at in range(len(said)):
        rows((True, asked), (False, said[:at]))
    chance = random.Random(1)
    for _ in range(200):
        broken = bytearray(asked + said)
        for _ in range(3):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        rows((True, bytes(broken[: len(asked)])), (False, bytes(broken[len(asked) :])))


# HTTP/2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(
        ">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that is not indexed (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def test_hpack_examples() -> None:
    """RFC 7541, C.4 and C.6.1."""
    assert unpack([bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff"),
                   bytes.fromhex("828684be5886a8eb10649cbf")])[1] == [
        (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"),
        (b":authority", b"www.example.com"), (b"cache-control", b"no-cache")]
    (block,) = unpack([bytes.fromhex(
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff"
        "6e919d29ad171863c78f0b97c8e9ae82ae43d3")])
    assert block == [(b":status", b"302"), (b"cache-control", b"private"),
                     (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
                     (b"location", b"https://www.example.com")]
    assert unpack([b"\xff\xff\xff\xff\xff", b"\xbe", b"\x40\x85\xff\xff\xff\xff\xff\x00"]) == [
        None, None, None]


@pytest.mark.parametrize("mss", [1, 9, 1460])
def test_streams_are_rows(mss: int) -> None:
    head = b"\x82\x86\x84" + literal(b":authority", b"h2.example")
    asked = PREFACE + frame(4, 0, 0, b"")
    asked += frame(1, 0x4, 1, b"\x83\x86" + literal(b":path", b"/p?q") + literal(b"host", b"x"))
    asked += frame(0, 0x1 | 0x8, 1, b"\x02" + b"body" + b"\0\0")
    asked += frame(1, 0x1, 3, head[:2]) + frame(9, 0x4, 3, head[2:])
    said = frame(4, 0, 0, b"") + frame(1, 0x4, 3, b"\x88") + frame(0, 0x1, 3, PAGE)
    said += frame(1, 0x5, 1, b"\x8d")
    found = rows((True, asked), (False, said), mss=mss)
    got = {r["url_path"]: r for r in found["http_activity"]}
    assert (got["/p"]["http_method"], got["/p"]["request_len"], got["/p"]["status_code"]) == (
        "POST", 4, 404)
    assert (got["/"]["url_hostname"], got["/"]["response_len"], got["/"]["http_version"]) == (
        "h2.example", len(PAGE), "2")
    assert {f["file_md5"] for f in found["network_file_activity"]} == {
        hashlib.md5(b"body").hexdigest(), hashlib.md5(PAGE).hexdigest()}


def test_a_header_that_is_named_again_and_again() -> None:
    """A few bytes that stand for 4 KB, 60,000 times; and 100,000 streams that never end."""
    big = b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000
    block = big + b"\xbe" * 60000
    asked = PREFACE + b"".join(
        frame(1, 0x4, 2 * i + 1, block) for i in range(3)
    ) + b"".join(frame(1, 0x4, 2 * i + 11, b"\x82\x86\x84") for i in range(100000))
    began = time.process_time()
    found = rows((True, asked))
    assert time.process_time() - began < 20
    assert len(found["http_activity"]) == 100000


def test_http2_flipped_bytes() -> None:
    asked = PREFACE + frame(1, 0x5, 1, b"\x82\x86\x84\x41\x03abc") + frame(0, 1, 1, b"x" * 50)
    said = frame(4, 0, 0, b"\0" * 6) + frame(1, 0x4, 1, b"\x88") + frame(0, 0x9, 1, b"\1ab\0")
    chance = random.Random(2)
    for _ in range(250):
        broken = bytearray(asked + said)
        for _ in range(2):
            broken[chance.randrange(24, len(broken))] = chance.randrange(256)
        rows((True, bytes(broken[: len(asked)])), (False, bytes(broken[len(asked) :])))
