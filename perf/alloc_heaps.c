/* What heaps do: pair, batch and mixed; and who does what. */
#include <sched.h>

#include "perf/alloc_worker.h"
#include "perf/common_clock.h"

#define PATIENCE_NS UINT64_C(5000000000)

const struct method *method_of(enum allocator allocator, enum alloc_case which)
{
    static const struct method *const heap[CASES] = {[CASE_PAIR] = &heap_pair,
                                                     [CASE_BATCH] = &heap_batch,
                                                     [CASE_CROSS] = &cross_method,
                                                     [CASE_MIXED] = &heap_mixed};
    static const struct method *const registers[CASES] = {[CASE_PAIR] = &register_pair,
                                                          [CASE_BATCH] = &register_batch,
                                                          [CASE_VECTOR] = &register_pair};
    static const struct method *const mapregs[CASES] = {
        [CASE_PAIR] = &mapreg_pair, [CASE_BATCH] = &mapreg_batch, [CASE_VECTOR] = &mapreg_pair};
    switch (allocator) {
    case WAYBILL:
        return which == CASE_VECTOR ? &vector_method : heap[which];
    case REGISTER:
        return registers[which];
    case MAPREG:
        return mapregs[which];
    default:
        return heap[which];
    }
}

bool worker_fail(struct worker *worker, const char *what)
{
    if (worker->failed == NULL) {
        worker->failed = what;
    }
    return false;
}

__attribute__((noinline, cold)) void *worker_take_again(struct worker *worker, size_t bytes,
                                                        int status)
{
    void *block = NULL;
    uint64_t start = clock_ns();
    while (status == WB_AGAIN && clock_ns() - start < PATIENCE_NS) {
        sched_yield();
        status = wb_rma_alloc(worker->bench->pool, bytes, 0, &block);
    }
    if (status != WB_OK) {
        worker_fail(worker, wb_status_text(status));
    }
    return block;
}

static bool pair_round(struct worker *worker)
{
    for (int i = 0; i < BATCH; i++) {
        void *block = worker_take(worker, worker->size);
        if (block == NULL) {
            return false;
        }
        worker_give(worker, block);
    }
    worker->ops += BATCH;
    return true;
}

static bool batch_round(struct worker *worker)
{
    int taken = 0;
    while (taken < BATCH && (worker->live[taken] = worker_take(worker, worker->size)) != NULL) {
        taken++;
    }
    for (int i = 0; i < taken; i++) {
        worker_give(worker, worker->live[i]);
    }
    worker->ops += BATCH;
    return taken == BATCH;
}

static size_t mixed_size(struct worker *worker, uint64_t random)
{
    return random_size(&worker->bench->fractions, random, MIXED_MIN, MIXED_OCTAVES);
}

static void mixed_prepare(struct worker *worker)
{
    for (int i = 0; i < LIVE; i++) {
        worker->live[i] = worker_take(worker, mixed_size(worker, random_next(&worker->random)));
    }
}

/* A block that could not be taken leaves its place empty, and the slice ends as a failure. */
static bool mixed_round(struct worker *worker)
{
    for (int i = 0; i < BATCH; i++) {
        uint64_t random = random_next(&worker->random);
        size_t victim = random % LIVE;
        worker_give(worker, worker->live[victim]);
        worker->live[victim] = worker_take(worker, mixed_size(worker, random));
    }
    worker->ops += BATCH;
    return worker->failed == NULL;
}

static void mixed_finish(struct worker *worker)
{
    for (int i = 0; i < LIVE; i++) {
        worker_give(worker, worker->live[i]);
    }
}

const struct method heap_pair = {.round = pair_round};
const struct method heap_batch = {.round = batch_round};
const struct method heap_mixed = {
    .prepare = mixed_prepare, .round = mixed_round, .finish = mixed_finish};
