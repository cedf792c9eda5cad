#include "tests/wb_sim/stream_sides.h"

#include <stdlib.h>

#include "tests/simverbs/model.h"
#include "tests/support/pattern.h"
#include "tests/wb_sim/play.h"

enum { MOST_HELD = 4, MOST_RAW = 12000, MOST_DATA = 24000, SLOW_US = 3000000 };

uint64_t streams_below(const struct play *play, uint64_t limit)
{
    return test_pattern_random(&play->streams->random) % limit;
}

static uint64_t below(const struct side *side, uint64_t limit)
{
    return streams_below(side->node->play, limit);
}

/* Below `most`, with every order of magnitude as likely as the next. */
static uint32_t some_bytes(const struct side *side, uint32_t most)
{
    return (uint32_t)(below(side, (uint64_t)1 << below(side, 16)) % most);
}

/* ---- ends ---- */

/* How it has ended for its program: WB_END in order, WB_OK where that has left it, or a status. */
static void count_end(const struct side *side)
{
    struct summary *summary = &side->node->play->summary;
    bool in_order = side->end == WB_OK && !side->early;
    summary->stream_ends[in_order ? -WB_END : -side->end]++;
}

void side_drop(struct side *side)
{
    struct play *play = side->node->play;
    side_look(side);
    side->early = side->end == WB_OK && !(side->took_end && side_out(side)->finished);
    count_end(side);
    play->summary.stream_drops += side->early;
    sim_trace(side->node->devices[0], "wb_sim: stream is dropped", side->talk->number, side->opener,
              side->early);
    side->dropping = true;
    struct wb_stream *stream = side->stream;
    side->stream = NULL;
    wb_stream_drop(stream);
    side->dropped = true;
}

/* What has ended in order stays as it is. */
void side_abort(struct side *side)
{
    char text[sizeof side->error.text];
    side_look(side);
    if (side->end != WB_OK) {
        return;
    }
    talk_words(side, false, text, sizeof text);
    side->aborted = true;
    side->node->play->summary.stream_aborts++;
    sim_trace(side->node->devices[0], "wb_sim: stream is aborted", side->talk->number, side->opener,
              side->in_order);
    wb_stream_abort(side->stream, talk_code(side, false), "%s", text);
    if (side->stream != NULL) {
        side_look(side);
    }
}

/* ---- taking ---- */

static void let_go(struct side *side, struct item *item)
{
    struct way *way = side_in(side);
    way->gone++;
    way->gone_bytes += item->raw_bytes + item->data_bytes;
    items_drop(item);
    free(item);
}

bool side_let_go(struct side *side)
{
    struct item *item = side->held;
    if (item == NULL) {
        return false;
    }
    side->held = item->next;
    side->held_count--;
    items_must_be(side->node->play, item, item->number, item->place); /* its views stayed */
    let_go(side, item);
    return true;
}

static void take(struct side *side, struct item *item)
{
    struct play *play = side->node->play;
    struct way *way = side_in(side);
    items_must_be(play, item, side->talk->number, way->taken);
    if (way->taken == way->sent) {
        play_fail(play, "stream %llu: an item came that nobody has sent",
                  (unsigned long long)side->talk->number);
    }
    way->taken++;
    side->done++;
    play->summary.items_taken++;
    bool holds = item_is_full(item->type) && !play->let_go && side->held_count < MOST_HELD &&
                 below(side, 5) == 0;
    if (holds) {
        item->next = side->held;
        side->held = item;
        side->held_count++;
    } else {
        let_go(side, item);
    }
    if (below(side, 8) == 0) {
        side->slow_until_ns = sim_now_ns() + below(side, 1 + below(side, SLOW_US)) * 1000;
    }
}

static void take_end(struct side *side)
{
    const struct way *way = side_in(side);
    if (!way->finished || way->taken != way->sent) {
        play_fail(side->node->play,
                  "stream %llu of host %u is at its end, of %llu items sent it has %llu, and the "
                  "other side has %sfinished",
                  (unsigned long long)side->talk->number, side->node->number,
                  (unsigned long long)way->sent, (unsigned long long)way->taken,
                  way->finished ? "" : "not ");
    }
    side->took_end = true;
}

/* Whether it may be that an item could not be decoded, for a fault: none follows it. */
static bool may_be_fault(const struct side *side, int status)
{
    return !side->node->play->calm &&
           (status == WB_ERR_NO_MEMORY || status == WB_ERR_SYSTEM || status == WB_ERR_INVALID);
}

/* What has arrived up to the finish is taken, whatever happens; and whoever has finished and has
 * not failed is heard to the end, in a calm run. */
static void check_cut(struct side *side, int status)
{
    const struct play *play = side->node->play;
    struct side *other = side_other(side);
    if (may_be_fault(side, status)) {
        side->gave_up = true;
    }
    if (side->has_all && !side->gave_up && !side->aborted) {
        play_fail(play, "stream %llu of host %u: what had all arrived is not to be had any more",
                  (unsigned long long)side->talk->number, side->node->number);
    }
    if (play->calm && !play->tight && !side->talk->hasty && side->end == WB_ERR_CANCELLED &&
        !side->aborted && !other->aborted && side_end(other) == WB_OK && side_in(side)->finished) {
        play_fail(play, "stream %llu is cut off, though the other side had finished",
                  (unsigned long long)side->talk->number);
    }
}

