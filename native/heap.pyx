"""What malloc does with memory that is freed."""

cdef extern from * nogil:
    """
    #include <stddef.h>
    #include <stdlib.h>             /* defines __GLIBC__, where it is */
    #if defined(__GLIBC__)
    #include <malloc.h>
    static int tl_keep_freed(int bytes, int mapped) {
        return mallopt(M_TRIM_THRESHOLD, bytes) && mallopt(M_MMAP_THRESHOLD, mapped);
    }
    #else
    static int tl_keep_freed(int bytes, int mapped) { (void)bytes; (void)mapped; return 0; }
    #endif
    """
    int tl_keep_freed(int bytes, int mapped)


def keep_freed(int bytes, int mapped) -> bool:
    """Lets malloc keep freed memory for what is asked for next, instead of giving it back to the
    kernel, which clears every page before it gives it out again.

    Args:
        bytes: that may be free at the end of the heap before they are given back.
        mapped: size from which a block is a mapping of its own, given back at once; 32 MiB at
            most.

    Returns:
        Whether this is a malloc that can be told so (glibc's).
    """
    return bool(tl_keep_freed(bytes, mapped))
