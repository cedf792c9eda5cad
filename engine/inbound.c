#include "engine/inbound.h"

#include <stdlib.h>
#include <string.h>

#include "engine/admission.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/serve.h"

/* ---- where things lie ---- */

/* Bytes that are fetched for a chunk: a record's do not wrap. */
static uint64_t fetched_bytes(const struct wbi_lane *lane, const struct wbi_chunk_record *record)
{
    return lane->caps->read_align > 1 ? record->len + record->head + record->tail : record->len;
}

/* What is fetched of a chunk. WB_ERR_PROTOCOL: it is not aligned as this side must read it. */
static int set_range(const struct wbi_lane *lane, struct wbi_part *part)
{
    const struct wbi_chunk_record *record = &part->record;
    uint64_t mask = lane->caps->read_align - 1;
    part->from = record->address - (mask != 0 ? record->head : 0);
    part->bytes = fetched_bytes(lane, record);
    return ((part->from | part->bytes) & mask) == 0 ? WB_OK : WB_ERR_PROTOCOL;
}

/* What was fetched before the chunk itself makes way: vectors lie as they are expected to. */
static void settle(struct wbi_part *part)
{
    uint64_t head = part->record.address - part->from;
    if (head > 0) {
        memmove(part->into, part->into + head, (size_t)part->record.len);
    }
}

static int parse_long(struct wbi_inbound *in, uint8_t flag, struct wbi_part *part, size_t *at)
{
    if ((in->header.flags & flag) == 0) {
        return WB_OK;
    }
    int status = wbi_chunk_record_decode(in->slot, in->len, at, &part->record);
    return status != WB_OK || part->record.kind != WB_CHUNK_RMA ? WB_ERR_PROTOCOL
                                                                : set_range(in->lane, part);
}

/* Moves *at over the list, and adds up what it will have fetched. */
static int skip_list(struct wbi_inbound *in, size_t *at)
{
    struct wbi_chunk_record record;
    int status = WB_OK;
    for (uint32_t i = 0; i < in->header.chunk_count && status == WB_OK; i++) {
        status = wbi_chunk_record_decode(in->slot, in->len, at, &record);
        if (status == WB_OK && record.kind != WB_CHUNK_INDEX) {
            wbi_load_add(&in->listed, in->lane, fetched_bytes(in->lane, &record));
        }
    }
    return status;
}

/* A long list of `count` records has a length that is possible. */
static bool list_fits(uint64_t bytes, uint32_t count)
{
    return bytes >= (uint64_t)count * WBI_CHUNK_RECORD_MIN &&
           bytes <= (uint64_t)count * WBI_CHUNK_RECORD_MAX;
}

int wbi_inbound_parse(struct wbi_inbound *in)
{
    const struct wbi_header *header = &in->header;
    size_t at = wbi_header_bytes(header->kind);
    if ((header->flags & WBI_FLAG_LEASED) != 0) {
        in->lease_id = wbi_id_decode(in->slot + at);
        at += WBI_ID_BYTES;
    }
    at += (size_t)header->release_count * WBI_ID_BYTES;
    int status = header->chunk_count > WBI_MAX_CHUNKS ? WB_ERR_PROTOCOL : WB_OK;
    status =
        status == WB_OK ? parse_long(in, WBI_FLAG_LONG_ARCHIVE, &in->archive_part, &at) : status;
    status = status == WB_OK ? parse_long(in, WBI_FLAG_LONG_LIST, &in->list_part, &at) : status;
    in->archive_len = in->archive_part.record.len;
    if (status == WB_OK && (header->flags & WBI_FLAG_LONG_LIST) != 0) {
        in->list_len = in->list_part.record.len;
        status = list_fits(in->list_len, header->chunk_count) ? WB_OK : WB_ERR_PROTOCOL;
    } else if (status == WB_OK) {
        size_t list_at = at;
        status = skip_list(in, &at);
        in->list = in->slot + list_at;
        in->list_len = at - list_at;
    }
    if (status == WB_OK && (header->flags & WBI_FLAG_LONG_ARCHIVE) == 0) {
        in->archive = in->slot + at;
        in->archive_len = in->len - at;
    } else if (status == WB_OK && at != in->len) {
        status = WB_ERR_PROTOCOL; /* bytes behind the last part */
    }
    return status;
}

/* ---- landings ---- */

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
    uint64_t needed = wbi_landing_bytes(bytes);
    if (call == NULL || call->room == NULL || needed > call->room_bytes - in->room_used) {
        return WB_ERR_REPLY_TOO_LARGE;
    }
    part->block = wbi_rma_block_ref(call->room);
    part->into = (uint8_t *)wbi_rma_block_data(call->room) + in->room_used;
    in->room_used += needed;
    return WB_OK;
}

static void drop_part(struct wbi_part *part)
{
    if (part->block != NULL) {
        wbi_rma_block_unref(part->block);
        part->block = NULL;
    }
}

/* All landings of the stage, or none. */
static int land_all(struct wbi_inbound *in)
{
    uint64_t room_before = in->room_used, admitted_before = in->admitted;
    int status = wbi_admit(in);
    uint32_t landed = 0;
    while (status == WB_OK && landed < in->part_count) {
        status = land(in, &in->parts[landed]);
        landed += status == WB_OK;
    }
    if (status != WB_OK) {
        while (landed > 0) {
            drop_part(&in->parts[--landed]);
        }
        in->room_used = room_before;
        wbi_admit_less(in, admitted_before);
    }
    return status;
}

/* ---- the stages ---- */

