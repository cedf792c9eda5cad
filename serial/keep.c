#include <waybill/keep.h>

#include "serial/archive.h"

void wb_keep_size(struct wb_sizer *sizer)
{
    static const struct wb_thresholds shared = {.pointer = SIZE_MAX, .rma = 1, .buffer = SIZE_MAX};
    wb_sizer_start(sizer, shared);
}

int wb_keep_begin(struct wb_arena *arena, const struct wb_sizer *sizer, struct wb_writer *writer)
{
    uint8_t *archive = wb_arena_alloc(arena, sizer->bytes);
    struct wb_chunk *chunks = wb_arena_alloc(arena, sizer->records * sizeof *chunks);
    if (archive == NULL || chunks == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    wb_writer_start(writer, sizer->thresholds, archive, sizer->bytes, chunks, sizer->records);
    return WB_OK;
}

/* A handle to elements of a block that another handle holds. */
static int share_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                        uint32_t elem_size, wb_rma_vector *out)
{
    wb_rma_vector there = {.data = (void *)(uintptr_t)data,
                           .count = (size_t)(bytes / elem_size),
                           .capacity = (size_t)bytes,
                           .elem_size = elem_size,
                           .block = block};
    (void)context;
    if (block == NULL && bytes > 0) {
        return WB_ERR_INVALID; /* such a vector is in no block, so nothing keeps its bytes */
    }
    *out = block != NULL ? wb_rma_vector_share(&there) : (wb_rma_vector){.elem_size = elem_size};
    return WB_OK;
}

int wb_keep_read(struct wb_arena *arena, struct wb_writer *writer, struct wb_reader *reader)
{
    int status = wb_writer_finish(writer);
    if (status != WB_OK) {
        return status;
    }
    wb_reader_start(reader, writer->begin, (size_t)(writer->end - writer->begin));
    reader->make_vector = share_vector;
    reader->arena = arena;
    struct wb_landing *landings =
        wb_arena_alloc(arena, (size_t)writer->chunk_count * sizeof *landings);
    if (landings == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    reader->landings = landings;
    reader->landing_count = wbi_land_in_place(writer, landings);
    return WB_OK;
}
