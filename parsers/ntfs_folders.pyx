r"""The folders of a volume, as far as they are known, and the paths that follow from them.

A path is made by going from parent to parent up to the root. It looks like this:

    \Users\a\notes.txt              the folders lead to the root
    \$Orphan\1234-5\a\notes.txt     they lead to entry 1234, sequence number 5, which is gone:
                                    never seen, no folder, or another file by now
    \$Unknown\1234-5\a\notes.txt    the same in a change journal, which does not say of every
                                    folder where it is

**Whether a parent is the one that is meant** is said by its sequence number, which is raised
when a file is deleted: a deleted folder has the number after the one in its files' references.
A reference with number 0 is not checked (NTFS does so itself).

**Memory**: some 60 bytes and the name for each folder, at most FOLDERS_MOST of them.

**Time**: no path is made of more than DEPTH_MOST folders or PATH_MOST bytes; folders that lead in
a circle end there.
Paths of folders that were made are kept in a table of fixed size.
"""

from os import urandom

from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from tracelake.native.text cimport put_uint
from tracelake.parsers.ntfs cimport ROOT, entry_of, sequence_of

cdef enum:
    DEPTH_MOST = 512
    KNOWN_SLOTS = 4096
    FOLDERS_MOST = 4000000          # what real volumes have is far below


