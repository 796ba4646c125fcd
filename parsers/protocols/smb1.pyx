"""SMB 1 (MS-CIFS 2.2, MS-SMB 2.2): see smb1.pxd.

A message is a header of 32 bytes (MS-CIFS 2.2.3.1), a count of words, the words, a count of bytes,
the bytes. Commands that end in ANDX say where the words of the next command stand (2.2.3.4): it is
read when that is further behind. Answers belong to the request of the same multiplex id (MID).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memset

from tracelake.native.cursor cimport le16, le32, le64
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.held_name cimport Name, drop, hold, hold_same
from tracelake.parsers.protocols.protocol cimport Talk, place
from tracelake.parsers.protocols.smb_shares cimport (
    DISK, FILE_DELETE, FILE_OPEN, FILE_RENAME, PIPE, Open, Session, Shares, Tree, Waiting,
    begins_rpc, is_pipe_name,
)

cdef enum:
    CLOSE = 0x04
    DELETE = 0x06
    RENAME = 0x07
    TRANSACTION = 0x25
    OPEN_ANDX = 0x2D
    READ_ANDX = 0x2E
    WRITE_ANDX = 0x2F
    TREE_DISCONNECT = 0x71
    NEGOTIATE = 0x72
    SESSION_SETUP_ANDX = 0x73
    TREE_CONNECT_ANDX = 0x75
    NT_CREATE_ANDX = 0xA2
    NO_COMMAND = 0xFF
    NO_WAIT = 0x100             # of those kept as waiting: none of the above

cdef enum:
    IS_ANSWER = 0x80            # flags
    UNICODE_NAMES = 0x8000      # flags2
    EXTENDED_SECURITY = 0x80000000      # capabilities
    TRANSACT_NMPIPE = 0x26
    MOST_CHAINED = 16
    MOST_DIALECTS = 64

cdef enum:
    STATUS_BUFFER_OVERFLOW = 0x80000005
    STATUS_MORE_PROCESSING_REQUIRED = 0xC0000016


# A command: where its words and bytes stand.
cdef struct Block:
    int command
    const uint8_t* words
    int64_t word_bytes
    int64_t data                # offset of its bytes from the header ...
    int64_t count               # ... and how many there are


cdef int smb1_message(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t at
) except -1 nogil:
    cdef Block b
    cdef int64_t offset = SMB1_HEADER
    cdef int i, command
    cdef uint32_t status
    cdef bint answer
    cdef uint64_t id
    if n < SMB1_HEADER + 3:
        return 0
    answer = p[9] & IS_ANSWER
    status = le32(p + 5)
    command = p[4]
    id = le16(p + 30)
    if answer and status and status != STATUS_BUFFER_OVERFLOW:
        if status != STATUS_MORE_PROCESSING_REQUIRED:
            if command == SESSION_SETUP_ANDX:
                shares.gssapi.ntlm.failed(t, &s.logon, status)
            return shares.end_waiting(s, id)
    if not answer and not s.has_first:
        s.has_first = True
        s.first = place(t, side, at)
    for i in range(MOST_CHAINED):
        if not _block(p, n, offset, command, &b):
            break
        if answer:
            _answer(shares, t, s, side, &b, id, p, n, at)
        else:
            _request(shares, t, s, side, &b, id, p, n, at)
        if not _is_andx(command) or b.word_bytes < 4 or b.words[0] == NO_COMMAND:
            break
        if le16(b.words + 2) <= offset:
            break
        command = b.words[0]
        offset = le16(b.words + 2)
    if answer:
        shares.end_waiting(s, id)
    return 0


cdef bint _is_andx(int command) noexcept nogil:
    return (
        command == 0x24 or OPEN_ANDX <= command <= WRITE_ANDX or command == SESSION_SETUP_ANDX
        or command == 0x74 or command == TREE_CONNECT_ANDX or command == NT_CREATE_ANDX
    )


cdef bint _block(
    const uint8_t* p, int64_t n, int64_t offset, int command, Block* b
) noexcept nogil:
    if n - offset < 3:
        return False
    b.command = command
    b.words = p + offset + 1
    b.word_bytes = 2 * <int64_t>p[offset]
    b.data = offset + 3 + b.word_bytes
    if b.data > n:
        return False
    b.count = le16(p + b.data - 2)
    if b.count > n - b.data:
        b.count = n - b.data
    return True


cdef int64_t _text(
    const uint8_t* p, int64_t end, int64_t at, bint wide, int64_t* length
) noexcept nogil:
    """A text that ends in NUL (or with the bytes): where it begins, and its bytes. UTF-16 begins at
    an even place."""
    cdef const void* nul
    cdef int64_t i
    if wide:
        at += at & 1
        i = at
        while i + 1 < end and (p[i] or p[i + 1]):
            i += 2
        length[0] = i - at if i > at else 0
        return at
    length[0] = 0
    if at < end:
        nul = memchr(p + at, 0, end - at)
        length[0] = <const uint8_t*>nul - (p + at) if nul is not NULL else end - at
    return at


cdef int _request(
    Shares shares, Talk* t, Session* s, int side, Block* b, uint64_t id, const uint8_t* p,
    int64_t n, int64_t at,
) except -1 nogil:
    cdef bint wide = le16(p + 10) & UNICODE_NAMES
    cdef uint32_t tree = le16(p + 24)
    cdef int64_t end = b.data + b.count, length = 0, begin
    cdef Waiting* w
    cdef Open* f
    cdef uint64_t file
    if b.command == NEGOTIATE:
        if b.count and shares.kept < (64 << 20):
            hold(&s.dialects, p + b.data, b.count, False, &shares.kept)
    elif b.command == SESSION_SETUP_ANDX:
        # Words are 12 where a token is carried (MS-SMB 2.2.4.6.1), else 13.
        if b.word_bytes == 24:
            length = le16(b.words + 14)
            if 0 < length <= b.count:
                shares.gssapi.token(t, &s.logon, side, p + b.data, length, at + b.data)
    elif b.command == TREE_CONNECT_ANDX:
        if b.word_bytes < 8:
            return 0
        w = shares.new_waiting(t, s, id)
        w.command = TREE_CONNECT_ANDX
        w.place = place(t, side, at)
        begin = _text(p, end, b.data + le16(b.words + 6), wide, &length)
        if begin + length > end:
            return 0
        hold(&w.name, p + begin, length, wide, &shares.kept)
        begin = _text(p, end, begin + length + (2 if wide else 1), False, &length)
        _service(w.service, &w.service_length, p, begin, length)
    elif b.command == TREE_DISCONNECT:
        shares.end_tree(s, tree)
    elif b.command == NT_CREATE_ANDX:
        if b.word_bytes < 48:
            return 0
        w = shares.new_waiting(t, s, id)
        w.command = NT_CREATE_ANDX
        w.place = place(t, side, at)
        w.tree = tree
        w.access = le32(b.words + 15)
        w.disposition = <uint8_t>le32(b.words + 35)
        # The name's length is given, but not that of what fills up before it.
        begin = _text(p, end, b.data, wide, &length)
        if begin < end:
            hold(&w.name, p + begin, length, wide, &shares.kept)
    elif b.command == CLOSE:
        if b.word_bytes >= 2:
            shares.end_open(t, s, le16(b.words))
    elif b.command == READ_ANDX:
        if b.word_bytes < 20:
            return 0
        w = shares.new_waiting(t, s, id)
        w.command = READ_ANDX
        w.tree = tree
        w.file = le16(b.words + 4)
        w.position = le32(b.words + 6)
        if b.word_bytes >= 24:
            w.position |= <int64_t>le32(b.words + 20) << 32
    elif b.command == WRITE_ANDX:
        if b.word_bytes >= 24:
            _write(shares, t, s, side, b, tree, p, n, at)
    elif b.command == TRANSACTION:
        # MS-CIFS 2.2.5.6: a pipe's function and file are the setup words.
        if b.word_bytes >= 32 and b.words[26] == 2 and le16(b.words + 28) == TRANSACT_NMPIPE:
            file = le16(b.words + 30)
            w = shares.new_waiting(t, s, id)
            w.command = TRANSACTION
            w.tree = tree
            w.file = file
            _through(shares, t, s, side, file, p, n, le16(b.words + 24), le16(b.words + 22), at)
    elif b.command == DELETE or b.command == RENAME:
        _named(shares, t, s, side, b, tree, wide, p, at)
    return 0


cdef void _service(
    uint8_t* out, uint8_t* count, const uint8_t* p, int64_t begin, int64_t length
) noexcept nogil:
    cdef int64_t i
    if length > 16:
        length = 16
    for i in range(length):
        out[i] = p[begin + i]
    count[0] = <uint8_t>length


cdef int _kind(Shares shares, Session* s, uint32_t id) noexcept nogil:
    cdef Tree* tree = shares.tree(s, id)
    return tree.kind if tree is not NULL and tree.kind else DISK


cdef int _through(
    Shares shares, Talk* t, Session* s, int side, uint64_t file, const uint8_t* p, int64_t n,
    int64_t offset, int64_t length, int64_t at,
) except -1 nogil:
    cdef Open* f
    if length <= 0 or offset < SMB1_HEADER or offset + length > n:
        return 0
    f = shares.open(s, file)
    if f is NULL:
        f = shares.new_open(t, s, file)
        f.kind = PIPE
    return shares.through(t, s, f, side, p + offset, length, at + offset)


cdef int _write(
    Shares shares, Talk* t, Session* s, int side, Block* b, uint32_t tree, const uint8_t* p,
    int64_t n, int64_t at,
) except -1 nogil:
    """MS-SMB 2.2.4.3.1."""
    cdef uint64_t file = le16(b.words + 4)
    cdef int64_t offset = le16(b.words + 22), position = le32(b.words + 6)
    cdef int64_t length = le16(b.words + 20) | <int64_t>le16(b.words + 18) << 16
    cdef Open* f = shares.open(s, file)
    if b.word_bytes >= 28:
        position |= <int64_t>le32(b.words + 24) << 32
    if offset < SMB1_HEADER or offset > n:
        return 0
    if length > n - offset:
        length = n - offset
    if f is NULL and shares.tree(s, tree) is NULL and begins_rpc(p + offset, length):
        return _through(shares, t, s, side, file, p, n, offset, length, at)
    if (f is not NULL and f.kind == PIPE) or _kind(shares, s, tree) == PIPE:
        return _through(shares, t, s, side, file, p, n, offset, length, at)
    if f is not NULL:
        return shares.content(t, s, f, side, position, p + offset, length, at + offset)
    return 0


cdef int _named(
    Shares shares, Talk* t, Session* s, int side, Block* b, uint32_t tree, bint wide,
    const uint8_t* p, int64_t at,
) except -1 nogil:
    """SMB_COM_DELETE and SMB_COM_RENAME (MS-CIFS 2.2.4.7, 2.2.4.8): a byte 4 before each name."""
    cdef int64_t end = b.data + b.count, begin, length = 0
    cdef Tree* on = shares.tree(s, tree)
    cdef Place where
    cdef Open f
    cdef Name before
    cdef int64_t kept = 0
    if b.count < 2 or p[b.data] != 4:
        return 0
    memset(&f, 0, sizeof(f))
    memset(&before, 0, sizeof(before))
    if on is not NULL:
        f.path = on.path            # borrowed
    begin = _text(p, end, b.data + 1, wide, &length)
    if begin + length > end or not length:
        return 0
    if b.command == RENAME:
        hold(&before, p + begin, length, wide, &kept)
        begin += length + (2 if wide else 1)
        if begin < end:
            begin = _text(p, end, begin + 1, wide, &length)
    if begin + length <= end:
        hold(&f.name, p + begin, length, wide, &kept)
        where = place(t, side, at)
        shares.acted(
            t, s, &where, &f, FILE_RENAME if b.command == RENAME else FILE_DELETE,
            &before if b.command == RENAME else NULL, 0, 0,
        )
    drop(&f.name, &kept)
    drop(&before, &kept)
    return 0


cdef int _answer(
    Shares shares, Talk* t, Session* s, int side, Block* b, uint64_t id, const uint8_t* p,
    int64_t n, int64_t at,
) except -1 nogil:
    cdef bint wide = le16(p + 10) & UNICODE_NAMES
    cdef int64_t end = b.data + b.count, length = 0, begin, offset
    cdef Waiting* w = shares.waiting(s, id)
    cdef Tree* tree
    cdef Open* f
    cdef Place where
    if b.command == NEGOTIATE:
        if b.word_bytes >= 2:
            _negotiated(shares, t, s, side, b, p, at)
    elif b.command == SESSION_SETUP_ANDX:
        if b.word_bytes == 8:
            length = le16(b.words + 6)
            if 0 < length <= b.count:
                shares.gssapi.token(t, &s.logon, side, p + b.data, length, at + b.data)
    elif b.command == TREE_CONNECT_ANDX:
        if w is not NULL and w.command == TREE_CONNECT_ANDX:
            where = w.place
        else:
            where = place(t, side, at)
            w = NULL
        tree = shares.new_tree(t, s, le16(p + 24))
        if w is not NULL:
            hold_same(&tree.path, &w.name, &shares.kept)
        begin = _text(p, end, b.data, False, &length)
        _service(tree.service, &tree.service_length, p, begin, length)
        if length == 3 and p[begin] == b"I" and p[begin + 1] == b"P" and p[begin + 2] == b"C":
            tree.kind = PIPE
        begin = _text(p, end, begin + length + 1, wide, &length)
        if begin + length <= end:
            hold(&tree.file_system, p + begin, length, wide, &shares.kept)
        shares.mapped(t, s, &where, tree)
    elif b.command == NT_CREATE_ANDX:
        if b.word_bytes < 68:
            return 0
        f = shares.new_open(t, s, le16(b.words + 5))
        f.times[0], f.times[1] = le64(b.words + 11), le64(b.words + 19)
        f.times[2], f.times[3] = le64(b.words + 27), le64(b.words + 35)
        f.has_times = f.times[2] > 116444736000000000ULL
        f.size = <int64_t>le64(b.words + 55) if not b.words[62] & 0x80 else 0
        tree = shares.tree(s, le16(p + 24))
        f.kind = <uint8_t>_kind(shares, s, le16(p + 24))
        if tree is not NULL:
            hold_same(&f.path, &tree.path, &shares.kept)
        if w is NULL or w.command != NT_CREATE_ANDX:
            return 0
        f.name = w.name
        memset(&w.name, 0, sizeof(Name))
        if tree is NULL and f.name.p is not NULL and is_pipe_name(&f.name):
            f.kind = PIPE
        return shares.acted(
            t, s, &w.place, f, FILE_OPEN, NULL,
            w.disposition + 1 if w.disposition <= 5 else 0, w.access,
        )
    elif b.command == READ_ANDX:
        if b.word_bytes < 24 or w is NULL or w.command != READ_ANDX:
            return 0
        offset = le16(b.words + 12)
        length = le16(b.words + 10) | <int64_t>le16(b.words + 14) << 16
        if offset < SMB1_HEADER or offset > n:
            return 0
        if length > n - offset:
            length = n - offset
        f = shares.open(s, w.file)
        if (f is not NULL and f.kind == PIPE) or _kind(shares, s, w.tree) == PIPE:
            return _through(shares, t, s, side, w.file, p, n, offset, length, at)
        if f is not NULL:
            return shares.content(t, s, f, side, w.position, p + offset, length, at + offset)
    elif b.command == TRANSACTION:
        if b.word_bytes >= 20 and w is not NULL and w.command == TRANSACTION:
            _through(shares, t, s, side, w.file, p, n, le16(b.words + 14), le16(b.words + 12), at)
    return 0


cdef int _negotiated(
    Shares shares, Talk* t, Session* s, int side, Block* b, const uint8_t* p, int64_t at
) except -1 nogil:
    """MS-CIFS 2.2.4.52.2, MS-SMB 2.2.4.5.2: the number of the dialect that was chosen."""
    cdef int64_t i, at_name = 0, number = le16(b.words), end = s.dialects.n
    cdef const void* nul
    if not s.has_first:
        s.has_first = True
        s.first = place(t, side, at)
    s.negotiated = True
    if number < MOST_DIALECTS:
        for i in range(number + 1):
            if at_name + 1 >= end or s.dialects.p[at_name] != 2:
                break
            at_name += 1
            nul = memchr(s.dialects.p + at_name, 0, end - at_name)
            if i == number:
                hold(
                    &s.spoken, s.dialects.p + at_name,
                    (<const uint8_t*>nul - (s.dialects.p + at_name)) if nul is not NULL
                    else end - at_name, False, &shares.kept,
                )
            if nul is NULL:
                break
            at_name = <const uint8_t*>nul - s.dialects.p + 1
    drop(&s.dialects, &shares.kept)
    # With extended security a GUID and a token follow.
    if b.word_bytes == 34 and le32(b.words + 19) & EXTENDED_SECURITY and b.count > 16:
        shares.gssapi.token(t, &s.logon, side, p + b.data + 16, b.count - 16, at + b.data + 16)
    return 0


cdef int smb1_long(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t length
) except -1 nogil:
    cdef Block b
    cdef int64_t offset, count
    cdef Waiting* w
    cdef bint answer
    s.is_bulk[side] = False
    if n < SMB1_HEADER + 3 or not _block(p, n, SMB1_HEADER, p[4], &b):
        return 0
    answer = p[9] & IS_ANSWER
    if b.command == WRITE_ANDX and not answer and b.word_bytes >= 24:
        offset = le16(b.words + 22)
        count = le16(b.words + 20) | <int64_t>le16(b.words + 18) << 16
        s.bulk[side] = le16(b.words + 4)
        s.position[side] = le32(b.words + 6)
        if b.word_bytes >= 28:
            s.position[side] |= <int64_t>le32(b.words + 24) << 32
    elif b.command == READ_ANDX and answer and b.word_bytes >= 24:
        w = shares.waiting(s, le16(p + 30))
        if w is NULL or w.command != READ_ANDX:
            return 0
        offset = le16(b.words + 12)
        count = le16(b.words + 10) | <int64_t>le16(b.words + 14) << 16
        s.bulk[side] = w.file
        s.position[side] = w.position
    else:
        return 0
    if offset < SMB1_HEADER or offset > n or offset + count > length:
        return 0
    s.is_bulk[side] = True
    s.position[side] += n - offset
    s.bulk_left[side] = count - (n - offset)
    return 0
