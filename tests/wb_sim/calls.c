#include "tests/wb_sim/calls.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/simverbs/model.h"
#include "tests/support/pattern.h"
#include "tests/wb_sim/actions.h"
#include "tests/wb_sim/bytes.h"
#include "tests/wb_sim/later.h"
#include "tests/wb_sim/own.h"
#include "tests/wb_sim/play.h"
#include "tests/wb_sim/wishes.h"

enum {
    REPLY_SLACK = 8192,   /* each part of a reply is rounded up */
    OVERDUE_TURNS = 2000, /* of its engine, after all has run out for a call */
};

static const uint64_t overdue_us = 9000000; /* beyond its deadline: grace, liveness, retries */

/* Longer than it takes to notice that a peer is gone. Where connections come again by themselves a
 * call waits for one until its deadline, and all others meanwhile do nothing but look on. */
static const uint32_t most_patience_us = 20000000;

static uint64_t room_for_reply(struct play *play, const struct entry *entry)
{
    uint64_t vector = entry_vector_back(entry);
    bool chunk = (entry->flags & WB_CALL_COPY) == 0 && vector >= WB_GATHER_RMA;
    uint64_t bytes = (uint64_t)entry->text_bytes + entry->raw_bytes;
    bytes += entry->own && chunk ? 0 : vector;
    bytes = entry->kind == CALL_WORK ? bytes : 0;
    uint64_t needed = bytes < 300 ? 0 : bytes + REPLY_SLACK;
    return entry->tight ? play_below(play, needed) : needed;
}

static void count_kind(struct node *node, const struct entry *entry)
{
    struct summary *summary = &node->play->summary;
    bool copied = (entry->flags & WB_CALL_COPY) != 0;
    summary->calls++;
    summary->copied_archives += copied;
    summary->long_lists += entry->kind == CALL_MANY && !copied;
    summary->pointer_chunks += !copied && entry->raw_bytes >= node->config.pointer_threshold;
    summary->rma_chunks +=
        !copied && entry->elem_size * entry->elem_count >= node->config.rma_threshold;
    summary->own_vectors += entry->own && !copied && entry_vector_back(entry) > 0;
}

/* ---- beginning ---- */

/* Whoever reads the arguments from now on reads something else. */
static void on_sent(void *user)
{
    struct open_call *open = user;
    open->sents++;
    if (open->spoils) {
        memset(open->memory, 0xa5, open->memory_bytes);
    }
}

/* It is finished where ended calls are taken. */
static void on_end(struct wb_call *call, void *user)
{
    struct open_call *open = user;
    (void)call;
    open->ends++;
}

/* The text, the raw bytes and the ranges of a call, one behind the other in one allocation, which
 * is spoilt when the call has been finished. */
static void fill_memory(const struct play *play, struct open_call *open, const struct entry *entry)
{
    unsigned ranges = entry->kind == CALL_MANY ? SIM_RANGE_COUNT : 0;
    size_t own = entry->text_bytes + entry->raw_bytes;
    open->memory_bytes = own + (size_t)ranges * CALL_MOST_RANGE;
    open->memory = malloc(open->memory_bytes + 1);
    if (open->memory == NULL) {
        abort();
    }
    bytes_fill(play, open->memory, entry->text_bytes, entry_seed(entry, PART_TEXT));
    bytes_fill(play, open->memory + entry->text_bytes, entry->raw_bytes,
               entry_seed(entry, PART_RAW));
    for (unsigned i = 0; i < ranges; i++) {
        bytes_fill(play, open->memory + own + (size_t)i * CALL_MOST_RANGE,
                   entry_range_bytes(entry, i), entry_range_seed(entry, i));
    }
}

static wb_str text_of(const struct open_call *open, const struct entry *entry)
{
    return (wb_str){.data = (const char *)open->memory, .len = entry->text_bytes};
}

static wb_bytes raw_of(const struct open_call *open, const struct entry *entry)
{
    return (wb_bytes){.data = open->memory + entry->text_bytes, .len = entry->raw_bytes};
}

static wb_bytes range_of(const struct open_call *open, const struct entry *entry, unsigned i)
{
    const uint8_t *ranges = open->memory + entry->text_bytes + entry->raw_bytes;
    return (wb_bytes){.data = ranges + (size_t)i * CALL_MOST_RANGE,
                      .len = entry_range_bytes(entry, i)};
}

