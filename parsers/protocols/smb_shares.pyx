"""What is known of an SMB connection, and the rows that are written of it (see smb_shares.pxd)."""

import os

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strlen

from tracelake.native.key cimport key_of
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.dce_rpc cimport Calls, is_header
from tracelake.parsers.protocols.files cimport files_of
from tracelake.parsers.protocols.gssapi cimport Gssapi
from tracelake.parsers.protocols.held_name cimport drop, hold, hold_same, put_name
from tracelake.parsers.protocols.protocol cimport Talk
from tracelake.parsers.protocols.sheet cimport Sheets

# Names, requests and files of all connections.
cdef int64_t KEPT_LIMIT = 64 << 20
# A file that was logged is not logged again as long as it is asked for every so often (Zeek:
# recent_files, read_expire).
cdef int64_t RECENT = 180 * <int64_t>1000000000

cdef enum:
    MOST_TREES = 256            # of a connection
    MOST_OPENS = 1024
    MOST_WAITS = 1024
    MOST_RECENT = 2048
    MOST_FOLLOWED = 1024        # of all connections

# activity_id of OCSF 4006.
cdef enum:
    OTHER = 99

cdef enum:
    REPAIRED = 128              # parse_flags
    CUT = 1
    SUCCESS = 1                 # status_id

cdef const char* ACTIONS[5]
ACTIONS[0] = "SMB::FILE_OPEN"
ACTIONS[1] = "SMB::FILE_RENAME"
ACTIONS[2] = "SMB::FILE_DELETE"
ACTIONS[3] = "SMB::PRINT_OPEN"
ACTIONS[4] = "SMB::PRINT_CLOSE"

cdef const char* KINDS[4]
KINDS[0] = "DISK"
KINDS[1] = "DISK"
KINDS[2] = "PIPE"
KINDS[3] = "PRINT"

# Names of pipes that everybody knows.
cdef const char* PIPES[15]
PIPES[0] = "atsvc"
PIPES[1] = "browser"
PIPES[2] = "epmapper"
PIPES[3] = "eventlog"
PIPES[4] = "lsarpc"
PIPES[5] = "lsass"
PIPES[6] = "netdfs"
PIPES[7] = "netlogon"
PIPES[8] = "ntsvcs"
PIPES[9] = "samr"
PIPES[10] = "spoolss"
PIPES[11] = "srvsvc"
PIPES[12] = "svcctl"
PIPES[13] = "winreg"
PIPES[14] = "wkssvc"

# FILETIME of 1970-01-01.
cdef uint64_t EPOCH = 116444736000000000ULL


cdef inline int _chain(uint64_t id) noexcept nogil:
    return <int>(id * 0x9E3779B97F4A7C15ULL >> 59) & (CHAINS - 1)


cdef Item* _find(Table* table, uint64_t id) noexcept nogil:
    cdef Item* item = table.chains[_chain(id)]
    while item is not NULL and item.id != id:
        item = item.next
    return item


cdef Item* _take(Table* table, uint64_t id) noexcept nogil:
    """The item, which is the table's no longer."""
    cdef Item** at = &table.chains[_chain(id)]
    cdef Item* item
    while at[0] is not NULL:
        item = at[0]
        if item.id == id:
            at[0] = item.next
            table.count -= 1
            return item
        at = &item.next
    return NULL


