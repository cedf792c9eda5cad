/* What a program can do with a call that is under way: look, wait, give up; and how NAME_call
 * waits. Any thread. */
#include <waybill/call.h>

#include "engine/call.h"
#include "engine/circle.h"
#include "engine/engine.h"
#include "engine/lane.h"

bool wb_call_done(const struct wb_call *call)
{
    return atomic_load_explicit(&call->state, memory_order_acquire) == WBI_CALL_ENDED;
}

static bool is_done(void *call)
{
    return wb_call_done(call);
}

/* How a thread waits for calls of one engine. */
struct how {
    struct wb_engine *engine;
    struct wbi_lane *lane; /* that they are on, or NULL: on several */
    const char *what;      /* in words */
    bool (*met)(void *context);
    void *context;
};

/* Waits, unless that would be for ever: for a thread that waits for what this one keeps. */
static int await(const struct how *how, struct wb_wait *wait, uint64_t timeout_us)
{
    bool may_last = timeout_us == UINT64_MAX && wbi_thread_is_inside();
    int status = may_last ? wbi_engine_check_outside(how->engine) : WB_OK;
    if (status == WB_OK && may_last && wbi_circle_begin(wait) != WB_OK) {
        return wbi_circle_say(how->what);
    }
    if (status == WB_OK) {
        status = wbi_await_calls(how->engine, how->lane, how->met, how->context, timeout_us);
        wbi_circle_end(wait);
    }
    return status;
}

int wb_call_wait(struct wb_call *call, uint64_t timeout_us)
{
    if (!wb_call_done(call)) {
        /* nothing of its peer's is named: it may have ended since, and the peer be gone */
        const struct how how = {call->lane->engine, call->lane, call->action, is_done, call};
        struct wb_wait wait = {.calls = &call, .count = 1, .any = true};
        int status = await(&how, &wait, timeout_us);
        if (status != WB_OK) {
            return status;
        }
    }
    wbi_circle_pass();
    return WB_OK;
}

/* ---- around NAME_call ---- */

int wb_call_may_wait(struct wb_peer *peer, struct wb_wait *wait)
{
    struct wbi_lane *lane = peer->lane;
    if (!wbi_thread_is_inside()) {
        return WB_OK;
    }
    if (wbi_engine_inside(lane->engine)) {
        return wbi_error(WB_ERR_DEADLOCK, "%s: a waiting call inside a handler; use async",
                         peer->url);
    }
    int status = wbi_engine_check_process(lane->engine); /* a parent's lock may be held for ever */
    if (status != WB_OK) {
        return status;
    }
    wait->lane = lane;
    return wbi_circle_begin(wait) == WB_OK ? WB_OK : wbi_circle_say(peer->url);
}

void wb_call_has_waited(struct wb_wait *wait)
{
    wbi_circle_end(wait);
}

/* ---- several ---- */

struct several {
    struct wb_call *const *calls;
    size_t count;
    size_t at; /* all before it are NULL (any), or done (all) */
};

static bool any_done(void *context)
{
    struct several *several = context;
    for (size_t i = 0; i < several->count; i++) {
        if (several->calls[i] != NULL && wb_call_done(several->calls[i])) {
            several->at = i;
            return true;
        }
    }
    return false;
}

static bool all_done(void *context)
{
    struct several *several = context;
    while (several->at < several->count &&
           (several->calls[several->at] == NULL || wb_call_done(several->calls[several->at]))) {
        several->at++;
    }
    return several->at == several->count;
}

/* Their engine, or NULL where there are none; WB_ERR_INVALID where there are several. And their
 * lane, or NULL where they are on several. */
static int engine_of(const struct several *several, struct wb_engine **engine,
                     struct wbi_lane **lane)
{
    *engine = NULL;
    *lane = NULL;
    for (size_t i = 0; i < several->count; i++) {
        const struct wb_call *call = several->calls[i];
        if (call != NULL && *engine != NULL && call->lane->engine != *engine) {
            return wbi_error(WB_ERR_INVALID, "call %zu is of another engine than those before it",
                             i);
        }
        if (call != NULL) {
            *lane = *engine == NULL || *lane == call->lane ? call->lane : NULL;
            *engine = call->lane->engine;
        }
    }
    return WB_OK;
}

static int await_several(struct several *several, bool (*met)(void *context), uint64_t timeout_us)
{
    struct how how = {.what = "these calls", .met = met, .context = several};
    int status = engine_of(several, &how.engine, &how.lane);
    if (status != WB_OK || how.engine == NULL || met(several)) {
        return status;
    }
    struct wb_wait wait = {
        .calls = several->calls, .count = several->count, .any = met == any_done};
    return await(&how, &wait, timeout_us);
}

int wb_call_wait_any(struct wb_call *const *calls, size_t count, uint64_t timeout_us, size_t *which)
{
    struct several several = {.calls = calls, .count = count, .at = count};
    int status = await_several(&several, any_done, timeout_us);
    *which = status == WB_OK ? several.at : count;
    return status;
}

int wb_call_wait_all(struct wb_call *const *calls, size_t count, uint64_t timeout_us)
{
    struct several several = {.calls = calls, .count = count};
    return await_several(&several, all_done, timeout_us);
}

/* ---- giving up ---- */

int wb_call_cancel(struct wb_call *call)
{
    int status = wbi_engine_check_process(call->lane->engine);
    if (status == WB_OK) {
        struct wbi_lane *lane = call->lane;
        atomic_store_explicit(&call->unwanted, true, memory_order_relaxed);
        wbi_lane_ask(lane, WBI_ASKED_TO_CANCEL);
        wbi_engine_rouse(lane->engine); /* who waits for its end, and to tell the server */
    }
    return status;
}
