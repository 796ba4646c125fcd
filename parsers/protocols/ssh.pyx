"""SSH 2 (RFC 4253) and SSH 1 (draft-ylonen-ssh-protocol-00): the banners, what is negotiated, the
server's key. Then everything is encrypted; whether somebody could log in is told from the lengths of
the server's segments, by Zeek's rules.

    banner  SSH-<version>-<software> [SP <comment>] CR LF
    SSH 2   length (4), padding's length (1), type (1), payload, padding
    SSH 1   length (4), padding (8 - length % 8), type (1), payload, CRC (4)
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy, strlen

from tracelake.native.account cimport Account
from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn, Rows, TextColumn
from tracelake.native.cursor cimport be16, be32
from tracelake.native.digest cimport md5
from tracelake.native.text cimport put_hex_bytes
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.flow cimport internal
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.services import service

cdef enum:
    CLASS_UID = 4007            # OCSF's SSH Activity
    OPEN = 1                    # its activities
    FAIL = 4
    OTHER = 99

cdef enum:
    BANNER_LIMIT = 4096
    PACKET_LIMIT = 262144       # bytes of a packet; RFC 4253, 6.1 asks for 35000
    NAME_ROOM = 640             # of a negotiated algorithm as text
    LISTS = 10                  # name-lists of SSH_MSG_KEXINIT

cdef enum State:
    BANNER = 0
    KEX = 1
    ENCRYPTED = 2

cdef enum Version:
    UNKNOWN = 0
    SSH1 = 1
    SSH2 = 2
    SSH199 = 3                  # either

cdef enum:                      # messages of SSH 2
    KEXINIT = 20
    NEWKEYS = 21
    KEX_FIRST = 30              # to 49: the method's own
    KEX_31 = 31
    KEX_33 = 33

cdef enum:                      # of SSH 1
    SMSG_PUBLIC_KEY = 2
    CMSG_SESSION_KEY = 3

cdef enum Method:               # of the key exchange: which message has the server's key
    REPLY = 0                   # KEXDH_REPLY, KEX_ECDH_REPLY: 31
    GROUP_EXCHANGE = 1          # KEX_DH_GEX_REPLY: 33
    GSS = 2                     # KEXGSS_HOSTKEY: 33
    RSA = 3                     # KEXRSA_PUBKEY: 30

cdef enum:                      # of the name-lists
    KEX_METHODS = 0
    HOST_KEYS = 1
    CIPHERS = 2                 # and 3: to the client
    MACS = 4
    COMPRESSIONS = 6

cdef int SSH = service("ssh")


cdef struct Bytes:
    const uint8_t* p
    int64_t n


# What was negotiated.
cdef struct Agreed:
    uint8_t text[5][NAME_ROOM]  # cipher, MAC, compression, method, kind of key
    int32_t length[5]


cdef struct Ssh:
    bint seen
    Place place
    uint8_t state[2]
    uint8_t version             # of both
    uint8_t versions[2]
    uint8_t method
    bint has_method
    uint8_t* banner[2]
    int32_t banner_length[2]
    uint8_t* init               # the payload of the first KEXINIT
    int32_t init_length
    int8_t init_side            # -1: none yet, 2: both were seen
    Agreed* agreed
    bint has_hassh[2]
    uint8_t hassh[2][16]
    bint has_key
    uint8_t key[16]             # MD5
    # Who is let in.
    bint decided, skipped_banner, client_spoke, compressed
    int64_t accept_size
    int64_t failure_size
    int32_t attempts
    int8_t success              # -1: not known


cdef class SshRows:
    """The columns of a session."""
    cdef Sheet sheet
    cdef IntColumn class_uid, attempts
    cdef DictColumn protocol, version, direction, client, server, cipher, mac, compression, kex
    cdef DictColumn host_key_algorithm
    cdef TextColumn host_key, hassh, hassh_server
    cdef BoolColumn success

    def __cinit__(self, Sheets sheets):
        cdef Rows rows
        self.sheet = sheets.sheet("remote_access_activity")
        rows = self.sheet.rows
        self.class_uid = rows.column("class_uid")
        self.attempts = rows.column("auth_attempts")
        self.protocol = rows.column("protocol")
        self.version = rows.column("protocol_version")
        self.direction = rows.column("direction")
        self.client = rows.column("client")
        self.server = rows.column("server")
        self.cipher = rows.column("cipher")
        self.mac = rows.column("mac_algorithm")
        self.compression = rows.column("compression")
        self.kex = rows.column("kex")
        self.host_key_algorithm = rows.column("host_key_algorithm")
        self.host_key = rows.column("host_key")
        self.hassh = rows.column("hassh")
        self.hassh_server = rows.column("hassh_server")
        self.success = rows.column("auth_success")


cdef class SshProtocol(Protocol):
    cdef SshRows rows

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "ssh"
        self.ports = (22,)
        self.longest = PACKET_LIMIT + 64
        self.rows = SshRows(sheets)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef Guess one = _banner(orig, n), other = _banner(resp, m)
        if one == YES or other == YES:
            return YES
        # A server may say something before its banner (RFC 4253, 4.2): the client tells.
        if one == NO or (other == NO and t.flow.port[RESP] != 22):
            return NO
        return MORE

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Ssh* s = <Ssh*>calloc(1, sizeof(Ssh))
        if s is NULL:
            with gil:
                raise MemoryError("an SSH session")
        s.init_side = -1
        s.success = -1
        t.state = s
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Ssh* s = <Ssh*>t.state
        if s is NULL:
            return 0
        if s.seen:
            self._write(t, s)
        free(s.banner[ORIG])
        free(s.banner[RESP])
        free(s.init)
        free(s.agreed)
        free(s)
        t.state = NULL
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Ssh* s = <Ssh*>t.state
        cdef int64_t at = 0, length
        if t.flow.partial:
            give_up(t)
            return n
        while at < n:
            if s.state[side] == ENCRYPTED:
                # A segment, or what follows the last message in clear: its length tells.
                self._encrypted(t, s, side, n - at)
                return n
            if s.state[side] == BANNER:
                length = self._line(t, s, side, p + at, n - at, at)
            elif s.version == SSH2:
                length = self._packet(t, s, side, p + at, n - at)
            elif s.version == SSH1:
                length = self._old_packet(t, s, side, p + at, n - at)
            elif s.versions[0] and s.versions[1]:
                give_up(t)          # they do not understand each other
                return n
            else:
                # The other side's banner is not here yet.
                if n - at > 65536:
                    give_up(t)
                return at
            if t.gone:
                return n
            if length == 0:
                return at
            at += length
        return at

    # The banners.

    cdef int64_t _line(
        self, Talk* t, Ssh* s, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef const uint8_t* end = <const uint8_t*>memchr(p, 0x0A, n)
        cdef int64_t length, line
        if end is NULL:
            if n > BANNER_LIMIT:
                give_up(t)
            t.half[side].need = n + 1
            return 0
        line = end - p + 1
        length = line - 1
        if length and p[length - 1] == 0x0D:
            length -= 1
        if side == RESP and (length < 4 or memcmp(p, b"SSH-", 4) != 0):
            return line             # said before the banner
        if not s.seen:
            s.seen = True
            s.place = place(t, side, at)
            s.place.time = t.time
        if length > BANNER_LIMIT:
            length = BANNER_LIMIT
        s.banner[side] = <uint8_t*>malloc(length if length else 1)
        if s.banner[side] is NULL:
            with gil:
                raise MemoryError("a banner")
        memcpy(s.banner[side], p, length)
        s.banner_length[side] = <int32_t>length
        s.state[side] = KEX
        s.versions[side] = _version(p, length)
        self._agree_version(t, s, side, at)
        return line

    cdef int _agree_version(self, Talk* t, Ssh* s, int side, int64_t at) except -1 nogil:
        cdef int a = s.versions[ORIG], b = s.versions[RESP]
        cdef Place found
        if s.banner[ORIG] is NULL or s.banner[RESP] is NULL:
            return 0
        if t.flow.port[RESP] != 22:
            s.place.time = t.time       # Zeek is sure only now
        if not a or not b:
            found = place(t, side, at)
            self._note(t, s, &found, b"SSH_cannot_determine_version")
        elif a == SSH199 and b == SSH199:
            s.version = SSH2
        elif a == SSH199:
            s.version = <uint8_t>b
        elif b == SSH199 or a == b:
            s.version = <uint8_t>a
        else:
            found = place(t, side, at)
            self._note(t, s, &found, b"SSH_version_mismatch")
        return 0

    cdef int _note(self, Talk* t, Ssh* s, const Place* found, const char* name) except -1 nogil:
        """With both banners: `server vs client`."""
        cdef uint8_t[512] text
        cdef int32_t n, m
        n = s.banner_length[RESP] if s.banner_length[RESP] < 250 else 250
        m = s.banner_length[ORIG] if s.banner_length[ORIG] < 250 else 250
        memcpy(text, s.banner[RESP], n)
        memcpy(text + n, b" vs ", 4)
        memcpy(text + n + 4, s.banner[ORIG], m)
        return self.sheets.note(t.flow, found, name, b"SSH", text, n + 4 + m)

    # SSH 2.

    cdef int64_t _packet(
        self, Talk* t, Ssh* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """A packet: the bytes of it, 0 where more are needed."""
        cdef int64_t length, payload
        if n < 6:
            t.half[side].need = 6
            return 0
        length = be32(p)
        payload = length - p[4] - 2
        if length > PACKET_LIMIT or payload < 0:
            give_up(t)
            return 0
        if n < 4 + length:
            t.half[side].need = 4 + length
            return 0
        if p[5] == KEXINIT:
            self._init(t, s, side, p + 6, payload)
        elif p[5] == NEWKEYS:
            s.state[side] = ENCRYPTED
            confirm(t, SSH)
        elif p[5] >= KEX_FIRST and side == RESP:
            self._key_exchange(s, p[5], p + 6, payload)
        return 4 + length

    cdef int _init(self, Talk* t, Ssh* s, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """SSH_MSG_KEXINIT (RFC 4253, 7.1): a cookie and ten name-lists."""
        cdef Bytes[LISTS] lists, others
        cdef const Bytes* client
        cdef const Bytes* server
        if s.init_side == 2 or s.init_side == side:
            return 0
        if not _read_lists(p, n, lists):
            give_up(t)
            return 0
        self._hassh(s, side, lists)
        if s.init_side < 0:
            s.init = <uint8_t*>malloc(n)
            if s.init is NULL:
                with gil:
                    raise MemoryError(f"{n} bytes of SSH_MSG_KEXINIT")
            memcpy(s.init, p, n)
            s.init_length = <int32_t>n
            s.init_side = <int8_t>side
            return 0
        if not _read_lists(s.init, s.init_length, others):
            return 0
        client = &lists[0]
        server = &others[0]
        if side == RESP:
            client, server = server, client
        s.init_side = 2
        s.agreed = <Agreed*>calloc(1, sizeof(Agreed))
        if s.agreed is NULL:
            with gil:
                raise MemoryError("what SSH has agreed on")
        _both(s.agreed, 0, client, server, CIPHERS)
        _both(s.agreed, 1, client, server, MACS)
        _both(s.agreed, 2, client, server, COMPRESSIONS)
        _one(s.agreed, 3, &client[KEX_METHODS], &server[KEX_METHODS])
        _one(s.agreed, 4, &client[HOST_KEYS], &server[HOST_KEYS])
        s.compressed = _is(s.agreed, 2, b"zlib") or _is(s.agreed, 2, b"zlib@openssh.com")
        s.method = _method(s.agreed.text[3], s.agreed.length[3])
        s.has_method = True
        free(s.init)
        s.init = NULL
        return 0

    cdef int _hassh(self, Ssh* s, int side, const Bytes* lists) except -1 nogil:
        """HASSH (github.com/salesforce/hassh): MD5 of methods, ciphers, MACs and compressions, of
        the direction in which the side sends."""
        cdef int64_t n = 0, room = 3
        cdef uint8_t* text
        cdef int[4] order
        cdef int i
        order[0], order[1], order[2], order[3] = KEX_METHODS, CIPHERS, MACS, COMPRESSIONS
        for i in range(1, 4):
            order[i] += 0 if side == ORIG else 1
        for i in range(4):
            room += lists[order[i]].n
        text = <uint8_t*>malloc(room)
        if text is NULL:
            with gil:
                raise MemoryError("HASSH")
        for i in range(4):
            if i:
                text[n] = b";"
                n += 1
            memcpy(text + n, lists[order[i]].p, lists[order[i]].n)
            n += lists[order[i]].n
        md5(text, n, s.hassh[side])
        s.has_hassh[side] = True
        free(text)
        return 0

    cdef int _key_exchange(
        self, Ssh* s, int kind, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """The server's key is the first string of the message that answers the client's."""
        cdef int64_t length
        if not s.has_method or s.has_key or n < 4:
            return 0
        if kind != (KEX_FIRST if s.method == RSA else KEX_31 if s.method == REPLY else KEX_33):
            return 0
        length = be32(p)
        if length > n - 4:
            return 0
        md5(p + 4, length, s.key)
        s.has_key = True
        return 0

    # SSH 1.

    cdef int64_t _old_packet(
        self, Talk* t, Ssh* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef int64_t length, padding, whole
        if n < 4:
            t.half[side].need = 4
            return 0
        length = be32(p)
        padding = 8 - length % 8
        whole = 4 + padding + length
        if length < 5 or length > PACKET_LIMIT:
            give_up(t)
            return 0
        if n < whole:
            t.half[side].need = whole
            return 0
        if p[4 + padding] == SMSG_PUBLIC_KEY and side == RESP:
            self._old_key(s, p + 5 + padding, length - 5)
        elif p[4 + padding] == CMSG_SESSION_KEY:
            confirm(t, SSH)
        s.state[side] = ENCRYPTED
        return whole

    cdef int _old_key(self, Ssh* s, const uint8_t* p, int64_t n) except -1 nogil:
        """SSH_SMSG_PUBLIC_KEY: cookie (8), then bits (4), exponent and modulus of the server's and
        of the host's key."""
        cdef int64_t at = 12, length
        cdef const uint8_t* exponent = NULL
        cdef int64_t exponent_length = 0
        cdef uint8_t* text
        cdef int i
        for i in range(4):
            if n - at < 2:
                return 0
            length = (<int64_t>be16(p + at) + 7) // 8
            at += 2
            if n - at < length:
                return 0
            if i == 2:
                exponent = p + at
                exponent_length = length
            elif i == 3:
                # The fingerprint is over modulus and exponent.
                text = <uint8_t*>malloc(length + exponent_length + 1)
                if text is NULL:
                    with gil:
                        raise MemoryError("a key")
                memcpy(text, p + at, length)
                memcpy(text + length, exponent, exponent_length)
                md5(text, length + exponent_length, s.key)
                s.has_key = True
                free(text)
            at += length
            if i == 1:
                at += 4
        return 0

    # What is encrypted.

    cdef int _encrypted(self, Talk* t, Ssh* s, int side, int64_t n) except -1 nogil:
        """The length of a segment of the server: first SERVICE_ACCEPT; 16 bytes less are
        USERAUTH_SUCCESS, and what is as long as the first refusal is one more."""
        if s.decided or s.version != SSH2:
            return 0
        if side == ORIG:
            s.client_spoke = True
            return 0
        if not s.client_spoke:
            return 0
        if not s.accept_size:
            s.accept_size = n
        elif not s.failure_size and n + 16 == s.accept_size:
            self._attempt(t, s, True)
        elif not s.failure_size:
            if not s.skipped_banner and n - s.accept_size > 256:
                s.skipped_banner = True         # SSH_MSG_USERAUTH_BANNER
            else:
                s.failure_size = n
        elif n == s.failure_size:
            self._attempt(t, s, False)
        elif n + 16 == s.accept_size:
            self._attempt(t, s, True)
        return 0

    cdef int _attempt(self, Talk* t, Ssh* s, bint success) except -1 nogil:
        if success:
            s.decided = True
        if s.compressed:
            return 0                # lengths tell nothing
        s.success = success
        s.attempts += 1
        if success:
            give_up(t)              # nothing more can be seen
        return 0

    # The row.

    cdef int _write(self, Talk* t, Ssh* s) except -1 nogil:
        cdef Py_ssize_t row
        cdef uint8_t[64] text
        cdef bint from_inside = internal(&t.flow.address[ORIG])
        row = self.rows.sheet.begin(
            t.flow, &s.place, OPEN if s.success > 0 else FAIL if s.success == 0 else OTHER
        )
        self.rows.class_uid.put(row, CLASS_UID)
        self.rows.protocol.put_valid(row, b"ssh", 3)
        if s.version:
            text[0] = <uint8_t>(0x30 + s.version)
            self.rows.version.put_valid(row, text, 1)
        if from_inside != internal(&t.flow.address[RESP]):
            if from_inside:
                self.rows.direction.put_valid(row, b"OUTBOUND", 8)
            else:
                self.rows.direction.put_valid(row, b"INBOUND", 7)
        if s.banner[ORIG] is not NULL:
            self.rows.client.put(row, s.banner[ORIG], s.banner_length[ORIG])
        if s.banner[RESP] is not NULL:
            self.rows.server.put(row, s.banner[RESP], s.banner_length[RESP])
        self.rows.attempts.put(row, s.attempts)
        if s.success >= 0:
            self.rows.success.put(row, s.success)
        if s.agreed is not NULL:
            self.rows.cipher.put(row, s.agreed.text[0], s.agreed.length[0])
            self.rows.mac.put(row, s.agreed.text[1], s.agreed.length[1])
            self.rows.compression.put(row, s.agreed.text[2], s.agreed.length[2])
            self.rows.kex.put(row, s.agreed.text[3], s.agreed.length[3])
            self.rows.host_key_algorithm.put(row, s.agreed.text[4], s.agreed.length[4])
        if s.has_hassh[ORIG]:
            put_hex_bytes(text, s.hassh[ORIG], 16)
            self.rows.hassh.put_valid(row, text, 32)
        if s.has_hassh[RESP]:
            put_hex_bytes(text, s.hassh[RESP], 16)
            self.rows.hassh_server.put_valid(row, text, 32)
        if s.has_key:
            self.rows.host_key.put_valid(row, text, _put_colons(text, s.key))
        return self.rows.sheet.done()


