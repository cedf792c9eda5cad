/* Landings: the room into which a stage's parts are READ. They are all had, or all dropped again so
 * that others may go on; but one request at a time waits with its own while the pool grows. */
#include "engine/admission.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/into.h"
#include "engine/lane.h"

/* Room for one part: from the caller's reserved room for a reply, from the pool for a request. */
static int land(struct wbi_inbound *in, struct wbi_part *part)
{
    uint64_t bytes = part->bytes;
    if (in->header.kind == WBI_REQUEST) {
        int status = bytes > SIZE_MAX ? WB_ERR_BUDGET
                                      : wbi_rma_alloc(in->lane->engine->allocator, (size_t)bytes,
                                                      false, &part->block);
        part->into = status == WB_OK ? wbi_rma_block_data(part->block) : NULL;
        return status;
    }
    const struct wb_call *call = in->call;
    if (call != NULL && call->into != NULL) {
        int status = wbi_into_land(in, part);
        if (status != WB_ERR_REPLY_TOO_LARGE) {
            return status;
        }
    }
    uint64_t needed = wbi_landing_bytes(bytes);
    if (call == NULL || call->room == NULL || needed > call->room_bytes - in->room_used) {
        return WB_ERR_REPLY_TOO_LARGE;
    }
    part->block = wbi_rma_block_ref(call->room);
    part->into = (uint8_t *)wbi_rma_block_data(call->room) + in->room_used;
    in->room_used += needed;
    return WB_OK;
}

void wbi_part_drop(struct wbi_part *part)
{
    if (part->block != NULL) {
        wbi_rma_block_unref(part->block);
        part->block = NULL;
    }
}

static int land_each(struct wbi_inbound *in, struct wbi_part *parts, uint32_t count)
{
    int status = WB_OK;
    for (uint32_t i = 0; i < count && status == WB_OK; i++) {
        status = parts[i].block == NULL ? land(in, &parts[i]) : WB_OK;
    }
    return status;
}

void wbi_parts_drop(struct wbi_part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count && parts != NULL; i++) {
        wbi_part_drop(&parts[i]);
    }
}

/* The first part that has no landing, after wbi_inbound_land has failed for want of it. */
static const struct wbi_part *find_lacking(const struct wbi_inbound *in)
{
    for (uint32_t i = 0; i < in->part_count; i++) {
        if (in->parts[i].block == NULL) {
            return &in->parts[i];
        }
    }
    for (uint32_t i = 0; i < wbi_inbound_chunks_ahead(in); i++) {
        if (in->chunks[i].block == NULL) {
            return &in->chunks[i];
        }
    }
    return &in->plain_part;
}

/* Whether to wait with what has been landed of the stage: the pool is to find room for the next
 * landing out of slabs that nobody uses. If that were dropped, the pool would find room in it, and
 * give one size of landing what another is to have, for ever where it is full. Where only others
 * have that room it goes: they may wait for it. */
static bool keeps(struct wbi_inbound *in)
{
    const struct wbi_part *lacking = find_lacking(in);
    return in->header.kind == WBI_REQUEST &&
           wbi_rma_is_growing(in->lane->engine->allocator, (size_t)lacking->bytes) &&
           wbi_admission_keep(in);
}

static int land_stage(struct wbi_inbound *in)
{
    int status = land_each(in, in->parts, in->part_count);
    status = status == WB_OK ? land_each(in, in->chunks, wbi_inbound_chunks_ahead(in)) : status;
    bool plain = in->plain_part.bytes > 0 && in->plain_part.block == NULL;
    return status == WB_OK && plain ? land(in, &in->plain_part) : status;
}

int wbi_inbound_land(struct wbi_inbound *in)
{
    uint64_t room_before = in->room_used;
    uint64_t admitted_before = in->keeps ? in->kept_from : in->admitted;
    int admitted = wbi_admit(in);
    int status = admitted == WB_OK ? land_stage(in) : admitted;
    if (status == WB_AGAIN && admitted == WB_OK && keeps(in)) {
        in->kept_from = admitted_before;
        return status;
    }
    if (status != WB_OK) {
        wbi_parts_drop(in->parts, in->part_count);
        wbi_parts_drop(in->chunks, wbi_inbound_chunks_ahead(in));
        in->room_used = room_before;
        wbi_admit_less(in, admitted_before);
    }
    wbi_admission_keep_not(in);
    return status;
}
