#include "mr_cache/size_class.h"

enum {
    LINEAR_CLASSES = 4, /* 64, 128, 192, 256 */
    PER_DOUBLING = 4,
    LINEAR_SHIFT = 8 /* log2 of the last linear class */
};

unsigned wbi_class_of(size_t bytes)
{
    size_t last = bytes ? bytes - 1 : 0; /* offset of the last byte */

    if (last < 1 << LINEAR_SHIFT)
        return (unsigned)(last >> 6);
    unsigned log = 63 - (unsigned)__builtin_clzll(last);
    unsigned quarter = (unsigned)(last >> (log - 2)) - PER_DOUBLING;
    return LINEAR_CLASSES + (log - LINEAR_SHIFT) * PER_DOUBLING + quarter;
}

size_t wbi_class_bytes(unsigned class_index)
{
    if (class_index < LINEAR_CLASSES)
        return (class_index + 1) * (size_t)64;
    unsigned doubling = (class_index - LINEAR_CLASSES) / PER_DOUBLING;
    unsigned quarter = (class_index - LINEAR_CLASSES) % PER_DOUBLING;
    return (size_t)(PER_DOUBLING + quarter + 1) << (LINEAR_SHIFT - 2 + doubling);
}

uint32_t wbi_class_pages(unsigned class_index)
{
    size_t block = wbi_class_bytes(class_index);
    uint32_t pages = 1;

    for (;; pages++) {
        size_t run = (size_t)pages << WBI_PAGE_SHIFT;
        if (run % block <= run / 32 && block <= run)
            return pages;
    }
}
