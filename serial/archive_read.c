#include "serial/archive.h"

/* What stands before the bytes of a field: their length, or that they are the next chunk. */
struct prefix {
    uint64_t len; /* 0 where the bytes are a chunk, and on failure */
    bool is_chunk;
};

static struct prefix get_prefix(struct wb_reader *r)
{
    uint64_t len = wb_get_u8(r);
    size_t size = 1;
    if (len == WB_LEN_CHUNK) {
        return (struct prefix){.is_chunk = true};
    }
    if (len == WB_LEN_U16) {
        len = wb_get_u16(r);
        size = 3;
    } else if (len == WB_LEN_U32) {
        len = wb_get_u32(r);
        size = 5;
    } else if (len == WB_LEN_U64) {
        len = wb_get_u64(r);
        size = 9;
    }
    if (wb_len_size(len) != size) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a length is not in its shortest form");
        len = 0;
    }
    return (struct prefix){.len = len};
}

/* Moves behind the next `len` bytes. Returns where they are, or NULL where there are not so many.
 */
static const uint8_t *take(struct wb_reader *r, uint64_t len)
{
    if ((size_t)(r->end - r->at) < len) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive ends inside a value");
        return NULL;
    }
    const uint8_t *data = r->at;
    r->at += len;
    return data;
}

/* Returns the landing that the mark just read stands for, or NULL where it does not belong here.
 * It is of one of two kinds, which may be the same. */
static const struct wb_landing *take_landing(struct wb_reader *r, enum wb_chunk_kind kind,
                                             enum wb_chunk_kind or_kind)
{
    if (r->landing_next == r->landing_count) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive marks more chunks than were offered");
        return NULL;
    }
    const struct wb_landing *landing = &r->landings[r->landing_next];
    if (landing->kind != kind && landing->kind != or_kind) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the chunk is of another kind than its field");
        return NULL;
    }
    if (landing->archive_offset != (uint64_t)(r->at - r->begin)) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the chunk belongs elsewhere in the archive");
        return NULL;
    }
    r->landing_next++;
    return landing;
}

wb_bytes wb_get_bytes(struct wb_reader *r)
{
    struct prefix prefix = get_prefix(r);
    if (prefix.is_chunk) {
        const struct wb_landing *landing = take_landing(r, WB_CHUNK_POINTER, WB_CHUNK_POINTER);
        return landing == NULL ? (wb_bytes){0}
                               : (wb_bytes){.data = landing->data, .len = landing->len};
    }
    const uint8_t *data = take(r, prefix.len);
    return r->status != WB_OK ? (wb_bytes){0} : (wb_bytes){.data = data, .len = prefix.len};
}

static wb_rma_vector make_vector(struct wb_reader *r, struct wb_rma_block *block, const void *data,
                                 uint64_t bytes, uint32_t elem_size)
{
    wb_rma_vector vector = {0};
    if (bytes % elem_size != 0) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a vector ends inside an element");
        return vector;
    }
    int status = r->make_vector(r->context, block, data, bytes, elem_size, &vector);
    if (status != WB_OK) {
        wb_reader_fail(r, status, "there is no memory for a vector");
        return (wb_rma_vector){0};
    }
    return vector;
}

/* Moves behind the zeros that align packed data of `bytes` bytes. */
static void skip_gap(struct wb_reader *r, uint64_t bytes)
{
    size_t gap = wbi_inline_rma_gap((size_t)(r->at - r->begin), bytes);
    const uint8_t *zeros = take(r, gap);
    for (size_t i = 0; zeros != NULL && i < gap; i++) {
        if (zeros[i] != 0) {
            wb_reader_fail(r, WB_ERR_MALFORMED, "the gap before a vector is not zero");
            return;
        }
    }
}

/* The vector whose bytes are packed here. A short one may lie unaligned and is copied by
 * make_vector. */