cdef class Folders:
    """
    Args:
        lost: what stands in paths before a folder that cannot be followed.
    """

    def __cinit__(self, bytes lost=b"$Orphan\\"):
        self._lost = lost
        self._lost_text = lost
        self._lost_length = len(lost)
        self._folders = Buffer()
        self._names = Buffer()
        self._known = <Known*>calloc(KNOWN_SLOTS, sizeof(Known))
        self._mask = 1023
        self._slots = <uint32_t*>calloc(self._mask + 1, sizeof(uint32_t))
        if self._known is NULL or self._slots is NULL:
            raise MemoryError()
        self._factor = int.from_bytes(urandom(8), "little") | 1

    def __dealloc__(self):
        free(self._known)
        free(self._slots)

    cdef uint32_t _number(self, uint64_t entry) noexcept nogil:
        cdef Py_ssize_t at = <Py_ssize_t>((entry * self._factor) >> 24) & self._mask
        cdef uint32_t number
        while True:
            number = self._slots[at]
            if number == 0 or self._at(number).entry == entry:
                return number
            at = (at + 1) & self._mask

    cdef int _place(self, uint64_t entry, uint32_t number) noexcept nogil:
        cdef Py_ssize_t at = <Py_ssize_t>((entry * self._factor) >> 24) & self._mask
        while self._slots[at]:
            at = (at + 1) & self._mask
        self._slots[at] = number
        return 0

    cdef int _grow(self) except -1 nogil:
        cdef Py_ssize_t room = (self._mask + 1) * 4
        cdef uint32_t i
        cdef uint32_t* slots = <uint32_t*>calloc(room, sizeof(uint32_t))
        if slots is NULL:
            with gil:
                raise MemoryError()
        free(self._slots)
        self._slots = slots
        self._mask = room - 1
        for i in range(1, <uint32_t>self.count + 1):
            self._place(self._at(i).entry, i)
        return 0

    cdef int add(
        self, uint64_t entry, int sequence, bint in_use, uint64_t parent,
        const uint8_t* name, Py_ssize_t length,
    ) except -1 nogil:
        cdef Folder* folder
        if self.count >= FOLDERS_MOST:
            return 0
        if self.count * 2 > self._mask:
            self._grow()
        self._folders.reserve(sizeof(Folder))
        folder = <Folder*>(self._folders.data + self._folders.length)
        self._folders.length += sizeof(Folder)
        folder.entry = entry
        folder.sequence = sequence
        folder.in_use = in_use
        folder.length = -1
        self.count += 1
        self._place(entry, <uint32_t>self.count)
        if length >= 0:
            self._name(folder, parent, name, length)
        return 0

    cdef int learn(
        self, uint64_t entry, int sequence, uint64_t parent, const uint8_t* name, Py_ssize_t length
    ) except -1 nogil:
        cdef uint32_t number = self._number(entry)
        cdef Folder* folder
        if not number:
            return self.add(entry, sequence, True, parent, name, length)
        folder = self._at(number)
        if (
            folder.sequence == sequence and folder.parent == parent and folder.length == length
            and memcmp(self._names.data + folder.name, name, length) == 0
        ):
            return 0
        folder.sequence = sequence
        self._changes += 1
        return self._name(folder, parent, name, length)

    cdef int name_it(
        self, uint64_t entry, uint64_t parent, const uint8_t* name, Py_ssize_t length
    ) except -1 nogil:
        cdef uint32_t number = self._number(entry)
        if number and self._at(number).length < 0:
            self._name(self._at(number), parent, name, length)
        return 0

    cdef int _name(
        self, Folder* folder, uint64_t parent, const uint8_t* name, Py_ssize_t length
    ) except -1 nogil:
        self._names.reserve(length)
        memcpy(self._names.data + self._names.length, name, length)
        folder.parent = parent
        folder.name = self._names.length
        folder.length = <short>length
        self._names.length += length
        return 0

    cdef Folder* _at(self, uint32_t number) noexcept nogil:
        return <Folder*>self._folders.data + (number - 1)

    cdef Folder* find(self, uint64_t reference) noexcept nogil:
        """The folder that a reference means, or NULL."""
        cdef uint64_t entry = entry_of(reference)
        cdef uint32_t number
        cdef Folder* folder
        cdef int wanted = sequence_of(reference)
        number = self._number(entry)
        if not number:
            return NULL
        folder = self._at(number)
        if wanted and folder.sequence != wanted and (
            folder.in_use or folder.sequence != (wanted + 1 if wanted < 0xFFFF else 1)
        ):
            return NULL
        return folder

    cdef Way path(self, uint64_t reference, uint8_t* out, Py_ssize_t* length) noexcept nogil:
        cdef uint32_t[DEPTH_MOST] chain
        cdef Py_ssize_t depth = 0, n = 0, total = 0
        cdef uint64_t at = reference
        cdef Folder* folder
        cdef Known* known = NULL
        cdef uint32_t number
        cdef Way way = LEADS
        cdef bint guessed = False
        length[0] = 0
        while entry_of(at) != ROOT:
            folder = self.find(at)
            if folder is NULL or folder.length < 0:
                if not self.all_seen and (entry_of(at) >= self.seen or folder is not NULL):
                    if not self.guess:
                        return UNKNOWN
                    guessed = True
                way = ORPHAN
                break
            number = <uint32_t>(folder - <Folder*>self._folders.data) + 1
            known = &self._known[number & (KNOWN_SLOTS - 1)]
            if known.folder == number and known.changes == self._changes:
                way = <Way>known.way
                break
            known = NULL
            total += folder.length + 1
            if (
                depth == DEPTH_MOST or total > PATH_MOST - 512
                or entry_of(folder.parent) == entry_of(at)
            ):
                # A circle, or deeper than can be.
                depth = 0
                at = reference
                way = ORPHAN
                break
            chain[depth] = number
            depth += 1
            at = folder.parent
        if known is not NULL:
            memcpy(out, known.text, known.length)
            n = known.length
        else:
            out[0] = 92
            n = 1
            if way == ORPHAN:
                memcpy(out + n, self._lost_text, self._lost_length)
                n += self._lost_length
                n += put_uint(out + n, entry_of(at))
                out[n] = 45
                n += 1
                n += put_uint(out + n, <uint64_t>sequence_of(at))
                out[n] = 92
                n += 1
        while depth:
            depth -= 1
            number = chain[depth]
            folder = self._at(number)
            memcpy(out + n, self._names.data + folder.name, folder.length)
            n += folder.length
            out[n] = 92
            n += 1
            if n <= <Py_ssize_t>sizeof(self._known[0].text) and not guessed:
                known = &self._known[number & (KNOWN_SLOTS - 1)]
                known.folder = number
                known.changes = self._changes
                known.length = <short>n
                known.way = <short>way
                memcpy(known.text, out, n)
        length[0] = n
        return UNKNOWN if guessed else way
