"""Who was logged in: utmp, wtmp, btmp, lastlog, and macOS' utmpx.

Specifications: utmp(5), <bits/utmp.h> of the GNU C library, lastlog(8); macOS' <utmpx.h>.

    utmp, 384 bytes   type (2) pad (2) pid (4) line (32) id (4) user (32) host (256) exit (4)
                      session (4) seconds (4) microseconds (4) address (16) unused (20)
    utmp, 400 bytes   as above, but session, seconds and microseconds of 8 bytes each (arm64,
                      riscv64 and others without a 32-bit past)
    utmpx, 628 bytes  user (256) id (4) line (32) pid (4) type (2) pad (2) seconds (4)
                      microseconds (4) host (256) unused (64); the first is "utmpx-1.00"
    lastlog           seconds (4) line (32) host (256), 292 bytes, at uid * 292; or of 296
                      bytes, with seconds of 8

Either byte order. Logons and logoffs, those that failed (btmp), and the last one of each user
(lastlog) are rows of `authentication`; starts and stops of the host are in `inventory`; records of
other kinds (run levels, clock changes, terminals that wait) are in `raw_event`. Records of zeros
are slack.
"""

import re
import struct

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memset

from tracelake.native.cursor cimport Cursor, be16, be32, be64, le16, le32, le64, take
from tracelake.native.text cimport put_ipv4, put_ipv6
from tracelake.parsers.artifact import Match, Parser, Rank
from tracelake.parsers.textrows cimport Record, Slot, TextReader, TextRows, looks_like_address

VERSION = "1"

cdef int PER_TURN = 4096
cdef enum Layout:
    UTMP32, UTMP64, UTMPX, LAST32, LAST64

cdef Py_ssize_t[5] SIZES = [384, 400, 628, 292, 296]
LAYOUTS = {"utmp32": UTMP32, "utmp64": UTMP64, "utmpx": UTMPX, "last32": LAST32, "last64": LAST64}

cdef enum:
    EMPTY, RUN_LEVEL, BOOT_TIME, NEW_TIME, OLD_TIME, INIT_PROCESS, LOGIN_PROCESS, USER_PROCESS
    DEAD_PROCESS, ACCOUNTING, SIGNATURE, SHUTDOWN_TIME

KINDS = (
    b"empty", b"run_level", b"boot_time", b"new_time", b"old_time", b"init_process",
    b"login_process", b"user_process", b"dead_process", b"accounting", b"signature",
    b"shutdown_time",
)
NAMED = re.compile(r"(?:^|[^a-z])([uwb]tmpx?|lastlog)(?:$|[^a-z])")
TEXT = re.compile(rb"[^\x00-\x1f\x7f]*(?:\x00|$)")
LATEST = 4102444800         # 2100-01-01


def _is_text(field):
    return TEXT.match(field) is not None


def _utmp_ok(record, wide, order, named):
    """Whether it can be a record; None where it is empty. `named`: the file's name says it, so
    that what was never meant to be looked at may hold anything."""
    if not any(record):
        return None
    kind, pad, pid = struct.unpack_from(order + "hHi", record)
    at = 344 if wide else 340
    seconds, us = struct.unpack_from(order + ("qq" if wide else "Ii"), record, at)
    return (
        0 <= kind <= 9 and pid >= 0 and 0 <= seconds < LATEST and 0 <= us < 1000000
        and (seconds > 0 or kind == EMPTY)
        and (named or (pad == 0 and not any(record[at + 24 + 8 * wide:]) and (kind or pid)))
        and _is_text(record[8:40]) and _is_text(record[44:76]) and _is_text(record[76:332])
    )


def _last_ok(record, wide, order):
    if not any(record):
        return None
    seconds = struct.unpack_from(order + ("q" if wide else "I"), record)[0]
    at = 8 if wide else 4
    return 0 < seconds < LATEST and _is_text(record[at:at + 32]) and _is_text(record[at + 32:])


