"""SMB 2 and 3 (MS-SMB2 2.2): see smb2.pxd.

A message is a header of 64 bytes (2.2.1) and a body that begins with its size; several may be
compounded (3.2.4.1.4): each header says where the next one is. Offsets count from the header.
Answers are told by a flag and belong to the request of the same message id; an interim answer
(STATUS_PENDING) is passed over. Signatures and credits say nothing of what is done.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from tracelake.native.cursor cimport le16, le32, le64
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.held_name cimport Name, drop, hold, hold_same
from tracelake.parsers.protocols.protocol cimport Talk, place
from tracelake.parsers.protocols.smb_shares cimport (
    DISK, FILE_DELETE, FILE_OPEN, FILE_RENAME, NOT_LOGGED, PIPE, PRINT, PRINT_CLOSE, PRINT_OPEN,
    Open, Session, Shares, Tree, Waiting, begins_rpc, is_pipe_name,
)

cdef enum:
    NEGOTIATE = 0
    SESSION_SETUP = 1
    TREE_CONNECT = 3
    TREE_DISCONNECT = 4
    CREATE = 5
    CLOSE = 6
    READ = 8
    WRITE = 9
    IOCTL = 11
    SET_INFO = 17

# Flags of the header.
cdef enum:
    IS_ANSWER = 0x01
    IS_ASYNC = 0x02
    IS_RELATED = 0x04

# Statuses (MS-ERREF) whose answers have a body as those of success.
cdef enum:
    STATUS_PENDING = 0x00000103
    STATUS_BUFFER_OVERFLOW = 0x80000005
    STATUS_MORE_PROCESSING_REQUIRED = 0xC0000016

cdef enum:
    FSCTL_PIPE = 0x11           # the device of its controls (MS-FSCC 2.3)
    INFO_FILE = 1
    RENAME_INFORMATION = 10
    DISPOSITION_INFORMATION = 13
    DISPOSITION_INFORMATION_EX = 64
    RENAME_INFORMATION_EX = 65

cdef uint64_t ANY_FILE = 0xFFFFFFFFFFFFFFFFULL     # the file of the message before (3.2.4.1.4)


cdef int smb2_message(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t at
) except -1 nogil:
    cdef int64_t next
    cdef Compound c
    memset(&c, 0, sizeof(c))
    while n >= SMB2_HEADER and p[0] == 0xFE:
        next = le32(p + 20)
        if next < SMB2_HEADER or next > n:
            next = n
        _one(shares, t, s, side, &c, p, next, at)
        c.count += 1
        if le32(p + 20) == 0:
            break
        p += next
        at += next
        n -= next
    return 0


# What one message leaves to those that are compounded with it.
cdef struct Compound:
    int64_t count
    uint64_t file
    bint has_file
    uint64_t created            # message id of a CREATE, whose answer will name the file
    bint creates


cdef int _one(
    Shares shares, Talk* t, Session* s, int side, Compound* c, const uint8_t* p, int64_t n,
    int64_t at,
) except -1 nogil:
    cdef uint32_t status = le32(p + 8), flags = le32(p + 16)
    cdef uint16_t command = le16(p + 12)
    cdef uint64_t id = le64(p + 24)
    cdef uint32_t tree = 0 if flags & IS_ASYNC else le32(p + 36)
    if not flags & IS_ANSWER:
        return _request(shares, t, s, side, c, command, id, tree, p, n, at)
    if status == STATUS_PENDING:
        return 0
    if status and status != STATUS_BUFFER_OVERFLOW and status != STATUS_MORE_PROCESSING_REQUIRED:
        if command == SESSION_SETUP:
            shares.gssapi.ntlm.failed(t, &s.logon, status)
        return shares.end_waiting(s, id)
    _answer(shares, t, s, side, command, id, tree, p, n, at)
    return shares.end_waiting(s, id)


cdef int _kind(Shares shares, Session* s, uint32_t id) noexcept nogil:
    cdef Tree* tree = shares.tree(s, id)
    return tree.kind if tree is not NULL and tree.kind else DISK


cdef int _blob(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t offset,
    int64_t length, int64_t at,
) except -1 nogil:
    if length and offset >= SMB2_HEADER and offset + length <= n:
        return shares.gssapi.token(t, &s.logon, side, p + offset, length, at + offset)
    return 0


cdef int _hold(
    Shares shares, Name* name, const uint8_t* p, int64_t n, int64_t offset, int64_t length
) except -1 nogil:
    if length and offset >= SMB2_HEADER and offset + length <= n:
        return hold(name, p + offset, length, True, &shares.kept)
    return 0


cdef uint64_t _file_id(const uint8_t* p) noexcept nogil:
    """Persistent and volatile part; one number is enough to tell the files of a connection."""
    return le64(p) + le64(p + 8)


cdef uint64_t _file_of(Compound* c, const uint8_t* p) noexcept nogil:
    if le64(p) == ANY_FILE and le64(p + 8) == ANY_FILE and c.has_file:
        return c.file
    c.file = _file_id(p)
    c.has_file = not (le64(p) == ANY_FILE and le64(p + 8) == ANY_FILE)
    return c.file


cdef int _request(
    Shares shares, Talk* t, Session* s, int side, Compound* c, uint16_t command, uint64_t id,
    uint32_t tree, const uint8_t* p, int64_t n, int64_t at,
) except -1 nogil:
    cdef const uint8_t* b = p + SMB2_HEADER
    cdef int64_t m = n - SMB2_HEADER
    cdef Waiting* w
    cdef Open* f
    cdef Tree* known
    cdef uint64_t file
    if not s.has_first:
        s.has_first = True
        s.first = place(t, side, at)
    if command == SESSION_SETUP:
        if m >= 24:
            return _blob(shares, t, s, side, p, n, le16(b + 12), le16(b + 14), at)
    elif command == TREE_CONNECT:
        if m < 8:
            return 0
        w = shares.new_waiting(t, s, id)
        w.command = command
        w.place = place(t, side, at)
        _hold(shares, &w.name, p, n, le16(b + 4), le16(b + 6))
    elif command == TREE_DISCONNECT:
        shares.end_tree(s, tree)
    elif command == CREATE:
        if m < 56:
            return 0
        w = shares.new_waiting(t, s, id)
        w.command = command
        w.place = place(t, side, at)
        w.tree = tree
        w.disposition = <uint8_t>le32(b + 36)
        w.access = le32(b + 24)
        w.kind = <uint8_t>_kind(shares, s, tree)
        _hold(shares, &w.name, p, n, le16(b + 44), le16(b + 46))
        if w.name.p is NULL:
            hold(&w.name, b"<share_root>", 12, False, &shares.kept)
        c.created = id
        c.creates = True
        c.has_file = False
    elif command == CLOSE:
        if m >= 24:
            file = _file_of(c, b + 8)
            f = shares.open(s, file)
            if f is not NULL and f.kind == PRINT:
                _act(shares, t, s, side, f, PRINT_CLOSE, NULL, at)
            shares.end_open(t, s, file)
    elif command == READ:
        if m >= 32:
            w = shares.new_waiting(t, s, id)
            w.command = command
            w.file = _file_of(c, b + 16)
            w.position = <int64_t>le64(b + 8)
            w.tree = tree
    elif command == WRITE:
        if m >= 32:
            _write(shares, t, s, side, c, tree, p, n, at)
    elif command == IOCTL:
        if m >= 48 and le32(b + 4) >> 16 == FSCTL_PIPE:
            file = _file_of(c, b + 8)
            if _inside(n, le32(b + 24), le32(b + 28)):
                _through(shares, t, s, side, file, tree, p + le32(b + 24), le32(b + 28),
                         at + le32(b + 24))
    elif command == SET_INFO:
        if m >= 32 and b[2] == INFO_FILE:
            _set_info(shares, t, s, side, c, b[3], p, n, at)
    return 0


cdef bint _inside(int64_t n, int64_t offset, int64_t length) noexcept nogil:
    return length > 0 and offset >= SMB2_HEADER and offset + length <= n


cdef int _write(
    Shares shares, Talk* t, Session* s, int side, Compound* c, uint32_t tree, const uint8_t* p,
    int64_t n, int64_t at,
) except -1 nogil:
    """2.2.21."""
    cdef const uint8_t* b = p + SMB2_HEADER
    cdef uint64_t file = _file_of(c, b + 16)
    cdef int64_t offset = le16(b + 2), length = le32(b + 4)
    cdef Open* f = shares.open(s, file)
    if offset < SMB2_HEADER or offset > n:
        return 0
    if length > n - offset:
        length = n - offset     # a long one: smb2_long tells of the rest
    if f is NULL and shares.tree(s, tree) is NULL and begins_rpc(p + offset, length):
        return _through(shares, t, s, side, file, tree, p + offset, length, at + offset)
    if (f is not NULL and f.kind == PIPE) or _kind(shares, s, tree) == PIPE:
        return _through(shares, t, s, side, file, tree, p + offset, length, at + offset)
    if f is not NULL:
        return shares.content(
            t, s, f, side, <int64_t>le64(b + 8), p + offset, length, at + offset
        )
    return 0


cdef int _through(
    Shares shares, Talk* t, Session* s, int side, uint64_t file, uint32_t tree, const uint8_t* p,
    int64_t n, int64_t at,
) except -1 nogil:
    cdef Open* f = shares.open(s, file)
    if f is NULL:
        f = shares.new_open(t, s, file)
        f.kind = PIPE
    return shares.through(t, s, f, side, p, n, at)


cdef int _act(
    Shares shares, Talk* t, Session* s, int side, const Open* f, int action,
    const Name* before, int64_t at,
) except -1 nogil:
    cdef Place where = place(t, side, at)
    return shares.acted(t, s, &where, f, action, before, 0, 0)


cdef int _set_info(
    Shares shares, Talk* t, Session* s, int side, Compound* c, int level, const uint8_t* p,
    int64_t n, int64_t at,
) except -1 nogil:
    """2.2.39; structures are those of MS-FSCC 2.4."""
    cdef const uint8_t* b = p + SMB2_HEADER
    cdef int64_t length = le32(b + 4), offset = le16(b + 8)
    cdef uint64_t file = _file_of(c, b + 16)
    cdef Open* f = shares.open(s, file)
    cdef Waiting* w
    cdef Open created
    cdef const uint8_t* data = p + offset
    cdef Name before
    if not _inside(n, offset, length):
        return 0
    if f is NULL:
        # The file that a CREATE of the same compound asks for: it has no id yet.
        if c.has_file or not c.creates:
            return 0
        w = shares.waiting(s, c.created)
        if w is NULL:
            return 0
        memset(&created, 0, sizeof(created))
        created.name = w.name       # borrowed
        created.kind = w.kind
        if shares.tree(s, w.tree) is not NULL:
            created.path = shares.tree(s, w.tree).path
        f = &created
    if level == DISPOSITION_INFORMATION:
        if data[0]:
            _act(shares, t, s, side, f, FILE_DELETE, NULL, at)
    elif level == DISPOSITION_INFORMATION_EX:
        if data[0] & 1:
            _act(shares, t, s, side, f, FILE_DELETE, NULL, at)
    elif level == RENAME_INFORMATION or level == RENAME_INFORMATION_EX:
        if length < 20 or le32(data + 16) > length - 20 or f == &created:
            return 0
        before = f.name
        memset(&f.name, 0, sizeof(Name))
        hold(&f.name, data + 20, le32(data + 16), True, &shares.kept)
        _act(shares, t, s, side, f, FILE_RENAME, &before, at)
        drop(&before, &shares.kept)
    return 0


cdef int _answer(
    Shares shares, Talk* t, Session* s, int side, uint16_t command, uint64_t id, uint32_t tree,
    const uint8_t* p, int64_t n, int64_t at,
) except -1 nogil:
    cdef const uint8_t* b = p + SMB2_HEADER
    cdef int64_t m = n - SMB2_HEADER, offset, length
    cdef Waiting* w
    cdef Open* f
    cdef Tree* connected
    cdef Place where
    if command == NEGOTIATE:
        if m >= 64:
            s.dialect = le16(b + 4)
            s.negotiated = True
            drop(&s.spoken, &shares.kept)
            if not s.has_first:
                s.has_first = True
                s.first = place(t, side, at)
            return _blob(shares, t, s, side, p, n, le16(b + 56), le16(b + 58), at)
    elif command == SESSION_SETUP:
        if m >= 8:
            return _blob(shares, t, s, side, p, n, le16(b + 4), le16(b + 6), at)
    elif command == TREE_CONNECT:
        if m < 4:
            return 0
        w = shares.waiting(s, id)
        if w is not NULL:
            where = w.place
        else:
            where = place(t, side, at)
        connected = shares.new_tree(t, s, tree)
        connected.kind = b[2] if b[2] <= PRINT else 0
        if w is not NULL:
            hold_same(&connected.path, &w.name, &shares.kept)
        shares.mapped(t, s, &where, connected)
    elif command == CREATE:
        if m >= 80:
            _created(shares, t, s, side, id, tree, b, at)
    elif command == READ:
        w = shares.waiting(s, id)
        if m < 8 or w is NULL:
            return 0
        offset = b[2]
        length = le32(b + 4)
        if offset < SMB2_HEADER or offset > n:
            return 0
        if length > n - offset:
            length = n - offset
        f = shares.open(s, w.file)
        if (f is not NULL and f.kind == PIPE) or _kind(shares, s, w.tree) == PIPE:
            return _through(shares, t, s, side, w.file, w.tree, p + offset, length, at + offset)
        if f is not NULL:
            return shares.content(t, s, f, side, w.position, p + offset, length, at + offset)
    elif command == IOCTL:
        if m >= 48 and le32(b + 4) >> 16 == FSCTL_PIPE:
            if _inside(n, le32(b + 32), le32(b + 36)):
                return _through(
                    shares, t, s, side, _file_id(b + 8), tree, p + le32(b + 32), le32(b + 36),
                    at + le32(b + 32),
                )
    return 0


cdef int _created(
    Shares shares, Talk* t, Session* s, int side, uint64_t id, uint32_t tree, const uint8_t* b,
    int64_t at,
) except -1 nogil:
    """2.2.14."""
    cdef Waiting* w = shares.waiting(s, id)
    cdef Open* f = shares.new_open(t, s, _file_id(b + 64))
    cdef Tree* on
    cdef int activity = 0
    cdef uint32_t access = 0
    f.size = <int64_t>le64(b + 48) if not b[55] & 0x80 else 0
    f.times[0], f.times[1] = le64(b + 8), le64(b + 16)
    f.times[2], f.times[3] = le64(b + 24), le64(b + 32)
    f.has_times = f.times[2] > 116444736000000000ULL        # 1970: pipes have none
    if tree == 0 and w is not NULL:
        tree = w.tree
    on = shares.tree(s, tree)
    if on is not NULL:
        hold_same(&f.path, &on.path, &shares.kept)
    f.kind = <uint8_t>_kind(shares, s, tree)
    if w is NULL:
        return 0
    if on is NULL and is_pipe_name(&w.name):
        f.kind = PIPE
    f.name = w.name
    memset(&w.name, 0, sizeof(Name))
    if w.disposition <= 5:
        activity = w.disposition + 1    # OCSF counts as 2.2.13 does, but from 1
    return shares.acted(
        t, s, &w.place, f,
        FILE_OPEN if f.kind == DISK else PRINT_OPEN if f.kind == PRINT else NOT_LOGGED,
        NULL, activity, w.access,
    )


cdef int smb2_long(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t length
) except -1 nogil:
    cdef const uint8_t* b = p + SMB2_HEADER
    cdef int64_t m = n - SMB2_HEADER, offset, count
    cdef uint32_t status
    cdef Waiting* w
    cdef bint answer
    s.is_bulk[side] = False
    if m < 32 or p[0] != 0xFE or le32(p + 20):
        return 0
    answer = le32(p + 16) & IS_ANSWER
    if le16(p + 12) == WRITE and not answer:
        offset = le16(b + 2)
        count = le32(b + 4)
        s.bulk[side] = _file_id(b + 16)
        s.position[side] = <int64_t>le64(b + 8)
    elif le16(p + 12) == READ and answer:
        status = le32(p + 8)
        w = shares.waiting(s, le64(p + 24))
        if w is NULL or (status and status != STATUS_BUFFER_OVERFLOW):
            return 0
        offset = b[2]
        count = le32(b + 4)
        s.bulk[side] = w.file
        s.position[side] = w.position
    else:
        return 0
    if offset < SMB2_HEADER or offset > n or offset + count > length:
        return 0
    s.is_bulk[side] = True
    s.position[side] += n - offset
    s.bulk_left[side] = count - (n - offset)
    return 0
