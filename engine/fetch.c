/* Fetching: the READs of a stage's parts, a bounded number in flight a peer, parcels in the order
 * of their admission. */
#include <stdio.h>

#include "engine/inbound.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/probe.h"
#include "mr_cache/allocator.h"

static void enqueue(struct wbi_inbound *inbound)
{
    inbound->fetching = true;
    wbi_inbound_queue_put(&inbound->peer->fetching, inbound);
}

static void unqueue(struct wbi_inbound *inbound)
{
    inbound->fetching = false;
    wbi_inbound_queue_remove(&inbound->peer->fetching, inbound);
}

static bool all_issued(const struct wbi_inbound *inbound)
{
    return inbound->status != WB_OK || inbound->part_next == inbound->part_count;
}

/* For the reason of the peer's end: which READ it was that failed. */
static void name_culprit(struct wb_peer *peer, const struct wbi_read_op *op)
{
    const struct wbi_inbound *inbound = op->inbound;
    bool chunk = inbound->stage == WBI_STAGE_CHUNKS;
    if (peer->culprit[0] == 0) {
        snprintf(peer->culprit, sizeof peer->culprit, "%s %u of the %s of call %llx, at byte %llu",
                 chunk ? "chunk" : "long part", op->part + 1,
                 inbound->header.kind == WBI_REQUEST ? "arguments" : "results",
                 (unsigned long long)inbound->header.call_id, (unsigned long long)op->read.offset);
    }
}

static void note(const struct wbi_read_op *op, enum wb_event_kind kind, int status)
{
    const struct wbi_header *header = &op->inbound->header;
    wbi_note(op->peer, (struct wbi_event){.kind = (uint8_t)kind,
                                          .call = header->call_id,
                                          .action = header->action,
                                          .bytes = op->read.len,
                                          .chunk = op->part + 1,
                                          .status = status});
}

static void on_read_done(struct wbi_read *read, int status)
{
    struct wbi_read_op *op = (struct wbi_read_op *)(void *)read; /* its first member */
    struct wbi_inbound *inbound = op->inbound;
    struct wb_peer *peer = op->peer;
    op->next_free = peer->free_ops;
    peer->free_ops = op;
    inbound->in_flight--;
    wbi_pace_less(inbound, read->len);
    wbi_probe_read_done(peer, inbound->header.call_id, status);
    if (status != WB_OK) {
        note(op, WB_EVENT_READ_FAILED, status);
    }
    if (status != WB_OK && inbound->status == WB_OK) {
        inbound->status = status;
        name_culprit(peer, op);
    }
    if (status == WB_ERR_PROTOCOL) {
        wbi_peer_fail(peer, status, "a chunk's key or range is none that this peer may offer");
    }
    if (inbound->in_flight == 0 && !inbound->fetching && all_issued(inbound)) {
        wbi_inbound_fetched(inbound);
    }
    wbi_inbound_fetch(peer);
}

/* The longest READ of a parcel. Into memory of the program's they are short, whatever the fabric
 * can do: the end of a call waits for those in flight. */
static uint64_t longest_read(const struct wbi_inbound *inbound)
{
    static const uint64_t into_read = 1 << 20;
    uint64_t most = inbound->lane->caps->max_read_bytes;
    bool into = inbound->call != NULL && inbound->call->into != NULL;
    return into && most > into_read ? into_read : most;
}

/* Issues the READ of the next range of the head parcel. */
static int issue(struct wb_peer *peer, struct wbi_inbound *inbound)
{
    struct wbi_lane *lane = peer->lane;
    const struct wbi_part *part = &inbound->parts[inbound->part_next];
    uint64_t left = part->bytes - inbound->part_offset;
    uint64_t most = longest_read(inbound), len = left < most ? left : most;
    struct wbi_read_op *op = peer->free_ops;
    op->inbound = inbound;
    op->part = inbound->part_next;
    op->read = (struct wbi_read){.key = part->record.key,
                                 .key_len = part->record.key_len,
                                 .address = part->from + inbound->part_offset,
                                 .offset = inbound->part_offset,
                                 .len = len,
                                 .into = part->into + inbound->part_offset,
                                 .into_mr = wbi_rma_block_mr(part->block, lane->registrar),
                                 .done = on_read_done};
    int status = lane->fabric->read(peer->channel, &op->read);
    if (status == WB_OK) {
        peer->free_ops = op->next_free;
        note(op, WB_EVENT_READ, WB_OK);
        wbi_probe_read_issue(peer, inbound->header.call_id, len);
        inbound->in_flight++;
        inbound->part_offset += len;
        if (inbound->part_offset == part->bytes) {
            inbound->part_next++;
            inbound->part_offset = 0;
        }
        wbi_count(&lane->counters.reads, 1);
        wbi_count(&lane->counters.read_bytes, len);
    }
    return status;
}

static void issue_all(struct wb_peer *peer)
{
    while (peer->fetching.first != NULL && peer->channel != NULL && !peer->dying) {
        struct wbi_inbound *inbound = peer->fetching.first;
        while (!all_issued(inbound) && peer->free_ops != NULL) {
            int status = issue(peer, inbound);
            if (status == WB_AGAIN) {
                wbi_peer_busy(peer); /* the next turn tries again */
                return;
            }
            if (status != WB_OK) {
                inbound->status = status;
                wbi_peer_fail(peer, status, "a chunk's key is none of this fabric's");
            }
        }
        if (!all_issued(inbound)) {
            return;
        }
        unqueue(inbound);
        if (inbound->in_flight == 0) {
            wbi_inbound_fetched(inbound);
        }
    }
}

void wbi_inbound_fetch(struct wb_peer *peer)
{
    issue_all(peer);
    wbi_pace_go_on(peer);
}

void wbi_fetch_begin(struct wbi_inbound *inbound)
{
    inbound->part_next = 0;
    inbound->part_offset = 0;
    wbi_pace_begin(inbound);
    enqueue(inbound);
    wbi_inbound_fetch(inbound->peer);
}

void wbi_fetch_quit(struct wbi_inbound *inbound)
{
    struct wb_peer *peer = inbound->peer;
    unqueue(inbound);
    if (inbound->in_flight == 0) {
        wbi_inbound_fetched(inbound);
    }
    wbi_inbound_fetch(peer);
}
