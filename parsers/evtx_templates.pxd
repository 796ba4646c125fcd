"""Plans of a log's templates: which of them the definitions of a chunk are."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.cursor cimport Cursor
from tracelake.parsers.evtx_compile cimport Build, Chunk, Instance, Ref
from tracelake.parsers.evtx_names cimport NameSet
from tracelake.parsers.evtx_plan cimport Plan


cdef struct Context:            # where a fragment stands
    uint8_t section
    int32_t at                  # of the prefix of its names
    int32_t length


cdef struct Variant:            # one way that a definition's bytes were written
    uint64_t key
    uint32_t where              # offset in the chunk
    int32_t context
    int32_t length              # of the body
    uint8_t* body               # a copy, and behind it the names it refers to
    Ref* refs
    int32_t ref_count
    Plan* plan
    Variant* next


cdef struct Known:              # the last good plan of a template id, for a broken definition
    uint32_t id
    int32_t context
    Plan* plan
    Known* next


cdef struct Place:              # definitions met in the current chunk
    int64_t offset              # in the chunk; -1: free
    uint32_t id
    int32_t context
    Plan* plan
    const uint8_t* body         # NULL: it is not the one that the record asks for
    bint guessed                # the plan is another definition's of the same id,
    bint lost                   # or that of so many values, as there is none


@cython.final
cdef class Plans:
    """All plans of a log, and which of them the definitions of the current chunk are."""
    cdef Variant** variants     # by key
    cdef Plan** digests         # by digest
    cdef Known** known          # by template id
    cdef Plan** locals          # of the current chunk
    cdef int32_t local_count
    cdef int32_t local_room
    cdef Place* places
    cdef int32_t place_count
    cdef Context* contexts
    cdef int32_t context_count
    cdef uint8_t* prefixes
    cdef int32_t prefix_length
    cdef Build* build
    cdef NameSet names
    cdef readonly int64_t held          # bytes of plans, variants and what is kept beside
    cdef readonly int64_t compiled
    cdef readonly int64_t variant_count
    cdef readonly int32_t plan_count
    cdef int32_t next_number
    cdef Chunk chunk
    cdef readonly int64_t guesses       # definitions for which an earlier one was looked for

    cdef int begin_chunk(
        self, const uint8_t* chunk, Py_ssize_t length, int64_t origin
    ) except -1 nogil
    cdef int32_t context(self, int section, const uint8_t* prefix, int32_t length) except -1 nogil
    # The place of an instance's definition, where that was met in this chunk before; else NULL.
    cdef Place* met(self, const Instance* instance, int32_t context) noexcept nogil
    cdef Place* definition(self, const Instance* instance, int32_t context) except NULL nogil
    cdef int _resolve(self, Place* place, const Instance* instance) except -1 with gil
    cdef Plan* _lost(self, const Instance* instance, int32_t context) except? NULL
    cdef Known** _known(self, uint32_t id, int32_t context) noexcept nogil
    cdef Plan* compile(self, Cursor body, int32_t context, bint bare) except NULL nogil
    cdef Plan* fragment(self, Cursor body, int32_t context, bint bare) except NULL nogil
    cdef int _own(self, Plan* plan) except -1 nogil
    cdef int _number(self, Plan* plan) except -1 nogil
    cdef Variant* _find(self, uint64_t key, uint32_t where, int32_t context,
                        const uint8_t* body, Py_ssize_t size) noexcept nogil
    cdef Plan* _keep(self, Plan* plan, uint32_t where, int32_t context, const uint8_t* body,
                     Py_ssize_t size) except NULL nogil
    cdef int _clear(self) noexcept nogil
