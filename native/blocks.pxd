"""Blocks that grow without being copied.

`realloc` of a block that glibc keeps in its heap copies it to fresh pages, which the kernel has to
clear first, and leaves a hole behind that the next larger block does not fit: a sixth of all page
faults of an ingest. On Linux a large block is a mapping of its own, whose pages move with it
(`mremap`). Under AddressSanitizer, which does not see into mappings, and elsewhere it is `realloc`.
"""

from libc.stddef cimport size_t


cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
    #include <sys/mman.h>

    /* From here on two system calls cost less than the copy. */
    #define TL_MAPPED ((size_t)128 << 10)

    static void tl_block_free(void *block, size_t size) {
        if (size >= TL_MAPPED) munmap(block, size);
        else free(block);
    }

    static void *tl_block_grown(void *block, size_t size, size_t wanted) {
        void *grown;
        if (size >= TL_MAPPED) {
            grown = mremap(block, size, wanted, MREMAP_MAYMOVE);
            return grown == MAP_FAILED ? NULL : grown;
        }
        if (wanted < TL_MAPPED) return realloc(block, wanted);
        grown = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (grown == MAP_FAILED) return NULL;
        if (size) memcpy(grown, block, size);
        free(block);
        return grown;
    }
    #else
    static void tl_block_free(void *block, size_t size) { (void)size; free(block); }
    static void *tl_block_grown(void *block, size_t size, size_t wanted) {
        (void)size;
        return realloc(block, wanted);
    }
    #endif
    """
    # `size`: what the block was last made or grown to; NULL is a block of size 0.
    void block_free "tl_block_free"(void* block, size_t size) noexcept nogil
    # A block of `wanted` > `size` bytes with what `block` holds; NULL where there is no memory,
    # and `block` is as it was then.
    void* block_grown "tl_block_grown"(void* block, size_t size, size_t wanted) noexcept nogil
