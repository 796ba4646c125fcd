"""What became of every record and byte of an artifact."""

import pyarrow as pa

from tracelake.native.columns cimport DictColumn, IntColumn, Rows, TextColumn

# As much of a damaged record is kept as helps to read it by eye.
RAW_LIMIT = 65536

SCHEMA = pa.schema(
    [
        ("src_offset", pa.int64()),
        ("src_length", pa.int64()),
        ("what", pa.dictionary(pa.int32(), pa.string())),
        ("why", pa.dictionary(pa.int32(), pa.string())),
        ("raw", pa.binary()),
    ]
)


cdef class Account:
    """The books of one artifact: records = in_rows + duplicates + damaged + sum(counters).

    A parser counts a record in `records` when it sees its frame, and in one of the other
    four when it knows what became of it: the two sides are counted in different places,
    so a mistake shows. A damage row stands for exactly one record seen; a broken region
    in which no record can be told from the next is one record.

    Args:
        damage_sink: called with a RecordBatch of damage rows whenever a batch is full; without
            it they wait for `take_damage`.
    """

    def __cinit__(self, damage_sink=None):
        self.counters = {}
        self._sink = damage_sink
        self._damage = Rows("damage", SCHEMA)

    @property
    def closes(self):
        """Whether every record seen went to exactly one place."""
        return self.records == self.in_rows + self.duplicates + self.damaged + sum(
            self.counters.values()
        )

    def broken(self, int64_t offset, int64_t length, str what, str why, bytes raw=None):
        """Counts one damaged record: `length` bytes at `offset`, seen and not read."""
        cdef bytes a = what.encode("utf-8", "replace"), b = why.encode("utf-8", "replace")
        self.records += 1
        if raw is None:
            self.damage(offset, length, a, b, NULL, 0)
        else:
            self.damage(offset, length, a, b, <const uint8_t*><const char*>raw, len(raw))

    cdef int damage(
        self, int64_t offset, int64_t length, const char* what, const char* why,
        const uint8_t* raw, Py_ssize_t raw_length,
    ) except -1 nogil:
        """Adds a damage row for a record that is already counted in `records`.

        `what` names the structure, `why` the reason (both C strings, UTF-8); `raw` are the
        record's own bytes where the evidence cannot be read again at `offset`, else NULL.
        """
        with gil:
            self._add(offset, length, what, why, raw, raw_length)
        return 0

    cdef int _add(
        self, int64_t offset, int64_t length, const char* what, const char* why,
        const uint8_t* raw, Py_ssize_t raw_length,
    ) except -1:
        cdef Py_ssize_t row = self._damage.count
        cdef bytes a = what, b = why
        (<IntColumn>self._damage.column("src_offset")).put(row, offset)
        (<IntColumn>self._damage.column("src_length")).put(row, length)
        (<DictColumn>self._damage.column("what")).put(row, <const uint8_t*><const char*>a, len(a))
        (<DictColumn>self._damage.column("why")).put(row, <const uint8_t*><const char*>b, len(b))
        if raw is not NULL:
            raw_length = max(0, min(raw_length, <Py_ssize_t>RAW_LIMIT))
            (<TextColumn>self._damage.column("raw")).put(row, raw, raw_length)
        self._damage.done()
        self.damaged += 1
        if self._sink is not None and self._damage.full():
            self._sink(self._damage.finish())
        return 0

    def take_damage(self):
        """The damage rows added since the last call, as a RecordBatch, or None."""
        return self._damage.finish() if self._damage.count else None

    def flush_damage(self):
        """Hands the damage rows that are left to the sink."""
        if self._damage.count:
            self._sink(self._damage.finish())
