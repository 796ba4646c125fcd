"""What is known of an SMB connection, whatever its version: trees, open files, requests that wait.

Everything is bounded: per connection in number, over all connections in bytes. Where a bound is
reached the connection forgets that kind, and `SMB_discarded_messages_state` is noted, as Zeek does.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tracelake.native.columns cimport DictColumn, IntColumn, TextColumn
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.dce_rpc cimport Calls, Rpc
from tracelake.parsers.protocols.files cimport File, Files
from tracelake.parsers.protocols.gssapi cimport Gssapi
from tracelake.parsers.protocols.held_name cimport Name
from tracelake.parsers.protocols.ntlm cimport Logon
from tracelake.parsers.protocols.protocol cimport Talk
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets

cdef enum:
    CHAINS = 32                 # of each table; a power of two

# Kinds of shares (MS-SMB2 2.2.10).
cdef enum:
    DISK = 1
    PIPE = 2
    PRINT = 3

# What was done to a file: Zeek's names of it stand in smb_shares.pyx.
cdef enum:
    FILE_OPEN = 0
    FILE_RENAME = 1
    FILE_DELETE = 2
    PRINT_OPEN = 3
    PRINT_CLOSE = 4
    NOT_LOGGED = 5


cdef struct Item:               # what trees, files, ... begin with
    uint64_t id
    Item* next


cdef struct Table:
    Item* chains[CHAINS]
    int32_t count


cdef struct Tree:
    Item item
    uint8_t kind                # 0: not known
    uint8_t service_length
    uint8_t[16] service
    Name path
    Name file_system


cdef struct Open:
    Item item
    uint8_t kind                # of its share
    bint has_times
    bint sent                   # it was read or written
    int64_t size
    uint64_t[4] times           # created, accessed, modified, changed; FILETIME
    Name name
    Name path                   # of its share
    Rpc* rpc                    # what is called over the pipe that it is
    File* file                  # what is read or written of it
    uint64_t file_key


# A request, as far as its answer does not repeat it.
cdef struct Waiting:
    Item item
    uint16_t command
    uint8_t disposition
    uint8_t kind                # of the share
    uint8_t service_length
    uint8_t[16] service
    uint32_t tree
    uint32_t access
    uint64_t file               # id of the file that it is about
    int64_t position            # in that file
    Name name
    Place place
    bint compounded             # with the request before it


cdef struct Recent:
    Item item
    int64_t seen


cdef struct Session:            # of a connection
    Table trees
    Table opens
    Table waits
    Table recent
    Logon* logon
    uint16_t dialect
    Name dialects               # that an SMB1 client offers
    Name spoken                 # the one of them that was chosen
    bint negotiated
    Place first                 # where the negotiation began
    bint has_first
    int32_t encrypted
    int32_t compressed
    int32_t chunks
    # The message at hand of either side, where it is too long to be held.
    int64_t[2] left             # bytes of it still to come
    uint64_t[2] bulk            # id of the file that they are of
    bint[2] is_bulk
    int64_t[2] position         # in the file
    int64_t[2] bulk_left        # of `left`, bytes of the file
    bint[2] lost                # where the next message begins is not known


cdef class Shares:
    cdef Sheet sheet
    cdef Sheets sheets
    cdef Gssapi gssapi
    cdef Calls calls
    cdef Files files
    cdef int64_t kept
    cdef int32_t followed       # files whose content is
    cdef uint64_t[4] secret
    cdef DictColumn share, share_type, file_path, file_prev_path, command, dialect
    cdef DictColumn native_file_system, service_type
    cdef IntColumn file_size, created, modified, accessed, changed, access_mask
    cdef IntColumn encrypted_count, compressed_count, status_id
    cdef TextColumn file_uid

    cdef Session* begin(self) except NULL nogil
    cdef int end(self, Talk* t, Session* s) except -1 nogil

    cdef Tree* tree(self, Session* s, uint64_t id) noexcept nogil
    cdef Open* open(self, Session* s, uint64_t id) noexcept nogil
    cdef Waiting* waiting(self, Session* s, uint64_t id) noexcept nogil
    cdef Tree* new_tree(self, Talk* t, Session* s, uint64_t id) except NULL nogil
    cdef Open* new_open(self, Talk* t, Session* s, uint64_t id) except NULL nogil
    cdef Waiting* new_waiting(self, Talk* t, Session* s, uint64_t id) except NULL nogil
    cdef int end_tree(self, Session* s, uint64_t id) except -1 nogil
    cdef int end_open(self, Talk* t, Session* s, uint64_t id) except -1 nogil
    cdef int end_waiting(self, Session* s, uint64_t id) except -1 nogil

    # A tree was connected: a row as those of Zeek's smb_mapping.log.
    cdef int mapped(self, Talk* t, Session* s, const Place* place, const Tree* tree) except -1 nogil
    # Something was done to a file: a row as those of Zeek's smb_files.log, if it is news.
    cdef int acted(
        self, Talk* t, Session* s, const Place* place, const Open* f, int action,
        const Name* before, int activity, uint32_t access,
    ) except -1 nogil
    # Bytes of a file: `n` of them are at `p`.
    cdef int content(
        self, Talk* t, Session* s, Open* f, int side, int64_t position, const uint8_t* p,
        int64_t n, int64_t at,
    ) except -1 nogil
    # Bytes that go through a pipe.
    cdef int through(
        self, Talk* t, Session* s, Open* f, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil

    cdef int _add(
        self, Talk* t, Session* s, Table* table, Item* item, uint64_t id, int32_t most
    ) except -1 nogil
    cdef int _discard(self, Talk* t, Session* s, Table* table) except -1 nogil
    cdef int _free(self, Talk* t, Session* s, Table* table, Item* item) except -1 nogil
    cdef int _empty(self, Talk* t, Session* s, Table* table) except -1 nogil
    cdef bint _is_news(self, Talk* t, Session* s, const Open* f, int action) except -1 nogil
    cdef int _put_times(self, Py_ssize_t row, const Open* f) except -1 nogil
    cdef int _summary(self, Talk* t, Session* s) except -1 nogil
    cdef int _dialect(self, Py_ssize_t row, const Session* s) except -1 nogil
    cdef int _file_name(self, Open* f) except -1 nogil

# Where the connection of the tree was not seen: whether a file of this name is a pipe, and whether
# what is written begins a binding of DCE/RPC.
cdef bint is_pipe_name(const Name* name) noexcept nogil
cdef bint begins_rpc(const uint8_t* p, int64_t n) noexcept nogil
