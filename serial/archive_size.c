#include "serial/archive.h"

size_t wb_wire_size_rma(struct wb_sizer *s, size_t at, const wb_rma_vector *v)
{
    size_t bytes = wb_rma_vector_bytes(v);
    at = wbi_sum(at, wb_len_size(v->elem_size));
    if (wbi_is_rma_chunk(s->thresholds, v, bytes)) {
        return wbi_size_chunk(s, at);
    }
    at = wbi_sum(at, wb_len_size(bytes));
    return wbi_sum(at + wbi_inline_rma_gap(at, bytes), bytes);
}

size_t wb_wire_size_buffer(struct wb_sizer *s, size_t at, const wb_buffer *v)
{
    return wbi_buffer_chunk(s->thresholds, v) != WB_CHUNK_INDEX
               ? wbi_size_chunk(s, at)
               : wbi_sum(at + wb_len_size(v->len), v->len);
}

size_t wb_wire_size_array(struct wb_sizer *s, size_t at, const void *data, size_t count,
                          size_t elem_bytes, size_t align)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, elem_bytes, &bytes)) {
        return wbi_sum(at, SIZE_MAX);
    }
    wb_bytes range = {.data = data, .len = bytes};
    if (wbi_is_pointer_chunk(s->thresholds, range)) {
        return wbi_size_chunk(s, at);
    }
    at += wb_len_size(count);
    return bytes == 0 ? at : wbi_sum(at + -at % align, bytes);
}
