#include "perf/mirror.h"

#include <stdio.h>
#include <time.h>

#include "perf/actions.h"
#include "perf/common_resources.h"
#include "perf/common_say.h"

enum { REFUSED = 2, PATIENCE_MS = 30000 };

/* Takes note of what the client wants, which is checked as everything that a peer sends. */
static int prepare(struct mirror *mirror, struct wb_context *context,
                   const struct perf_mirror_in *in)
{
    if (in->path <= PATH_DEFAULT || in->path > PATH_RMA || in->size == 0 || in->window == 0 ||
        in->window > WINDOW_MAX || in->calls == 0 || in->calls > BURST_CALLS_MAX ||
        !memory_suffices(in->calls, in->size)) {
        return wb_context_fail(context, REFUSED, "the server has no room for such a burst");
    }
    mirror->wanted =
        (struct calls_wanted){.path = (enum path)in->path,
                              .size = (size_t)in->size,
                              .chunks = 1,
                              .peers = 1,
                              .window = in->window,
                              .same = in->same != 0,
                              .verify = in->verify != 0,
                              .patience_us = calls_patience_us(in->size, in->window, 1)};
    mirror->calls = in->calls;
    if (mirror->peer != wb_context_peer(context)) {
        wb_peer_close(mirror->peer);
        mirror->peer = wb_peer_keep(wb_context_peer(context));
    }
    mirror->state = MIRROR_ASKED;
    return WB_OK;
}

static int serve_mirror(struct wb_context *context, struct perf_mirror_in *in,
                        struct perf_mirror_out *out, void *user)
{
    struct mirror *mirror = user;
    if (mirror->state == MIRROR_GOING && mirror->peer != wb_context_peer(context)) {
        return wb_context_fail(context, REFUSED, "the server is calling back another client");
    }
    if (mirror->state == MIRROR_FAILED) {
        mirror->state = MIRROR_IDLE;
        return wb_context_fail(context, REFUSED, "the server's calls failed: %s", mirror->why);
    }
    if (in->step == MIRROR_PREPARE) {
        return prepare(mirror, context, in);
    }
    if (in->step == MIRROR_GO && mirror->state == MIRROR_PREPARED) {
        mirror->state = MIRROR_GOING;
        return WB_OK;
    }
    out->ready = mirror->state == MIRROR_PREPARED;
    return in->step == MIRROR_READY ? WB_OK : wb_context_fail(context, REFUSED, "not prepared");
}

int mirror_register(struct mirror *mirror, struct wb_engine *engine)
{
    return perf_mirror_register(engine, serve_mirror, mirror);
}

static void fail(struct mirror *mirror, int status)
{
    snprintf(mirror->why, sizeof mirror->why, "%s", caller_words(&mirror->caller, status));
    mirror->state = MIRROR_FAILED;
}

/* Whether the open caller fits what is wanted now. */
static bool fits(const struct mirror *mirror)
{
    const struct calls_wanted *have = &mirror->caller.wanted, *want = &mirror->wanted;
    return mirror->caller.peers == &mirror->peer && mirror->called == mirror->peer &&
           have->path == want->path && have->size == want->size && have->window == want->window &&
           have->same == want->same && have->verify == want->verify &&
           mirror->caller.payloads.calls >= mirror->calls;
}

bool mirror_step(struct mirror *mirror, struct wb_engine *engine)
{
    int status = WB_OK;
    if (mirror->state == MIRROR_ASKED) {
        if (!fits(mirror)) {
            caller_close(&mirror->caller);
            mirror->called = mirror->peer;
            status =
                caller_open(&mirror->caller, engine, &mirror->peer, &mirror->wanted, mirror->calls);
        }
        if (status == WB_OK) {
            caller_write(&mirror->caller, mirror->calls);
            mirror->state = MIRROR_PREPARED;
        }
    } else if (mirror->state == MIRROR_GOING) {
        status = caller_burst(&mirror->caller, mirror->calls);
        /* The client may have asked for its next burst while our last replies were on their way. */
        mirror->state = mirror->state == MIRROR_GOING ? MIRROR_IDLE : mirror->state;
    } else {
        return false;
    }
    if (status != WB_OK) {
        fail(mirror, status);
    }
    return true;
}

void mirror_close(struct mirror *mirror)
{
    caller_close(&mirror->caller);
    wb_peer_close(mirror->peer);
    *mirror = (struct mirror){0};
}

static int call(struct caller *caller, const struct perf_mirror_in *in, bool *ready)
{
    struct perf_mirror_out out;
    struct wb_call_options options = {.error = &caller->error};
    int status = perf_mirror_call(caller->peers[0], in, &out, &options);
    *ready = status == WB_OK && out.ready != 0;
    return status;
}

int mirror_prepare(struct caller *caller, uint32_t calls)
{
    struct perf_mirror_in in = {.step = MIRROR_PREPARE,
                                .path = caller->wanted.path,
                                .size = caller->wanted.size,
                                .calls = calls,
                                .window = caller->wanted.window,
                                .same = caller->wanted.same,
                                .verify = caller->wanted.verify};
    bool ready = false;
    int status = call(caller, &in, &ready);
    in.step = MIRROR_READY;
    for (int turn = 0; status == WB_OK && !ready; turn++) {
        const struct timespec millisecond = {.tv_nsec = 1000000};
        status = turn < PATIENCE_MS ? call(caller, &in, &ready) : WB_ERR_TIMED_OUT;
        if (turn > 0 && !ready) {
            nanosleep(&millisecond, NULL);
        }
    }
    return status;
}

int mirror_go(struct caller *caller)
{
    struct perf_mirror_in in = {.step = MIRROR_GO};
    bool ready;
    return call(caller, &in, &ready);
}
