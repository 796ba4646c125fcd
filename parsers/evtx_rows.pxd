"""Rows of the decoded records of a log, and what they say of it as a whole."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.hash64 cimport SECRET_WORDS
from tracelake.parsers.event_plan cimport Plan as Kind
from tracelake.parsers.event_plan cimport Target
from tracelake.parsers.events cimport Events
from tracelake.parsers.evtx_event cimport Event, Pair
from tracelake.native.cursor cimport Cursor
from tracelake.parsers.evtx_frame cimport FRAMES, Frame
from tracelake.parsers.evtx_item cimport Item
from tracelake.parsers.evtx_memo cimport Memo
from tracelake.parsers.evtx_plan cimport Bound, Plan
from tracelake.parsers.evtx_walk cimport Walk
from tracelake.parsers.values cimport Value


cdef enum:
    TOPICS = 1024              # a power of two
    MAX_NAMES = 200000          # of values remembered; a host's logs have some thousand
    MAX_PROVIDER = 256          # bytes; longer names are looked up each time


cdef struct Topic:             # a provider's events of one id
    Topic* next
    Kind* kind                  # what becomes of them
    int64_t event_id
    Py_ssize_t n
    int encoding                # values.Kind of the name
    uint8_t[MAX_PROVIDER] provider


@cython.final
cdef class EventRows:
    """The rows of a log; one record's event is in `event` while its row is put."""
    cdef Event event
    cdef Events events
    cdef object mappings
    cdef Py_ssize_t names           # remembered by `events`
    cdef Topic* topics[TOPICS]
    cdef Frame* frames[FRAMES]
    cdef int topic_count
    cdef uint64_t[SECRET_WORDS] secret
    cdef int64_t count
    cdef bint has_ids
    cdef uint64_t first_id
    cdef uint64_t highest_id
    cdef bint has_times
    cdef int64_t first_time
    cdef int64_t last_time
    cdef object host
    cdef object channel

    # Decodes the record that `walk` stands at, and puts it; 1 when a batch is full.
    cdef int read(self, Walk walk) except -1 nogil

    # Puts the record that `event` holds.
    cdef int put(self, Walk walk) except -1 nogil
    # Puts the record as what its frame says: 0 where there is none, else 1, or 2 when a batch is
    # full.
    cdef int replay(self, Walk walk, Cursor content) except -1 nogil
    cdef int pairs(
        self, Walk walk, Kind* kind, void* owner, int64_t batch, Frame* frame
    ) except -1 nogil
    cdef int field(
        self, Kind* kind, int i, const Item* item, Memo* memo, int64_t batch
    ) except -1 nogil
    # Of the plans for a kind of event the first whose condition the record fits.
    cdef Kind* fitting(self, Kind* kind) except NULL nogil
    cdef Kind* kind(self, const Value* provider, int64_t event_id) except NULL nogil
    cdef Topic* topic(self, const Value* provider, int64_t event_id) except? NULL nogil
    cdef int forget_topics(self) noexcept nogil
    cdef int system(self, Kind* kind, void* owner, int64_t batch) except -1 nogil
    cdef int record_id(self, Target* target, uint64_t number) except -1 nogil
    cdef int meet(
        self, Target* target, Memo* memo, const Item* item, int64_t batch
    ) except -1 nogil
    cdef int64_t number_of(self, const Value* v) except? -2 nogil
    cdef int note_time(self, int64_t us) except -1 nogil
    cdef int note_record(self, uint64_t number) except -1 nogil
    cdef text_of(self, const Item* item)
    cdef int give_up(self) except -1
    cdef Target* target(self, Kind* kind, const Pair* pair) except NULL nogil
