"""The Linux audit log (`audit.log`): records of one event joined to one row.

    [node=NAME ]type=SYSCALL msg=audit(1364481363.243:24287): key=value key="value" ...

Specification: auditd.conf(5), auparse(3), the dictionaries of the Linux audit documentation
project (auditd_fields.py). All records with the same time and number are one event: a system call
(SYSCALL) with its arguments (EXECVE), folder (CWD), files (PATH), address (SOCKADDR) and command
line (PROCTITLE). Events may be interleaved; at most 16 are open at a time, and one of more than
256 records or 1 MiB is divided (parse_flags 1). Records of programs (USER_LOGIN, USER_CMD,
ADD_USER, ...) stand for themselves.

Values that are not in quotes are hexadecimal digits in fields that a user decides on; they are
decoded. Rows: `process_activity` (execve, USER_CMD), `file_activity`, `network_activity`
(connect, bind), `authentication`, `account_change`, `service_activity`; everything else is in
`raw_event`. `event_code` is the record's type, `src_record_id` the event's number. What has no
column is in `unmapped`, the fields of a PATH under `PATH0.mode` and so on.
"""

import re

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from tracelake.native.cursor cimport be16, le16
from tracelake.native.text cimport put_ipv4, put_ipv6
from tracelake.parsers.artifact import Match, Parser, Rank
from tracelake.parsers.auditd_fields import CALLS, ENCODED, FIELDS, NUMBERS, TYPES
from tracelake.parsers.flags cimport TRUNCATED
from tracelake.parsers.textlines cimport Line, Lines, digit, number_at
from tracelake.parsers.textrows cimport Piece, Record, Slot, TextReader, TextRows

VERSION = "1"

cdef int PER_TURN = 4096
cdef int RAW = 4096
cdef int64_t LAST_SECOND = 253402300799     # of the year 9999
cdef enum:
    OPEN_EVENTS = 16
    MOST_RECORDS = 256
    MOST_BYTES = 1048576
    MOST_ARGUMENTS = 4096

HEAD = re.compile(
    rb"(?:node=\S+ )?type=[A-Z0-9_]+(?:\[\d+\])? msg=audit\(\d+\.\d{3}:\d+\):", re.ASCII
)
CALL_NAMES = {
    (arch.encode(), b"%d" % number): name.encode()
    for arch, calls in NUMBERS.items() for number, name in calls.items()
}
MEANINGS = {name.encode(): meaning for name, meaning in CALLS.items()}
STANDING = {name.encode(): meaning for name, meaning in TYPES.items()}
HEXADECIMAL = frozenset(name.encode() for name in ENCODED)
# SYSCALL's fields say who did it in all tables; those of other records are named by their type.
MAIN = frozenset((b"SYSCALL",)) | frozenset(STANDING)


