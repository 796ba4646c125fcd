"""Code tables (normalize/codes.py), to be looked up without the GIL."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.names cimport Names


cdef enum Form:                 # how a table's codes are written
    F_TEXT, F_DECIMAL, F_HEX


cdef struct Code:
    const uint8_t* text
    Py_ssize_t text_length
    const uint8_t* name
    Py_ssize_t name_length


cdef class CodeTable:
    """One table; never changes, and lives as long as the process."""
    cdef Names codes            # text -> Code*
    cdef Names names            # name -> the first Code* with it
    cdef Code* block
    cdef int form
    cdef list keep              # texts that the structs point into

    # The code that a text is; NULL where the table does not have it.
    cdef const Code* find(self, const uint8_t* p, Py_ssize_t n) noexcept nogil
    # The same of a number.
    cdef const Code* find_number(self, int64_t number) noexcept nogil
    # As `find`; S-1-5-21-<domain>-500 is S-1-5-21-*-500.
    cdef const Code* find_sid(self, const uint8_t* p, Py_ssize_t n) noexcept nogil
    # Whether it is the first code with its name.
    cdef bint first(self, const Code* code) noexcept nogil
    # Whether a text is what `names` would give for another one.
    cdef bint is_name(self, const uint8_t* p, Py_ssize_t n) noexcept nogil


# A table by its name; read once a process. Takes the GIL.
cdef CodeTable code_table(str name)
