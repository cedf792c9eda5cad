#include "serial/archive.h"

void wb_size_rma(struct wb_sizer *s, const wb_rma_vector *v)
{
    size_t bytes = wb_rma_vector_bytes(v);
    wb_size_raw(s, wb_len_size(v->elem_size));
    if (wbi_is_rma_chunk(s->thresholds, v, bytes)) {
        wb_size_chunk(s);
        return;
    }
    wb_size_raw(s, wb_len_size(bytes));
    wb_size_raw(s, wbi_inline_rma_gap(s->bytes, bytes));
    wb_size_raw(s, bytes);
}

void wb_size_buffer(struct wb_sizer *s, const wb_buffer *v)
{
    if (wbi_buffer_chunk(s->thresholds, v) != WB_CHUNK_INDEX) {
        wb_size_chunk(s);
        return;
    }
    wb_size_raw(s, wb_len_size(v->len));
    wb_size_raw(s, v->len);
}
