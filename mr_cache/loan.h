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

/* References: one of each slab. The last drop calls release, on the thread that drops. No mutex is
 * held at the drop. hold returns its argument. */
struct wbi_loan *wbi_loan_hold(struct wbi_loan *loan);
void wbi_loan_drop(struct wbi_loan *loan);

#endif
