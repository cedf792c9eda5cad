/* The thread of a budget: it grows its pools for those who may not, and unmaps slabs that were let
 * go. */
#ifndef WBI_MR_CACHE_WORKER_H
#define WBI_MR_CACHE_WORKER_H

#include <stdbool.h>

struct wbi_budget;

/* All functions take the budget's mutex; a pool's may be held, but for stop. */

/* Starts the thread unless it runs. Any thread. Errors: WB_ERR_NO_MEMORY, WB_ERR_CLOSED (it was
 * stopped). */
int wbi_worker_start(struct wbi_budget *budget);

/* Makes the thread, if it runs, look at its pools' demands and the slabs that are gone. */
void wbi_worker_wake(struct wbi_budget *budget);

/* Whether wbi_worker_stop was called. */
bool wbi_worker_is_stopping(struct wbi_budget *budget);

/* Ends the thread, if it runs, after the growth that it is at, and for good. No mutex is held. */
void wbi_worker_stop(struct wbi_budget *budget);

#endif
