"""IRC (RFC 1459, 2812): commands that say who is where and what is said are rows of
net_service_activity.

Zeek's irc.log has a client's NICK, USER and JOIN. Beside them are here what is said (PRIVMSG,
NOTICE, TOPIC, of either side): bots take their orders by it.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, TextColumn
from tracelake.parsers.conn cimport ORIG, Place
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, hand_over, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    Word, no_word, put_held, put_text, put_word, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("irc")

cdef enum:
    TCP = 6
    LONGEST_LINE = 8192
    PARAMETERS = 15             # RFC 1459, section 2.3
    SHOWN_LINES = 8             # that are looked at to recognise it


cdef struct Session:
    Word nick
    Word user
    bint tls                    # the client asked for STARTTLS


# A line, taken apart.
cdef struct Line:
    const uint8_t* prefix
    int prefix_length
    const uint8_t* command
    int command_length
    int count
    const uint8_t* at[PARAMETERS]
    int[PARAMETERS] length


cdef void _split(const uint8_t* p, int64_t n, Line* out) noexcept nogil:
    """`[:prefix] command parameter ... [:trailing]`"""
    cdef int64_t i = 0, begin
    out.prefix_length = out.command_length = out.count = 0
    out.command = out.prefix = p
    if n and p[0] == b":":
        while i < n and p[i] != b" ":
            i += 1
        out.prefix = p + 1
        out.prefix_length = <int>(i - 1)
        while i < n and p[i] == b" ":
            i += 1
    out.command = p + i
    begin = i
    while i < n and p[i] != b" ":
        i += 1
    out.command_length = <int>(i - begin)
    while i < n and out.count < PARAMETERS:
        while i < n and p[i] == b" ":
            i += 1
        if i == n:
            break
        begin = i
        if p[i] == b":" or out.count == PARAMETERS - 1:
            if p[i] == b":":
                begin += 1
            i = n
        else:
            while i < n and p[i] != b" ":
                i += 1
        out.at[out.count] = p + begin
        out.length[out.count] = <int>(i - begin)
        out.count += 1


cdef bint _is(const Line* line, const char* command, int n) noexcept nogil:
    """Whether the line's command is this one, which is given in capitals."""
    cdef int i
    if line.command_length != n:
        return False
    for i in range(n):
        if (line.command[i] & 0xDF) != (<const uint8_t*>command)[i]:
            return False
    return True


