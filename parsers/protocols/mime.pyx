"""The type of a file by its first bytes (see mime.pxd).

Binary formats are patterns of mime_signatures.py, made into a table that is looked up by the first
byte. Text begins after a byte order mark, white space, comments and an XML declaration.
"""

import re

from libc.stdint cimport uint8_t
from libc.stdlib cimport malloc
from libc.string cimport memchr, memcmp

from tracelake.parsers.protocols.mime_signatures import SIGNATURES

cdef enum:
    ANY = 256               # a byte of a pattern that may be anything
    SET = 257               # and beyond: one of the sets
    NAMES = 256
    PRINTED = 10            # bytes that plain text begins with, at least
    HASH_BANG = 15          # bytes before bin/ in the first line of a script
    ZIP_NAME = 30           # where the name stands in a member's header


cdef struct Signature:
    int number              # of its type
    int strength
    int length
    const int* pattern


cdef const char* _names[256]
cdef int _name_count = 0
cdef list _kept = []        # that the names and patterns live in
cdef Signature* _table = NULL
cdef int _first[257]        # of the signatures that begin with a byte; 256 bytes, then any
cdef int _last[257]
cdef uint8_t _sets[64][32]  # bit maps of the sets of bytes
cdef int _set_count = 0


cdef int _number(str name) except -1:
    global _name_count
    cdef int i
    cdef bytes text = name.encode("ascii")
    for i in range(_name_count):
        if _names[i] == text:
            return i
    if _name_count == NAMES:
        raise ValueError("more types than there is room for")
    _kept.append(text)
    _names[_name_count] = text
    _name_count += 1
    return _name_count - 1


cdef int _set(str text) except -1:
    """The number of a set of bytes: hexadecimal, ranges with -."""
    global _set_count
    cdef int value
    if _set_count == 64:
        raise ValueError("more sets than there is room for")
    for first, last in re.findall("([0-9a-f]{2})(?:-([0-9a-f]{2}))?", text):
        for value in range(int(first, 16), int(last or first, 16) + 1):
            _sets[_set_count][value >> 3] |= 1 << (value & 7)
    _set_count += 1
    return SET + _set_count - 1


def _patterns(str text):
    """The patterns that words make: lists of bytes, ANY and sets. More than one where any number
    of bytes may be skipped."""
    made = [[]]
    for word in re.findall(r"'[^']*'|\S+", text):
        if word[0] == "'":
            part = [list(word[1:-1].encode("latin-1"))]
        elif word[0] == "*":
            low, _, high = word[1:].partition("-")
            part = [[ANY] * n for n in range(int(low), int(high or low) + 1)]
        elif word[0] == "[":
            part = [[_set(word[1:-1])]]
        else:
            part = [[int(word, 16)]]
        made = [a + b for a in made for b in part]
    return made


cdef int _build() except -1:
    global _table
    cdef int i, j, first, at = 0
    cdef int* values
    cdef list by_first = [[] for _ in range(257)]
    for name, strength, text in SIGNATURES:
        for pattern in _patterns(text):
            first = pattern[0]
            if first < ANY:
                by_first[first].append((name, strength, pattern))
            elif first == ANY:
                by_first[256].append((name, strength, pattern))
            else:
                for i in range(256):
                    if _sets[first - SET][i >> 3] >> (i & 7) & 1:
                        by_first[i].append((name, strength, pattern))
    _table = <Signature*>malloc(sum(map(len, by_first)) * sizeof(Signature))
    if _table is NULL:
        raise MemoryError()
    for i in range(257):
        _first[i] = at
        for name, strength, pattern in by_first[i]:
            values = <int*>malloc(len(pattern) * sizeof(int))
            if values is NULL:
                raise MemoryError()
            for j in range(len(pattern)):
                values[j] = pattern[j]
            _table[at].number = _number(name)
            _table[at].strength = strength
            _table[at].length = len(pattern)
            _table[at].pattern = values
            at += 1
        _last[i] = at
    return 0


_build()

