#include "tests/wb_sim/stream_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/stream.h"
#include "tests/simverbs/model.h"
#include "tests/wb_sim/play.h"

enum { ITEM_SLACK = 1024, BUDGETS_A_STREAM = 64, BUDGETS_ALL = 4 };

/* ---- talks ---- */

struct way *side_out(struct side *side)
{
    return &side->talk->ways[side->opener ? 0 : 1];
}

struct way *side_in(struct side *side)
{
    return &side->talk->ways[side->opener ? 1 : 0];
}

enum item_type side_out_type(const struct side *side)
{
    return side->talk->kind + (side->opener ? 0 : 1);
}

enum item_type side_in_type(const struct side *side)
{
    return side->talk->kind + (side->opener ? 1 : 0);
}

struct side *side_other(struct side *side)
{
    return &side->talk->sides[side->opener ? 1 : 0];
}

struct talk *talk_add(struct streams *streams)
{
    if (streams->count == streams->room) {
        streams->room = streams->room * 2 + 64;
        streams->talks = realloc(streams->talks, streams->room * sizeof(struct talk *));
        if (streams->talks == NULL) {
            abort();
        }
    }
    struct talk *talk = sim_new(sizeof *talk);
    streams->talks[streams->count++] = talk;
    talk->number = streams->count;
    talk->begun_ns = sim_now_ns();
    for (unsigned i = 0; i < 2; i++) {
        talk->sides[i].talk = talk;
        talk->sides[i].opener = i == 0;
    }
    return talk;
}

struct talk *talk_find(const struct streams *streams, uint64_t number)
{
    return number >= 1 && number <= streams->count ? streams->talks[number - 1] : NULL;
}

bool talk_is_over(const struct talk *talk)
{
    bool over = true;
    for (unsigned i = 0; i < 2; i++) {
        over &= talk->sides[i].stream == NULL && talk->sides[i].held == NULL;
    }
    return over;
}

int talk_code(const struct side *side, bool refuses)
{
    return (int)(side->talk->number % 90) + (side->opener ? 1 : 101) + (refuses ? 200 : 0);
}

void talk_words(const struct side *side, bool refuses, char *text, size_t size)
{
    snprintf(text, size, "stream %llu is %s by host %u", (unsigned long long)side->talk->number,
             refuses ? "refused" : "aborted", side->node->number);
}

/* ---- ends ---- */

static bool may_be_lost(const struct side *side)
{
    const struct talk *talk = side->talk;
    const struct play *play = side->node->play;
    unsigned a = talk->sides[0].node->number, b = talk->sides[1].node->number;
    const struct wb_peer *peer = side->stream != NULL ? side->stream->peer : NULL;
    return play_may_be_lost(play, a, b, talk->begun_ns) ||
           play_may_be_lost(play, b, a, talk->begun_ns) ||
           (peer != NULL && strstr(peer->reason, "(max_peers") != NULL);
}

/* With the other side's own code and words. */
static bool may_be_remote(struct side *side)
{
    struct side *other = side_other(side);
    bool refused = side->opener && side->talk->refused;
    char text[sizeof side->error.text];
    talk_words(other, refused, text, sizeof text);
    return (refused || other->aborted) && side->error.code == talk_code(other, refused) &&
           strcmp(side->error.text, text) == 0;
}

int side_end(struct side *side)
{
    return side->end == WB_OK && side->stream != NULL ? wb_stream_status(side->stream, NULL)
                                                      : side->end;
}

static bool may_be_cancelled(struct side *side)
{
    struct side *other = side_other(side);
    const struct play *play = side->node->play;
    return side->aborted || other->early || side_end(other) != WB_OK ||
           (other->stream == NULL && !play->calm);
}

