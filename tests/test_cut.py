"""Every small sample cut at every byte: nothing crashes, the accounts close, nothing is made up."""

import lzma
import struct
from pathlib import Path

import pytest

from tests.fuzz.examine import Outcome, read
from tests.netflow_build import NOT_PACKED, ZSTD, seeds
from tests.ntfs_build import usn
from tests.text_build import CELLS
from tracelake.parsers import PARSERS

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "examples" / "evidence"
BOOKS = ROOT / "tests" / "data" / "ntfs"


SYSLOG = (
    b"Mar  1 10:00:00 web sshd[7]: Failed password for root from 10.0.0.1 port 1 ssh2\n"
    b"Mar  1 10:00:01 web kernel: attached\n\tmore of it\n"
    b"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 app 8710 ID47 [ex@1 a=\"x\"] It\n"
)
ACCESS = (
    b'1.2.3.4 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326 "r" "a"\n'
    b'www.example.com:443 ::1 - - [10/Oct/2000:13:55:36 -0700] "-" 400 -\n'
)
W3C = (
    b"#Fields: date time cs-method cs-uri-stem c-ip sc-status\r\n"
    b"2015-01-02 10:00:00 POST /a 1.2.3.4 404\r\n2015-01-02 10:00:01 GET /b 1.2.3.4 200\r\n"
)
AUDIT = (
    b'type=SYSCALL msg=audit(1.123:1): arch=c000003e syscall=59 pid=2 uid=0 exe="/bin/sh"\n'
    b'type=EXECVE msg=audit(1.123:1): argc=2 a0="sh" a1=2D63\n'
    b"type=USER_LOGIN msg=audit(1.124:2): pid=9 msg='op=login acct=\"bob\" res=failed'\n"
)


ZEEK = (
    b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    b"#fields\tts\tuid\tid.orig_h\tid.orig_p\tproto\tlocal_orig\ttunnel_parents\n"
    b"#types\ttime\tstring\taddr\tport\tenum\tbool\tset[string]\n"
    b"1300475167.096535\tCh1\t1.2.3.4\t5353\tudp\tT\tCa,C\\x2c\n1300475168.5\t-\t-\t-\ticmp\tF\t(empty)\n"
)
DEVICES = (ROOT / "tests" / "data" / "devices" / "lines.log").read_bytes()


def lines(path: str, count: int) -> bytes:
    return b"".join((EVIDENCE / path).read_bytes().splitlines(keepends=True)[:count])


def log(path: str) -> tuple[bytes, int]:
    """An event log as it is, and where its first chunk's records end."""
    data = (EVIDENCE / path).read_bytes()
    return data, 4096 + struct.unpack_from("<I", data, 4096 + 48)[0]


def samples() -> list[tuple[str, str, bytes, range]]:
    """(parser, name, bytes, the cuts)."""
    capture = (EVIDENCE / "captures/mixed.pcap").read_bytes()[:2400]
    pcapng = (EVIDENCE / "captures/three_interfaces_big_endian.pcapng").read_bytes()
    told = lines("edr/cmd_bitsadmin_download_psh_script_2020-10-2302365189.json", 3)
    events, end = log("logs/new-user-security.evtx")
    table = lzma.decompress((BOOKS / "museum.mft.xz").read_bytes())[176 * 1024 : 186 * 1024]
    changes = b"".join(usn(f"file {i}", reason=i, version=2 + i % 2) for i in range(20))
    index = lzma.decompress((BOOKS / "grr.i30.xz").read_bytes())
    first = lzma.decompress((BOOKS / "grr.logfile.xz").read_bytes())[: 6 * 4096]
    flows = dict(seeds())
    registry = lzma.decompress((ROOT / "tests/data/regipy/SAM.xz").read_bytes())
    return [
        ("pcap", "pcap", capture, range(len(capture) + 1)),
        ("pcap", "pcapng", pcapng, range(len(pcapng) + 1)),
        ("jsonl", "mordor", told, range(len(told) + 1)),
        ("hive", "base block", registry, range(4096)),
        ("hive", "bins", registry, range(4096, 4096 + 20480 + 1, 7)),
        ("syslog", "syslog", SYSLOG, range(len(SYSLOG) + 1)),
        ("syslog", "devices", DEVICES, range(0, len(DEVICES) + 1, 3)),
        ("csv", "cells", CELLS, range(len(CELLS) + 1)),
        ("csv", "utf-16", CELLS.decode().encode("utf-16"), range(2 * len(CELLS) + 3)),
        ("zeek", "conn", ZEEK, range(len(ZEEK) + 1)),
        ("weblog", "combined", ACCESS, range(len(ACCESS) + 1)),
        ("w3c", "iis", W3C, range(len(W3C) + 1)),
        ("auditd", "audit", AUDIT, range(len(AUDIT) + 1)),
        ("evtx", "header", events, range(4096)),
        ("evtx", "records", events, range(4096, end + 1)),
        # Behind the last record a chunk holds nothing but zeros.
        ("evtx", "slack", events, range(end, len(events) + 1, 997)),
        ("mft", "table", table, range(0, len(table) + 1, 7)),
        ("usn", "journal", changes, range(len(changes) + 1)),
        ("netflow", "messages", flows["all"], range(len(flows["all"]) + 1)),
        ("netflow", "data first", flows["v9 late"], range(len(flows["v9 late"]) + 1)),
        *(
            ("nfcapd", name, flows[name], range(len(flows[name]) + 1))
            for name in (f"nfcapd.2.{NOT_PACKED}", f"nfcapd.2.{ZSTD}", f"nfcapd.1.{NOT_PACKED}")
        ),
        ("ntfs_index", "index", index * 2, range(4090, 2 * len(index) + 1, 3)),
        ("ntfs_log", "log", first, range(4096, len(first) + 1, 61)),
    ]


def outcome(parser: str, data: bytes) -> Outcome:
    found = next(p for p in PARSERS if p.name == parser)
    return read(found, data, "cut", window=4096, piece=1 << 16, completed=False)


@pytest.mark.parametrize(
    ("parser", "data", "cuts"),
    [pytest.param(p, d, c, id=f"{p}-{name}") for p, name, d, c in samples()],
)
def test_cut_at_every_byte(parser: str, data: bytes, cuts: range) -> None:
    whole = outcome(parser, data)
    before = 0
    for at in cuts:
        cut = outcome(parser, data[:at])  # which checks the account, the batches, the citations
        assert cut.in_rows <= whole.in_rows, at
        assert cut.in_rows >= before, f"fewer records with one byte more, at {at}"
        before = cut.in_rows
    assert whole.in_rows > 0
    # The cuts end behind whole records, but for those in the header of a log.
    assert (before > 0) == (cuts.stop > 4096 or cuts.stop > len(data))