def layout_of(head, path):
    """(name of the layout, byte order as of `struct`) of an artifact, or None.

    Args:
        head: its first bytes. path: its path, for its name.
    """
    found = NAMED.search(path[max(path.rfind("/"), path.rfind("\\")) + 1:].lower())
    name = found.group(1) if found else ""
    if head[:10] == b"utmpx-1.00" and len(head) >= 628:
        return "utmpx", "<" if struct.unpack_from("<h", head, 296)[0] == SIGNATURE else ">"
    if name == "lastlog":
        for layout, size, wide in (("last32", 292, False), ("last64", 296, True)):
            for order in "<>":
                judged = [
                    _last_ok(head[at:at + size], wide, order)
                    for at in range(0, len(head) - size + 1, size)
                ]
                if judged and False not in judged:
                    return layout, order
        return None
    if not name and (head[:1] > b"\x09" or head[1:2] > b"\x09"):
        return None  # neither order of bytes makes a kind of record of these two
    for layout, size, wide in (("utmp32", 384, False), ("utmp64", 400, True)):
        for order in "<>":
            judged = []
            for at in range(0, min(len(head), 40 * size) - size + 1, size):
                judged.append(_utmp_ok(head[at:at + size], wide, order, bool(name)))
                if judged[-1] is False and not name:
                    break  # without the name one wrong record is enough
            good, bad = judged.count(True), judged.count(False)
            if good and (bad == 0 or (name and good > 3 * bad)):
                return layout, order
    return None


def match(head, path):
    """How sure it is that an artifact is a book of logons, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source; lastlog is only told by its name.
    """
    if layout_of(head, path) is not None:
        return Match.CONTENT, ""
    return Match.NO, "no records of utmp or lastlog"


cdef inline Py_ssize_t _length(const uint8_t* p, Py_ssize_t most) noexcept nogil:
    cdef const void* found = memchr(p, 0, most)
    return most if found is NULL else <const uint8_t*>found - p


