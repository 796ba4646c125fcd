"""Modbus over TCP (MODBUS Messaging on TCP/IP, V1.0b; Application Protocol V1.1b3): each message,
request or response, is a row of ics_activity."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16
from tracelake.native.text cimport put_uint
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.ics cimport IcsSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport Names, put_name
from tracelake.parsers.services cimport service

cdef int SERVICE = service("modbus")

cdef enum:
    TCP = 6
    PORT = 502
    HEADER = 8                  # MBAP header (7 bytes) and function code
    LONGEST_ADU = 260
    TRAFFIC = 6
    EXCEPTION = 0x80
    MAX_VALUES = 125            # registers that are written as text

# Public function codes (section 6), and those of vendors that have a name.
FUNCTIONS: dict[int, str] = {
    0x01: "READ_COILS", 0x02: "READ_DISCRETE_INPUTS", 0x03: "READ_HOLDING_REGISTERS",
    0x04: "READ_INPUT_REGISTERS", 0x05: "WRITE_SINGLE_COIL", 0x06: "WRITE_SINGLE_REGISTER",
    0x07: "READ_EXCEPTION_STATUS", 0x08: "DIAGNOSTICS", 0x09: "PROGRAM_484", 0x0A: "POLL_484",
    0x0B: "GET_COMM_EVENT_COUNTER", 0x0C: "GET_COMM_EVENT_LOG", 0x0D: "PROGRAM_584_984",
    0x0E: "POLL_584_984", 0x0F: "WRITE_MULTIPLE_COILS", 0x10: "WRITE_MULTIPLE_REGISTERS",
    0x11: "REPORT_SLAVE_ID", 0x12: "PROGRAM_884_U84", 0x13: "RESET_COMM_LINK_884_U84",
    0x14: "READ_FILE_RECORD", 0x15: "WRITE_FILE_RECORD", 0x16: "MASK_WRITE_REGISTER",
    0x17: "READ_WRITE_MULTIPLE_REGISTERS", 0x18: "READ_FIFO_QUEUE", 0x28: "PROGRAM_CONCEPT",
    0x29: "MULTIPLE_FUNCTION_CODES", 0x2B: "ENCAP_INTERFACE_TRANSPORT", 0x5A: "PROGRAM_UNITY",
    0x5B: "OBJECT_MESSAGING", 0x7D: "FIRMWARE_REPLACEMENT", 0x7E: "PROGRAM_584_984_2",
    0x7F: "REPORT_LOCAL_ADDRESS",
}
FUNCTIONS |= {number | EXCEPTION: f"{name}_EXCEPTION" for number, name in FUNCTIONS.items()}
EXCEPTIONS: dict[int, str] = {
    1: "ILLEGAL_FUNCTION", 2: "ILLEGAL_DATA_ADDRESS", 3: "ILLEGAL_DATA_VALUE",
    4: "SLAVE_DEVICE_FAILURE", 5: "ACKNOWLEDGE", 6: "SLAVE_DEVICE_BUSY",
    8: "MEMORY_PARITY_ERROR", 10: "GATEWAY_PATH_UNAVAILABLE",
    11: "GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND",
}
cdef Names FUNCTION_NAMES = Names(FUNCTIONS)
cdef Names EXCEPTION_NAMES = Names(EXCEPTIONS)


cdef inline bint _is_header(const uint8_t* p, bint at_home) noexcept nogil:
    """Protocol identifier 0, a length that there can be, a function that there is (on Modbus' own
    port any)."""
    return be16(p + 2) == 0 and 2 <= be16(p + 4) <= LONGEST_ADU - 6 and (
        at_home or FUNCTION_NAMES.get(p[7]) is not NULL
    )


# Bytes are missing, and nobody knows where a message begins (Talk.state: nothing is allocated).
cdef void* LOST = <void*>FUNCTION_NAMES


cdef inline bint _writes(int function) noexcept nogil:
    return function in (5, 6, 15, 16, 21, 22, 23)


cdef class Modbus(Protocol):
    cdef IcsSheet rows

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "modbus"
        self.ports = (PORT,)
        self.longest = 65541
        self.rows = IcsSheet(sheets)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t length = n if n else m
        cdef int64_t next
        cdef bint at_home = t.flow.port[RESP] == PORT
        if t.flow.protocol != TCP:
            return NO
        if length < HEADER:
            return NO if length >= 4 and be16(p + 2) else MORE
        if not _is_header(p, at_home):
            return NO
        next = 6 + be16(p + 4)
        # Nothing behind the message, or another one.
        if length == next or (length >= next + HEADER and _is_header(p + next, at_home)):
            return YES
        return MORE if length < next + HEADER else NO

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        """Messages are short, and most begin with a packet: what comes next is looked at."""
        t.state = LOST
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        t.state = NULL
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, length
        while n - at >= HEADER:
            length = 6 + be16(p + at + 4)
            if t.state is not NULL:
                if not _is_header(p + at, False):
                    return n        # the rest of a message whose beginning is not there
                t.state = NULL
            if be16(p + at + 2) or length < HEADER:
                give_up(t)
                return at
            if n - at < length:
                t.half[side].need = length
                break
            self._message(t, side, at, p + at, length)
            at += length
        return at

    cdef int _message(
        self, Talk* t, int side, int64_t at, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef Place found = place(t, side, at)
        cdef Py_ssize_t row = self.rows.sheet.begin(t.flow, &found, TRAFFIC)
        cdef int function = p[7]
        confirm(t, SERVICE)
        put_name(self.rows.protocol, row, b"modbus")
        self.rows.transaction_id.put(row, be16(p))
        self.rows.unit_id.put(row, p[6])
        FUNCTION_NAMES.put(self.rows.function, row, function, b"unknown-")
        self.rows.function_id.put(row, function)
        put_name(self.rows.message_type, row, b"REQ" if side == ORIG else b"RESP")
        self.rows.is_write.put(row, _writes(function & 0x7F))
        if function & EXCEPTION:
            if n > HEADER:
                EXCEPTION_NAMES.put(self.rows.exception, row, p[8], b"unknown-")
                self.rows.status_id.put(row, 2)
        else:
            if side == RESP:
                self.rows.status_id.put(row, 1)
            self._body(row, side, function, p + HEADER, n - HEADER)
        return self.rows.sheet.done()

    cdef int _body(
        self, Py_ssize_t row, int side, int function, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """Which registers or coils, and what is written to or read from them."""
        if side == ORIG or function in (5, 6, 15, 16, 22):
            if n >= 4 and (1 <= function <= 6 or function in (15, 16, 22, 23)):
                self.rows.address.put(row, be16(p))
                if function == 5 or function == 6 or function == 22:
                    self.rows.quantity.put(row, 1)
                    self._values(row, p + 2, n - 2)
                else:
                    self.rows.quantity.put(row, be16(p + 2))
                    if side == ORIG and function == 16 and n > 5:
                        self._values(row, p + 5, n - 5)
                    elif side == ORIG and function == 15 and n > 5:
                        self._bytes(row, p + 5, n - 5)
            return 0
        if n > 1 and (function == 3 or function == 4 or function == 23):
            self._values(row, p + 1, n - 1)
        elif n > 1 and (function == 1 or function == 2):
            self._bytes(row, p + 1, n - 1)
        return 0

    cdef int _values(self, Py_ssize_t row, const uint8_t* p, int64_t n) except -1 nogil:
        """Registers, 16 bits each, with blanks between them."""
        cdef uint8_t[8 * MAX_VALUES] text
        cdef Py_ssize_t o = 0
        cdef int64_t i
        for i in range(min(n // 2, MAX_VALUES)):
            if i:
                text[o] = b" "
                o += 1
            o += put_uint(text + o, be16(p + 2 * i))
        if o:
            self.rows.value.put_valid(row, text, o)
        return 0

    cdef int _bytes(self, Py_ssize_t row, const uint8_t* p, int64_t n) except -1 nogil:
        """Coils: bytes, the first coil in the lowest bit of the first one."""
        cdef uint8_t[8 * MAX_VALUES] text
        cdef Py_ssize_t o = 0
        cdef int64_t i
        for i in range(min(n, MAX_VALUES)):
            if i:
                text[o] = b" "
                o += 1
            o += put_uint(text + o, p[i])
        if o:
            self.rows.value.put_valid(row, text, o)
        return 0
