"""FTP (RFC 959, 2428, 3659, 4217): commands with their replies, and the data connections.

    command = verb [SP argument] CRLF           reply = code ("-" | SP) text CRLF

A row is a command that opens a data connection, moves or deletes a file, with the reply to it, as
in Zeek's ftp.log. Where data will come is announced (expected.pxd): that flow is ftp-data, and what
goes over it a file.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy, strlen, strstr

from tracelake.native.account cimport Account
from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn, TextColumn
from tracelake.parsers.conn cimport ORIG, RESP, Place, put_address
from tracelake.parsers.packet cimport Address
from tracelake.parsers.protocols.entity cimport same
from tracelake.parsers.protocols.expected cimport Announced
from tracelake.parsers.protocols.files cimport File, Files, UID_ROOM, files_of
from tracelake.parsers.protocols.ftp_path cimport PATH_ROOM, join_path, quoted_path
from tracelake.parsers.protocols.ftp_port cimport read_eprt, read_epsv, read_port
from tracelake.parsers.protocols.mime cimport mime_name, mime_of
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, hand_over, place,
)
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.services cimport service

cdef int SERVICE = service("ftp")
cdef int DATA_SERVICE = service("ftp-data")

cdef enum:
    LINE_LIMIT = 65536
    PENDING_LIMIT = 20
    ARGUMENT_LIMIT = 4096
    NAME_LIMIT = 128
    HEAD = 1024             # bytes of a file that tell the control connection its type

cdef enum:
    CLASS = 4008            # OCSF: FTP Activity
    ACTIVITY_PUT = 1
    ACTIVITY_GET = 2
    ACTIVITY_DELETE = 4
    ACTIVITY_OTHER = 99

# Which replies a command may have (RFC 959, 5.4, and the extensions); 500 fits all.
cdef const char* REPLIES[46]
REPLIES[:] = [
    b"USER 331 332 230 530 501 421", b"PASS 230 202 530 501 503 421 332",
    b"ACCT 230 202 530 501 503 421", b"CWD 250 501 502 421 530 550",
    b"CDUP 200 250 501 502 421 530 550",
    b"SMNT 202 250 501 502 421 530 550", b"REIN 120 220 421 502", b"QUIT 221",
    b"PORT 200 501 421 530", b"PASV 227 501 502 421 530", b"MODE 200 501 504 421 530",
    b"TYPE 200 501 504 421 530", b"STRU 200 501 504 421 530", b"ALLO 200 202 501 504 421 530",
    b"REST 350 501 502 421 530",
    b"STOR 125 150 110 226 250 421 425 426 451 551 552 532 450 452 553 501 530 550",
    b"STOU 125 150 110 226 250 421 425 426 451 551 552 532 450 452 553 501 530 550",
    b"RETR 125 150 110 226 250 421 425 426 451 450 550 501 530",
    b"LIST 125 150 226 250 421 425 426 451 450 501 502 530 550",
    b"NLST 125 150 226 250 421 425 426 451 450 501 502 530 550",
    b"APPE 125 150 226 250 421 425 426 451 551 552 532 450 550 452 553 501 502 530",
    b"RNFR 350 421 450 550 501 502 530", b"RNTO 250 421 532 553 501 502 503 530",
    b"DELE 250 421 450 550 501 502 530", b"RMD 250 421 501 502 530 550",
    b"MKD 257 421 501 502 530 550", b"PWD 257 421 501 502 550", b"ABOR 225 226 421 501 502",
    b"SYST 215 421 501 502 530", b"STAT 211 212 213 421 450 501 502 530",
    b"HELP 200 211 214 421 501 502", b"SITE 200 202 214 501 502 530", b"NOOP 200 421",
    b"LPRT 501 521", b"FEAT 211 502", b"OPTS 200 451 501", b"EPSV 229 501",
    b"EPRT 200 501 522", b"SIZE 213 501 550", b"MDTM 213 501 550",
    b"MLST 150 226 250 501 550", b"MLSD 150 226 250 501 550", b"CLNT 200", b"MACB 200 550",
    b"AUTH 234 334 431 502 504 534", b"XPWD 257 421 501 502 550",
]

# Commands whose argument is a path; those that become rows; those that a session may begin with.
cdef const char* OF_FILES = b" APPE CWD DELE MKD RETR RMD RNFR RNTO STOR STOU REST SIZE MDTM "
cdef const char* LOGGED = b" APPE DELE RETR STOR STOU ACCT PORT PASV EPRT EPSV "
cdef const char* FIRST = b" USER PASS AUTH FEAT SYST OPTS CLNT HOST PBSZ PROT ACCT "


cdef struct Command:
    int64_t number
    Place place
    uint8_t verb[8]
    int verb_length
    bint init                   # what the server's greeting answers to
    bint directory_taken
    uint8_t* argument
    int argument_length
    int full_length             # before it was cut


cdef struct Channel:            # a data connection of a session
    Channel* next
    Session* session            # NULL when it is gone
    File* file[2]


cdef struct Session:
    Talk* talk
    Channel* channels
    Command pending[PENDING_LIMIT]
    int pending_count
    int64_t number              # of commands so far
    int64_t current             # number of the one that the latest reply is to; 0: none
    int reply_code              # -1: none yet
    uint8_t* reply              # at most ARGUMENT_LIMIT bytes
    int reply_length
    int reply_room
    int going_on                # code of a reply of several lines; 0: none
    int64_t size                # -1: not told
    bint channel                # a data connection was agreed on, and not logged yet
    bint passive
    Address data_orig
    Address data_resp
    uint16_t data_port
    bint has_file
    uint8_t uid[UID_ROOM]
    int mime                    # -1: not told
    bint named                  # a user
    uint8_t user[NAME_LIMIT]
    int user_length
    bint has_password
    uint8_t password[NAME_LIMIT]
    int password_length
    uint8_t* directory
    int directory_length
    bint tls
    int64_t scanned[2]
    int64_t now
    uint64_t noted


cdef inline bint _listed(const char* words, const uint8_t* p, int n) noexcept nogil:
    """Whether a verb is one of those with blanks around them."""
    cdef uint8_t[12] text
    if n > 8 or n < 1:
        return False
    text[0] = 32
    memcpy(text + 1, p, n)
    text[n + 1] = 32
    text[n + 2] = 0
    return strstr(words, <const char*>text) is not NULL


cdef bint _fits(const Command* c, int code) noexcept nogil:
    """Whether a reply may be to a command."""
    cdef int i
    cdef uint8_t[5] digits
    if code == 500:
        return True
    digits[0] = 32
    digits[1] = <uint8_t>(48 + code // 100)
    digits[2] = <uint8_t>(48 + code // 10 % 10)
    digits[3] = <uint8_t>(48 + code % 10)
    digits[4] = 0
    for i in range(46):
        if memcmp(REPLIES[i], c.verb, c.verb_length) == 0 and REPLIES[i][c.verb_length] == 32:
            return strstr(REPLIES[i], <const char*>digits) is not NULL
    return False


cdef bint _within(const uint8_t* p, int n, const uint8_t* what, int length) noexcept nogil:
    cdef int i
    if length == 0:
        return True
    for i in range(n - length + 1):
        if p[i] == what[0] and memcmp(p + i, what, length) == 0:
            return True
    return False


cdef class Ftp(Protocol):
    cdef Sheet sheet
    cdef int data_index
    cdef DictColumn protocol, command, user, password, data_src, data_dst, mime_type, path
    cdef TextColumn argument, reply, file_uid
    cdef IntColumn reply_code, file_size, data_port, status_id, class_uid
    cdef BoolColumn passive, tls

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "ftp"
        self.ports = (21, 2121)
        self.longest = LINE_LIMIT
        self.data_index = index + 1         # known.py: FtpData follows
        sheet = self.sheet = sheets.sheet("net_service_activity")
        rows = sheet.rows
        self.protocol = rows.column("protocol")
        self.command = rows.column("command")
        self.user = rows.column("user_name")
        self.password = rows.column("password")
        self.data_src = rows.column("data_src_ip")
        self.data_dst = rows.column("data_dst_ip")
        self.data_port = rows.column("data_dst_port")
        self.mime_type = rows.column("mime_type")
        self.path = rows.column("file_path")
        self.argument = rows.column("argument")
        self.reply = rows.column("reply")
        self.class_uid = rows.column("class_uid")
        self.reply_code = rows.column("reply_code")
        self.file_size = rows.column("file_size")
        self.file_uid = rows.column("file_uid")
        self.status_id = rows.column("status_id")
        self.passive = rows.column("data_passive")
        self.tls = rows.column("tls")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef int port = t.flow.port[RESP], i = 0
        cdef bint at_home = port == 21 or port == 2121
        cdef uint8_t[8] verb
        if m:
            if m < 4:
                return MORE if memcmp(resp, b"220", m if m < 3 else 3) == 0 else NO
            if memcmp(resp, b"220", 3) or not (resp[3] == 32 or resp[3] == 45):
                return NO
            if at_home:
                return YES
            if n == 0:
                return MORE
        elif n < 5:
            return MORE if at_home else NO
        while i < n and i < 8 and 97 <= orig[i] | 32 <= 122:
            verb[i] = orig[i] & 0xDF
            i += 1
        if i == n:
            return MORE if n < 8 else NO
        if not _listed(FIRST, verb, i):
            return NO
        # USER is POP3's as well: there it is greeted with +OK.
        return YES if m or at_home else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>calloc(1, sizeof(Session))
        if s is NULL:
            with gil:
                raise MemoryError("an FTP session")
        s.talk = t
        s.reply_code = -1
        s.size = -1
        s.mime = -1
        t.state = s
        self._go(s, b".", 1)
        self._pend(s, b"<init>", 6, NULL, 0)
        s.pending[0].init = True
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef Channel* c
        cdef int i
        if s is NULL:
            return 0
        try:
            for i in range(s.pending_count):
                self._row(s, &s.pending[i])
        finally:
            for i in range(s.pending_count):
                free(s.pending[i].argument)
            c = s.channels
            while c is not NULL:
                c.session = NULL
                c = c.next
            self.sheets.expected.forget(s)
            free(s.reply)
            free(s.directory)
            free(s)
            t.state = NULL
        return 0

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        """What follows begins in the middle of a line: that is no command, and no reply."""
        cdef Session* s = <Session*>t.state
        s.scanned[side] = 0
        s.going_on = 0
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef int64_t at = 0, end, next
        cdef const uint8_t* lf
        while at < n and not t.gone and t.following == t.protocol:
            s.now = at
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
            if side == ORIG:
                self._line(s, p + at, end - at)
            else:
                self._answer(s, p + at, end - at)
            at = next
        s.now = 0
        return at

    cdef int _note(
        self, Session* s, int bit, const char* name, const uint8_t* what, Py_ssize_t n
    ) except -1 nogil:
        cdef Place found
        if s.noted >> bit & 1:
            return 0
        s.noted |= <uint64_t>1 << bit
        found = place(s.talk, ORIG, s.now)
        return self.sheets.note(s.talk.flow, &found, name, b"FTP", what, n)

    # Commands.

    cdef int _line(self, Session* s, const uint8_t* p, int64_t n) except -1 nogil:
        cdef uint8_t[8] verb
        cdef int64_t at = 0
        cdef int length, i
        cdef Command* c
        cdef Address address
        cdef uint16_t port = 0
        # Telnet's interrupt before ABOR (RFC 959, 4.1.3).
        while at < n and (p[at] >= 0xF0 or p[at] == 32):
            at += 1
        p += at
        n -= at
        at = 0
        while at < n and p[at] != 32 and p[at] != 9:
            at += 1
        length = <int>at
        while at < n and (p[at] == 32 or p[at] == 9):
            at += 1
        if length == 0 or length > 8:
            if length:
                self._note(s, 0, b"FTP_invalid_command", NULL, 0)
            return 0
        for i in range(length):
            verb[i] = p[i] & 0xDF if 97 <= p[i] <= 122 else p[i]
            if not (65 <= verb[i] <= 90):
                return self._note(s, 0, b"FTP_invalid_command", NULL, 0)
        p += at
        n -= at
        confirm(s.talk, SERVICE)
        # The command before is done: it is a row now, since replies may be several.
        if s.current and s.reply_code >= 0:
            for i in range(s.pending_count):
                if s.pending[i].number == s.current:
                    self._row(s, &s.pending[i])
                    self._drop(s, i)
                    break
        if s.pending_count < PENDING_LIMIT:
            self._pend(s, verb, length, p, n)
        else:
            self._note(s, 1, b"FTP_too_many_pending_commands", NULL, 0)
        if length == 4 and memcmp(verb, b"USER", 4) == 0:
            s.named = True
            s.user_length = <int>(n if n < NAME_LIMIT else NAME_LIMIT)
            memcpy(s.user, p, s.user_length)
        elif length == 4 and memcmp(verb, b"PASS", 4) == 0:
            s.has_password = True
            s.password_length = <int>(n if n < NAME_LIMIT else NAME_LIMIT)
            memcpy(s.password, p, s.password_length)
        elif length == 4 and memcmp(verb, b"PORT", 4) == 0:
            if read_port(p, n, &address, &port):
                self._announce(s, False, &address, port)
        elif length == 4 and memcmp(verb, b"EPRT", 4) == 0:
            if read_eprt(p, n, &address, &port):
                self._announce(s, False, &address, port)
        return 0

    cdef int _pend(
        self, Session* s, const uint8_t* verb, int length, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef Command* c = &s.pending[s.pending_count]
        c.argument = NULL
        c.argument_length = 0
        c.full_length = <int>n
        if n:
            if n > ARGUMENT_LIMIT:
                n = ARGUMENT_LIMIT
            c.argument = <uint8_t*>malloc(n)
            if c.argument is NULL:
                with gil:
                    raise MemoryError("an FTP command")
            memcpy(c.argument, p, n)
            c.argument_length = <int>n
        s.number += 1
        c.number = s.number
        c.place = place(s.talk, ORIG, s.now)
        c.verb_length = length
        memcpy(c.verb, verb, length)
        c.init = c.directory_taken = False
        s.pending_count += 1
        return 0

    cdef void _drop(self, Session* s, int i) noexcept nogil:
        cdef int k
        free(s.pending[i].argument)
        s.pending_count -= 1
        for k in range(i, s.pending_count):
            s.pending[k] = s.pending[k + 1]

    cdef int _announce(
        self, Session* s, bint passive, const Address* to, uint16_t port
    ) except -1 nogil:
        s.channel = True
        s.passive = passive
        s.data_orig = s.talk.flow.address[ORIG if passive else RESP]
        s.data_resp = to[0]
        s.data_port = port
        return self.sheets.expected.announce(
            &s.data_orig, to, port, self.data_index, s, s.talk.time
        )

    # Replies.

    cdef int _go(self, Session* s, const uint8_t* path, int n) except -1 nogil:
        """The session's directory is another one."""
        cdef uint8_t* copy = <uint8_t*>malloc(n + 1)
        if copy is NULL:
            with gil:
                raise MemoryError("a directory")
        memcpy(copy, path, n)
        free(s.directory)
        s.directory = copy
        s.directory_length = n
        return 0

    cdef int _answer(self, Session* s, const uint8_t* p, int64_t n) except -1 nogil:
        cdef uint8_t[PATH_ROOM] path
        cdef int code = -1, i, best = -1, score, most = -1
        cdef int64_t at = 0
        cdef bint more = False
        cdef Command* c
        cdef Address address
        cdef uint16_t port = 0
        if n >= 3 and 48 <= p[0] <= 57 and 48 <= p[1] <= 57 and 48 <= p[2] <= 57:
            code = (p[0] - 48) * 100 + (p[1] - 48) * 10 + p[2] - 48
        if s.going_on:
            if code == s.going_on and (n == 3 or p[3] != 45):
                s.going_on = 0
            else:
                return 0                # lines in between say nothing of a command
        elif code < 100 or code > 699:
            return 0
        elif n > 3 and p[3] == 45:
            s.going_on = code
            more = True
        at = 4 if n > 3 else 3
        while at < n and (p[at] == 32 or p[at] == 9):
            at += 1
        s.reply_code = code
        i = <int>(n - at if n - at < ARGUMENT_LIMIT else ARGUMENT_LIMIT)
        if i > s.reply_room:
            free(s.reply)
            s.reply_room = 0
            s.reply = <uint8_t*>malloc(i)
            if s.reply is NULL:
                with gil:
                    raise MemoryError("a reply")
            s.reply_room = i
        s.reply_length = i
        if i:
            memcpy(s.reply, p + at, i)
        # Whose it is: the first that it fits best.
        for i in range(s.pending_count):
            c = &s.pending[i]
            score = 100 if _fits(c, code) or c.init and code == 220 else 0
            if _within(s.reply, s.reply_length, c.verb, c.verb_length):
                score += 20
            if c.argument_length and _within(
                s.reply, s.reply_length, c.argument, c.argument_length
            ):
                score += 10
            if score > most:
                most = score
                best = i
        if best < 0:
            s.current = 0
            return 0
        c = &s.pending[best]
        s.current = c.number
        if more:
            return 0
        if (code == 150 and _is(c, b"RETR")) or (code == 213 and _is(c, b"SIZE")):
            s.size = _count(s.reply, s.reply_length, code == 213)
        elif code == 227 and _is(c, b"PASV"):
            if read_port(s.reply, s.reply_length, &address, &port):
                self._announce(s, True, &address, port)
        elif code == 229 and _is(c, b"EPSV"):
            if read_epsv(s.reply, s.reply_length, &port):
                self._announce(s, True, &s.talk.flow.address[RESP], port)
        elif code == 234 and _is(c, b"AUTH"):
            s.tls = True
            hand_over(s.talk, UNDECIDED)
        if not c.directory_taken:
            if code == 250 and _is(c, b"CWD"):
                c.directory_taken = True
                i = join_path(
                    s.directory, s.directory_length, c.argument, c.argument_length, path
                )
                self._go(s, path, i)
            elif (code == 200 or code == 250) and _is(c, b"CDUP"):
                c.directory_taken = True
                i = join_path(s.directory, s.directory_length, b"/..", 3, path)
                self._go(s, path, i)
            elif code == 257 and (_is(c, b"PWD") or _is(c, b"XPWD")):
                c.directory_taken = True
                i = quoted_path(s.reply, s.reply_length, path)
                if i:
                    self._go(s, path, i)
        if s.pending_count > 1:
            # More is waiting: no command will come that ends this one.
            self._row(s, c)
            self._drop(s, best)
        return 0

    # Rows.

    cdef int _row(self, Session* s, Command* c) except -1 nogil:
        """Writes a command, if it is one of those that matter, and forgets what belongs to it."""
        cdef Py_ssize_t row
        cdef uint8_t[64] text
        cdef uint8_t* url
        cdef int n, activity = ACTIVITY_OTHER
        if not c.init and _listed(LOGGED, c.verb, c.verb_length):
            if _is(c, b"RETR"):
                activity = ACTIVITY_GET
            elif _is(c, b"STOR") or _is(c, b"STOU") or _is(c, b"APPE"):
                activity = ACTIVITY_PUT
            elif _is(c, b"DELE"):
                activity = ACTIVITY_DELETE
            row = self.sheet.begin(s.talk.flow, &c.place, activity)
            self.class_uid.put(row, CLASS)
            self.protocol.put_valid(row, b"ftp", 3)
            if s.named:
                self.user.put(row, s.user, s.user_length)
            else:
                self.user.put_valid(row, b"<unknown>", 9)
            if s.has_password:
                self.password.put(row, s.password, s.password_length)
            self.command.put_valid(row, c.verb, c.verb_length)
            if _listed(OF_FILES, c.verb, c.verb_length):
                url = <uint8_t*>malloc(PATH_ROOM + 80)
                if url is NULL:
                    with gil:
                        raise MemoryError("a path")
                try:
                    n = _url(s, c, url)
                    if n > ARGUMENT_LIMIT:
                        self._note(s, 2, b"FTP_arg_too_long", NULL, 0)
                        n = ARGUMENT_LIMIT
                    self.argument.put(row, url, n)
                finally:
                    free(url)
                if c.argument_length:
                    self.path.put(row, c.argument, c.argument_length)
            elif c.argument_length:
                if c.full_length > ARGUMENT_LIMIT:
                    self._note(s, 2, b"FTP_arg_too_long", NULL, 0)
                self.argument.put(row, c.argument, c.argument_length)
            if s.reply_code >= 0:
                self.reply_code.put(row, s.reply_code)
                self.reply.put(row, s.reply, s.reply_length)
                if s.reply_code >= 200:
                    self.status_id.put(row, 2 if s.reply_code >= 400 else 1)
            if s.size >= 0:
                self.file_size.put(row, s.size)
            if s.channel:
                self.passive.put(row, s.passive)
                self.data_src.put_valid(row, text, put_address(text, &s.data_orig))
                self.data_dst.put_valid(row, text, put_address(text, &s.data_resp))
                self.data_port.put(row, s.data_port)
            if s.has_file:
                self.file_uid.put_valid(row, s.uid, UID_ROOM)
            if s.mime >= 0:
                self.mime_type.put_valid(
                    row, <const uint8_t*>mime_name(s.mime), strlen(mime_name(s.mime))
                )
            if s.tls:
                self.tls.put(row, True)
            if s.talk.flow.partial:
                self.sheet.flags(1)
            self.sheet.done()
        s.channel = s.has_file = False
        s.size = -1
        s.mime = -1
        return 0


