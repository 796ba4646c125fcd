"""The folders of a volume, as far as they are known, and the paths that follow from them."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.columns cimport Buffer

cdef enum:
    PATH_MOST = 8192                # bytes of a path of folders; no real one comes near
    PATH_ROOM = 10240               # of a path with its file's name

cdef enum Way:
    LEADS                           # the folders lead to the root
    ORPHAN                          # one of them is gone, or another one now
    UNKNOWN                         # one of them was not seen yet


cdef struct Folder:
    uint64_t parent                 # file reference
    int64_t name                    # where its name stands among the names
    uint64_t entry
    int sequence
    short length                    # bytes of its name; -1: it has none that is known yet
    bint in_use


# A folder's path that was made before.
cdef struct Known:
    uint32_t folder                 # its number, from 1; 0: nothing
    uint32_t changes
    short length
    short way
    uint8_t[368] text


cdef class Folders:
    cdef Buffer _folders            # Folder
    cdef Buffer _names              # UTF-8
    # Numbers of folders, by a hash of their entries that cannot be foreseen; open addressing.
    cdef uint32_t* _slots
    cdef Py_ssize_t _mask
    cdef uint64_t _factor
    cdef bytes _lost
    cdef const char* _lost_text     # what stands in a path before a folder that is not known
    cdef Py_ssize_t _lost_length
    cdef uint32_t _changes          # of folders that were known before: paths are made anew
    cdef Known* _known
    cdef Py_ssize_t count
    cdef uint64_t seen              # entries below this one were looked at
    cdef bint all_seen              # there are no others
    cdef bint guess                 # a path that is UNKNOWN is made all the same, as an orphan's

    # A folder's own record. Without a name (length -1) it makes paths wait.
    cdef int add(
        self, uint64_t entry, int sequence, bint in_use, uint64_t parent,
        const uint8_t* name, Py_ssize_t length,
    ) except -1 nogil
    # Gives a folder the name that was not known when it was added.
    cdef int name_it(
        self, uint64_t entry, uint64_t parent, const uint8_t* name, Py_ssize_t length
    ) except -1 nogil
    # The path of the folder that `reference` means, with the backslash behind it, into `out`
    # (room: PATH_ROOM); its length is put into `length`.
    cdef Way path(self, uint64_t reference, uint8_t* out, Py_ssize_t* length) noexcept nogil
    cdef Folder* find(self, uint64_t reference) noexcept nogil
    # Makes a folder known, or known by another name. A path that leads through it changes.
    cdef int learn(
        self, uint64_t entry, int sequence, uint64_t parent, const uint8_t* name, Py_ssize_t length
    ) except -1 nogil
    cdef Folder* _at(self, uint32_t number) noexcept nogil
    cdef uint32_t _number(self, uint64_t entry) noexcept nogil
    cdef int _place(self, uint64_t entry, uint32_t number) noexcept nogil
    cdef int _grow(self) except -1 nogil
    cdef int _name(
        self, Folder* folder, uint64_t parent, const uint8_t* name, Py_ssize_t length
    ) except -1 nogil