cdef Guess _banner(const uint8_t* p, int64_t n) noexcept nogil:
    cdef int64_t k = n if n < 4 else 4
    if n == 0:
        return MORE
    if memcmp(p, b"SSH-", k) != 0:
        return NO
    if n < 5:
        return MORE
    return YES if p[4] == 0x31 or p[4] == 0x32 else NO


cdef uint8_t _version(const uint8_t* p, int64_t n) noexcept nogil:
    if n < 5:
        return UNKNOWN
    if p[4] == 0x32:
        return SSH2
    if p[4] == 0x31:
        return SSH199 if n >= 8 and p[6] == 0x39 and p[7] == 0x39 else SSH1
    return UNKNOWN


cdef bint _read_lists(const uint8_t* p, int64_t n, Bytes* lists) noexcept nogil:
    cdef int64_t at = 16, length
    cdef int i
    for i in range(LISTS):
        if n - at < 4:
            return False
        length = be32(p + at)
        at += 4
        if length > n - at:
            return False
        lists[i].p = p + at
        lists[i].n = length
        at += length
    return True


cdef int64_t _word(const Bytes* list, int64_t at) noexcept nogil:
    """The length of the word of a list that begins at `at`."""
    cdef const uint8_t* end = <const uint8_t*>memchr(list.p + at, 0x2C, list.n - at)
    return list.n - at if end is NULL else end - (list.p + at)


