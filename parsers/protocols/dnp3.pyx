"""DNP3 (IEEE 1815) over TCP and UDP: a request and its response are one row of ics_activity.

Link frames (clause 9) of at most 250 bytes, each 16 of them with a checksum, carry segments
(clause 8) of application fragments (clause 4), of which the header is read. As in Zeek's dnp3.log a
response belongs to the latest request, whatever came of those before: these are rows without one.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16, le16
from tracelake.native.text cimport put_uint
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.ics cimport IcsSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport Names, put_name
from tracelake.parsers.services cimport service

cdef int DNP3_TCP = service("dnp3_tcp")
cdef int DNP3_UDP = service("dnp3_udp")

cdef enum:
    TCP = 6
    START = 0x0564
    HEADER = 10                 # start, length, control, destination, source, checksum
    ADDRESSES = 5               # control and addresses count as length
    BLOCK = 16
    FIRST = 0x40                # transport header: first segment, last segment
    LAST = 0x80
    HEAD_ROOM = 8               # of an application fragment: control, function, indications, object
    TRAFFIC = 6

FUNCTIONS: dict[int, str] = dict(enumerate((
    "CONFIRM", "READ", "WRITE", "SELECT", "OPERATE", "DIRECT_OPERATE", "DIRECT_OPERATE_NR",
    "IMMED_FREEZE", "IMMED_FREEZE_NR", "FREEZE_CLEAR", "FREEZE_CLEAR_NR", "FREEZE_AT_TIME",
    "FREEZE_AT_TIME_NR", "COLD_RESTART", "WARM_RESTART", "INITIALIZE_DATA", "INITIALIZE_APPL",
    "START_APPL", "STOP_APPL", "SAVE_CONFIG", "ENABLE_UNSOLICITED", "DISABLE_UNSOLICITED",
    "ASSIGN_CLASS", "DELAY_MEASURE", "RECORD_CURRENT_TIME", "OPEN_FILE", "CLOSE_FILE",
    "DELETE_FILE", "GET_FILE_INFO", "AUTHENTICATE_FILE", "ABORT_FILE", "ACTIVATE_CONFIG",
    "AUTHENTICATE_REQ", "AUTHENTICATE_ERR",
))) | {0x81: "RESPONSE", 0x82: "UNSOLICITED_RESPONSE", 0x83: "AUTHENTICATE_RESP"}
cdef Names FUNCTION_NAMES = Names(FUNCTIONS)

cdef uint16_t[256] crc_table


cdef void _fill_table() noexcept:
    cdef int i, bit
    cdef uint16_t crc
    for i in range(256):
        crc = <uint16_t>i
        for bit in range(8):
            crc = <uint16_t>(crc >> 1 ^ 0xA6BC if crc & 1 else crc >> 1)
        crc_table[i] = crc


_fill_table()


cdef bint _intact(const uint8_t* p, int64_t n) noexcept nogil:
    """Whether `n` bytes have the checksum that stands behind them (clause 9.2.4.3)."""
    cdef uint16_t crc = 0
    cdef int64_t i
    for i in range(n):
        crc = <uint16_t>(crc_table[(crc ^ p[i]) & 0xFF] ^ crc >> 8)
    return <uint16_t>~crc == le16(p + n)


cdef inline int64_t _frame(int length) noexcept nogil:
    """Bytes of a frame by its length field: a checksum for each block."""
    cdef int user = length - ADDRESSES
    return HEADER + user + 2 * ((user + BLOCK - 1) // BLOCK)


cdef inline bint _writes(int function) noexcept nogil:
    return function == 2 or 4 <= function <= 6 or 9 <= function <= 22 or 25 <= function <= 27


# The beginning of the fragment that a side sends.
cdef struct Fragment:
    bint open
    int n
    uint8_t[HEAD_ROOM] head
    Place place


cdef struct Session:
    Fragment[2] fragments
    bint asked                  # a request waits for its response
    Place place
    int function
    int station                 # link address of the outstation
    int group                   # of the first object asked for; -1: none
    int variation


cdef class Dnp3(Protocol):
    cdef IcsSheet rows

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "dnp3_tcp"
        self.ports = (20000,)
        self.rows = IcsSheet(sheets)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t length = n if n else m
        if length < 2:
            return NO if length and p[0] != 0x05 else MORE
        if be16(p) != START:
            return NO
        if length < HEADER:
            return MORE if t.flow.protocol == TCP else NO
        return YES if p[2] >= ADDRESSES and _intact(p, 8) else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(Session))
        if t.state is NULL:
            with gil:
                raise MemoryError("a DNP3 session")
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, length
        cdef Place found
        while n - at >= HEADER:
            if be16(p + at) != START:
                found = place(t, side, at)
                self.sheets.note(t.flow, &found, b"dnp3_header_lacks_magic", b"DNP3_TCP", NULL, 0)
                give_up(t)
                return at
            length = _frame(p[at + 2])
            if p[at + 2] < ADDRESSES or not _intact(p + at, 8):
                found = place(t, side, at)
                self.sheets.note(
                    t.flow, &found, b"dnp3_corrupt_header_checksum", b"DNP3_TCP", NULL, 0
                )
                give_up(t)
                return at
            if n - at < length:
                t.half[side].need = length
                break
            if not self._link(t, side, at, p + at):
                give_up(t)
                return at
            at += length
        return at

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0
        while n - at >= HEADER and be16(p + at) == START and p[at + 2] >= ADDRESSES and (
            n - at >= _frame(p[at + 2]) and _intact(p + at, 8)
        ):
            if not self._link(t, side, at, p + at):
                break
            at += _frame(p[at + 2])
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>t.state
        if s is NULL:
            return 0
        try:
            if s.asked:
                self._row(t, s, &s.place, -1, -1)
        finally:
            free(s)
            t.state = NULL
        return 0

    cdef bint _link(self, Talk* t, int side, int64_t at, const uint8_t* p) except -1 nogil:
        """A link frame, all of which is there; False where a checksum is wrong."""
        cdef Session* s = <Session*>t.state
        cdef Fragment* f = &s.fragments[side]
        cdef int left = p[2] - ADDRESSES, n
        cdef const uint8_t* block = p + HEADER
        cdef bint first = True
        cdef Place found
        cdef int transport
        confirm(t, DNP3_TCP if t.flow.protocol == TCP else DNP3_UDP)
        if left == 0:
            return True             # link layer only
        transport = block[0]
        while left > 0:
            n = left if left < BLOCK else BLOCK
            if not _intact(block, n):
                found = place(t, side, at)
                self.sheets.note(
                    t.flow, &found, b"dnp3_corrupt_app_chunk_checksum", b"DNP3_TCP", NULL, 0
                )
                return False
            if first:
                if transport & FIRST:
                    f.open = True
                    f.n = 0
                    f.place = place(t, side, at)
                elif not f.open:
                    found = place(t, side, at)
                    self.sheets.note(
                        t.flow, &found, b"dnp3_first_application_layer_chunk_missing",
                        b"DNP3_TCP", NULL, 0,
                    )
                    return False
            self._collect(f, block + (1 if first else 0), n - (1 if first else 0))
            first = False
            block += n + 2
            left -= n
        if transport & LAST and f.open:
            f.open = False
            self._application(t, s, side, f, le16(p + 4), le16(p + 6))
        return True

    cdef void _collect(self, Fragment* f, const uint8_t* p, int n) noexcept nogil:
        if n > HEAD_ROOM - f.n:
            n = HEAD_ROOM - f.n
        if n > 0:
            memcpy(f.head + f.n, p, n)
            f.n += n

    cdef int _application(
        self, Talk* t, Session* s, int side, Fragment* f, int destination, int source
    ) except -1 nogil:
        """The header of a fragment (clause 4.2.2): control, function, and of responses the internal
        indications."""
        cdef int function
        if f.n < 2:
            return 0
        function = f.head[1]
        if side == ORIG:
            if s.asked:
                self._row(t, s, &s.place, -1, -1)
            s.asked = True
            s.place = f.place
            s.function = function
            s.station = destination
            s.group = f.head[2] if f.n >= 4 else -1
            s.variation = f.head[3]
            return 0
        if f.n < 4:
            return 0
        if not s.asked:
            s.place = f.place
            s.station = source
        return self._row(t, s, &s.place, function, be16(f.head + 2))

    cdef int _row(
        self, Talk* t, Session* s, const Place* place, int reply, int indications
    ) except -1 nogil:
        cdef Py_ssize_t row = self.rows.sheet.begin(t.flow, place, TRAFFIC)
        put_name(self.rows.protocol, row, b"dnp3")
        if s.asked:
            FUNCTION_NAMES.put(self.rows.function, row, s.function, b"unknown-")
            self.rows.function_id.put(row, s.function)
            self.rows.is_write.put(row, _writes(s.function))
            put_name(self.rows.message_type, row, b"request")
            if s.group >= 0 and s.function != 0:
                self._object(row, s.group, s.variation)
        else:
            put_name(self.rows.message_type, row, b"response")
        self.rows.unit_id.put(row, s.station)
        if reply >= 0:
            FUNCTION_NAMES.put(self.rows.reply_function, row, reply, b"unknown-")
            self.rows.indications.put(row, indications)
            # Function not supported, object unknown, parameter error (clause 4.2.2.6).
            self.rows.status_id.put(row, 2 if indications & 0x07 else 1)
        s.asked = False
        return self.rows.sheet.done()

    cdef int _object(self, Py_ssize_t row, int group, int variation) except -1 nogil:
        """Group and variation of the first object: g12v1."""
        cdef uint8_t[16] text
        cdef Py_ssize_t n = 1
        text[0] = b"g"
        n += put_uint(text + n, group)
        text[n] = b"v"
        n += 1 + put_uint(text + n + 1, variation)
        return self.rows.object.put_valid(row, text, n)
