#include "tests/wb_sim/streams.h"

#include <stdlib.h>

#include "tests/simverbs/model.h"
#include "tests/support/pattern.h"
#include "tests/wb_sim/bytes.h"
#include "tests/wb_sim/play.h"
#include "tests/wb_sim/stream_hoard.h"
#include "tests/wb_sim/stream_sides.h"

enum {
    MOST_OPEN = 24,  /* sides of a run at once */
    MOST_QUOTA = 60, /* items of a way */
    OPENING_RAW = 3000,
    SIDES_A_STEP = 3,
    STEPS_AN_OPEN = 12
};

static const uint64_t patient_us = 600000000, tight_us = 30000000;

/* ---- the run ---- */

void streams_open(struct play *play)
{
    struct streams *streams = sim_new(sizeof *streams);
    streams->random = play->seed ^ (uint64_t)0x57e4 << 40;
    streams->on = play->options->streams && test_pattern_random(&streams->random) % 2 == 0;
    streams->hoards = hoards_new(play);
    play->streams = streams;
    play->summary.streaming_seeds = streams->on;
}

void streams_close(struct play *play)
{
    struct streams *streams = play->streams;
    for (uint64_t i = 0; i < streams->count; i++) {
        free(streams->talks[i]);
    }
    free(streams->talks);
    free(streams->hoards);
    free(streams);
    play->streams = NULL;
}

static uint64_t patience_of(const struct play *play)
{
    return play->tight ? tight_us : patient_us;
}

void streams_configure(struct node *node)
{
    static const uint32_t items[] = {1, 2, 5, 16, 64}, most[] = {1, 3, 64, 64};
    static const uint64_t bytes[] = {16384, 65536, 2 << 20};
    const struct play *play = node->play;
    if (play->streams->on) {
        node->config.stream_items = items[streams_below(play, 5)];
        node->config.stream_bytes = bytes[streams_below(play, 3)];
        node->config.streams = most[streams_below(play, 4)];
        node->config.call_timeout_us = patience_of(play);
    }
}

int streams_register(struct node *node)
{
    return node->play->streams->on ? items_register(node) : WB_OK;
}

/* ---- beginning ---- */

static void draw_side(struct side *side)
{
    const struct play *play = side->node->play;
    uint64_t kind = streams_below(play, 16);
    side->tells = streams_below(play, 4) != 0;
    static const enum side_plan plans[] = {SIDE_DROPS, SIDE_DROPS, SIDE_DROPS_FINISHED, SIDE_ABORTS,
                                           SIDE_ABORTS};
    side->plan = kind < 5 ? plans[kind] : SIDE_IN_ORDER;
    side->plan_at = streams_below(play, 1 + streams_below(play, 2 * MOST_QUOTA));
    side->told = true;
}

static struct talk *draw_talk(struct node *node, unsigned target)
{
    static const uint64_t hasty_us[] = {3000, 50000, 1000000};
    struct play *play = node->play;
    struct talk *talk = talk_add(play->streams);
    talk->kind = streams_below(play, 2) == 0 ? FLOW_UP : EBB_UP;
    talk->hasty = streams_below(play, 8) == 0;
    talk->timeout_us = talk->hasty ? hasty_us[streams_below(play, 3)] : patience_of(play);
    talk->sides[0].node = node;
    talk->sides[1].node = &play->nodes[target];
    talk->sides[1].listens = streams_below(play, 4) == 0;
    for (unsigned i = 0; i < 2; i++) {
        draw_side(&talk->sides[i]);
        talk->ways[i].quota = streams_below(play, 1 + streams_below(play, MOST_QUOTA));
    }
    return talk;
}

static uint64_t opening_seed(const struct talk *talk)
{
    return talk->number << 40;
}

