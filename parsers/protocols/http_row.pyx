"""A request and its response as a row (see http_row.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcpy, strlen

from tracelake.parsers.conn cimport ORIG
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.entity cimport same
from tracelake.parsers.protocols.files cimport UID_ROOM
from tracelake.parsers.protocols.mime cimport mime_name
from tracelake.parsers.protocols.text_slots cimport add, clear, keep, listed, put_list
from tracelake.parsers.webactivity cimport activity_of

cdef enum:
    VALUE_LIMIT = 65536
    SUCCESS = 1
    FAILURE = 2


cdef inline int _hex(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    if 97 <= c <= 102:
        return c - 87
    return -1


cdef Py_ssize_t _unescape(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, int* odd
) noexcept nogil:
    """Percent-encoding (RFC 3986, 2.1), also as %u00AE, taken back; what is no such thing stays."""
    cdef Py_ssize_t i = 0, count = 0
    while i < n:
        if p[i] != 37:
            out[count] = p[i]
            count += 1
            i += 1
            continue
        i += 1
        if i == n:
            out[count] = 37
            count += 1
            odd[0] |= LONE_PERCENT_AT_END
        elif i + 1 == n:
            out[count] = 37
            out[count + 1] = p[i]
            count += 2
            odd[0] |= PART_AT_END
            i += 1
        elif p[i] == 37:
            odd[0] |= DOUBLE_PERCENT        # the first is passed over
        elif _hex(p[i]) >= 0 and _hex(p[i + 1]) >= 0:
            out[count] = <uint8_t>(_hex(p[i]) << 4 | _hex(p[i + 1]))
            count += 1
            i += 2
        elif (
            n - i >= 5 and p[i] == 117 and _hex(p[i + 1]) >= 0 and _hex(p[i + 2]) >= 0
            and _hex(p[i + 3]) >= 0 and _hex(p[i + 4]) >= 0
        ):
            if p[i + 1] != 48 or p[i + 2] != 48:
                out[count] = <uint8_t>(_hex(p[i + 1]) << 4 | _hex(p[i + 2]))
                count += 1
            out[count] = <uint8_t>(_hex(p[i + 3]) << 4 | _hex(p[i + 4]))
            count += 1
            i += 5
        else:
            odd[0] |= UNESCAPED_PERCENT
            out[count] = 37
            out[count + 1] = p[i]
            count += 2
            i += 1
    return count


cdef class HttpRows:
    """Rows of http_activity.

    Args:
        sheets: the tables that rows are written to.
    """

    def __cinit__(self, Sheets sheets):
        sheet = self.sheet = sheets.sheet("http_activity")
        rows = sheet.rows
        self.trans_depth = rows.column("trans_depth")
        self.status_code = rows.column("status_code")
        self.info_code = rows.column("info_code")
        self.request_len = rows.column("request_len")
        self.response_len = rows.column("response_len")
        self.status_id = rows.column("status_id")
        self.http_method = rows.column("http_method")
        self.http_version = rows.column("http_version")
        self.url_scheme = rows.column("url_scheme")
        self.url_hostname = rows.column("url_hostname")
        self.user_agent = rows.column("user_agent")
        self.user_name = rows.column("user_name")
        self.status_text = rows.column("status_text")
        self.info_text = rows.column("info_text")
        self.req_mime = rows.column("req_mime")
        self.resp_mime = rows.column("resp_mime")
        self.upgrade = rows.column("upgrade_protocol")
        self.url_path = rows.column("url_path")
        self.url_query = rows.column("url_query")
        self.url = rows.column("url")
        self.referrer = rows.column("referrer")
        self.origin = rows.column("origin")
        self.file_uids = rows.column("file_uids")
        self.file_names = rows.column("file_names")
        self.req_file_uids = rows.column("req_file_uids")
        self.req_file_names = rows.column("req_file_names")
        self.proxied = rows.column("proxied")
        self.forwarded = rows.column("x_forwarded_for")
        self.offered_protocols = rows.column("ws_client_protocols")
        self.protocols = rows.column("ws_protocol")
        self.offered_extensions = rows.column("ws_client_extensions")
        self.extensions = rows.column("ws_server_extensions")
        self.duration = rows.column("duration_s")

    cdef Exchange* make(self, const Place* place) except NULL nogil:
        cdef Exchange* x = <Exchange*>calloc(1, sizeof(Exchange))
        cdef int i
        if x is NULL:
            with gil:
                raise MemoryError("a request")
        self.waiting += 1
        x.place = place[0]
        x.answered = x.status = x.info = -1
        for i in range(FIELDS):
            x.field[i].length = -1
        return x

    cdef void free(self, Exchange* x) noexcept nogil:
        clear(&x.text)
        self.waiting -= 1
        free(x)

    cdef int target(self, Exchange* x, const uint8_t* p, Py_ssize_t n, int* odd) except -1 nogil:
        cdef const uint8_t* cut
        cdef const uint8_t* path = p
        cdef Py_ssize_t i = 0
        odd[0] = 0
        # Absolute form (RFC 9112, 3.2.2): of requests to a proxy.
        while i < n and 97 <= p[i] | 32 <= 122:
            i += 1
        if i and i + 3 < n and p[i] == 58 and p[i + 1] == 47 and p[i + 2] == 47:
            self._url_part(x, WHOLE, p, n, odd)
            x.field[SCHEME] = keep(&x.text, p, i, 32)
            path = p + i + 3
            n -= i + 3
            i = 0
            while i < n and path[i] != 47 and path[i] != 63:
                i += 1
            if x.field[HOST].length < 0:
                x.field[HOST] = keep(&x.text, path, i, 1024)
                # A Host header overwrites it.
            path += i
            n -= i
            odd[0] = 0
        cut = <const uint8_t*>memchr(path, 63, n) if n else NULL
        if cut is NULL:
            return self._url_part(x, PATH, path, n, odd)
        self._url_part(x, PATH, path, cut - path, odd)
        return self._url_part(x, QUERY, cut + 1, n - (cut + 1 - path), odd)

    cdef int _url_part(
        self, Exchange* x, int field, const uint8_t* p, Py_ssize_t n, int* odd
    ) except -1 nogil:
        cdef uint8_t* out
        cdef Py_ssize_t count
        if n > VALUE_LIMIT * 4:
            n = VALUE_LIMIT * 4
            x.truncated = True
        if n == 0 or memchr(p, 37, n) is NULL:
            x.field[field] = keep(&x.text, p, n, n)
            return 0
        out = <uint8_t*>malloc(n + 2)
        if out is NULL:
            with gil:
                raise MemoryError("a URL")
        count = _unescape(p, n, out, odd)
        try:
            x.field[field] = keep(&x.text, out, count, count)
        finally:
            free(out)
        return 0

    cdef int header(
        self, Exchange* x, int side, const uint8_t* name, Py_ssize_t n, const uint8_t* value,
        Py_ssize_t m,
    ) except -1 nogil:
        cdef uint8_t[320] upper
        cdef Py_ssize_t i
        if side != ORIG:
            if n == 22 and same(name, n, b"sec-websocket-protocol"):
                add(&x.text, PROTOCOL, value, m)
            elif n == 24 and same(name, n, b"sec-websocket-extensions"):
                add(&x.text, EXTENSIONS, value, m)
            return 0
        if n == 4 and same(name, n, b"host"):
            x.field[HOST] = keep(&x.text, value, m, VALUE_LIMIT)
        elif n == 10 and same(name, n, b"user-agent"):
            x.field[USER_AGENT] = keep(&x.text, value, m, VALUE_LIMIT)
        elif n == 7 and same(name, n, b"referer"):
            x.field[REFERRER] = keep(&x.text, value, m, VALUE_LIMIT)
        elif n == 6 and same(name, n, b"origin"):
            x.field[ORIGIN] = keep(&x.text, value, m, VALUE_LIMIT)
        elif n == 5 and same(name, n, b"range"):
            x.ranged = True
        elif n == 13 and same(name, n, b"authorization") or (
            n == 19 and same(name, n, b"proxy-authorization")
        ):
            self._credentials(x, value, m)
        elif n == 22 and same(name, n, b"sec-websocket-protocol"):
            add(&x.text, OFFERED_PROTOCOLS, value, m)
        elif n == 24 and same(name, n, b"sec-websocket-extensions"):
            add(&x.text, OFFERED_EXTENSIONS, value, m)
        elif (
            same(name, n, b"x-forwarded-for") or same(name, n, b"forwarded")
            or same(name, n, b"x-forwarded-from") or same(name, n, b"client-ip")
            or same(name, n, b"via") or same(name, n, b"xroxy-connection")
            or same(name, n, b"proxy-connection")
        ):
            for i in range(n):
                upper[i] = name[i] & 0xDF if 97 <= name[i] <= 122 else name[i]
            memcpy(upper + n, b" -> ", 4)
            if m > 256:
                m = 256
            memcpy(upper + n + 4, value, m)
            add(&x.text, PROXIED, upper, n + 4 + m)
            if n == 15:
                add(&x.text, FORWARDED, value, m)
        return 0

    cdef int _credentials(self, Exchange* x, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The user of basic authentication (RFC 7617); the password is not kept."""
        cdef uint8_t[1024] out
        cdef Py_ssize_t i = 5, count = 0
        cdef unsigned int bits = 0
        cdef int digits = 0, digit
        cdef const uint8_t* colon
        if n < 6 or not same(p, 5, b"basic") or p[5] != 32:
            return 0
        while i < n and (p[i] == 32 or p[i] == 9):
            i += 1
        while i < n and count < 1020:
            digit = -1
            if 65 <= p[i] <= 90:
                digit = p[i] - 65
            elif 97 <= p[i] <= 122:
                digit = p[i] - 71
            elif 48 <= p[i] <= 57:
                digit = p[i] + 4
            elif p[i] == 43:
                digit = 62
            elif p[i] == 47:
                digit = 63
            i += 1
            if digit < 0:
                continue
            bits = bits << 6 | <unsigned int>digit
            digits += 6
            if digits >= 8:
                digits -= 8
                out[count] = <uint8_t>(bits >> digits)
                count += 1
        colon = <const uint8_t*>memchr(out, 58, count)
        if colon is not NULL:
            x.field[USER] = keep(&x.text, out, colon - out, 1024)
        else:
            x.field[USER] = keep(&x.text, b"<problem-decoding>", 18, 18)
        return 0

    cdef int file(self, Exchange* x, int side, const File* file) except -1 nogil:
        cdef int which = 0 if side == ORIG else 1
        if listed(&x.text, REQUEST_UIDS + which) >= MANY_FILES:
            return 0
        add(&x.text, REQUEST_UIDS + which, file.uid, UID_ROOM)
        if file.name_length:
            add(&x.text, REQUEST_NAMES + which, file.name, file.name_length)
        return 0

    cdef int file_type(self, Exchange* x, int side, const File* file) except -1 nogil:
        cdef int which = 0 if side == ORIG else 1
        cdef const char* name
        if file.mime < 0 or listed(&x.text, REQUEST_TYPES + which) >= MANY_FILES:
            return 0
        name = mime_name(file.mime)
        return add(&x.text, REQUEST_TYPES + which, <const uint8_t*>name, strlen(name))

    cdef int _word(self, DictColumn column, Py_ssize_t row, Exchange* x, int field) except -1 nogil:
        cdef Slot slot = x.field[field]
        if slot.length >= 0:
            column.put(row, x.text.bytes + slot.at, slot.length)
        return 0

    cdef int _text(self, TextColumn column, Py_ssize_t row, Exchange* x, int field) except -1 nogil:
        cdef Slot slot = x.field[field]
        if slot.length >= 0:
            column.put(row, x.text.bytes + slot.at, slot.length)
        return 0

    cdef int _types(self, DictColumn column, Py_ssize_t row, Exchange* x, int list) except -1 nogil:
        """Types with commas between them."""
        cdef uint8_t[2048] text
        cdef Py_ssize_t count = 0
        cdef int32_t i
        cdef Slot slot
        for i in range(x.text.item_count):
            if x.text.items[i].list == list:
                slot = x.text.items[i].text
                if count + 1 + slot.length > 2048:
                    break
                if count:
                    text[count] = 44
                    count += 1
                memcpy(text + count, x.text.bytes + slot.at, slot.length)
                count += slot.length
        if count:
            column.put_valid(row, text, count)
        return 0

    cdef int write(self, Flow* f, Exchange* x, int64_t time) except -1 nogil:
        """Puts the row. `time` is that of the packet which ended the response."""
        cdef const uint8_t* method = x.text.bytes + x.field[METHOD].at
        cdef Py_ssize_t n = x.field[METHOD].length
        cdef uint8_t[64] text
        cdef Py_ssize_t row = self.sheet.begin(f, &x.place, activity_of(method, n) if n > 0 else 0)
        self.trans_depth.put(row, x.depth)
        self._word(self.http_method, row, x, METHOD)
        if x.version == 20 and x.answered < 0:
            self.http_version.put_valid(row, b"2", 1)
        elif x.answered >= 0:
            text[0] = <uint8_t>(48 + x.answered // 10 % 10)
            text[1] = 46
            text[2] = <uint8_t>(48 + x.answered % 10)
            self.http_version.put_valid(row, text, 1 if x.answered == 20 else 3)
        self._word(self.url_scheme, row, x, SCHEME)
        self._word(self.url_hostname, row, x, HOST)
        self._text(self.url_path, row, x, PATH)
        self._text(self.url_query, row, x, QUERY)
        self._text(self.url, row, x, WHOLE)
        self._word(self.user_agent, row, x, USER_AGENT)
        self._text(self.referrer, row, x, REFERRER)
        self._text(self.origin, row, x, ORIGIN)
        self._word(self.user_name, row, x, USER)
        self._word(self.status_text, row, x, STATUS_TEXT)
        self._word(self.info_text, row, x, INFO_TEXT)
        self._word(self.upgrade, row, x, UPGRADE)
        if x.status >= 0:
            self.status_code.put(row, x.status)
            if x.status >= 100:
                self.status_id.put(row, FAILURE if x.status >= 400 else SUCCESS)
        if x.info >= 0:
            self.info_code.put(row, x.info)
        self.request_len.put(row, x.length[0])
        self.response_len.put(row, x.length[1])
        if x.status >= 0 and time != NO_TIME and x.place.time != NO_TIME and time >= x.place.time:
            self.duration.put(row, (time - x.place.time) / 1e9)
        self._types(self.req_mime, row, x, REQUEST_TYPES)
        self._types(self.resp_mime, row, x, TYPES)
        if x.text.item_count:
            put_list(self.req_file_uids, row, &x.text, REQUEST_UIDS)
            put_list(self.file_uids, row, &x.text, UIDS)
            put_list(self.req_file_names, row, &x.text, REQUEST_NAMES)
            put_list(self.file_names, row, &x.text, NAMES)
            put_list(self.proxied, row, &x.text, PROXIED)
            put_list(self.forwarded, row, &x.text, FORWARDED)
            if x.field[UPGRADE].length >= 0:
                put_list(self.offered_protocols, row, &x.text, OFFERED_PROTOCOLS)
                put_list(self.protocols, row, &x.text, PROTOCOL)
                put_list(self.offered_extensions, row, &x.text, OFFERED_EXTENSIONS)
                put_list(self.extensions, row, &x.text, EXTENSIONS)
        if x.truncated or f.partial:
            self.sheet.flags(1)
        return self.sheet.done()