static wb_rma_vector get_packed_vector(struct wb_reader *r, uint64_t bytes, uint32_t elem_size)
{
    skip_gap(r, bytes);
    const uint8_t *data = take(r, bytes);
    if (r->status != WB_OK) {
        return (wb_rma_vector){0};
    }
    return make_vector(r, bytes < WB_INLINE_RMA_ALIGNED ? NULL : r->backing, data, bytes,
                       elem_size);
}

/* The element size that stands before a vector's bytes; 0, without bytes, is the empty handle. */
static uint32_t get_elem_size(struct wb_reader *r)
{
    struct prefix elem_size = get_prefix(r);
    if (elem_size.is_chunk || elem_size.len > UINT32_MAX) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a vector's element size is out of range");
        return 0;
    }
    return (uint32_t)elem_size.len;
}

static wb_rma_vector get_elements(struct wb_reader *r, struct prefix prefix, uint32_t elem_size)
{
    if (!prefix.is_chunk) {
        return get_packed_vector(r, prefix.len, elem_size);
    }
    const struct wb_landing *landing = take_landing(r, WB_CHUNK_RMA, WB_CHUNK_RMA);
    if (landing == NULL) {
        return (wb_rma_vector){0};
    }
    return make_vector(r, landing->block, landing->data, landing->len, elem_size);
}

wb_rma_vector wb_get_rma(struct wb_reader *r)
{
    uint32_t elem_size = get_elem_size(r);
    struct prefix prefix = get_prefix(r);
    if (elem_size == 0 && (prefix.is_chunk || prefix.len > 0)) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a vector of no element type has elements");
    }
    if (r->status != WB_OK || elem_size == 0) {
        return (wb_rma_vector){0};
    }
    return get_elements(r, prefix, elem_size);
}

/* The bytes that the prefix announces; those of a chunk are there already. */
static uint64_t announced(const struct wb_reader *r, struct prefix prefix)
{
    bool landed = prefix.is_chunk && r->landing_next < r->landing_count;
    return landed ? r->landings[r->landing_next].len : prefix.len;
}

wb_rma_vector wb_get_object(struct wb_reader *r, size_t bytes)
{
    uint32_t elem_size = get_elem_size(r);
    struct prefix prefix = get_prefix(r);
    bool empty = elem_size == 0 && !prefix.is_chunk && prefix.len == 0;
    if (!empty && (elem_size == 0 || elem_size != bytes)) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "an object has another size than its type has here");
    } else if (!empty && announced(r, prefix) != bytes) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "an object came in part, or more than once");
    }
    if (r->status != WB_OK || empty) {
        return (wb_rma_vector){0};
    }
    return get_elements(r, prefix, elem_size);
}

/* A buffer that shares the block in which the bytes lie. */
static wb_buffer make_buffer(struct wb_reader *r, struct wb_rma_block *block, const void *data,
                             uint64_t bytes)
{
    wb_rma_vector vector = make_vector(r, block, data, bytes, 1);
    return (wb_buffer){.data = vector.data, .len = vector.count, .block = vector.block};
}

wb_buffer wb_get_buffer(struct wb_reader *r)
{
    struct prefix prefix = get_prefix(r);
    if (prefix.is_chunk) {
        const struct wb_landing *landing = take_landing(r, WB_CHUNK_POINTER, WB_CHUNK_RMA);
        return landing == NULL ? (wb_buffer){0}
                               : make_buffer(r, landing->block, landing->data, landing->len);
    }
    const uint8_t *data = take(r, prefix.len);
    if (r->status != WB_OK || prefix.len == 0) {
        return (wb_buffer){0};
    }
    /* a few bytes are not worth that all of a long archive stays for them */
    if (r->backing != NULL && prefix.len >= WB_INLINE_RMA_ALIGNED) {
        return make_buffer(r, r->backing, data, prefix.len);
    }
    return wb_buffer_view(data, prefix.len);
}

int wb_reader_finish(struct wb_reader *r)
{
    if (r->at != r->end) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive has bytes that no field claims");
    } else if (r->landing_next != r->landing_count) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "more chunks were offered than the archive marks");
    }
    return r->status;
}
