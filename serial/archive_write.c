#include "serial/archive.h"

/* The position in the archive. */
static size_t position(const struct wb_writer *w, struct wb_out o)
{
    return (size_t)(o.at - w->begin);
}

/* Fields and sizing disagree, or bytes cannot be: the place stays, and finish says so. */
static struct wb_out fail(struct wb_writer *w, struct wb_out o)
{
    w->status = WB_ERR_INVALID;
    return o;
}

struct wb_out wbi_put_len(struct wb_out o, uint64_t len)
{
    size_t bytes = wb_len_size(len) - 1;
    *o.at++ = bytes == 0 ? (uint8_t)len
                         : (uint8_t)(bytes == 2   ? WB_LEN_U16
                                     : bytes == 4 ? WB_LEN_U32
                                                  : WB_LEN_U64);
    if (bytes > 0) {
        memcpy(o.at, &len, bytes);
    }
    o.at += bytes;
    o.spare -= bytes;
    return o;
}

/* A length and, behind `gap` zeros, as many bytes: `bytes` of them at data, for a length of `len`
 * elements. */
static struct wb_out put_packed(struct wb_writer *w, struct wb_out o, uint64_t len,
                                const void *data, size_t bytes, size_t align)
{
    size_t more = wb_len_size(len) - 1;
    size_t gap = bytes == 0 ? 0 : -(position(w, o) + 1 + more) % align;
    if (bytes > PTRDIFF_MAX || o.spare < more + gap + bytes || (bytes > 0 && data == NULL)) {
        return fail(w, o);
    }
    o = wbi_put_len(o, len);
    memset(o.at, 0, gap);
    if (bytes > 0) {
        memcpy(o.at + gap, data, bytes);
    }
    o.at += gap + bytes;
    o.spare -= gap + bytes;
    return o;
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
static void close_index(struct wb_writer *w, size_t end)
{
    if (end == w->index_start) {
        return;
    }
    struct wb_chunk *index = add_chunk(w);
    if (index != NULL) {
        index->kind = WB_CHUNK_INDEX;
        index->offset = w->index_start;
        index->data = NULL;
        index->len = end - w->index_start;
        index->block = NULL;
        index->owner = NULL;
        w->index_start = end;
    }
}

/* The mark's byte is promised. */
static struct wb_out put_chunk(struct wb_writer *w, struct wb_out o, uint32_t kind,
                               const void *data, uint64_t len, struct wb_rma_block *block,
                               struct wb_buffer_owner *owner)
{
    if (data == NULL || len == 0 || len > PTRDIFF_MAX) {
        return fail(w, o);
    }
    *o.at++ = WB_LEN_CHUNK;
    close_index(w, position(w, o));
    struct wb_chunk *chunk = add_chunk(w);
    if (chunk != NULL) {
        chunk->kind = kind;
        chunk->offset = 0;
        chunk->data = data;
        chunk->len = len;
        chunk->block = block;
        chunk->owner = owner;
    }
    return o;
}

struct wb_out wbi_put_pointer_chunk(struct wb_writer *w, struct wb_out o, wb_bytes v)
{
    return put_chunk(w, o, WB_CHUNK_POINTER, v.data, v.len, NULL, NULL);
}

struct wb_out wb_wire_put_bytes(struct wb_writer *w, struct wb_out o, wb_bytes v)
{
    return wbi_is_pointer_chunk(w->thresholds, v) ? wbi_put_pointer_chunk(w, o, v)
                                                  : put_packed(w, o, v.len, v.data, v.len, 1);
}

struct wb_out wb_wire_put_array(struct wb_writer *w, struct wb_out o, const void *data,
                                size_t count, size_t elem_bytes, size_t align)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, elem_bytes, &bytes)) {
        return fail(w, o);
    }
    wb_bytes range = {.data = data, .len = bytes};
    return wbi_is_pointer_chunk(w->thresholds, range) ? wbi_put_pointer_chunk(w, o, range)
                                                      : put_packed(w, o, count, data, bytes, align);
}