def match(head, path):
    """How sure it is that an artifact is an audit log, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    lines = [line for line in head.split(b"\n", 20)[:20] if line.strip()]
    good = sum(HEAD.match(line) is not None for line in lines)
    if good and (HEAD.match(lines[0]) or good * 2 > len(lines)):
        return Match.CONTENT, ""
    return Match.NO, "its lines are not audit records (type=... msg=audit(...))"


cdef class _Event:
    """Records of one event, one behind the other."""
    cdef uint8_t* data
    cdef Py_ssize_t used
    cdef Py_ssize_t room
    cdef Py_ssize_t[MOST_RECORDS] ends
    cdef int count
    cdef int64_t time           # milliseconds since 1970
    cdef int64_t number
    cdef int64_t first          # place in the artifact
    cdef int64_t end
    cdef bint divided
    cdef bint cut

    def __dealloc__(self):
        free(self.data)

    cdef int add(self, const uint8_t* p, Py_ssize_t n) except -1:
        cdef uint8_t* grown
        if self.used + n > self.room:
            self.room = max(2 * self.room, self.used + n, <Py_ssize_t>4096)
            grown = <uint8_t*>realloc(self.data, self.room)
            if grown is NULL:
                raise MemoryError()
            self.data = grown
        memcpy(self.data + self.used, p, n)
        self.used += n
        self.ends[self.count] = self.used
        self.count += 1
        return 0


cdef struct Pair:
    Piece key
    Piece value
    bint quoted


cdef bint _next(const uint8_t** at, const uint8_t* end, Pair* pair) noexcept nogil:
    """The next `key=value`; False at the end."""
    cdef const uint8_t* p = at[0]
    cdef const uint8_t* start
    cdef const uint8_t* close
    while p < end:
        while p < end and (p[0] == 32 or p[0] == 29 or p[0] == 44 or p[0] == 39):
            p += 1
        start = p
        while p < end and p[0] != 61 and p[0] != 32 and p[0] != 29:
            p += 1
        if p >= end or p[0] != 61:
            continue                        # a word of a message
        pair.key.p = start
        pair.key.n = p - start
        p += 1
        pair.quoted = False
        if p < end and p[0] == 34:
            close = <const uint8_t*>memchr(p + 1, 34, end - p - 1)
            if close is NULL:
                close = end
            pair.value.p = p + 1
            pair.value.n = close - p - 1
            pair.quoted = True
            at[0] = min(close + 1, end)
            return True
        if p < end and p[0] == 39:
            # msg='op=login acct="root" ...': what is inside is of the record.
            p += 1
            if pair.key.n == 3 and memcmp(pair.key.p, b"msg", 3) == 0:
                continue
            close = <const uint8_t*>memchr(p, 39, end - p)
            if close is NULL:
                close = end
            pair.value.p = p
            pair.value.n = close - p
            pair.quoted = True
            at[0] = min(close + 1, end)
            return True
        start = p
        while p < end and p[0] != 32 and p[0] != 29:
            p += 1
        close = p
        if close > start and close[-1] == 39:
            close -= 1
        pair.value.p = start
        pair.value.n = close - start
        at[0] = p
        return True
    at[0] = p
    return False


cdef inline int _nibble(uint8_t c) noexcept nogil:
    if digit(c):
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef bytes _unhex(const uint8_t* p, Py_ssize_t n):
    """What pairs of hexadecimal digits stand for, or None."""
    cdef Py_ssize_t i
    cdef bytearray out
    if n < 2 or n & 1:
        return None
    out = bytearray(n // 2)
    for i in range(n // 2):
        if _nibble(p[2 * i]) < 0 or _nibble(p[2 * i + 1]) < 0:
            return None
        out[i] = _nibble(p[2 * i]) << 4 | _nibble(p[2 * i + 1])
    return bytes(out)


cdef bytes _text(const Pair* pair):
    """A value, decoded where it is in hexadecimal digits."""
    cdef bytes text = None
    if not pair.quoted:
        text = _unhex(pair.value.p, pair.value.n)
    return (<const char*>pair.value.p)[:pair.value.n] if text is None else text


cdef inline bint _is(const Piece* piece, const char* text, Py_ssize_t n) noexcept nogil:
    return piece.n == n and memcmp(piece.p, text, n) == 0


cdef class _Reader(TextReader):
    cdef Lines lines
    cdef dict slots             # kind -> {field: Slot}
    cdef list events            # that are open, in their order
    cdef object artifact

    def __cinit__(self, artifact):
        self.feed = artifact.feed
        self.account = artifact.account
        self.lines = Lines(artifact)
        self.events = []
        self.tables = {}
        self.slots = {}
        for kind, fields in FIELDS.items():
            rows = self.into("process_activity" if kind == "command" else kind)
            self.slots[kind] = {name.encode(): rows.slot(column) for name, column in fields.items()}

    cdef TextRows into(self, str table):
        rows = self.tables.get(table)
        if rows is None:
            rows = self.tables[table] = TextRows(table)
        return rows

    cdef int broke(self) except -1:
        while self.events:
            self.close(<_Event>self.events.pop(0))
        return 0

    cdef int turn(self) except -1:
        """Reads lines until a batch is full; 0 at the end."""
        cdef Line line
        cdef int i
        cdef const uint8_t* p
        cdef const uint8_t* end
        cdef const uint8_t* mark
        cdef int64_t seconds, ms, number
        cdef _Event event
        cdef bint full = False
        for i in range(PER_TURN):
            if not self.lines.next(&line):
                while self.events:
                    self.close(<_Event>self.events.pop(0))
                return 0
            if line.n == 0:
                self.account.bytes_structure += self.lines.held
                continue
            self.account.records += 1
            self.account.bytes_records += self.lines.held
            p = line.p
            end = p + line.n
            mark = _stamp(p, end, &seconds, &ms, &number)
            if mark is NULL:
                self.account.damage(
                    line.offset, self.lines.held, b"line", b"no audit record", line.p,
                    min(line.n, <Py_ssize_t>RAW),
                )
                continue
            event = self.opened(seconds * 1000 + ms, number, line.offset, line.n, &full)
            event.cut |= line.cut
            event.add(p, line.n)
            event.end = line.offset + self.lines.held
            if _closes(p, end):
                self.events.remove(event)
                full |= self.close(event)
            if full:
                break
        return 1

    cdef _Event opened(
        self, int64_t time, int64_t number, int64_t offset, Py_ssize_t n, bint* full
    ):
        """The open event of this time and number, or a new one."""
        cdef _Event event
        cdef Py_ssize_t i
        cdef bint divided = False
        for i in range(len(self.events) - 1, -1, -1):
            event = <_Event>self.events[i]
            if event.time == time and event.number == number:
                if event.count < MOST_RECORDS and event.used + n <= MOST_BYTES:
                    return event
                divided = True
                event.divided = True
                del self.events[i]
                full[0] |= self.close(event)
                break
        if len(self.events) >= OPEN_EVENTS:
            full[0] |= self.close(<_Event>self.events.pop(0))
        event = _Event()
        event.time = time
        event.number = number
        event.first = offset
        event.divided = divided
        self.events.append(event)
        return event

    cdef bint close(self, _Event event) except -1:
        """Puts an event's row; whether its table's batch is full."""
        cdef TextRows rows
        cdef Record record
        cdef bytes kind = None, call = None, arch = None, number = None, name, main = None
        cdef const uint8_t* p
        cdef const uint8_t* end
        cdef Piece word
        cdef Pair pair
        cdef int i
        cdef bint has_path = False, has_address = False, has_exec = False
        meaning = None
        for i in range(event.count):
            p = event.data + (event.ends[i - 1] if i else 0)
            end = event.data + event.ends[i]
            p = _body(p, end, &word, NULL)
            name = (<const char*>word.p)[:word.n]
            if name == b"SYSCALL":
                kind = name
                while _next(&p, end, &pair):
                    if _is(&pair.key, b"arch", 4):
                        arch = (<const char*>pair.value.p)[:pair.value.n]
                    elif _is(&pair.key, b"syscall", 7):
                        number = (<const char*>pair.value.p)[:pair.value.n]
                    elif _is(&pair.key, b"SYSCALL", 7):
                        call = (<const char*>pair.value.p)[:pair.value.n]
            elif name == b"PATH":
                has_path = True
            elif name == b"SOCKADDR":
                has_address = True
            elif name == b"EXECVE":
                has_exec = True
            if main is None and name in STANDING:
                main = name
            if i == 0 and kind is None:
                kind = name
        memset(&record, 0, sizeof(Record))
        values = {}
        table = "raw_event"
        if call is None and number is not None:
            call = CALL_NAMES.get((arch, number), number)
        if has_exec:
            table, values = "process_activity", {"activity_id": 1}
            kind = b"SYSCALL" if number is not None else kind
        elif number is not None:
            meaning = MEANINGS.get(call)
            if meaning is not None and meaning[0] == "network_activity" and not has_address:
                meaning = None
            if meaning is not None and meaning[0] == "file_activity" and not has_path:
                meaning = None
            if meaning is not None:
                table, values = meaning[0], {"activity_id": meaning[1]}
            elif has_path:
                table, values = "file_activity", {}
        elif main is not None:
            kind = main
            table, values = STANDING[main]
        rows = self.into("process_activity" if table == "command" else table)
        self.fill(event, rows, table, kind, values)
        rows.put(rows.slot("event_code"), kind, len(kind))
        if call is not None and call is not number:
            rows.put(rows.slot("syscall_name"), call, len(call))
        rows.put(rows.slot("log_provider"), b"auditd", 6)
        rows.set(rows.slot("src_record_id"), event.number)
        record.offset = event.first
        record.length = min(event.end - event.first, <int64_t>0x7fffffff)
        record.p = event.data
        record.n = event.used
        record.timed = True
        record.time = event.time * 1000
        record.flags = TRUNCATED if event.divided or event.cut else 0
        rows.done(&record)
        self.account.in_rows += event.count
        return rows.rows.full()

    cdef int fill(
        self, _Event event, TextRows rows, str table, bytes kind, dict values
    ) except -1:
        """Puts all fields of all records of an event."""
        cdef dict slots = <dict>self.slots[table]
        cdef const uint8_t* p
        cdef const uint8_t* end
        cdef Piece word, node
        cdef Pair pair
        cdef int i, paths = 0
        cdef bytes name, key, text, label
        cdef list arguments = []
        cdef dict partial = {}
        cdef list files = []
        cdef set taken = set()
        cdef Slot slot
        cdef bint of_main, noded = False
        cdef int status = values.get("status_id", 0)
        cdef int activity = values.get("activity_id", -1)
        command = None
        lines = []
        for i in range(event.count):
            p = event.data + (event.ends[i - 1] if i else 0)
            end = event.data + event.ends[i]
            if table == "raw_event":
                lines.append((<const char*>p)[:end - p])
            node.n = 0
            p = _body(p, end, &word, &node)
            if node.n and not noded:
                rows.put(rows.slot("device_hostname"), node.p, node.n)
                noded = True
            name = (<const char*>word.p)[:word.n]
            of_main = name == kind
            label = name
            if name == b"PATH":
                label = b"PATH%d" % paths
                paths += 1
                path = named = None
            while _next(&p, end, &pair):
                key = (<const char*>pair.key.p)[:pair.key.n]
                if _is(&pair.value, b"?", 1) or _is(&pair.value, b"(null)", 6):
                    continue
                if name == b"EXECVE" and key[:1] == b"a" and key[1:2].isdigit():
                    if key[-4:] == b"_len":
                        continue
                    text = _text(&pair)
                    if len(arguments) < MOST_ARGUMENTS:
                        if b"[" in key:
                            # A long argument in pieces: a1[0], a1[1]
                            label = key[:key.index(b"[")]
                            if label in partial:
                                arguments[partial[label]] += text
                                continue
                            partial[label] = len(arguments)
                        arguments.append(text)
                    continue
                text = None
                if key in HEXADECIMAL and not pair.quoted:
                    text = _unhex(pair.value.p, pair.value.n)
                    if text is not None:
                        if key == b"proctitle":
                            text = text.rstrip(b"\0").replace(b"\0", b" ")
                        elif key == b"key":
                            text = text.replace(b"\1", b",")
                if text is None:
                    text = (<const char*>pair.value.p)[:pair.value.n]
                if name == b"PROCTITLE" and key == b"proctitle":
                    command = text
                    continue
                if name == b"PATH":
                    if key == b"name":
                        path = text
                        continue
                    if key == b"nametype":
                        named = text
                        continue
                if name == b"CWD" and key == b"cwd" and table == "process_activity":
                    rows.put(rows.slot("proc_cwd"), text, len(text))
                    continue
                if name == b"SOCKADDR" and key == b"saddr" and self.address(rows, table, text):
                    continue
                if of_main:
                    if key == b"success" or key == b"res":
                        if status == 0:
                            status = 1 if text in (b"yes", b"success", b"1") else 2
                        continue
                    slot = slots.get(key)
                    if slot is not None and slot.name not in taken:
                        # acct and ID are the same column: the first that is there has it.
                        taken.add(slot.name)
                        if key == b"hostname" and _same_address(text):
                            rows.put(rows.slot("addr"), text, len(text))
                            taken.add(b"src_ip")
                        else:
                            rows.put(slot, text, len(text))
                        continue
                    rows.other(key, len(key), text, len(text))
                else:
                    key = label + b"." + key
                    rows.other(key, len(key), text, len(text))
            if name == b"PATH":
                files.append((path, named))
        if table == "raw_event":
            text = b"\n".join(lines)
            rows.put(rows.slot("message"), text, len(text))
        if arguments or command is not None:
            text = b" ".join(arguments) if arguments else command
            if table == "process_activity":
                rows.put(rows.slot("proc_cmd_line"), text, len(text))
                if arguments and command is not None:
                    rows.other(b"proctitle", 9, command, len(command))
            elif table in ("file_activity", "network_activity"):
                rows.put(rows.slot("actor_cmd_line"), text, len(text))
            else:
                rows.other(b"proctitle", 9, text, len(text))
        activity = self.named(rows, table, files, activity)
        if activity >= 0:
            rows.set(rows.slot("activity_id"), activity)
        if status:
            rows.set(rows.slot("status_id"), status)
        if "class_uid" in values:
            rows.set(rows.slot("class_uid"), values["class_uid"])
        return 0

    cdef int named(self, TextRows rows, str table, list files, int activity) except -2:
        """Puts the files that a call named; returns what was done to the first of them."""
        cdef bytes path
        main = previous = None
        if table == "file_activity":
            found = {}
            for path, kind in files:
                if path is not None and kind is not None:
                    found.setdefault(kind, path)
            if activity == 5:
                main, previous = found.get(b"CREATE"), found.get(b"DELETE")
            if main is None:
                for kind, meaning in ((b"DELETE", 4), (b"CREATE", 1), (b"NORMAL", 14)):
                    if kind in found:
                        main = found[kind]
                        activity = meaning if activity < 0 else activity
                        break
            if main is None and files:
                main = next((path for path, _ in files if path is not None), None)
            if main is not None:
                rows.put(rows.slot("file_path"), main, len(main))
                path = main.rstrip(b"/").rsplit(b"/", 1)[-1]
                if path:
                    rows.put(rows.slot("file_name"), path, len(path))
            if previous is not None:
                rows.put(rows.slot("file_prev_path"), previous, len(previous))
            if activity < 0:
                activity = 99
        for i, (path, kind) in enumerate(files):
            label = b"PATH%d." % i
            if path is not None and path is not main and path is not previous:
                key = label + b"name"
                rows.other(key, len(key), path, len(path))
            if kind is not None:
                key = label + b"nametype"
                rows.other(key, len(key), kind, len(kind))
        return activity

    cdef bint address(self, TextRows rows, str table, bytes text) except -1:
        """A socket's address, hexadecimal digits of a `sockaddr`; False where it is none of IP."""
        cdef bytes raw = _unhex(text, len(text))
        cdef const uint8_t* p
        cdef uint8_t[45] out
        cdef Py_ssize_t n
        cdef int family
        if raw is None or len(raw) < 8:
            return False
        p = raw
        # The family is in the machine's byte order, the rest in that of the network.
        family = le16(p)
        if family > 255:
            family = be16(p)
        if family == 2:
            n = put_ipv4(out, p + 4)
        elif family == 10 and len(raw) >= 24:
            n = put_ipv6(out, p + 8)
        else:
            return False
        if table == "network_activity":
            rows.put(rows.slot("dst_ip"), out, n)
            rows.set(rows.slot("dst_port"), be16(p + 2))
        else:
            rows.other(b"SOCKADDR.address", 16, out, n)
            text = b"%d" % be16(p + 2)
            rows.other(b"SOCKADDR.port", 13, text, len(text))
        return True