# What text is.
cdef int PLAIN = _number("text/plain"), JSON = _number("text/json"), XML = _number("application/xml")
cdef int HTML = _number("text/html"), RSS = _number("text/rss"), ATOM = _number("text/atom")
cdef int SOAP = _number("application/soap+xml"), XMLRPC = _number("application/xml-rpc")
cdef int CROSS = _number("text/x-cross-domain-policy"), SVG = _number("image/svg+xml")
cdef int F4M = _number("application/f4m"), SCRIPT = _number("application/javascript")
cdef int SHELL = _number("text/x-shellscript"), PERL = _number("text/x-perl")
cdef int RUBY = _number("text/x-ruby"), PYTHON = _number("text/x-python")
cdef int AWK = _number("text/x-awk"), TCL = _number("text/x-tcl"), LUA = _number("text/x-lua")
cdef int PHP = _number("text/x-php"), BATCH = _number("text/x-msdos-batch")
cdef int RFC822 = _number("message/rfc822"), INI = _number("text/ini")
cdef int DOCX = _number(
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
cdef int XLSX = _number("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
cdef int PPTX = _number(
    "application/vnd.openxmlformats-officedocument.presentationml.presentation")
cdef int TAR = _number("application/x-tar"), MATROSKA = _number("video/x-matroska")
cdef int WEBM = _number("video/webm")


def _open_documents():
    """The types that the member `mimetype` of an OpenDocument file can name, with their numbers."""
    kinds = ("text", "text-template", "text-web", "text-master", "graphics", "graphics-template",
             "presentation", "presentation-template", "spreadsheet", "spreadsheet-template",
             "chart", "chart-template", "formula", "formula-template", "database", "image",
             "image-template")
    return [
        (kind.encode("ascii"), _number(f"application/vnd.oasis.opendocument.{kind}"))
        for kind in kinds
    ]

cdef int _open_count = 0
cdef const char* _open_names[32]
cdef int _open_numbers[32]
for _kind, _n in _open_documents():
    _kept.append(_kind)
    _open_names[_open_count] = _kind
    _open_numbers[_open_count] = _n
    _open_count += 1


# The best that was found.
cdef struct Best:
    int number
    int strength


cdef inline void _better(Best* best, int number, int strength) noexcept nogil:
    if best.number < 0 or strength > best.strength:
        best.number = number
        best.strength = strength


cdef bint _matches(const Signature* s, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef int i, want
    if n < s.length:
        return False
    for i in range(s.length):
        want = s.pattern[i]
        if want < ANY:
            if p[i] != want:
                return False
        elif want != ANY and not _sets[want - SET][p[i] >> 3] >> (p[i] & 7) & 1:
            return False
    return True


cdef inline bint _is_space(uint8_t c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef inline bint _is_blank(uint8_t c) noexcept nogil:
    return c == 32 or c == 9 or c == 13 or c == 10


cdef Py_ssize_t _skip(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    while at < n and _is_blank(p[at]):
        at += 1
    return at


cdef bint _word(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t at, const char* word
) noexcept nogil:
    """Whether a word stands there; its own letters are small ones, the text's may be any."""
    cdef Py_ssize_t i = 0
    cdef uint8_t c
    while word[i]:
        if at + i >= n:
            return False
        c = p[at + i]
        if 65 <= c <= 90:
            c |= 32
        if c != <uint8_t>word[i]:
            return False
        i += 1
    return True


cdef Py_ssize_t _find(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t at, const char* text, Py_ssize_t length
) noexcept nogil:
    """Where bytes stand from `at` on, -1 where they do not."""
    cdef const uint8_t* hit
    while at + length <= n:
        hit = <const uint8_t*>memchr(p + at, text[0], n - at - length + 1)
        if hit is NULL:
            return -1
        if memcmp(hit, text, length) == 0:
            return hit - p
        at = hit - p + 1
    return -1


cdef bint _doctype(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t at, const char* of
) noexcept nogil:
    if not _word(p, n, at, b"<!doctype "):
        return False
    at += 10
    while at < n and p[at] == 32:
        at += 1
    return _word(p, n, at, of)


cdef void _tag(const uint8_t* p, Py_ssize_t n, Py_ssize_t at, Best* best) noexcept nogil:
    """What a document is whose first tag stands there."""
    cdef Py_ssize_t end
    if at >= n or p[at] != 60:
        return
    if _word(p, n, at, b"<?xml "):
        _better(best, XML, 10)
        if _find(p, n, at, b"<svg", 4) >= 0:
            _better(best, SVG, 38)
    elif _doctype(p, n, at, b"html") or _word(p, n, at, b"<html"):
        _better(best, HTML, 100)
    elif _word(p, n, at, b"<head") or _word(p, n, at, b"<title") or _word(p, n, at, b"<body"):
        _better(best, HTML, 20)
    elif _word(p, n, at, b"<meta "):
        end = at + 6
        while end < n and p[end] == 32:
            end += 1
        if _word(p, n, end, b"http-equiv"):
            _better(best, HTML, 100)
    elif _word(p, n, at, b"<rss"):
        _better(best, RSS, 90)
        end = _find(p, n, at, b">", 1)
        if end >= 0 and _find(p, end, at, b"xmlns:atom", 10) >= 0:
            _better(best, ATOM, 100)
    elif _word(p, n, at, b"<feed"):
        end = _find(p, n, at, b">", 1)
        if end >= 0 and _find(p, end, at, b"http://www.w3.org/2005/Atom", 27) >= 0:
            _better(best, ATOM, 100)
    elif _word(p, n, at, b"<soap:envelope") or _word(p, n, at, b"<soap-env:envelope"):
        _better(best, SOAP, 49)
    elif _doctype(p, n, at, b"cross-domain-policy") or _word(p, n, at, b"<cross-domain-policy"):
        _better(best, CROSS, 49)
    elif _word(p, n, at, b"<methodresponse>"):
        _better(best, XMLRPC, 49)
    elif _word(p, n, at, b"<manifest"):
        if _find(p, n, at, b"http://ns.adobe.com/f4m/", 24) >= 0:
            _better(best, F4M, 49)


cdef void _markup(const uint8_t* p, Py_ssize_t n, Py_ssize_t at, Best* best) noexcept nogil:
    """A document may begin behind white space, any number of comments and an XML declaration."""
    cdef bint comment = False, declared = False
    at = _skip(p, n, at)
    while True:
        _tag(p, n, at, best)
        if _word(p, n, at, b"<!--"):
            comment = True
        elif _word(p, n, at, b"<?xml "):
            declared = True
        # Where the next comment or declaration may end.
        while at < n:
            if p[at] == 62:
                if comment and at >= 2 and p[at - 1] == 45 and p[at - 2] == 45:
                    break
                if declared and at >= 1 and p[at - 1] == 63:
                    break
            elif not comment and not declared:
                return
            at += 1
        if at >= n:
            return
        at = _skip(p, n, at + 1)


cdef void _json(const uint8_t* p, Py_ssize_t n, Py_ssize_t at, Best* best) noexcept nogil:
    """An object whose first member, or an array whose first item, is one of JSON (RFC 8259)."""
    cdef uint8_t opened = p[at]
    cdef Py_ssize_t begin
    at = _skip(p, n, at + 1)
    if at >= n:
        return
    if p[at] == (125 if opened == 123 else 93):
        if _skip(p, n, at + 1) >= n:
            _better(best, JSON, 0)
        return
    begin = at
    if p[at] == 34:
        at += 1
        while at < n and p[at] != 34:
            at += 1
        if at >= n or at == begin + 1:
            return
        at += 1
    elif opened == 123:
        if not 97 <= p[at] | 32 <= 122:
            return
        while at < n and (97 <= p[at] | 32 <= 122 or 48 <= p[at] <= 57 or p[at] == 95
                          or p[at] == 92):
            at += 1
    elif p[at] == 123 or p[at] == 91:
        _better(best, JSON, 1)
        return
    elif _word(p, n, at, b"true"):
        at += 4
    elif _word(p, n, at, b"false"):
        at += 5
    else:
        while at < n and (48 <= p[at] <= 57 or (p[at] == 46 and at > begin)):
            at += 1
        if at == begin:
            return
    at = _skip(p, n, at)
    if at >= n:
        return
    if opened == 91:
        if p[at] == 44:
            _better(best, JSON, 1)
        return
    if p[at] != 58:
        return
    at = _skip(p, n, at + 1)
    if at < n and (p[at] == 34 or p[at] == 91 or p[at] == 123 or 48 <= p[at] <= 57
                   or _word(p, n, at, b"true") or _word(p, n, at, b"false")):
        _better(best, JSON, 1)


cdef void _ini(const uint8_t* p, Py_ssize_t n, Py_ssize_t at, Best* best) noexcept nogil:
    """The first line is the name of a section."""
    cdef Py_ssize_t i = at + 1, close = -1
    while i < n and p[i] != 10 and p[i] != 13:
        if p[i] == 93:
            close = i
        elif close > 0 and p[i] != 32 and p[i] != 9 and p[i]:
            close = -1
        i += 1
    if i < n and close > at + 1:
        _better(best, INI, 20)


cdef void _hash_bang(const uint8_t* p, Py_ssize_t n, Best* best) noexcept nogil:
    """`#!/usr/bin/env python`: what runs a script."""
    cdef Py_ssize_t at = 3, i, begin
    while at < n and at <= 2 + HASH_BANG and p[at] != 10:
        if not _word(p, n, at, b"bin/"):
            at += 1
            continue
        at += 4
        if _word(p, n, at, b"env"):
            i = at + 3
            while i < n and _is_space(p[i]):
                i += 1
            if i > at + 3:
                at = i
        begin = at
        for i in range(3):
            # bash, tcsh, csh, zsh, fash, aesh, ksh, sh
            if _word(p, n, begin + i, b"sh"):
                _better(best, SHELL, 250)
                return
        if _word(p, n, at, b"perl"):
            _better(best, PERL, 60)
        elif _word(p, n, at, b"ruby"):
            _better(best, RUBY, 60)
        elif _word(p, n, at, b"python"):
            _better(best, PYTHON, 60)
        elif _word(p, n, at, b"awk") or _word(p, n, at + 1, b"awk"):
            _better(best, AWK, 60)
        elif _word(p, n, at, b"wish") or _word(p, n, at, b"tcl"):
            _better(best, TCL, 60)
        elif _word(p, n, at, b"lua"):
            _better(best, LUA, 49)
        elif _word(p, n, at, b"node"):
            _better(best, SCRIPT, 60)
        elif _word(p, n, at, b"php"):
            _better(best, PHP, 60)
        return


cdef void _script(const uint8_t* p, Py_ssize_t n, Best* best) noexcept nogil:
    cdef Py_ssize_t at = _skip(p, n, 0)
    if _word(p, n, at, b"for (;;);") or _word(p, n, at, b"document.write"):
        _better(best, SCRIPT, 60)
    elif _word(p, n, at, b"<script"):
        at += 7
        if at < n and p[at] == 62:
            at = _skip(p, n, at + 1)
            if _word(p, n, at, b"var ") or _word(p, n, at, b"function "):
                _better(best, SCRIPT, 60)
            return
        while at < n and (p[at] == 32 or p[at] == 9):
            at += 1
        if _word(p, n, at, b"type="):
            at += 5
        elif _word(p, n, at, b"language="):
            at += 9
        else:
            return
        if at < n and (p[at] == 34 or p[at] == 39):
            at += 1
        if _word(p, n, at, b"text/"):
            at += 5
        if _word(p, n, at, b"javascript"):
            _better(best, SCRIPT, 60)
    elif p[0] == 64:
        at = 1
        while at < n and p[at] == 32:
            at += 1
        if _word(p, n, at, b"echo "):
            at += 5
            while at < n and p[at] == 32:
                at += 1
            if _word(p, n, at, b"off"):
                _better(best, BATCH, 110)
        if _word(p, n, 1, b"set "):
            _better(best, BATCH, 70)
        if _word(p, n, 1, b"rem"):
            _better(best, BATCH, 60)


cdef void _zip(const uint8_t* p, Py_ssize_t n, Best* best) noexcept nogil:
    """Office Open XML (ECMA-376) and OpenDocument, by the names of the first members."""
    cdef Py_ssize_t at = 0
    cdef int i
    cdef Py_ssize_t length
    if n > 73 and memcmp(p + 26, b"\x08\x00\x00\x00mimetypeapplication/vnd.oasis.opendocument.",
                         47) == 0:
        for i in range(_open_count):
            length = 0
            while _open_names[i][length]:
                length += 1
            if n >= 73 + length and memcmp(p + 73, _open_names[i], length) == 0:
                _better(best, _open_numbers[i], 110 + <int>length // 32)
                if n > 73 + length and p[73 + length] == 45:
                    continue        # text-template, ...
                best.number = _open_numbers[i]
                return
    if n < ZIP_NAME + 8:
        return
    if not (
        _word(p, n, ZIP_NAME, b"[content_types].xml") or _word(p, n, ZIP_NAME, b"_rels/.rels")
        or _word(p, n, ZIP_NAME, b"word/") or _word(p, n, ZIP_NAME, b"xl/")
        or _word(p, n, ZIP_NAME, b"ppt/")
    ):
        return
    at = 4
    while True:
        at = _find(p, n, at, b"PK\x03\x04", 4)
        if at < 0:
            return
        if _word(p, n, at + ZIP_NAME, b"word/"):
            _better(best, DOCX, 80)
        elif _word(p, n, at + ZIP_NAME, b"xl/"):
            _better(best, XLSX, 80)
        elif _word(p, n, at + ZIP_NAME, b"ppt/"):
            _better(best, PPTX, 80)
        at += 4


cdef bint _plain(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t i
    if n - at < PRINTED:
        return False
    for i in range(at, at + PRINTED):
        if not (32 <= p[i] <= 126 or _is_space(p[i])):
            return False
    return True


cdef void _text(const uint8_t* p, Py_ssize_t n, Best* best) noexcept nogil:
    cdef Py_ssize_t at = 0, first
    if n >= 3 and p[0] == 0xEF and p[1] == 0xBB and p[2] == 0xBF:
        at = 3
    first = at
    # Byte order marks of UTF-16 and UTF-32.
    if n >= 2 and ((p[0] == 0xFE and p[1] == 0xFF) or (p[0] == 0xFF and p[1] == 0xFE)):
        first = 4 if p[0] == 0xFF and n >= 4 and p[2] == 0 and p[3] == 0 else 2
    elif n >= 4 and p[0] == 0 and p[1] == 0 and p[2] == 0xFE and p[3] == 0xFF:
        first = 4
    if _plain(p, n, first):
        _better(best, PLAIN, -20)
    first = _skip(p, n, at)
    if first >= n:
        return
    if p[first] == 91:
        _ini(p, n, first, best)
    if p[first] == 60:
        _markup(p, n, at, best)
        _script(p, n, best)
    elif p[first] == 123 or p[first] == 91:
        _json(p, n, first, best)
    elif p[0] == 35 and n > 3 and p[1] == 33:
        _hash_bang(p, n, best)
    elif p[first] == 102 or p[first] == 100 or p[0] == 64:
        _script(p, n, best)
    if _word(p, n, 0, b"delivered-to:") or _word(p, n, 0, b"return-path:") or (
        _word(p, n, 0, b"received:")
    ):
        _better(best, RFC822, 150)
    first = _find(p, n, 0, b"<?php", 5)
    if first >= 0:
        _better(best, PHP, 40)


cdef void _tar(const uint8_t* p, Py_ssize_t n, Best* best) noexcept nogil:
    """POSIX.1 ustar and older: the name of a member, then numbers in octal digits."""
    cdef int i
    if n < 157:
        return
    for i in range(100):
        if p[i] and not 32 <= p[i] <= 126:
            return
    for i in range(100, 156):
        if i == 107 or i == 115 or i == 123 or i == 135 or i == 147:
            if p[i]:
                return
        elif not (48 <= p[i] <= 57 or p[i] == 32 or (i >= 148 and p[i] == 0)):
            return
    if p[156] == 0 or 48 <= p[156] <= 55:
        _better(best, TAR, 100)


cdef int mime_of(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Best best
    cdef int i, k
    best.number = -1
    best.strength = 0
    if n <= 0:
        return -1
    for k in range(2):
        i = _first[p[0] if k == 0 else 256]
        while i < _last[p[0] if k == 0 else 256]:
            if (best.number < 0 or _table[i].strength > best.strength) and (
                _matches(&_table[i], p, n)
            ):
                _better(&best, _table[i].number, _table[i].strength)
            i += 1
    _text(p, n, &best)
    if n > 4 and memcmp(p, b"PK\x03\x04", 4) == 0:
        _zip(p, n, &best)
    if n > 8 and memcmp(p, b"\x1a\x45\xdf\xa3", 4) == 0:
        # EBML (RFC 8794): the DocType of the header.
        if _find(p, n if n < 64 else 64, 4, b"matroska", 8) >= 0:
            _better(&best, MATROSKA, 110)
        elif _find(p, n if n < 64 else 64, 4, b"webm", 4) >= 0:
            _better(&best, WEBM, 70)
    _tar(p, n, &best)
    return best.number


cdef const char* mime_name(int number) noexcept nogil:
    return _names[number]


def mime_type(bytes head not None):
    """The type of what begins with these bytes (4,096 of them are looked at), or None."""
    cdef int number = mime_of(<const uint8_t*><const char*>head, min(len(head), 4096))
    return None if number < 0 else _names[number].decode("ascii")
