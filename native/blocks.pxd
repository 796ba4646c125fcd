"""Blocks that grow without being copied.

`realloc` of a block that glibc keeps in its heap copies it to fresh pages, which the kernel has to
clear first, and leaves a hole behind that the next larger block does not fit: a sixth of all page
faults of an ingest. On Linux a large block is a mapping of its own, whose pages move with it
(`mremap`). Under AddressSanitizer, which does not see into mappings, and elsewhere it is `realloc`.

A block that is let go of is kept for the next: the columns of a batch that was written are those of
the next one, whose pages the kernel need not clear.
"""

from libc.stddef cimport size_t


cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
    #include <sys/mman.h>

    /* From here on two system calls cost less than the copy. */
    #define TL_MAPPED ((size_t)64 << 10)
    /* Kept at most: as many blocks as a table's columns have, and about what a batch takes. */
    #define TL_KEPT 256
    #define TL_KEPT_BYTES ((size_t)64 << 20)
    /* Of a larger one the rest would lie idle. */
    #define TL_FITS 4

    static struct { void *block; size_t size; } tl_kept[TL_KEPT];
    static int tl_kept_count;
    static size_t tl_kept_bytes;
    static int tl_kept_locked;      /* by a thread: columns are filled without the GIL */

    static int tl_kept_lock(void) {
        return !__atomic_exchange_n(&tl_kept_locked, 1, __ATOMIC_ACQUIRE);
    }
    static void tl_kept_unlock(void) {
        __atomic_store_n(&tl_kept_locked, 0, __ATOMIC_RELEASE);
    }

    static void tl_block_free(void *block, size_t size, size_t used) {
        /* What is behind was never touched: it is address space, and must not count as kept (a
           column of texts grows fourfold, to 64 MiB for 20). A little more, for the next batch. */
        size_t worth = (used + used / 8 + 4096) & ~(size_t)4095;
        if (size < TL_MAPPED) { free(block); return; }
        if (worth < TL_MAPPED) worth = TL_MAPPED;
        if (worth > size) worth = size;
        if (tl_kept_lock()) {
            if (tl_kept_count < TL_KEPT && tl_kept_bytes + worth <= TL_KEPT_BYTES) {
                if (worth == size || mremap(block, size, worth, 0) == block) size = worth;
                tl_kept[tl_kept_count].block = block;
                tl_kept[tl_kept_count++].size = size;
                tl_kept_bytes += size;
                block = NULL;
            }
            tl_kept_unlock();
        }
        if (block) munmap(block, size);
    }

    /* The smallest kept block of at least that size, which `size` becomes; or NULL. */
    static void *tl_block_again(size_t *size) {
        void *block = NULL;
        int i, best = -1;
        if (!tl_kept_lock()) return NULL;       /* rather than wait for another thread */
        for (i = 0; i < tl_kept_count; i++)
            if (tl_kept[i].size >= *size && tl_kept[i].size / TL_FITS <= *size
                && (best < 0 || tl_kept[i].size < tl_kept[best].size)) best = i;
        if (best >= 0) {
            block = tl_kept[best].block;
            *size = tl_kept[best].size;
            tl_kept_bytes -= *size;
            tl_kept[best] = tl_kept[--tl_kept_count];
        }
        tl_kept_unlock();
        return block;
    }

    static void *tl_block_grown(void *block, size_t size, size_t *wanted) {
        void *grown;
        if (size >= TL_MAPPED) {
            grown = mremap(block, size, *wanted, MREMAP_MAYMOVE);
            return grown == MAP_FAILED ? NULL : grown;
        }
        if (*wanted < TL_MAPPED) return realloc(block, *wanted);
        grown = tl_block_again(wanted);
        if (!grown)
            grown = mmap(NULL, *wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (grown == MAP_FAILED) return NULL;
        if (size) memcpy(grown, block, size);
        free(block);
        return grown;
    }
    #else
    static void tl_block_free(void *block, size_t size, size_t used) {
        (void)size; (void)used; free(block);
    }
    static void *tl_block_grown(void *block, size_t size, size_t *wanted) {
        (void)size;
        return realloc(block, *wanted);
    }
    #endif
    """
    # `size`: what the block was last made or grown to; NULL is a block of size 0. `used`: of which
    # so many bytes were written, about.
    void block_free "tl_block_free"(void* block, size_t size, size_t used) noexcept nogil
    # A block of `wanted` > `size` bytes with what `block` holds, or of more, which `wanted` becomes;
    # what lies behind is undefined. NULL where there is no memory, and `block` is as it was then.
    void* block_grown "tl_block_grown"(void* block, size_t size, size_t* wanted) noexcept nogil