cdef Bytes _first_common(const Bytes* client, const Bytes* server) noexcept nogil:
    """The first of the client's that the server has too (RFC 4253, 7.1); none where p is NULL.
    At most WORDS of either are compared: the work is bounded."""
    cdef Bytes found
    cdef int64_t i = 0, k, n, m
    cdef int words = 0, others
    found.p = NULL
    found.n = 0
    while i < client.n and words < 256:
        n = _word(client, i)
        words += 1
        k = 0
        others = 0
        while n and k < server.n and others < 256:
            m = _word(server, k)
            others += 1
            if n == m and memcmp(client.p + i, server.p + k, n) == 0:
                found.p = client.p + i
                found.n = n
                return found
            k += m + 1
        i += n + 1
    return found


cdef int32_t _put_word(uint8_t* out, Bytes word) noexcept nogil:
    cdef const char* none = b"Algorithm negotiation failed"
    cdef int64_t n = word.n if word.n < 256 else 256
    if word.p is NULL:
        memcpy(out, none, 28)
        return 28
    memcpy(out, word.p, n)
    return <int32_t>n


cdef void _one(Agreed* a, int which, const Bytes* client, const Bytes* server) noexcept nogil:
    a.length[which] = _put_word(a.text[which], _first_common(client, server))


cdef void _both(
    Agreed* a, int which, const Bytes* client, const Bytes* server, int list
) noexcept nogil:
    """Of both directions, which may differ."""
    cdef uint8_t[256] there
    cdef uint8_t[256] back
    cdef int32_t n, m
    cdef uint8_t* out = a.text[which]
    n = _put_word(there, _first_common(&client[list], &server[list]))
    m = _put_word(back, _first_common(&client[list + 1], &server[list + 1]))
    if n == m and memcmp(there, back, n) == 0:
        memcpy(out, there, n)
        a.length[which] = n
        return
    memcpy(out, b"To server: ", 11)
    memcpy(out + 11, there, n)
    memcpy(out + 11 + n, b", to client: ", 13)
    memcpy(out + 24 + n, back, m)
    a.length[which] = 24 + n + m


cdef bint _is(const Agreed* a, int which, const char* name) noexcept nogil:
    cdef size_t n = strlen(name)
    return <size_t>a.length[which] == n and memcmp(a.text[which], name, n) == 0


cdef uint8_t _method(const uint8_t* p, int32_t n) noexcept nogil:
    if n >= 29 and memcmp(p, b"diffie-hellman-group-exchange", 29) == 0:
        return GROUP_EXCHANGE
    if n >= 4 and memcmp(p, b"gss-", 4) == 0:
        return GSS
    if n >= 3 and memcmp(p, b"rsa", 3) == 0:
        return RSA
    return REPLY


cdef Py_ssize_t _put_colons(uint8_t* out, const uint8_t* digest) noexcept nogil:
    cdef int i
    for i in range(16):
        put_hex_bytes(out + 3 * i, digest + i, 1)
        out[3 * i + 2] = 0x3A
    return 47
