"""Certificates that went over the wire (see certificates.pxd).

A row says in which flows its certificate was seen, so it waits: until there are ENTRY_LIMIT others
that were seen later, or HELD_LIMIT bytes of them, or the capture ends. Of one that is written only
a hash is kept, so that it is not written again.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove

from tracelake.native.cursor cimport le64
from tracelake.native.digest cimport md5, sha1, sha256
from tracelake.native.text cimport put_hex_bytes, put_ipv4, put_ipv6
from tracelake.parsers.conn cimport put_uid
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.x509 cimport (
    KEY_DSA, KEY_EC, KEY_RSA, NAME_DNS, NAME_EMAIL, NAME_IP, NAME_ROOM, NAME_URI, Span,
    find_certificates, is_self_issued, next_certificate, next_name, next_uri, put_algorithm, put_curve, put_exponent, put_name,
    put_serial, read_certificate,
)

cdef enum:
    BUCKETS = 8192
    ENTRY_LIMIT = 4096
    KNOWN_LIMIT = 1 << 20       # certificates that are known to be written; then all are forgotten
    LIST_LIMIT = 4096           # names of one kind that a row holds
    SIGNED_LIMIT = 64           # certificates of a signed message that are read
    TRUNCATED = 1               # parse_flags

cdef int64_t HELD_LIMIT = 16 << 20


cdef Certificates certificates_of(Sheets sheets):
    for each in sheets.closing:
        if isinstance(each, Certificates):
            return <Certificates>each
    found = Certificates(sheets)
    sheets.closing.append(found)
    return found


cdef class Certificates:
    """The certificates of one capture.

    Args:
        sheets: its tables.
    """

    def __cinit__(self, Sheets sheets):
        cdef Rows rows
        self.sheet = sheets.sheet("certificate")
        rows = self.sheet.rows
        self.buckets = <Entry**>calloc(BUCKETS, sizeof(Entry*))
        self.known_mask = 1023
        self.known = <uint64_t*>calloc(self.known_mask + 1, sizeof(uint64_t))
        self.text = <uint8_t*>malloc(NAME_ROOM)
        if self.buckets is NULL or self.known is NULL or self.text is NULL:
            raise MemoryError()
        self.sha256 = rows.column("cert_sha256")
        self.sha1 = rows.column("cert_sha1")
        self.md5 = rows.column("cert_md5")
        self.serial = rows.column("cert_serial")
        self.exponent = rows.column("key_exponent")
        self.subject = rows.column("cert_subject")
        self.issuer = rows.column("cert_issuer")
        self.key_algorithm = rows.column("key_algorithm")
        self.key_type = rows.column("key_type")
        self.curve = rows.column("curve")
        self.signature = rows.column("signature_algorithm")
        self.version = rows.column("cert_version")
        self.not_before = rows.column("cert_not_before")
        self.not_after = rows.column("cert_not_after")
        self.key_bits = rows.column("key_length")
        self.path_length = rows.column("path_length")
        self.position = rows.column("chain_position")
        self.is_ca = rows.column("is_ca")
        self.self_signed = rows.column("is_self_signed")
        self.is_host = rows.column("is_host")
        self.is_client = rows.column("is_client")
        self.names = rows.column("cert_sans")
        self.uris = rows.column("cert_san_uris")
        self.emails = rows.column("cert_san_emails")
        self.addresses = rows.column("cert_san_ips")
        self.seen = rows.column("seen_in")
        self.lists = rows.column("crl_urls")

    def __dealloc__(self):
        cdef Entry* e = self.oldest
        cdef Entry* after
        while e is not NULL:
            after = e.newer
            free(e.der)
            free(e.seen)
            free(e)
            e = after
        free(self.buckets)
        free(self.known)
        free(self.text)

    def finish(self):
        """Writes what waits: the capture is at its end."""
        while self.oldest is not NULL:
            self._drop_oldest()

    cdef Entry* find(self, const uint8_t* digest) noexcept nogil:
        cdef Entry* e = self.buckets[le64(digest) & (BUCKETS - 1)]
        while e is not NULL and memcmp(e.sha256, digest, 32) != 0:
            e = e.next
        return e

    cdef Entry* met(
        self, Flow* f, const Place* place, const uint8_t* der, int32_t n, int position, bint client
    ) except NULL nogil:
        cdef uint8_t[32] digest
        cdef Entry* e
        cdef uint64_t bucket
        sha256(der, n, digest)
        e = self.find(digest)
        if e is not NULL:
            self._touch(e)
        else:
            while self.oldest is not NULL and (
                self.count >= ENTRY_LIMIT or self.held + n > HELD_LIMIT
            ):
                self._drop_oldest()
            e = <Entry*>calloc(1, sizeof(Entry))
            if e is NULL:
                with gil:
                    raise MemoryError("a certificate")
            e.der = <uint8_t*>malloc(n if n else 1)
            if e.der is NULL:
                free(e)
                with gil:
                    raise MemoryError(f"a certificate of {n} bytes")
            memcpy(e.der, der, n)
            memcpy(e.sha256, digest, 32)
            e.count = n
            e.place = place[0]
            # Certificates of a chain begin in one message, each with a number of its own.
            e.place.sub = (
                place.sub >> 20 << 28 | (place.sub & 0xFFFF) << 12 | position & 0xFFF
            )
            e.position = position
            read_certificate(e.der, n, &e.cert)
            e.written = self._was_written(digest)
            bucket = le64(digest) & (BUCKETS - 1)
            e.next = self.buckets[bucket]
            self.buckets[bucket] = e
            e.older = self.newest
            if self.newest is not NULL:
                self.newest.newer = e
            else:
                self.oldest = e
            self.newest = e
            self.count += 1
            self.held += n
        if position == 0:
            e.host = True
        if client:
            e.client = True
        self._see(e, f)
        return e

    cdef int signed(
        self, Flow* f, const Place* place, const uint8_t* p, int32_t n, bint client
    ) except -1 nogil:
        cdef Span rest, one
        cdef int count = 0
        if not find_certificates(p, n, &rest):
            return 0
        while count < SIGNED_LIMIT and next_certificate(p, &rest, &one):
            self.met(f, place, p + one.at, one.count, count, client)
            count += 1
        return count

    cdef int _see(self, Entry* e, Flow* f) except -1 nogil:
        """Notes the flow: of more than SEEN_LIMIT those whose names are first, so that it does not
        matter who saw which of them."""
        cdef uint8_t[64] uid
        cdef uint8_t* grown
        cdef int32_t room, low = 0, high = e.seen_count, middle
        cdef int order
        if e.written:
            return 0
        put_uid(uid, f)
        while low < high:
            middle = (low + high) // 2
            order = memcmp(e.seen + middle * UID, uid, UID)
            if order == 0:
                return 0
            if order < 0:
                low = middle + 1
            else:
                high = middle
        if e.seen_count >= SEEN_LIMIT:
            if low >= SEEN_LIMIT:
                return 0
            e.seen_count -= 1
        if e.seen_count == e.seen_room:
            room = e.seen_room * 4 if e.seen_room else 1
            if room > SEEN_LIMIT:
                room = SEEN_LIMIT
            grown = <uint8_t*>realloc(e.seen, room * UID)
            if grown is NULL:
                with gil:
                    raise MemoryError("flows of a certificate")
            e.seen = grown
            e.seen_room = room
        memmove(e.seen + (low + 1) * UID, e.seen + low * UID, (e.seen_count - low) * UID)
        memcpy(e.seen + low * UID, uid, UID)
        e.seen_count += 1
        return 0

    cdef int _touch(self, Entry* e) except -1 nogil:
        if e is self.newest:
            return 0
        if e.older is not NULL:
            e.older.newer = e.newer
        else:
            self.oldest = e.newer
        e.newer.older = e.older
        e.older = self.newest
        e.newer = NULL
        self.newest.newer = e
        self.newest = e
        return 0

    cdef int _drop_oldest(self) except -1 nogil:
        cdef Entry* e = self.oldest
        cdef Entry** at = &self.buckets[le64(e.sha256) & (BUCKETS - 1)]
        if not e.written:
            self._write(e)
            self._remember(e.sha256)
        while at[0] is not e:
            at = &at[0].next
        at[0] = e.next
        self.oldest = e.newer
        if self.oldest is not NULL:
            self.oldest.older = NULL
        else:
            self.newest = NULL
        self.count -= 1
        self.held -= e.count
        free(e.der)
        free(e.seen)
        free(e)
        return 0

    # Of those that were written.

    cdef bint _was_written(self, const uint8_t* digest) noexcept nogil:
        cdef uint64_t key = le64(digest + 8) | 1, at = key & self.known_mask
        while self.known[at]:
            if self.known[at] == key:
                return True
            at = (at + 1) & self.known_mask
        return False

    cdef int _remember(self, const uint8_t* digest) except -1 nogil:
        cdef uint64_t key = le64(digest + 8) | 1, at
        cdef uint64_t* old = self.known
        cdef int64_t i, room = self.known_mask + 1
        if self.known_count * 2 >= room:
            if self.known_count >= KNOWN_LIMIT:
                self.known_count = 0
            else:
                room *= 2
            self.known = <uint64_t*>calloc(room, sizeof(uint64_t))
            if self.known is NULL:
                self.known = old
                with gil:
                    raise MemoryError("certificates that are known")
            i = self.known_mask if self.known_count else -1
            self.known_mask = room - 1
            while i >= 0:
                if old[i]:
                    at = old[i] & self.known_mask
                    while self.known[at]:
                        at = (at + 1) & self.known_mask
                    self.known[at] = old[i]
                i -= 1
            free(old)
        at = key & self.known_mask
        while self.known[at]:
            at = (at + 1) & self.known_mask
        self.known[at] = key
        self.known_count += 1
        return 0

    # Rows.

    cdef int put_names(
        self, ListColumn column, Py_ssize_t row, const Entry* e, int kind
    ) except -1 nogil:
        """The alternative names of a kind; null where there are none."""
        cdef Span rest = e.cert.names, name
        cdef uint8_t[64] text
        cdef Py_ssize_t i = -1, first = 0, n
        cdef int k = 0
        while next_name(e.der, &rest, &k, &name):
            if k != kind or (kind == NAME_IP and name.count != 4 and name.count != 16):
                continue
            if i < 0:
                first = i = column.open(row)
            if i - first >= LIST_LIMIT:
                break
            if kind == NAME_IP:
                n = put_ipv4(text, e.der + name.at) if name.count == 4 else put_ipv6(
                    text, e.der + name.at
                )
                (<TextColumn>column.items).put_valid(i, text, n)
            else:
                (<TextColumn>column.items).put(i, e.der + name.at, name.count)
            i += 1
        if i >= 0:
            column.close(i)
        return 0

    cdef int _write(self, Entry* e) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.rows.count, i, n
        cdef const Cert* c = &e.cert
        cdef const uint8_t* der = e.der
        cdef uint8_t* text = self.text
        cdef Span rest, uri
        cdef bint cut = False
        if e.place.time != NO_TIME:
            self.sheet.time.put(row, e.place.time // 1000)
            self.sheet.time_ns.put(row, e.place.time % 1000)
        self.sheet.activity_id.put(row, 0)
        self.sheet.sub.put(row, e.place.sub)
        self.sheet.src_offset.put(row, e.place.offset)
        self.sheet.src_length.put(row, e.place.length)
        # The same certificate in two captures has the same hash.
        self.sheet.record_hash.put(row, <int64_t>le64(e.sha256))
        sha1(der, e.count, e.sha1)
        md5(der, e.count, e.md5)
        self.sha256.put_valid(row, text, put_hex_bytes(text, e.sha256, 32))
        self.sha1.put_valid(row, text, put_hex_bytes(text, e.sha1, 20))
        self.md5.put_valid(row, text, put_hex_bytes(text, e.md5, 16))
        if c.serial.at >= 0:
            self.version.put(row, c.version)
            self.serial.put_valid(row, text, put_serial(text, der, c.serial))
        if c.subject.at >= 0:
            self.subject.put_valid(row, text, put_name(text, der, c.subject, &cut))
        if c.issuer.at >= 0:
            self.issuer.put_valid(row, text, put_name(text, der, c.issuer, &cut))
            self.self_signed.put(row, is_self_issued(der, c))
        if c.has_not_before:
            self.not_before.put(row, c.not_before)
        if c.has_not_after:
            self.not_after.put(row, c.not_after)
        if c.key.at >= 0:
            self.key_algorithm.put_valid(row, text, put_algorithm(text, der, c.key))
        if c.signature.at >= 0:
            self.signature.put_valid(row, text, put_algorithm(text, der, c.signature))
        if c.kind == KEY_RSA:
            self.key_type.put_valid(row, b"rsa", 3)
            n = put_exponent(text, der, c.exponent)
            if n:
                self.exponent.put_valid(row, text, n)
        elif c.kind == KEY_DSA:
            self.key_type.put_valid(row, b"dsa", 3)
        elif c.kind == KEY_EC:
            self.key_type.put_valid(row, b"ecdsa", 5)
            if c.curve.at >= 0:
                self.curve.put_valid(row, text, put_curve(text, der, c.curve))
        if c.key_bits:
            self.key_bits.put(row, c.key_bits)
        self.put_names(self.names, row, e, NAME_DNS)
        self.put_names(self.uris, row, e, NAME_URI)
        self.put_names(self.emails, row, e, NAME_EMAIL)
        self.put_names(self.addresses, row, e, NAME_IP)
        rest = c.lists
        if next_uri(der, &rest, &uri):
            i = self.lists.open(row)
            n = i
            (<TextColumn>self.lists.items).put(i, der + uri.at, uri.count)
            i += 1
            while i - n < LIST_LIMIT and next_uri(der, &rest, &uri):
                (<TextColumn>self.lists.items).put(i, der + uri.at, uri.count)
                i += 1
            self.lists.close(i)
        if c.constrained:
            self.is_ca.put(row, c.is_ca)
            if c.path_length >= 0:
                self.path_length.put(row, c.path_length)
        self.position.put(row, e.position)
        self.is_host.put(row, e.host)
        self.is_client.put(row, e.client)
        i = self.seen.open(row)
        for n in range(e.seen_count):
            (<TextColumn>self.seen.items).put_valid(i, e.seen + n * UID, UID)
            i += 1
        self.seen.close(i)
        if cut or not c.whole:
            self.sheet.flags(TRUNCATED)
        return self.sheet.done()