cdef bint _same_address(bytes text):
    """Whether a host's name is an address."""
    return text.count(b".") == 3 and text.replace(b".", b"").isdigit() or b"::" in text


cdef const uint8_t* _stamp(
    const uint8_t* p, const uint8_t* end, int64_t* seconds, int64_t* ms, int64_t* number
) noexcept nogil:
    """Finds `msg=audit(seconds.ms:number):`; NULL where it is not."""
    cdef const uint8_t* at = p
    while at < end:
        at = <const uint8_t*>memchr(at, 40, end - at)
        if at is NULL:
            return NULL
        if at - p >= 9 and memcmp(at - 9, b"msg=audit", 9) == 0:
            break
        at += 1
    if at >= end:
        return NULL
    at += 1
    seconds[0] = number_at(at, end)
    while at < end and digit(at[0]):
        at += 1
    if seconds[0] < 0 or seconds[0] > LAST_SECOND or end - at < 7 or at[0] != 46:
        return NULL
    if not (digit(at[1]) and digit(at[2]) and digit(at[3])) or at[4] != 58:
        return NULL
    ms[0] = 100 * (at[1] - 48) + 10 * (at[2] - 48) + at[3] - 48
    number[0] = number_at(at + 5, end)
    if number[0] < 0:
        return NULL
    return at


