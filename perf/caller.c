#include "perf/caller.h"

#include <stdlib.h>

#include "perf/actions.h"
#include "perf/common_patience.h"
#include "perf/common_say.h"
#include "perf/pieces.h"
#include "perf/ticks.h"

enum {
    ROOM_US = 1000,
    REPLY_ON_BOARD =
        512 /* a reply's payload that surely comes in its message, or the rest of one */
};

struct flight {
    struct wb_call *call;
    uint64_t begun;         /* ticks */
    uint64_t expected;      /* the answer */
    size_t argument, reply; /* bytes */
};

uint64_t calls_patience_us(size_t size, uint32_t window, uint32_t threads)
{
    uint64_t bytes;
    if (__builtin_mul_overflow((uint64_t)size, 2 * (uint64_t)window * threads, &bytes)) {
        bytes = UINT64_MAX;
    }
    return patience_us(bytes);
}

static bool wants_words(const struct calls_wanted *wanted)
{
    return wanted->path == PATH_EAGER && wanted->size == sizeof(uint64_t) && wanted->chunks == 1 &&
           wanted->reply == 0 && wanted->trace == NULL;
}

int caller_open(struct caller *caller, struct wb_engine *engine, struct wb_peer *const *peers,
                const struct calls_wanted *wanted, uint32_t burst)
{
    *caller = (struct caller){.engine = engine,
                              .peers = peers,
                              .wanted = *wanted,
                              .words = wants_words(wanted),
                              .exchange = exchange_of(wanted),
                              .stamp = 1,
                              .span = SPAN_ALWAYS};
    caller->flights = calloc(wanted->window, sizeof *caller->flights);
    int status = caller->flights != NULL ? WB_OK : WB_ERR_NO_MEMORY;
    if (status == WB_OK && !caller->words) {
        status = payloads_create(&caller->payloads, engine, wanted, burst);
    }
    if (status != WB_OK) {
        caller_close(caller);
    }
    return status;
}

void caller_close(struct caller *caller)
{
    payloads_drop(&caller->payloads);
    free(caller->flights);
    *caller = (struct caller){0};
}

void caller_write(struct caller *caller, uint32_t calls)
{
    const struct payloads *payloads = &caller->payloads;
    const struct calls_wanted *wanted = &caller->wanted;
    if (wanted->same && caller->written) {
        return;
    }
    caller->written = true;
    caller->stamp += PAYLOAD_STRIDE * 0x10000U; /* past every stamp of the last burst */
    size_t written = wanted->same ? payloads->calls : payloads->calls < calls ? 0 : calls;
    payloads_fill(&caller->payloads, wanted, written, caller->stamp);
}

/* Nothing else is on the way of what is least. */
static int begin_word(struct caller *caller, struct wb_peer *peer,
                      const struct wb_call_options *options, uint32_t i, struct flight *flight)
{
    struct perf_word_in in = {.word = caller->stamp + i * PAYLOAD_STRIDE};
    flight->expected = answer_to(in.word);
    flight->argument = sizeof in.word;
    flight->reply = 0;
    return perf_word_async(peer, &in, options, &flight->call);
}

/* Begins call number i of the burst. */
static int begin(struct caller *caller, const struct wb_call_options *options, uint32_t i,
                 struct flight *flight)
{
    const struct calls_wanted *wanted = &caller->wanted;
    const struct payloads *payloads = &caller->payloads;
    struct wb_peer *peer = caller->peers[wanted->peers > 1 ? i % wanted->peers : 0];
    if (caller->words) {
        return begin_word(caller, peer, options, i, flight);
    }
    size_t first = (size_t)i * wanted->chunks;
    uint64_t stamp = wanted->verify ? caller->stamp + piece_stamp(wanted, first) : 0;
    flight->argument = argument_of(wanted, i);
    flight->reply = reply_of(wanted, i);
    struct parcel parcel = {.stamp = stamp, .reply = flight->reply, .chunks = wanted->chunks};
    if (payloads->vectors != NULL) {
        parcel.vectors = payloads->vectors + first;
    } else if (payloads->pieces != NULL) {
        parcel.pieces = payloads->pieces + first;
    }
    flight->expected = answer_to(parcel.stamp + flight->argument);
    if (flight->reply <= REPLY_ON_BOARD) {
        return caller->exchange->begin(peer, &parcel, options, &flight->call);
    }
    struct wb_call_options roomy = *options;
    roomy.reply_bytes = flight->reply + REPLY_ON_BOARD;
    return caller->exchange->begin(peer, &parcel, &roomy, &flight->call);
}

/* Waits for the end of a call and checks its answer; *check_ticks is what the peer spent on
 * checking the payload, and *ended when the end was seen. */