static bool is_allowed(struct side *side, int status)
{
    const struct talk *talk = side->talk;
    const struct play *play = side->node->play;
    switch (status) {
    case WB_ERR_CANCELLED:
        return may_be_cancelled(side);
    case WB_ERR_REMOTE:
        return may_be_remote(side);
    case WB_ERR_TIMED_OUT: /* in a calm run where time is short, or others have the pool */
        return talk->hasty || play->tight || !play->calm || may_be_lost(side);
    case WB_ERR_PEER_LOST:
    case WB_ERR_NOT_SENT:
    case WB_ERR_CLOSED:
        return may_be_lost(side);
    case WB_ERR_BUSY:
        return side->opener && talk->served == 0;
    case WB_ERR_BUDGET:
        return play->tight || !play->calm;
    case WB_ERR_NO_MEMORY:
    case WB_ERR_INVALID: /* of ibv_reg_mr */
    case WB_ERR_SYSTEM:
        return !play->calm;
    default:
        return false;
    }
}

/* Whether all has been taken here, and the finish has arrived over there. */
static bool has_ended_in_order(struct side *side)
{
    return side->took_end && side_out(side)->finished && side->stream->lane != NULL &&
           !side->stream->owes_finish && side->stream->in_flight == 0;
}

/* What is true of it now, and stays so. */
static void note(struct side *side, int status)
{
    const struct wb_stream *stream = side->stream;
    side->in_order |= status == WB_OK && has_ended_in_order(side);
    side->has_all |= stream->arrived == stream->total && !side->aborted && stream->lane != NULL;
}

void side_look(struct side *side)
{
    struct wb_error error = {.code = 0};
    int status = wb_stream_status(side->stream, &error);
    const struct play *play = side->node->play;
    unsigned long long number = side->talk->number;
    if (side->end != WB_OK || status == WB_OK) {
        if (status != side->end ||
            (status != WB_OK &&
             (error.code != side->error.code || strcmp(error.text, side->error.text) != 0))) {
            play_fail(play,
                      "stream %llu of host %u has ended twice: with %s (%d, '%s'), %s (%d, '%s')",
                      number, side->node->number, wb_status_name(side->end), side->error.code,
                      side->error.text, wb_status_name(status), error.code, error.text);
        }
        note(side, status);
        return;
    }
    side->error = error;
    sim_trace(side->node->devices[0], "wb_sim: stream has ended", number, side->opener,
              (uint64_t)-status);
    if (side->in_order) {
        play_fail(play, "stream %llu of host %u had ended in order, and has now ended with %s",
                  number, side->node->number, wb_status_name(status));
    }
    if (!is_allowed(side, status)) {
        play_fail(play, "stream %llu of host %u (from host %u to %u) has ended with %s (%d, '%s')",
                  number, side->node->number, side->talk->sides[0].node->number,
                  side->talk->sides[1].node->number, wb_status_name(status), error.code,
                  error.text);
    }
    side->end = status;
}

void side_check_refusal(struct side *side, const char *what, int status)
{
    struct play *play = side->node->play;
    if (side->stream != NULL) {
        side_look(side);
    }
    bool ended = side->end != WB_OK && status == side->end;
    bool closed = status == WB_ERR_CLOSED && side->node->draining;
    bool lost = (status == WB_ERR_NOT_SENT || status == WB_ERR_PEER_LOST) && may_be_lost(side);
    bool full = status == WB_ERR_BUDGET && (play->tight || !play->calm);
    bool faulty =
        (status == WB_ERR_NO_MEMORY || status == WB_ERR_SYSTEM || status == WB_ERR_INVALID) &&
        !play->calm;
    if (!ended && !closed && !lost && !full && !faulty) {
        play_fail(play, "stream %llu of host %u: %s returned %s, its status is %s: %s",
                  (unsigned long long)side->talk->number, side->node->number, what,
                  wb_status_name(status), wb_status_name(side->end), wb_last_error());
    }
}

/* ---- the window ---- */

static uint64_t window_bytes(const struct node *node)
{
    uint64_t part = node->config.budget_bytes / BUDGETS_A_STREAM;
    return node->config.stream_bytes < part ? node->config.stream_bytes : part;
}

