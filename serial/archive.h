/* What the sizing, writing and reading passes must agree on beyond <waybill/serial.h>. */
#ifndef WBI_SERIAL_ARCHIVE_H
#define WBI_SERIAL_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/serial.h>

_Static_assert(SIZE_MAX == UINT64_MAX,
               "lengths of the archive are 64 bits, and sizes of memory too");

/* Whether a vector of `bytes` bytes becomes a chunk: only one that lies in a block does. */
static inline bool wbi_is_rma_chunk(struct wb_thresholds thresholds, const wb_rma_vector *v,
                                    size_t bytes)
{
    return bytes >= thresholds.rma && bytes > 0 && v->block != NULL;
}

/* The kind of chunk that a buffer becomes, or WB_CHUNK_INDEX where it is packed. */
static inline uint32_t wbi_buffer_chunk(struct wb_thresholds thresholds, const wb_buffer *v)
{
    if (v->len > 0 && v->block != NULL) {
        return v->len >= thresholds.rma ? WB_CHUNK_RMA : WB_CHUNK_INDEX;
    }
    if (v->owner != NULL) {
        thresholds.pointer = thresholds.buffer;
    }
    wb_bytes bytes = {.data = v->data, .len = v->len};
    return wbi_is_pointer_chunk(thresholds, bytes) ? WB_CHUNK_POINTER : WB_CHUNK_INDEX;
}

/* Zeros between the archive's byte `position` and `bytes` bytes of packed rma data. */
static inline size_t wbi_inline_rma_gap(size_t position, uint64_t bytes)
{
    return bytes < WB_INLINE_RMA_ALIGNED ? 0 : -position % WB_INLINE_RMA_ALIGN;
}

/* Passes over one added field that this program does not know, with its chunks. On failure *id and
 * *len may be 0, and the reader's status is set. */
void wbi_pass_one_added(struct wb_reader *r, uint32_t *id, uint32_t *len);

#endif
