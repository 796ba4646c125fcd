"""Certificates that went over the wire: each distinct one is one row of `certificate`."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport (
    BoolColumn, DictColumn, IntColumn, ListColumn, Rows, TextColumn,
)
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.protocols.x509 cimport Cert

cdef enum:
    UID = 17                    # bytes of a conn_uid (conn.put_uid)
    SEEN_LIMIT = 100            # flows that a row names


cdef struct Entry:
    uint8_t sha256[32]
    uint8_t sha1[20]
    uint8_t md5[16]
    uint8_t* der
    int32_t count
    Cert cert
    Place place                 # of the message that it was first seen in
    int32_t position            # in the chain
    bint host, client
    bint written
    uint8_t* seen               # conn_uids
    int32_t seen_count, seen_room
    Entry* next                 # of the same bucket
    Entry* older                # by their last use
    Entry* newer


cdef class Certificates:
    cdef Sheet sheet
    cdef Entry** buckets
    cdef Entry* oldest
    cdef Entry* newest
    cdef readonly int64_t count         # entries
    cdef readonly int64_t held          # bytes of their DER
    cdef uint64_t* known                # of those written and gone: hashes, 0 = free
    cdef int64_t known_count, known_mask
    cdef uint8_t* text
    cdef TextColumn sha256, sha1, md5, serial, exponent
    cdef DictColumn subject, issuer, key_algorithm, key_type, curve, signature
    cdef IntColumn version, not_before, not_after, key_bits, path_length, position
    cdef BoolColumn is_ca, self_signed, is_host, is_client
    cdef ListColumn names, uris, emails, addresses, seen, lists

    # A certificate of a message; `position` in its chain. Its entry is to be used at once: it is
    # no longer there after the next call.
    cdef Entry* met(
        self, Flow* f, const Place* place, const uint8_t* der, int32_t n, int position, bint client
    ) except NULL nogil
    cdef Entry* find(self, const uint8_t* digest) noexcept nogil
    cdef int put_names(
        self, ListColumn column, Py_ssize_t row, const Entry* e, int kind
    ) except -1 nogil
    cdef int _write(self, Entry* e) except -1 nogil
    cdef int _drop_oldest(self) except -1 nogil
    cdef int _touch(self, Entry* e) except -1 nogil
    cdef bint _was_written(self, const uint8_t* digest) noexcept nogil
    cdef int _remember(self, const uint8_t* digest) except -1 nogil
    cdef int _see(self, Entry* e, Flow* f) except -1 nogil

# Those of a capture: the same object for all protocols.
cdef Certificates certificates_of(Sheets sheets)
