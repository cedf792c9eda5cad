/* The bytes of an array's strings, one string's behind the other's: by registers of 32 bytes where
 * the processor has them. It is asked once for all strings, and a loop is compiled for each way. */
#include "serial/texts.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define BY_32 __attribute__((target("avx2")))
#endif

/* At most 251 bytes. */
typedef void copy_fn(uint8_t *to, const void *from, size_t len);

static inline __attribute__((always_inline)) bool copy_all(struct wb_out *o, const void *texts,
                                                           size_t count, copy_fn *copy)
{
    struct wb_out to = *o;
    for (size_t i = 0; i < count; i++) {
        wb_bytes text = wbi_text_at(texts, i);
        if (text.len > to.spare || text.data == NULL) {
            return false;
        }
        copy(to.at, text.data, text.len);
        to.at += text.len;
        to.spare -= text.len;
    }
    *o = to;
    return true;
}

#if defined(BY_32)
/* The last register overlaps the one before. */
static inline BY_32 void copy_by_32(uint8_t *to, const void *data, size_t len)
{
    const uint8_t *from = data;
    if (len < 32) {
        wbi_copy_short(to, from, len);
        return;
    }
    for (size_t i = 0; i + 32 < len; i += 32) {
        _mm256_storeu_si256((void *)(to + i), _mm256_loadu_si256((const void *)(from + i)));
    }
    __m256i last = _mm256_loadu_si256((const void *)(from + len - 32));
    _mm256_storeu_si256((void *)(to + len - 32), last);
}

static BY_32 bool copy_all_by_32(struct wb_out *o, const void *texts, size_t count)
{
    return copy_all(o, texts, count, copy_by_32);
}
#endif

bool wbi_texts_copy_by_16(struct wb_out *o, const void *texts, size_t count)
{
    return copy_all(o, texts, count, wbi_copy_short);
}

bool wbi_texts_copy(struct wb_out *o, const void *texts, size_t count)
{
#if defined(BY_32)
    if (__builtin_cpu_supports("avx2")) {
        return copy_all_by_32(o, texts, count);
    }
#endif
    return wbi_texts_copy_by_16(o, texts, count);
}
