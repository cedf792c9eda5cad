/* The writing pass of an archive, of what was sized. See <waybill/archive.h>. */
#ifndef WAYBILL_PASS_PUT_H
#define WAYBILL_PASS_PUT_H

#include <waybill/archive.h>

/* Starts writing into [begin, begin + bytes), which the sizer has measured; chunk_capacity is its
 * records exactly. */
static inline void wb_writer_start(struct wb_writer *w, struct wb_thresholds thresholds,
                                   void *begin, size_t bytes, struct wb_chunk *chunks,
                                   uint32_t chunk_capacity)
{
    *w = (struct wb_writer){.thresholds = thresholds,
                            .begin = begin,
                            .at = begin,
                            .end = (uint8_t *)begin + bytes,
                            .spare = bytes,
                            .chunks = chunks,
                            .chunk_capacity = chunk_capacity};
}

static inline void wb_put_raw(struct wb_writer *w, const void *data, size_t bytes)
{
    if (bytes == 0) {
        return;
    }
    if (w->spare < bytes || data == NULL) {
        w->status = WB_ERR_INVALID;
        return;
    }
    memcpy(w->at, data, bytes);
    w->at += bytes;
    w->spare -= bytes;
}

WB_API void wb_put_len(struct wb_writer *w, uint64_t len);

/* Promises `bytes` bytes to what follows. False where there are not so many: the status says so. */
static inline bool wbi_writer_open(struct wb_writer *w, size_t bytes, struct wb_out *o)
{
    if (w->spare < bytes) {
        w->status = WB_ERR_INVALID;
        return false;
    }
    *o = (struct wb_out){.at = w->at, .spare = w->spare - bytes};
    return true;
}

static inline void wbi_writer_close(struct wb_writer *w, struct wb_out o)
{
    w->at = o.at;
    w->spare = o.spare;
}

/* Each writes a field whose fewest bytes (1; 2 of vectors and objects; count * wire_min more of a
 * count) are promised, and returns the place behind it; on failure the place it was given, and the
 * writer's status is set. */
WB_API struct wb_out wb_wire_put_bytes(struct wb_writer *w, struct wb_out o, wb_bytes v);
WB_API struct wb_out wb_wire_put_array(struct wb_writer *w, struct wb_out o, const void *data,
                                       size_t count, size_t elem_bytes, size_t align);
WB_API struct wb_out wb_wire_put_count(struct wb_writer *w, struct wb_out o, const void *items,
                                       size_t count, size_t wire_min);
/* An array of `count` strings or byte ranges: the count, all lengths, and then all bytes. */
WB_API struct wb_out wb_wire_put_texts(struct wb_writer *w, struct wb_out o, const void *items,
                                       size_t count);
WB_API struct wb_out wb_wire_put_rma(struct wb_writer *w, struct wb_out o, const wb_rma_vector *v);
/* A vector of one element of `bytes` bytes, or the empty handle. */
WB_API struct wb_out wb_wire_put_object(struct wb_writer *w, struct wb_out o,
                                        const wb_rma_vector *v, size_t bytes);
WB_API struct wb_out wb_wire_put_buffer(struct wb_writer *w, struct wb_out o, const wb_buffer *v);

/* Around the fields of an added one, which is promised nothing before. Where begin fails, the
 * field's own put would write where it may not: it is called only while the status is WB_OK. */
WB_API struct wb_out wb_added_put_begin(struct wb_writer *w, struct wb_out o, uint32_t id,
                                        size_t wire_min, struct wbi_added *added);
WB_API struct wb_out wb_added_put_end(struct wb_writer *w, struct wb_out o,
                                      const struct wbi_added *added);

/* Copies len bytes, at most 251, by overlapping words: a call of memcpy costs more than the copy.
 */
static inline void wbi_copy_short(uint8_t *to, const void *data, size_t len)
{
    const uint8_t *from = data;
    if (len >= 16) {
        size_t i = 0;
        for (; i + 32 < len; i += 32) {
            memcpy(to + i, from + i, 16);
            memcpy(to + i + 16, from + i + 16, 16);
        }
        if (i + 16 < len) {
            memcpy(to + i, from + i, 16);
        }
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        uint64_t first, last; /* both read before either is written */
        memcpy(&first, from, 8);
        memcpy(&last, from + len - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + len - 8, &last, 8);
    } else {
        for (size_t i = 0; i < len; i++) {
            to[i] = from[i];
        }
    }
}

static inline void wb_put_bytes(struct wb_writer *w, wb_bytes v)
{
    struct wb_out o;
    if (wbi_writer_open(w, 1, &o)) {
        wbi_writer_close(w, wb_wire_put_bytes(w, o, v));
    }
}

static inline void wb_put_str(struct wb_writer *w, wb_str v)
{
    wb_put_bytes(w, (wb_bytes){.data = v.data, .len = v.len});
}

static inline void wb_put_rma(struct wb_writer *w, const wb_rma_vector *v)
{
    struct wb_out o;
    if (wbi_writer_open(w, 2, &o)) {
        wbi_writer_close(w, wb_wire_put_rma(w, o, v));
    }
}

/* A vector of one element of `bytes` bytes, or the empty handle; another one makes finish answer
 * WB_ERR_INVALID. wb_size_rma measures it. */
static inline void wb_put_object(struct wb_writer *w, const wb_rma_vector *v, size_t bytes)
{
    struct wb_out o;
    if (wbi_writer_open(w, 2, &o)) {
        wbi_writer_close(w, wb_wire_put_object(w, o, v, bytes));
    }
}

static inline void wb_put_buffer(struct wb_writer *w, const wb_buffer *v)
{
    struct wb_out o;
    if (wbi_writer_open(w, 1, &o)) {
        wbi_writer_close(w, wb_wire_put_buffer(w, o, v));
    }
}

/* Closes the archive and its chunk list. Returns WB_OK, or WB_ERR_INVALID where what was written
 * differs from what was measured (a field changed in between), or where a field has bytes at NULL
 * or more than PTRDIFF_MAX. */
WB_API int wb_writer_finish(struct wb_writer *w);

#endif