static int finish(struct caller *caller, const struct flight *flight, uint64_t *check_ticks,
                  uint64_t *ended)
{
    struct answer answer;
    if (caller->words) {
        struct perf_word_out out;
        int status = perf_word_finish(flight->call, &out);
        *ended = ticks_now();
        *check_ticks = 0;
        return status == WB_OK && out.answer != flight->expected ? WB_ERR_MALFORMED : status;
    }
    const struct expected expected = {.reply = flight->reply, .verify = caller->wanted.verify};
    int status = caller->exchange->finish(flight->call, &expected, &answer, ended);
    *check_ticks = answer.check_ns > 0 ? ticks_from_ns(answer.check_ns) : 0;
    return status == WB_OK && answer.word != flight->expected ? WB_ERR_MALFORMED : status;
}

/* Counts a round trip without the time of its own check; the checks of others in the window stay
 * in. */
static void count(struct caller *caller, const struct flight *flight, uint64_t now,
                  uint64_t check_ticks)
{
    uint64_t took = now - flight->begun;
    caller->check_ticks += check_ticks;
    if (now < caller->span.from || now >= caller->span.to) {
        return;
    }
    caller->carried += flight->argument + flight->reply;
    if (caller->rtt != NULL) {
        histogram_add(caller->rtt, took > check_ticks ? took - check_ticks : 0, 1);
    }
}

/* A failed burst's calls are waited for, so that their payloads are free. */
static int drain(struct caller *caller, uint32_t ended, uint32_t begun, int status)
{
    for (; ended < begun; ended++) {
        uint64_t ignored;
        finish(caller, &caller->flights[ended % caller->wanted.window], &ignored, &ignored);
    }
    return status;
}

/* Begins calls until the window is full or all have begun, the first of them `now`. Returns WB_OK,
 * WB_AGAIN (no room for the next one now), or how one failed to begin. */
static int fill_window(struct caller *caller, const struct wb_call_options *options, uint32_t calls,
                       uint32_t ended, uint32_t *begun, uint64_t now)
{
    const uint32_t window = caller->wanted.window;
    /* mostly one begins where one has just ended, and the clock need not be read again */
    for (; *begun < calls && *begun - ended < window; now = 0) {
        struct flight *flight = &caller->flights[*begun % window];
        flight->begun = now != 0 ? now : ticks_now();
        int status = begin(caller, options, *begun, flight);
        if (status != WB_OK) {
            return status;
        }
        ++*begun;
    }
    return WB_OK;
}

/* Lets the engine make room for a call when none is open. *since is 0 when the waiting begins. */
static int await_room(struct caller *caller, uint64_t *since)
{
    uint64_t now = clock_ns();
    *since = *since == 0 ? now : *since;
    int done = wb_wait(caller->engine, ROOM_US);
    return done < 0                                             ? done
           : (now - *since) / 1000 > caller->wanted.patience_us ? WB_ERR_TIMED_OUT
                                                                : WB_OK;
}

int caller_burst(struct caller *caller, uint32_t calls)
{
    struct wb_call_options options = {
        .timeout_us = caller->wanted.patience_us,
        .flags = caller->wanted.path <= PATH_COPY ? WB_CALL_COPY : 0,
        .error = &caller->error,
    };
    uint32_t begun = 0, ended = 0;
    uint64_t waiting_since = 0;
    uint64_t now = ticks_now();
    caller->check_ticks = caller->carried = 0;
    caller->start = now;
    while (ended < calls) {
        int status = fill_window(caller, &options, calls, ended, &begun, now);
        if (status == WB_AGAIN && begun == ended) {
            status = await_room(caller, &waiting_since);
            now = ticks_now();
        } else if (status == WB_OK || status == WB_AGAIN) {
            struct flight *oldest = &caller->flights[ended % caller->wanted.window];
            uint64_t check_ticks;
            status = finish(caller, oldest, &check_ticks, &now);
            ended++;
            count(caller, oldest, now, check_ticks);
            waiting_since = 0;
        }
        if (status != WB_OK) {
            return drain(caller, ended, begun, status);
        }
    }
    caller->end = now;
    return WB_OK;
}

const char *caller_words(const struct caller *caller, int status)
{
    if (status == WB_ERR_REMOTE && caller->error.text[0] != '\0') {
        return caller->error.text;
    }
    if (status == WB_ERR_MALFORMED) {
        return "the answer is wrong";
    }
    for (uint32_t i = 0; i < caller->wanted.peers; i++) {
        if (wb_peer_state(caller->peers[i]) == WB_PEER_LOST) {
            return wb_peer_reason(caller->peers[i]);
        }
    }
    return wb_status_text(status);
}
