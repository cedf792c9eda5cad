/* What both files of arrays of strings need. A text is a string or a byte range, which are read
 * alike; an array of them is their count, all their lengths, and then all their bytes, so that
 * neither side has to walk through the bytes to find the next length. */
#ifndef WBI_SERIAL_TEXTS_H
#define WBI_SERIAL_TEXTS_H

#include <waybill/serial.h>

#if defined(__x86_64__)
#include <immintrin.h>
/* A function that works on registers of 32 bytes; only where wbi_has_32() may it be called. */
#define WBI_BY_32 __attribute__((target("avx2")))
static inline bool wbi_has_32(void)
{
    return __builtin_cpu_supports("avx2");
}
#endif

_Static_assert(sizeof(wb_str) == sizeof(wb_bytes) &&
                   offsetof(wb_str, len) == offsetof(wb_bytes, len),
               "a string and a byte range are read alike");

static inline wb_bytes wbi_text_at(const void *texts, size_t i)
{
    wb_bytes text;
    memcpy(&text, (const uint8_t *)texts + i * sizeof text, sizeof text);
    return text;
}

static inline void wbi_text_set(void *texts, size_t i, wb_bytes text)
{
    memcpy((uint8_t *)texts + i * sizeof text, &text, sizeof text);
}

/* ---- loops over lengths of one byte each; below is at most WB_LEN_U16; those that end in
 * one_by_one do without what only some processors have ---- */

/* Adds up the lengths in *bytes. False: one is not below that, and *bytes means nothing. */
bool wbi_lengths_add(const void *texts, size_t count, size_t below, size_t *bytes);
bool wbi_lengths_add_one_by_one(const void *texts, size_t count, size_t below, size_t *bytes);

/* Makes views of what stands behind `count` bytes of length at `at`; nothing there is read. Sets
 * *bytes to the sum. False: a length takes more than its byte, and *bytes means nothing. */
bool wbi_lengths_get(const uint8_t *at, void *texts, size_t count, size_t *bytes);
bool wbi_lengths_get_one_by_one(const uint8_t *at, void *texts, size_t count, size_t *bytes);

/* ---- writing them, and their bytes ---- */

/* Writes `count` bytes of length at o->at, which are promised, and all bytes behind them. False: a
 * length is not below that, or longer than what o->spare leaves it, or its bytes are nowhere; *o is
 * as it was, and what is behind o->at means nothing. */
bool wbi_texts_put(struct wb_out *o, const void *texts, size_t count, size_t below);
/* The same without what only some processors have. */
bool wbi_texts_put_by_16(struct wb_out *o, const void *texts, size_t count, size_t below);

#endif
