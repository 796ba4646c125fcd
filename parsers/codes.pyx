"""Code tables, native half (see codes.pxd; normalize/codes.py says what they are)."""

import os

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from tracelake.native.names cimport names_add, names_end, names_find, names_start
from tracelake.native.text cimport put_hex, put_int
from tracelake.normalize import codes as tables
from tracelake.parsers.values cimport parse_number

# "S-1-5-21-", three numbers of up to ten digits with their dashes, and the account's.
cdef const char* DOMAIN = "S-1-5-21-"
cdef const char* PATTERN = "S-1-5-21-*-"
cdef enum:
    DOMAIN_LENGTH = 9
    PATTERN_LENGTH = 11
    DIGITS = 10

TABLES = {}


cdef class CodeTable:
    """One table; never changes, and lives as long as the process."""

    def __cinit__(self, str table):
        cdef uint64_t seed = int.from_bytes(os.urandom(8), "little")
        cdef bytes text, name
        cdef Code* code
        cdef Py_ssize_t i
        content = tables.load(table)
        names_start(&self.codes, 64, seed)
        names_start(&self.names, 64, seed)
        self.form = {"0x": F_HEX, "0": F_DECIMAL, "": F_TEXT}[tables.form(table)]
        self.keep = []
        self.block = <Code*>calloc(len(content) + 1, sizeof(Code))
        if self.block is NULL:
            raise MemoryError()
        for i, (given, word) in enumerate(content.items()):
            text = given.encode()
            name = word.encode()
            self.keep.append((text, name))
            code = &self.block[i]
            code.text = <const uint8_t*><const char*>text
            code.text_length = len(text)
            code.name = <const uint8_t*><const char*>name
            code.name_length = len(name)
            names_add(&self.codes, code.text, code.text_length, code)
            if names_find(&self.names, code.name, code.name_length) is NULL:
                names_add(&self.names, code.name, code.name_length, code)

    def __dealloc__(self):
        names_end(&self.codes)
        names_end(&self.names)
        free(self.block)

    cdef const Code* find(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        cdef const Code* found = <const Code*>names_find(&self.codes, p, n)
        cdef int64_t number = 0
        if found is not NULL or self.form == F_TEXT:
            return found
        if n > 2 and p[0] == 37 and p[1] == 37:
            p += 2                      # the parameter of a message: %%1053
            n -= 2
        if parse_number(p, n, &number) != 1:
            return NULL
        return self.find_number(number)

    cdef const Code* find_number(self, int64_t number) noexcept nogil:
        cdef uint8_t[24] made
        cdef Py_ssize_t n
        if self.form == F_TEXT:
            return NULL
        if -0x80000000LL <= number < 0:
            number += 0x100000000LL
        if number < 0:
            return NULL
        if self.form == F_HEX:
            n = put_hex(made, <uint64_t>number)
        else:
            # An HRESULT of the facility Win32 wraps the error's number ([MS-ERREF] 2.1).
            n = put_int(made, number & 0xFFFF if number >> 16 == 0x8007 else number)
        return <const Code*>names_find(&self.codes, made, n)

    cdef const Code* find_sid(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        cdef const Code* found = <const Code*>names_find(&self.codes, p, n)
        cdef uint8_t[PATTERN_LENGTH + DIGITS] made
        cdef Py_ssize_t i = DOMAIN_LENGTH, start
        cdef int numbers = 0
        if found is not NULL or n < DOMAIN_LENGTH or memcmp(p, DOMAIN, DOMAIN_LENGTH) != 0:
            return found
        while True:
            start = i
            while i < n and 48 <= p[i] <= 57:
                i += 1
            if i == start or i - start > DIGITS:
                return NULL
            numbers += 1
            if i == n:
                break
            if p[i] != 45 or numbers == 4:
                return NULL
            i += 1
        if numbers != 4:
            return NULL
        memcpy(made, PATTERN, PATTERN_LENGTH)
        memcpy(made + PATTERN_LENGTH, p + start, n - start)
        return <const Code*>names_find(&self.codes, made, PATTERN_LENGTH + n - start)

    cdef bint first(self, const Code* code) noexcept nogil:
        return names_find(&self.names, code.name, code.name_length) is code

    cdef bint is_name(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        return names_find(&self.names, p, n) is not NULL


cdef CodeTable code_table(str name):
    table = TABLES.get(name)
    if table is None:
        table = TABLES[name] = CodeTable(name)
    return table