cdef inline bint _is(const Command* c, const char* verb) noexcept nogil:
    cdef int n = <int>strlen(verb)
    return c.verb_length == n and memcmp(c.verb, verb, n) == 0


cdef int _url(Session* s, const Command* c, uint8_t* out) noexcept nogil:
    """The file that a command is about: ftp://address/path."""
    cdef uint8_t[PATH_ROOM] path
    cdef int n, at = 6
    memcpy(out, b"ftp://", 6)
    at += <int>put_address(out + 6, &s.talk.flow.address[RESP])
    if memchr(out + 6, 58, at - 6) is not NULL:
        # An IPv6 address stands in brackets.
        n = at
        while n > 6:
            out[n] = out[n - 1]
            n -= 1
        out[6] = 91
        out[at + 1] = 93
        at += 2
    n = join_path(s.directory, s.directory_length, c.argument, c.argument_length, path)
    if n == 0 or path[0] != 47:
        out[at] = 47
        at += 1
    memcpy(out + at, path, n)
    return at + n


cdef int64_t _count(const uint8_t* p, int n, bint first) noexcept nogil:
    """The number in a text: `(1234 bytes)`, or the first there is; -1 where there is none."""
    cdef int64_t value
    cdef int i = 0, begin
    while i < n:
        if not 48 <= p[i] <= 57:
            i += 1
            continue
        begin = i
        value = 0
        while i < n and 48 <= p[i] <= 57 and value < (<int64_t>1 << 58):
            value = value * 10 + p[i] - 48
            i += 1
        if first or (
            (begin == 0 or p[begin - 1] == 32 or p[begin - 1] == 40)
            and i + 1 < n and p[i] == 32 and p[i + 1] | 32 == 98
        ):
            return value
    return -1


