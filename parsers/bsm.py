"""Audit trails of macOS, FreeBSD and Solaris (BSM): who asked the kernel for what, and was let.

Specification: audit.log(5) (OpenBSM); "Basic Security Module (BSM) event auditing file format"
(libyal, dtformats). Everything is in network order.

    record = header token  token*  trailer token
    header = id 0x14 (32 bit), 0x15 (with address), 0x74, 0x79 (64 bit)  bytes of the record (4)
             version (1)  event (2)  modifier (2)  [address]  seconds  milliseconds

A record is a row of `raw_event`: tokens are named in `unmapped`, and a token that is not known
ends the naming: what follows stands there as hexadecimal digits.
"""

import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pyarrow as pa

from tracelake.native.errors import Corrupt, EvidenceError, Truncated
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.epochs import within
from tracelake.parsers.pyrows import PyRows

VERSION = "1"
HEADERS = {0x14: 18, 0x74: 26, 0x15: 22, 0x79: 30}
EXTENDED = frozenset({0x15, 0x79})
WIDE = frozenset({0x74, 0x79})
FORMATS = frozenset({1, 2, 3, 11})
TRAILER, TRAILER_MAGIC, TRAILER_LENGTH = 0x13, 0xB105, 7
LEAST, MOST = 18 + TRAILER_LENGTH, 1 << 20
OTHER = 99
NOBODY = 0xFFFFFFFF
SUBJECTS = {
    # id: (name, bytes of a device, whether the address has a length)
    0x24: ("subject", 4, False), 0x75: ("subject", 8, False), 0x7A: ("subject", 4, True),
    0x7C: ("subject", 8, True), 0x26: ("process", 4, False), 0x77: ("process", 8, False),
    0x7B: ("process", 4, True), 0x7D: ("process", 8, True),
}  # fmt: skip
TEXTS = {0x28: "text", 0x23: "path", 0x60: "zone", 0x21: "opaque"}


class Unknown(Exception):
    """A token that is not known, or that does not fit into its record."""


class Tokens:
    """Reads the tokens of a record."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self.said: dict[str, str] = {}
        self.texts: list[str] = []
        self.status: int | None = None
        self.pid: int | None = None
        self.user: int | None = None

    def _take(self, form: str) -> tuple[int, ...]:
        size = struct.calcsize(f">{form}")
        if self._at + size > len(self._data):
            raise Unknown
        found = struct.unpack_from(f">{form}", self._data, self._at)
        self._at += size
        return found

    def _bytes(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._data):
            raise Unknown
        self._at += count
        return self._data[self._at - count : self._at]

    def _counted(self) -> str:
        """A text behind its length in bytes, a NUL at its end."""
        return self._bytes(self._take("H")[0]).rstrip(b"\0").decode("utf-8", "replace")

    def _ended(self) -> str:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise Unknown
        return self._bytes(end + 1 - self._at)[:-1].decode("utf-8", "replace")

    def _address(self, length: int) -> str:
        if length not in (4, 16):
            raise Unknown
        return str(ip_address(self._bytes(length)))

    def _say(self, name: str, value: object) -> None:
        """Tokens of one kind are numbered."""
        key, n = name, 2
        while key in self.said:
            key, n = f"{name} {n}", n + 1
        self.said[key] = str(value)

    def read(self, end: int) -> None:
        """All tokens up to `end`; what is not known is said as it is."""
        while self._at < end:
            start = self._at
            try:
                self._token(self._take("B")[0])
            except Unknown:
                self._say("tokens not read", self._data[start:end].hex())
                return

    def _token(self, kind: int) -> None:
        if kind in SUBJECTS:
            self._subject(*SUBJECTS[kind])
        elif kind in TEXTS:
            text = self._counted()
            self._say(TEXTS[kind], text)
            self.texts.append(text)
        elif kind in (0x27, 0x72):
            error, value = self._take("BI" if kind == 0x27 else "BQ")
            self.status = error
            self._say("return", f"error {error}, value {value}")
        elif kind in (0x2D, 0x71):
            number, value = self._take("BI" if kind == 0x2D else "BQ")
            self._say(f"argument {number}", f"{self._counted()} = {value:#x}")
        elif kind in (0x3C, 0x3D):
            count = self._take("I")[0]
            if count > len(self._data):
                raise Unknown
            name = "exec arguments" if kind == 0x3C else "exec environment"
            texts = [self._ended() for _ in range(count)]
            self._say(name, "\n".join(texts))
            if kind == 0x3C:
                self.texts.append(" ".join(texts))
        elif kind in (0x3E, 0x73):
            mode, uid, gid, fs, node, device = self._take("IIIIQI" if kind == 0x3E else "IIIIQQ")
            self._say("attributes", f"mode {mode:o}, uid {uid}, gid {gid}, file system {fs}, "
                      f"node {node}, device {device}")  # fmt: skip
        else:
            self._rarer(kind)

    def _rarer(self, kind: int) -> None:
        if kind == 0x11:
            seconds, milliseconds = self._take("II")
            self._say("file", f"{self._counted()} at {seconds}.{milliseconds:03d}")
        elif kind == 0x3B or kind == 0x34:
            groups = [str(self._take("I")[0]) for _ in range(self._take("H")[0])]
            self._say("groups", ", ".join(groups))
        elif kind == 0x52:
            self._say("exit", ", ".join(map(str, self._take("II"))))
        elif kind == 0x2F:
            self._say("sequence", self._take("I")[0])
        elif kind == 0x2A:
            self._say("address", self._address(4))
        elif kind == 0x7E:
            self._say("address", self._address(self._take("I")[0]))
        elif kind == 0x2B:
            self._say("ip header", self._bytes(20).hex())
        elif kind == 0x2C:
            self._say("port", self._take("H")[0])
        elif kind == 0x22:
            self._say("ipc", ", ".join(map(str, self._take("BI"))))
        elif kind == 0x32:
            self._say("ipc permissions", ", ".join(map(str, self._take("IIIIIII"))))
        elif kind in (0x80, 0x81):
            _, port = self._take("HH")
            self._say("socket", f"{self._address(4 if kind == 0x80 else 16)} port {port}")
        elif kind == 0x82:
            self._take("H")
            self._say("socket", self._ended())
        elif kind == 0x7F:
            domain, form, length, local = self._take("HHHH")
            here = self._address(length)
            port = self._take("H")[0]
            self._say("socket", f"domain {domain}, type {form}, {here} port {local} to "
                      f"{self._address(length)} port {port}")  # fmt: skip
        elif kind == 0x29:
            _, unit, count = self._take("BBB")
            size = {0: 1, 1: 2, 2: 4, 3: 8}.get(unit)
            if size is None:
                raise Unknown
            self._say("data", self._bytes(size * count).hex())
        else:
            raise Unknown

    def _subject(self, name: str, device: int, counted: bool) -> None:
        audit, uid, gid, real, group, pid, session = self._take("IIIIIII")
        port = int.from_bytes(self._bytes(device), "big")
        address = self._address(self._take("I")[0] if counted else 4)
        if name == "subject":
            self.pid, self.user = pid, audit if audit != NOBODY else uid
        self._say(name, f"audit user {audit if audit != NOBODY else 'none'}, user {uid}, "
                  f"group {gid}, real user {real}, real group {group}, process {pid}, "
                  f"session {session}, terminal {port} {address}")  # fmt: skip


def match(head: bytes, _path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is an audit trail, and why not."""
    why = "no header token of an audit trail at its start"
    if len(head) < LEAST or head[0] not in HEADERS:
        return Match.NO, why
    size, version = struct.unpack_from(">IB", head, 1)
    if version not in FORMATS or not LEAST <= size <= MOST:
        return Match.NO, why
    if size <= len(head):
        # Both ends of the first record.
        end = struct.unpack_from(">BHI", head, size - TRAILER_LENGTH)
        return (Match.CONTENT, "") if end == (TRAILER, TRAILER_MAGIC, size) else (Match.NO, why)
    return Match.NAME, "the first record is longer than what was looked at"


