"""Shapes (normalize/shapes.py), compiled: what a record is, and what becomes of its paths.

    look = looks.recognise()                    # of the record on the tape
    chain = looks.chain(look, plan)             # the sections for its kind of event
    act = looks.act(wrap, node)                 # what becomes of a path's values

A *look* is a shape; a *wrap* is a look around one kind of event (a Plan), and an *act* what
becomes of the values of one path (a node of the tape) in a wrap. All stay valid as long as the
Looks, but for acts of loose nodes, which are of the record at hand. The GIL is only taken for
what is met for the first time.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.parsers.event_plan cimport EventPlans, Plan, Target
from tracelake.parsers.evtx_memo cimport Memo
from tracelake.parsers.tape cimport Nest, Tape


cdef enum:
    PAGE_BITS = 6
    PAGE = 1 << PAGE_BITS
    RECENT = 64                 # a power of two


cdef enum How:                  # how a clock is read
    ZONE, UTC, LOCAL, EPOCH, WRITTEN


cdef struct Clock:
    int how
    int32_t node
    const uint8_t* name         # its path: time_desc
    Py_ssize_t name_length
    int unit                    # EPOCH: since_epoch.Unit
    int32_t same                # LOCAL: the same clock,
    int32_t utc                 # and UTC, in one moment
    int parts                   # WRITTEN: members that it is put together of,
    int32_t* part_nodes
    int order                   # and written_time.Order


cdef struct Said:               # what a shape says of a path
    int32_t node
    bint names
    bint ahead
    bint wraps
    bint as_text
    int order


cdef struct Wrap


cdef struct Ask:                # a condition of a section
    int field                   # which of the look's asked fields
    bint equal
    int count                   # of texts; 0: any that is not empty
    const uint8_t** texts
    Py_ssize_t* sizes


cdef struct Branch:             # a section
    int asks
    Ask* ask
    Plan* plan
    Wrap* wrap                  # NULL: not met yet


cdef struct Chain:              # the sections for a kind of event, in the order they are tried
    Plan* plan
    int count
    Branch* branches            # the last is for all that fit no other
    Chain* after                # the next one of the look


cdef struct Asked:              # a field that conditions name
    const uint8_t* name
    Py_ssize_t length
    int64_t serial              # record that `entry` is of
    int32_t entry


cdef struct Nests:              # a list whose objects are records
    int32_t node
    bint alone                  # not a list: an object
    int32_t below               # where their members stand
    int32_t marked              # the member above the list, which says where they were; 0: none


cdef struct Look:
    int eaches
    Nests* each
    bint own                    # the object is a record, too
    Py_ssize_t others           # most other values that it has; -1: any number
    int has                     # 0: of objects of no other shape
    int32_t* has_nodes
    int32_t* has_tests          # 0: it is enough that it is there; -1: it must not be
    int providers
    int32_t* provider_nodes
    int codes
    int32_t* code_nodes
    const uint8_t* code         # of all records of the shape; NULL: it stands in the record
    Py_ssize_t code_length
    const uint8_t* vendor       # NULL: the provider stands in the record
    Py_ssize_t vendor_length
    int orders                  # objects with named values that come before the rest
    int32_t* order_nodes        # from 1; of each
    bint texts                  # some text holds JSON
    int said_count
    Said* said
    bint root_names
    int times
    int all_times               # those of when it was logged included, which stand behind
    Clock* clocks
    Wrap* bare                  # paths alone, without a plan
    Chain* chains
    Chain** recent              # by plan, RECENT of them
    int asked_count
    Asked* asked
    void* shape                 # normalize.shapes.Shape; borrowed


cdef struct Act:                # what becomes of a path's values
    Target* target
    Target* pair                # of a value that no column takes; NULL: not made yet
    const uint8_t* path         # its name among the event's values
    int32_t length
    int32_t order               # 0: in the order of the record, behind those before
    int32_t inner               # that of its members
    bint names                  # its members are named values
    bint ahead
    bint wraps
    bint as_text
    bint loose                  # of this record alone
    Memo* memo                  # what its last value came to; NULL: nothing is remembered
    int asked                   # index + 1 of the asked field that it is
    int asked_whole             # the same, named by its whole path


cdef struct Kept:               # a memo, and the one made before
    Memo memo
    Kept* before


cdef struct Bind:               # a path that fills a column of every table
    int32_t node
    Target* target


cdef struct Wrap:
    Look* look
    Plan* plan
    Act root
    int bind_count
    Bind* binds
    int page_count
    Act*** pages


cdef class Looks:
    cdef Tape tape
    cdef EventPlans plans
    cdef Look* looks
    cdef readonly int count
    cdef list _shapes
    cdef list _keep
    cdef Py_ssize_t _acts       # remembered
    cdef Kept* _memos
    cdef int64_t held           # bytes of memos and what they hold
    cdef Look** _signs          # by sign
    cdef uint64_t* _sign_of
    cdef int64_t _loose_serial
    cdef list _loose_names
    cdef Act** _loose           # by node
    cdef Py_ssize_t _loose_room

    cdef Look* recognise(self) except NULL nogil
    cdef Wrap* wrap(self, Look* look, Branch* branch) except NULL nogil
    # A value that no column takes: a pair of `unmapped`. Takes the GIL the first time.
    cdef Target* pair(self, Wrap* wrap, Act* act) except NULL nogil
    # Where the next value of a name goes that had so many in this record that it is hostile.
    cdef Target* another(self, Wrap* wrap, Act* act, int64_t number) except NULL nogil

    # What the look says of a nest; NULL: it is no record of its own.
    cdef inline const Nests* each(self, const Look* look, const Nest* nest) noexcept nogil:
        cdef int i
        for i in range(look.eaches):
            if look.each[i].node == nest.node and look.each[i].alone == nest.alone:
                return &look.each[i]
        return NULL

    cdef inline Chain* chain(self, Look* look, Plan* plan) except NULL nogil:
        cdef Chain* known = look.recent[(<size_t>plan >> 6) & (RECENT - 1)]
        if known is not NULL and known.plan is plan:
            return known
        return self._find_chain(look, plan)

    cdef inline Act* act(self, Wrap* wrap, int32_t node) except NULL nogil:
        cdef Act* found
        if node >> PAGE_BITS < wrap.page_count and wrap.pages[node >> PAGE_BITS] is not NULL:
            found = wrap.pages[node >> PAGE_BITS][node & (PAGE - 1)]
            if found is not NULL:
                return found
        return self._new_act(wrap, node)

    # --- inside ---
    cdef Target* _pair_of(self, Wrap* wrap, bytes path) except NULL
    cdef Target* _another(self, Wrap* wrap, bytes name) except NULL
    cdef void* _block(self, Py_ssize_t size) except NULL
    cdef const uint8_t* _bytes(self, bytes text) except NULL
    cdef int _compile(self, Look* look, shape) except -1
    cdef int32_t* _nodes(self, paths) except NULL
    cdef Said* _say(self, Look* look, int32_t node) except NULL
    cdef int _clock(self, Clock* clock, given) except -1
    cdef Wrap* _new_wrap(self, Look* look, Plan* plan) except NULL
    cdef Chain* _find_chain(self, Look* look, Plan* plan) except NULL nogil
    cdef Chain* _new_chain(self, Look* look, Plan* plan) except NULL
    cdef int _ask(self, Look* look, Ask* ask, condition) except -1
    cdef int _asked(self, Look* look, str field) except -1
    cdef int _tell(self, Look* look, Act* act, int32_t node) except -1
    cdef bytes _whole(self, int32_t node)
    cdef Look* _search(self, bint others) except NULL nogil
    cdef Py_ssize_t _others(self, const Look* look) noexcept nogil
    cdef bint _is(self, Look* look) except -1 nogil
    cdef Act* _new_act(self, Wrap* wrap, int32_t node) except NULL nogil
    cdef Act* _make_act(self, Wrap* wrap, int32_t node) except NULL
    cdef Act* _loose_act(self, int32_t node) except? NULL
    cdef Memo* _new_memo(self) except? NULL
    cdef int _remember(self, Wrap* wrap, int32_t node, Act* act) except -1

