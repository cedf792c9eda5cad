#include "engine/draft.h"

#include <stdlib.h>
#include <string.h>

#include "engine/filter.h"

struct wbi_draft *wbi_draft_open(const struct wb_sizer *sizer, struct wb_writer *writer)
{
    size_t head = sizeof(struct wbi_draft) + sizer->records * sizeof(struct wb_chunk);
    if (sizer->bytes > (PTRDIFF_MAX - head) / 2) {
        return NULL;
    }
    struct wbi_draft *draft = malloc(head + 2 * sizer->bytes);
    if (draft == NULL) {
        return NULL;
    }
    struct wb_chunk *chunks = (struct wb_chunk *)(draft + 1);
    *draft = (struct wbi_draft){.sizer = *sizer,
                                .plain_bytes = sizer->bytes,
                                .chunks = chunks,
                                .plain = (uint8_t *)(chunks + sizer->records)};
    draft->packed = draft->plain + sizer->bytes;
    wb_writer_start(writer, sizer->thresholds, draft->plain, sizer->bytes, chunks, sizer->records);
    return draft;
}

int wbi_draft_close(struct wbi_draft *draft, struct wb_writer *writer)
{
    int status = wb_writer_finish(writer);
    if (status != WB_OK) {
        return status;
    }
    size_t packed = wbi_filter_apply(draft->plain, draft->plain_bytes, draft->packed);
    draft->filtered = packed > 0;
    draft->sizer.bytes = draft->filtered ? packed : draft->plain_bytes;
    return WB_OK;
}

void wbi_draft_leave_plain(struct wbi_draft *draft)
{
    draft->filtered = false;
    draft->sizer.bytes = draft->plain_bytes;
}

void wbi_draft_pour(const struct wbi_draft *draft, struct wbi_outgoing *out,
                    struct wb_writer *writer)
{
    out->header.flags |= draft->filtered ? WBI_FLAG_FILTERED : 0;
    wb_put_raw(writer, draft->filtered ? draft->packed : draft->plain, draft->sizer.bytes);
    if (draft->sizer.records > 0) {
        memcpy(writer->chunks, draft->chunks, draft->sizer.records * sizeof *draft->chunks);
    }
    writer->chunk_count = draft->sizer.records;
    writer->index_start = draft->sizer.bytes; /* the last index chunk is there already */
}

void wbi_draft_free(struct wbi_draft *draft)
{
    free(draft);
}
