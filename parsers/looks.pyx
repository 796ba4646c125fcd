"""Shapes, compiled (see looks.pxd)."""

from cpython.ref cimport PyObject
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from tracelake.normalize.section import ANY
from tracelake.parsers.event_plan cimport Bound
from tracelake.parsers.evtx_memo cimport free_memo
from tracelake.parsers.since_epoch import UNITS

HOWS = {"zone": ZONE, "utc": UTC, "local": LOCAL, "epoch": EPOCH, "written": WRITTEN}
ORDER = {"": 0, "mdy": 1, "dmy": 2}         # written_time.Order

cdef enum:
    SIGNS = 4096                # records are told by their signs, which are drawn; a power of two
    MOST_HELD = 24 << 20        # bytes of memos
    MOST_ACTS = 200000          # remembered: a path in a kind of event each


cdef class _Block:
    """Memory that goes when the Looks goes."""
    cdef void* data

    def __cinit__(self, Py_ssize_t size):
        self.data = calloc(1, size if size > 0 else 1)
        if self.data is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.data)


cdef class Looks:
    """Shapes around the events of a mapping.

    Args:
        tape: that records come on.
        plans: parsers.event_plan.EventPlans.
        shapes: normalize.shapes.Shape each, in the order in which they are tried; the last is for
            records of no other.
    """

    def __cinit__(self, Tape tape, EventPlans plans, shapes):
        cdef int i
        self.tape = tape
        self.plans = plans
        self._keep = []
        self._loose_names = []
        self._shapes = list(shapes)
        self.count = len(self._shapes)
        self.looks = <Look*>self._block(self.count * sizeof(Look))
        self._signs = <Look**>self._block(SIGNS * sizeof(void*))
        self._sign_of = <uint64_t*>self._block(SIGNS * sizeof(uint64_t))
        for i, shape in enumerate(self._shapes):
            self._compile(&self.looks[i], shape)

    def __dealloc__(self):
        cdef Kept* kept
        free(self._loose)
        while self._memos is not NULL:
            kept = self._memos
            self._memos = kept.before
            free_memo(&kept.memo)
            free(kept)

    cdef void* _block(self, Py_ssize_t size) except NULL:
        block = _Block(size)
        self._keep.append(block)
        return (<_Block>block).data

    cdef const uint8_t* _bytes(self, bytes text) except NULL:
        self._keep.append(text)
        return <const uint8_t*><const char*>text

    # --- shapes -------------------------------------------------------------------------------

    cdef int _compile(self, Look* look, shape) except -1:
        cdef int i
        cdef bytes vendor, code
        cdef Said* said
        look.shape = <void*><PyObject*>shape
        look.recent = <Chain**>self._block(RECENT * sizeof(void*))
        look.has = len(shape.has)
        look.has_nodes = self._nodes([member.path for member in shape.has])
        look.has_tests = <int32_t*>self._block(look.has * sizeof(int32_t))
        for i, member in enumerate(shape.has):
            if member.values:
                look.has_tests[i] = self.tape.watch_value(
                    look.has_nodes[i], member.values, False
                )
            else:
                self.tape.watch(look.has_nodes[i])
                look.has_tests[i] = -1 if member.absent else 0
        look.eaches = len(shape.each)
        look.each = <Nests*>self._block(look.eaches * sizeof(Nests))
        look.own = shape.own
        look.others = -1 if shape.others is None else shape.others
        for i, each in enumerate(shape.each):
            look.each[i].node = self.tape.at(each.path)
            look.each[i].alone = each.alone
            look.each[i].below = self.tape.at(each.below)
            look.each[i].marked = self.tape.nodes[look.each[i].node].parent
            self.tape.watch_nests(look.each[i].node)
        look.providers = len(shape.provider)
        look.provider_nodes = self._nodes(shape.provider)
        look.codes = len(shape.event)
        look.code_nodes = self._nodes(shape.event)
        if shape.vendor:
            vendor = shape.vendor.encode()
            look.vendor = self._bytes(vendor)
            look.vendor_length = len(vendor)
        if shape.code:
            code = shape.code.encode()
            look.code = self._bytes(code)
            look.code_length = len(code)
        look.root_names = "" in shape.data
        look.order_nodes = <int32_t*>self._block((len(shape.data) + 1) * sizeof(int32_t))
        look.said = <Said*>self._block(
            (len(shape.data) + len(shape.data_text) + len(shape.json_text)) * sizeof(Said)
        )
        for path in shape.data:
            if not path:
                continue
            said = self._say(look, self.tape.at(path.removesuffix(".*")))
            look.orders += 1
            look.order_nodes[look.orders] = said.node
            said.order = look.orders
            if path.endswith(".*"):
                said.wraps = True
            else:
                said.names = said.ahead = True
        for path in shape.data_text:
            said = self._say(look, self.tape.at(path))
            said.names = said.as_text = True
        for path in shape.json_text:
            self._say(look, self.tape.at(path)).as_text = True
        look.texts = bool(shape.data_text or shape.json_text)
        look.times = len(shape.time)
        look.all_times = look.times + len(shape.logged)
        look.clocks = <Clock*>self._block(look.all_times * sizeof(Clock))
        for i, clock in enumerate((*shape.time, *shape.logged)):
            self._clock(&look.clocks[i], clock)
        for column, sources in shape.system.items():
            self._nodes([source.field for source in sources])
        look.bare = self._new_wrap(look, NULL)
        return 0

    cdef int32_t* _nodes(self, paths) except NULL:
        cdef int32_t* made = <int32_t*>self._block(len(paths) * sizeof(int32_t))
        cdef int i
        for i, path in enumerate(paths):
            made[i] = self.tape.at(path)
        return made

    cdef Said* _say(self, Look* look, int32_t node) except NULL:
        cdef int i
        for i in range(look.said_count):
            if look.said[i].node == node:
                return &look.said[i]
        look.said_count += 1
        look.said[look.said_count - 1].node = node
        return &look.said[look.said_count - 1]

    cdef int _clock(self, Clock* clock, given) except -1:
        cdef bytes name = given.path.encode()
        clock.how = HOWS[given.kind]
        clock.node = self.tape.at(given.parts[0])
        clock.name = self._bytes(name)
        clock.name_length = len(name)
        if clock.how == LOCAL:
            clock.same = self.tape.at(given.fields[0])
            clock.utc = self.tape.at(given.fields[1])
        elif clock.how == EPOCH:
            clock.unit = UNITS["".join(given.fields)]
        elif clock.how == WRITTEN:
            clock.parts = len(given.parts)
            clock.part_nodes = self._nodes(given.parts)
            clock.order = ORDER["".join(given.fields)]
        return 0

    cdef Look* recognise(self) except NULL nogil:
        cdef uint64_t sign = self.tape.sign
        cdef Py_ssize_t at = <Py_ssize_t>(sign & (SIGNS - 1))
        cdef Look* found = self._signs[at]
        if found is NULL or self._sign_of[at] != sign:
            found = self._search(False)
            self._signs[at] = found
            self._sign_of[at] = sign
        if found.others >= 0 and self._others(found) > found.others:
            return self._search(True)
        return found

    cdef Look* _search(self, bint others) except NULL nogil:
        """The first look of the record; of how many other values it has only where they are asked
        for: they do not show in its sign."""
        cdef Look* look = self.looks
        cdef int i
        for i in range(self.count):
            look = &self.looks[i]
            if self._is(look) and not (
                others and look.others >= 0 and self._others(look) > look.others
            ):
                break
        return look

    cdef Py_ssize_t _others(self, const Look* look) noexcept nogil:
        """Values of the record that are not in nests which the look takes."""
        cdef Py_ssize_t i, end = 0, others = self.tape.count
        for i in range(self.tape.nest_count):
            # Those of one list have the same place; one in another's place is in it.
            if self.tape.nests[i].first >= end and self.each(look, &self.tape.nests[i]) is not NULL:
                end = self.tape.nests[i].end
                others -= end - self.tape.nests[i].first
        return others

    cdef bint _is(self, Look* look) except -1 nogil:
        cdef Py_ssize_t i
        cdef bint nests = look.eaches == 0
        for i in range(look.has):
            if look.has_tests[i] < 0:
                if self.tape.has(look.has_nodes[i]):
                    return False
            elif look.has_tests[i]:
                if not self.tape.passes(look.has_nodes[i], look.has_tests[i]):
                    return False
            elif not self.tape.has(look.has_nodes[i]):
                return False
        for i in range(self.tape.nest_count):
            if nests:
                break
            nests = self.each(look, &self.tape.nests[i]) is not NULL
        return nests

    # --- kinds of events ----------------------------------------------------------------------

    cdef Chain* _find_chain(self, Look* look, Plan* plan) except NULL nogil:
        cdef Chain* chain = look.chains
        while chain is not NULL and chain.plan is not plan:
            chain = chain.after
        if chain is NULL:
            with gil:
                chain = self._new_chain(look, plan)
        look.recent[(<size_t>plan >> 6) & (RECENT - 1)] = chain
        return chain

    cdef Chain* _new_chain(self, Look* look, Plan* plan) except NULL:
        cdef Chain* chain = <Chain*>self._block(sizeof(Chain))
        cdef Branch* branch
        cdef int i
        event = <object>plan.event
        sections = [] if event is None else [one for one in event.sections]
        chain.plan = plan
        chain.branches = <Branch*>self._block((len(sections) + 1) * sizeof(Branch))
        for section in sections:
            branch = &chain.branches[chain.count]
            chain.count += 1
            branch.plan = plan
            branch.asks = len(section.when)
            branch.ask = <Ask*>self._block(branch.asks * sizeof(Ask))
            for i, condition in enumerate(section.when):
                self._ask(look, &branch.ask[i], condition)
            if not section.when:
                break
            plan = self.plans.otherwise(plan)
        if chain.count == 0 or chain.branches[chain.count - 1].asks:
            chain.branches[chain.count].plan = plan
            chain.count += 1
        chain.after = look.chains
        look.chains = chain
        return chain

    cdef int _ask(self, Look* look, Ask* ask, condition) except -1:
        cdef bytes text
        cdef int i
        ask.field = self._asked(look, condition.field)
        ask.equal = condition.equal
        ask.count = len(condition.values)
        ask.texts = <const uint8_t**>self._block(ask.count * sizeof(void*))
        ask.sizes = <Py_ssize_t*>self._block(ask.count * sizeof(Py_ssize_t))
        for i, value in enumerate(condition.values):
            text = value.encode()
            ask.texts[i] = self._bytes(text)
            ask.sizes[i] = len(text)
        return 0

    cdef int _asked(self, Look* look, str field) except -1:
        """The index of a field among those that the look's conditions ask for."""
        cdef bytes name = field.encode()
        cdef Asked* grown
        cdef int i, at
        cdef Act** page
        for i in range(look.asked_count):
            if look.asked[i].length == len(name) and (
                memcmp(look.asked[i].name, <const char*>name, len(name)) == 0
            ):
                return i
        grown = <Asked*>self._block((look.asked_count + 1) * sizeof(Asked))
        if look.asked_count:
            memcpy(grown, look.asked, look.asked_count * sizeof(Asked))
        look.asked = grown
        grown[look.asked_count].name = self._bytes(name)
        grown[look.asked_count].length = len(name)
        look.asked_count += 1
        for i in range(look.bare.page_count):
            page = look.bare.pages[i]
            if page is not NULL:
                for at in range(PAGE):
                    if page[at] is not NULL:
                        self._tell(look, page[at], (i << PAGE_BITS) + at)
        return look.asked_count - 1

    cdef int _tell(self, Look* look, Act* act, int32_t node) except -1:
        """Says in an act which of the asked fields it is."""
        cdef bytes whole = None
        cdef int i
        for i in range(look.asked_count):
            if look.asked[i].length == act.length and (
                memcmp(look.asked[i].name, act.path, act.length) == 0
            ):
                act.asked = i + 1
                continue
            if whole is None:
                whole = self._whole(node)
            # A value below the objects with named values may be named by its whole path, too.
            if b"." in whole and look.asked[i].length == len(whole) and (
                memcmp(look.asked[i].name, <const char*>whole, len(whole)) == 0
            ):
                act.asked_whole = i + 1
        return 0

    cdef bytes _whole(self, int32_t node):
        names = []
        while node:
            names.append((<const char*>self.tape.nodes[node].name)[:self.tape.nodes[node].length])
            node = self.tape.nodes[node].parent
        return b".".join(reversed(names))

    cdef Wrap* wrap(self, Look* look, Branch* branch) except NULL nogil:
        if branch.wrap is NULL:
            with gil:
                branch.wrap = self._new_wrap(look, branch.plan)
        return branch.wrap

    cdef Wrap* _new_wrap(self, Look* look, Plan* plan) except NULL:
        cdef Wrap* wrap = <Wrap*>self._block(sizeof(Wrap))
        cdef int i
        shape = <object><PyObject*>look.shape
        wrap.look = look
        wrap.plan = plan
        wrap.root.path = <const uint8_t*>b""
        wrap.root.names = look.root_names
        if plan is NULL:
            return wrap
        wrap.binds = <Bind*>self._block(sum(map(len, shape.system.values())) * sizeof(Bind))
        for column, sources in shape.system.items():
            bound = self.plans.bind(plan, column, sources, shape.names_of(sources))
            for i, source in enumerate(sources):
                wrap.binds[wrap.bind_count].node = self.tape.at(source.field)
                wrap.binds[wrap.bind_count].target = (<Bound>bound[i]).target
                wrap.bind_count += 1
        return wrap

    # --- paths --------------------------------------------------------------------------------

    cdef Act* _new_act(self, Wrap* wrap, int32_t node) except NULL nogil:
        if node == 0:
            return &wrap.root
        with gil:
            return self._make_act(wrap, node)

    cdef Act* _make_act(self, Wrap* wrap, int32_t node) except NULL:
        cdef bint loose = self.tape.is_loose(node) or self._acts >= MOST_ACTS
        cdef Act* act = NULL
        cdef Act* above
        cdef bytes path
        cdef int i
        if loose:
            act = self._loose_act(node)
            if act.path is not NULL and act.target is not NULL or wrap.plan is NULL and act.path is not NULL:
                return act
        above = self.act(wrap, self.tape.nodes[node].parent)
        path = (<const char*>self.tape.nodes[node].name)[:self.tape.nodes[node].length]
        if above.names and (<object><PyObject*>wrap.look.shape).capital:
            path = path[:1].upper() + path[1:]
        if not above.names and self.tape.nodes[node].parent:
            path = (<const char*>above.path)[:above.length] + b"." + path
        if act is NULL:
            act = <Act*>self._block(sizeof(Act))
            self._keep.append(path)
        else:
            self._loose_names.append(path)
        act.path = <const uint8_t*><const char*>path
        act.length = <int32_t>len(path)
        act.order = act.inner = above.inner
        act.loose = loose
        act.names = act.ahead = above.wraps
        for i in range(wrap.look.said_count):
            if wrap.look.said[i].node == node:
                act.names |= wrap.look.said[i].names
                act.ahead |= wrap.look.said[i].ahead
                act.wraps |= wrap.look.said[i].wraps
                act.as_text |= wrap.look.said[i].as_text
                if wrap.look.said[i].ahead:
                    act.inner = wrap.look.said[i].order
        if above.wraps:
            # Objects whose members are named values come ahead; what else stands there does not.
            for i in range(wrap.look.said_count):
                if wrap.look.said[i].node == self.tape.nodes[node].parent:
                    act.inner = wrap.look.said[i].order
        if wrap.plan is NULL:
            self._tell(wrap.look, act, node)
        else:
            for i in range(wrap.bind_count):
                if wrap.binds[i].node == node:
                    act.target = wrap.binds[i].target
            if act.target is not NULL:
                pass
            elif loose:
                act.target = self.plans.loose(wrap.plan, path, <Target*>(act + 1))
            else:
                act.target = self.plans.target(wrap.plan, act.path, act.length)
        if not loose:
            if wrap.plan is not NULL:
                act.memo = self._new_memo()
            self._remember(wrap, node, act)
        return act

    cdef Memo* _new_memo(self) except? NULL:
        cdef Kept* kept
        if self.held > MOST_HELD:
            return NULL
        kept = <Kept*>calloc(1, sizeof(Kept))
        if kept is NULL:
            raise MemoryError()
        kept.before = self._memos
        self._memos = kept
        self.held += sizeof(Kept)
        return &kept.memo

    cdef Act* _loose_act(self, int32_t node) except? NULL:
        """Room for an act, and its target behind it, in this record."""
        cdef Py_ssize_t size = sizeof(Act) + sizeof(Target), room = self._loose_room
        cdef uint8_t* made
        cdef void* grown
        if self._loose_serial != self.tape.serial:
            self._loose_serial = self.tape.serial
            self._loose_names.clear()
            if self._loose_room > 1 << 16:
                free(self._loose)
                self._loose = NULL
                self._loose_room = 0
            elif self._loose_room:
                memset(self._loose, 0, self._loose_room * sizeof(void*))
            room = self._loose_room
        if node >= room:
            while node >= room:
                room = 2 * room + 1024
            grown = realloc(self._loose, room * sizeof(void*))
            if grown is NULL:
                raise MemoryError()
            self._loose = <Act**>grown
            memset(self._loose + self._loose_room, 0, (room - self._loose_room) * sizeof(void*))
            self._loose_room = room
        if self._loose[node] is NULL:
            made = self.tape.room(size + 16)
            self.tape.used(size + 16)
            made += 16 - (<size_t>made & 15)
            memset(made, 0, size)
            self._loose[node] = <Act*>made
        return self._loose[node]

    cdef int _remember(self, Wrap* wrap, int32_t node, Act* act) except -1:
        cdef int page = node >> PAGE_BITS, count
        cdef Act*** pages
        if page >= wrap.page_count:
            count = max(page + 1, 2 * wrap.page_count)
            pages = <Act***>self._block(count * sizeof(void*))
            if wrap.page_count:
                memcpy(pages, wrap.pages, wrap.page_count * sizeof(void*))
            wrap.pages = pages
            wrap.page_count = count
        if wrap.pages[page] is NULL:
            wrap.pages[page] = <Act**>self._block(PAGE * sizeof(void*))
        wrap.pages[page][node & (PAGE - 1)] = act
        self._acts += 1
        return 0

    cdef Target* pair(self, Wrap* wrap, Act* act) except NULL nogil:
        if act.target.count == 0 or act.target.lists:
            return act.target
        if act.pair is NULL:
            with gil:
                act.pair = self._pair_of(wrap, (<const char*>act.path)[:act.length])
        return act.pair

    cdef Target* _pair_of(self, Wrap* wrap, bytes path) except NULL:
        return self.plans.pair(wrap.plan, path.decode())

    cdef Target* another(self, Wrap* wrap, Act* act, int64_t number) except NULL nogil:
        with gil:
            return self._another(
                wrap, (<const char*>act.path)[:act.length] + f"[{number}]".encode()
            )

    cdef Target* _another(self, Wrap* wrap, bytes name) except NULL:
        cdef uint8_t* room
        if self._loose_serial != self.tape.serial:
            self._loose_act(0)
        self._loose_names.append(name)
        room = self.tape.room(sizeof(Target) + 16)
        self.tape.used(sizeof(Target) + 16)
        room += 16 - (<size_t>room & 15)
        return self.plans.loose(wrap.plan, name, <Target*>room)
