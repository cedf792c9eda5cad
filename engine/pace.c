#include "engine/pace.h"

#include "engine/inbound.h"
#include "engine/lane.h"
#include "engine/peer.h"

enum { LEAST_PART = 16, MOST_TIMES = 8 }; /* of read_ahead: what counts, and waits */

void wbi_pace_open(struct wb_peer *peer)
{
    peer->pace = (struct wbi_pace){.bytes = 0};
    wbi_inbound_queue_open(&peer->pace.waiting);
}

/* Of the stage that is set up; 0: it does not count. */
static uint64_t counted_bytes(const struct wbi_inbound *in)
{
    uint64_t ahead = in->lane->caps->read_ahead, bytes = 0;
    for (uint32_t i = 0; i < in->part_count && bytes <= ahead * MOST_TIMES; i++) {
        bytes += in->parts[i].bytes; /* each at most the budget, or refused later */
    }
    bool counts = bytes >= ahead / LEAST_PART && bytes <= ahead * MOST_TIMES;
    return counts && in->header.kind == WBI_REQUEST ? bytes : 0;
}

static bool is_busy(const struct wb_peer *peer)
{
    return peer->pace.bytes >= peer->lane->caps->read_ahead;
}

bool wbi_pace_holds(struct wbi_inbound *in)
{
    struct wbi_pace *pace = &in->peer->pace;
    bool behind = pace->waiting.first != NULL && !pace->going_on;
    bool began =
        in->admitted != 0 || in->ticket != 0; /* it has landed something, or waited for that */
    if (began || (!behind && !is_busy(in->peer)) || counted_bytes(in) == 0) {
        return false;
    }
    in->paced = true;
    wbi_inbound_queue_put(&pace->waiting, in);
    return true;
}

/* What passes those that wait, in its second stage, does not keep them waiting. */
void wbi_pace_begin(struct wbi_inbound *in)
{
    struct wbi_pace *pace = &in->peer->pace;
    bool passes = pace->waiting.first != NULL && !pace->going_on;
    in->fetch_bytes = passes ? 0 : counted_bytes(in);
    pace->bytes += in->fetch_bytes;
}

void wbi_pace_less(struct wbi_inbound *in, uint64_t bytes)
{
    bytes = bytes < in->fetch_bytes ? bytes : in->fetch_bytes;
    in->fetch_bytes -= bytes;
    in->peer->pace.bytes -= bytes;
}

void wbi_pace_end(struct wbi_inbound *in)
{
    wbi_pace_less(in, in->fetch_bytes);
}

void wbi_pace_quit(struct wbi_inbound *in)
{
    in->paced = false;
    wbi_inbound_queue_remove(&in->peer->pace.waiting, in);
}

/* What a step begins may end at once, and come here again: the first turn goes on. */
void wbi_pace_go_on(struct wb_peer *peer)
{
    struct wbi_pace *pace = &peer->pace;
    if (pace->going_on) {
        return;
    }
    pace->going_on = true;
    while (pace->waiting.first != NULL && !is_busy(peer) && peer->channel != NULL && !peer->dying) {
        struct wbi_inbound *first = pace->waiting.first;
        wbi_pace_quit(first);
        wbi_inbound_step(first);
    }
    pace->going_on = false;
}
