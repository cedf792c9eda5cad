/*
 * Circles: a thread that is inside of a lane of one engine may wait for calls of another, for as
 * long as those take. What ends them is progress on their lanes, and whoever keeps such a lane may
 * be inside, too, and wait for what only this thread can bring on. So each such wait is entered
 * here before it begins, and one that would close a circle is refused. Waits with a time of their
 * own are not: they end.
 *
 * Invariant: no set of the waits that are entered holds itself: in each there is one that needs no
 * lane which a thread of another one in the set keeps.
 */
#ifndef WBI_ENGINE_CIRCLE_H
#define WBI_ENGINE_CIRCLE_H

#include <waybill/action.h>

/*
 * The calling thread is about to wait: for a call on wait->lane, or where that is NULL for
 * wait->calls, one of them (any) or all. WB_OK: *wait is borrowed until wbi_circle_end; outside of
 * all lanes it is not, and that need not be called. WB_ERR_DEADLOCK: it is not to wait; no words.
 */
int wbi_circle_begin(struct wb_wait *wait);

/* Gives *wait back, if it was borrowed. The thread that began it. */
void wbi_circle_end(struct wb_wait *wait);

/* The calling thread's wait for a lane, if it has begun one, is over, though it has not been given
 * back. (One that it begins for calls, where it has begun one for their lane, takes its place, and
 * is not refused.) */
void wbi_circle_pass(void);

/* In a child of fork: the waits are of the parent's threads. */
void wbi_circle_forget(void);

/* Says what a refusal means: WB_ERR_DEADLOCK. `what` is a URL, or an action's name. */
int wbi_circle_say(const char *what);

#endif
