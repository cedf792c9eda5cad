/* The loops that go over the lengths of all texts of an array. None has a branch in it: `signs`
 * gets its highest bit from a length that is not below the limit, and is looked at afterwards. */
#include "serial/texts.h"

/* The length alone: of a whole text, which is more to load, the compiler makes no wide loads. */
static size_t len_at(const void *texts, size_t i)
{
    size_t len;
    memcpy(&len, (const uint8_t *)texts + i * sizeof(wb_bytes) + offsetof(wb_bytes, len),
           sizeof len);
    return len;
}

static size_t sign_of(size_t len, size_t below)
{
    return len | (below - 1 - len);
}

bool wbi_lengths_add(const void *texts, size_t count, size_t below, size_t *bytes)
{
    size_t sum = 0, signs = 0;
    for (size_t i = 0; i < count; i++) {
        size_t len = len_at(texts, i);
        sum += len;
        signs |= sign_of(len, below);
    }
    *bytes = sum;
    return signs <= PTRDIFF_MAX;
}

bool wbi_lengths_put(uint8_t *at, const void *texts, size_t count, size_t below)
{
    size_t signs = 0;
    for (size_t i = 0; i < count; i++) {
        size_t len = len_at(texts, i);
        at[i] = (uint8_t)len;
        signs |= sign_of(len, below);
    }
    return signs <= PTRDIFF_MAX;
}

bool wbi_lengths_get(const uint8_t *at, void *texts, size_t count, size_t *bytes)
{
    enum { CARRY = 256 }; /* that a byte of WB_LEN_U16 or more sets in the sum */
    uintptr_t begin = (uintptr_t)(at + count), to = begin; /* may pass the archive's end */
    size_t carries = 0;
    for (size_t i = 0; i < count; i++) {
        size_t len = at[i];
        wbi_text_set(texts, i, (wb_bytes){.data = (const void *)to, .len = len});
        to += len;
        carries |= len + (CARRY - WB_LEN_U16);
    }
    *bytes = to - begin;
    return (carries & CARRY) == 0;
}
