"""NTLM (MS-NLMP 2.2.1): NEGOTIATE, CHALLENGE, AUTHENTICATE (see ntlm.pxd).

A message is "NTLMSSP\\0", its kind, and fields: most say length, room and offset of a value that
stands further behind. A logon is the three of them; a NEGOTIATE after a result begins another one.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from tracelake.native.cursor cimport le16, le32
from tracelake.native.text cimport put_hex
from tracelake.parsers.protocols.held_name cimport Name, drop, hold, put_name
from tracelake.parsers.protocols.protocol cimport Talk, confirm, place
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.services cimport service

cdef int NTLM = service("ntlm")

# All logons under way; beyond, the names of new ones are left out.
cdef int64_t KEPT_LIMIT = 32 << 20

cdef enum:
    NEGOTIATE = 1
    CHALLENGE = 2
    AUTHENTICATE = 3

# Flags (2.2.2.5).
cdef enum:
    UNICODE_NAMES = 0x00000001
    TARGET_INFO = 0x00800000
    BITS_56 = 0x80000000
    BITS_128 = 0x20000000

# Attributes of the target (2.2.2.1).
cdef enum:
    END_OF_LIST = 0
    NB_COMPUTER_NAME = 1
    DNS_COMPUTER_NAME = 3
    DNS_TREE_NAME = 5
    MOST_ATTRIBUTES = 64

cdef enum:
    LOGON = 1                   # activity_id
    SUCCESS = 1                 # status_id
    FAILURE = 2
    CUT = 1                     # parse_flags
    REPAIRED = 128
    V1_RESPONSE = 24            # bytes; a longer one is version 2 (3.3)


cdef class Ntlm:
    """What writes logons by NTLM.

    Args:
        sheets: the tables of the capture; rows go to `authentication`.
    """

    def __cinit__(self, Sheets sheets):
        self.sheet = sheets.sheet("authentication")
        rows = self.sheet.rows
        self.status_id = rows.column("status_id")
        self.key_length = rows.column("key_length")
        self.is_remote = rows.column("is_remote")
        self.user_name = rows.column("user_name")
        self.user_domain = rows.column("user_domain")
        self.src_hostname = rows.column("src_hostname")
        self.dst_hostname = rows.column("dst_hostname")
        self.auth_protocol = rows.column("auth_protocol")
        self.auth_package = rows.column("auth_package")
        self.status_code = rows.column("status_code")
        self.nb_name = rows.column("server_nb_name")
        self.dns_name = rows.column("server_dns_name")
        self.tree_name = rows.column("server_tree_name")

    cdef int message(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef Logon* l = logon[0]
        cdef uint32_t kind
        if not is_ntlm(p, n):
            return 0
        kind = le32(p + 8)
        if kind < NEGOTIATE or kind > AUTHENTICATE:
            return 0
        confirm(t, NTLM)
        if l is not NULL and (l.written or l.said >= AUTHENTICATE) and kind == NEGOTIATE:
            self.end(t, logon)
            l = NULL
        if l is NULL:
            l = <Logon*>calloc(1, sizeof(Logon))
            if l is NULL:
                with gil:
                    raise MemoryError("a logon")
            logon[0] = l
            self.kept += sizeof(Logon)
            l.place = place(t, side, at)
        l.said = <uint8_t>kind
        if l.written:
            return 0
        if kind == NEGOTIATE:
            return self._negotiate(l, p, n)
        if kind == CHALLENGE:
            return self._challenge(l, p, n)
        return self._authenticate(l, p, n)

    cdef int _negotiate(self, Logon* l, const uint8_t* p, int64_t n) except -1 nogil:
        """2.2.1.1. Its names are of the OEM character set and often left out."""
        if n >= 16:
            l.flags = le32(p + 12)
        return 0

    cdef int _challenge(self, Logon* l, const uint8_t* p, int64_t n) except -1 nogil:
        """2.2.1.2: what the server calls itself stands in the target's attributes."""
        cdef int64_t at, end
        cdef uint16_t kind, length
        cdef int i
        if n < 32:
            return 0
        l.flags = le32(p + 20)
        if n < 48 or not l.flags & TARGET_INFO:
            return 0
        at = le32(p + 44)
        end = at + le16(p + 40)
        if end > n:
            end = n
        for i in range(MOST_ATTRIBUTES):
            if end - at < 4:
                break
            kind = le16(p + at)
            length = le16(p + at + 2)
            at += 4
            if kind == END_OF_LIST or length > end - at:
                break
            if self.kept > KEPT_LIMIT:
                break
            if kind == NB_COMPUTER_NAME:
                hold(&l.nb_name, p + at, length, True, &self.kept)
            elif kind == DNS_COMPUTER_NAME:
                hold(&l.dns_name, p + at, length, True, &self.kept)
            elif kind == DNS_TREE_NAME:
                hold(&l.tree_name, p + at, length, True, &self.kept)
            at += length
        return 0

    cdef int _authenticate(self, Logon* l, const uint8_t* p, int64_t n) except -1 nogil:
        """2.2.1.3."""
        cdef bint wide
        cdef uint16_t response
        if n < 52:
            return 0
        # Old clients end before the flags: what was agreed on before holds.
        if n >= 64:
            l.flags = le32(p + 60)
        wide = l.flags & UNICODE_NAMES
        response = le16(p + 20)
        l.version = 0 if not response else 1 if response == V1_RESPONSE else 2
        self._field(&l.domain, p, n, 28, wide)
        self._field(&l.user, p, n, 36, wide)
        self._field(&l.workstation, p, n, 44, wide)
        return 0

    cdef int _field(
        self, Name* name, const uint8_t* p, int64_t n, int64_t at, bint wide
    ) except -1 nogil:
        cdef int64_t length = le16(p + at), offset = le32(p + at + 4)
        if length == 0 or offset > n or length > n - offset or self.kept > KEPT_LIMIT:
            return 0
        return hold(name, p + offset, length, wide, &self.kept)

    cdef int result(self, Talk* t, Logon** logon, bint success) except -1 nogil:
        if logon[0] is NULL or logon[0].written:
            return 0
        return self._write(t, logon[0], SUCCESS if success else FAILURE, 0)

    cdef int failed(self, Talk* t, Logon** logon, uint32_t status) except -1 nogil:
        if logon[0] is NULL or logon[0].written or logon[0].said < AUTHENTICATE:
            return 0
        return self._write(t, logon[0], FAILURE, status)

    cdef int end(self, Talk* t, Logon** logon) except -1 nogil:
        cdef Logon* l = logon[0]
        if l is NULL:
            return 0
        if not l.written:
            self._write(t, l, 0, 0)
        logon[0] = NULL
        self.kept -= sizeof(Logon)
        free(l)
        return 0

    cdef int _write(self, Talk* t, Logon* l, int status, uint32_t code) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &l.place, LOGON)
        cdef uint8_t[18] text
        cdef int flags = 0
        if status:
            self.status_id.put(row, status)
        if code:
            self.status_code.put_valid(row, text, put_hex(text, code))
        self.auth_protocol.put_valid(row, b"NTLM", 4)
        if l.version == 1:
            self.auth_package.put_valid(row, b"NTLM V1", 7)
        elif l.version == 2:
            self.auth_package.put_valid(row, b"NTLM V2", 7)
        if l.said >= CHALLENGE:
            self.key_length.put(
                row, 128 if l.flags & BITS_128 else 56 if l.flags & BITS_56 else 40
            )
        self.is_remote.put(row, True)
        flags |= put_name(self.user_name, row, &l.user)
        flags |= put_name(self.user_domain, row, &l.domain)
        flags |= put_name(self.src_hostname, row, &l.workstation)
        flags |= put_name(self.nb_name, row, &l.nb_name)
        flags |= put_name(self.dns_name, row, &l.dns_name)
        flags |= put_name(self.tree_name, row, &l.tree_name)
        put_name(self.dst_hostname, row, &l.dns_name if l.dns_name.p is not NULL else &l.nb_name)
        flags = REPAIRED if flags else 0
        if l.user.cut or l.domain.cut or l.workstation.cut or self.kept > KEPT_LIMIT:
            flags |= CUT
        if flags:
            self.sheet.flags(flags)
        self.sheet.done()
        l.written = True
        self._forget(l)
        return 0

    cdef void _forget(self, Logon* l) noexcept nogil:
        drop(&l.user, &self.kept)
        drop(&l.domain, &self.kept)
        drop(&l.workstation, &self.kept)
        drop(&l.nb_name, &self.kept)
        drop(&l.dns_name, &self.kept)
        drop(&l.tree_name, &self.kept)
