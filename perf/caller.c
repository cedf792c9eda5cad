#include "perf/caller.h"

#include <stdlib.h>

#include "perf/actions.h"
#include "perf/common_patience.h"
#include "perf/common_say.h"
#include "perf/ticks.h"

enum { ROOM_US = 1000 };

struct flight {
    struct wb_call *call;
    uint64_t begun;    /* ticks */
    uint64_t expected; /* the answer */
};

uint64_t calls_patience_us(size_t size, uint32_t window, uint32_t threads)
{
    uint64_t bytes;
    if (__builtin_mul_overflow((uint64_t)size, 2 * (uint64_t)window * threads, &bytes)) {
        bytes = UINT64_MAX;
    }
    return patience_us(bytes);
}

bool wants_words(const struct calls_wanted *wanted)
{
    return wanted->path == PATH_EAGER && wanted->size == sizeof(uint64_t);
}

int caller_open(struct caller *caller, struct wb_engine *engine, struct wb_peer *peer,
                const struct calls_wanted *wanted, uint32_t burst)
{
    *caller = (struct caller){.engine = engine, .peer = peer, .wanted = *wanted, .stamp = 1};
    caller->flights = calloc(wanted->window, sizeof *caller->flights);
    int status = caller->flights != NULL ? WB_OK : WB_ERR_NO_MEMORY;
    if (status == WB_OK && !wants_words(wanted)) {
        status = payloads_create(&caller->payloads, engine, wanted->path, wanted->size, burst);
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
    caller->stamp += PAYLOAD_STRIDE * 0x10000U; /* past every stamp of the last burst */
    payloads_fill(&caller->payloads, caller->payloads.count < calls ? 0 : calls, caller->stamp);
}

/* Begins call number i of the burst. */
static int begin(struct caller *caller, const struct wb_call_options *options, uint32_t i,
                 struct flight *flight)
{
    uint64_t stamp = caller->stamp + i * PAYLOAD_STRIDE;
    if (wants_words(&caller->wanted)) {
        struct perf_word_in in = {.word = stamp};
        flight->expected = answer_to(stamp);
        return perf_word_async(caller->peer, &in, options, &flight->call);
    }
    uint64_t asked = caller->wanted.verify ? stamp : 0;
    flight->expected = answer_to(asked + caller->wanted.size);
    if (caller->wanted.path == PATH_RMA) {
        struct perf_rma_in in = {.stamp = asked, .data = caller->payloads.vectors[i]};
        return perf_rma_async(caller->peer, &in, options, &flight->call);
    }
    struct perf_bytes_in in = {
        .stamp = asked,
        .data = {.data = payloads_at(&caller->payloads, i), .len = caller->wanted.size},
    };
    return perf_bytes_async(caller->peer, &in, options, &flight->call);
}

/* Waits for the end of a call and checks its answer; *check_ticks is what the peer spent on
 * checking the payload. */
static int finish(struct caller *caller, const struct flight *flight, uint64_t *check_ticks)
{
    int status;
    uint64_t answer = 0;
    *check_ticks = 0;
    if (wants_words(&caller->wanted)) {
        struct perf_word_out out;
        status = perf_word_finish(flight->call, &out);
        answer = out.answer;
    } else if (caller->wanted.path == PATH_RMA) {
        struct perf_rma_out out;
        status = perf_rma_finish(flight->call, &out);
        answer = out.answer;
        *check_ticks = ticks_from_ns(out.check_ns);
    } else {
        struct perf_bytes_out out;
        status = perf_bytes_finish(flight->call, &out);
        answer = out.answer;
        *check_ticks = ticks_from_ns(out.check_ns);
    }
    return status == WB_OK && answer != flight->expected ? WB_ERR_MALFORMED : status;
}

/* Counts a round trip without the time of its own check; the checks of others in the window stay
 * in. */
static void count(struct caller *caller, const struct flight *flight, uint64_t now,
                  uint64_t check_ticks)
{
    uint64_t took = now - flight->begun;
    caller->check_ticks += check_ticks;
    if (caller->rtt != NULL) {
        histogram_add(caller->rtt, took > check_ticks ? took - check_ticks : 0, 1);
    }
}

/* A failed burst's calls are waited for, so that their payloads are free. */
static int drain(struct caller *caller, uint32_t ended, uint32_t begun, int status)
{
    for (; ended < begun; ended++) {
        uint64_t ignored;
        finish(caller, &caller->flights[ended % caller->wanted.window], &ignored);
    }
    return status;
}

/* Begins calls until the window is full or all have begun. Returns WB_OK, WB_AGAIN (no room for the
 * next one now), or how one failed to begin. */
static int fill_window(struct caller *caller, const struct wb_call_options *options, uint32_t calls,
                       uint32_t ended, uint32_t *begun, uint64_t now)
{
    const uint32_t window = caller->wanted.window;
    while (*begun < calls && *begun - ended < window) {
        struct flight *flight = &caller->flights[*begun % window];
        flight->begun = now;
        int status = begin(caller, options, *begun, flight);
        if (status != WB_OK) {
            return status;
        }
        ++*begun;
        now = window > 1 ? ticks_now() : now;
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
    caller->check_ticks = 0;
    caller->start = now;
    while (ended < calls) {
        int status = fill_window(caller, &options, calls, ended, &begun, now);
        if (status == WB_AGAIN && begun == ended) {
            status = await_room(caller, &waiting_since);
            now = ticks_now();
        } else if (status == WB_OK || status == WB_AGAIN) {
            struct flight *oldest = &caller->flights[ended % caller->wanted.window];
            uint64_t check_ticks;
            status = finish(caller, oldest, &check_ticks);
            ended++;
            now = ticks_now();
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
    if (caller->peer != NULL && wb_peer_state(caller->peer) == WB_PEER_LOST) {
        return wb_peer_reason(caller->peer);
    }
    return wb_status_text(status);
}
