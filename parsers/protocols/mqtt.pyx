"""MQTT 3.1, 3.1.1 and 5.0 (OASIS): connections, messages and subscriptions are rows of
net_service_activity, each with its acknowledgement, as in Zeek's mqtt_connect.log, mqtt_publish.log
and mqtt_subscribe.log."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn, ListColumn, TextColumn
from tracelake.native.cursor cimport Cursor, be16, left, span
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    Names, Word, no_word, put_held, put_name, put_text, put_word, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("mqtt")

cdef enum:
    TCP = 6
    PORT = 1883
    ENOUGH = 4096               # of a message: topic and beginning of the payload
    SHOWN = 100                 # bytes of a payload that a row has
    WAITING = 64                # messages of a talk that wait for an acknowledgement
    MAX_TOPICS = 64

# Control packets (section 2.1.2).
cdef enum:
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    AUTH = 15

VERSIONS: dict[int, str] = {3: "3.1", 4: "3.1.1", 5: "5.0"}
STATUS: dict[int, str] = {
    0: "Connection Accepted", 1: "Refused: unacceptable protocol version",
    2: "Refused: identifier rejected", 3: "Refused: server unavailable",
    4: "Refused: bad user name or password", 5: "Refused: not authorized",
    # Reason codes of version 5 (section 3.2.2.2).
    0x80: "Unspecified error", 0x81: "Malformed Packet", 0x82: "Protocol Error",
    0x83: "Implementation specific error", 0x84: "Unsupported Protocol Version",
    0x85: "Client Identifier not valid", 0x86: "Bad User Name or Password",
    0x87: "Not authorized", 0x88: "Server unavailable", 0x89: "Server busy", 0x8A: "Banned",
    0x8C: "Bad authentication method", 0x90: "Topic Name invalid", 0x95: "Packet too large",
    0x97: "Quota exceeded", 0x99: "Payload format invalid", 0x9A: "Retain not supported",
    0x9B: "QoS not supported", 0x9C: "Use another server", 0x9D: "Server moved",
    0x9F: "Connection rate exceeded",
}
QOS: dict[int, str] = {0: "at most once", 1: "at least once", 2: "exactly once"}
cdef Names VERSION_NAMES = Names(VERSIONS)
cdef Names STATUS_NAMES = Names(STATUS)
cdef Names QOS_NAMES = Names(QOS)


# A message or subscription that waits for its acknowledgement.
cdef struct Waiting:
    Waiting* next
    int kind                    # PUBLISH, SUBSCRIBE or UNSUBSCRIBE
    int side
    int id
    int flags
    bint received
    bint released
    Place place
    int64_t payload_length
    int topic_length            # PUBLISH: then the payload; else topics behind two bytes of length
    int text_length
    int topics
    uint8_t[MAX_TOPICS] qos
    uint8_t* text


cdef struct Session:
    int version                 # 0: no CONNECT was seen
    bint asked                  # a CONNECT waits for its CONNACK
    Place place
    Word protocol
    Word client
    Word will_topic
    Word will
    Word user
    Word password
    Waiting* first
    int waiting


cdef int64_t _length(const uint8_t* p, int64_t n, int64_t* value) noexcept nogil:
    """A variable byte integer (section 1.5.5): its bytes; 0 where more are needed, -1 where it is
    none."""
    cdef int64_t i
    value[0] = 0
    for i in range(4):
        if i >= n:
            return 0
        value[0] |= <int64_t>(p[i] & 0x7F) << 7 * i
        if not p[i] & 0x80:
            return i + 1
    return -1


cdef bint _text(Cursor* c, Cursor* out) noexcept nogil:
    """A string behind two bytes of length."""
    cdef int n
    if left(c) < 2 or left(c) - 2 < be16(c.at):
        return False
    n = be16(c.at)
    out[0] = span(c.at + 2, n, 0)
    c.at += 2 + n
    return True


cdef bint _properties(Cursor* c) noexcept nogil:
    """Passes over the properties of version 5 (section 2.2.2)."""
    cdef int64_t length = 0, n = _length(c.at, left(c), &length)
    if n <= 0 or left(c) - n < length:
        return False
    c.at += n + length
    return True


cdef bint _hold(Word* w, Cursor* c) noexcept nogil:
    cdef Cursor text
    if not _text(c, &text):
        return False
    set_word(w, text.at, left(&text))
    return True


cdef bint _is_connect(const uint8_t* p, int64_t n) noexcept nogil:
    return n >= 7 and p[0] == 0 and (
        (p[1] == 4 and memcmp(p + 2, b"MQTT", 4) == 0)
        or (p[1] == 6 and n >= 9 and memcmp(p + 2, b"MQIsdp", 6) == 0)
    )


cdef class Mqtt(Protocol):
    cdef ServiceSheet sheet
    cdef DictColumn command, protocol_name, protocol_version, client_id, connect_status
    cdef DictColumn will_topic, qos, delivery, topic, user_name, password
    cdef TextColumn will_payload, payload
    cdef BoolColumn from_client, retain, ack
    cdef IntColumn payload_len, granted_qos_level
    cdef ListColumn topics, qos_levels
    cdef TextColumn topic_items
    cdef IntColumn qos_items

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "mqtt"
        self.ports = (PORT,)
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.command = rows.column("command")
        self.protocol_name = rows.column("protocol_name")
        self.protocol_version = rows.column("protocol_version")
        self.client_id = rows.column("client_id")
        self.connect_status = rows.column("connect_status")
        self.will_topic = rows.column("will_topic")
        self.will_payload = rows.column("will_payload")
        self.qos = rows.column("qos")
        self.delivery = rows.column("delivery")
        self.topic = rows.column("topic")
        self.user_name = rows.column("user_name")
        self.password = rows.column("password")
        self.payload = rows.column("payload")
        self.from_client = rows.column("from_client")
        self.retain = rows.column("retain")
        self.ack = rows.column("ack")
        self.payload_len = rows.column("payload_len")
        self.granted_qos_level = rows.column("granted_qos_level")
        self.topics = rows.column("topics")
        self.qos_levels = rows.column("qos_levels")
        self.topic_items = self.topics.items
        self.qos_items = self.qos_levels.items

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t size = n if n else m, head, length = 0
        if t.flow.protocol != TCP:
            return NO
        if size < 2:
            return MORE
        head = _length(p + 1, size - 1, &length)
        if head < 0:
            return NO
        if p[0] == CONNECT << 4:
            if head == 0 or size < 1 + head + 9:
                return MORE if head == 0 or length >= 10 else NO
            return YES if _is_connect(p + 1 + head, size - 1 - head) else NO
        # A connection that began before the capture: on MQTT's own port, whole packets.
        if t.flow.port[RESP] != PORT or p[0] >> 4 == 0 or p[0] >> 4 == AUTH:
            return NO
        return YES if head and 1 + head + length <= size else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(Session))
        if t.state is NULL:
            with gil:
                raise MemoryError("an MQTT session")
        confirm(t, SERVICE)
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef Waiting* w
        if s is NULL:
            return 0
        try:
            if s.asked:
                self._connection(t, s, &s.place, -1)
            while s.first is not NULL:
                self._done(t, s, s.first, False, -1)
        finally:
            while s.first is not NULL:
                w = s.first
                s.first = w.next
                free(w.text)
                free(w)
            free(s)
            t.state = NULL
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, head, length = 0, have
        while n - at >= 2 and not t.gone:
            head = _length(p + at + 1, n - at - 1, &length)
            if head < 0 or p[at] >> 4 == 0:
                give_up(t)
                break
            if head == 0:
                break
            head += 1
            have = min(n - at - head, length)
            if have < length and have < ENOUGH:
                t.half[side].need = head + min(length, ENOUGH)
                break
            self._packet(t, side, at, p[at], span(p + at + head, have, 0), length)
            at += head + have
            if have < length:
                t.half[side].skip = length - have
                break
        return at

    cdef int _packet(
        self, Talk* t, int side, int64_t at, int first, Cursor c, int64_t length
    ) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef int kind = first >> 4
        cdef Place found
        cdef Waiting* w
        if kind == CONNECT:
            return self._connect(t, s, side, at, &c)
        if kind == CONNACK:
            if left(&c) < 2:
                return 0
            found = place(t, side, at)
            return self._connection(t, s, &s.place if s.asked else &found, c.at[1])
        if kind == PUBLISH:
            return self._publish(t, s, side, at, first, &c, length)
        if kind == SUBSCRIBE or kind == UNSUBSCRIBE:
            return self._subscribe(t, s, side, at, kind, &c)
        if left(&c) < 2 or not PUBACK <= kind <= UNSUBACK:
            return 0
        w = self._find(s, be16(c.at), kind, side)
        if w is NULL:
            return 0
        c.at += 2
        if kind == PUBREC:
            w.received = True
        elif kind == PUBREL:
            w.released = True
        elif kind == PUBACK or kind == PUBCOMP:
            return self._done(t, s, w, kind == PUBACK or (w.received and w.released), -1)
        elif kind == SUBACK or kind == UNSUBACK:
            if s.version == 5 and not _properties(&c):
                return self._done(t, s, w, True, -1)
            return self._done(t, s, w, True, c.at[0] if kind == SUBACK and left(&c) else -1)
        return 0

    cdef int _connect(self, Talk* t, Session* s, int side, int64_t at, Cursor* c) except -1 nogil:
        """CONNECT (section 3.1)."""
        cdef int flags
        if s.asked:
            self._connection(t, s, &s.place, -1)
        s.asked = True
        s.place = place(t, side, at)
        no_word(&s.protocol)
        no_word(&s.client)
        no_word(&s.will_topic)
        no_word(&s.will)
        no_word(&s.user)
        no_word(&s.password)
        if not _hold(&s.protocol, c) or left(c) < 4:
            return 0
        s.version = c.at[0]
        flags = c.at[1]
        c.at += 4
        if s.version == 5 and not _properties(c):
            return 0
        if not _hold(&s.client, c):
            return 0
        if flags & 0x04:
            if s.version == 5 and not _properties(c):
                return 0
            if not _hold(&s.will_topic, c) or not _hold(&s.will, c):
                return 0
        if flags & 0x80 and not _hold(&s.user, c):
            return 0
        if flags & 0x40:
            _hold(&s.password, c)
        return 0

    cdef int _connection(self, Talk* t, Session* s, const Place* place, int code) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, place, NETWORK, TRAFFIC, b"mqtt")
        put_name(self.command, row, b"CONNECT")
        if s.asked:
            put_held(self.protocol_name, row, &s.protocol)
            VERSION_NAMES.put(self.protocol_version, row, s.version, b"unknown-")
            put_held(self.client_id, row, &s.client)
            put_held(self.will_topic, row, &s.will_topic)
            if s.will.n >= 0:
                put_text(self.will_payload, row, s.will.text, s.will.n)
            put_held(self.user_name, row, &s.user)
            put_held(self.password, row, &s.password)
        if code >= 0:
            self.sheet.status_id.put(row, 2 if code else 1)
            STATUS_NAMES.put(self.connect_status, row, code, b"unknown-")
        s.asked = False
        return self.sheet.done()

    cdef int _publish(
        self, Talk* t, Session* s, int side, int64_t at, int first, Cursor* c, int64_t length
    ) except -1 nogil:
        """PUBLISH (section 3.3)."""
        cdef Cursor topic
        cdef int id = 0, qos = first >> 1 & 3
        cdef const uint8_t* begin = c.at
        cdef Waiting* w
        cdef Py_ssize_t shown
        if not _text(c, &topic):
            return 0
        if qos:
            if left(c) < 2:
                return 0
            id = be16(c.at)
            c.at += 2
        if s.version == 5 and not _properties(c):
            return 0
        shown = min(left(c), SHOWN)
        w = self._wait(t, s, side, at, PUBLISH, id, left(&topic) + shown)
        w.flags = first & 15
        w.payload_length = length - (c.at - begin)
        w.topic_length = <int>left(&topic)
        w.text_length = <int>(left(&topic) + shown)
        memcpy(w.text, topic.at, left(&topic))
        memcpy(w.text + left(&topic), c.at, shown)
        if qos == 0:
            return self._done(t, s, w, True, -1)
        return 0

    cdef int _subscribe(
        self, Talk* t, Session* s, int side, int64_t at, int kind, Cursor* c
    ) except -1 nogil:
        """SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10)."""
        cdef Cursor topic
        cdef Waiting* w
        cdef int id
        cdef Py_ssize_t n
        if left(c) < 2:
            return 0
        id = be16(c.at)
        c.at += 2
        if s.version == 5 and not _properties(c):
            return 0
        w = self._wait(t, s, side, at, kind, id, left(c))
        while w.topics < MAX_TOPICS and _text(c, &topic):
            n = left(&topic)
            memcpy(w.text + w.text_length, topic.at - 2, n + 2)
            w.text_length += <int>n + 2
            if kind == SUBSCRIBE:
                if left(c) < 1:
                    break
                w.qos[w.topics] = c.at[0] & 3
                c.at += 1
            w.topics += 1
        return 0

    # What waits.

    cdef Waiting* _wait(
        self, Talk* t, Session* s, int side, int64_t at, int kind, int id, int64_t room
    ) except NULL nogil:
        cdef Waiting* w
        cdef Waiting** last = &s.first
        if s.waiting >= WAITING:
            self._done(t, s, s.first, False, -1)
        w = <Waiting*>calloc(1, sizeof(Waiting))
        if w is not NULL:
            w.text = <uint8_t*>malloc(room + 1)
        if w is NULL or w.text is NULL:
            free(w)
            with gil:
                raise MemoryError("an MQTT message")
        w.kind = kind
        w.side = side
        w.id = id
        w.place = place(t, side, at)
        while last[0] is not NULL:
            last = &last[0].next
        last[0] = w
        s.waiting += 1
        return w

    cdef Waiting* _find(self, Session* s, int id, int kind, int side) noexcept nogil:
        """What this acknowledges; only PUBREL comes from the side that published."""
        cdef Waiting* w = s.first
        cdef int what = PUBLISH
        if kind == SUBACK:
            what = SUBSCRIBE
        elif kind == UNSUBACK:
            what = UNSUBSCRIBE
        while w is not NULL:
            if w.id == id and w.kind == what and (w.side == side) == (kind == PUBREL):
                return w
            w = w.next
        return NULL

    cdef int _done(self, Talk* t, Session* s, Waiting* w, bint ok, int granted) except -1 nogil:
        """What waited is a row, and is forgotten."""
        cdef Waiting** link = &s.first
        while link[0] is not w:
            link = &link[0].next
        link[0] = w.next
        s.waiting -= 1
        try:
            self._row(t, w, ok, granted)
        finally:
            free(w.text)
            free(w)
        return 0

    cdef int _row(self, Talk* t, const Waiting* w, bint ok, int granted) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &w.place, NETWORK, TRAFFIC, b"mqtt"), item
        cdef const uint8_t* p = w.text
        cdef int i, n
        if ok:
            self.sheet.status_id.put(row, 1)
        if w.kind == PUBLISH:
            put_name(self.command, row, b"PUBLISH")
            self.from_client.put(row, w.side == ORIG)
            self.retain.put(row, w.flags & 1)
            QOS_NAMES.put(self.qos, row, w.flags >> 1 & 3, b"unknown-")
            put_name(self.delivery, row, b"ok" if ok else b"incomplete_qos")
            put_word(self.topic, row, w.text, w.topic_length)
            put_text(self.payload, row, w.text + w.topic_length, w.text_length - w.topic_length)
            self.payload_len.put(row, w.payload_length)
            return self.sheet.done()
        put_name(self.command, row, b"SUBSCRIBE" if w.kind == SUBSCRIBE else b"UNSUBSCRIBE")
        item = self.topics.open(row)
        for i in range(w.topics):
            n = be16(p)
            put_text(self.topic_items, item + i, p + 2, n)
            p += 2 + n
        self.topics.close(item + w.topics)
        if w.kind == SUBSCRIBE:
            item = self.qos_levels.open(row)
            for i in range(w.topics):
                self.qos_items.put(item + i, w.qos[i])
            self.qos_levels.close(item + w.topics)
            if granted >= 0:
                self.granted_qos_level.put(row, granted)
        self.ack.put(row, ok)
        return self.sheet.done()
