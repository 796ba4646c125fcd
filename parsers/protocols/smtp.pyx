"""SMTP (RFC 5321), with pipelining (2920), BDAT (3030) and STARTTLS (3207); its mails (RFC 5322).

    command = verb [SP argument] CRLF           reply = code ("-" | SP) text CRLF

A row is a mail transaction, from MAIL to the reply to the end of its data, as in Zeek's smtp.log.
The parts of a mail are files.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport (
    BoolColumn, DictColumn, IntColumn, ListColumn, TextColumn,
)
from tracelake.native.text cimport put_ipv4
from tracelake.parsers.conn cimport ORIG, RESP, Place, put_address
from tracelake.parsers.protocols.entity cimport Entity, Tree, fell, line, plant, same, whole_line
from tracelake.parsers.protocols.files cimport File, Files, UID_ROOM, files_of
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, hand_over, place,
)
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.protocols.text_slots cimport Block, Slot, add, clear, keep, put_list
from tracelake.parsers.services cimport service

cdef int SERVICE = service("smtp")

cdef enum:
    EMAIL = 4009                # class_uid
    ACTIVITY_SEND = 1
    LINE_LIMIT = 1048576
    CARRY_LIMIT = 65536
    VALUE_LIMIT = 65536
    ADDRESS_LIMIT = 1000        # of one kind
    QUEUE = 256                 # commands without a reply

cdef enum:                      # commands whose replies matter
    OTHER = 0
    DATA = 1
    DOT = 2
    BDAT = 3
    BDAT_LAST = 4
    STARTTLS = 5
    AUTH = 6

cdef enum:                      # State.mode: what the client says
    COMMANDS = 0
    MAIL = 1                    # lines, to the one with a dot
    CHUNK = 2                   # `left` bytes
    SECRET = 3                  # a line that answers to AUTH
    LOST = 4

cdef enum:                      # texts of a transaction
    MAIL_FROM = 0
    MESSAGE_ID = 1
    SUBJECT = 2
    FROM = 3
    REPLY_TO = 4
    DATE = 5
    IN_REPLY_TO = 6
    ORIGINATING = 7
    FIRST_RECEIVED = 8
    SECOND_RECEIVED = 9
    LAST_REPLY = 10
    AGENT = 11
    FIELDS = 12

cdef enum:                      # lists
    RCPT_TO = 0
    TO = 1
    CC = 2
    PATH = 3
    FILES = 4

cdef const char* HEADERS[12]
HEADERS[:] = [
    b"", b"message-id", b"subject", b"from", b"reply-to", b"date", b"in-reply-to", b"", b"", b"",
    b"", b"",
]


cdef struct State:
    Talk* talk
    PyObject* protocol          # borrowed
    int mode
    int64_t left                # of a chunk
    bint last_chunk
    uint8_t* carry              # a line of a chunk that goes on in the next one
    int carried
    bint in_mail                # the tree is planted
    Tree mail
    uint8_t queue[QUEUE]
    int queued
    int reply_code              # of the reply that goes on; 0 where none does
    bint greeted
    int replied                 # command that the latest reply is to
    int64_t scanned[2]
    int64_t now                 # where the bytes at hand stand in what was offered
    int messages
    int depth                   # of the transaction
    bint from_seen
    bint to_seen
    bint any                    # a transaction is open
    bint active                 # the client has done something in it
    bint tls
    Place began
    int entities
    Block text
    Slot field[FIELDS]
    uint8_t helo[512]
    int helo_length
    uint64_t noted


cdef inline bint _blank(uint8_t c) noexcept nogil:
    return c == 32 or c == 9


cdef int _on_header(
    void* owner, Entity* e, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
) except -1 nogil:
    cdef State* s = <State*>owner
    if e.depth or s.mail.nested:
        return 0                # of a part, or behind one
    return (<Smtp>s.protocol)._header(s, name, n, value, m)


cdef int _on_content(void* owner, Entity* e, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef State* s = <State*>owner
    return (<Smtp>s.protocol)._content(s, e, p, n)


cdef int _on_end(void* owner, Entity* e) except -1 nogil:
    cdef State* s = <State*>owner
    return (<Smtp>s.protocol)._part_ends(s, e)


cdef class Smtp(Protocol):
    cdef Sheet sheet
    cdef Files files
    cdef DictColumn protocol, helo, mail_from, header_from, date, reply_to, originating, last_reply
    cdef DictColumn agent
    cdef TextColumn subject, message_uid, in_reply_to, first_received, second_received
    cdef ListColumn rcpt_to, header_to, cc, path, file_uids
    cdef IntColumn trans_depth, class_uid
    cdef BoolColumn tls

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "smtp"
        self.ports = (25, 587, 465, 2525)
        self.longest = LINE_LIMIT
        self.files = files_of(sheets)
        sheet = self.sheet = sheets.sheet("net_service_activity")
        rows = sheet.rows
        self.protocol = rows.column("protocol")
        self.helo = rows.column("helo")
        self.mail_from = rows.column("mail_from")
        self.header_from = rows.column("header_from")
        self.date = rows.column("header_date")
        self.reply_to = rows.column("header_reply_to")
        self.originating = rows.column("x_originating_ip")
        self.last_reply = rows.column("last_reply")
        self.agent = rows.column("user_agent")
        self.subject = rows.column("subject")
        self.message_uid = rows.column("message_uid")
        self.in_reply_to = rows.column("in_reply_to")
        self.first_received = rows.column("first_received")
        self.second_received = rows.column("second_received")
        self.rcpt_to = rows.column("rcpt_to")
        self.header_to = rows.column("header_to")
        self.cc = rows.column("header_cc")
        self.path = rows.column("mail_path")
        self.file_uids = rows.column("file_uids")
        self.class_uid = rows.column("class_uid")
        self.trans_depth = rows.column("trans_depth")
        self.tls = rows.column("tls")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef int port = t.flow.port[RESP]
        cdef bint at_home = port == 25 or port == 587 or port == 465 or port == 2525
        if n:
            if n < 5:
                return MORE if orig[0] | 32 == 101 or orig[0] | 32 == 104 else NO   # e, h
            if same(orig, 4, b"ehlo") or same(orig, 4, b"helo") or same(orig, 4, b"lhlo"):
                return YES if _blank(orig[4]) or orig[4] == 13 or orig[4] == 10 else NO
            if at_home and (same(orig, 5, b"mail ") or same(orig, 5, b"rcpt ")):
                return YES
            return YES if at_home and m >= 4 and memcmp(resp, b"220", 3) == 0 and (
                97 <= orig[0] | 32 <= 122 and 97 <= orig[3] | 32 <= 122) else NO
        if m < 4:
            return MORE if memcmp(resp, b"220 ", m) == 0 or memcmp(resp, b"220-", m) == 0 else NO
        if memcmp(resp, b"220", 3) == 0 and (resp[3] == 32 or resp[3] == 45):
            return YES if at_home else MORE
        if at_home and (memcmp(resp, b"421", 3) == 0 or memcmp(resp, b"554", 3) == 0):
            return YES
        return NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef State* s = <State*>calloc(1, sizeof(State))
        if s is NULL:
            with gil:
                raise MemoryError("a mail session")
        s.talk = t
        s.protocol = <PyObject*>self
        s.mail.owner = s
        s.mail.on_header = _on_header
        s.mail.on_content = _on_content
        s.mail.on_end = _on_end
        t.state = s
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef State* s = <State*>t.state
        if s is NULL:
            return 0
        try:
            self._mail_ends(s)
            self._finish(s)
        finally:
            fell(&s.mail)
            clear(&s.text)
            free(s.carry)
            free(s)
            t.state = NULL
        return 0

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        """Where the next line begins is not known. Of a chunk it is known where it ends; a mail's
        lines go on behind a hole; replies are told by their codes."""
        cdef State* s = <State*>t.state
        cdef Entity* e
        s.scanned[side] = 0
        if side == RESP:
            s.reply_code = 0
            return 0
        if s.mode == CHUNK and s.left < n or s.mode == COMMANDS or s.mode == SECRET:
            self._mail_ends(s)
            s.mode = LOST
            return 0
        if s.mode == CHUNK:
            s.left -= n
        e = s.mail.current
        if e is not NULL and e.file is not NULL:
            self.files.gap(e.file, n, t.time)
        s.mail.mid_line = True
        s.carried = 0
        if s.mode == CHUNK and s.left == 0:
            self._chunk_ends(s)
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef int64_t at = 0, end, next
        cdef const uint8_t* lf
        while at < n and not t.gone and t.following == t.protocol:
            s.now = at
            if side == ORIG and s.mode == CHUNK:
                end = self._chunk(s, p + at, n - at)
                if end == 0:
                    break
                at += end
                continue
            next = s.scanned[side] if s.scanned[side] < n - at else 0
            lf = <const uint8_t*>memchr(p + at + next, 10, n - at - next)
            if lf is NULL:
                s.scanned[side] = n - at
                break
            s.scanned[side] = 0
            end = lf - p
            next = end + 1
            if end > at and p[end - 1] == 13:
                end -= 1
            if side == RESP:
                self._reply(s, p + at, end - at)
            else:
                self._line(s, p + at, end - at)
            at = next
        s.now = 0
        return at

    cdef int _note(
        self, State* s, int bit, const char* name, const char* analyzer, const char* what, int side
    ) except -1 nogil:
        cdef Place found
        cdef Py_ssize_t n = 0
        if s.noted >> bit & 1:
            return 0
        s.noted |= <uint64_t>1 << bit
        while what[n]:
            n += 1
        found = place(s.talk, side, s.now)
        return self.sheets.note(s.talk.flow, &found, name, analyzer, <const uint8_t*>what, n)

    # The client.

    cdef int _line(self, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        if s.mode == MAIL:
            if n == 1 and p[0] == 46:
                self._mail_ends(s)
                s.mode = COMMANDS
                s.from_seen = s.to_seen = False
                return self._expect(s, DOT)
            if n and p[0] == 46:
                p += 1
                n -= 1
            if not s.in_mail:
                self._mail_begins(s)
            return line(&s.mail, p, n, True)
        if s.mode == SECRET:
            s.mode = COMMANDS
            return self._expect(s, AUTH)
        if s.mode == LOST:
            return 0
        return self._command(s, p, n)

    cdef int _command(self, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t verb = 0, at
        while verb < n and not _blank(p[verb]):
            verb += 1
        at = verb
        while at < n and _blank(p[at]):
            at += 1
        if not _verb(p, verb):
            return 0
        confirm(s.talk, SERVICE)
        self._open(s, ORIG)
        if same(p, verb, b"ehlo") or same(p, verb, b"helo"):
            s.helo_length = <int>(n - at if n - at < 512 else 512)
            memcpy(s.helo, p + at, s.helo_length)
        elif same(p, verb, b"rcpt"):
            if n - at >= 3 and same(p + at, 3, b"to:"):
                s.active = True
                s.to_seen = True
                self._addresses(s, p + at, n - at)
                if not s.from_seen:
                    self._note(s, 1, b"smtp_mail_transaction_invalid", b"SMTP",
                               b"rcpt to missing mail from", ORIG)
        elif same(p, verb, b"mail"):
            if n - at >= 5 and same(p + at, 5, b"from:"):
                if s.active:
                    # Its end was not acknowledged.
                    self._finish(s)
                    self._open(s, ORIG)
                s.field[MAIL_FROM] = self._address(s, p + at, n - at)
                s.active = True
                s.from_seen = True
                s.to_seen = False
        elif same(p, verb, b"data"):
            if not s.to_seen:
                self._note(s, 2, b"smtp_mail_transaction_invalid", b"SMTP",
                           b"data missing rcpt to", ORIG)
            # Believed before it is answered: clients do not always wait.
            s.mode = MAIL
            return self._expect(s, DATA)
        elif same(p, verb, b"bdat"):
            return self._bdat(s, p + at, n - at)
        elif same(p, verb, b"starttls") or same(p, verb, b"x-anonymoustls"):
            return self._expect(s, STARTTLS)
        elif same(p, verb, b"auth"):
            return self._expect(s, AUTH)
        return self._expect(s, OTHER)

    cdef int _bdat(self, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        """BDAT size [LAST] (RFC 3030)."""
        cdef int64_t i = 0, size = 0
        if not s.to_seen and not s.in_mail:
            self._note(s, 2, b"smtp_mail_transaction_invalid", b"SMTP",
                       b"data missing rcpt to", ORIG)
        while i < n and 48 <= p[i] <= 57 and size < (<int64_t>1 << 60):
            size = size * 10 + p[i] - 48
            i += 1
        s.last_chunk = n >= 4 and same(p + n - 4, 4, b"last")
        if s.last_chunk:
            s.from_seen = s.to_seen = False
        s.left = size
        s.mode = CHUNK
        if not s.in_mail:
            self._mail_begins(s)
            s.carried = 0
        self._expect(s, BDAT_LAST if s.last_chunk else BDAT)
        if size == 0:
            self._chunk_ends(s)
        return 0

    cdef int64_t _chunk(self, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        """Bytes of a chunk; lines may go on in the next one. A line is given whole where that may
        matter: in headers, and where it may be a boundary."""
        cdef int64_t used = 0, end, next
        cdef bint whole = n >= s.left, ended
        cdef const uint8_t* lf
        if whole:
            n = s.left
        while used < n:
            lf = <const uint8_t*>memchr(p + used, 10, n - used)
            ended = lf is not NULL
            next = lf - p + 1 if ended else n
            if s.carried:
                self._carry(s, p + used, next - used)
                if ended or (whole and s.last_chunk):
                    self._carried_line(s, ended)
                used = next
                continue
            end = next
            if ended:
                end -= 1
                if end > used and p[end - 1] == 13:
                    end -= 1
            elif not whole:
                if whole_line(&s.mail, p + used, n - used):
                    break
                if p[n - 1] == 13:
                    end = next = n - 1
                    if end == used:
                        break
            elif not s.last_chunk and n - used < CARRY_LIMIT:
                # The rest of the line is in the next chunk, behind its command.
                self._carry(s, p + used, n - used)
                used = n
                break
            line(&s.mail, p + used, end - used, ended)
            used = next
        s.left -= used
        if s.left == 0:
            self._chunk_ends(s)
        return used

    cdef int _carry(self, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        if s.carry is NULL:
            s.carry = <uint8_t*>malloc(CARRY_LIMIT)
            if s.carry is NULL:
                with gil:
                    raise MemoryError("a line of a mail")
        if s.carried + n > CARRY_LIMIT:
            n = CARRY_LIMIT - s.carried
        memcpy(s.carry + s.carried, p, n)
        s.carried += <int>n
        return 0

    cdef int _carried_line(self, State* s, bint ended) except -1 nogil:
        cdef int n = s.carried
        s.carried = 0
        if ended and n and s.carry[n - 1] == 10:
            n -= 1
            if n and s.carry[n - 1] == 13:
                n -= 1
        return line(&s.mail, s.carry, n, ended)

    cdef int _chunk_ends(self, State* s) except -1 nogil:
        s.mode = COMMANDS
        if s.last_chunk:
            return self._mail_ends(s)
        return 0

    cdef int _expect(self, State* s, int command) except -1 nogil:
        if s.queued < QUEUE:
            s.queue[s.queued] = command
            s.queued += 1
        return 0

    # The server.

    cdef int _reply(self, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int code, i
        cdef int64_t at = 4
        cdef bint more
        cdef uint8_t[4] head
        if n < 3:
            return 0
        for i in range(3):
            if not 48 <= p[i] <= 57:
                return 0
        code = (p[0] - 48) * 100 + (p[1] - 48) * 10 + p[2] - 48
        if not 100 <= code <= 599:
            return 0
        self._open(s, RESP)
        if s.reply_code != code:
            # The first line of a reply: whose it is.
            if not s.greeted:
                s.greeted = True
                s.replied = OTHER
            elif s.queued:
                s.replied = s.queue[0]
                s.queued -= 1
                for i in range(s.queued):
                    s.queue[i] = s.queue[i + 1]
            else:
                s.replied = OTHER
        more = n > 3 and p[3] == 45
        s.reply_code = code if more else 0
        at = 4 if more else 3
        while at < n and _blank(p[at]):
            at += 1
        memcpy(head, p, 3)
        head[3] = 32
        if s.field[LAST_REPLY].length >= n - at + 4:
            # In place: a session of many replies needs no more room.
            memcpy(s.text.bytes + s.field[LAST_REPLY].at, head, 4)
            memcpy(s.text.bytes + s.field[LAST_REPLY].at + 4, p + at, n - at)
            s.field[LAST_REPLY].length = <int>(n - at + 4)
        else:
            s.field[LAST_REPLY] = keep(&s.text, head, 4, 4)
            s.field[LAST_REPLY].length += keep(&s.text, p + at, n - at, 4096).length
        if more:
            return 0
        if s.replied == DATA:
            if code != 354 and s.mode == MAIL:
                self._mail_ends(s)
                s.mode = COMMANDS
        elif s.replied == DOT or s.replied == BDAT_LAST:
            s.messages += 1
            self._finish(s)
        elif s.replied == AUTH:
            if code == 334:
                s.mode = SECRET
        elif s.replied == STARTTLS and code == 220:
            self._open(s, RESP)
            s.tls = s.active = True
            hand_over(s.talk, UNDECIDED)
        if s.mode == LOST:
            if code == 354:
                s.mode = MAIL
            elif code == 250 or code == 220:
                s.mode = COMMANDS
        s.replied = OTHER
        return 0

    # Mails.

    cdef int _content(self, State* s, Entity* e, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef Place found
        if e.file is NULL:
            found = place(s.talk, ORIG, s.now)
            e.file = self.files.open(s.talk.flow, ORIG, &found, b"SMTP", s.talk.time)
            e.file.depth = e.number
            if e.name_length > 0:
                self.files.name(e.file, e.name, e.name_length)
            add(&s.text, FILES, e.file.uid, UID_ROOM)
        return self.files.data(e.file, p, n, s.talk.time)

    cdef int _part_ends(self, State* s, Entity* e) except -1 nogil:
        cdef File* file = e.file
        if e.illegal:
            self._note(s, 0, b"base64_illegal_encoding", NULL, b"character", 0)
        if file is NULL:
            return 0
        e.file = NULL
        return self.files.close(file)

    cdef int _mail_begins(self, State* s) except -1 nogil:
        s.in_mail = True
        s.mail.count = 0
        s.mail.mid_line = False
        s.mail.nested = False
        return plant(&s.mail)

    cdef int _mail_ends(self, State* s) except -1 nogil:
        if s.in_mail:
            s.in_mail = False
            return fell(&s.mail)
        return 0

    cdef int _header(
        self, State* s, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
    ) except -1 nogil:
        cdef int i
        cdef uint8_t[64] text
        cdef Py_ssize_t length
        for i in range(FIELDS):
            if HEADERS[i][0] and same(name, n, HEADERS[i]):
                s.field[i] = keep(&s.text, value, m, VALUE_LIMIT)
                return 0
        if same(name, n, b"received"):
            s.field[SECOND_RECEIVED] = s.field[FIRST_RECEIVED]
            s.field[FIRST_RECEIVED] = keep(&s.text, value, m, VALUE_LIMIT)
            length = _second_address(value, m, text)
            if length:
                self._hop(s, text, length)
        elif same(name, n, b"to"):
            self._people(s, TO, value, m)
        elif same(name, n, b"cc"):
            self._people(s, CC, value, m)
        elif same(name, n, b"x-originating-ip"):
            length = _first_address(value, m, text)
            if length:
                s.field[ORIGINATING] = keep(&s.text, text, length, 64)
        elif (
            same(name, n, b"x-mailer") or same(name, n, b"user-agent")
            or same(name, n, b"x-user-agent")
        ):
            s.field[AGENT] = keep(&s.text, value, m, VALUE_LIMIT)
        return 0

    cdef int _hop(self, State* s, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """A host that the mail went through, unless it is the one before."""
        cdef int i = s.text.item_count - 1
        cdef int count = 0, k
        cdef Slot last
        for k in range(s.text.item_count):
            count += s.text.items[k].list == PATH
        while i >= 0 and s.text.items[i].list != PATH:
            i -= 1
        if i >= 0:
            last = s.text.items[i].text
            if last.length == n and memcmp(s.text.bytes + last.at, p, n) == 0:
                return 0
        return add(&s.text, PATH, p, n) if count < ADDRESS_LIMIT else 0

    cdef int _people(self, State* s, int list, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """Addresses with commas between them; a comma in quotes is none."""
        cdef Py_ssize_t at = 0, begin, end
        while at < n:
            begin = at
            if p[at] == 34:
                at += 1
                while at < n and p[at] != 34:
                    at += 1
                at += 1
            while at < n and p[at] != 44:
                at += 1
            end = at if at < n else n
            at += 1
            while begin < end and (_blank(p[begin]) or p[begin] == 10 or p[begin] == 13):
                begin += 1
            while end > begin and (_blank(p[end - 1]) or p[end - 1] == 10 or p[end - 1] == 13):
                end -= 1
            if end > begin:
                self._once(s, list, p + begin, end - begin)
        return 0

    cdef int _once(self, State* s, int list, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """Adds to a set."""
        cdef int i, count = 0
        cdef Slot slot
        for i in range(s.text.item_count):
            if s.text.items[i].list == list:
                slot = s.text.items[i].text
                if slot.length == n and memcmp(s.text.bytes + slot.at, p, n) == 0:
                    return 0
                count += 1
        return add(&s.text, list, p, n) if count < ADDRESS_LIMIT else 0

    cdef Slot _address(self, State* s, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = 0, length
        cdef Slot slot
        slot.at = 0
        slot.length = -1
        length = _mail_address(p, n, &at)
        if length:
            slot = keep(&s.text, p + at, length, 1024)
        return slot

    cdef int _addresses(self, State* s, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef Py_ssize_t at = 0, length, skip
        while True:
            length = _mail_address(p, n, &at)
            if length == 0:
                return 0
            skip = 0
            if length > 12 and same(p + at, 12, b"orcpt=rfc822"):
                skip = 13 if p[at + 12] == 59 else 12       # RFC 3461, 4.2
            self._once(s, RCPT_TO, p + at + skip, length - skip)
            at += length

    # Rows.

    cdef int _open(self, State* s, int side) except -1 nogil:
        """A transaction begins with whatever is said first."""
        cdef int i
        cdef uint8_t[64] text
        if s.any:
            return 0
        s.any = True
        s.active = False
        s.depth = s.messages + 1
        s.began = place(s.talk, side, s.now)
        for i in range(FIELDS):
            s.field[i].length = -1
        add(&s.text, PATH, text, put_address(text, &s.talk.flow.address[RESP]))
        add(&s.text, PATH, text, put_address(text, &s.talk.flow.address[ORIG]))
        return 0

    cdef int _finish(self, State* s) except -1 nogil:
        """Writes the transaction, if the client has done something in it."""
        cdef Py_ssize_t row
        if s.any and s.active:
            row = self.sheet.begin(s.talk.flow, &s.began, ACTIVITY_SEND)
            self.class_uid.put(row, EMAIL)
            self.protocol.put_valid(row, b"smtp", 4)
            self.trans_depth.put(row, s.depth)
            if s.helo_length:
                self.helo.put(row, s.helo, s.helo_length)
            self._word(self.mail_from, row, s, MAIL_FROM)
            self._word(self.header_from, row, s, FROM)
            self._word(self.date, row, s, DATE)
            self._word(self.reply_to, row, s, REPLY_TO)
            self._word(self.originating, row, s, ORIGINATING)
            self._word(self.last_reply, row, s, LAST_REPLY)
            self._word(self.agent, row, s, AGENT)
            self._text(self.subject, row, s, SUBJECT)
            self._text(self.message_uid, row, s, MESSAGE_ID)
            self._text(self.in_reply_to, row, s, IN_REPLY_TO)
            self._text(self.first_received, row, s, FIRST_RECEIVED)
            self._text(self.second_received, row, s, SECOND_RECEIVED)
            put_list(self.rcpt_to, row, &s.text, RCPT_TO)
            put_list(self.header_to, row, &s.text, TO)
            put_list(self.cc, row, &s.text, CC)
            put_list(self.path, row, &s.text, PATH)
            put_list(self.file_uids, row, &s.text, FILES)
            self.tls.put(row, s.tls)
            if s.talk.flow.partial:
                self.sheet.flags(1)
            self.sheet.done()
        s.any = s.active = s.tls = False
        clear(&s.text)
        return 0

    cdef int _word(self, DictColumn column, Py_ssize_t row, State* s, int field) except -1 nogil:
        if s.field[field].length >= 0:
            column.put(row, s.text.bytes + s.field[field].at, s.field[field].length)
        return 0

    cdef int _text(self, TextColumn column, Py_ssize_t row, State* s, int field) except -1 nogil:
        if s.field[field].length >= 0:
            column.put(row, s.text.bytes + s.field[field].at, s.field[field].length)
        return 0


cdef const char* VERBS[24]
VERBS[:] = [
    b"ehlo", b"helo", b"mail", b"rcpt", b"data", b"quit", b"rset", b"vrfy", b"expn", b"help",
    b"noop", b"starttls", b"bdat", b"etrn", b"error", b"auth", b"turn", b"send", b"soml", b"saml",
    b"lhlo", b"x-anonymoustls", b"x-exps", b"xclient",
]


cdef bint _verb(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef int i
    for i in range(24):
        if same(p, n, VERBS[i]):
            return True
    return False


cdef Py_ssize_t _mail_address(const uint8_t* p, Py_ssize_t n, Py_ssize_t* at) noexcept nogil:
    """The next address from `at` on: what stands around an @, up to angle brackets, commas, colons
    and blanks. Its length, 0 where there is none."""
    cdef Py_ssize_t i = at[0], begin, end
    while i < n:
        if p[i] != 64:
            i += 1
            continue
        begin = i
        while begin > at[0] and not (
            p[begin - 1] == 60 or p[begin - 1] == 44 or p[begin - 1] == 58 or _blank(p[begin - 1])
            or p[begin - 1] == 64
        ):
            begin -= 1
        end = i + 1
        while end < n and not (
            p[end] == 62 or p[end] == 44 or p[end] == 59 or _blank(p[end])
        ):
            end += 1
        if begin < i and end > i + 1:
            at[0] = begin
            return end - begin
        i += 1
    return 0


cdef Py_ssize_t _ip_at(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t at, uint8_t* out, Py_ssize_t* end
) noexcept nogil:
    """An IPv4 address that begins there: how many letters were put to `out`."""
    cdef uint8_t[4] parts
    cdef int k, value, digits
    cdef Py_ssize_t i = at
    for k in range(4):
        value = digits = 0
        while i < n and 48 <= p[i] <= 57 and digits < 3:
            value = value * 10 + p[i] - 48
            digits += 1
            i += 1
        if digits == 0 or value > 255:
            return 0
        parts[k] = <uint8_t>value
        if k < 3:
            if i >= n or p[i] != 46:
                return 0
            i += 1
    if i < n and 48 <= p[i] <= 57:
        return 0
    end[0] = i
    return put_ipv4(out, parts)


cdef Py_ssize_t _first_address(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i = 0, end = 0, length
    while i < n:
        if 48 <= p[i] <= 57:
            length = _ip_at(p, n, i, out, &end)
            if length:
                return length
            while i < n and (48 <= p[i] <= 57 or p[i] == 46):
                i += 1
        else:
            i += 1
    return 0


cdef Py_ssize_t _second_address(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    """Of a Received header: its second address, which is who the mail came from; else its first."""
    cdef uint8_t[64] other
    cdef Py_ssize_t i = 0, end = 0, length, first = 0
    while i < n:
        if not 48 <= p[i] <= 57:
            i += 1
            continue
        length = _ip_at(p, n, i, other, &end)
        if length == 0:
            while i < n and (48 <= p[i] <= 57 or p[i] == 46):
                i += 1
            continue
        memcpy(out, other, length)
        if first:
            return length
        first = length
        i = end
    return first