cdef class FtpData(Protocol):
    """What goes over a connection that was announced as FTP's."""
    cdef Files files

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "ftp-data"
        self.files = files_of(sheets)

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Channel* c = <Channel*>calloc(1, sizeof(Channel))
        cdef Announced* announced = self.sheets.expected.find(t.flow)
        if c is NULL:
            with gil:
                raise MemoryError("a data connection")
        t.state = c
        confirm(t, DATA_SERVICE)
        if announced is not NULL and announced.context is not NULL:
            c.session = <Session*>announced.context
            c.next = c.session.channels
            c.session.channels = c
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Channel* c = <Channel*>t.state
        cdef File* file = c.file[side]
        cdef Session* s = c.session
        cdef int64_t before
        if file is NULL:
            file = self._file(t, c, side)
        before = file.seen
        self.files.data(file, p, n, t.time)
        if s is not NULL and before < HEAD <= file.seen and file.count >= HEAD and not file.missing:
            s.mime = mime_of(file.buffer, HEAD)
        return n

    cdef File* _file(self, Talk* t, Channel* c, int side) except NULL nogil:
        cdef Place found = place(t, side, 0)
        cdef Session* s = c.session
        cdef Command* command
        cdef int i
        c.file[side] = self.files.open(t.flow, side, &found, b"FTP_DATA", t.time)
        if s is not NULL:
            s.has_file = True
            memcpy(s.uid, c.file[side].uid, UID_ROOM)
            for i in range(s.pending_count):
                command = &s.pending[i]
                if command.argument_length and (
                    _is(command, b"RETR") or _is(command, b"STOR") or _is(command, b"APPE")
                    or _is(command, b"STOU")
                ):
                    self.files.name(c.file[side], command.argument, command.argument_length)
        return c.file[side]

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        cdef Channel* c = <Channel*>t.state
        if c.file[side] is NULL:
            self._file(t, c, side)
        return self.files.gap(c.file[side], n, t.time)

    cdef int closed(self, Talk* t, int side) except -1 nogil:
        cdef Channel* c = <Channel*>t.state
        cdef File* file = c.file[side]
        if file is not NULL:
            c.file[side] = NULL
            self.files.close(file)
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Channel* c = <Channel*>t.state
        cdef Channel** link
        if c is NULL:
            return 0
        try:
            self.closed(t, ORIG)
            self.closed(t, RESP)
        finally:
            if c.session is not NULL:
                link = &c.session.channels
                while link[0] is not NULL and link[0] is not c:
                    link = &link[0].next
                if link[0] is c:
                    link[0] = c.next
            free(c)
            t.state = NULL
        return 0