cdef bint _zeros(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    return p[0] == 0 and memcmp(p, p + 1, n - 1) == 0


cdef class _Reader(TextReader):
    cdef TextRows logons, hosts, others
    cdef int layout
    cdef bint big               # big endian
    cdef bint failed            # btmp: all of them failed
    cdef Py_ssize_t size
    cdef int64_t number

    def __cinit__(self, artifact, int layout, bint big, bint failed):
        self.feed = artifact.feed
        self.account = artifact.account
        self.layout = layout
        self.big = big
        self.failed = failed
        self.size = SIZES[layout]
        self.logons = TextRows("authentication")
        self.hosts = TextRows("inventory")
        self.others = TextRows("raw_event")
        self.tables = {
            "authentication": self.logons, "inventory": self.hosts, "raw_event": self.others,
        }

    cdef inline int64_t i32(self, const uint8_t* p) noexcept nogil:
        return <int32_t>(be32(p) if self.big else le32(p))

    cdef inline int64_t u32(self, const uint8_t* p) noexcept nogil:
        return be32(p) if self.big else le32(p)

    cdef inline int64_t i64(self, const uint8_t* p) noexcept nogil:
        return <int64_t>(be64(p) if self.big else le64(p))

    cdef int turn(self) except -1:
        """Reads records until a batch is full; 0 at the end."""
        cdef int i
        cdef Py_ssize_t have
        cdef Cursor c
        cdef const uint8_t* p
        cdef Record record
        cdef TextRows rows
        for i in range(PER_TURN):
            have = self.feed.fill(self.size)
            if have == 0:
                return 0
            memset(&record, 0, sizeof(Record))
            record.offset = self.feed.offset()
            if have < self.size:
                self.account.records += 1
                self.account.bytes_records += have
                self.account.damage(
                    record.offset, have, b"record", b"the file ends inside of it", self.feed.at(),
                    have,
                )
                self.feed.advance(have)
                return 0
            c = self.feed.cursor(self.size)
            p = take(&c, self.size, b"record")
            self.number += 1
            if _zeros(p, self.size):
                self.account.bytes_slack += self.size
                self.feed.advance(self.size)
                continue
            if self.layout == UTMPX and memcmp(p, b"utmpx-1.00", 10) == 0:
                self.account.bytes_structure += self.size
                self.feed.advance(self.size)
                continue
            self.account.records += 1
            self.account.bytes_records += self.size
            record.length = self.size
            record.p = p
            record.n = self.size
            if self.layout == LAST32 or self.layout == LAST64:
                rows = self.last(p, &record)
            else:
                rows = self.entry(p, &record)
            if rows is not None:
                rows.done(&record)
                self.account.in_rows += 1
            self.feed.advance(self.size)
            if rows is not None and rows.rows.full():
                break
        return 1

    cdef int refuse(self, const Record* record, const char* why) except -1:
        self.account.damage(record.offset, self.size, b"record", why, record.p, self.size)
        return 0

    cdef int words(self, TextRows rows, str name, const uint8_t* p, Py_ssize_t most) except -1:
        cdef Py_ssize_t n = _length(p, most)
        if n:
            rows.put(rows.slot(name), p, n)
        return 0

    cdef int host(self, TextRows rows, const uint8_t* p, Py_ssize_t most, bint known) except -1:
        """A host's name or address; `known`: its address stands elsewhere."""
        cdef Py_ssize_t n = _length(p, most)
        if n == 0:
            return 0
        if looks_like_address(p, n):
            if not known:
                rows.put(rows.slot("src_ip"), p, n)
        elif p[0] == 58:
            rows.put(rows.slot("display"), p, n)
        else:
            rows.put(rows.slot("src_hostname"), p, n)
        return 0

    cdef TextRows last(self, const uint8_t* p, Record* record):
        """A record of lastlog: the last logon of the user whose number it stands at."""
        cdef TextRows rows = self.logons
        cdef Py_ssize_t at = 4 if self.layout == LAST32 else 8
        cdef int64_t seconds = self.u32(p) if self.layout == LAST32 else self.i64(p)
        if seconds <= 0 or seconds > 253402300799:
            self.refuse(record, b"its time is none")
            return None
        record.timed = True
        record.time = seconds * 1000000
        text = b"%d" % (self.number - 1)
        rows.put(rows.slot("user_uid"), text, len(text))
        rows.put(rows.slot("time_desc"), b"last_logon", 10)
        rows.put(rows.slot("log_provider"), b"lastlog", 7)
        rows.set(rows.slot("activity_id"), 1)
        rows.set(rows.slot("status_id"), 1)
        self.words(rows, "terminal", p + at, 32)
        self.host(rows, p + at + 32, 256, False)
        return rows

    cdef TextRows entry(self, const uint8_t* p, Record* record):
        """A record of utmp."""
        cdef TextRows rows
        cdef int kind, exit_code = 0, signal = 0
        cdef int64_t pid, seconds, us, session = 0
        cdef const uint8_t* user = p + 44
        cdef const uint8_t* line = p + 8
        cdef const uint8_t* ident = p + 40
        cdef const uint8_t* host = p + 76
        cdef const uint8_t* address = NULL
        cdef Py_ssize_t most = 32, n
        cdef uint8_t[45] text
        cdef bytes word
        if self.layout == UTMPX:
            user = p
            ident = p + 256
            line = p + 260
            host = p + 308
            most = 256
            pid = self.i32(p + 292)
            kind = be16(p + 296) if self.big else le16(p + 296)
            seconds = self.u32(p + 300)
            us = self.i32(p + 304)
        else:
            kind = be16(p) if self.big else le16(p)
            pid = self.i32(p + 4)
            signal = be16(p + 332) if self.big else le16(p + 332)
            exit_code = be16(p + 334) if self.big else le16(p + 334)
            if self.layout == UTMP32:
                session = self.i32(p + 336)
                seconds = self.u32(p + 340)
                us = self.i32(p + 344)
                address = p + 348
            else:
                session = self.i64(p + 336)
                seconds = self.i64(p + 344)
                us = self.i64(p + 352)
                address = p + 360
        if kind > SHUTDOWN_TIME:
            self.refuse(record, b"its type is none that is known")
            return None
        if seconds < 0 or seconds > 253402300799:
            self.refuse(record, b"its time is none")
            return None
        n = _length(user, most)
        if kind == LOGIN_PROCESS and (self.failed or memcmp(line, b"ssh:notty", 9) == 0):
            rows = self.logons
        elif kind == USER_PROCESS or kind == DEAD_PROCESS:
            rows = self.logons
        elif kind == BOOT_TIME or kind == SHUTDOWN_TIME or (
            kind == RUN_LEVEL and n == 8 and memcmp(user, b"shutdown", 8) == 0
        ):
            rows = self.hosts
        else:
            rows = self.others
        if seconds:
            record.timed = True
            record.time = seconds * 1000000 + (us if 0 <= us < 1000000 else 0)
        word = <bytes>KINDS[kind]
        rows.put(rows.slot("log_provider"), b"utmp", 4)
        rows.put(rows.slot("record_type"), word, len(word))
        rows.set(rows.slot("event_pid"), pid)
        self.words(rows, "id", ident, 4)
        if session:
            rows.set(rows.slot("session"), session)
        if signal:
            rows.set(rows.slot("signal"), signal)
        if exit_code:
            rows.set(rows.slot("exit_code"), exit_code)
        if rows is self.hosts:
            # The kernel's release stands where a host's name does.
            if kind == BOOT_TIME:
                rows.put(rows.slot("fact"), b"boot", 4)
                rows.set(rows.slot("boot_time"), record.time)
            else:
                rows.put(rows.slot("fact"), b"shutdown", 8)
                rows.set(rows.slot("shutdown_time"), record.time)
            if not looks_like_address(host, _length(host, 256)):
                self.words(rows, "os_kernel", host, 256)
            self.words(rows, "terminal", line, 32)
            return rows
        self.words(rows, "user_name", user, most)
        self.words(rows, "terminal", line, 32)
        if address is not NULL and not _zeros(address, 16):
            if _zeros(address + 4, 12):
                n = put_ipv4(text, address)
            else:
                n = put_ipv6(text, address)
            rows.put(rows.slot("src_ip"), text, n)
            self.host(rows, host, 256, True)
        else:
            self.host(rows, host, 256, False)
        if rows is self.logons:
            if kind == DEAD_PROCESS and not self.failed:
                rows.set(rows.slot("activity_id"), 2)
                rows.set(rows.slot("status_id"), 1)
            else:
                rows.set(rows.slot("activity_id"), 1)
                rows.set(rows.slot("status_id"), 2 if self.failed or kind == LOGIN_PROCESS else 1)
        return rows


def read(artifact):
    """Yields rows of the tables of this parser, in the order of the records.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader
    found = layout_of(artifact.feed.peek(65536), artifact.path)
    name = re.split(r"[/\\]", artifact.path)[-1].lower()
    if found is None:
        # Cut or damaged beyond being told: its name says it.
        found = ("last32" if "lastlog" in name else "utmp32", "<")
    reader = _Reader(
        artifact, LAYOUTS[found[0]], found[1] == ">", "btmp" in name and found[0] != "utmpx"
    )
    yield from reader.batches()


PARSER = Parser(
    "utmp",
    VERSION,
    match,
    ("authentication", "inventory", "raw_event"),
    read,
    files=("*/wtmp*", "*/btmp*", "*/utmp*", "*/lastlog*", "wtmp*", "btmp*", "utmp*", "lastlog*"),
    rank=Rank.LOGS,
)
