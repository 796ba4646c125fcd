"""Names of what speaks in a flow (see services.pxd)."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, strlen

# In the order of their bits.
SERVICES: list[str] = []
cdef list _kept = []
cdef const char* service_names[64]


cpdef int service(str name) except -1:
    """The bit number of a service's name, which is given to it when it is asked for first.

    Raises:
        ValueError: beyond 64 names.
    """
    cdef bytes text
    if name in SERVICES:
        return SERVICES.index(name)
    if len(SERVICES) >= 64:
        raise ValueError(f"{name}: there are 64 services already")
    text = name.encode("ascii")
    _kept.append(text)
    service_names[len(SERVICES)] = text
    SERVICES.append(name)
    return len(SERVICES) - 1


cdef Py_ssize_t put_services(uint8_t* out, uint64_t services) noexcept nogil:
    cdef Py_ssize_t n = 0, length
    cdef int i
    for i in range(64):
        if not services >> i & 1:
            continue
        length = strlen(service_names[i])
        if n + 1 + length > 256:
            break
        if n:
            out[n] = b","
            n += 1
        memcpy(out + n, service_names[i], length)
        n += length
    return n
