#include "serial/archive.h"

void wb_put_len(struct wb_writer *w, uint64_t len)
{
    if (len < WB_LEN_U16) {
        wb_put_u8(w, (wb_u8)len);
    } else if (len <= UINT16_MAX) {
        wb_put_u8(w, WB_LEN_U16);
        wb_put_u16(w, (wb_u16)len);
    } else if (len <= UINT32_MAX) {
        wb_put_u8(w, WB_LEN_U32);
        wb_put_u32(w, (wb_u32)len);
    } else {
        wb_put_u8(w, WB_LEN_U64);
        wb_put_u64(w, len);
    }
}

/* Returns the next entry of the chunk list to fill, or NULL where the sizer counted fewer. */
static struct wb_chunk *add_chunk(struct wb_writer *w)
{
    if (w->chunk_count == w->chunk_capacity) {
        w->status = WB_ERR_INVALID;
        return NULL;
    }
    return &w->chunks[w->chunk_count++];
}

/* Lists what was written since the last chunk; the bytes that follow belong to the next index
 * chunk. */
static void close_index(struct wb_writer *w)
{
    size_t position = (size_t)(w->at - w->begin);
    if (position == w->index_start) {
        return;
    }
    struct wb_chunk *index = add_chunk(w);
    if (index != NULL) {
        index->kind = WB_CHUNK_INDEX;
        index->offset = w->index_start;
        index->data = NULL;
        index->len = position - w->index_start;
        index->block = NULL;
        index->owner = NULL;
        w->index_start = position;
    }
}

static void put_chunk(struct wb_writer *w, uint32_t kind, const void *data, uint64_t len,
                      struct wb_rma_block *block, struct wb_buffer_owner *owner)
{
    if (data == NULL || len == 0 || len > PTRDIFF_MAX) {
        w->status = WB_ERR_INVALID;
        return;
    }
    wb_put_u8(w, WB_LEN_CHUNK);
    close_index(w);
    struct wb_chunk *chunk = add_chunk(w);
    if (chunk != NULL) {
        chunk->kind = kind;
        chunk->offset = 0;
        chunk->data = data;
        chunk->len = len;
        chunk->block = block;
        chunk->owner = owner;
    }
}

void wb_put_chunk(struct wb_writer *w, uint32_t kind, const void *data, uint64_t len,
                  struct wb_rma_block *block)
{
    put_chunk(w, kind, data, len, block, NULL);
}

void wb_put_rma(struct wb_writer *w, const wb_rma_vector *v)
{
    static const uint8_t zeros[WB_INLINE_RMA_ALIGN];
    size_t bytes = wb_rma_vector_bytes(v);
    wb_put_len(w, v->elem_size);
    if (wbi_is_rma_chunk(w->thresholds, v, bytes)) {
        wb_put_chunk(w, WB_CHUNK_RMA, v->data, bytes, v->block);
        return;
    }
    wb_put_len(w, bytes);
    wb_put_raw(w, zeros, wbi_inline_rma_gap((size_t)(w->at - w->begin), bytes));
    wb_put_raw(w, v->data, bytes);
}

void wb_put_object(struct wb_writer *w, const wb_rma_vector *v, size_t bytes)
{
    bool empty = v->elem_size == 0 && v->count == 0;
    if (!empty && (v->elem_size != bytes || v->count != 1)) {
        w->status = WB_ERR_INVALID;
        return;
    }
    wb_put_rma(w, v);
}

void wb_put_buffer(struct wb_writer *w, const wb_buffer *v)
{
    uint32_t kind = wbi_buffer_chunk(w->thresholds, v);
    if (kind != WB_CHUNK_INDEX) {
        put_chunk(w, kind, v->data, v->len, v->block, v->owner);
        return;
    }
    wb_put_len(w, v->len);
    wb_put_raw(w, v->data, v->len);
}

int wb_writer_finish(struct wb_writer *w)
{
    if (w->chunk_count > 0) {
        close_index(w);
    }
    if (w->at != w->end || w->chunk_count != w->chunk_capacity) {
        w->status = WB_ERR_INVALID;
    }
    return w->status;
}