cdef const uint8_t* _body(
    const uint8_t* p, const uint8_t* end, Piece* kind, Piece* node
) noexcept nogil:
    """Where a record's fields begin; its type, and its host."""
    cdef const uint8_t* start
    if end - p > 5 and memcmp(p, b"node=", 5) == 0:
        start = p + 5
        while p < end and p[0] != 32:
            p += 1
        if node is not NULL:
            node.p = start
            node.n = p - start
        if p < end:
            p += 1
    kind.p = p
    kind.n = 0
    if end - p > 5 and memcmp(p, b"type=", 5) == 0:
        kind.p = p + 5
        p += 5
        while p < end and p[0] != 32:
            p += 1
        kind.n = p - kind.p
    start = <const uint8_t*>memchr(p, 41, end - p) if p < end else NULL
    if start is NULL:
        return end
    start += 1
    if start < end and start[0] == 58:
        start += 1
    return start


cdef bint _closes(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Whether a record is the last of its event: EOE, or one of a program's own (1100 to 1199,
    2000 and more), of which there is one in an event."""
    cdef Piece kind
    _body(p, end, &kind, NULL)
    if kind.n == 3 and memcmp(kind.p, b"EOE", 3) == 0:
        return True
    if kind.n > 5 and (memcmp(kind.p, b"USER_", 5) == 0 or memcmp(kind.p, b"CRED_", 5) == 0):
        return True
    return kind.n > 8 and memcmp(kind.p, b"SERVICE_", 8) == 0


def read(artifact):
    """Yields rows of the tables of this parser, in the order in which events end.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader = _Reader(artifact)
    yield from reader.batches()


PARSER = Parser(
    "auditd",
    VERSION,
    match,
    ("raw_event", "process_activity", "file_activity", "network_activity", "authentication",
     "account_change", "service_activity"),
    read,
    files=("*/audit.log*", "*/log/audit/*", "audit.log*"),
    rank=Rank.LOGS,
    text=True,
)
