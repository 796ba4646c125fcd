"""Files of nfdump (`nfcapd.*`): layouts 1 (nfdump 1.6) and 2 (1.7).

Specification: nfdump's headers nffile.h (1.6), nffileV2.h and nfxV3.h (1.7), github.com/phaag/nfdump;
which value stands where is in mappings/flows/nfcapd.toml. All numbers are little-endian.

    layout 1 = magic A50C, 1, flags, blocks, ident (128), statistics (136), block ...
    layout 2 = magic A50C, 2, program, created (8), compression, encryption, ..., block ...  (40)
    block = records (4) size (4) kind (2) flags (2), then records, perhaps packed (LZO, bzip2, LZ4, Zstandard)
    record = type (2) size (2) ...      11: elements, each type (2) length (2) value      (layout 2)
                                        1, 10: common part, then extensions by a map (2)  (layout 1)

A flow is a row of network_activity (flow_record.pyx); what the file says of exporters, samplers,
interfaces and applications are rows of raw_event. A row of a packed block has the block's place, and
`sub` counts through the block; `src_record_id` is nfdump's number of the flow in the file. Values that
have a place in a record whether or not they were exported (type of service, masks, next hops, event
times ...) are left out where they are zero.

**Damage.** A block that cannot be unpacked, and a record whose size or parts are impossible with what
follows in its block, are a damage row each. Where a block's head is impossible, so is the rest of the
file. Layout 3 (nfdump 1.8), encrypted files and those of big-endian machines are not read.
"""

import bz2
import io

import zstandard

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from tracelake.native.account cimport Account
from tracelake.native.columns cimport Buffer
from tracelake.native.cursor cimport be16, le16, le32, le64
from tracelake.native.errors import EvidenceError, Truncated, Unsupported
from tracelake.native.feed cimport Feed
from tracelake.native.hash64 cimport hash64
from tracelake.native.lzo cimport lzo1x_unpack
from tracelake.native.names cimport names_end
from tracelake.native.text cimport put_uint
from tracelake.normalize import parsed
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.flow_record cimport (
    BIFLOW, DST_ASN, IPV4, IPV6, MAC, MILLISECONDS, MPLS, NO_EXPORT, NO_USE, OCTETS_KIND, SRC_IP,
    TEXT, Domain, Field, FlowRows, Head, define,
)
from tracelake.parsers.flow_record import FIELD_USES, KINDS, NUMBERS
from tracelake.parsers.lz4block cimport lz4_unpack

VERSION = "1"

cdef enum:
    MAGIC = 0xA50C
    HEAD_1 = 140 + 136              # file header and statistics
    HEAD_2 = 40
    BLOCK = 12
    PACKED_MOST = 33554432          # bytes of a block in the file,
    BLOCK_MOST = 33554432           # and of its records
    EXTENSIONS = 64                 # extensions, elements and kinds of records that are known
    MAP_MOST = 64                   # extensions of a map
    MAPS = 65536
    SYSTEMS = 65536                 # exporters by the number that nfdump gives them
    TURN = 8192
    ARENA = 262144                  # bytes of a record's values, turned round

cdef enum:
    NOT_PACKED
    LZO
    BZ2
    LZ4
    ZSTD

cdef enum:
    COMMON_0 = 1                    # types of records
    MAP = 2
    EXPORTER = 7
    STATISTICS = 8
    SAMPLER_1 = 9
    COMMON = 10
    V3 = 11
    NBAR = 12
    IF_NAMES = 13
    VRF_NAMES = 14
    SAMPLER_2 = 15
    IDENT = 0x8001
    FILE_STATISTICS = 0x8002

cdef enum Went:
    ENDED
    FULL
    PAUSE


# A value's place in an extension.
cdef struct Part:
    Field field
    int offset
    int size                        # -1: the rest


cdef struct Layout:
    Part* parts
    int count
    int size                        # bytes of all of them; -1: it varies


cdef struct Map:
    int count
    uint16_t[MAP_MOST] extensions


