"""The start of a line of a system log: when, from which host, which program."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.parsers.textrows cimport Piece


cdef enum Dialect:
    NO_HEAD, BSD, ISO, RFC5424, UPTIME, NEWS       # NEWS: "May  6 10:00:00 2024", dmesg -T


cdef struct Head:
    int dialect
    int pri                 # -1: none
    int level               # severity where a word says it (Chrome OS), 0 to 7; -1: none does
    int year                # 0: not said
    int month
    int day
    int clock               # seconds of the day
    int64_t time            # of ISO; microseconds
    int64_t us              # below the second
    int ns
    bint timed
    bint zoned              # the zone is said
    Piece host
    Piece program
    Piece uptime
    int64_t pid             # -1: none
    Piece procid            # of RFC 5424, where it is no number
    Piece msgid
    Piece data              # structured data, brackets included
    Piece message


# Reads the head of a line; 0 where it has none that is known.
cdef bint read_head(const uint8_t* p, Py_ssize_t n, Head* head) noexcept nogil
