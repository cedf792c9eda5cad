/*
 * Landings: the room into which a stage's parts are READ. They are all had, or all dropped again so
 * that others may go on; but one request of the engine at a time keeps its own while the pool makes
 * room for the next.
 *
 * Why no wait for landings goes round for ever. What a try takes and drops, the pool may give to
 * another size, and what it took for that from a third one, and so on. What is kept does not go
 * round: the pool takes slabs of which nothing is held, also what it had made for others and they
 * have not fetched, and takes none for other requests meanwhile (`take`). So each demand of the
 * keeper's ends with one landing more, of which there are as many as it has parts, or with blocks
 * that others hold; then it lets go, and they end as ever.
 *
 * Why nobody waits in a circle. A keeper waits for the pool's own thread, which waits for nobody's
 * landings, and for peers to let slabs go, who may be silent, or wait for this engine with a keeper
 * of theirs. So it lets go when it has had nothing more for the grace period, or has kept for some
 * of them, and leaves the turn to others for as long. A lane that stands still in a handler lets
 * nothing go: after that time another one may take its turn, and it finds that out when it goes on.
 */
#include "engine/admission.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/into.h"
#include "engine/lane.h"

/* A block of the pool. Nothing makes way for one that does not keep while another does. */
static int take(const struct wbi_inbound *in, uint64_t bytes, struct wb_rma_block **block)
{
    enum wbi_rma_turn turn = wbi_admission_another_keeps(in) ? WBI_RMA_LATER : WBI_RMA_ANY;
    turn = in->kept > 0 ? WBI_RMA_FIRST : turn;
    return bytes > SIZE_MAX
               ? WB_ERR_BUDGET
               : wbi_rma_alloc_in_turn(in->lane->engine->allocator, (size_t)bytes, turn, block);
}

/* Room for one part: from the caller's reserved room for a reply, from the pool for a request. */
static int land(struct wbi_inbound *in, struct wbi_part *part)
{
    uint64_t bytes = part->bytes;
    if (in->header.kind == WBI_REQUEST) {
        int status = take(in, bytes, &part->block);
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

/* How many landings of the stage are there, after one was not to be had: `lacking` points to that.
 */
static uint32_t count_landed(const struct wbi_inbound *in, const struct wbi_part **lacking)
{
    uint32_t count = in->part_count, ahead = wbi_inbound_chunks_ahead(in);
    for (uint32_t i = 0; i < count + ahead; i++) {
        *lacking = i < count ? &in->parts[i] : &in->chunks[i - count];
        if ((*lacking)->block == NULL) {
            return i;
        }
    }
    *lacking = &in->plain_part;
    return count + ahead;
}

/* Whether to wait with what has been landed of the stage: the pool is to find room for the next
 * landing out of slabs that nobody uses. If that were dropped, the pool would find room in it, and
 * give one size of landing what another is to have, for ever where it is full. Where only others
 * have that room it goes: they may wait for it. One that has landed nothing waits as all do. */
static bool keeps(struct wbi_inbound *in)
{
    const struct wbi_part *lacking;
    uint32_t landed = count_landed(in, &lacking);
    return in->header.kind == WBI_REQUEST && landed > 0 &&
           wbi_rma_can_make_room(in->lane->engine->allocator, (size_t)lacking->bytes) &&
           wbi_admission_keep(in, landed);
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
    uint64_t admitted_before = in->kept > 0 ? in->kept_from : in->admitted;
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
