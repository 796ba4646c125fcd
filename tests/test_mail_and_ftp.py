"""SMTP, FTP, POP3 and IMAP, and the files that they carry: sessions that are built here."""

import base64
import hashlib
import random
import time
from typing import Any

import pytest

from tests.packets import pcap, session, timed
from tests.zeek_compare import tables
from tracelake.parsers.protocols.mime import mime_type

Said = tuple[bool, bytes]


def rows(*said: Said, port: int = 25, mss: int = 1460) -> dict[str, list[dict[str, Any]]]:
    return tables(pcap(timed(session(*said, port=port, mss=mss))))


def c(text: str) -> Said:
    return True, text.encode() + b"\r\n"


def s(text: str) -> Said:
    return False, text.encode() + b"\r\n"


PICTURE = b"\x89PNG\r\n\x1a\n" + random.Random(3).randbytes(300)
MAIL = (
    "Received: from a (a [192.0.2.1]) by b (b [198.51.100.2])\r\n"
    "From: Ann <ann@example.org>\r\nTo: \"Bob, B.\" <bob@example.org>,\r\n carl@example.org\r\n"
    "Subject: a line\r\n that goes on\r\nMessage-ID: <1@example.org>\r\nX-Mailer: m 1\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=b 1\"\r\n\r\n"
    "no part\r\n--=b 1\r\nContent-Type: text/plain\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n..a=3Db =\r\nc\r\n--=b 1\r\n"
    "Content-Type: image/png; name=\"p.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(PICTURE).decode().replace("\n", "\r\n") + "--=b 1--\r\n"
)
OPENING = (s("220 mx ESMTP"), c("EHLO client"), s("250-mx"), (False, b"250 PIPELINING\r\n"))
ENVELOPE = (c("MAIL FROM:<ann@example.org>"), s("250 ok"), c("RCPT TO:<bob@example.org>"),
            s("250 ok"))


@pytest.mark.parametrize("mss", [1, 11, 1460])
def test_a_mail(mss: int) -> None:
    found = rows(
        *OPENING, *ENVELOPE, c("DATA"), s("354 go on"), c(MAIL + "."), s("250 queued"),
        c("QUIT"), s("221 bye"), mss=mss,
    )
    (row,) = found["net_service_activity"]
    wanted = {
        "protocol": "smtp", "helo": "client", "mail_from": "ann@example.org",
        "rcpt_to": ["bob@example.org"], "header_from": "Ann <ann@example.org>",
        "header_to": ['"Bob, B." <bob@example.org>', "carl@example.org"],
        "subject": "a line that goes on", "message_uid": "<1@example.org>", "user_agent": "m 1",
        "last_reply": "250 queued", "mail_path": ["192.0.2.9", "10.0.0.1", "198.51.100.2"],
        "trans_depth": 1, "tls": False,
    }
    assert {name: row[name] for name in wanted} == wanted
    files = found["network_file_activity"]
    assert row["file_uids"] == [f["file_uid"] for f in files]
    assert [f["file_md5"] for f in files] == [
        hashlib.md5(b".a=b c\r\n").hexdigest(), hashlib.md5(PICTURE).hexdigest()]
    assert [f.get("file_name") for f in files] == [None, "p.png"]
    assert files[1]["mime_type"] == "image/png"


@pytest.mark.parametrize("sizes", [(10000,), (1, 2, 3, 500, 10000), (100,) * 40])
def test_chunks(sizes: tuple[int, ...]) -> None:
    """BDAT: lines go on from one chunk to the next."""
    said: list[Said] = [*OPENING, *ENVELOPE]
    data, at = MAIL.replace("..a", ".a").encode(), 0
    for size in sizes:
        part = data[at : at + size]
        at += size
        last = " LAST" if at >= len(data) else ""
        said += [(True, f"BDAT {len(part)}{last}\r\n".encode() + part), s("250 ok")]
        if last:
            break
    found = rows(*said)
    (row,) = found["net_service_activity"]
    assert row["subject"] == "a line that goes on"
    assert [f["file_md5"] for f in found["network_file_activity"]] == [
        hashlib.md5(b".a=b c\r\n").hexdigest(), hashlib.md5(PICTURE).hexdigest()]


