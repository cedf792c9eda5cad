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
    wbi_count(&counters->parcels_filtered, 1);
    wbi_count(&counters->filtered_bytes, in->archive_len);
    wbi_count(&counters->unfiltered_bytes, plain->bytes);
    take_plain(in);
    return WB_OK;
}

/* Whether it may keep what it has landed: no other request keeps it out, and the pool, which was
 * asked to grow, has budget for all that it lacks. */
static bool may_hold(const struct wbi_inbound *in)
{
    const struct wb_engine *engine = in->lane->engine;
    struct wb_rma_stats stats;
    struct wbi_load load = {0};
    wbi_load_add(&load, in->lane, in->plain_part.bytes);
    uint64_t growth = load.alone > 0 ? load.alone : engine->config.slab_bytes;
    wb_rma_allocator_stats(engine->allocator, &stats);
    return !wbi_admission_is_full(in) && stats.engine_slab_bytes <= stats.engine_budget_bytes &&
           growth <= stats.engine_budget_bytes - stats.engine_slab_bytes;
}

void wbi_inbound_let_go(struct wbi_inbound *in)
{
    if (in->stage != WBI_STAGE_FILTER || in->archive_part.block == NULL || may_hold(in)) {
        return;
    }
    wbi_part_drop(&in->archive_part);
    wbi_part_drop(&in->list_part);
    wbi_admit_less(in, 0);
    in->stage = WBI_STAGE_LONG;
}
