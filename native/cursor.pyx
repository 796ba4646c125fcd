"""The cold half of the cursor: what happens when the bytes are not there."""

from tracelake.native.errors import Corrupt, Truncated


cdef int refuse(const Cursor* c, Py_ssize_t need, const char* what) except -1 nogil:
    """Raises Truncated for `need` bytes of `what` that the range does not hold."""
    with gil:
        where = c.origin + (c.at - c.start)
        name = what.decode("ascii")
        if need < 0:
            raise Corrupt(name, where, f"negative length {need}")
        raise Truncated(name, where, f"needs {need} bytes, {c.end - c.at} are left")


cdef int corrupt(int64_t offset, const char* what, const char* why) except -1 nogil:
    """Raises Corrupt from code that runs without the GIL."""
    with gil:
        raise Corrupt(what.decode("ascii"), offset, why.decode("ascii"))