def test_two_mails_in_one_session_and_one_that_is_refused() -> None:
    found = rows(
        *OPENING, *ENVELOPE, c("DATA"), s("354 go"), c("Subject: 1\r\n\r\nx\r\n."), s("250 one"),
        *ENVELOPE, c("DATA"), s("554 no"), c("RSET"), s("250 ok"),
        *ENVELOPE, c("DATA"), s("354 go"), c("Subject: 3\r\n\r\nx\r\n."), s("250 three"),
    )["net_service_activity"]
    assert [(r.get("subject"), r["last_reply"]) for r in found] == [
        ("1", "250 one"), (None, "250 ok"), ("3", "250 three")]


def test_tls_begins_in_a_mail_session() -> None:
    found = rows(*OPENING, c("STARTTLS"), s("220 go"), (True, b"\x16\x03\x01\x00\x05hello"))
    assert [r["tls"] for r in found["net_service_activity"]] == [True]


def test_hostile_mails() -> None:
    """Parts without end, deep ones, endless headers and recipients."""
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"
                   for i in range(3000))
    many = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 150000
    header = "X: y\r\n" + " z" * 500000 + "\r\n\r\n"
    began = time.process_time()
    for mail in (deep, many, header):
        rows(*OPENING, *ENVELOPE, c("DATA"), s("354 go"), c(mail + "\r\n."), s("250 ok"))
    recipients = "".join(f"RCPT TO:<{i}@example.org>\r\n" for i in range(20000))
    found = rows(*OPENING, c("MAIL FROM:<a@b>"), c(recipients), s("250 ok"))
    assert len(found["net_service_activity"][0]["rcpt_to"]) == 1000
    assert time.process_time() - began < 30


# FTP

LOGIN = (s("220 ready"), c("USER ftp"), s("331 who"), c("PASS a@b"), s("230 in"), c("CWD /pub"),
         s("250 ok"))


def transfer(passive: bool, data: bytes) -> dict[str, list[dict[str, Any]]]:
    """A download over a data connection, of which the control connection tells."""
    if passive:
        opening = (c("PASV"), s("227 Entering Passive Mode (192,0,2,9,200,1)."))
        channel = session((False, data), port=51201, sport=40001)
    else:
        opening = (c("PORT 10,0,0,1,200,1"), s("200 ok"))
        channel = session((True, data), port=51201, sport=20, src="192.0.2.9", dst="10.0.0.1")
    control = timed(session(
        *LOGIN, *opening, c("RETR x/../a.bin"), s(f"150 Opening ({len(data)} bytes)"),
        s("226 done"), c("QUIT"), s("221 bye"), port=21))
    # The data come between the two replies to RETR.
    at = control[-12][0]
    frames = [f for f in control if f[0] <= at]
    frames += [(at + 0.0005, f) for _, f in timed(channel)]
    frames += [f for f in control if f[0] > at]
    return tables(pcap(frames))


@pytest.mark.parametrize("passive", [True, False])
def test_a_download(passive: bool) -> None:
    found = transfer(passive, PICTURE * 20)
    opened, got = found["net_service_activity"]
    assert (opened["command"], opened["data_passive"], opened["data_dst_port"]) == (
        "PASV" if passive else "PORT", passive, 51201)
    (file,) = found["network_file_activity"]
    wanted = {
        "command": "RETR", "argument": "ftp://192.0.2.9/pub/a.bin", "user_name": "ftp",
        "password": "a@b", "reply_code": 226, "reply": "done", "file_size": len(PICTURE) * 20,
        "file_uid": file["file_uid"], "mime_type": "image/png",
    }
    assert {name: got.get(name) for name in wanted} == wanted
    assert file["file_sha256"] == hashlib.sha256(PICTURE * 20).hexdigest()
    assert (file["protocol"], file["file_name"]) == ("FTP_DATA", "x/../a.bin")
    assert sorted(r["app_protocol"] for r in found["network_activity"]) == ["ftp", "ftp-data"]