void side_check_size(struct side *side, const struct item *item, int status)
{
    uint64_t most = window_bytes(side_other(side)->node) / 2;
    uint64_t bytes = (uint64_t)item->raw_bytes + item->data_bytes;
    const struct play *play = side->node->play;
    bool wrong =
        status == WB_OK ? bytes > most : bytes + ITEM_SLACK < most && !play->tight && play->calm;
    if (wrong) {
        play_fail(play,
                  "stream %llu: an item of %llu bytes, where the half of the window is %llu: %s",
                  (unsigned long long)side->talk->number, (unsigned long long)bytes,
                  (unsigned long long)most, wb_status_name(status));
    }
}

static void check_way(struct talk *talk, unsigned index)
{
    const struct way *way = &talk->ways[index];
    const struct node *taker = talk->sides[1 - index].node;
    uint64_t items = way->sent - way->gone, bytes = way->sent_bytes - way->gone_bytes;
    if (way->gone > way->taken || way->taken > way->sent || items > taker->config.stream_items ||
        bytes > window_bytes(taker)) {
        play_fail(taker->play,
                  "stream %llu, %s: %llu items were sent, %llu taken and %llu let go; %llu bytes "
                  "are ahead. Host %u takes %u items and %llu bytes",
                  (unsigned long long)talk->number, index == 0 ? "up" : "down",
                  (unsigned long long)way->sent, (unsigned long long)way->taken,
                  (unsigned long long)way->gone, (unsigned long long)bytes, taker->number,
                  taker->config.stream_items, (unsigned long long)window_bytes(taker));
    }
}

void talk_check(struct talk *talk)
{
    for (unsigned i = 0; i < 2; i++) {
        check_way(talk, i);
        if (talk->sides[i].stream != NULL) {
            side_look(&talk->sides[i]);
        }
    }
}

/* ---- the engine's books ---- */

static const char *wrong_with(const struct wb_stream *stream)
{
    if (stream->told > stream->taken || stream->taken > stream->next ||
        stream->granted > stream->sent || stream->granted_bytes > stream->sent_bytes) {
        return "counts what was not sent, taken or told";
    }
    if (stream->arrived - stream->taken > stream->items ||
        stream->arrived_bytes - stream->taken_bytes > stream->bytes) {
        return "holds more than its window";
    }
    return NULL;
}

/* The streams of a lane; adds to `count` and `bytes`. */
static void check_lane(const struct node *node, const struct wbi_streams *streams, uint32_t *count,
                       uint64_t *bytes)
{
    uint32_t hungry = 0;
    for (uint32_t i = 0; i < streams->size; i++) {
        const struct wb_stream *stream = streams->table[i].stream;
        if (stream == NULL) {
            continue;
        }
        const char *wrong = wrong_with(stream);
        if (wrong != NULL) {
            play_fail(node->play, "place %u of the streams of host %u %s", i, node->number, wrong);
        }
        *bytes += stream->bytes;
        hungry += stream->hungry;
        ++*count;
    }
    if (hungry != streams->hungry) {
        play_fail(node->play, "host %u has %u hungry streams, and counts %u", node->number, hungry,
                  streams->hungry);
    }
}

void model_check_node(const struct node *node, bool quiet)
{
    const struct wb_engine *engine = node->engine;
    uint64_t bytes = 0, counted = atomic_load(&engine->stream_bytes);
    uint32_t count = 0;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        check_lane(node, &engine->lanes[i]->streams, &count, &bytes);
    }
    if (bytes != counted || bytes > node->config.budget_bytes / BUDGETS_ALL ||
        (quiet && count != 0)) {
        play_fail(node->play, "host %u has %u streams of %llu bytes, and counts %llu", node->number,
                  count, (unsigned long long)bytes, (unsigned long long)counted);
    }
}