/* Whether there was something. */
static bool take_one(struct side *side)
{
    if (side->stream == NULL || side->taking || (side->took_end && below(side, 4) != 0)) {
        return false;
    }
    if (!side->node->play->let_go && sim_now_ns() < side->slow_until_ns) {
        side->told = true;
        return false;
    }
    struct item *item = sim_new(sizeof *item);
    side->taking = true;
    int status = items_next(side->stream, side_in_type(side), item);
    side->taking = false;
    if (status == WB_OK) {
        take(side, item);
        return true;
    }
    free(item);
    if (status == WB_END) {
        bool first = !side->took_end;
        take_end(side);
        return first;
    }
    if (status == WB_AGAIN && !side->took_end) {
        return false;
    }
    side_check_refusal(side, "next", status);
    check_cut(side, status);
    return false;
}

/* ---- sending ---- */

static void send_finish(struct side *side)
{
    int status = wb_stream_finish(side->stream);
    if (status != WB_OK) {
        side_check_refusal(side, "finish", status);
        return;
    }
    side_out(side)->finished = true;
    struct item none = {
        .type = side_out_type(side), .number = side->talk->number, .place = UINT32_MAX};
    if (side->stream != NULL && below(side, 4) == 0 && items_send(side->stream, &none) == WB_OK) {
        play_fail(side->node->play, "stream %llu is finished, and sends an item",
                  (unsigned long long)side->talk->number);
    }
}

static void draw(struct side *side, struct item *item)
{
    if (!item_is_full(item->type)) {
        return;
    }
    item->raw_bytes = below(side, 2) == 0 ? some_bytes(side, MOST_RAW) : 0;
    item->data_bytes = below(side, 3) == 0 ? 1 + some_bytes(side, MOST_DATA) : 0;
    if (item->data_bytes > 0 && wb_rma_vector_create(wb_engine_allocator(side->node->engine), 1,
                                                     item->data_bytes, &item->data) != WB_OK) {
        item->data_bytes = 0;
    }
}

static int send_item(struct side *side)
{
    static uint8_t raw[MOST_RAW];
    struct way *way = side_out(side);
    struct item item = {
        .type = side_out_type(side), .number = side->talk->number, .place = way->sent};
    draw(side, &item);
    items_fill(side->node->play, &item, raw);
    side->sending = true;
    int status = items_send(side->stream, &item);
    side->sending = false;
    wb_rma_vector_drop(&item.data); /* the stream has its own reference */
    if (status == WB_OK) {
        way->sent++;
        way->sent_bytes += item.raw_bytes + item.data_bytes;
        side->done++;
        side->node->play->summary.items_sent++;
    }
    bool ended = side->stream == NULL || wb_stream_status(side->stream, NULL) != WB_OK;
    if (status == WB_OK || (status == WB_ERR_BUDGET && !ended)) {
        side_check_size(side, &item, status);
    }
    return status;
}

static bool send_one(struct side *side)
{
    bool may = !side->sending && (side->took_end || !side->listens);
    if (side->stream == NULL || !may || side_out(side)->finished || side->end != WB_OK) {
        return false;
    }
    if (side_out(side)->sent == side_out(side)->quota) {
        send_finish(side);
        return side_out(side)->finished;
    }
    int status = send_item(side);
    if (status == WB_OK || status == WB_AGAIN) {
        return status == WB_OK;
    }
    if (status != WB_ERR_BUDGET) {
        side_check_refusal(side, "send", status);
    }
    side->told = side->told || side->end == WB_OK; /* it tries again, with another item maybe */
    return false;
}

/* ---- turns ---- */

static void obey_plan(struct side *side)
{
    bool due =
        side->plan == SIDE_DROPS_FINISHED ? side_out(side)->finished : side->done >= side->plan_at;
    if (side->stream == NULL || side->plan == SIDE_IN_ORDER || !due) {
        return;
    }
    if (side->plan == SIDE_ABORTS) {
        side_abort(side);
        side->plan = SIDE_IN_ORDER;
        side->told = true;
    } else {
        side_drop(side);
    }
}

static bool is_through(const struct side *side)
{
    const struct way *out = &side->talk->ways[side->opener ? 0 : 1];
    return side->end != WB_OK || (side->took_end && out->finished);
}

/* Has nothing more to do. Some drop at once, some later; some abort what has ended in order. */
static void leave(struct side *side)
{
    bool soon = side->node->play->let_go || below(side, 2) == 0;
    if (!soon) {
        side->told = true;
        return;
    }
    if (side->plan == SIDE_ABORTS) {
        side_abort(side);
    }
    if (side->stream != NULL) {
        side_drop(side);
    }
}

bool side_turn(struct side *side)
{
    bool done = false, goes = true;
    side->told = false;
    while (goes && side->stream != NULL) {
        goes = take_one(side);
        goes |= send_one(side);
        done |= goes;
        obey_plan(side);
    }
    if (side->stream != NULL && !side->sending && !side->taking) {
        side_look(side);
        if (is_through(side)) {
            leave(side);
        }
    }
    return done || side->stream == NULL;
}

/* Inside: some do what there is at once, some later; some, in the midst of a send or a take. */
void side_ready(struct wb_stream *stream, void *user)
{
    struct side *side = user;
    side->node->play->summary.stream_readies++;
    if (side->dropped || !side->tells) {
        play_fail(side->node->play, "stream %llu of host %u: `ready` is called %s",
                  (unsigned long long)side->talk->number, side->node->number,
                  side->dropped ? "after the drop" : "though there is none");
    }
    if (side->dropping) {
        return;
    }
    side->stream = stream; /* of an open that has not yet returned */
    side->began = true;
    side->told = true;
    if (below(side, 2) == 0) {
        side_turn(side);
    }
}