static int begin_many(struct wb_peer *peer, const struct open_call *open, const struct entry *entry,
                      wb_rma_vector data, const struct wb_call_options *options,
                      struct wb_call **call)
{
    struct many_in in = {.number = entry->number,
                         .text = text_of(open, entry),
                         .raw = raw_of(open, entry),
                         .data = data};
    unsigned i = 0;
#define RANGE(kind, type, name) in.name = range_of(open, entry, i++);
    SIM_RANGES(RANGE)
#undef RANGE
    return many_async(peer, &in, options, call);
}

static int begin(struct wb_peer *peer, const struct open_call *open, const struct entry *entry,
                 wb_rma_vector data, const struct wb_call_options *options, struct wb_call **call)
{
    struct work_in in = {.number = entry->number,
                         .text = text_of(open, entry),
                         .raw = raw_of(open, entry),
                         .data = data};
    struct absent_in nothing = {.hold = {.call = NULL}};
    switch (entry->kind) {
    case CALL_MANY:
        return begin_many(peer, open, entry, data, options, call);
    case CALL_ABSENT:
        return absent_async(peer, &nothing, options, call);
    default:
        return work_async(peer, &in, options, call);
    }
}

/* The vector of a call, or the empty one if there is none or no room for it. */
static wb_rma_vector make_vector(struct node *node, struct entry *entry)
{
    wb_rma_vector data = {.data = NULL};
    if (entry->elem_size > 0 &&
        wb_rma_vector_create(wb_engine_allocator(node->engine), entry->elem_size, entry->elem_count,
                             &data) == WB_OK) {
        bytes_fill(node->play, data.data, wb_rma_vector_bytes(&data), entry_seed(entry, PART_DATA));
    } else {
        entry->elem_size = entry->elem_count = 0;
    }
    return data;
}

static void free_call(struct open_call *open)
{
    if (open->memory_bytes > 0) {
        memset(open->memory, 0xee, open->memory_bytes); /* whoever still reads it reads that */
    }
    free(open->memory);
    wb_rma_vector_drop(&open->own);
    free(open);
}

static bool may_be_refused(const struct node *node, int status)
{
    const struct play *play = node->play;
    return (status == WB_ERR_CLOSED && node->draining) || status == WB_AGAIN ||
           status == WB_ERR_NOT_SENT || (status == WB_ERR_BUDGET && play->tight) ||
           ((status == WB_ERR_NO_MEMORY || status == WB_ERR_SYSTEM) && !play->calm);
}

/* It was refused at once: it must never be executed. */
static void refused(struct node *node, struct open_call *open, struct entry *entry, int status)
{
    if (!may_be_refused(node, status)) {
        play_fail(node->play, "call %llu of host %u was refused: %s: %s",
                  (unsigned long long)entry->number, node->number, wb_status_name(status),
                  wb_last_error());
    }
    entry->state = CALL_ENDED;
    entry->status = WB_ERR_NOT_SENT;
    node->play->summary.refused++;
    free_call(open);
}

/* Whether the fabric registers so many ranges at once: of few, each lane has a part. */
static bool takes_ranges(const struct node *node)
{
    uint32_t most = node->engine->lanes[0]->caps->max_pins;
    return most == 0 || most >= SIM_RANGE_COUNT;
}

void call_begin(struct node *node, unsigned target, struct wb_peer *peer, bool inside)
{
    struct play *play = node->play;
    struct entry *entry = ledger_add(&play->ledger);
    struct open_call *open = sim_new(sizeof *open);
    wishes_draw(play, entry);
    bool many = entry->kind == CALL_MANY && takes_ranges(node);
    entry->kind = entry->kind == CALL_MANY && !many ? CALL_WORK : entry->kind;
    later_draw(play, entry);
    entry->caller = node->number;
    entry->callee = target;
    entry->begun_ns = sim_now_ns();
    wb_rma_vector data = make_vector(node, entry);
    own_open(node, open, entry);
    /* the threshold as it is, so that nothing is gathered: long lists are what these are for */
    size_t exact = many ? node->config.pointer_threshold : 0;
    struct wb_call_options options = {.timeout_us = entry->timeout_us,
                                      .pointer_threshold = exact,
                                      .reply_bytes = room_for_reply(play, entry),
                                      .flags = entry->flags,
                                      .error = &open->error,
                                      .on_sent = play->options->gives_up ? on_sent : NULL,
                                      .then = play->options->gives_up ? on_end : NULL,
                                      .user = open,
                                      .into = &open->own,
                                      .into_count = entry->own};
    open->spoils = entry->spoils;
    open->number = entry->number;
    open->peer = inside || peer == node->back.peer ? NULL : peer;
    fill_memory(node->play, open, entry);
    sim_trace(node->devices[0], "wb_sim: call begins", entry->number, target, entry->kind);
    int status = begin(peer, open, entry, data, &options, &open->call);
    wb_rma_vector_drop(&data); /* the call has its own reference */
    entry = ledger_find(&play->ledger, open->number);
    if (status != WB_OK) {
        refused(node, open, entry, status);
        return;
    }
    count_kind(node, entry);
    own_begun(open);
    open->next = node->calls;
    node->calls = open;
    node->call_count++;
}

