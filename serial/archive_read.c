#include "serial/archive.h"

static struct wb_in fail(struct wb_reader *r, struct wb_in in, const char *what)
{
    wb_reader_fail(r, WB_ERR_MALFORMED, what);
    in.spare = 0;
    return in;
}

const uint8_t *wbi_take(struct wb_reader *r, struct wb_in *in, uint64_t len)
{
    if (in->spare < len) {
        *in = fail(r, *in, "the archive ends inside a value");
        return NULL;
    }
    const uint8_t *data = in->at;
    in->at += len;
    in->spare -= len;
    return data;
}

struct wbi_prefix wbi_get_prefix(struct wb_reader *r, struct wb_in *in)
{
    uint64_t len = *in->at++;
    size_t more = len < WB_LEN_U16 || len == WB_LEN_CHUNK ? 0 : (size_t)2 << (len - WB_LEN_U16);
    if (len == WB_LEN_CHUNK) {
        return (struct wbi_prefix){.is_chunk = true};
    }
    if (more > 0) {
        const uint8_t *bytes = wbi_take(r, in, more);
        len = 0;
        if (bytes != NULL) {
            memcpy(&len, bytes, more);
        }
    }
    if (r->status == WB_OK && wb_len_size(len) != 1 + more) {
        *in = fail(r, *in, "a length is not in its shortest form");
        len = 0;
    }
    return (struct wbi_prefix){.len = len};
}

/* Returns the landing that the mark just read stands for, or NULL where it does not belong here.
 * It is of one of two kinds, which may be the same. */
static const struct wb_landing *take_landing(struct wb_reader *r, struct wb_in *in,
                                             enum wb_chunk_kind kind, enum wb_chunk_kind or_kind)
{
    if (r->landing_next == r->landing_count) {
        *in = fail(r, *in, "the archive marks more chunks than were offered");
        return NULL;
    }
    const char *what = NULL;
    const struct wb_landing *landing = &r->landings[r->landing_next];
    if (landing->kind != kind && landing->kind != or_kind) {
        what = "the chunk is of another kind than its field";
    } else if (landing->archive_offset != (uint64_t)(in->at - r->begin)) {
        what = "the chunk belongs elsewhere in the archive";
    }
    if (what != NULL || r->status != WB_OK) {
        *in = fail(r, *in, what);
        return NULL;
    }
    r->landing_next++;
    return landing;
}

wb_bytes wbi_take_pointer_chunk(struct wb_reader *r, struct wb_in *in)
{
    const struct wb_landing *landing = take_landing(r, in, WB_CHUNK_POINTER, WB_CHUNK_POINTER);
    return landing != NULL ? (wb_bytes){.data = landing->data, .len = landing->len} : (wb_bytes){0};
}

struct wb_in wb_wire_get_bytes(struct wb_reader *r, struct wb_in in, wb_bytes *v)
{
    struct wbi_prefix prefix = wbi_get_prefix(r, &in);
    *v = (wb_bytes){0};
    if (prefix.is_chunk) {
        *v = wbi_take_pointer_chunk(r, &in);
        return in;
    }
    const uint8_t *data = wbi_take(r, &in, prefix.len);
    if (r->status == WB_OK) {
        *v = (wb_bytes){.data = data, .len = prefix.len};
    }
    return in;
}

/* Moves behind the zeros that align what follows. */
static void skip_gap(struct wb_reader *r, struct wb_in *in, size_t gap)
{
    const uint8_t *zeros = wbi_take(r, in, gap);
    for (size_t i = 0; zeros != NULL && i < gap; i++) {
        if (zeros[i] != 0) {
            *in = fail(r, *in, "the gap before a vector is not zero");
            return;
        }
    }
}

static struct wb_in get_array_chunk(struct wb_reader *r, struct wb_in in, const void **data,
                                    size_t *count, size_t elem_bytes, size_t align)
{
    const struct wb_landing *landing = take_landing(r, &in, WB_CHUNK_POINTER, WB_CHUNK_POINTER);
    if (landing == NULL) {
        return in;
    }
    if (landing->len % elem_bytes != 0 || (uintptr_t)landing->data % align != 0) {
        return fail(r, in, "an array ends inside an element");
    }
    *data = landing->data;
    *count = landing->len / elem_bytes;
    return in;
}

