#include "engine/circle.h"

#include <pthread.h>

#include "engine/call.h"
#include "engine/lane.h"

static pthread_mutex_t waits_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wb_wait *waits; /* newest first; under the lock, as is what they point to */

/* The lanes that a thread is inside of do not change while it waits. */
static bool keeps(const struct wb_wait *wait, const struct wbi_lane *wanted)
{
    for (const struct wbi_lane *lane = wait->within; lane != NULL; lane = lane->outer) {
        if (lane == wanted) {
            return true;
        }
    }
    return false;
}

/* Whether a thread keeps the lane that is taken to be stuck: nobody brings it on. */
static bool is_kept(const struct wbi_lane *lane)
{
    bool kept = false;
    for (const struct wb_wait *wait = waits; wait != NULL && !kept; wait = wait->next) {
        kept = wait->stuck && keeps(wait, lane);
    }
    return kept;
}

static bool are_kept(struct wb_call *const *calls, size_t count, bool any)
{
    bool kept = any;
    for (size_t i = 0; i < count && kept == any; i++) {
        const struct wb_call *call = calls[i];
        if (call != NULL) {
            kept = !wb_call_done(call) && is_kept(call->lane);
        }
    }
    return kept;
}

/* Takes all waits to be stuck, and lets go, for as long as there are such, those that need a lane
 * which none of the others keeps. What is left holds itself. */
static void find_stuck(void)
{
    bool changed = true;
    for (struct wb_wait *wait = waits; wait != NULL; wait = wait->next) {
        wait->stuck = true;
    }
    while (changed) {
        changed = false;
        for (struct wb_wait *wait = waits; wait != NULL; wait = wait->next) {
            bool kept = wait->lane != NULL ? is_kept(wait->lane)
                                           : are_kept(wait->calls, wait->count, wait->any);
            changed |= wait->stuck && !kept;
            wait->stuck = wait->stuck && kept;
        }
    }
}

/* The wait for a lane that the thread inside of `within` has been granted, if it has, becomes one
 * for no calls at all: it has ended, or another one says more exactly what it is for. */
static bool retire_granted(const struct wbi_lane *within)
{
    struct wb_wait *wait = waits;
    while (wait != NULL && (wait->within != within || wait->lane == NULL)) {
        wait = wait->next;
    }
    if (wait != NULL) {
        wait->lane = NULL;
        wait->count = 0;
        wait->any = false;
    }
    return wait != NULL;
}

int wbi_circle_begin(struct wb_wait *wait)
{
    wait->within = wbi_lane_innermost();
    if (wait->within == NULL) {
        return WB_OK;
    }
    pthread_mutex_lock(&waits_lock);
    bool granted = retire_granted(wait->within), closes = false;
    wait->next = waits;
    waits = wait;
    if (!granted) {
        find_stuck();
        closes = wait->stuck;
    }
    if (closes) {
        waits = wait->next;
        wait->within = NULL;
    }
    pthread_mutex_unlock(&waits_lock);
    return closes ? WB_ERR_DEADLOCK : WB_OK;
}

void wbi_circle_pass(void)
{
    const struct wbi_lane *within = wbi_lane_innermost();
    if (within == NULL) {
        return;
    }
    pthread_mutex_lock(&waits_lock);
    (void)retire_granted(within);
    pthread_mutex_unlock(&waits_lock);
}

void wbi_circle_end(struct wb_wait *wait)
{
    if (wait->within == NULL) {
        return;
    }
    pthread_mutex_lock(&waits_lock);
    struct wb_wait **at = &waits;
    while (*at != NULL && *at != wait) { /* a child of fork has forgotten it */
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = wait->next;
    }
    pthread_mutex_unlock(&waits_lock);
}

void wbi_circle_forget(void)
{
    pthread_mutex_init(&waits_lock, NULL);
    waits = NULL;
}

int wbi_circle_say(const char *what)
{
    return wbi_error(WB_ERR_DEADLOCK,
                     "%s: another thread's handler keeps its lane, and waits for what is kept in "
                     "this one",
                     what);
}
