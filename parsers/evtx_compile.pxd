"""Reads a body of binary XML into a plan, and takes template instances apart."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from tracelake.native.cursor cimport Cursor
from tracelake.parsers.evtx_plan cimport Plan

cdef enum:
    MAX_DEPTH = 64              # elements; real events have 8
    MAX_ATTRIBUTES = 256        # of one element
    MAX_REFS = 16384


cdef struct Chunk:              # that names, definitions and records stand in
    const uint8_t* start
    Py_ssize_t length
    int64_t origin              # of its start, in the artifact
    int64_t work                # tokens that may still be compiled


cdef struct Ref:                # a name outside of the body that uses it
    int32_t offset              # in the chunk
    int32_t units
    int32_t at                  # its UTF-16 in the variant's copy


cdef struct Attribute:
    int32_t name_at
    int32_t name_length
    int32_t first
    int32_t last
    int32_t parts
    uint8_t optional


cdef struct Level:              # an element that is open
    uint8_t section             # of its children
    uint8_t parent
    uint8_t slot
    uint8_t quiet
    uint8_t pending             # its start tag is open
    uint8_t has_children
    uint8_t has_attributes      # that give pairs
    uint8_t has_content         # text that is not white space, or a value
    uint8_t optional
    int32_t tag_at
    int32_t tag_length
    int32_t own_at              # the name of its own text
    int32_t own_length
    int32_t prefix_at
    int32_t prefix_length
    int32_t name_index
    int32_t first
    int32_t last
    int32_t parts


cdef struct Build:              # a body that is being read
    Chunk* chunk
    Plan* plan
    Level[MAX_DEPTH] levels
    int depth
    Attribute[MAX_ATTRIBUTES] attributes
    int attribute_count
    bint in_attribute
    uint32_t slots              # used
    Ref[MAX_REFS] refs
    int32_t ref_count


cdef struct Instance:           # a template instance, taken apart
    uint32_t definition         # offset in the chunk
    uint32_t id                 # of the template: the first four bytes of its GUID
    const uint8_t* descriptors
    int32_t count
    const uint8_t* values
    Py_ssize_t size             # of the values


# Reads `c` to its end into `plan`: a fragment that stands in `section`, whose names begin with
# `prefix`. `bare`: its elements start without a dependency id, as outside of templates.
cdef int compile_body(
    Build* b, Plan* plan, Cursor* c, uint8_t section, const uint8_t* prefix, int32_t length,
    bint bare
) except -1 nogil

# Takes a template instance up to its values, which are the next bytes.
cdef int take_descriptors(Cursor* c, Py_ssize_t chunk_length, const uint8_t* chunk,
                          Instance* out) except -1 nogil
# Takes a template instance, whose token is at `c`, with an inline definition and values.
cdef int take_instance(Cursor* c, Py_ssize_t chunk_length, const uint8_t* chunk,
                       Instance* out) except -1 nogil