struct wb_in wb_wire_get_array(struct wb_reader *r, struct wb_in in, const void **data,
                               size_t *count, size_t elem_bytes, size_t align)
{
    struct wbi_prefix prefix = wbi_get_prefix(r, &in);
    *data = NULL;
    *count = 0;
    if (prefix.is_chunk) {
        return get_array_chunk(r, in, data, count, elem_bytes, align);
    }
    if (prefix.len == 0 || r->status != WB_OK) {
        return in;
    }
    if (prefix.len > in.spare / elem_bytes) {
        return fail(r, in, "an array is counted longer than the archive");
    }
    skip_gap(r, &in, -(size_t)(in.at - r->begin) % align);
    const uint8_t *elements = wbi_take(r, &in, prefix.len * elem_bytes);
    if ((uintptr_t)elements % align != 0) {
        wb_reader_fail(r, WB_ERR_INVALID, "the archive does not begin at a multiple of 8");
        in.spare = 0;
    }
    if (r->status == WB_OK) {
        *data = elements;
        *count = prefix.len;
    }
    return in;
}

struct wb_in wb_wire_get_count(struct wb_reader *r, struct wb_in in, void **items, size_t *count,
                               size_t wire_min, size_t elem_bytes)
{
    struct wbi_prefix prefix = wbi_get_prefix(r, &in);
    *items = NULL;
    *count = 0;
    if (prefix.is_chunk) {
        return fail(r, in, "a chunk stands where a count belongs");
    }
    if (prefix.len == 0 || r->status != WB_OK) {
        return in;
    }
    if (prefix.len > in.spare / wire_min) {
        return fail(r, in, "an array is counted longer than the archive");
    }
    size_t bytes;
    bool fits = !__builtin_mul_overflow(prefix.len, elem_bytes, &bytes) && r->arena != NULL;
    void *memory = fits ? wb_arena_alloc(r->arena, bytes) : NULL;
    if (memory == NULL) {
        wb_reader_fail(r, WB_ERR_NO_MEMORY, "no memory for an array, or beyond the arena's limit");
        in.spare = 0;
        return in;
    }
    in.spare -= prefix.len * wire_min;
    *items = memory;
    *count = prefix.len;
    return in;
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

/* The vector whose bytes are packed here. A short one may lie unaligned and is copied by
 * make_vector. */
static wb_rma_vector get_packed_vector(struct wb_reader *r, struct wb_in *in, uint64_t bytes,
                                       uint32_t elem_size)
{
    skip_gap(r, in, wbi_inline_rma_gap((size_t)(in->at - r->begin), bytes));
    const uint8_t *data = wbi_take(r, in, bytes);
    if (r->status != WB_OK) {
        return (wb_rma_vector){0};
    }
    return make_vector(r, bytes < WB_INLINE_RMA_ALIGNED ? NULL : r->backing, data, bytes,
                       elem_size);
}

/* The element size that stands before a vector's bytes; 0, without bytes, is the empty handle. */
static uint32_t get_elem_size(struct wb_reader *r, struct wb_in *in)
{
    struct wbi_prefix elem_size = wbi_get_prefix(r, in);
    if (elem_size.is_chunk || elem_size.len > UINT32_MAX) {
        *in = fail(r, *in, "a vector's element size is out of range");
        return 0;
    }
    return (uint32_t)elem_size.len;
}

static struct wb_in get_elements(struct wb_reader *r, struct wb_in in, struct wbi_prefix prefix,
                                 uint32_t elem_size, wb_rma_vector *v)
{
    if (!prefix.is_chunk) {
        *v = get_packed_vector(r, &in, prefix.len, elem_size);
        return in;
    }
    const struct wb_landing *landing = take_landing(r, &in, WB_CHUNK_RMA, WB_CHUNK_RMA);
    if (landing != NULL) {
        *v = make_vector(r, landing->block, landing->data, landing->len, elem_size);
    }
    return in;
}

struct wb_in wb_wire_get_rma(struct wb_reader *r, struct wb_in in, wb_rma_vector *v)
{
    uint32_t elem_size = get_elem_size(r, &in);
    struct wbi_prefix prefix = wbi_get_prefix(r, &in);
    *v = (wb_rma_vector){0};
    if (elem_size == 0 && (prefix.is_chunk || prefix.len > 0)) {
        return fail(r, in, "a vector of no element type has elements");
    }
    return r->status != WB_OK || elem_size == 0 ? in : get_elements(r, in, prefix, elem_size, v);
}

/* The bytes that the prefix announces; those of a chunk are there already. */
static uint64_t announced(const struct wb_reader *r, struct wbi_prefix prefix)
{
    bool landed = prefix.is_chunk && r->landing_next < r->landing_count;
    return landed ? r->landings[r->landing_next].len : prefix.len;
}

struct wb_in wb_wire_get_object(struct wb_reader *r, struct wb_in in, wb_rma_vector *v,
                                size_t bytes)
{
    uint32_t elem_size = get_elem_size(r, &in);
    struct wbi_prefix prefix = wbi_get_prefix(r, &in);
    bool empty = elem_size == 0 && !prefix.is_chunk && prefix.len == 0;
    *v = (wb_rma_vector){0};
    if (!empty && (elem_size == 0 || elem_size != bytes)) {
        return fail(r, in, "an object has another size than its type has here");
    }
    if (!empty && announced(r, prefix) != bytes) {
        return fail(r, in, "an object came in part, or more than once");
    }
    return r->status != WB_OK || empty ? in : get_elements(r, in, prefix, elem_size, v);
}

/* A buffer that shares the block in which the bytes lie. */
static wb_buffer make_buffer(struct wb_reader *r, struct wb_rma_block *block, const void *data,
                             uint64_t bytes)
{
    wb_rma_vector vector = make_vector(r, block, data, bytes, 1);
    return (wb_buffer){.data = vector.data, .len = vector.count, .block = vector.block};
}

struct wb_in wb_wire_get_buffer(struct wb_reader *r, struct wb_in in, wb_buffer *v)
{
    struct wbi_prefix prefix = wbi_get_prefix(r, &in);
    *v = (wb_buffer){0};
    if (prefix.is_chunk) {
        const struct wb_landing *landing = take_landing(r, &in, WB_CHUNK_POINTER, WB_CHUNK_RMA);
        if (landing != NULL) {
            *v = make_buffer(r, landing->block, landing->data, landing->len);
        }
        return in;
    }
    const uint8_t *data = wbi_take(r, &in, prefix.len);
    if (r->status != WB_OK || prefix.len == 0) {
        return in;
    }
    /* a few bytes are not worth that all of a long archive stays for them */
    *v = r->backing != NULL && prefix.len >= WB_INLINE_RMA_ALIGNED
             ? make_buffer(r, r->backing, data, prefix.len)
             : wb_buffer_view(data, prefix.len);
    return in;
}

bool wb_added_get_begin(struct wb_reader *r, struct wb_in *in, uint32_t id, size_t wire_min,
                        struct wbi_added *added)
{
    if (in->at == r->end) {
        return false;
    }
    const uint8_t *head = wbi_take(r, in, WB_ADDED_HEAD);
    if (head == NULL) {
        return false;
    }
    uint32_t len, found;
    memcpy(&len, head, sizeof len);
    memcpy(&found, head + sizeof len, sizeof found);
    if (found != id) {
        *in = fail(r, *in, "the peer has added another field than this program");
        return false;
    }
    if (len > in->spare || len < wire_min) {
        *in = fail(r, *in, "an added field ends inside a value");
        return false;
    }
    *added =
        (struct wbi_added){.spare = in->spare - len, .position = (size_t)(in->at - r->begin) + len};
    in->spare = len - wire_min;
    return true;
}

struct wb_in wb_added_get_end(struct wb_reader *r, struct wb_in in, const struct wbi_added *added)
{
    if (r->status != WB_OK || (size_t)(in.at - r->begin) != added->position) {
        return fail(r, in, "an added field has bytes that nothing claims");
    }
    in.spare = added->spare;
    return in;
}

/* Whether the next landing is of a chunk whose mark is in (begin, end] of the archive. */
static bool lands_within(const struct wb_reader *r, uint64_t begin, uint64_t end)
{
    return r->landing_next < r->landing_count &&
           r->landings[r->landing_next].archive_offset > begin &&
           r->landings[r->landing_next].archive_offset <= end;
}

void wbi_pass_one_added(struct wb_reader *r, uint32_t *id, uint32_t *len)
{
    uint64_t begin = (uint64_t)(r->at - r->begin);
    struct wb_in in = {.at = r->at, .spare = r->spare};
    const uint8_t *head = wbi_take(r, &in, WB_ADDED_HEAD);
    *len = *id = 0;
    if (head != NULL) {
        memcpy(len, head, sizeof *len);
        memcpy(id, head + sizeof *len, sizeof *id);
    }
    wbi_take(r, &in, *len);
    wbi_reader_close(r, in);
    while (r->status == WB_OK && lands_within(r, begin, (uint64_t)(r->at - r->begin))) {
        r->landing_next++;
    }
}

void wb_reader_pass_added(struct wb_reader *r)
{
    while (r->status == WB_OK && r->at != r->end) {
        uint32_t id, len;
        wbi_pass_one_added(r, &id, &len);
    }
}

int wb_reader_fail_rest(struct wb_reader *r)
{
    wb_reader_fail(r, WB_ERR_MALFORMED,
                   r->at != r->end ? "the archive has bytes that no field claims"
                                   : "more chunks were offered than the archive marks");
    return r->status;
}
