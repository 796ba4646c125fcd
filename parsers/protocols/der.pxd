"""BER and DER (ITU-T X.690): elements of tag, length and contents.

A `Cursor` over what holds elements is walked with `element`, or by what must come next: `expect`,
`optional`. Nothing raises: what is broken off or no element at all is said by the result, since
evidence is full of it. Nothing recurses: who goes down keeps the depth.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from tracelake.native.cursor cimport Cursor


# Identifier octets (section 8.1.2); context-specific ones are CONTEXT | number.
cdef enum:
    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    NULL_VALUE = 0x05
    OID = 0x06
    ENUMERATED = 0x0A
    UTF8_STRING = 0x0C
    SEQUENCE = 0x30
    SET = 0x31
    PRINTABLE_STRING = 0x13
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    GENERAL_STRING = 0x1B
    CONSTRUCTED = 0x20
    APPLICATION = 0x60          # constructed
    APPLICATION_PRIMITIVE = 0x40
    CONTEXT = 0xA0              # constructed
    CONTEXT_PRIMITIVE = 0x80

cdef enum:
    BROKEN = -1                 # no element, or it is longer than what holds it
    NOTHING = 0                 # what holds them is at its end
    FOUND = 1


cdef struct Element:
    uint8_t first               # identifier octet
    uint32_t number             # of the tag; the low five bits of `first` where that is below 31
    int64_t whole               # bytes, identifier and length included
    Cursor body                 # contents, without the end-of-contents octets


# The next element of `c`, which moves past it. Lengths of the indefinite form (8.1.3.6) are
# taken where `ber` is set.
cdef int element(Cursor* c, Element* out, bint ber) noexcept nogil
# The next element, if its identifier is `first`: its contents. Else `c` stays where it is.
cdef bint expect(Cursor* c, int first, Cursor* body) noexcept nogil
# The identifier of the next element without taking it; -1 at the end.
cdef int peek(const Cursor* c) noexcept nogil
# Passes over the next element.
cdef bint pass_over(Cursor* c) noexcept nogil
# The next element, which must be an INTEGER or ENUMERATED of at most 64 bits.
cdef bint expect_integer(Cursor* c, int64_t* value) noexcept nogil
# `[number] EXPLICIT INTEGER`.
cdef bint expect_tagged_integer(Cursor* c, int number, int64_t* value) noexcept nogil
# Contents of an INTEGER; False where it is empty or longer than 8 bytes.
cdef bint integer_of(const Cursor* body, int64_t* value) noexcept nogil
# Bytes of the element that begins at `p`, of which `n` are there: 0 where more must be seen to
# tell, -1 where it is none of definite length.
cdef int64_t frame(const uint8_t* p, int64_t n) noexcept nogil
# Dotted decimal of an OBJECT IDENTIFIER's contents; room: `size`; what does not fit is left out.
cdef Py_ssize_t put_oid(uint8_t* out, Py_ssize_t size, const Cursor* body) noexcept nogil
# GeneralizedTime of seconds in UTC (YYYYMMDDHHMMSS[.fff]Z): microseconds since 1970.
cdef bint time_of(const Cursor* body, int64_t* microseconds) noexcept nogil
