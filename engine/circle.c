#include "engine/circle.h"

#include <pthread.h>

#include "engine/call.h"
#include "engine/lane.h"

static pthread_mutex_t waits_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wb_wait *waits; /* under the lock, as is what they point to */
static uint32_t search;       /* the number of the last one */

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

static bool is_stuck(struct wb_wait *wait, const struct wb_wait *own);

/* Whether nobody brings the lane on while `own` waits. */
static bool is_kept(const struct wbi_lane *lane, const struct wb_wait *own)
{
    bool kept = keeps(own, lane);
    for (struct wb_wait *wait = waits; wait != NULL && !kept; wait = wait->next) {
        kept = keeps(wait, lane) && is_stuck(wait, own);
    }
    return kept;
}

static bool are_kept(struct wb_call *const *calls, size_t count, bool any,
                     const struct wb_wait *own)
{
    bool kept = any;
    for (size_t i = 0; i < count && kept == any; i++) {
        const struct wb_call *call = calls[i];
        if (call != NULL) {
            kept = !wb_call_done(call) && is_kept(call->lane, own);
        }
    }
    return kept;
}

/* Whether a wait would last for as long as `own`. Each is looked into once a search. */
static bool is_stuck(struct wb_wait *wait, const struct wb_wait *own)
{
    if (wait->seen != search) {
        wait->seen = search;
        wait->stuck = false; /* until it is known */
        wait->stuck = wait->lane != NULL ? is_kept(wait->lane, own)
                                         : are_kept(wait->calls, wait->count, wait->any, own);
    }
    return wait->stuck;
}

int wbi_circle_begin(struct wb_wait *wait)
{
    wait->within = wbi_lane_innermost();
    if (wait->within == NULL) {
        return WB_OK;
    }
    pthread_mutex_lock(&waits_lock);
    wait->seen = search++;
    bool closes = is_stuck(wait, wait);
    if (closes) {
        wait->within = NULL;
    } else {
        wait->next = waits;
        waits = wait;
    }
    pthread_mutex_unlock(&waits_lock);
    return closes ? WB_ERR_DEADLOCK : WB_OK;
}

void wbi_circle_end(struct wb_wait *wait)
{
    if (wait->within == NULL) {
        return;
    }
    pthread_mutex_lock(&waits_lock);
    struct wb_wait **at = &waits;
    while (*at != wait) {
        at = &(*at)->next;
    }
    *at = wait->next;
    pthread_mutex_unlock(&waits_lock);
}

int wbi_circle_say(const char *what)
{
    return wbi_error(WB_ERR_DEADLOCK,
                     "%s: another thread's handler keeps its lane, and waits for what is kept in "
                     "this one",
                     what);
}
