/* The sizes of blocks: four classes per doubling from 64 bytes to 256 KiB, and whole pages above.
 */
#ifndef WBI_MR_CACHE_SIZE_CLASS_H
#define WBI_MR_CACHE_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

enum {
    WBI_PAGE_SHIFT =
        16, /* a page of a slab is 64 KiB; runs of pages are what blocks are carved from */
    WBI_PAGE_BYTES = 1 << WBI_PAGE_SHIFT,
    WBI_CLASSES = 44,
    WBI_CLASS_MAX_BYTES = 256 << 10
};

/* The smallest class whose blocks hold `bytes`, which is at most WBI_CLASS_MAX_BYTES. */
unsigned wbi_class_of(size_t bytes);

/* Bytes of a block of a class: 64, 128, 192, 256, 320, 384, 448, 512, 640, ..., 262144. All
 * multiples of 64. */
size_t wbi_class_bytes(unsigned class_index);

/* Pages of the runs from which a class is carved: the fewest that leave at most 1/32 of the run
 * unused. */
uint32_t wbi_class_pages(unsigned class_index);

#endif
