/* The sizes of blocks: four classes per doubling from 64 bytes to 256 KiB, and whole pages above.
 */
#ifndef WBI_MR_CACHE_SIZE_CLASS_H
#define WBI_MR_CACHE_SIZE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WBI_PAGE_SHIFT =
        16, /* a page of a slab is 64 KiB; runs of pages are what blocks are carved from */
    WBI_PAGE_BYTES = 1 << WBI_PAGE_SHIFT,
    WBI_CLASSES = 44,
    WBI_CLASS_MAX_BYTES = 256 << 10,
    WBI_CLASS_TABLE_BYTES = 1024,
    WBI_CLASSES_PER_DOUBLING = 4,
    WBI_CLASS_LINEAR_SHIFT = 8 /* log2 of the last class that is a multiple of 64 as such */
};

/* The class by 64 bytes, of what is asked for most. */
extern const uint8_t wbi_class_table[WBI_CLASS_TABLE_BYTES / 64 + 1]
    __attribute__((visibility("hidden")));

/* Sets *class_index to the smallest class whose blocks hold `bytes`; false: there is none. */
static inline bool wbi_class_find(size_t bytes, unsigned *class_index)
{
    if (__builtin_expect(bytes <= WBI_CLASS_TABLE_BYTES, 1)) {
        *class_index = wbi_class_table[(bytes + 63) >> 6];
        return true;
    }
    if (bytes > WBI_CLASS_MAX_BYTES)
        return false;
    size_t last = bytes - 1; /* offset of the last byte */
    unsigned log = 63 - (unsigned)__builtin_clzll(last);
    /* The two bits below the leading one say which quarter of the doubling. */
    *class_index =
        (log - WBI_CLASS_LINEAR_SHIFT) * WBI_CLASSES_PER_DOUBLING + (unsigned)(last >> (log - 2));
    return true;
}

/* Bytes of a block of a class: 64, 128, 192, 256, 320, 384, 448, 512, 640, ..., 262144. All
 * multiples of 64. */
size_t wbi_class_bytes(unsigned class_index);

/* Pages of the runs from which a class is carved: the fewest that leave at most 1/32 of the run
 * unused. */
uint32_t wbi_class_pages(unsigned class_index);

#endif
