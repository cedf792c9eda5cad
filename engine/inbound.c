#include "engine/inbound.h"

#include <stdlib.h>
#include <string.h>

#include "engine/admission.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/home.h"
#include "engine/into.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/serve.h"

/* ---- the stages ---- */

/* What was fetched before the chunk itself makes way: vectors lie as they are expected to. */
static void settle(struct wbi_part *part)
{
    uint64_t head = part->record.address - part->from;
    if (head > 0) {
        memmove(part->into, part->into + head, (size_t)part->record.len);
    }
}

static int set_up_long(struct wbi_inbound *in)
{
    in->parts = calloc(2, sizeof *in->parts);
    if (in->parts == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    if ((in->header.flags & WBI_FLAG_LONG_ARCHIVE) != 0) {
        in->parts[in->part_count++] = in->archive_part;
    }
    if (wbi_inbound_lacks_list(in)) {
        in->parts[in->part_count++] = in->list_part;
    }
    bool said = wbi_inbound_is_filtered(in) && (in->header.flags & WBI_FLAG_LONG_ARCHIVE) == 0;
    return said ? wbi_inbound_set_up_plain(in) : WB_OK;
}

static void take_long(struct wbi_inbound *in)
{
    uint32_t i = 0;
    if ((in->header.flags & WBI_FLAG_LONG_ARCHIVE) != 0) {
        settle(&in->parts[i]);
        in->archive_part = in->parts[i++];
        in->archive = in->archive_part.into;
    }
    if (wbi_inbound_lacks_list(in)) {
        settle(&in->parts[i]);
        in->list_part = in->parts[i++];
        in->list = in->list_part.into;
    }
    free(in->parts);
    in->parts = NULL;
    in->part_count = 0;
}

static int visit_chunk(void *context, const struct wbi_chunk_record *record,
                       uint64_t archive_offset)
{
    struct wbi_inbound *in = context;
    in->landings[in->chunk_count] = (struct wb_landing){
        .len = record->len, .archive_offset = archive_offset, .kind = record->kind};
    struct wbi_part *part = &in->chunks[in->chunk_count++];
    *part = (struct wbi_part){.record = *record};
    return wbi_part_set_range(in->lane, part);
}

/* What a long list says is known from here on, and its landing is needed no more. */
static void take_list(struct wbi_inbound *in)
{
    for (uint32_t i = 0; i < in->chunk_count && in->list_part.block != NULL; i++) {
        wbi_load_add(&in->listed, in->lane, in->chunks[i].bytes);
    }
    wbi_part_drop(&in->list_part);
    in->list = NULL;
}

/* Room for what a list of `count` records names. */
static int make_room(struct wbi_inbound *in, uint32_t count)
{
    if (count <= WBI_FEW_CHUNKS) {
        in->landings = in->few_landings;
        in->chunks = in->few_chunks;
        return WB_OK;
    }
    in->landings = calloc(count, sizeof *in->landings);
    in->chunks = calloc(count, sizeof *in->chunks);
    return in->landings != NULL && in->chunks != NULL ? WB_OK : WB_ERR_NO_MEMORY;
}

/* Once: the chunks stay as the list says when it is first here. */
static int set_up_chunks(struct wbi_inbound *in)
{
    uint32_t count = in->header.chunk_count;
    int status = WB_OK;
    if (count > 0 && in->chunks == NULL) {
        status = make_room(in, count);
        if (status == WB_OK) {
            status = wbi_chunk_list_walk(in->list, in->list_len, count, in->archive_len,
                                         visit_chunk, in);
        }
    }
    if (status == WB_OK) {
        take_list(in);
        in->parts = in->chunks;
        in->part_count = in->chunk_count;
    }
    return status;
}

static void take_chunks(struct wbi_inbound *in)
{
    for (uint32_t i = 0; i < in->chunk_count; i++) {
        settle(&in->parts[i]);
        in->landings[i].data = in->parts[i].into;
        in->landings[i].block = in->parts[i].block;
    }
}

/* ---- ends ---- */

static void list(struct wbi_inbound *in, struct wb_peer *peer)
{
    in->peer = peer;
    in->next = peer->inbounds;
    if (peer->inbounds != NULL) {
        peer->inbounds->prev = in;
    }
    peer->inbounds = in;
}

static void unlist(struct wbi_inbound *in)
{
    if (in->next != NULL) {
        in->next->prev = in->prev;
    }
    if (in->prev != NULL) {
        in->prev->next = in->next;
    } else {
        in->peer->inbounds = in->next;
    }
    in->next = in->prev = NULL;
    in->peer = NULL;
}

/* What it holds is to be had again. */
static void uncount(struct wbi_inbound *in)
{
    in->lane->waiting -= in->waiting;
    if (in->orphan) {
        atomic_fetch_sub_explicit(&in->lane->orphans, 1, memory_order_relaxed);
        wbi_home_shun_not(in->lane);
    }
    in->waiting = in->orphan = false;
    wbi_admission_keep_not(in);
    wbi_admit_less(in, 0);
}

/* Out of its peer's list, for good. */
static void retire(struct wbi_inbound *in)
{
    unlist(in);
    uncount(in);
}

void wbi_inbound_free(struct wbi_inbound *in)
{
    if (in == NULL) {
        return;
    }
    wbi_parts_drop(in->chunks, in->chunk_count);
    if (in->parts != in->chunks) {
        wbi_parts_drop(in->parts, in->part_count);
        free(in->parts);
    }
    wbi_part_drop(&in->archive_part);
    wbi_part_drop(&in->list_part);
    wbi_part_drop(&in->plain_part);
    if (in->reply_block != NULL) {
        wbi_rma_block_unref(in->reply_block);
    }
    if (in->chunks != in->few_chunks) {
        free(in->chunks);
        free(in->landings);
    }
    if (in->leaving != NULL) {
        wbi_into_quiet(in->leaving);
    }
    if (in->slot != NULL) {
        wbi_slots_return(&in->lane->slots, in->slot);
    }
    free(in);
}

void wbi_inbound_bury(struct wbi_inbound *in)
{
    if (in->call != NULL) {
        in->call->reply = NULL;
    }
    if (in->deferred != NULL) { /* what it holds is still looked at */
        wbi_deferred_give_up(in, true);
        unlist(in);
        in->orphan = true;
        atomic_fetch_add_explicit(&in->lane->orphans, 1, memory_order_relaxed);
        return;
    }
    retire(in);
    wbi_inbound_free(in);
}

void wbi_inbound_end(struct wbi_inbound *in)
{
    if (in->peer != NULL) {
        unlist(in);
    }
    uncount(in);
    wbi_inbound_free(in);
}

/* The peer's chunks are needed no more. */
static void release(struct wbi_inbound *in)
{
    if (in->lease_id != 0) {
        wbi_control_release(in->peer, in->lease_id);
        in->lease_id = 0;
    }
}

/* Failed, with no READ in flight: says so to whoever waits, and goes. */
static void end_failed(struct wbi_inbound *in)
{
    struct wb_peer *peer = in->peer;
    struct wb_call *call = in->call;
    int status = in->status;
    release(in);
    if (in->header.kind == WBI_REQUEST) {
        wbi_inbound_return_credit(in);
        wbi_serve_error(peer, &in->header, status, 0, NULL);
    } else if (call != NULL) {
        wbi_call_reply_fetched(call, in, status);
    }
    retire(in);
    wbi_inbound_free(in);
}

void wbi_inbound_fail(struct wbi_inbound *in, int status)
{
    if (in->status == WB_OK) {
        in->status = status;
    }
    if (in->deferred != NULL) {
        wbi_deferred_give_up(in, false);
    } else if (in->paced) {
        wbi_pace_quit(in);
        end_failed(in);
    } else if (in->fetching) {
        wbi_fetch_quit(in); /* those before it may take long, and its own are to be let go */
    } else if (in->in_flight == 0 && !in->parked) {
        end_failed(in);
    } /* else the last READ, or the next try, ends it */
}

static void deliver(struct wbi_inbound *in)
{
    release(in);
    if (in->header.kind == WBI_REPLY) {
        struct wb_call *call = in->call;
        retire(in);
        if (call != NULL) {
            wbi_call_reply_fetched(call, in, WB_OK);
        } else {
            wbi_inbound_free(in);
        }
    } else if (wbi_serve_inbound(in) == WB_AGAIN) {
        wbi_inbound_park(in);
    } else if (in->deferred == NULL) {
        retire(in);
        wbi_inbound_free(in);
    }
}

void wbi_inbound_fetched(struct wbi_inbound *in)
{
    wbi_pace_end(in);
    if (in->status != WB_OK) {
        end_failed(in);
        return;
    }
    int status = WB_OK;
    if (in->stage == WBI_STAGE_LONG) {
        take_long(in);
        in->stage = wbi_inbound_is_filtered(in) ? WBI_STAGE_FILTER : WBI_STAGE_CHUNKS;
    } else if (in->stage == WBI_STAGE_FILTER) {
        status = wbi_inbound_undo_filter(in);
        in->stage = WBI_STAGE_CHUNKS;
    } else {
        take_chunks(in);
        in->stage = WBI_STAGE_READY;
    }
    if (status == WB_OK) {
        wbi_inbound_step(in);
    } else {
        wbi_inbound_fail(in, status);
    }
}

static int set_up(struct wbi_inbound *in)
{
    if (in->parts != NULL) {
        return WB_OK; /* it was, before it was parked */
    }
    switch (in->stage) {
    case WBI_STAGE_LONG:
        return set_up_long(in);
    case WBI_STAGE_FILTER:
        return wbi_inbound_set_up_plain(in);
    default:
        return set_up_chunks(in);
    }
}

/* All landings of the stage are there. One without READs does not queue behind others'. */
static void fill(struct wbi_inbound *in)
{
    (in->part_count > 0 ? wbi_fetch_begin : wbi_inbound_fetched)(in);
}

void wbi_inbound_step(struct wbi_inbound *in)
{
    if (in->status != WB_OK) {
        end_failed(in);
        return;
    }
    if (in->stage == WBI_STAGE_READY) {
        deliver(in);
        return;
    }
    int status = set_up(in);
    if (status == WB_ERR_PROTOCOL) {
        wbi_peer_fail(in->peer, status,
                      "a chunk list that does not fit its archive, or cannot be read");
        return; /* the burial ends it */
    }
    if (status == WB_OK && wbi_pace_holds(in)) {
        return;
    }
    status = status == WB_OK ? wbi_inbound_land(in) : status;
    if (status == WB_OK) {
        fill(in);
        return;
    }
    if (status == WB_AGAIN) {
        if (in->kept == 0) {
            wbi_inbound_let_go(in);
        }
        status = set_up(in); /* of the stage that it may have gone back to */
    }
    if (status == WB_OK) {
        wbi_inbound_no_room(in);
    } else {
        wbi_inbound_fail(in, status);
    }
}

/* ---- begins ---- */

static struct wbi_inbound *take_message(struct wb_peer *peer, uint8_t *slot, size_t len,
                                        const struct wbi_header *header)
{
    struct wbi_inbound *in = malloc(sizeof *in);
    if (in != NULL) {
        *in = (struct wbi_inbound){.lane = peer->lane, .slot = slot, .len = len, .header = *header};
        list(in, peer);
    }
    return in;
}

void wbi_inbound_start(struct wb_peer *peer, uint8_t *slot, size_t len,
                       const struct wbi_header *header, struct wb_call *call)
{
    struct wbi_inbound *in = take_message(peer, slot, len, header);
    if (in == NULL) {
        wbi_slots_return(&peer->lane->slots, slot);
        wbi_peer_fail(peer, WB_ERR_NO_MEMORY, "no memory to receive a parcel");
        return;
    }
    in->call = call;
    if (call != NULL) {
        call->reply = in;
    }
    wbi_note_came(peer, header, len);
    if ((header->flags & WBI_FLAG_FILTERED) != 0 &&
        wbi_filter_features(&peer->lane->engine->config) == 0) {
        wbi_peer_fail(peer, WB_ERR_PROTOCOL, "a filtered archive, which nobody offered to undo");
        return;
    }
    if (wbi_inbound_parse(in) != WB_OK) {
        wbi_peer_fail(peer, WB_ERR_PROTOCOL, "the parts of a parcel do not fit its message");
        return;
    }
    if (header->chunk_count > peer->lane->engine->config.max_chunks) {
        bool request = header->kind == WBI_REQUEST;
        wbi_inbound_fail(in, request ? WB_ERR_BUDGET : WB_ERR_REPLY_TOO_LARGE);
        return;
    }
    in->stage = wbi_inbound_first_stage(in);
    wbi_inbound_step(in);
}

/* A request that was complete at once. */
static struct wbi_inbound *take_eager(struct wb_peer *peer, uint8_t *slot, size_t len,
                                      const struct wbi_header *header, size_t archive_at)
{
    struct wbi_inbound *in = take_message(peer, slot, len, header);
    if (in != NULL) {
        in->archive = slot + archive_at;
        in->archive_len = len - archive_at;
        in->stage = WBI_STAGE_READY;
    }
    return in;
}

int wbi_inbound_park_eager(struct wb_peer *peer, uint8_t *slot, size_t len,
                           const struct wbi_header *header, size_t archive_at, bool credited)
{
    struct wbi_inbound *in = take_eager(peer, slot, len, header, archive_at);
    if (in == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    in->credited = credited;
    wbi_inbound_park(in);
    return WB_OK;
}

struct wbi_inbound *wbi_inbound_keep(struct wb_context *context)
{
    struct wbi_inbound *in = context->in;
    if (in == NULL) {
        in = take_eager(context->peer, context->slot, context->len, context->header,
                        context->archive_at);
    }
    if (in != NULL && !in->waiting) {
        in->credited = wbi_inbound_credit_gone(context->peer);
        wbi_inbound_part_with_credit(in);
    }
    return in;
}