def test_extended_ports() -> None:
    found = rows(*LOGIN, c("EPRT |2|2001:db8::7|5282|"), s("200 ok"), c("EPSV"),
                 s("229 Extended (|||6446|)"), c("NOOP"), s("200 ok"), port=21)
    assert [(r["command"], r["data_dst_ip"], r["data_dst_port"])
            for r in found["net_service_activity"]] == [
        ("EPRT", "2001:db8::7", 5282), ("EPSV", "192.0.2.9", 6446)]


def test_a_million_announcements_are_bounded() -> None:
    said: list[Said] = [*LOGIN]
    text = "".join(f"PORT 10,0,{i >> 8 & 255},{i & 255},4,1\r\n" for i in range(60000))
    began = time.process_time()
    rows(*said, (True, text.encode()), port=21)
    assert time.process_time() - began < 20


def test_paths_do_not_take_long() -> None:
    began = time.process_time()
    said: list[Said] = []
    for i in range(30):
        said += [c("CWD " + "a/../" * 800 + "../" * 20), s("250 ok"), c(f"DELE {'b' * i}"),
                 s("250 ok")]
    rows(*LOGIN, *said, port=21)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(("port", "said", "name"), [
    (110, (s("+OK hi"), c("CAPA"), s("+OK"), c("STLS"), s("+OK go")), "pop3"),
    (143, (s("* OK hi"), c("a1 STARTTLS"), s("a1 OK go")), "imap"),
])
def test_mailboxes(port: int, said: tuple[Said, ...], name: str) -> None:
    (flow,) = rows(*said, port=port)["network_activity"]
    assert flow["app_protocol"] == name


def test_flipped_bytes_of_mail_and_ftp() -> None:
    chance = random.Random(5)
    for port, said in (
        (25, (*OPENING, *ENVELOPE, c("DATA"), s("354 go"), c(MAIL + "."), s("250 ok"))),
        (25, (*OPENING, *ENVELOPE, c("BDAT 5"), c("a: b\r\n\r\n"), c("BDAT 3 LAST\r\nabc"))),
        (21, (*LOGIN, c("PASV"), s("227 (1,2,3,4,5,6)"), c("RETR a"), s("226 done"))),
    ):
        for _ in range(150):
            changed = []
            for client, text in said:
                broken = bytearray(text)
                if chance.random() < 0.3:
                    broken[chance.randrange(len(broken))] = chance.randrange(256)
                changed.append((client, bytes(broken)))
            rows(*changed, port=port, mss=chance.choice([3, 40, 1460]))


@pytest.mark.parametrize(("head", "kind"), [
    (b"", None), (b"\xff\xfe\xfd", None), (b"short", None), (b"plain text, long", "text/plain"),
    (b"\xef\xbb\xbf{\"a\": 1}", "text/json"), (b" [1,2]", "text/json"), (b"{}", "text/json"),
    (b"<!-- a > b\n--> <HTML>", "text/html"), (b"<?xml version='1.0'?>\n<rss>", "text/rss"),
    (b"<?xml version='1.0'?><a/>", "application/xml"), (b"MZ\x90\0", "application/x-dosexec"),
    (b"PK\3\4\x14\0\6\0" + b"\0" * 22 + b"[Content_Types].xml" + b"PK\3\4" + b"\0" * 26 + b"xl/a",
     "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"%PDF-1.7", "application/pdf"), (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"#!/usr/bin/env python3\n", "text/x-python"), (b"#!/bin/bash\n", "text/x-shellscript"),
    (b"[a]\r\nb=1\r\n", "text/ini"),
    (b"\x7fELF\2\1\1" + b"\0" * 9 + b"\3\0", "application/x-sharedlib"),
    (b"\x7fELF\1\1\1" + b"\0" * 9 + b"\2\0", "application/x-executable"),
])
def test_types(head: bytes, kind: str | None) -> None:
    assert mime_type(head) == kind
