"""A request and its response, until they are a row of http_activity (HTTP/1 and HTTP/2)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport (
    DictColumn, DoubleColumn, IntColumn, ListColumn, TextColumn,
)
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.files cimport File
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.protocols.text_slots cimport Block, Slot

cdef enum:                  # Exchange.field
    METHOD = 0
    SCHEME = 1
    HOST = 2
    PATH = 3
    QUERY = 4
    WHOLE = 5               # the target, where it is more than a path
    REFERRER = 6
    USER_AGENT = 7
    ORIGIN = 8
    USER = 9
    STATUS_TEXT = 10
    INFO_TEXT = 11
    UPGRADE = 12
    FIELDS = 13

cdef enum:                  # lists of Exchange.text
    PROXIED = 0
    FORWARDED = 1
    REQUEST_UIDS = 2        # and of responses
    UIDS = 3
    REQUEST_NAMES = 4
    NAMES = 5
    REQUEST_TYPES = 6
    TYPES = 7
    OFFERED_PROTOCOLS = 8   # WebSocket
    PROTOCOL = 9
    OFFERED_EXTENSIONS = 10
    EXTENSIONS = 11


cdef struct Exchange:
    Exchange* next
    int64_t number
    int64_t depth           # how-manieth of its connection
    Place place
    Block text
    Slot field[FIELDS]
    int64_t length[2]       # of the bodies
    int version             # of the request, 11
    int answered            # of the response; -1 where there is none
    int status              # -1
    int info                # -1
    bint ranged             # the request asked for a part
    bint truncated


cdef class HttpRows:
    cdef Sheet sheet
    cdef readonly int64_t waiting       # exchanges that are made and not freed
    cdef IntColumn trans_depth, status_code, info_code, request_len, response_len, status_id
    cdef DictColumn http_method, http_version, url_scheme, url_hostname, user_agent, user_name
    cdef DictColumn status_text, info_text, req_mime, resp_mime, upgrade
    cdef TextColumn url_path, url_query, url, referrer, origin
    cdef ListColumn file_uids, file_names, req_file_uids, req_file_names, proxied, forwarded
    cdef ListColumn offered_protocols, protocols, offered_extensions, extensions
    cdef DoubleColumn duration

    cdef Exchange* make(self, const Place* place) except NULL nogil
    cdef void free(self, Exchange* x) noexcept nogil
    # The request's target, as it was asked for.
    cdef int target(self, Exchange* x, const uint8_t* p, Py_ssize_t n, int* odd) except -1 nogil
    # A header of either side; names may have any case.
    cdef int header(
        self, Exchange* x, int side, const uint8_t* name, Py_ssize_t n, const uint8_t* value,
        Py_ssize_t m,
    ) except -1 nogil
    # A file that one of the sides carries; and when it is done, of what type it is.
    cdef int file(self, Exchange* x, int side, const File* file) except -1 nogil
    cdef int file_type(self, Exchange* x, int side, const File* file) except -1 nogil
    cdef int write(self, Flow* f, Exchange* x, int64_t time) except -1 nogil
    cdef int _word(self, DictColumn column, Py_ssize_t row, Exchange* x, int field) except -1 nogil
    cdef int _text(self, TextColumn column, Py_ssize_t row, Exchange* x, int field) except -1 nogil
    cdef int _types(self, DictColumn column, Py_ssize_t row, Exchange* x, int list) except -1 nogil
    cdef int _credentials(self, Exchange* x, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _url_part(
        self, Exchange* x, int field, const uint8_t* p, Py_ssize_t n, int* odd
    ) except -1 nogil

cdef enum:                  # what is odd in a target
    LONE_PERCENT_AT_END = 1
    PART_AT_END = 2
    DOUBLE_PERCENT = 4
    UNESCAPED_PERCENT = 8
    MANY_FILES = 15         # of one side that are named
