/* Requests that learn what they need when part of them has landed: where that is not to be had,
 * they let go and begin anew, to wait with nothing that others wait for. */
#include "engine/admission.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/lane.h"

bool wbi_inbound_is_filtered(const struct wbi_inbound *in)
{
    return (in->header.flags & WBI_FLAG_FILTERED) != 0;
}

bool wbi_inbound_lacks_list(const struct wbi_inbound *in)
{
    return (in->header.flags & WBI_FLAG_LONG_LIST) != 0 && in->chunks == NULL;
}

uint32_t wbi_inbound_chunks_ahead(const struct wbi_inbound *in)
{
    return in->stage == WBI_STAGE_LONG && !wbi_inbound_is_filtered(in) ? in->chunk_count : 0;
}

enum wbi_stage wbi_inbound_first_stage(const struct wbi_inbound *in)
{
    bool is_long = (in->header.flags & WBI_FLAG_LONG_ARCHIVE) != 0 || wbi_inbound_lacks_list(in);
    enum wbi_stage after = wbi_inbound_is_filtered(in) ? WBI_STAGE_FILTER : WBI_STAGE_CHUNKS;
    return is_long ? WBI_STAGE_LONG : after;
}

/* Whether it may keep what it has landed: no other request keeps it out, and the pool, which was
 * asked to grow, has budget for all that it lacks. */
static bool may_hold(const struct wbi_inbound *in)
{
    const struct wb_engine *engine = in->lane->engine;
    struct wb_rma_stats stats;
    struct wbi_load load = {0};
    wbi_load_add(&load, in->lane, in->plain_part.bytes);
    for (uint32_t i = 0; i < in->part_count; i++) {
        wbi_load_add(&load, in->lane, in->parts[i].bytes);
    }
    uint64_t slab = engine->config.slab_bytes;
    uint64_t growth = load.alone + (load.shared + slab - 1) / slab * slab;
    wb_rma_allocator_stats(engine->allocator, &stats);
    return !wbi_admission_is_full(in) && stats.engine_slab_bytes <= stats.engine_budget_bytes &&
           growth <= stats.engine_budget_bytes - stats.engine_slab_bytes;
}

/* As its message says, but for what was learnt: what the plain archive and the chunks take. */
static void begin_anew(struct wbi_inbound *in)
{
    uint64_t plain = wbi_inbound_is_filtered(in) ? in->archive_len : 0;
    in->archive_part = in->list_part = (struct wbi_part){0};
    (void)wbi_inbound_parse(in); /* which it was before */
    in->plain_part.bytes = plain;
    in->anew = true;
    in->parts = NULL;
    in->part_count = 0;
}

void wbi_inbound_let_go(struct wbi_inbound *in)
{
    bool undoes = in->stage == WBI_STAGE_FILTER &&
                  (in->archive_part.block != NULL || in->list_part.block != NULL);
    /* a filtered one that comes by here again has been let in with all that it needs */
    bool has_learnt =
        in->stage == WBI_STAGE_CHUNKS && !in->anew && (in->header.flags & WBI_FLAG_LONG_LIST) != 0;
    if ((!undoes && !has_learnt) || may_hold(in)) {
        return;
    }
    wbi_part_drop(&in->archive_part);
    wbi_part_drop(&in->list_part);
    wbi_admit_less(in, 0);
    if (has_learnt) {
        begin_anew(in);
    }
    in->stage = wbi_inbound_first_stage(in);
}