# An exporter that the file describes.
cdef struct System:
    uint8_t[16] address
    uint8_t width                   # 0: not described
    uint16_t version
    uint32_t id


SPEC = parsed.parse((parsed.FOLDER / "flows" / "nfcapd.toml").read_text("utf-8"))
NAMES = {MAP: "map", IDENT: "ident", NBAR: "applications", IF_NAMES: "interfaces", VRF_NAMES: "vrfs",
         EXPORTER: "exporter", STATISTICS: "exporter_statistics", SAMPLER_1: "sampler",
         SAMPLER_2: "sampler"}


cdef class _Layouts:
    """The places of all values of one section of nfcapd.toml."""
    cdef Layout[EXTENSIONS] at
    cdef list names

    def __cinit__(self, dict section):
        self.names = []
        for number, text in section.items():
            self._make(&self.at[int(number)], text.split())

    def __dealloc__(self):
        cdef int i
        for i in range(EXTENSIONS):
            free(self.at[i].parts)

    cdef int _make(self, Layout* layout, list texts) except -1:
        cdef Part* part
        cdef Field* f
        layout.parts = <Part*>calloc(len(texts), sizeof(Part))
        if layout.parts is NULL:
            raise MemoryError()
        offset = 0
        for text in texts:
            name, size, kind, use = [*text.split(":"), "", ""][:4]
            if name != "-":
                part = &layout.parts[layout.count]
                layout.count += 1
                part.offset = offset
                part.size = -1 if size == "*" else int(size)
                f = &part.field
                if not kind and name in NUMBERS:
                    f.id = NUMBERS[name]
                    define(f, 10, NULL)
                else:
                    f.id = 0
                    f.kind = KINDS[kind or "number"]
                    f.use = FIELD_USES[use] if use else NO_USE
                    # Bytes of the other side count like those of this one.
                    if use == "octets_in":
                        f.id = 1
                    encoded = name.encode()
                    self.names.append(encoded)
                    f.name = encoded
                    f.name_length = <uint8_t>len(encoded)
            if size == "*":
                layout.size = -1
                return 0
            offset += int(size)
        layout.size = offset
        return 0


