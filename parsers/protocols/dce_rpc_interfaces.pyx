"""The tables of dce_rpc_names for code that has no GIL (see dce_rpc_interfaces.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy, strlen

import uuid as uuids

from tracelake.parsers.protocols.dce_rpc_names import IGNORED, INTERFACES, PIPES
from tracelake.parsers.protocols.held_name cimport Name

# By UUID, in the order of its bytes on the wire.
cdef Interface* interfaces = NULL
cdef int32_t interface_count = 0

# Pipes whose interface is known without a binding.
cdef struct Pipe:
    const char* name
    uint8_t[16] uuid

cdef Pipe[32] pipes
cdef int32_t pipe_count = 0
cdef list _kept = []


cdef const char* _keep(str text) except NULL:
    cdef bytes name = text.encode("ascii")
    _kept.append(name)
    return name


cdef int _load() except -1:
    """The tables of dce_rpc_names, for code that has no GIL."""
    global interfaces, interface_count, pipe_count
    cdef const uint8_t* raw
    cdef uint8_t* ignored
    cdef Interface* one
    cdef int32_t i
    cdef bytes key
    known = sorted((uuids.UUID(text).bytes_le, *rest) for text, rest in INTERFACES.items())
    interfaces = <Interface*>calloc(len(known), sizeof(Interface))
    if interfaces is NULL:
        raise MemoryError()
    for key, name, functions in known:
        one = &interfaces[interface_count]
        raw = key
        memcpy(one.uuid, raw, 16)
        one.name = _keep(name)
        one.count = len(functions)
        one.functions = <const char**>calloc(one.count + 1, sizeof(char*))
        ignored = <uint8_t*>calloc(one.count + 1, 1)
        if one.functions is NULL or ignored is NULL:
            raise MemoryError()
        for i, function in enumerate(functions):
            if function is not None:
                one.functions[i] = _keep(function)
                ignored[i] = function in IGNORED.get(name, ())
        one.ignored = ignored
        interface_count += 1
    if len(PIPES) > 32:
        raise ValueError("more pipes than there is room for")
    for name, text in PIPES.items():
        key = uuids.UUID(text).bytes_le
        raw = key
        pipes[pipe_count].name = _keep(name)
        memcpy(pipes[pipe_count].uuid, raw, 16)
        pipe_count += 1
    return 0


_load()


cdef const Interface* interface_of(const uint8_t* uuid) noexcept nogil:
    cdef int32_t low = 0, high = interface_count, middle
    cdef int order
    while low < high:
        middle = (low + high) // 2
        order = memcmp(interfaces[middle].uuid, uuid, 16)
        if order == 0:
            return &interfaces[middle]
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return NULL


cdef const uint8_t* interface_of_pipe(const Name* name) noexcept nogil:
    """By what stands behind the last backslash."""
    cdef int32_t i, k = 0, unit = 2 if name.wide else 1
    cdef int64_t n, begin = 0
    while k + unit <= name.n:
        if name.p[k] == b"\\":
            begin = k + unit
        k += unit
    n = (name.n - begin) // unit
    for i in range(pipe_count):
        if <int64_t>strlen(pipes[i].name) != n:
            continue
        for k in range(n):
            if (name.p[begin + k * unit] | 0x20) != <uint8_t>pipes[i].name[k]:
                break
        else:
            return pipes[i].uuid
    return NULL
