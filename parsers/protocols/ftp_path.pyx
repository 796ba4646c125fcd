"""Paths of files of an FTP server (see ftp_path.pxd)."""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memmove

cdef enum:
    PART = 4096                 # of a directory, and of a name
    SLASH = 47
    DOT = 46


cdef int join_path(
    const uint8_t* directory, int n, const uint8_t* name, int m, uint8_t* out
) noexcept nogil:
    cdef uint8_t[PATH_ROOM] path
    cdef int length = 0, i, begin
    if n > PART:
        n = PART
    if m > PART:
        m = PART
    if not (m and name[0] == SLASH or (
        m > 2 and name[1] == 58 and 97 <= name[0] | 32 <= 122 and (
            name[2] == SLASH or name[2] == 92)
    )):
        memcpy(path, directory, n)
        length = n
        path[length] = SLASH
        length += 1
    if m:
        memcpy(path + length, name, m)
    length += m
    # What stands before a `..` goes with it.
    i = 0
    while i + 2 < length:
        if path[i] != SLASH or path[i + 1] != DOT or path[i + 2] != DOT or (
            i + 3 < length and path[i + 3] != SLASH
        ):
            i += 1
            continue
        begin = i
        while begin and path[begin - 1] == SLASH:
            begin -= 1
        while begin and path[begin - 1] != SLASH:
            begin -= 1
        if i - begin == 2 and path[begin] == DOT and path[begin + 1] == DOT:
            i += 1                      # two of them: what is above is not known
            continue
        while begin and path[begin - 1] == SLASH:
            begin -= 1
        i += 3
        while i < length and path[i] == SLASH:
            i += 1
        if path[begin] == SLASH:
            begin += 1                  # one slash stays
        memmove(path + begin, path + i, length - i)
        length -= i - begin
        i = begin - 1 if begin else 0
    # Runs of `/` and `/.` are one slash.
    i = 0
    begin = 0
    while i < length:
        if path[i] == SLASH:
            n = i
            m = 0
            while n < length and path[n] == SLASH:
                m += 1
                n += 1
                if n < length and path[n] == DOT:
                    n += 1
            if m > 1:
                path[begin] = SLASH
                begin += 1
                i = n
                continue
        path[begin] = path[i]
        begin += 1
        i += 1
    length = begin
    if length > 1 and path[length - 1] == SLASH:
        length -= 1
    memcpy(out, path, length)
    return length


cdef int quoted_path(const uint8_t* p, int n, uint8_t* out) noexcept nogil:
    cdef int i = 0, begin
    while i < n and p[i] != 34:
        i += 1
    begin = i + 1
    i = begin
    while i < n and p[i] != 34:
        i += 1
    if i >= n or i - begin > PART:
        return 0
    memcpy(out, p + begin, i - begin)
    return i - begin
