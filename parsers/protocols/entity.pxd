"""MIME entities (RFC 2045, 2046): the parts of a mail or of a form, with their decoded contents.

Whoever reads the message gives its lines to the tree of its entities; the tree says what a header is,
and when a part's content begins and ends. What belongs to a part is for its owner to keep: `owner` is
handed on to each of the three functions.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from tracelake.parsers.protocols.files cimport File

cdef enum:
    BOUNDARY_ROOM = 256
    FILE_NAME_ROOM = 1024

cdef enum:                  # Entity.kind
    LEAF = 0
    MULTIPART = 1
    MESSAGE = 2

cdef enum:                  # Entity.encoding
    AS_IT_IS = 0
    QUOTED_PRINTABLE = 1
    BASE64 = 2


cdef struct Entity:
    Entity* parent
    int kind
    int encoding
    int depth
    int number              # of the tree's entities, from 1
    bint in_header
    bint over               # its closing boundary was seen
    bint delayed            # an end of line that is the boundary's, unless more follows
    bint illegal            # a letter that is none of Base64's was seen
    File* file              # its owner's
    int64_t offset          # where in the file its content stands; its owner's
    uint8_t boundary[BOUNDARY_ROOM]
    int boundary_length
    uint8_t name[FILE_NAME_ROOM]
    int name_length         # of the file; -1 where none was given
    uint32_t bits           # Base64 that does not make a byte yet
    int digits
    uint8_t* header         # the header that may go on in the next line
    int32_t header_count
    int32_t header_room


ctypedef int (*OnHeader)(
    void* owner, Entity* e, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
) except -1 nogil
# Decoded content. The first call for an entity is where its file begins.
ctypedef int (*OnContent)(void* owner, Entity* e, const uint8_t* p, Py_ssize_t n) except -1 nogil
ctypedef int (*OnEnd)(void* owner, Entity* e) except -1 nogil


cdef struct Tree:
    Entity* current         # the innermost; NULL when the top one has ended
    int count               # entities so far
    bint mid_line           # the line at hand has begun already
    bint nested             # there is one inside of another
    void* owner
    OnHeader on_header
    OnContent on_content
    OnEnd on_end


# Begins the top entity, in its header. The owner's functions are put before.
cdef int plant(Tree* tree) except -1 nogil
# A line without its end; `ended`: its end was there, it is no part of a longer one.
cdef int line(Tree* tree, const uint8_t* p, Py_ssize_t n, bint ended) except -1 nogil
# Whether the line at hand, of which `n` bytes are there, may be a boundary, or is one of a header:
# then it must be given whole.
cdef bint whole_line(const Tree* tree, const uint8_t* p, Py_ssize_t n) noexcept nogil
# Only CR LF ends a line now: what is inside of a part may be binary.
cdef bint binary(const Tree* tree) noexcept nogil
# Ends all that are open, and frees them.
cdef int fell(Tree* tree) except -1 nogil

# What Content-Type says: the kind and the boundary of an entity.
cdef void content_type(Entity* e, const uint8_t* p, Py_ssize_t n) noexcept nogil
# The name that Content-Disposition (`filename`) or Content-Type (`name`) gives: where it stands, and
# its length; 0 where there is none.
cdef Py_ssize_t file_name(
    const uint8_t* p, Py_ssize_t n, bint disposition, const uint8_t** name
) noexcept nogil
# The file that is current has a hole of `n` bytes, and where its lines begin is not known.
cdef void tear(Tree* tree) noexcept nogil
# Whether two names are the same, but for case; `word` has small letters.
cdef bint same(const uint8_t* p, Py_ssize_t n, const char* word) noexcept nogil
# The first token of a header's value (RFC 2045): its length; it begins at `at`.
cdef Py_ssize_t token(const uint8_t* p, Py_ssize_t n, Py_ssize_t* at) noexcept nogil