static void begin(struct side *side, struct wb_peer *peer)
{
    const struct talk *talk = side->talk;
    struct play *play = side->node->play;
    static uint8_t bytes[OPENING_RAW];
    wb_bytes raw = {.data = bytes, .len = talk->number * 131 % OPENING_RAW};
    bytes_fill(play, bytes, raw.len, opening_seed(talk));
    struct wb_stream_options options = {
        .timeout_us = talk->timeout_us, .ready = side->tells ? side_ready : NULL, .user = side};
    struct wb_stream *stream = NULL;
    sim_trace(side->node->devices[0], "wb_sim: stream begins", talk->number,
              side_other(side)->node->number, talk->kind);
    int status = items_open(peer, talk->kind, talk->number, raw, &options, &stream);
    if (status == WB_OK) {
        side->stream = side->dropped ? NULL : stream; /* its `ready` may have dropped it */
        side->began = true;
        play->summary.streams++;
        return;
    }
    play->summary.streams_refused++;
    if (side->began || stream != NULL) {
        play_fail(play, "stream %llu was refused, and is there", (unsigned long long)talk->number);
    }
    side->dropped = true;
    if (status != WB_AGAIN && status != WB_ERR_BUSY && status != WB_ERR_NOT_SENT) {
        side_check_refusal(side, "open", status);
    }
}

static struct link *some_link(struct node *node)
{
    unsigned index = (unsigned)streams_below(node->play, NODE_LINKS + 1);
    return index < NODE_LINKS ? &node->links[index] : &node->back;
}

static void begin_some(struct play *play)
{
    struct node *node = &play->nodes[streams_below(play, play->host_count)];
    struct link *link = some_link(node);
    if (node_runs(node) && link->peer != NULL && streams_count(play) < MOST_OPEN) {
        sim_host_enter(node->host);
        begin(&draw_talk(node, link->target)->sides[0], link->peer);
    }
}

void streams_begin_in_order(struct node *node, struct link *link)
{
    if (!node->play->streams->on) {
        return;
    }
    struct talk *talk = draw_talk(node, link->target);
    talk->hasty = false;
    talk->timeout_us = patience_of(node->play);
    talk->sides[0].plan = talk->sides[1].plan = SIDE_IN_ORDER;
    sim_host_enter(node->host);
    begin(&talk->sides[0], link->peer);
}

/* ---- serving ---- */

static struct side *recognise(struct node *node, enum item_type kind, uint64_t number, wb_bytes raw)
{
    struct talk *talk = talk_find(node->play->streams, number);
    if (talk == NULL || talk->kind != kind || talk->sides[1].node != node || talk->served > 0) {
        play_fail(node->play, "host %u is to serve stream %llu, which nobody opened so, or again",
                  node->number, (unsigned long long)number);
    }
    size_t wanted = number * 131 % OPENING_RAW;
    if (raw.len != wanted ||
        bytes_check(node->play, raw.data, raw.len, opening_seed(talk)) != wanted) {
        play_fail(node->play, "the opening of stream %llu is wrong", (unsigned long long)number);
    }
    talk->served++;
    if (node->play->streams->first >= number) { /* who opened it has dropped it already */
        node->play->streams->first = number - 1;
    }
    node->play->summary.streams_served++;
    return &talk->sides[1];
}

/* The handler fails; in some cases it has dropped the stream before. */
static int refuse(struct side *side, struct wb_context *context)
{
    char text[sizeof side->error.text];
    side->talk->refused = true;
    side->node->play->summary.streams_refused++;
    talk_words(side, true, text, sizeof text);
    if (streams_below(side->node->play, 2) == 0) {
        side_drop(side);
    }
    side->stream = NULL;
    side->dropped = true;
    return wb_context_fail(context, talk_code(side, true), "%s", text);
}

int streams_serve(struct node *node, struct wb_context *context, struct wb_stream *stream,
                  enum item_type kind, uint64_t number, wb_bytes raw)
{
    struct side *side = recognise(node, kind, number, raw);
    sim_trace(node->devices[0], "wb_sim: stream is served", number, 0, 0);
    side->stream = stream;
    side->began = true;
    if (side->tells) {
        wb_stream_on_ready(stream, side_ready, side);
    }
    if (side->plan != SIDE_IN_ORDER && streams_below(node->play, 6) == 0) {
        return refuse(side, context);
    }
    if (streams_below(node->play, 2) == 0) {
        side_turn(side); /* it may be over then */
    }
    return WB_OK;
}

/* ---- turns ---- */

/* Some of who has a `ready` has none for a while. */
static void change_ready(struct side *side)
{
    side->tells = !side->tells;
    side->told = side->told || !side->tells;
    if (!side->tells) {
        wb_stream_on_ready(side->stream, NULL, NULL);
    } else {
        wb_stream_on_ready(side->stream, side_ready, side);
    }
}

