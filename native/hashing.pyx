"""The hash that rows carry (`record_hash`), for parsers that are written in Python."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.hash64 cimport hash64


def record_hash(const uint8_t[::1] record not None):
    """XXH64 of a record's bytes with seed 0, as the signed number that the column holds."""
    if record.shape[0] == 0:
        return <int64_t>hash64(NULL, 0, 0)
    return <int64_t>hash64(&record[0], record.shape[0], 0)
