/* What both files of arrays of strings need. A text is a string or a byte range, which are read
 * alike; an array of them is their count, all their lengths, and then all their bytes, so that
 * neither side has to walk through the bytes to find the next length. */
#ifndef WBI_SERIAL_TEXTS_H
#define WBI_SERIAL_TEXTS_H

#include <waybill/serial.h>

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

/* ---- loops over lengths of one byte each; below is at most WB_LEN_U16 ---- */

/* Adds up the lengths in *bytes. False: one is not below that, and *bytes means nothing. */
bool wbi_lengths_add(const void *texts, size_t count, size_t below, size_t *bytes);

/* Writes `count` bytes. False: a length is not below that. */
bool wbi_lengths_put(uint8_t *at, const void *texts, size_t count, size_t below);

/* Makes views of what stands behind `count` bytes of length at `at`; nothing there is read. Sets
 * *bytes to the sum. False: a length takes more than its byte, and *bytes means nothing. */
bool wbi_lengths_get(const uint8_t *at, void *texts, size_t count, size_t *bytes);

/* ---- loops over their bytes; all lengths are below WB_LEN_U16 ---- */

/* Copies all to o->at. False: one is longer than what o->spare leaves it, or is nowhere; *o is as
 * it was, and what is behind o->at means nothing. */
bool wbi_texts_copy(struct wb_out *o, const void *texts, size_t count);
/* The same without what only some processors have. */
bool wbi_texts_copy_by_16(struct wb_out *o, const void *texts, size_t count);

#endif
