/* One thread's part in a case, and how each contestant does each case. */
#ifndef WAYBILL_PERF_ALLOC_WORKER_H
#define WAYBILL_PERF_ALLOC_WORKER_H

#include <stdlib.h>

#include "perf/alloc_bench.h"

enum { BATCH = 64, LIVE = 256 };

struct lane; /* from a thread that takes to one that gives back */

/* Invariant: between slices it holds no block. */
struct worker {
    const struct bench *bench;
    enum allocator allocator; /* whose slice it is */
    size_t size;
    uint64_t random;
    uint8_t *arena; /* for REGISTER: touched, BATCH times the size in CASE_BATCH, else once */
    struct lane *lane;
    uint64_t ops;       /* of this slice */
    const char *failed; /* what could not be done, or NULL */
    void *live[LIVE];
    struct ibv_mr *mrs[BATCH];
};

/* What a slice does: prepare; rounds until its time is up, then settle, both timed; finish. Any but
 * round may be NULL. A round that fails sets worker->failed, returns false and holds nothing. */
struct method {
    void (*prepare)(struct worker *worker);
    bool (*round)(struct worker *worker);
    void (*settle)(struct worker *worker);
    void (*finish)(struct worker *worker);
};

/* NULL where the contestant does not take part in the case. */
const struct method *method_of(enum allocator allocator, enum alloc_case which);

extern const struct method heap_pair, heap_batch, heap_mixed, cross_method, vector_method,
    register_pair, register_batch, mapreg_pair, mapreg_batch;

/* The same block again from the pool, which was growing or full; NULL after some seconds. */
void *worker_take_again(struct worker *worker, size_t bytes, int status);

/* Notes what failed; returns false. */
bool worker_fail(struct worker *worker, const char *what);

/* A block of the heap whose slice it is, its first byte written, or NULL with worker->failed set.
 * The branches are the same in every turn, and so cost a cycle for each contestant. */
static inline void *worker_take(struct worker *worker, size_t bytes)
{
    void *block = NULL;
    if (worker->allocator == WAYBILL) {
        int status = wb_rma_alloc(worker->bench->pool, bytes, 0, &block);
        if (__builtin_expect(status != WB_OK, 0)) {
            block = worker_take_again(worker, bytes, status);
        }
    } else if (worker->allocator == GLIBC) {
        block = malloc(bytes);
    } else {
        block = worker->bench->mi_malloc(bytes);
    }
    if (__builtin_expect(block == NULL, 0)) {
        worker_fail(worker, "cannot take a block");
        return NULL;
    }
    *(volatile uint8_t *)block = 1;
    return block;
}

static inline void worker_give(struct worker *worker, void *block)
{
    if (worker->allocator == WAYBILL) {
        wb_rma_free(block);
    } else if (worker->allocator == GLIBC) {
        free(block);
    } else {
        worker->bench->mi_free(block);
    }
}

#endif
