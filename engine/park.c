/*
 * Parcels that wait for memory, and those that their caller or the clock gives up.
 *
 * They wait in rounds: the first that waits of each peer, then each one's second, and so on; within
 * a round as they came. So a peer that sends many delays another's next one by one of its own.
 * (Round robin by packets: Nagle, RFC 970. Large ones are not made to wait longer: what is in at
 * once is bounded by admission.) Invariant: from `parked` to `parked_last` rounds never fall.
 */
#include "engine/admission.h"
#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/probe.h"

void wbi_inbound_return_credit(struct wbi_inbound *in)
{
    if (!in->credited) {
        in->credited = true;
        in->peer->owed++;
    }
}

bool wbi_inbound_credit_gone(struct wb_peer *peer)
{
    peer->in_hand = 0;
    bool gone = peer->owed == 0;
    peer->owed -= !gone;
    return gone;
}

void wbi_inbound_part_with_credit(struct wbi_inbound *inbound)
{
    struct wbi_lane *lane = inbound->lane;
    if (inbound->stage == WBI_STAGE_READY && !inbound->credited &&
        lane->waiting < lane->shares.waiting) {
        inbound->waiting = true;
        lane->waiting++;
        wbi_inbound_return_credit(inbound);
        wbi_peer_busy(inbound->peer);
    }
}

static void show_first(struct wbi_lane *lane, uint64_t ticket)
{
    atomic_store_explicit(&lane->first_waiting, ticket, memory_order_relaxed);
}

/* Once, however often it is tried again. */
static void note(struct wbi_inbound *inbound)
{
    if (!inbound->noted) {
        const struct wbi_header *header = &inbound->header;
        inbound->noted = true;
        wbi_note(inbound->peer, (struct wbi_event){.kind = WB_EVENT_PARKED,
                                                   .call = header->call_id,
                                                   .action = header->action,
                                                   .bytes = inbound->len});
        wbi_probe_park(inbound->peer, header->call_id, inbound->len);
    }
}

/* Whether others wait behind a parked one: it waits for landings, and has none. Beside the one that
 * keeps some they are let in, as beside one that has all. It does not change while it is parked. */
static bool is_queueing(const struct wbi_inbound *in)
{
    return in->stage != WBI_STAGE_READY && in->kept == 0;
}

/* The ticket of the first of those, or 0. */
static uint64_t find_first(const struct wbi_lane *lane)
{
    const struct wbi_inbound *in = lane->parked;
    while (in != NULL && !is_queueing(in)) {
        in = in->queue_next;
    }
    return in != NULL ? in->ticket : 0;
}

/* Behind all of its round; at the end, where most go, without a search. */
static void queue(struct wbi_lane *lane, struct wbi_inbound *inbound)
{
    struct wbi_inbound **at = &lane->parked;
    if (lane->parked_last != NULL && lane->parked_last->round <= inbound->round) {
        at = &lane->parked_last->queue_next;
    }
    while (*at != NULL && (*at)->round <= inbound->round) {
        at = &(*at)->queue_next;
    }
    inbound->queue_next = *at;
    *at = inbound;
    if (inbound->queue_next == NULL) {
        lane->parked_last = inbound;
    }
}

void wbi_inbound_park(struct wbi_inbound *inbound)
{
    struct wbi_lane *lane = inbound->lane;
    wbi_inbound_part_with_credit(inbound);
    note(inbound);
    inbound->parked = true;
    lane->parkings++;
    inbound->round = inbound->peer->parked++;
    queue(lane, inbound);
    if (is_queueing(inbound)) {
        lane->queueing++;
        show_first(lane, find_first(lane));
    }
}

void wbi_inbound_unpark(struct wbi_inbound *inbound)
{
    struct wbi_lane *lane = inbound->lane;
    struct wbi_inbound **at = &lane->parked, *before = NULL;
    while (inbound->parked && *at != NULL && *at != inbound) {
        before = *at;
        at = &before->queue_next;
    }
    if (inbound->parked && *at == inbound) {
        *at = inbound->queue_next;
        inbound->peer->parked--;
        lane->queueing -= is_queueing(inbound);
        if (*at == NULL) {
            lane->parked_last = before;
        }
        show_first(lane, find_first(lane));
    }
    inbound->parked = false;
}

