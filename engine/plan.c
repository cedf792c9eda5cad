#include "engine/plan.h"

#include <waybill/status.h>

#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/wire.h"
#include "serial/chunk_list.h"

/* Lays the parts out one behind the other; sets plan->bytes. */
static void lay_out(struct wbi_plan *p, uint8_t kind)
{
    size_t at = wbi_header_bytes(kind);
    p->lease_at = at;
    at += p->leased ? WBI_ID_BYTES : 0;
    p->releases_at = at;
    at += (size_t)p->releases * WBI_ID_BYTES;
    p->archive_record_at = at;
    at += p->long_archive ? p->record_bytes : 0;
    p->list_record_at = at;
    at += p->long_list ? p->record_bytes : 0;
    p->list_at = at;
    at += p->long_list ? 0 : p->list_bytes;
    p->archive_at = at;
    at += p->long_archive ? 0 : p->archive_bytes;
    p->bytes = at;
}

static void choose(struct wbi_plan *p, uint8_t kind, bool long_archive, bool long_list)
{
    p->long_archive = long_archive;
    p->long_list = long_list;
    p->leased = p->chunk_count > 0 || long_archive;
    lay_out(p, kind);
}

int wbi_plan(const struct wbi_plan_input *input, struct wbi_plan *plan)
{
    if (input->archive_bytes > PTRDIFF_MAX) {
        return WB_ERR_INVALID;
    }
    struct wbi_plan p = {.chunk_count = input->index_chunks + input->offered,
                         .releases = input->releases,
                         .key_bytes = input->key_bytes,
                         .record_bytes = wbi_chunk_record_size(input->key_bytes),
                         .archive_bytes = input->archive_bytes};
    p.list_bytes = input->index_chunks * wbi_chunk_record_size(0) + input->offered * p.record_bytes;
    choose(&p, input->kind, false, false);
    if (p.bytes > input->eager_bytes && p.releases > 0) {
        p.releases = 0; /* they can go alone */
        choose(&p, input->kind, false, false);
    }
    if (p.bytes > input->eager_bytes) {
        /* the larger of the two goes first: one READ rather than two, and the short one stays on
         * board */
        bool list_first = p.list_bytes > p.archive_bytes;
        choose(&p, input->kind, !list_first, list_first);
        if (p.bytes > input->eager_bytes) {
            choose(&p, input->kind, true, p.list_bytes > 0);
        }
        if (p.bytes > input->eager_bytes) {
            return WB_ERR_INVALID;
        }
    }
    *plan = p;
    return WB_OK;
}

int wbi_plan_parcel(const struct wb_sizer *sizer, const struct wbi_plan_limits *limits,
                    uint32_t releases, struct wbi_plan *plan)
{
    if (sizer->bytes > PTRDIFF_MAX || sizer->records > WBI_MAX_CHUNKS) {
        return wbi_error(
            WB_ERR_INVALID,
            "the arguments have more than %u chunks or more bytes than memory can hold",
            (unsigned)WBI_MAX_CHUNKS);
    }
    if (sizer->offered + 2 > limits->max_offers) {
        return wbi_error(WB_ERR_INVALID,
                         "%s: %u chunks in one parcel; this fabric offers %u at once", limits->whom,
                         sizer->offered, limits->max_offers - 2);
    }
    struct wbi_plan_input input = {.kind = limits->kind,
                                   .index_chunks = sizer->records - sizer->offered,
                                   .offered = sizer->offered,
                                   .key_bytes = limits->key_bytes,
                                   .releases = releases,
                                   .archive_bytes = sizer->bytes,
                                   .eager_bytes = limits->eager_bytes};
    return wbi_plan(&input, plan);
}