cdef class Irc(Protocol):
    cdef ServiceSheet sheet
    cdef DictColumn nick, user_name, command
    cdef TextColumn value, additional

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "irc"
        self.ports = (6666, 6667, 6668, 6669)
        self.longest = LONGEST_LINE
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.nick = rows.column("nick")
        self.user_name = rows.column("user_name")
        self.command = rows.column("command")
        self.value = rows.column("value")
        self.additional = rows.column("additional")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        """A client that gives its nickname, or a user with four parameters (the USER of FTP and
        POP3 has one)."""
        cdef const uint8_t* end
        cdef Line line
        cdef int i
        if t.flow.protocol != TCP:
            return NO
        if n == 0:
            # A server speaks of itself first, or of nothing: NOTICE AUTH.
            return MORE if m == 0 or resp[0] == b":" or resp[0] == b"N" else NO
        for i in range(SHOWN_LINES):
            end = <const uint8_t*>memchr(orig, b"\n", n) if n > 0 else NULL
            if end is NULL:
                return MORE if n < 512 and (n == 0 or 0x20 < orig[0] < 0x7F) else NO
            _split(orig, end - orig - (1 if end > orig and end[-1] == b"\r" else 0), &line)
            if _is(&line, b"NICK", 4) and line.count >= 1:
                return YES
            if _is(&line, b"USER", 4):
                return YES if line.count >= 4 else NO
            if not (_is(&line, b"PASS", 4) or _is(&line, b"CAP", 3)):
                return NO
            n -= end + 1 - orig
            orig = end + 1
        return NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>calloc(1, sizeof(Session))
        if s is NULL:
            with gil:
                raise MemoryError("an IRC session")
        no_word(&s.nick)
        no_word(&s.user)
        t.state = s
        confirm(t, SERVICE)
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        free(t.state)
        t.state = NULL
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, length
        cdef const uint8_t* end
        while at < n and t.following == t.protocol:
            end = <const uint8_t*>memchr(p + at, b"\n", n - at)
            if end is NULL:
                break               # looked through again with what comes next: it is short
            length = end - (p + at)
            if length and end[-1] == b"\r":
                length -= 1
            self._line(t, side, at, p + at, length)
            at = end + 1 - p
        return at

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        return 0                    # the line that is cut says little, the next one is whole

    cdef int _line(
        self, Talk* t, int side, int64_t at, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef Line line
        cdef Place found
        _split(p, n, &line)
        if side == ORIG:
            if _is(&line, b"NICK", 4) and line.count:
                found = place(t, side, at)
                self._row(t, s, &found, &line, 0, -1)
                set_word(&s.nick, line.at[0], line.length[0])
                return 0
            if _is(&line, b"USER", 4) and line.count:
                found = place(t, side, at)
                self._row(t, s, &found, &line, 0, 1)
                set_word(&s.user, line.at[0], line.length[0])
                return 0
            if _is(&line, b"JOIN", 4) and line.count:
                return self._join(t, s, side, at, &line)
        elif _is(&line, b"670", 3):
            hand_over(t, UNDECIDED)         # STARTTLS was agreed to
            return 0
        if line.count >= 2 and (
            _is(&line, b"PRIVMSG", 7) or _is(&line, b"NOTICE", 6) or _is(&line, b"TOPIC", 5)
        ):
            found = place(t, side, at)
            self._row(t, s, &found, &line, 0, 1)
        return 0

    cdef int _join(
        self, Talk* t, Session* s, int side, int64_t at, const Line* line
    ) except -1 nogil:
        """JOIN (RFC 2812, section 3.2.1): channels with commas between them, and their keys."""
        cdef const uint8_t* p = line.at[0]
        cdef const uint8_t* end = p + line.length[0]
        cdef const uint8_t* comma
        cdef Line each = line[0]
        cdef Place found
        each.count = 1
        while p < end:
            comma = <const uint8_t*>memchr(p, b",", end - p)
            if comma is NULL:
                comma = end
            each.at[0] = p
            each.length[0] = <int>(comma - p)
            found = place(t, side, at)
            # The key of a channel, where one was given for it.
            if line.count >= 2 and p == line.at[0]:
                each.at[1] = line.at[1]
                each.length[1] = line.length[1]
                each.count = 2
            else:
                each.count = 1
            self._row(t, s, &found, &each, 0, 1 if each.count == 2 else -2)
            p = comma + 1
        return 0

    cdef int _row(
        self, Talk* t, Session* s, const Place* place, const Line* line, int value, int more
    ) except -1 nogil:
        """`more`: the parameter from which on all are `additional`; -1: none, -2: empty."""
        cdef Py_ssize_t row = self.sheet.begin(t.flow, place, NETWORK, TRAFFIC, b"irc")
        cdef int last = line.count - 1
        put_held(self.nick, row, &s.nick)
        put_held(self.user_name, row, &s.user)
        self._command(row, line)
        put_text(self.value, row, line.at[value], line.length[value])
        if more == -2:
            put_text(self.additional, row, line.at[0], 0)
        elif more > 0 and last >= more:
            self._rest(row, line, more)
        return self.sheet.done()

    cdef int _command(self, Py_ssize_t row, const Line* line) except -1 nogil:
        cdef uint8_t[16] text
        cdef int i
        for i in range(line.command_length):
            text[i] = line.command[i] & 0xDF
        return put_word(self.command, row, text, line.command_length)

    cdef int _rest(self, Py_ssize_t row, const Line* line, int first) except -1 nogil:
        """Parameters with one blank between them; the colon of the last one is not theirs."""
        cdef uint8_t[LONGEST_LINE] text
        cdef int64_t n = 0
        cdef int i, k
        if _is(line, b"JOIN", 4):
            return self._key(row, line.at[first], line.length[first])
        for i in range(first, line.count):
            if i > first and n < LONGEST_LINE:
                text[n] = b" "
                n += 1
            for k in range(line.length[i]):
                if n < LONGEST_LINE:
                    text[n] = line.at[i][k]
                    n += 1
        return put_text(self.additional, row, text, n)

    cdef int _key(self, Py_ssize_t row, const uint8_t* key, int length) except -1 nogil:
        """The key of a channel, as irc.log writes it."""
        cdef uint8_t[600] text
        cdef int n = length if length < 512 else 512
        memcpy(text, b" with channel key: '", 20)
        memcpy(text + 20, key, n)
        text[20 + n] = b"'"
        return put_text(self.additional, row, text, 21 + n)