/* ---- ends ---- */

/* Whether the connection may have gone, or never have come to be. */
static bool may_be_lost(const struct play *play, const struct entry *entry)
{
    return play_may_be_lost(play, entry->caller, entry->callee, entry->begun_ns) ||
           strstr(wb_last_error(), "(max_peers") != NULL;
}

static bool is_allowed(const struct play *play, const struct entry *entry, int status)
{
    uint64_t took_us = (entry->ended_ns - entry->begun_ns) / 1000;
    bool served = (entry->wish & WISH_FAIL) == 0 && entry->kind != CALL_ABSENT;
    switch (status) {
    case WB_OK:
        return served && entry->executed == 1;
    case WB_ERR_REMOTE:
        return (entry->wish & WISH_FAIL) != 0 && entry->executed == 1;
    case WB_ERR_UNKNOWN_ACTION:
        return entry->kind == CALL_ABSENT;
    case WB_ERR_TIMED_OUT: /* in a calm run only where time is short, or the program has the pool */
        return took_us >= entry->timeout_us &&
               (!play->calm || entry->timeout_us < wishes_patient_us ||
                strstr(wb_last_error(), "(max_peers") != NULL);
    case WB_ERR_CANCELLED:
        return entry->given_up;
    case WB_ERR_REPLY_TOO_LARGE:
        return entry->tight;
    case WB_ERR_PEER_LOST:
        return may_be_lost(play, entry) && !(entry->answered && play->calm);
    case WB_ERR_CLOSED:
        return may_be_lost(play, entry);
    case WB_ERR_NOT_SENT:
        return may_be_lost(play, entry) && entry->executed == 0;
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

static void check_result(const struct play *play, const struct entry *entry,
                         const struct work_out *out)
{
    bool made = (entry->wish & WISH_MAKE) != 0;
    if (out->number != entry->number) {
        play_fail(play, "call %llu got the result of call %llu", (unsigned long long)entry->number,
                  (unsigned long long)out->number);
    }
    bytes_must_be(play, entry, "the text that came back", out->text.data, out->text.len,
                  entry->text_bytes, entry_seed(entry, PART_TEXT));
    bytes_must_be(play, entry, "the raw bytes that came back", out->raw.data, out->raw.len,
                  entry->raw_bytes, entry_seed(entry, PART_RAW));
    bytes_must_be(play, entry, "the vector that came back", out->data.data,
                  wb_rma_vector_bytes(&out->data), entry_vector_back(entry),
                  entry_seed(entry, made ? PART_MADE : PART_DATA));
}

static int finish_work(const struct play *play, struct open_call *open, const struct entry *entry)
{
    struct work_out out;
    int status = work_finish(open->call, &out);
    if (status == WB_OK) {
        check_result(play, entry, &out);
        own_check(play, open, &out.data);
    } else if (out.number != 0 || out.text.len != 0 || out.data.block != NULL) {
        play_fail(play, "call %llu ended with %s and with a result",
                  (unsigned long long)entry->number, wb_status_name(status));
    }
    work_out_drop(&out);
    own_close(play, open);
    return status;
}

static int finish(const struct play *play, struct open_call *open, const struct entry *entry)
{
    struct many_out many;
    struct absent_out nothing;
    int status;
    switch (entry->kind) {
    case CALL_MANY:
        status = many_finish(open->call, &many);
        if (status == WB_OK && many.number != entry->number) {
            play_fail(play, "call %llu got the result of another",
                      (unsigned long long)entry->number);
        }
        many_out_drop(&many);
        return status;
    case CALL_ABSENT:
        status = absent_finish(open->call, &nothing);
        absent_out_drop(&nothing);
        return status;
    default:
        return finish_work(play, open, entry);
    }
}

static void check_remote_error(const struct play *play, const struct entry *entry,
                               const struct wb_error *error)
{
    char text[sizeof error->text];
    snprintf(text, sizeof text, "call %llu fails", (unsigned long long)entry->number);
    if (error->code != (int)(entry->number % 90) + 1 || strcmp(error->text, text) != 0) {
        play_fail(play, "call %llu failed with code %d and the words '%s'",
                  (unsigned long long)entry->number, error->code, error->text);
    }
}

static void check_told(const struct play *play, const struct open_call *open)
{
    unsigned wanted = play->options->gives_up ? 1 : 0;
    if (open->sents != wanted || open->ends != wanted) {
        play_fail(play, "call %llu was said to be sent %u times, and to have ended %u times",
                  (unsigned long long)open->number, open->sents, open->ends);
    }
}

static void take(struct node *node, struct open_call *open)
{
    struct play *play = node->play;
    struct entry *entry = ledger_find(&play->ledger, open->number);
    entry->ended_ns = sim_now_ns();
    entry->state = CALL_ENDED;
    entry->status = finish(play, open, entry);
    sim_trace(node->devices[0], "wb_sim: call has ended", entry->number, (uint64_t)-entry->status,
              entry->executed);
    if (!is_allowed(play, entry, entry->status)) {
        play_fail(play,
                  "call %llu from host %u to %u ended with %s after %llu us (executed %u times, "
                  "deadline %llu us): %s",
                  (unsigned long long)entry->number, entry->caller, entry->callee,
                  wb_status_name(entry->status),
                  (unsigned long long)(entry->ended_ns - entry->begun_ns) / 1000, entry->executed,
                  (unsigned long long)entry->timeout_us, wb_last_error());
    }
    check_told(play, open);
    if (entry->status == WB_ERR_REMOTE) {
        check_remote_error(play, entry, &open->error);
    }
    play->summary.ends[-entry->status]++;
    node->call_count--;
    free_call(open);
}

/* Its engine had all the turns that it needs: the call hangs. */
static void find_hanging(const struct node *node, struct open_call *open)
{
    const struct entry *entry = ledger_find(&node->play->ledger, open->number);
    uint64_t took_us = (sim_now_ns() - entry->begun_ns) / 1000;
    if (took_us > entry->timeout_us + overdue_us && ++open->overdue_turns > OVERDUE_TURNS) {
        play_fail(node->play,
                  "call %llu from host %u to %u hangs: begun %llu us ago, deadline %llu us",
                  (unsigned long long)entry->number, entry->caller, entry->callee,
                  (unsigned long long)took_us, (unsigned long long)entry->timeout_us);
    }
}

static void give_up(const struct node *node, const struct open_call *open)
{
    struct entry *entry = ledger_find(&node->play->ledger, open->number);
    uint64_t took_us = (sim_now_ns() - entry->begun_ns) / 1000;
    if (entry->patience_us > 0 && took_us >= entry->patience_us && !entry->given_up) {
        entry->given_up = true;
        wb_call_cancel(open->call);
    }
}

void calls_take_ended(struct node *node)
{
    struct open_call **at = &node->calls;
    while (*at != NULL) {
        struct open_call *open = *at;
        if (wb_call_done(open->call)) {
            *at = open->next;
            take(node, open);
        } else {
            find_hanging(node, open);
            give_up(node, open);
            at = &open->next;
        }
    }
}

void calls_give_up_beside(struct node *node)
{
    sim_host_enter(node->host);
    for (struct open_call *open = node->calls; open != NULL && node->sleeping; open = open->next) {
        give_up(node, open);
    }
}

void calls_abandon(struct node *node)
{
    while (node->calls != NULL) {
        struct open_call *open = node->calls;
        node->calls = open->next;
        ledger_find(&node->play->ledger, open->number)->state = CALL_ABANDONED;
        node->play->summary.abandoned++;
        node->call_count--;
        free_call(open);
    }
}

void calls_forget_peer(struct node *node, const struct wb_peer *peer)
{
    for (struct open_call *open = node->calls; open != NULL; open = open->next) {
        if (open->peer == peer) {
            open->peer = NULL;
        }
    }
}

void call_and_wait(struct node *node, struct link *link)
{
    uint64_t number = node->play->ledger.count + 1;
    call_begin(node, link->target, link->peer, false);
    if (node->calls == NULL || node->calls->number != number) {
        return; /* it was refused */
    }
    struct entry *entry = ledger_find(&node->play->ledger, number);
    later_await(entry);
    if (node->play->options->gives_up && !node->play->calm && entry->patience_us == 0) {
        entry->patience_us = most_patience_us;
    }
    node->turning = node->sleeping = true;
    later_adopt(node, true);
    int status = wb_call_wait(node->calls->call, UINT64_MAX);
    later_adopt(node, false);
    node->turning = node->sleeping = false;
    if (status != WB_OK) {
        play_fail(node->play, "waiting for a call: %s", wb_status_name(status));
    }
    calls_take_ended(node);
}