cdef bint is_pipe_name(const Name* name) noexcept nogil:
    cdef int i, k, unit = 2 if name.wide else 1
    cdef int32_t begin = 0
    if name.n >= unit and name.p[0] == b"\\":
        begin = unit
    for i in range(15):
        if <int32_t>strlen(PIPES[i]) * unit != name.n - begin:
            continue
        for k in range((name.n - begin) // unit):
            if name.p[begin + k * unit] | 0x20 != <uint8_t>PIPES[i][k]:
                break
        else:
            return True
    return False


cdef bint begins_rpc(const uint8_t* p, int64_t n) noexcept nogil:
    return n >= 16 and is_header(p) and p[2] == 11 and p[3] & 1


cdef class Shares:
    """What keeps the state of SMB connections and writes their rows.

    Args:
        sheets: the tables of the capture; rows go to `smb_activity`.
    """

    def __cinit__(self, Sheets sheets):
        cdef bytes secret = os.urandom(32)
        memcpy(self.secret, <const char*>secret, 32)
        self.sheets = sheets
        self.sheet = sheets.sheet("smb_activity")
        self.gssapi = Gssapi(sheets)
        self.calls = Calls(sheets, self.gssapi)
        self.files = files_of(sheets)
        rows = self.sheet.rows
        self.share = rows.column("share")
        self.share_type = rows.column("share_type")
        self.file_path = rows.column("file_path")
        self.file_prev_path = rows.column("file_prev_path")
        self.command = rows.column("command")
        self.dialect = rows.column("dialect")
        self.native_file_system = rows.column("native_file_system")
        self.service_type = rows.column("service_type")
        self.file_size = rows.column("file_size")
        self.created = rows.column("file_created_time")
        self.modified = rows.column("file_modified_time")
        self.accessed = rows.column("file_accessed_time")
        self.changed = rows.column("file_changed_time")
        self.access_mask = rows.column("access_mask")
        self.encrypted_count = rows.column("encrypted_count")
        self.compressed_count = rows.column("compressed_count")
        self.status_id = rows.column("status_id")
        self.file_uid = rows.column("file_uid")

    # Connections.

    cdef Session* begin(self) except NULL nogil:
        cdef Session* s = <Session*>calloc(1, sizeof(Session))
        if s is NULL:
            with gil:
                raise MemoryError("an SMB connection")
        return s

    cdef int end(self, Talk* t, Session* s) except -1 nogil:
        if s is NULL:
            return 0
        self._summary(t, s)
        self.gssapi.ntlm.end(t, &s.logon)
        self._empty(t, s, &s.waits)
        self._empty(t, s, &s.opens)
        self._empty(t, s, &s.trees)
        self._empty(t, s, &s.recent)
        drop(&s.dialects, &self.kept)
        drop(&s.spoken, &self.kept)
        free(s)
        return 0

    # Tables.

    cdef Tree* tree(self, Session* s, uint64_t id) noexcept nogil:
        return <Tree*>_find(&s.trees, id)

    cdef Open* open(self, Session* s, uint64_t id) noexcept nogil:
        return <Open*>_find(&s.opens, id)

    cdef Waiting* waiting(self, Session* s, uint64_t id) noexcept nogil:
        return <Waiting*>_find(&s.waits, id)

    cdef Tree* new_tree(self, Talk* t, Session* s, uint64_t id) except NULL nogil:
        cdef Tree* tree
        self.end_tree(s, id)
        tree = <Tree*>calloc(1, sizeof(Tree))
        if tree is NULL:
            with gil:
                raise MemoryError("a tree")
        self.kept += sizeof(Tree)
        self._add(t, s, &s.trees, &tree.item, id, MOST_TREES)
        return tree

    cdef Open* new_open(self, Talk* t, Session* s, uint64_t id) except NULL nogil:
        cdef Open* f
        self.end_open(t, s, id)
        f = <Open*>calloc(1, sizeof(Open))
        if f is NULL:
            with gil:
                raise MemoryError("an open file")
        self.kept += sizeof(Open)
        self._add(t, s, &s.opens, &f.item, id, MOST_OPENS)
        return f

    cdef Waiting* new_waiting(self, Talk* t, Session* s, uint64_t id) except NULL nogil:
        cdef Waiting* w
        self.end_waiting(s, id)
        w = <Waiting*>calloc(1, sizeof(Waiting))
        if w is NULL:
            with gil:
                raise MemoryError("a request")
        self.kept += sizeof(Waiting)
        self._add(t, s, &s.waits, &w.item, id, MOST_WAITS)
        return w

    cdef int end_tree(self, Session* s, uint64_t id) except -1 nogil:
        cdef Tree* tree = <Tree*>_take(&s.trees, id)
        if tree is not NULL:
            drop(&tree.path, &self.kept)
            drop(&tree.file_system, &self.kept)
            self.kept -= sizeof(Tree)
            free(tree)
        return 0

    cdef int end_open(self, Talk* t, Session* s, uint64_t id) except -1 nogil:
        cdef Item* item = _take(&s.opens, id)
        return self._free(t, s, &s.opens, item) if item is not NULL else 0

    cdef int end_waiting(self, Session* s, uint64_t id) except -1 nogil:
        cdef Waiting* w = <Waiting*>_take(&s.waits, id)
        if w is not NULL:
            drop(&w.name, &self.kept)
            self.kept -= sizeof(Waiting)
            free(w)
        return 0

    cdef int _add(
        self, Talk* t, Session* s, Table* table, Item* item, uint64_t id, int32_t most
    ) except -1 nogil:
        cdef int chain = _chain(id)
        item.id = id
        if table.count >= most or (self.kept > KEPT_LIMIT and table.count):
            self._discard(t, s, table)
        item.next = table.chains[chain]
        table.chains[chain] = item
        table.count += 1
        return 0

    cdef int _discard(self, Talk* t, Session* s, Table* table) except -1 nogil:
        """A bound was reached: the connection forgets all of that kind."""
        cdef Place where
        cdef const char* what
        self._empty(t, s, table)
        if table == &s.recent:
            return 0
        what = b"tree" if table == &s.trees else b"file" if table == &s.opens else b"request"
        where.time = t.time
        where.offset = t.half[ORIG].now.offset
        where.length = t.half[ORIG].now.length
        where.sub = 0
        if t.half[RESP].now.time > t.half[ORIG].now.time:
            where.offset = t.half[RESP].now.offset
            where.length = t.half[RESP].now.length
        return self.sheets.note(
            t.flow, &where, b"SMB_discarded_messages_state", b"SMB", <const uint8_t*>what,
            strlen(what),
        )

    cdef int _free(self, Talk* t, Session* s, Table* table, Item* item) except -1 nogil:
        """One that was taken from its table."""
        cdef Open* f
        if table == &s.trees:
            drop(&(<Tree*>item).path, &self.kept)
            drop(&(<Tree*>item).file_system, &self.kept)
            self.kept -= sizeof(Tree)
        elif table == &s.opens:
            f = <Open*>item
            if f.rpc is not NULL:
                self.calls.end(t, f.rpc)
            if f.file is not NULL:
                self.files.release(f.file)
                self.followed -= 1
            drop(&f.name, &self.kept)
            drop(&f.path, &self.kept)
            self.kept -= sizeof(Open)
        elif table == &s.waits:
            drop(&(<Waiting*>item).name, &self.kept)
            self.kept -= sizeof(Waiting)
        else:
            self.kept -= sizeof(Recent)
        free(item)
        return 0

    cdef int _empty(self, Talk* t, Session* s, Table* table) except -1 nogil:
        cdef int i
        cdef Item* item
        for i in range(CHAINS):
            while table.chains[i] is not NULL:
                item = table.chains[i]
                table.chains[i] = item.next
                self._free(t, s, table, item)
        table.count = 0
        return 0

    # Rows.

    cdef int mapped(
        self, Talk* t, Session* s, const Place* place, const Tree* tree
    ) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, place, OTHER)
        cdef const char* kind = KINDS[tree.kind & 3]
        cdef int flags = 0
        self.command.put_valid(row, b"TREE_CONNECT", 12)
        flags |= put_name(self.share, row, &tree.path)
        self.share_type.put_valid(row, <const uint8_t*>kind, strlen(kind))
        if tree.service_length:
            flags |= self.service_type.put(row, tree.service, tree.service_length)
        flags |= put_name(self.native_file_system, row, &tree.file_system)
        self._dialect(row, s)
        self.status_id.put(row, SUCCESS)
        if flags:
            self.sheet.flags(REPAIRED)
        return self.sheet.done()

    cdef int acted(
        self, Talk* t, Session* s, const Place* place, const Open* f, int action,
        const Name* before, int activity, uint32_t access,
    ) except -1 nogil:
        cdef Py_ssize_t row
        cdef int flags = 0
        if action == NOT_LOGGED or f.name.p is NULL:
            return 0
        if f.has_times and not self._is_news(t, s, f, action):
            return 0
        row = self.sheet.begin(t.flow, place, activity if activity else OTHER)
        self.command.put_valid(row, <const uint8_t*>ACTIONS[action], strlen(ACTIONS[action]))
        flags |= put_name(self.file_path, row, &f.name)
        flags |= put_name(self.share, row, &f.path)
        if before is not NULL:
            flags |= put_name(self.file_prev_path, row, before)
        self.file_size.put(row, f.size)
        if f.has_times:
            self._put_times(row, f)
        if access:
            self.access_mask.put(row, access)
        if f.file is not NULL:
            self.file_uid.put_valid(row, f.file.uid, sizeof(f.file.uid))
        self._dialect(row, s)
        flags = (REPAIRED if flags else 0) | (CUT if f.name.cut else 0)
        if flags:
            self.sheet.flags(flags)
        return self.sheet.done()

    cdef int _put_times(self, Py_ssize_t row, const Open* f) except -1 nogil:
        cdef uint64_t[4] times
        cdef int i
        memcpy(times, f.times, sizeof(times))
        # FILETIME counts in 100 ns from 1601; beyond the year 9999 nobody means a time.
        for i in range(4):
            if times[i] > 2650467744000000000ULL:
                times[i] = 0
        if times[0]:
            self.created.put(row, <int64_t>(times[0] - EPOCH) // 10)
        if times[1]:
            self.accessed.put(row, <int64_t>(times[1] - EPOCH) // 10)
        if times[2]:
            self.modified.put(row, <int64_t>(times[2] - EPOCH) // 10)
        if times[3]:
            self.changed.put(row, <int64_t>(times[3] - EPOCH) // 10)
        return 0

    cdef bint _is_news(self, Talk* t, Session* s, const Open* f, int action) except -1 nogil:
        """Whether the same was not logged lately of this connection: the same action, name, share,
        size and times but for that of access, which every look at it changes."""
        cdef uint64_t[8] words
        cdef uint64_t id
        cdef Recent* r
        cdef bint expired
        words[0] = key_of(f.name.p, f.name.n, action, self.secret).low
        words[1] = key_of(f.path.p, f.path.n, 255, self.secret).low if f.path.p is not NULL else 0
        words[2] = <uint64_t>f.size
        words[3], words[4], words[5] = f.times[0], f.times[2], f.times[3]
        words[6] = words[7] = 0
        if f.file is not NULL:
            memcpy(&words[6], f.file.uid, 16)
        id = key_of(<const uint8_t*>words, 64, 254, self.secret).low
        r = <Recent*>_find(&s.recent, id)
        if r is not NULL:
            expired = t.time != NO_TIME and r.seen != NO_TIME and t.time - r.seen > RECENT
            r.seen = t.time
            return expired
        r = <Recent*>calloc(1, sizeof(Recent))
        if r is NULL:
            with gil:
                raise MemoryError("a file that was logged")
        self.kept += sizeof(Recent)
        r.seen = t.time
        self._add(t, s, &s.recent, &r.item, id, MOST_RECENT)
        return True

    cdef int _dialect(self, Py_ssize_t row, const Session* s) except -1 nogil:
        cdef const char* name = NULL
        if s.spoken.p is not NULL:
            return put_name(self.dialect, row, &s.spoken)
        if s.dialect == 0x0202:
            name = b"SMB 2.002"
        elif s.dialect == 0x0210:
            name = b"SMB 2.1"
        elif s.dialect == 0x0300:
            name = b"SMB 3.0"
        elif s.dialect == 0x0302:
            name = b"SMB 3.0.2"
        elif s.dialect == 0x0311:
            name = b"SMB 3.1.1"
        elif s.dialect == 0x02FF:
            name = b"SMB 2.???"
        if name is not NULL:
            self.dialect.put_valid(row, <const uint8_t*>name, strlen(name))
        return 0

    cdef int _summary(self, Talk* t, Session* s) except -1 nogil:
        """One row of the connection: what it speaks, and how much of it cannot be read."""
        cdef Py_ssize_t row
        if not s.has_first or not (s.negotiated or s.encrypted or s.compressed):
            return 0
        row = self.sheet.begin(t.flow, &s.first, OTHER)
        self.command.put_valid(row, b"NEGOTIATE", 9)
        self._dialect(row, s)
        self.encrypted_count.put(row, s.encrypted)
        self.compressed_count.put(row, s.compressed)
        return self.sheet.done()

    # What goes through.

    cdef int through(
        self, Talk* t, Session* s, Open* f, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        if f.rpc is NULL:
            f.rpc = self.calls.begin()
            if f.name.p is not NULL:
                hold_same(&f.rpc.opened, &f.name, &self.calls.kept)
        return self.calls.stream(t, f.rpc, &s.logon, side, p, n, at)

    cdef int content(
        self, Talk* t, Session* s, Open* f, int side, int64_t position, const uint8_t* p,
        int64_t n, int64_t at,
    ) except -1 nogil:
        cdef Place where
        cdef uint64_t[8] words
        cdef uint64_t key
        if n <= 0 or position < 0 or (f.name.p is NULL and f.path.p is NULL):
            return 0
        # Two connections that read one file between the same ends read parts of it (Zeek: the
        # file's handle is both addresses, share, name and the time of the last change).
        words[0], words[1] = t.flow.address[ORIG].low, t.flow.address[ORIG].high
        words[2], words[3] = t.flow.address[RESP].low, t.flow.address[RESP].high
        words[4] = key_of(f.path.p, f.path.n, 1, self.secret).low if f.path.p is not NULL else 0
        words[5] = key_of(f.name.p, f.name.n, 2, self.secret).low if f.name.p is not NULL else 0
        words[6] = f.times[2] if f.has_times else 0
        words[7] = 0
        if f.file is NULL:
            if self.followed >= MOST_FOLLOWED:
                return 0
            self.followed += 1
            where.time = t.time
            key = key_of(<const uint8_t*>words, 64, 3, self.secret).low | 1
            where.offset = t.half[side].now.offset
            where.length = t.half[side].now.length
            where.sub = 0
            f.file = self.files.share(key, t.flow, side, &where, b"SMB", t.time)
            if f.size > 0 and f.file.total < 0:
                f.file.total = f.size
            self._file_name(f)
        return self.files.data_at(f.file, position, p, n, t.time)

    cdef int _file_name(self, Open* f) except -1 nogil:
        cdef uint8_t[6144] text     # of 2048 units, three bytes each
        cdef Py_ssize_t n
        cdef int repaired = 0
        if f.name.p is NULL:
            return 0
        if not f.name.wide:
            return self.files.name(f.file, f.name.p, f.name.n)
        n = utf16le_utf8(f.name.p, f.name.n // 2, text, &repaired)
        return self.files.name(f.file, text, n)
