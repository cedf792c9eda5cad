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

/* Fills landings, at most w->chunk_count, as if each chunk that was written had landed where it is;
 * blocks are borrowed. Returns how many there are. */
uint32_t wbi_land_in_place(const struct wb_writer *w, struct wb_landing *landings);

/* ---- the parts of fields, for arrays of strings ---- */

/* Writes a length, whose first byte is promised; the caller has seen to the room of the others. */
struct wb_out wbi_put_len(struct wb_out o, uint64_t len);

/* Writes the mark, whose byte is promised, and lists the chunk. */
struct wb_out wbi_put_pointer_chunk(struct wb_writer *w, struct wb_out o, wb_bytes v);

/* What stands before the bytes of a field: their length, or that they are the next chunk. */
struct wbi_prefix {
    uint64_t len; /* 0 where the bytes are a chunk, and on failure */
    bool is_chunk;
};

/* The first byte is promised. */
struct wbi_prefix wbi_get_prefix(struct wb_reader *r, struct wb_in *in);

/* Moves behind the next `len` bytes, which nobody was promised. Returns where they are, or NULL
 * where there are not so many. */
const uint8_t *wbi_take(struct wb_reader *r, struct wb_in *in, uint64_t len);

/* The landing that the mark just read stands for; the empty range, and failed, where there is none.
 */
wb_bytes wbi_take_pointer_chunk(struct wb_reader *r, struct wb_in *in);

/* Passes over one added field that this program does not know, with its chunks. On failure *id and
 * *len may be 0, and the reader's status is set. */
void wbi_pass_one_added(struct wb_reader *r, uint32_t *id, uint32_t *len);

#endif