/* Whether it is others that hold what it lacks: if not, the pool has only to grow. */
static bool is_full(const struct wbi_inbound *inbound)
{
    struct wb_rma_stats stats;
    uint64_t bytes = inbound->plain_part.bytes;
    for (uint32_t i = 0; i < inbound->part_count; i++) {
        bytes += inbound->parts[i].bytes; /* at most the budget, or it would not wait */
    }
    for (uint32_t i = 0; i < wbi_inbound_chunks_ahead(inbound); i++) {
        bytes += inbound->chunks[i].bytes;
    }
    wb_rma_allocator_stats(inbound->lane->engine->allocator, &stats);
    return wbi_admission_is_full(inbound) || stats.used_bytes > stats.budget_bytes ||
           bytes > stats.budget_bytes - stats.used_bytes;
}

/* The longest waiting request goes, if too many wait for landings: for one that keeps its own the
 * pool has only to make room. */
static void shed(struct wbi_lane *lane)
{
    struct wbi_inbound *oldest = NULL;
    for (struct wbi_inbound *in = lane->parked; in != NULL; in = in->queue_next) {
        bool waits = is_queueing(in) && in->status == WB_OK && in->header.kind == WBI_REQUEST;
        oldest = waits && (oldest == NULL || in->ticket < oldest->ticket) ? in : oldest;
    }
    if (oldest != NULL && lane->queueing > lane->engine->config.shed_beyond) {
        wbi_inbound_unpark(oldest);
        wbi_inbound_fail(oldest, WB_ERR_BUSY);
    }
}

void wbi_inbound_no_room(struct wbi_inbound *inbound)
{
    struct wbi_lane *lane = inbound->lane;
    enum wb_when_full policy = lane->engine->config.when_full;
    bool may_go = inbound->header.kind == WBI_REQUEST && inbound->kept == 0;
    if (policy == WB_FULL_REFUSE && may_go && is_full(inbound)) {
        wbi_inbound_fail(inbound, WB_ERR_BUSY);
        return;
    }
    if (inbound->ticket == 0) {
        inbound->ticket = wbi_admission_ticket(lane);
    }
    wbi_inbound_park(inbound);
    /* also for one that tries again: too many may have come while the pool had only to grow */
    if (policy == WB_FULL_SHED && may_go && is_full(inbound)) {
        shed(lane);
    }
}

int wbi_inbound_retry(struct wbi_lane *lane)
{
    /* those that park again go to a new queue, so that each is tried once, and the rounds begin
     * with each peer's first */
    struct wbi_inbound *old = lane->parked;
    for (struct wbi_inbound *in = old; in != NULL; in = in->queue_next) {
        in->peer->parked = 0;
    }
    lane->parked = lane->parked_last = NULL;
    lane->queueing = 0;
    show_first(lane, 0);
    int moved = 0;
    while (old != NULL) {
        struct wbi_inbound *next = old->queue_next;
        uint32_t parkings = lane->parkings;
        old->parked = false;
        wbi_inbound_step(old);
        moved += lane->parkings == parkings;
        old = next;
    }
    return moved;
}

static void give_up(struct wbi_inbound *inbound, int status)
{
    if (inbound->parked) {
        inbound->status = status; /* the next retry ends it */
    } else {
        wbi_inbound_fail(inbound, status);
    }
}

void wbi_inbound_cancel(struct wb_peer *peer, uint64_t call_id)
{
    for (struct wbi_inbound *in = peer->inbounds; in != NULL; in = in->next) {
        if (in->header.kind == WBI_REQUEST && in->header.call_id == call_id) {
            wbi_note(peer, (struct wbi_event){.kind = WB_EVENT_CANCEL_CAME, .call = call_id});
            give_up(in, WB_ERR_CANCELLED);
            return;
        }
    }
}

/* Stamps a request that is new, and says whether one has outlived its deadline. */
static bool expired(struct wbi_inbound *in, uint64_t now)
{
    if (in->header.kind != WBI_REQUEST || in->header.deadline_us == 0 || in->status != WB_OK) {
        return false;
    }
    if (in->deadline == 0) {
        in->deadline = wbi_deadline(now, in->header.deadline_us);
    }
    return now >= in->deadline;
}

void wbi_inbound_expire(struct wb_peer *peer, uint64_t now)
{
    struct wbi_inbound *in = peer->inbounds;
    while (in != NULL && !peer->dying) {
        if (in->leaving != NULL && now >= in->deadline) {
            wbi_peer_fail(peer, WB_ERR_PEER_LOST,
                          "a result's READs have not ended within the grace period");
        } else if (expired(in, now)) {
            give_up(in, WB_ERR_TIMED_OUT);
            in = peer->inbounds; /* giving one up may have ended others */
        } else {
            in = in->next;
        }
    }
}
