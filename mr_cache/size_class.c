#include "mr_cache/size_class.h"

enum { LINEAR_CLASSES = 4 /* 64, 128, 192, 256 */ };

const uint8_t wbi_class_table[] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11};

size_t wbi_class_bytes(unsigned class_index)
{
    if (class_index < LINEAR_CLASSES)
        return (class_index + 1) * (size_t)64;
    unsigned doubling = (class_index - LINEAR_CLASSES) / WBI_CLASSES_PER_DOUBLING;
    unsigned quarter = (class_index - LINEAR_CLASSES) % WBI_CLASSES_PER_DOUBLING;
    return (size_t)(WBI_CLASSES_PER_DOUBLING + quarter + 1)
           << (WBI_CLASS_LINEAR_SHIFT - 2 + doubling);
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