struct wb_out wb_wire_put_count(struct wb_writer *w, struct wb_out o, const void *items,
                                size_t count, size_t wire_min)
{
    size_t more = wb_len_size(count) - 1;
    size_t bytes;
    if (__builtin_mul_overflow(count, wire_min, &bytes) || bytes > PTRDIFF_MAX ||
        o.spare < more + bytes || (count > 0 && items == NULL)) {
        return fail(w, o);
    }
    o = wbi_put_len(o, count);
    o.spare -= bytes; /* promised to the elements */
    return o;
}

struct wb_out wb_wire_put_rma(struct wb_writer *w, struct wb_out o, const wb_rma_vector *v)
{
    size_t bytes = wb_rma_vector_bytes(v);
    if (o.spare < wb_len_size(v->elem_size) - 1) {
        return fail(w, o);
    }
    o = wbi_put_len(o, v->elem_size);
    if (wbi_is_rma_chunk(w->thresholds, v, bytes)) {
        return put_chunk(w, o, WB_CHUNK_RMA, v->data, bytes, v->block, NULL);
    }
    size_t align = bytes < WB_INLINE_RMA_ALIGNED ? 1 : WB_INLINE_RMA_ALIGN;
    return put_packed(w, o, bytes, v->data, bytes, align);
}

struct wb_out wb_wire_put_object(struct wb_writer *w, struct wb_out o, const wb_rma_vector *v,
                                 size_t bytes)
{
    bool empty = v->elem_size == 0 && v->count == 0;
    if (!empty && (v->elem_size != bytes || v->count != 1)) {
        return fail(w, o);
    }
    return wb_wire_put_rma(w, o, v);
}

struct wb_out wb_wire_put_buffer(struct wb_writer *w, struct wb_out o, const wb_buffer *v)
{
    uint32_t kind = wbi_buffer_chunk(w->thresholds, v);
    return kind != WB_CHUNK_INDEX ? put_chunk(w, o, kind, v->data, v->len, v->block, v->owner)
                                  : put_packed(w, o, v->len, v->data, v->len, 1);
}

struct wb_out wb_added_put_begin(struct wb_writer *w, struct wb_out o, uint32_t id, size_t wire_min,
                                 struct wbi_added *added)
{
    *added = (struct wbi_added){0};
    if (w->status != WB_OK || o.spare < WB_ADDED_HEAD + wire_min) {
        return fail(w, o);
    }
    memcpy(o.at + sizeof id, &id, sizeof id);
    o.at += WB_ADDED_HEAD;
    o.spare -= WB_ADDED_HEAD + wire_min;
    added->position = position(w, o);
    return o;
}

struct wb_out wb_added_put_end(struct wb_writer *w, struct wb_out o, const struct wbi_added *added)
{
    size_t len = position(w, o) - added->position;
    if (w->status != WB_OK || len > UINT32_MAX) {
        return fail(w, o);
    }
    uint32_t stated = (uint32_t)len;
    memcpy(w->begin + added->position - WB_ADDED_HEAD, &stated, sizeof stated);
    return o;
}

void wb_put_len(struct wb_writer *w, uint64_t len)
{
    struct wb_out o;
    if (wbi_writer_open(w, wb_len_size(len), &o)) {
        o.spare += wb_len_size(len) - 1; /* which put_len takes itself */
        wbi_writer_close(w, wbi_put_len(o, len));
    }
}

uint32_t wbi_land_in_place(const struct wb_writer *w, struct wb_landing *landings)
{
    uint32_t count = 0;
    uint64_t offset = 0;
    for (uint32_t i = 0; i < w->chunk_count; i++) {
        const struct wb_chunk *chunk = &w->chunks[i];
        if (chunk->kind == WB_CHUNK_INDEX) {
            offset = chunk->offset + chunk->len;
            continue;
        }
        landings[count++] = (struct wb_landing){.data = (void *)(uintptr_t)chunk->data,
                                                .len = chunk->len,
                                                .archive_offset = offset,
                                                .kind = chunk->kind,
                                                .block = chunk->block};
    }
    return count;
}

int wb_writer_finish(struct wb_writer *w)
{
    if (w->chunk_count > 0) {
        close_index(w, (size_t)(w->at - w->begin));
    }
    if (w->at != w->end || w->chunk_count != w->chunk_capacity) {
        w->status = WB_ERR_INVALID;
    }
    return w->status;
}
