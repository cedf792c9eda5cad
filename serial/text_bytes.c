/* Writes an array's strings, one's bytes behind the other's, and their lengths before them: by
 * registers of 32 bytes where the processor has them. It is asked once for all strings, and a loop
 * is compiled for each way. */
#include "serial/texts.h"

/* At most 251 bytes. */
typedef void copy_fn(uint8_t *to, const void *from, size_t len);

static inline __attribute__((always_inline)) bool put_one(struct wb_out *to, wb_bytes text,
                                                          size_t below, copy_fn *copy)
{
    if (text.len >= below || text.len > to->spare || (text.data == NULL && text.len > 0)) {
        return false;
    }
    copy(to->at, text.data, text.len);
    to->at += text.len;
    to->spare -= text.len;
    return true;
}

/* Lengths are stored eight at a time: stores that alternate between two places take half as long
 * again, and a loop of their own over all lengths a quarter. */
static inline __attribute__((always_inline)) bool put_all(struct wb_out *o, const void *texts,
                                                          size_t count, size_t below, copy_fn *copy)
{
    uint8_t *lengths = o->at;
    struct wb_out to = {.at = o->at + count, .spare = o->spare};
    size_t i = 0;
    for (; count - i >= 8; i += 8) {
        uint64_t eight = 0;
        for (size_t k = 0; k < 8; k++) {
            wb_bytes text = wbi_text_at(texts, i + k);
            if (!put_one(&to, text, below, copy)) {
                return false;
            }
            eight |= (uint64_t)text.len << 8 * k;
        }
        memcpy(lengths + i, &eight, sizeof eight);
    }
    for (; i < count; i++) {
        wb_bytes text = wbi_text_at(texts, i);
        if (!put_one(&to, text, below, copy)) {
            return false;
        }
        lengths[i] = (uint8_t)text.len;
    }
    *o = to;
    return true;
}

#if defined(WBI_BY_32)
static inline WBI_BY_32 void copy_32(uint8_t *to, const uint8_t *from)
{
    _mm256_storeu_si256((void *)to, _mm256_loadu_si256((const void *)from));
}

/* The last register overlaps the one before. */
static inline WBI_BY_32 void copy_by_32(uint8_t *to, const void *data, size_t len)
{
    const uint8_t *from = data;
    if (len < 32) {
        wbi_copy_short(to, from, len);
        return;
    }
    copy_32(to, from);
    if (len > 64) {
        copy_32(to + 32, from + 32);
        for (size_t i = 64; i + 32 < len; i += 32) {
            copy_32(to + i, from + i);
        }
    }
    copy_32(to + len - 32, from + len - 32);
}

static WBI_BY_32 bool put_all_by_32(struct wb_out *o, const void *texts, size_t count, size_t below)
{
    return put_all(o, texts, count, below, copy_by_32);
}
#endif

bool wbi_texts_put_by_16(struct wb_out *o, const void *texts, size_t count, size_t below)
{
    return put_all(o, texts, count, below, wbi_copy_short);
}

bool wbi_texts_put(struct wb_out *o, const void *texts, size_t count, size_t below)
{
#if defined(WBI_BY_32)
    if (wbi_has_32()) {
        return put_all_by_32(o, texts, count, below);
    }
#endif
    return wbi_texts_put_by_16(o, texts, count, below);
}
