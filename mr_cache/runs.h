/* Free runs of pages: good fit by length in O(1), merged with their neighbours when freed. */
#ifndef WBI_MR_CACHE_RUNS_H
#define WBI_MR_CACHE_RUNS_H

#include <stddef.h>
#include <stdint.h>

struct wb_rma_allocator;
struct wbi_run;
struct wbi_slab;

/* All functions: the pool's mutex is held. */

/* Makes all pages of an active slab one free run. */
void wbi_runs_add(struct wb_rma_allocator *pool, struct wbi_slab *slab);

/* Takes the pages of an idle slab out of use. */
void wbi_runs_remove(struct wb_rma_allocator *pool, struct wbi_slab *slab);

/* Returns a run of at least `run_bytes` in state WBI_RUN_PARKED, which the caller owns, or NULL. Up
 * to slab_bytes it is cut to size; above it is a whole dedicated slab of less than twice that size.
 */
struct wbi_run *wbi_runs_take(struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Takes back a run that has no blocks. */
void wbi_runs_give(struct wb_rma_allocator *pool, struct wbi_run *run);

/* The bin of runs of that many pages: bins rise with length, and every run of a higher bin is
 * longer. */
unsigned wbi_runs_bin(uint32_t pages);

/* Puts a run into, or out of, a list linked by its prev and next. */
void wbi_run_link(struct wbi_run **head, struct wbi_run *run);
void wbi_run_unlink(struct wbi_run **head, struct wbi_run *run);

#endif