def add(record: bytes, at: int, rows: PyRows) -> None:
    """Adds the row of a record, whose ends were looked at."""
    kind = record[0]
    event, modifier = struct.unpack_from(">HH", record, 6)
    start = HEADERS[kind]
    said: dict[str, str] = {}
    times = 10
    if kind in EXTENDED:
        length = int(struct.unpack_from(">I", record, 10)[0])
        if length not in (4, 16) or start + length + TRAILER_LENGTH > len(record):
            rows.damaged(at, len(record), "header", f"an address of {length} bytes", record)
            return
        said["host address"] = str(ip_address(record[14 : 14 + length]))
        times = 14 + length
        start += length
    seconds, milliseconds = struct.unpack_from(">QQ" if kind in WIDE else ">II", record, times)
    moment = within(seconds * 10**6 + milliseconds * 1000) if milliseconds < 1000 else None
    if moment is None:
        said["time"] = f"{seconds} s {milliseconds} ms"
    tokens = Tokens(record, start)
    tokens.read(len(record) - TRAILER_LENGTH)
    if modifier:
        said["modifier"] = f"{modifier:#06x}"
    rows.seen(len(record))
    rows.add(
        "raw_event", at, len(record), record, time=moment[0] if moment else None,
        time_ns=0 if moment else None, activity_id=OTHER, log_provider="bsm",
        event_code=str(event), message=" ".join(tokens.texts) or None,
        status_id=None if tokens.status is None else 1 if tokens.status == 0 else 2,
        event_pid=tokens.pid, event_user_uid=None if tokens.user is None else str(tokens.user),
        unmapped=said | tokens.said,
    )  # fmt: skip


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `raw_event` for each record.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    feed = artifact.feed
    stopped: EvidenceError | None = None
    try:
        while head := feed.peek(LEAST):
            at = feed.position
            if len(head) < LEAST:
                raise Truncated("record", at, f"the file ends after {len(head)} of its bytes")
            size, version = struct.unpack_from(">IB", head, 1)
            if head[0] not in HEADERS or version not in FORMATS or not LEAST <= size <= MOST:
                raise Corrupt("header token", at, f"{head[:6].hex()} begins no record")
            record = feed.read(size)
            if len(record) < size:
                raise Truncated("record", at, f"{len(record)} of its {size} bytes are there")
            end = struct.unpack_from(">BHI", record, size - TRAILER_LENGTH)
            if end != (TRAILER, TRAILER_MAGIC, size) or size < HEADERS[head[0]] + TRAILER_LENGTH:
                rows.damaged(at, size, "trailer token", "it does not close the record", record)
            else:
                add(record, at, rows)
            yield from rows.full()
    except EvidenceError as error:
        stopped = error
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "bsm", VERSION, match, ("raw_event",), read,
    files=("*var/audit/*",), rank=Rank.LOGS,
)  # fmt: skip
