/* The pool's own thread: it grows for those who may not, and unmaps slabs that were let go. */
#ifndef WBI_MR_CACHE_WORKER_H
#define WBI_MR_CACHE_WORKER_H

struct wb_rma_allocator;

/* Starts the thread unless it runs. Any thread; the pool's mutex is held. Errors: WB_ERR_NO_MEMORY,
 * WB_ERR_CLOSED (it was stopped). */
int wbi_worker_start(struct wb_rma_allocator *pool);

/* Makes the thread, if it runs, look at the demands and the slabs that are gone. The pool's mutex
 * is held. */
void wbi_worker_wake(struct wb_rma_allocator *pool);

/* Ends the thread, if it runs, after the growth that it is at, and for good. No mutex is held. */
void wbi_worker_stop(struct wb_rma_allocator *pool);

#endif
