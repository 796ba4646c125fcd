"""MySQL (Client/Server Protocol, "Protocol Basics"): a login or command and its answer are one row of
net_service_activity.

Every packet stands behind three bytes of length and its number. Of result sets only the first byte
of each packet is looked at, to know where they end.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, IntColumn, TextColumn
from tracelake.native.cursor cimport le16, le32
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, give_up, hand_over, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    Names, Word, no_word, put_held, put_name, put_text, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("mysql")

cdef enum:
    TCP = 6
    HEADER = 4
    LONGEST_COMMAND = 65536     # of a longer one the rest is passed over
    HANDSHAKE = 32              # bytes of a response before the user's name; all of an SSL request

# Capabilities of the client.
cdef enum:
    COMPRESS = 0x0020
    PROTOCOL_41 = 0x0200
    SSL = 0x0800
    DEPRECATE_EOF = 0x01000000

# First byte of an answer.
cdef enum:
    OK = 0x00
    LOCAL_FILE = 0xFB
    EOF_PACKET = 0xFE
    ERROR = 0xFF

# Commands.
cdef enum:
    LOGIN = -1
    QUIT = 1
    FIELD_LIST = 4
    STATISTICS = 9
    CHANGE_USER = 17
    PREPARE = 22

# What the server is to say next.
cdef enum:
    NOTHING = 0
    STATUS = 1                  # an answer
    COLUMNS = 2                 # definitions of columns, then an EOF where there are any
    RECORDS = 3                 # rows, then an EOF or an error

COMMANDS: dict[int, str] = dict(enumerate((
    "sleep", "quit", "init_db", "query", "field_list", "create_db", "drop_db", "refresh",
    "shutdown", "statistics", "process_info", "connect", "process_kill", "debug", "ping", "time",
    "delayed_insert", "change_user", "binlog_dump", "table_dump", "connect_out",
    "register_slave", "stmt_prepare", "stmt_execute", "stmt_send_long_data", "stmt_close",
    "stmt_reset", "set_option", "stmt_fetch", "daemon", "binlog_dump_gtid",
    "reset_connection",
)))
cdef Names COMMAND_NAMES = Names(COMMANDS)


cdef struct Session:
    bint logged_in              # the connection phase is over
    bint answered               # the client's handshake was seen
    bint compressed
    bint deprecate_eof
    int expected
    int64_t columns
    bint open                   # a command waits for its answer
    Place place
    int command
    uint8_t* argument           # NULL: none
    int64_t argument_length
    Word user
    Word version                # of the server


cdef int64_t _number(const uint8_t* p, int64_t n) noexcept nogil:
    """A length-encoded integer; -1 where it is none."""
    if n < 1:
        return -1
    if p[0] < 0xFB:
        return p[0]
    if p[0] == 0xFC and n >= 3:
        return le16(p + 1)
    if p[0] == 0xFD and n >= 4:
        return le16(p + 1) | p[3] << 16
    if p[0] == 0xFE and n >= 9:
        return <int64_t>le32(p + 1)
    return -1


cdef class Mysql(Protocol):
    cdef ServiceSheet sheet
    cdef DictColumn command, user_name, protocol_version
    cdef TextColumn argument, reply
    cdef IntColumn result_rows, reply_code

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "mysql"
        self.ports = (3306,)
        self.longest = LONGEST_COMMAND + HEADER
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.command = rows.column("command")
        self.user_name = rows.column("user_name")
        self.protocol_version = rows.column("protocol_version")
        self.argument = rows.column("argument")
        self.reply = rows.column("reply")
        self.result_rows = rows.column("result_rows")
        self.reply_code = rows.column("reply_code")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef int64_t length, i
        if t.flow.protocol != TCP:
            return NO
        if m == 0:
            return NO if n else MORE        # the server begins
        if m < 12:
            return MORE if m < 5 or (resp[3] == 0 and resp[4] in (9, 10, ERROR)) else NO
        length = le16(resp) | resp[2] << 16
        if resp[3] or length < 20 or length > 1024 or resp[4] not in (9, 10):
            return NO
        i = 5
        while i < m and i < 80 and 0x20 <= resp[i] < 0x7F:
            i += 1
        return YES if i > 6 and i < m and resp[i] == 0 and 48 <= resp[5] <= 57 else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>calloc(1, sizeof(Session))
        if s is NULL:
            with gil:
                raise MemoryError("a MySQL session")
        no_word(&s.user)
        no_word(&s.version)
        t.state = s
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>t.state
        if s is NULL:
            return 0
        try:
            if s.open:
                self._row(t, s, -1, -1, NULL, 0)
        finally:
            free(s.argument)
            free(s)
            t.state = NULL
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef int64_t at = 0, length, have
        while n - at > HEADER and not t.gone and t.following == t.protocol:
            length = HEADER + (le16(p + at) | p[at + 2] << 16)
            if length == HEADER:
                at += HEADER
                continue
            have = n - at if n - at < length else length
            # Of rows and long commands the beginning is enough.
            if have < length and not (
                have > LONGEST_COMMAND or (side == RESP and s.expected >= COLUMNS and have >= 13)
            ):
                t.half[side].need = min(length, LONGEST_COMMAND + HEADER)
                break
            if side == RESP:
                self._server(t, s, p + at + HEADER, have - HEADER, length - HEADER)
            else:
                self._client(t, s, at, p[at + 3], p + at + HEADER, have - HEADER, length - HEADER)
            at += have
            if have < length:
                t.half[side].skip = length - have
                break
        return at

    cdef int _client(
        self, Talk* t, Session* s, int64_t at, int number, const uint8_t* p, int64_t n,
        int64_t whole,
    ) except -1 nogil:
        if not s.logged_in:
            if s.answered:
                return 0            # more of the authentication
            return self._handshake(t, s, at, p, n)
        if number:
            return 0                # data of LOCAL INFILE, or the rest of a long command
        if s.open:
            self._row(t, s, -1, -1, NULL, 0)
        s.open = True
        s.place = place(t, ORIG, at)
        s.command = p[0]
        s.expected = STATUS
        if s.command == CHANGE_USER:
            s.logged_in = False
            s.answered = True
            self._keep_argument(s, p + 1, self._to_zero(p + 1, n - 1))
        else:
            # Zeek leaves out one zero at the end.
            self._keep_argument(s, p + 1, n - 1 - (1 if n > 1 and p[n - 1] == 0 else 0))
        if s.command == QUIT:
            self._row(t, s, -1, -1, NULL, 0)
            s.expected = NOTHING
        return 0

    cdef inline int64_t _to_zero(self, const uint8_t* p, int64_t n) noexcept nogil:
        cdef const uint8_t* zero = <const uint8_t*>memchr(p, 0, n) if n > 0 else NULL
        return zero - p if zero is not NULL else n

    cdef int _keep_argument(self, Session* s, const uint8_t* p, int64_t n) except -1 nogil:
        free(s.argument)
        s.argument = <uint8_t*>malloc(n + 1)
        if s.argument is NULL:
            with gil:
                raise MemoryError(f"{n} bytes of a MySQL command")
        memcpy(s.argument, p, n)
        s.argument_length = n
        return 0

    cdef int _handshake(
        self, Talk* t, Session* s, int64_t at, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """HandshakeResponse41 or 320, or the request for TLS that stands before it."""
        cdef uint32_t flags
        cdef int64_t begin
        if n < 4:
            return 0
        flags = le32(p) if le16(p) & PROTOCOL_41 else le16(p)
        if flags & SSL and n <= HANDSHAKE:
            confirm(t, SERVICE)
            hand_over(t, UNDECIDED)
            return 0
        begin = HANDSHAKE if flags & PROTOCOL_41 else 5
        if n <= begin:
            return 0
        confirm(t, SERVICE)
        s.answered = True
        s.compressed = flags & COMPRESS != 0
        s.deprecate_eof = flags & DEPRECATE_EOF != 0
        s.open = True
        s.place = place(t, ORIG, at)
        s.command = LOGIN
        s.expected = STATUS
        n = self._to_zero(p + begin, n - begin)
        set_word(&s.user, p + begin, n)
        return self._keep_argument(s, p + begin, n)

    cdef int _server(
        self, Talk* t, Session* s, const uint8_t* p, int64_t n, int64_t whole
    ) except -1 nogil:
        cdef int kind = p[0]
        cdef int64_t length
        if not s.answered and not s.logged_in:
            if kind == ERROR:
                confirm(t, SERVICE)
            elif s.version.n < 0:
                set_word(&s.version, p + 1, self._to_zero(p + 1, n - 1))
            return 0
        if s.expected == NOTHING or not s.open:
            return 0
        if kind == ERROR and n >= 3:
            length = 9 if n >= 9 and p[3] == b"#" else 3
            return self._row(t, s, -1, le16(p + 1), p + length, n - length)
        if not s.logged_in:
            if kind == OK:
                s.logged_in = True
                self._row(t, s, max(_number(p + 1, n - 1), 0), 0, NULL, 0)
                if s.compressed:
                    give_up(t)
            return 0                # a challenge, or another way to authenticate
        if s.expected == STATUS:
            if kind == OK:
                return self._row(t, s, max(_number(p + 1, n - 1), 0), 0, NULL, 0)
            if kind == EOF_PACKET and whole < 9:
                return self._row(t, s, 0, 0, NULL, 0)
            if kind == LOCAL_FILE or s.command == STATISTICS:
                return 0
            if s.command == FIELD_LIST:
                s.expected = RECORDS
                return 0
            s.columns = _number(p, n)
            s.expected = COLUMNS
            if s.columns <= 0:
                s.expected = RECORDS
            return 0
        if s.expected == COLUMNS:
            if s.columns > 0:
                s.columns -= 1
                if s.columns == 0 and s.deprecate_eof:
                    s.expected = RECORDS
                return 0
            s.expected = RECORDS    # the EOF behind the definitions
            return 0
        if kind == EOF_PACKET and (whole < 9 or (s.deprecate_eof and whole < 0xFFFFFF)):
            return self._row(t, s, 0, 0, NULL, 0)
        return 0

    cdef int _row(
        self, Talk* t, Session* s, int64_t rows, int code, const uint8_t* text, int64_t n
    ) except -1 nogil:
        """`code`: -1 no answer, 0 success, else the error's number."""
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &s.place, NETWORK, TRAFFIC, b"mysql")
        s.open = False
        s.expected = NOTHING
        if s.command == LOGIN:
            put_name(self.command, row, b"login")
        else:
            COMMAND_NAMES.put(self.command, row, s.command, b"unknown-")
        put_held(self.user_name, row, &s.user)
        put_held(self.protocol_version, row, &s.version)
        if s.argument is not NULL:
            put_text(self.argument, row, s.argument, s.argument_length)
        if code >= 0:
            self.sheet.status_id.put(row, 2 if code else 1)
        if code > 0:
            self.reply_code.put(row, code)
            put_text(self.reply, row, text, n)
        elif rows >= 0:
            self.result_rows.put(row, rows)
        return self.sheet.done()
