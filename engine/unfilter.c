/* Inbound parcels whose archive was filtered: the plain one lands as a chunk does, counted and in
 * the pool (a reply's in its call's room), so that views and vectors can share its block. */
#include "engine/admission.h"
#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/inbound.h"
#include "engine/lane.h"

int wbi_inbound_set_up_plain(struct wbi_inbound *in)
{
    struct wbi_part *plain = &in->plain_part;
    uint64_t bytes;
    int status = wbi_filter_measure(in->archive, in->archive_len, &bytes);
    if (status == WB_OK && plain->bytes != 0 && plain->bytes != bytes) {
        status = WB_ERR_MALFORMED; /* it changed while it was leased to us */
    } else if (status == WB_OK) {
        plain->bytes = bytes;
    }
    return status;
}

/* The plain archive is the archive from here on, as if it had landed. */
static void take_plain(struct wbi_inbound *in)
{
    struct wbi_part *archive = &in->archive_part;
    wbi_part_drop(archive);
    *archive = in->plain_part;
    in->plain_part = (struct wbi_part){0};
    in->archive = archive->into;
    in->archive_len = archive->bytes;
    wbi_admit_undone(in);
}

int wbi_inbound_undo_filter(struct wbi_inbound *in)
{
    const struct wbi_part *plain = &in->plain_part;
    struct wbi_counters *counters = &in->lane->counters;
    int status = wbi_filter_undo(in->archive, in->archive_len, plain->into, plain->bytes);
    if (status != WB_OK) {
        return status;
    }
    if (!in->anew) { /* it counts once */
        wbi_count(&counters->parcels_filtered, 1);
        wbi_count(&counters->filtered_bytes, in->archive_len);
        wbi_count(&counters->unfiltered_bytes, plain->bytes);
    }
    take_plain(in);
    return WB_OK;
}
