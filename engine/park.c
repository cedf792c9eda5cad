/* Parcels that wait for memory, in the order in which they came; and those that their caller or the
 * clock gives up. */
#include "engine/admission.h"
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

void wbi_inbound_park(struct wbi_inbound *inbound)
{
    struct wbi_lane *lane = inbound->lane;
    wbi_inbound_part_with_credit(inbound);
    note(inbound);
    inbound->parked = true;
    inbound->queue_next = NULL;
    if (inbound->stage != WBI_STAGE_READY && lane->queueing++ == 0) {
        show_first(lane, inbound->ticket);
    }
    *lane->parked_tail = inbound;
    lane->parked_tail = &inbound->queue_next;
}

/* The ticket of the first that waits for landings, or 0. */
static uint64_t find_first(const struct wbi_lane *lane)
{
    const struct wbi_inbound *in = lane->parked;
    while (in != NULL && in->stage == WBI_STAGE_READY) {
        in = in->queue_next;
    }
    return in != NULL ? in->ticket : 0;
}

void wbi_inbound_unpark(struct wbi_inbound *inbound)
{
    struct wbi_lane *lane = inbound->lane;
    struct wbi_inbound **at = &lane->parked;
    while (inbound->parked && *at != NULL && *at != inbound) {
        at = &(*at)->queue_next;
    }
    if (inbound->parked && *at == inbound) {
        *at = inbound->queue_next;
        lane->queueing -= inbound->stage != WBI_STAGE_READY;
        if (*at == NULL) {
            lane->parked_tail = at;
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

/* The longest waiting request goes, if too many wait for landings. */
static void shed(struct wbi_lane *lane)
{
    struct wbi_inbound *oldest = lane->parked;
    while (oldest != NULL && (oldest->stage == WBI_STAGE_READY || oldest->status != WB_OK ||
                              oldest->header.kind != WBI_REQUEST)) {
        oldest = oldest->queue_next;
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
    bool request = inbound->header.kind == WBI_REQUEST;
    if (policy == WB_FULL_REFUSE && request && is_full(inbound)) {
        wbi_inbound_fail(inbound, WB_ERR_BUSY);
        return;
    }
    if (inbound->ticket == 0) {
        inbound->ticket = wbi_admission_ticket(lane);
    }
    wbi_inbound_park(inbound);
    /* also for one that tries again: too many may have come while the pool had only to grow */
    if (policy == WB_FULL_SHED && request && is_full(inbound)) {
        shed(lane);
    }
}

int wbi_inbound_retry(struct wbi_lane *lane)
{
    /* those that park again go to a new queue, so that each is tried once and the order stays */
    struct wbi_inbound *old = lane->parked;
    lane->parked = NULL;
    lane->parked_tail = &lane->parked;
    lane->queueing = 0;
    show_first(lane, 0);
    int moved = 0;
    while (old != NULL) {
        struct wbi_inbound *next = old->queue_next;
        old->parked = false;
        struct wbi_inbound **tail = lane->parked_tail;
        wbi_inbound_step(old);
        moved += lane->parked_tail == tail;
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
        in->deadline = now + 1 + in->header.deadline_us; /* the clock leaves out a part of one */
    }
    return now >= in->deadline;
}

void wbi_inbound_expire(struct wb_peer *peer, uint64_t now)
{
    struct wbi_inbound *in = peer->inbounds;
    while (in != NULL && !peer->dying) {
        if (expired(in, now)) {
            give_up(in, WB_ERR_TIMED_OUT);
            in = peer->inbounds; /* giving one up may have ended others */
        } else {
            in = in->next;
        }
    }
}
