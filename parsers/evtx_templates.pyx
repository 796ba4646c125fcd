"""Which plan a template's definition is (see evtx_templates.pxd).

Specification: [MS-EVEN6] 2.2.12 (BinXml) and 3.1.4.7; "Windows XML Event Log (EVTX) format"
(libyal, libevtx).

**One plan per distinct body.** The same definition is written anew in every chunk, and its bytes
differ from chunk to chunk where a name stands inline in one and as a reference in another. So
there are two steps: the body's bytes, and the names outside that they refer to, are compared with
the variants seen before (no parsing); and what a new variant compiles to is compared with the
plans that exist (a log has thousands of variants and some dozen plans). A GUID alone proves
nothing: providers change an event and keep it. It only helps where a definition is damaged or
missing: then the last good plan of the same id is taken, and the rows are flagged.

**Hostile input.** The tokens compiled per chunk and what is kept over chunks are bounded; a bound
that is passed damages the record that asks for more, or (what is kept) empties the cache between
two chunks.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from tracelake.native.cursor cimport Cursor, corrupt, le16, le32, span
from tracelake.native.errors import EvidenceError
from tracelake.native.hash64 cimport hash64
from tracelake.parsers.evtx_compile cimport Build, Instance, Ref, compile_body
from tracelake.parsers.evtx_lost cimport plan_by_position
from tracelake.parsers.evtx_names cimport names_number, names_reset, put_number
from tracelake.parsers.evtx_plan cimport (
    AT_ROOT, MAX_HELD, MAX_TEXT, OP_PAIR, Op, Part, Plan, free_plan, grow, put_text,
)

cdef enum:
    MAX_WORK = 262144           # tokens compiled per chunk: sixteen times what fits into one
    MAX_CONTEXTS = 4096
    BUCKETS = 8192              # a power of two
    PLACES = 1024               # a power of two


cdef inline int32_t _slot(uint32_t where, uint32_t id, int32_t context) noexcept nogil:
    """Where the search for a definition begins."""
    cdef uint32_t mixed = where * 0x9E3779B1U + context * 0x85EBCA77U + id * 0xC2B2AE3DU
    return <int32_t>(mixed >> 22) & (PLACES - 1)


cdef class Plans:
    def __cinit__(self):
        self.variants = <Variant**>calloc(BUCKETS, sizeof(void*))
        self.digests = <Plan**>calloc(BUCKETS, sizeof(void*))
        self.known = <Known**>calloc(BUCKETS, sizeof(void*))
        self.places = <Place*>calloc(PLACES, sizeof(Place))
        self.contexts = <Context*>calloc(MAX_CONTEXTS, sizeof(Context))
        self.prefixes = <uint8_t*>malloc(MAX_TEXT)
        self.build = <Build*>calloc(1, sizeof(Build))
        if (
            self.variants is NULL or self.digests is NULL or self.known is NULL
            or self.places is NULL or self.contexts is NULL or self.prefixes is NULL
            or self.build is NULL
        ):
            raise MemoryError()
        self.build.chunk = &self.chunk
        self.context(AT_ROOT, self.prefixes, 0)

    def __dealloc__(self):
        if self.variants is not NULL and self.digests is not NULL and self.known is not NULL:
            self._clear()
        free(self.variants)
        free(self.digests)
        free(self.known)
        free(self.places)
        free(self.contexts)
        free(self.prefixes)
        free(self.build)
        free(self.locals)
        free(self.names.keys)
        free(self.names.counts)

    cdef int _clear(self) noexcept nogil:
        """Forgets everything that was kept over chunks."""
        cdef Variant* variant
        cdef Plan* plan
        cdef Known* known
        cdef int32_t i
        for i in range(self.local_count):
            free_plan(self.locals[i])
        self.local_count = 0
        for i in range(BUCKETS):
            while self.variants[i] is not NULL:
                variant = self.variants[i]
                self.variants[i] = variant.next
                free(variant.body)
                free(variant.refs)
                free(variant)
            while self.known[i] is not NULL:
                known = self.known[i]
                self.known[i] = known.next
                free(known)
            while self.digests[i] is not NULL:
                plan = self.digests[i]
                self.digests[i] = plan.same
                free_plan(plan)
        self.held = 0
        self.plan_count = 0
        self.variant_count = 0
        return 0

    def forget(self):
        """Empties the cache; between two chunks."""
        self._clear()
        self.context_count = 1      # the root stays
        self.prefix_length = 0

    def asks_before(self):
        """Whether anything was read otherwise than it might have been after other chunks: a
        definition was guessed, or a bound was met that counts what is kept over chunks."""
        return (
            self.guesses > 0 or self.chunk.work < 0 or self.context_count > MAX_CONTEXTS // 2
        )

    cdef int begin_chunk(
        self, const uint8_t* chunk, Py_ssize_t length, int64_t origin
    ) except -1 nogil:
        """Names and definitions are now those of this chunk; plans of the last one may go."""
        cdef int32_t i
        for i in range(self.local_count):
            free_plan(self.locals[i])
        self.local_count = 0
        if self.held > MAX_HELD or self.context_count > MAX_CONTEXTS // 2:
            self._clear()
            self.context_count = 1      # the root stays
            self.prefix_length = 0
        for i in range(PLACES):
            self.places[i].offset = -1
        self.place_count = 0
        self.chunk.work = MAX_WORK
        self.chunk.start = chunk
        self.chunk.length = length
        self.chunk.origin = origin
        return 0

    cdef int32_t context(
        self, int section, const uint8_t* prefix, int32_t length
    ) except -1 nogil:
        """The number of a place where fragments stand: the same place has the same number."""
        cdef int32_t i
        cdef Context* known
        for i in range(self.context_count):
            known = &self.contexts[i]
            if known.section == section and known.length == length and (
                length == 0 or memcmp(self.prefixes + known.at, prefix, length) == 0
            ):
                return i
        if self.context_count >= MAX_CONTEXTS or self.prefix_length + length > MAX_TEXT:
            return corrupt(
                self.chunk.origin, b"chunk", b"holds too many kinds of nested binary XML"
            )
        known = &self.contexts[self.context_count]
        known.section = <uint8_t>section
        known.at = self.prefix_length
        known.length = length
        memcpy(self.prefixes + known.at, prefix, length)
        self.prefix_length += length
        self.context_count += 1
        return self.context_count - 1

    cdef Place* met(self, const Instance* instance, int32_t context) noexcept nogil:
        cdef Place* place
        cdef int32_t slot = _slot(instance.definition, instance.id, context)
        while self.places[slot].offset >= 0:
            place = &self.places[slot]
            if (
                place.offset == instance.definition and place.id == instance.id
                and place.context == context
            ):
                return place
            slot = (slot + 1) & (PLACES - 1)
        return NULL

    cdef Place* definition(self, const Instance* instance, int32_t context) except NULL nogil:
        """The plan of an instance's template, for a place where it is used."""
        cdef uint32_t where = instance.definition, id = instance.id
        cdef int32_t slot = _slot(where, id, context)
        cdef Place* place
        cdef const uint8_t* p
        cdef Py_ssize_t size
        cdef Variant* variant = NULL
        while self.places[slot].offset >= 0:
            place = &self.places[slot]
            if place.offset == where and place.id == id and place.context == context:
                return place
            slot = (slot + 1) & (PLACES - 1)
        if self.place_count > PLACES * 3 // 4:
            corrupt(self.chunk.origin + where, b"chunk", b"holds too many templates")
            return NULL
        place = &self.places[slot]
        place.id = id
        place.context = context
        place.plan = NULL
        place.body = NULL
        place.guessed = False
        place.lost = False
        if <Py_ssize_t>where + 24 <= self.chunk.length:
            p = self.chunk.start + where
            size = le32(p + 20)
            if le32(p + 4) == id and size <= self.chunk.length - <Py_ssize_t>where - 24:
                place.body = p + 24
                variant = self._find(
                    hash64(place.body, size, where), where, context, place.body, size
                )
        if variant is not NULL:
            place.plan = variant.plan
        else:
            place.offset = where
            try:
                self._resolve(place, instance)
            finally:
                if place.plan is NULL:
                    place.offset = -1
        place.offset = where
        self.place_count += 1
        return place

    cdef Known** _known(self, uint32_t id, int32_t context) noexcept nogil:
        cdef Known** link = &self.known[(id + context * 0x9E3779B1U) & (BUCKETS - 1)]
        while link[0] is not NULL and (link[0].id != id or link[0].context != context):
            link = &link[0].next
        return link

    cdef int _resolve(self, Place* place, const Instance* instance) except -1 with gil:
        """Compiles a definition; where it is broken, takes the last good plan of its id, or what
        the values say themselves."""
        cdef Known** link = self._known(place.id, place.context)
        cdef Known* known = link[0]
        cdef Plan* plan
        cdef uint32_t where = <uint32_t>place.offset
        cdef Py_ssize_t size
        try:
            if place.body is NULL:
                corrupt(
                    self.chunk.origin + where, b"template definition",
                    b"is not there, or not the one that the record names",
                )
            size = le32(place.body - 4)
            plan = self.compile(
                span(place.body, size, self.chunk.origin + (place.body - self.chunk.start)),
                place.context, False,
            )
        except EvidenceError:
            self.guesses += 1
            place.guessed = True
            if known is not NULL:
                place.plan = known.plan
                return 0
            place.plan = self._lost(instance, place.context)
            place.lost = True
            if place.plan is NULL:
                raise
            return 0
        if plan.local:
            place.plan = plan
            return 0
        self.guesses += plan.guessed
        if plan.guessed and known is not NULL:
            # A name that fails its checksum: the same template read elsewhere knows better.
            free_plan(plan)
            place.plan = known.plan
            place.guessed = True
            return 0
        plan = self._keep(plan, where, place.context, place.body, size)
        place.plan = plan
        if plan.guessed:
            return 0
        if known is NULL:
            known = <Known*>calloc(1, sizeof(Known))
            if known is NULL:
                raise MemoryError()
            known.id = place.id
            known.context = place.context
            link[0] = known
            self.held += sizeof(Known)
        known.plan = plan
        return 0

    cdef Plan* _lost(self, const Instance* instance, int32_t context) except? NULL:
        """A plan from the values alone, good for this chunk; NULL where they do not tell."""
        cdef Plan* plan = <Plan*>calloc(1, sizeof(Plan))
        cdef bint whole = False
        if plan is NULL:
            raise MemoryError()
        plan.number = -1
        plan.apart = -1
        plan.local = 1
        try:
            self.chunk.work -= instance.count
            if self.chunk.work >= 0 and plan_by_position(
                plan, instance, self.contexts[context].section
            ):
                self._number(plan)
                whole = True
        finally:
            if not whole:
                free_plan(plan)
        if not whole:
            return NULL
        self._own(plan)
        return plan

    cdef Variant* _find(
        self, uint64_t key, uint32_t where, int32_t context, const uint8_t* body, Py_ssize_t size
    ) noexcept nogil:
        """The variant that these bytes are, with the same names outside of them.

        The place counts too: whether a name is inline is said by its offset.
        """
        cdef Variant* v = self.variants[key & (BUCKETS - 1)]
        cdef Ref* ref
        cdef const uint8_t* p
        cdef int32_t i
        cdef bint same
        while v is not NULL:
            if v.key == key and v.where == where and v.context == context and v.length == size and (
                memcmp(v.body, body, size) == 0
            ):
                same = True
                for i in range(v.ref_count):
                    ref = &v.refs[i]
                    p = self.chunk.start + ref.offset
                    if (
                        ref.offset + 8 + 2 * ref.units > self.chunk.length
                        or le16(p + 6) != ref.units
                        or memcmp(p + 8, v.body + ref.at, 2 * ref.units) != 0
                    ):
                        same = False
                        break
                if same:
                    return v
            v = v.next
        return NULL

    cdef Plan* fragment(self, Cursor body, int32_t context, bint bare) except NULL nogil:
        """A plan for bytes that stand in a record, without a template; good for this chunk."""
        cdef Plan* plan = self.compile(body, context, bare)
        if not plan.local:
            plan.local = 1
            self._own(plan)
        return plan

    cdef int _own(self, Plan* plan) except -1 nogil:
        """The plan lives as long as the current chunk."""
        cdef bint kept = False
        try:
            grow(<void**>&self.locals, &self.local_room, self.local_count + 1, sizeof(void*))
            self.locals[self.local_count] = plan
            self.local_count += 1
            kept = True
        finally:
            if not kept:
                free_plan(plan)
        return 0

    cdef Plan* compile(self, Cursor body, int32_t context, bint bare) except NULL nogil:
        """Reads a fragment; the plan is the caller's, or (`local`) the chunk's."""
        cdef Context* place = &self.contexts[context]
        cdef Plan* plan = <Plan*>calloc(1, sizeof(Plan))
        cdef bint whole = False
        if plan is NULL:
            with gil:
                raise MemoryError()
        self.compiled += 1
        plan.number = -1
        plan.apart = -1
        try:
            compile_body(
                self.build, plan, &body, place.section, self.prefixes + place.at, place.length,
                bare,
            )
            self._number(plan)
            whole = True
        finally:
            if not whole:
                free_plan(plan)
        if plan.local:
            self._own(plan)
        return plan

    cdef int _number(self, Plan* plan) except -1 nogil:
        """Makes the names of the plan's pairs unique, and room for their contexts."""
        cdef int32_t i, number, at, n
        cdef uint8_t[12] suffix
        cdef Op* op
        names_reset(&self.names, plan.pairs)
        for i in range(plan.op_count):
            op = &plan.ops[i]
            if op.kind != OP_PAIR or op.name_index >= 0:
                continue
            number = names_number(&self.names, plan.text + op.name_at, op.name_length)
            if number > 1:
                n = put_number(suffix, number)
                at = put_text(plan, plan.text + op.name_at, 0)
                grow(<void**>&plan.text, &plan.text_room, at + op.name_length + n + 1, 1)
                memcpy(plan.text + at, plan.text + op.name_at, op.name_length)
                memcpy(plan.text + at + op.name_length, suffix, n)
                plan.text_length += op.name_length + n
                op.name_at = at
                op.name_length += n
        plan.contexts = <int32_t*>malloc((plan.op_count + 1) * sizeof(int32_t))
        if plan.contexts is NULL:
            with gil:
                raise MemoryError()
        memset(plan.contexts, 0xFF, (plan.op_count + 1) * sizeof(int32_t))
        return 0

    cdef Plan* _keep(
        self, Plan* plan, uint32_t where, int32_t context, const uint8_t* body, Py_ssize_t size
    ) except NULL nogil:
        """Keeps the body as a variant of a plan: of the one that is equal, or of this one."""
        cdef Build* b = self.build
        cdef uint64_t digest, key = hash64(body, size, where)
        cdef Plan* other
        cdef Variant* v
        cdef int32_t i
        cdef Py_ssize_t names = 0, at
        cdef Plan** bucket
        digest = hash64(<uint8_t*>plan.ops, plan.op_count * sizeof(Op), context)
        digest = hash64(<uint8_t*>plan.parts, plan.part_count * sizeof(Part), digest)
        digest = hash64(plan.text, plan.text_length, digest)
        plan.digest = digest
        bucket = &self.digests[digest & (BUCKETS - 1)]
        other = bucket[0]
        while other is not NULL:
            if (
                other.digest == digest and other.op_count == plan.op_count
                and other.part_count == plan.part_count
                and other.text_length == plan.text_length
                and other.guessed == plan.guessed
                and memcmp(other.ops, plan.ops, plan.op_count * sizeof(Op)) == 0
                and memcmp(other.parts, plan.parts, plan.part_count * sizeof(Part)) == 0
                and memcmp(other.text, plan.text, plan.text_length) == 0
            ):
                break
            other = other.same
        if other is not NULL:
            free_plan(plan)
            plan = other
        else:
            plan.number = self.next_number
            self.next_number += 1
            plan.same = bucket[0]
            bucket[0] = plan
            self.plan_count += 1
            self.held += sizeof(Plan) + plan.op_room * sizeof(Op)
            self.held += plan.part_room * sizeof(Part) + plan.text_room
        for i in range(b.ref_count):
            names += 2 * b.refs[i].units
        v = <Variant*>calloc(1, sizeof(Variant))
        if v is not NULL:
            v.body = <uint8_t*>malloc(size + names + 1)
            v.refs = <Ref*>malloc((b.ref_count + 1) * sizeof(Ref))
        if v is NULL or v.body is NULL or v.refs is NULL:
            if v is not NULL:
                free(v.body)
                free(v.refs)
                free(v)
            with gil:
                raise MemoryError()
        v.key = key
        v.where = where
        v.context = context
        v.length = <int32_t>size
        v.plan = plan
        memcpy(v.body, body, size)
        at = size
        for i in range(b.ref_count):
            v.refs[i] = b.refs[i]
            v.refs[i].at = <int32_t>at
            memcpy(v.body + at, self.chunk.start + b.refs[i].offset + 8, 2 * b.refs[i].units)
            at += 2 * b.refs[i].units
        v.ref_count = b.ref_count
        v.next = self.variants[key & (BUCKETS - 1)]
        self.variants[key & (BUCKETS - 1)] = v
        self.variant_count += 1
        self.held += sizeof(Variant) + size + names + b.ref_count * sizeof(Ref)
        return plan
