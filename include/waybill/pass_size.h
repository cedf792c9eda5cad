/* The sizing pass of an archive: adds up what the writer will write. See <waybill/archive.h>. */
#ifndef WAYBILL_PASS_SIZE_H
#define WAYBILL_PASS_SIZE_H

#include <waybill/archive.h>

static inline void wb_sizer_start(struct wb_sizer *s, struct wb_thresholds thresholds)
{
    *s = (struct wb_sizer){.thresholds = thresholds};
}

/* at + bytes; what passes PTRDIFF_MAX stays above it, whatever fixed fields are added. */
static inline size_t wbi_sum(size_t at, size_t bytes)
{
    size_t most = PTRDIFF_MAX;
    return bytes > most || at > most || at + bytes > most ? most + 1 : at + bytes;
}

static inline void wb_size_raw(struct wb_sizer *s, size_t bytes)
{
    s->bytes = wbi_sum(s->bytes, bytes);
}

/* Counts a chunk and the mark that stands for it at `at` in the archive: the open index chunk ends
 * behind the mark. Returns the position there. */
static inline size_t wbi_size_chunk(struct wb_sizer *s, size_t at)
{
    at = wbi_sum(at, 1);
    s->records += at > s->index_start ? 2 : 1;
    s->offered++;
    s->index_start = at;
    return at;
}

static inline void wb_size_chunk(struct wb_sizer *s)
{
    s->bytes = wbi_size_chunk(s, s->bytes);
}

/* The position behind a string or byte range at `at`. */
static inline size_t wb_wire_size_bytes(struct wb_sizer *s, size_t at, wb_bytes v)
{
    if (wbi_is_pointer_chunk(s->thresholds, v)) {
        return wbi_size_chunk(s, at);
    }
    return v.len < WB_LEN_U16 ? at + 1 + v.len : wbi_sum(at + wb_len_size(v.len), v.len);
}

static inline void wb_size_bytes(struct wb_sizer *s, wb_bytes v)
{
    s->bytes = wb_wire_size_bytes(s, s->bytes, v);
}

static inline void wb_size_str(struct wb_sizer *s, wb_str v)
{
    wb_size_bytes(s, (wb_bytes){.data = v.data, .len = v.len});
}

WB_API size_t wb_wire_size_rma(struct wb_sizer *s, size_t at, const wb_rma_vector *v);
WB_API size_t wb_wire_size_buffer(struct wb_sizer *s, size_t at, const wb_buffer *v);
/* `count` elements of a bitwise type, as raw bytes or one chunk. */
WB_API size_t wb_wire_size_array(struct wb_sizer *s, size_t at, const void *data, size_t count,
                                 size_t elem_bytes, size_t align);

/* An array of `count` strings or byte ranges. */
WB_API size_t wb_wire_size_texts(struct wb_sizer *s, size_t at, const void *items, size_t count);

static inline void wb_size_rma(struct wb_sizer *s, const wb_rma_vector *v)
{
    s->bytes = wb_wire_size_rma(s, s->bytes, v);
}

/* A buffer is a chunk by what keeps its bytes: a view from thresholds.pointer on, a counted one
 * from thresholds.buffer, a registered one (an RMA chunk) from thresholds.rma. */
static inline void wb_size_buffer(struct wb_sizer *s, const wb_buffer *v)
{
    s->bytes = wb_wire_size_buffer(s, s->bytes, v);
}

/* Closes the pass: the last index chunk counts only if there are chunks beside it. */
static inline void wb_sizer_finish(struct wb_sizer *s)
{
    if (s->bytes > PTRDIFF_MAX) {
        s->bytes = SIZE_MAX;
    }
    if (s->records > 0 && s->bytes > s->index_start) {
        s->records++;
    }
}

/* From so many chunks on, small ones are gathered: each costs a lease, a key and a READ, which is
 * more than to copy it. What is smaller than these bytes is packed then; a pointer chunk may have
 * to be registered besides. */
enum { WB_GATHER_FROM = 17, WB_GATHER_RMA = 4096, WB_GATHER_POINTER = 16384 };

static inline size_t wbi_at_least(size_t threshold, size_t bytes)
{
    return threshold > bytes ? threshold : bytes;
}

/* After the pass: whether there are so many chunks that a second pass packs those that are small.
 * True: the sizer has begun anew, and the same fields are sized again. */
static inline bool wb_sizer_gathers(struct wb_sizer *s)
{
    if (s->offered < WB_GATHER_FROM || s->exact) {
        return false;
    }
    struct wb_thresholds raised = s->thresholds;
    raised.pointer = wbi_at_least(raised.pointer, WB_GATHER_POINTER);
    raised.buffer = wbi_at_least(raised.buffer, WB_GATHER_POINTER);
    raised.rma = wbi_at_least(raised.rma, WB_GATHER_RMA);
    wb_sizer_start(s, raised);
    return true;
}

#endif