cdef class _File:
    """A file being read."""
    cdef Feed feed
    cdef Account account
    cdef FlowRows flows
    cdef int layout                 # 1 or 2
    cdef int packing
    cdef _Layouts elements, ipv6, biflow, older, extensions, wide, common, exporters, others
    cdef Map** maps
    cdef System* systems
    cdef Domain domain
    cdef Head head
    cdef uint8_t* arena
    cdef Py_ssize_t used            # of the arena
    cdef uint8_t[24] sensor
    cdef int64_t flow_number
    # The block at hand:
    cdef Buffer unpacked
    cdef bint packed
    cdef bint in_block
    cdef bint cut                   # the file ends inside of it
    cdef int64_t block_offset
    cdef Py_ssize_t block_size      # in the file, without its head
    cdef const uint8_t* records     # void after the feed was filled
    cdef Py_ssize_t left            # bytes of records that are not read yet
    cdef Py_ssize_t at
    cdef int64_t flow_sub
    cdef int64_t raw_sub

    def __cinit__(self, artifact):
        self.feed = artifact.feed
        self.account = artifact.account
        self.flows = FlowRows()
        self.elements = _Layouts(SPEC["elements"])
        self.ipv6 = _Layouts(SPEC["ipv6"])
        self.biflow = _Layouts(SPEC["biflow"])
        self.older = _Layouts(SPEC["older"])
        self.extensions = _Layouts(SPEC["extensions"])
        self.wide = _Layouts(SPEC["extensions_wide"])
        self.common = _Layouts(SPEC["common"])
        self.exporters = _Layouts(SPEC["exporters"])
        self.others = _Layouts({
            "0": "ident:*:text", "1": "exporterIPv4Address:4", "2": "exporterIPv6Address:16",
            "3": "applicationId:*", "4": "applicationName:*", "5": "applicationDescription:*",
            "6": "ingressInterface:4 interfaceName:*", "7": "ingressVRFID:4 VRFname:*",
            "8": "element:*:octets",
        })
        self.unpacked = Buffer()
        self.maps = <Map**>calloc(MAPS, sizeof(Map*))
        self.systems = <System*>calloc(SYSTEMS, sizeof(System))
        self.arena = <uint8_t*>calloc(ARENA, 1)
        if self.maps is NULL or self.systems is NULL or self.arena is NULL:
            raise MemoryError()
        memset(&self.domain, 0, sizeof(Domain))
        memset(&self.head, 0, sizeof(Head))
        self.head.exported = NO_EXPORT
        self.head.domain = &self.domain
        self.head.sensor = self.sensor

    def __dealloc__(self):
        cdef int i
        if self.maps is not NULL:
            for i in range(MAPS):
                free(self.maps[i])
            free(self.maps)
        free(self.systems)
        free(self.arena)
        if self.domain.applications.slots is not NULL:
            names_end(&self.domain.applications)

    def read(self):
        """Yields the rows as (table, RecordBatch)."""
        cdef int went
        stopped = None
        self.open()
        while True:
            try:
                with nogil:
                    went = self.go_on()
            except EvidenceError as error:
                stopped = error
                break
            if went == ENDED:
                break
            if went == FULL:
                yield from self.batches(False)
            else:
                yield NO_ROWS_YET
        self.account.repairs += self.flows.repairs
        yield from self.batches(True)
        if stopped is not None:
            raise stopped

    def batches(self, bint all):
        """The batches that are full, or all that have rows."""
        for rows in (self.flows.rows, self.flows.raw):
            if rows.is_full or (all and rows.count):
                yield rows.table, rows.finish()

    def open(self):
        """Reads the file's header. Raises Truncated, Unsupported."""
        cdef Py_ssize_t have = self.feed.fill(HEAD_1), need
        cdef const uint8_t* p = self.feed.at()
        cdef uint32_t flags
        if have < 4:
            raise Truncated("file header", 0, f"needs {HEAD_2} bytes, {have} are there")
        if be16(p) == MAGIC:
            raise Unsupported("file header", 0, "written by a big-endian machine")
        self.layout = le16(p + 2)
        if le16(p) != MAGIC or not 1 <= self.layout <= 2:
            raise Unsupported(
                "file header", 2, f"layout {self.layout} of nfdump; 1 and 2 are read")
        need = HEAD_1 if self.layout == 1 else HEAD_2
        if have < need:
            raise Truncated("file header", 0, f"needs {need} bytes, {have} are there")
        if self.layout == 1:
            flags = le32(p + 4)
            self.packing = LZO if flags & 1 else BZ2 if flags & 8 else LZ4 if flags & 16 else NOT_PACKED
        else:
            self.packing = p[16]
            if p[17]:
                raise Unsupported("file header", 17, "the file is encrypted")
            if self.packing > ZSTD:
                raise Unsupported("file header", 16, f"compression {self.packing} is not known")
        self.account.bytes_structure += need
        self.feed.advance(need)

    cdef int go_on(self) except -1 nogil:
        cdef int turn
        for turn in range(TURN):
            if self.flows.rows.full() or self.flows.raw.full():
                return FULL
            if self.in_block:
                if self.left < 4:
                    self.end_block()
                else:
                    self.record()
            elif not self.block():
                return ENDED
        return PAUSE

    # --- blocks ----------------------------------------------------------------------------

    cdef int rest(self, const char* why) except -1 nogil:
        """The rest of the file cannot be read."""
        cdef int64_t offset = self.feed.offset()
        while self.feed.fill(1):
            self.feed.advance(self.feed.fill(1))
        self.account.records += 1
        self.account.damage(offset, self.feed.offset() - offset, b"block", why, NULL, 0)
        return 0

    cdef int block(self) except -1 nogil:
        """Begins the next block; 0 at the end."""
        cdef Py_ssize_t have = self.feed.fill(BLOCK), n
        cdef const uint8_t* p = self.feed.at()
        cdef uint32_t size
        cdef int kind, flags
        if have == 0:
            return 0
        if have < BLOCK:
            self.rest(b"the file ends inside of its head")
            return 0
        size = le32(p + 4)
        kind = le16(p + 8)
        flags = le16(p + 10)
        if size > PACKED_MOST or kind == 0 or kind > 4:
            self.rest(b"its size or its kind is impossible")
            return 0
        self.block_offset = self.feed.offset()
        self.block_size = size
        have = self.feed.fill(BLOCK + size)
        n = have - BLOCK if have - BLOCK < <Py_ssize_t>size else <Py_ssize_t>size
        self.cut = n < <Py_ssize_t>size
        self.account.bytes_structure += BLOCK
        self.packed = size > 0 and self.packing != NOT_PACKED and not flags & 1
        if kind == 1 or kind == 4 or (kind == 3 and self.layout == 1):
            # Sums, tables for look-ups, and what nfdump 1.5 wrote.
            if kind == 1:
                self.damaged(BLOCK + n, b"nfdump 1.5 wrote it, which is not read")
            else:
                self.account.bytes_structure += n
            self.feed.advance(BLOCK + n)
            return 1
        self.at = 0
        self.flow_sub = 0
        self.raw_sub = 0
        if self.packed:
            if self.cut:
                self.damaged(BLOCK + n, b"the file ends inside of it")
                self.feed.advance(BLOCK + n)
                return 1
            self.left = self.unpack(self.feed.at() + BLOCK, n)
            self.feed.advance(BLOCK + n)
            if self.left < 0:
                self.damaged(BLOCK + n, b"it cannot be unpacked")
                return 1
            self.records = self.unpacked.data
            self.account.bytes_records += n
        else:
            self.left = n
            self.records = self.feed.at() + BLOCK
        self.in_block = True
        return 1

    cdef int damaged(self, Py_ssize_t n, const char* why) except -1 nogil:
        """The block at hand cannot be read."""
        self.account.records += 1
        return self.account.damage(self.block_offset, n, b"block", why, NULL, 0)

    cdef Py_ssize_t unpack(self, const uint8_t* p, Py_ssize_t n) except -2 nogil:
        """Unpacks a block; its bytes, -1 where it cannot be."""
        cdef Py_ssize_t wrote = -1
        self.unpacked.reserve(BLOCK_MOST)
        if self.packing == LZO:
            return lzo1x_unpack(p, n, self.unpacked.data, BLOCK_MOST)
        if self.packing == LZ4:
            return lz4_unpack(p, n, self.unpacked.data, BLOCK_MOST)
        with gil:
            wrote = self.unpack_by_library(p, n)
        return wrote

    cdef Py_ssize_t unpack_by_library(self, const uint8_t* p, Py_ssize_t n) except -2:
        cdef bytes out, packed = (<const char*>p)[:n]
        try:
            if self.packing == BZ2:
                whole = bz2.BZ2Decompressor()
                out = whole.decompress(packed, BLOCK_MOST + 1)
                if not whole.eof:
                    return -1
            else:
                whole = zstandard.ZstdDecompressor(max_window_size=BLOCK_MOST)
                with whole.stream_reader(io.BytesIO(packed)) as reader:
                    out = reader.read(BLOCK_MOST + 1)
        except (OSError, EOFError, zstandard.ZstdError):
            return -1
        if len(out) > BLOCK_MOST:
            return -1
        memcpy(self.unpacked.data, <const char*>out, len(out))
        return len(out)

    cdef int end_block(self) except -1 nogil:
        """No record is left in the block."""
        cdef int64_t offset = self.block_offset + BLOCK + self.at
        if self.packed:
            if self.left:
                self.lost(self.left, b"less than a record is left in its block")
        else:
            if self.cut or self.left:
                self.account.records += 1
                self.account.damage(
                    offset, self.left, b"record", b"the file ends inside of it" if self.cut
                    else b"less than a record is left in its block", NULL, 0)
            self.feed.advance(BLOCK + self.at + self.left)
        self.in_block = False
        self.left = 0
        return 0

    # --- records ---------------------------------------------------------------------------

    cdef int lost(self, Py_ssize_t n, const char* why) except -1 nogil:
        """`n` bytes of the block, which cannot be read; of a packed one they are kept."""
        self.account.records += 1
        if self.packed:
            self.account.damage(
                self.block_offset, BLOCK + self.block_size, b"record", why, self.records + self.at, n)
        else:
            self.account.damage(
                self.block_offset + BLOCK + self.at, n, b"record", why, NULL, 0)
        return 0

    cdef int skip(self, Py_ssize_t n) noexcept nogil:
        self.at += n
        self.left -= n
        return 0

    cdef int record(self) except -1 nogil:
        """The next record of the block, of which four bytes are there."""
        cdef const uint8_t* p = self.records + self.at
        cdef int type = le16(p)
        cdef Py_ssize_t size = le16(p + 2)
        cdef int fate
        if size < 4 or size > self.left:
            if self.cut and size >= 4:
                return self.end_block()
            self.lost(self.left, b"its size is impossible")
            return self.skip(self.left)
        self.head.flags = 0
        self.head.hash = hash64(p, size, 0)
        self.used = 0
        if self.packed:
            self.head.offset = self.block_offset
            self.head.length = BLOCK + self.block_size
        else:
            self.head.offset = self.block_offset + BLOCK + self.at
            self.head.length = size
            self.flow_sub = 0
            self.raw_sub = 0
        if type == MAP:
            fate = self.map(p, size)
        elif type == V3 and self.layout == 2:
            fate = self.elements_of(p, size)
        elif (type == COMMON or type == COMMON_0) and self.layout == 1:
            fate = self.extensions_of(p, size, type)
        else:
            fate = self.other(p, size, type)
        if not self.packed:
            if fate == 1:
                self.account.bytes_records += size
            elif fate == 0:
                self.account.bytes_structure += size
        return self.skip(size)

    cdef int map(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """A map: which extensions records of layout 1 have. 0: structure."""
        cdef Map* map
        cdef Py_ssize_t i = 8
        if n < 8:
            self.lost(n, b"an extension map without a number")
            return 2
        map = self.maps[le16(p + 4)]
        if map is NULL:
            map = <Map*>calloc(1, sizeof(Map))
            if map is NULL:
                with gil:
                    raise MemoryError()
            self.maps[le16(p + 4)] = map
        map.count = 0
        while i + 2 <= n and le16(p + i):
            if map.count == MAP_MOST or le16(p + i) >= EXTENSIONS or (
                self.extensions.at[le16(p + i)].parts is NULL
            ):
                map.count = -1
                self.lost(n, b"an extension map with an extension that is not known")
                return 2
            map.extensions[map.count] = le16(p + i)
            map.count += 1
            i += 2
        return 0

    cdef int give(
        self, Layout* layout, const uint8_t* p, Py_ssize_t n, bint option
    ) except -1 nogil:
        """The values of an extension of `n` bytes."""
        cdef int i
        cdef Part* part
        cdef Py_ssize_t size
        for i in range(layout.count):
            part = &layout.parts[i]
            size = part.size if part.size >= 0 else n - part.offset
            if size <= 0 or part.offset + size > n:
                continue
            self.value(&part.field, p + part.offset, size, option)
        return 0

    cdef int value(
        self, Field* f, const uint8_t* p, Py_ssize_t n, bint option
    ) except -1 nogil:
        """A little-endian value, turned round."""
        cdef uint8_t* to = self.arena + self.used
        cdef Py_ssize_t word = n, i, j
        cdef bint zeros = True
        for i in range(n):
            if p[i]:
                zeros = False
                break
        if zeros and not option and (
            f.use == NO_USE or f.use > DST_ASN or f.kind == MAC or f.kind == MILLISECONDS
        ):
            return 0
        if f.kind == TEXT or (f.kind == OCTETS_KIND and n != 12) or self.used + n > ARENA:
            to = NULL
        else:
            if f.kind == IPV6:
                word = 8
            elif f.kind == OCTETS_KIND:
                word = 4
            i = 0
            while i + word <= n:
                for j in range(word):
                    to[i + j] = p[i + word - 1 - j]
                i += word
            self.used += n
        if to is NULL:
            if f.kind == TEXT:
                # Up to the first zero, as it is a text of C.
                i = 0
                while i < n and p[i]:
                    i += 1
                n = i
                if n == 0:
                    return 0
        else:
            p = to
            if f.kind == MAC and n == 8:
                p += 2
                n = 6
            elif f.kind == MPLS and n == 4:
                p += 1
                n = 3
        if option:
            return self.flows.tell(f, p, n)
        return self.flows.take(f, p, n)

    cdef int of_exporter(self, int number, int version, int engine_type, int engine) except -1 nogil:
        """Sets who exported the flow at hand."""
        cdef System* system = &self.systems[number]
        cdef int n
        self.head.device = NULL
        if system.width:
            self.head.device = system.address
            self.head.device_length = system.width
            if version == 0:
                version = system.version
        self.head.provider_length = 10
        if version == 5:
            self.head.provider = b"NetFlow v5"
        elif version == 9:
            self.head.provider = b"NetFlow v9"
        elif version == 10:
            self.head.provider = b"IPFIX"
            self.head.provider_length = 5
        elif version == 1:
            self.head.provider = b"NetFlow v1"
        elif version == 7:
            self.head.provider = b"NetFlow v7"
        else:
            self.head.provider = b"nfdump"
            self.head.provider_length = 6
        self.head.sensor_length = 0
        if system.width and version >= 9:
            self.head.sensor_length = <int>put_uint(self.sensor, system.id)
        elif version == 5 or engine_type or engine:
            n = <int>put_uint(self.sensor, engine_type)
            self.sensor[n] = b"."
            self.head.sensor_length = n + 1 + <int>put_uint(self.sensor + n + 1, engine)
        return 0

    cdef int flow(self) except -1 nogil:
        """The flow at hand is whole."""
        self.flow_number += 1
        self.head.sequence = self.flow_number
        self.head.sub = self.flow_sub
        self.flow_sub += 1
        self.flows.put_flow(&self.head)
        self.account.records += 1
        self.account.in_rows += 1
        return 1

    cdef int elements_of(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """A record of layout 2: elements that name themselves."""
        cdef Py_ssize_t at = 12, length
        cdef int i, type, count
        cdef uint64_t seen = 0
        cdef bint both = False
        cdef Layout* layout
        if n < 12:
            self.lost(n, b"a flow record without a head")
            return 2
        count = le16(p + 4)
        for i in range(count):
            if n - at < 4:
                self.lost(n, b"it ends before its last element")
                return 2
            type = le16(p + at)
            length = le16(p + at + 2)
            if length < 4 or length > n - at or type >= EXTENSIONS or seen >> type & 1:
                self.lost(n, b"one of its elements is impossible")
                return 2
            seen |= <uint64_t>1 << type
            # A firewall's record (19) is of both sides, too.
            if type == 19 or (type == 4 and length >= 17 and p[at + 16]):
                both = True
            at += length
        self.flows.begin()
        at = 12
        for i in range(count):
            type = le16(p + at)
            length = le16(p + at + 2)
            layout = &self.elements.at[type]
            if type == 4 and seen >> 3 & 1:
                layout = &self.ipv6.at[4]
            elif type == 5 and both:
                layout = &self.biflow.at[5]
            elif type == 25 and length == 28:
                layout = &self.older.at[25]
            if layout.parts is NULL:
                layout = &self.others.at[8]
            self.give(layout, p + at + 4, length - 4, False)
            at += length
        self.of_exporter(le16(p + 8), p[11], p[6], p[7])
        return self.flow()

    cdef int extensions_of(self, const uint8_t* p, Py_ssize_t n, int type) except -1 nogil:
        """A record of layout 1: a common part, then extensions as its map says."""
        cdef Py_ssize_t at = 28 if type == COMMON_0 else 32
        cdef int flags, i, exporter
        cdef Map* map
        cdef uint8_t[24] common
        if n < at:
            self.lost(n, b"a flow record without its common part")
            return 2
        flags = p[4] if type == COMMON_0 else le16(p + 4)
        exporter = p[5] if type == COMMON_0 else le16(p + 28)
        map = self.maps[le16(p + 6)]
        if map is NULL or map.count < 0:
            self.lost(n, b"its extension map is not known")
            return 2
        # What it needs is counted before anything is taken from it.
        i = self.width(1, flags) + self.width(2, flags) + self.width(3, flags)
        for type in range(map.count):
            i += self.width(map.extensions[type], flags)
        if at + i > n:
            self.lost(n, b"it is shorter than its extensions")
            return 2
        self.flows.begin()
        self.put_le64(common, <uint64_t>le32(p + 12) * 1000 + le16(p + 8))
        self.put_le64(common + 8, <uint64_t>le32(p + 16) * 1000 + le16(p + 10))
        memcpy(common + 16, p + 20, 8)
        self.give(&self.common.at[1], common, 24, False)
        for i in range(-3, map.count):
            type = i + 4 if i < 0 else map.extensions[i]
            self.give(self.extension(type, flags), p + at, self.width(type, flags), False)
            at += self.width(type, flags)
        self.of_exporter(exporter, 0, 0, 0)
        return self.flow()

    cdef void put_le64(self, uint8_t* to, uint64_t value) noexcept nogil:
        cdef int i
        for i in range(8):
            to[i] = <uint8_t>(value >> (8 * i))

    cdef Layout* extension(self, int type, int flags) noexcept nogil:
        """An extension as a record's flags say how wide it is."""
        if (type == 1 and flags & 1) or (type == 2 and flags & 2) or (type == 3 and flags & 4) or (
            type == 8 and flags & 1
        ):
            return &self.wide.at[type]
        return &self.extensions.at[type]

    cdef int width(self, int type, int flags) noexcept nogil:
        return self.extension(type, flags).size

    # --- what is said of exporters ---------------------------------------------------------

    cdef int told(self, const char* kind, int n) except -1 nogil:
        """A row of raw_event is whole."""
        self.head.sequence = -1
        self.head.sub = self.raw_sub
        self.raw_sub += 1
        self.head.provider = b"nfdump"
        self.head.provider_length = 6
        self.head.sensor_length = 0
        self.head.device = NULL
        return self.flows.put_option(&self.head, <const uint8_t*>kind, n)

    cdef int other(self, const uint8_t* p, Py_ssize_t n, int type) except -1 nogil:
        """What is no flow: 1 where it became rows, 0: structure, 2: it could not be read."""
        cdef Py_ssize_t at, size, count, i
        cdef Layout* layout
        self.account.records += 1
        if type == EXPORTER and n >= 32:
            self.exporter(p)
        elif type == STATISTICS and n >= 8:
            count = le32(p + 4)
            at = 8
            i = 0
            while i < count and n - at >= 24:
                self.flows.begin()
                self.give(&self.exporters.at[8], p + at, 24, True)
                self.told(b"exporter_statistics", 19)
                at += 24
                i += 1
            if i == 0:
                return self.counted("exporter_statistics")
        elif (type == SAMPLER_1 and n >= 16) or (type == SAMPLER_2 and n >= 20):
            self.flows.begin()
            self.give(&self.exporters.at[type], p + 4, n - 4, True)
            self.flows.learn(&self.head, &self.domain)
            self.told(b"sampler", 7)
        elif type == IDENT and n > 4 and p[4]:
            self.flows.begin()
            self.give(&self.others.at[0], p + 4, n - 4, True)
            self.told(b"ident", 5)
        elif type == FILE_STATISTICS:
            return self.counted("file_statistics")
        elif (type == IF_NAMES or type == VRF_NAMES) and n >= 8:
            size = le16(p + 6)
            at = 8
            layout = &self.others.at[6 if type == IF_NAMES else 7]
            count = 0
            while size > 4 and n - at >= size and count < le16(p + 4):
                self.flows.begin()
                self.give(layout, p + at, size, True)
                self.told(b"interface" if type == IF_NAMES else b"vrf", 9 if type == IF_NAMES else 3)
                at += size
                count += 1
            if count == 0:
                return self.counted("names")
        elif type == NBAR and n >= 8:
            if self.applications(p, n) == 0:
                return self.counted("names")
        else:
            self.account.records -= 1       # which `lost` counts
            self.lost(n, b"a kind of record that is not known")
            return 2
        self.account.in_rows += 1
        return 1

    cdef int counted(self, str kind) except -1 nogil:
        with gil:
            self.account.counters[kind] = self.account.counters.get(kind, 0) + 1
        return 1

    cdef int exporter(self, const uint8_t* p) except -1 nogil:
        """Who exported: address, version, id, and the number that flows name it by."""
        cdef System* system = &self.systems[le16(p + 26)]
        cdef uint8_t[16] address
        cdef int i
        system.version = <uint16_t>le32(p + 4)
        system.id = le32(p + 28)
        for i in range(8):
            address[i] = p[15 - i]
            address[8 + i] = p[23 - i]
        # IPv4 stands in the lower half of the second word.
        system.width = 4 if le16(p + 24) == 2 else 16
        memcpy(system.address, address + 16 - system.width, system.width)
        self.flows.begin()
        self.give(&self.exporters.at[EXPORTER], p + 4, 28, True)
        self.flows.tell(
            &self.others.at[1 if system.width == 4 else 2].parts[0].field, system.address,
            system.width)
        return self.told(b"exporter", 8)

    cdef int applications(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """Names of applications: each three lengths, then an id, a name and a description."""
        cdef Py_ssize_t at = 8, size = le16(p + 6)
        cdef Py_ssize_t id, name, text
        cdef int count = 0
        while size >= 6 and n - at >= size and count < le16(p + 4):
            id = le16(p + at)
            name = le16(p + at + 2)
            text = le16(p + at + 4)
            if 6 + id + name + text > size:
                break
            self.flows.begin()
            self.value(&self.others.at[3].parts[0].field, p + at + 6, id, True)
            self.value(&self.others.at[4].parts[0].field, p + at + 6 + id, name, True)
            self.value(&self.others.at[5].parts[0].field, p + at + 6 + id + name, text, True)
            self.flows.learn(&self.head, &self.domain)
            self.told(b"application", 11)
            at += size
            count += 1
        return count


def match(head, path):
    """How sure it is that an artifact is a file of nfdump, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    cdef const uint8_t[::1] view = head
    cdef Py_ssize_t n = len(head)
    if n >= 12 and le16(&view[0]) == MAGIC and 1 <= le16(&view[2]) <= 3:
        return Match.CONTENT, ""
    if n >= 12 and be16(&view[0]) == MAGIC and 1 <= be16(&view[2]) <= 2 and view[2] == 0:
        return Match.CONTENT, ""
    return Match.NO, "no header of nfdump (A50C)"


def read(artifact):
    """Yields flows (network_activity) and what is said of exporters (raw_event) as
    (table, RecordBatch).

    Args:
        artifact: parsers.artifact.Artifact; its account is kept.

    Raises:
        Truncated, Unsupported: the header is not all there, or of a layout that is not read.
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
    yield from _File(artifact).read()


PARSER = Parser(
    "nfcapd", VERSION, match, ("network_activity", "raw_event"), read, files=("*nfcapd.*",),
)
