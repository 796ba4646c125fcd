"""Bits of `parse_flags`: what is to be known about a row's making (docs/normalization.md)."""


cdef enum:
    TRUNCATED = 1
    FROM_SLACK = 2
    CHECKSUM_BAD = 4
    TIME_REPAIRED = 8
    NAME_GUESSED = 16
    ZONE_ASSUMED = 32
    YEAR_INFERRED = 64
    TEXT_REPAIRED = 128
