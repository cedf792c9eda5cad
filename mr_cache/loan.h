/* Memory that the user has lent to a pool, until nobody can read it through the pool any more. */
#ifndef WBI_MR_CACHE_LOAN_H
#define WBI_MR_CACHE_LOAN_H

#include <stddef.h>
#include <waybill/allocator.h>

struct wbi_loan;

/* Makes a loan of [base, base + bytes) with one reference. release may be NULL. Errors:
 * WB_ERR_NO_MEMORY; then nothing is released. */
int wbi_loan_create(void *base, size_t bytes, wb_rma_release release, void *context,
                    struct wbi_loan **out);

/* References: one of each slab. The last drop leaves the loan to this thread's next
 * wbi_loans_release. hold returns its argument. */
struct wbi_loan *wbi_loan_hold(struct wbi_loan *loan);
void wbi_loan_drop(struct wbi_loan *loan);

/* Calls release for what this thread has dropped last: the user's function, which may come back
 * into any allocator. No pool's mutex is held; while the thread has a grow_mutex nothing is done.
 * Whoever drops, or may have freed a slab, calls this as the last thing that it does. */
void wbi_loans_release(void);

#endif
