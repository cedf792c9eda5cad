/* The loops that go over the lengths of all texts of an array: eight texts at a time by registers
 * of 32 bytes where the processor has them, and the others one at a time. None has a branch in it:
 * what is not as it should be is gathered, and looked at afterwards. */
#include "serial/texts.h"

/* How far a loop has come. */
struct walk {
    size_t count; /* texts it is done with, */
    size_t bytes; /* and of them */
    bool wrong;   /* a length of theirs is not below the limit */
};

#if defined(WBI_BY_32)
static inline WBI_BY_32 __m256i load(const uint8_t *at)
{
    return _mm256_loadu_si256((const void *)at);
}

static inline WBI_BY_32 void store(uint8_t *at, __m256i value)
{
    _mm256_storeu_si256((void *)at, value);
}

/* The lengths of four texts, in some order. */
static inline WBI_BY_32 __m256i four_lengths(const uint8_t *texts)
{
    return _mm256_unpackhi_epi64(load(texts), load(texts + 2 * sizeof(wb_bytes)));
}

/* The highest bit of each of four is set where the length is not below the limit. */
static inline WBI_BY_32 __m256i four_signs(__m256i lengths, __m256i most)
{
    return _mm256_or_si256(lengths, _mm256_sub_epi64(most, lengths));
}

static WBI_BY_32 struct walk add_by_32(const uint8_t *texts, size_t count, size_t below)
{
    __m256i most = _mm256_set1_epi64x((long long)below - 1);
    __m256i sum = _mm256_setzero_si256(), signs = sum;
    for (size_t i = 0; i < count / 8; i++, texts += 8 * sizeof(wb_bytes)) {
        __m256i four = four_lengths(texts);
        __m256i more = four_lengths(texts + 4 * sizeof(wb_bytes));
        sum = _mm256_add_epi64(sum, _mm256_add_epi64(four, more));
        signs = _mm256_or_si256(signs, four_signs(four, most));
        signs = _mm256_or_si256(signs, four_signs(more, most));
    }
    uint64_t sums[4];
    store((uint8_t *)sums, sum);
    return (struct walk){.count = count / 8 * 8,
                         .bytes = sums[0] + sums[1] + sums[2] + sums[3],
                         .wrong = _mm256_movemask_pd(_mm256_castsi256_pd(signs)) != 0};
}

/* Four of eight texts: lane by lane, `before` has 0xff for the bytes that hold the lengths of those
 * before a text, and `own` the index of the byte that holds its own, for the texts 0, 2, 1 and 3.
 */
static inline WBI_BY_32 void get_four(uint8_t *texts, __m256i begin, __m256i eight, __m256i before,
                                      __m256i own)
{
    __m256i offset = _mm256_sad_epu8(_mm256_and_si256(eight, before), _mm256_setzero_si256());
    __m256i data = _mm256_add_epi64(begin, offset), len = _mm256_shuffle_epi8(eight, own);
    store(texts, _mm256_unpacklo_epi64(data, len));
    store(texts + 2 * sizeof(wb_bytes), _mm256_unpackhi_epi64(data, len));
}

static WBI_BY_32 struct walk get_by_32(const uint8_t *at, uint8_t *texts, size_t count)
{
    enum { NONE = -256 }; /* with an index in its lowest byte: the other seven become zero */
    const __m256i own = _mm256_setr_epi64x(NONE | 0, NONE | 2, NONE | 1, NONE | 3);
    const __m256i own_high = _mm256_setr_epi64x(NONE | 4, NONE | 6, NONE | 5, NONE | 7);
    const __m256i before = _mm256_setr_epi64x(0, 0xffff, 0xff, 0xffffff);
    const __m256i before_high =
        _mm256_setr_epi64x(0xffffffff, 0xffffffffffff, 0xffffffffff, 0xffffffffffffff);
    __m256i begin = _mm256_set1_epi64x((long long)(uintptr_t)(at + count)), to = begin;
    __m256i longest = _mm256_setzero_si256();
    for (size_t i = 0; i < count / 8; i++, texts += 8 * sizeof(wb_bytes)) {
        long long lengths;
        memcpy(&lengths, at + 8 * i, sizeof lengths);
        __m256i eight = _mm256_set1_epi64x(lengths);
        get_four(texts, to, eight, before, own);
        get_four(texts + 4 * sizeof(wb_bytes), to, eight, before_high, own_high);
        to = _mm256_add_epi64(to, _mm256_sad_epu8(eight, _mm256_setzero_si256()));
        longest = _mm256_max_epu8(longest, eight);
    }
    __m256i beyond = _mm256_subs_epu8(longest, _mm256_set1_epi8((char)(WB_LEN_U16 - 1)));
    return (struct walk){.count = count / 8 * 8,
                         .bytes = (size_t)_mm256_extract_epi64(_mm256_sub_epi64(to, begin), 0),
                         .wrong = !_mm256_testz_si256(beyond, beyond)};
}
#endif

/* The length alone: of a whole text, which is more to load, the compiler makes no wide loads. */
static size_t len_at(const uint8_t *texts, size_t i)
{
    size_t len;
    memcpy(&len, texts + i * sizeof(wb_bytes) + offsetof(wb_bytes, len), sizeof len);
    return len;
}

static bool add_from(struct walk walk, const uint8_t *texts, size_t count, size_t below,
                     size_t *bytes)
{
    size_t signs = 0;
    for (size_t i = walk.count; i < count; i++) {
        size_t len = len_at(texts, i);
        walk.bytes += len;
        signs |= len | (below - 1 - len);
    }
    *bytes = walk.bytes;
    return !walk.wrong && signs <= PTRDIFF_MAX;
}

bool wbi_lengths_add_one_by_one(const void *texts, size_t count, size_t below, size_t *bytes)
{
    return add_from((struct walk){0}, texts, count, below, bytes);
}

bool wbi_lengths_add(const void *texts, size_t count, size_t below, size_t *bytes)
{
#if defined(WBI_BY_32)
    if (wbi_has_32()) {
        return add_from(add_by_32(texts, count, below), texts, count, below, bytes);
    }
#endif
    return wbi_lengths_add_one_by_one(texts, count, below, bytes);
}

static bool get_from(struct walk walk, const uint8_t *at, void *texts, size_t count, size_t *bytes)
{
    enum { CARRY = 256 }; /* that a byte of WB_LEN_U16 or more sets in the sum */
    uintptr_t begin = (uintptr_t)(at + count), to = begin + walk.bytes; /* may pass the end */
    size_t carries = 0;
    for (size_t i = walk.count; i < count; i++) {
        size_t len = at[i];
        wbi_text_set(texts, i, (wb_bytes){.data = (const void *)to, .len = len});
        to += len;
        carries |= len + (CARRY - WB_LEN_U16);
    }
    *bytes = to - begin;
    return !walk.wrong && (carries & CARRY) == 0;
}

bool wbi_lengths_get_one_by_one(const uint8_t *at, void *texts, size_t count, size_t *bytes)
{
    return get_from((struct walk){0}, at, texts, count, bytes);
}

bool wbi_lengths_get(const uint8_t *at, void *texts, size_t count, size_t *bytes)
{
#if defined(WBI_BY_32)
    if (wbi_has_32()) {
        return get_from(get_by_32(at, texts, count), at, texts, count, bytes);
    }
#endif
    return wbi_lengths_get_one_by_one(at, texts, count, bytes);
}
