"""NTP (RFC 5905) over UDP: each message is a row of net_service_activity.

On other ports than its own it is known by its time: a message of 48 bytes whose transmit time is
within a year of the packet's. Control (mode 6) and private messages (mode 7: monlist) are rows of
their own as well.
"""

from libc.stdint cimport int8_t, int16_t, int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, DoubleColumn, IntColumn
from tracelake.native.cursor cimport be16, be32
from tracelake.native.text cimport put_ipv4
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.netservice cimport NTP, ServiceSheet
from tracelake.parsers.protocols.protocol cimport NO, YES, Guess, Protocol, Talk, confirm, place
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport put_number, put_word
from tracelake.parsers.services cimport service

cdef int SERVICE = service("ntp")

cdef extern from "math.h" nogil:
    double ldexp(double x, int exponent)

cdef enum:
    UDP = 17
    PORT = 123
    HEADER = 48
    CONTROL_HEADER = 12
    PRIVATE_HEADER = 8
    MAC = 24                    # what may stand behind the header besides extension fields
    CONTROL = 6
    PRIVATE = 7

cdef extern from *:
    """
    #define TL_NTP_EPOCH 2208988800LL
    #define TL_YEAR 31557600LL
    """
    int64_t EPOCH "TL_NTP_EPOCH"        # seconds from 1900 to 1970
    int64_t YEAR "TL_YEAR"


cdef int _extensions(const uint8_t* p, int64_t n) noexcept nogil:
    """Number of extension fields (RFC 7822); what is at most 24 bytes at the end is a MAC."""
    cdef int64_t at = HEADER
    cdef int count = 0, length
    while n - at > MAC:
        length = be16(p + at + 2)
        if length < 16 or length & 3 or length > n - at:
            break
        at += length
        count += 1
    return count


cdef class NetworkTime(Protocol):
    cdef ServiceSheet sheet
    cdef IntColumn ntp_mode, stratum, extensions
    cdef IntColumn reference_time, origin_time, receive_time, transmit_time
    cdef DictColumn protocol_version, ref_id, command
    cdef DoubleColumn poll_s, precision_s, root_delay_s, root_dispersion_s

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "ntp"
        self.ports = (PORT,)
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.ntp_mode = rows.column("ntp_mode")
        self.stratum = rows.column("stratum")
        self.extensions = rows.column("extensions")
        self.reference_time = rows.column("reference_time")
        self.origin_time = rows.column("origin_time")
        self.receive_time = rows.column("receive_time")
        self.transmit_time = rows.column("transmit_time")
        self.protocol_version = rows.column("protocol_version")
        self.ref_id = rows.column("ref_id")
        self.command = rows.column("command")
        self.poll_s = rows.column("poll_s")
        self.precision_s = rows.column("precision_s")
        self.root_delay_s = rows.column("root_delay_s")
        self.root_dispersion_s = rows.column("root_dispersion_s")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t length = n if n else m, time
        cdef int mode, version
        if t.flow.protocol != UDP or length < PRIVATE_HEADER:
            return NO
        mode = p[0] & 7
        version = p[0] >> 3 & 7
        if not 1 <= version <= 4 or mode == 0:
            return NO
        if t.flow.port[ORIG] == PORT or t.flow.port[RESP] == PORT:
            if mode == CONTROL:
                return YES if length >= CONTROL_HEADER else NO
            return YES if length >= HEADER or mode == PRIVATE else NO
        if length != HEADER or mode >= CONTROL or version < 3 or p[1] > 16 or t.time == NO_TIME:
            return NO
        time = be32(p + 40) - EPOCH - t.time // 1000000000
        return YES if -YEAR < time < YEAR else NO

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int mode
        if n < PRIVATE_HEADER:
            return 0
        mode = p[0] & 7
        if mode == 0:
            return 0
        if mode < CONTROL:
            return self._time(t, side, p, n) if n >= HEADER else 0
        return self._command(t, side, p, n, mode)

    cdef Py_ssize_t _begin(self, Talk* t, int side, const uint8_t* p) except -1 nogil:
        cdef Place found = place(t, side, 0)
        cdef int mode = p[0] & 7
        cdef Py_ssize_t row
        confirm(t, SERVICE)
        # OCSF's activities of NTP are its modes.
        row = self.sheet.begin(t.flow, &found, NTP, mode, b"ntp")
        put_number(self.protocol_version, row, p[0] >> 3 & 7)
        self.ntp_mode.put(row, mode)
        return row

    cdef int _time(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """A message of section 7.3."""
        cdef Py_ssize_t row = self._begin(t, side, p)
        cdef uint8_t[16] text
        cdef int stratum = p[1]
        self.stratum.put(row, stratum)
        self.poll_s.put(row, ldexp(1.0, <int8_t>p[2]))
        self.precision_s.put(row, ldexp(1.0, <int8_t>p[3]))
        self.root_delay_s.put(row, <int16_t>be16(p + 4) + be16(p + 6) / 65536.0)
        self.root_dispersion_s.put(row, <int16_t>be16(p + 8) + be16(p + 10) / 65536.0)
        if stratum <= 1:
            put_word(self.ref_id, row, p + 12, 4)       # a kiss code, or the kind of clock
        else:
            self.ref_id.put_valid(row, text, put_ipv4(text, p + 12))
        self._stamp(self.reference_time, row, p + 16)
        self._stamp(self.origin_time, row, p + 24)
        self._stamp(self.receive_time, row, p + 32)
        self._stamp(self.transmit_time, row, p + 40)
        self.extensions.put(row, _extensions(p, n))
        return self.sheet.done()

    cdef int _stamp(self, IntColumn c, Py_ssize_t row, const uint8_t* p) except -1 nogil:
        """A timestamp (section 6): seconds since 1900 and a fraction; zero is none."""
        cdef int64_t second = be32(p), part = be32(p + 4)
        if second or part:
            c.put(row, (second - EPOCH) * 1000000 + (part * 1000000 >> 32))
        return 0

    cdef int _command(
        self, Talk* t, int side, const uint8_t* p, int64_t n, int mode
    ) except -1 nogil:
        """A control message (RFC 9327), or a private one of ntpd: their code is the command."""
        cdef Py_ssize_t row
        if mode == CONTROL and n < CONTROL_HEADER:
            return 0
        row = self._begin(t, side, p)
        put_number(self.command, row, p[1] & 0x1F if mode == CONTROL else p[3])
        return self.sheet.done()
