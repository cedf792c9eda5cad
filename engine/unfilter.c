/* Inbound parcels whose archive was filtered: the plain one lands as a chunk does, counted and in
 * the pool (a reply's in its call's room), so that views and vectors can share its block. */
#include <stdlib.h>

#include "engine/filter.h"
#include "engine/inbound.h"
#include "engine/lane.h"
#include "mr_cache/allocator.h"

int wbi_inbound_set_up_plain(struct wbi_inbound *in)
{
    uint64_t bytes;
    int status = wbi_filter_measure(in->archive, in->archive_len, &bytes);
    if (status != WB_OK) {
        return status;
    }
    in->parts = calloc(1, sizeof *in->parts);
    if (in->parts == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    in->parts[0].bytes = bytes;
    in->part_count = 1;
    return WB_OK;
}

/* The plain archive is the archive from here on, as if it had landed. */
static void take_plain(struct wbi_inbound *in)
{
    struct wbi_part *archive = &in->archive_part;
    if (archive->block != NULL) {
        wbi_rma_block_unref(archive->block);
    }
    *archive = in->parts[0];
    in->archive = archive->into;
    in->archive_len = archive->bytes;
    free(in->parts);
    in->parts = NULL;
    in->part_count = 0;
}

int wbi_inbound_undo_filter(struct wbi_inbound *in)
{
    const struct wbi_part *plain = &in->parts[0];
    struct wbi_counters *counters = &in->lane->counters;
    int status = wbi_filter_undo(in->archive, in->archive_len, plain->into, plain->bytes);
    if (status != WB_OK) {
        return status;
    }
    wbi_count(&counters->parcels_filtered, 1);
    wbi_count(&counters->filtered_bytes, in->archive_len);
    wbi_count(&counters->unfiltered_bytes, plain->bytes);
    take_plain(in);
    return WB_OK;
}