static int set_up_long(struct wbi_inbound *in)
{
    in->parts = calloc(2, sizeof *in->parts);
    if (in->parts == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    if ((in->header.flags & WBI_FLAG_LONG_ARCHIVE) != 0) {
        in->parts[in->part_count++] = in->archive_part;
    }
    if ((in->header.flags & WBI_FLAG_LONG_LIST) != 0) {
        in->parts[in->part_count++] = in->list_part;
    }
    return WB_OK;
}

/* The stage before the chunks' is left out where it has nothing to do. */
static enum wbi_stage stage_of_archive(const struct wbi_inbound *in)
{
    return (in->header.flags & WBI_FLAG_FILTERED) != 0 ? WBI_STAGE_FILTER : WBI_STAGE_CHUNKS;
}

static void take_long(struct wbi_inbound *in)
{
    uint32_t i = 0;
    if ((in->header.flags & WBI_FLAG_LONG_ARCHIVE) != 0) {
        settle(&in->parts[i]);
        in->archive_part = in->parts[i++];
        in->archive = in->archive_part.into;
    }
    if ((in->header.flags & WBI_FLAG_LONG_LIST) != 0) {
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
    in->landings[in->part_count] = (struct wb_landing){
        .len = record->len, .archive_offset = archive_offset, .kind = record->kind};
    struct wbi_part *part = &in->parts[in->part_count++];
    part->record = *record;
    return set_range(in->lane, part);
}

static int set_up_chunks(struct wbi_inbound *in)
{
    uint32_t count = in->header.chunk_count;
    if (count > 0) {
        in->landings = calloc(count, sizeof *in->landings);
        in->parts = calloc(count, sizeof *in->parts);
        if (in->landings == NULL || in->parts == NULL) {
            return WB_ERR_NO_MEMORY;
        }
    }
    int status = wbi_chunk_list_walk(in->list, in->list_len, count, in->archive_len,
                                     count > 0 ? visit_chunk : NULL, in);
    in->chunk_count = in->part_count;
    return count == 0 ? WB_OK : status;
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
    in->lane->waiting -= in->waiting;
    in->waiting = false;
    wbi_admit_less(in, 0);
}

void wbi_inbound_free(struct wbi_inbound *in)
{
    if (in == NULL) {
        return;
    }
    for (uint32_t i = 0; i < in->part_count && in->parts != NULL; i++) {
        drop_part(&in->parts[i]);
    }
    drop_part(&in->archive_part);
    drop_part(&in->list_part);
    if (in->reply_block != NULL) {
        wbi_rma_block_unref(in->reply_block);
    }
    free(in->parts);
    free(in->landings);
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
    if (in->deferred != NULL) {
        wbi_deferred_give_up(in, true);
        unlist(in);
        return; /* what it holds is still looked at */
    }
    unlist(in);
    wbi_inbound_free(in);
}

void wbi_inbound_end(struct wbi_inbound *in)
{
    if (in->peer != NULL) {
        unlist(in);
    }
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
    unlist(in);
    wbi_inbound_free(in);
}

void wbi_inbound_fail(struct wbi_inbound *in, int status)
{
    if (in->status == WB_OK) {
        in->status = status;
    }
    if (in->deferred != NULL) {
        wbi_deferred_give_up(in, false);
    } else if (in->fetching) {
        wbi_inbound_fetch(in->peer); /* takes it out of the queue */
    } else if (in->in_flight == 0 && !in->parked) {
        end_failed(in);
    } /* else the last READ, or the next try, ends it */
}

void wbi_inbound_return_credit(struct wbi_inbound *in)
{
    if (!in->credited) {
        in->credited = true;
        in->peer->owed++;
    }
}

bool wbi_inbound_credit_gone(struct wb_peer *peer)
{
    bool gone = peer->owed == 0;
    peer->owed -= !gone;
    return gone;
}

static void deliver(struct wbi_inbound *in)
{
    release(in);
    if (in->header.kind == WBI_REPLY) {
        struct wb_call *call = in->call;
        unlist(in);
        if (call != NULL) {
            wbi_call_reply_fetched(call, in, WB_OK);
        } else {
            wbi_inbound_free(in);
        }
    } else if (wbi_serve_inbound(in) == WB_AGAIN) {
        wbi_inbound_park(in);
    } else if (in->deferred == NULL) {
        unlist(in);
        wbi_inbound_free(in);
    }
}

void wbi_inbound_fetched(struct wbi_inbound *in)
{
    if (in->status != WB_OK) {
        end_failed(in);
        return;
    }
    if (in->stage == WBI_STAGE_LONG) {
        take_long(in);
        in->stage = stage_of_archive(in);
    } else {
        take_chunks(in);
        in->stage = WBI_STAGE_READY;
    }
    wbi_inbound_step(in);
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

/* All landings of the stage are there. */
static void fill(struct wbi_inbound *in)
{
    if (in->stage != WBI_STAGE_FILTER) {
        wbi_fetch_begin(in);
        return;
    }
    int status = wbi_inbound_undo_filter(in);
    if (status != WB_OK) {
        wbi_inbound_fail(in, status);
        return;
    }
    in->stage = WBI_STAGE_CHUNKS;
    wbi_inbound_step(in);
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
    status = status == WB_OK ? land_all(in) : status;
    if (status == WB_OK) {
        fill(in);
    } else if (status == WB_AGAIN) {
        wbi_inbound_no_room(in);
    } else {
        wbi_inbound_fail(in, status);
    }
}

/* ---- begins ---- */

static struct wbi_inbound *take_message(struct wb_peer *peer, uint8_t *slot, size_t len,
                                        const struct wbi_header *header)
{
    struct wbi_inbound *in = calloc(1, sizeof *in);
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
        wbi_slots_give(&peer->lane->slots, slot);
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
    bool is_long = (header->flags & (WBI_FLAG_LONG_ARCHIVE | WBI_FLAG_LONG_LIST)) != 0;
    in->stage = is_long ? WBI_STAGE_LONG : stage_of_archive(in);
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
