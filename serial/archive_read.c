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

/* Returns the landing that the mark just read stands for, or NULL where it does not belong here. */
static const struct wb_landing *take_landing(struct wb_reader *r, uint32_t kind)
{
    if (r->landing_next == r->landing_count) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive marks more chunks than were offered");
        return NULL;
    }
    const struct wb_landing *landing = &r->landings[r->landing_next];
    if (landing->kind != kind) {
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
        const struct wb_landing *landing = take_landing(r, WB_CHUNK_POINTER);
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

wb_rma_vector wb_get_rma(struct wb_reader *r)
{
    struct prefix elem_size = get_prefix(r);
    if (elem_size.is_chunk || elem_size.len > UINT32_MAX) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a vector's element size is out of range");
    }
    struct prefix prefix = get_prefix(r);
    if (elem_size.len == 0 && (prefix.is_chunk || prefix.len > 0)) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a vector of no element type has elements");
    }
    if (r->status != WB_OK || elem_size.len == 0) {
        return (wb_rma_vector){0};
    }
    if (!prefix.is_chunk) {
        return get_packed_vector(r, prefix.len, (uint32_t)elem_size.len);
    }
    const struct wb_landing *landing = take_landing(r, WB_CHUNK_RMA);
    if (landing == NULL) {
        return (wb_rma_vector){0};
    }
    return make_vector(r, landing->block, landing->data, landing->len, (uint32_t)elem_size.len);
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