/* What the program of a side does at a step. */
static bool act(struct side *side)
{
    if (!node_runs(side->node)) {
        return false;
    }
    sim_host_enter(side->node->host);
    const struct play *play = side->node->play;
    bool done = (play->let_go || streams_below(play, 4) == 0) && side_let_go(side);
    if (side->stream != NULL && !play->let_go && streams_below(play, 64) == 0) {
        change_ready(side);
    }
    bool tries = side->stream != NULL && (side->told || !side->tells);
    return (tries && side_turn(side)) || done;
}

/* Those at the front that are over are looked at no more. */
static void advance(struct streams *streams)
{
    while (streams->first < streams->count && talk_is_over(streams->talks[streams->first])) {
        streams->first++;
    }
}

void streams_step(struct play *play)
{
    struct streams *streams = play->streams;
    if (!streams->on) {
        return;
    }
    advance(streams);
    hoards_step(play);
    if (streams_below(play, STEPS_AN_OPEN) == 0) {
        begin_some(play);
    }
    for (unsigned i = 0; i < SIDES_A_STEP && streams->first < streams->count; i++) {
        uint64_t index = streams->first + streams_below(play, streams->count - streams->first);
        act(&streams->talks[index]->sides[streams_below(play, 2)]);
    }
    for (uint64_t i = streams->first; i < streams->count; i++) {
        talk_check(streams->talks[i]);
    }
    for (unsigned i = 0; i < play->host_count; i++) {
        if (play->nodes[i].engine != NULL) {
            model_check_node(&play->nodes[i], false);
        }
    }
}

bool streams_turn(struct node *node)
{
    struct streams *streams = node->play->streams;
    bool done = false;
    hoard_drop(node);
    advance(streams);
    for (uint64_t i = streams->first; i < streams->count; i++) {
        for (unsigned k = 0; k < 2; k++) {
            struct side *side = &streams->talks[i]->sides[k];
            done |= side->node == node && act(side);
        }
        talk_check(streams->talks[i]);
    }
    return done;
}

/* ---- ends ---- */

/* Handles are still to be dropped; what was taken may stay longer. */
static void forget(struct side *side)
{
    struct item item;
    if (wb_stream_status(side->stream, NULL) == WB_OK) {
        play_fail(side->node->play, "stream %llu of host %u goes on, and its engine has ended",
                  (unsigned long long)side->talk->number, side->node->number);
    }
    side->in_order = false; /* of all that is left the engine says that it was closed */
    side_look(side);
    if (items_next(side->stream, side_in_type(side), &item) != side->end) {
        play_fail(side->node->play, "stream %llu of host %u has an item, and its engine has ended",
                  (unsigned long long)side->talk->number, side->node->number);
    }
    side_drop(side);
}

void streams_forget(struct node *node)
{
    struct streams *streams = node->play->streams;
    for (uint64_t i = streams->first; i < streams->count; i++) {
        for (unsigned k = 0; k < 2; k++) {
            struct side *side = &streams->talks[i]->sides[k];
            if (side->node == node && side->stream != NULL) {
                node->play->summary.streams_orphaned++;
                forget(side);
            }
        }
    }
}

unsigned streams_count(const struct play *play)
{
    const struct streams *streams = play->streams;
    unsigned count = 0;
    for (uint64_t i = streams->first; i < streams->count; i++) {
        const struct side *sides = streams->talks[i]->sides;
        count += sides[0].stream != NULL ? 1 : 0;
        count += sides[1].stream != NULL ? 1 : 0;
    }
    return count;
}

void streams_check_ended(const struct play *play)
{
    const struct streams *streams = play->streams;
    for (uint64_t i = 0; i < streams->count; i++) {
        const struct talk *talk = streams->talks[i];
        for (unsigned k = 0; k < 2; k++) {
            const struct side *side = &talk->sides[k];
            const struct way *ways = talk->ways;
            if (side->stream != NULL) {
                play_fail(play,
                          "stream %llu of host %u has not ended: up %llu of %llu items taken, down "
                          "%llu of %llu; it is %stold, and has %sfinished",
                          (unsigned long long)talk->number, side->node->number,
                          (unsigned long long)ways[0].taken, (unsigned long long)ways[0].sent,
                          (unsigned long long)ways[1].taken, (unsigned long long)ways[1].sent,
                          side->told ? "" : "not ", ways[k].finished ? "" : "not ");
            }
        }
    }
}

void streams_check_quiet(const struct node *node)
{
    if (node->play->streams->on) {
        model_check_node(node, true);
    }
}
