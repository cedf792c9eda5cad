/*
 * What the product does on a thread of its own: a pool grows. In a deterministic world that happens
 * on the one thread there is, when time moves on; elsewhere the pool has its thread. The linker
 * leads the pool's calls here (--wrap) and leaves the originals at hand (__real_).
 */
#include "mr_cache/pool.h"
#include "mr_cache/round.h"
#include "mr_cache/worker.h"
#include "tests/simverbs/model.h"

/* The linker's names. */
int __real_wbi_worker_start(struct wb_rma_allocator *pool);
void __real_wbi_worker_stop(struct wb_rma_allocator *pool);
int __wrap_wbi_worker_start(struct wb_rma_allocator *pool);
void __wrap_wbi_worker_stop(struct wb_rma_allocator *pool);

/* Pools that a deterministic world works for, in the order in which they asked. What wakes their
 * thread (wbi_worker_wake) sets worker_work, and wakes nobody. */
static struct sim_fifo pools;

static bool is_ours(const struct wb_rma_allocator *pool)
{
    for (size_t i = 0; i < pools.count; i++) {
        if (pools.items[i] == pool) {
            return true;
        }
    }
    return false;
}

int __wrap_wbi_worker_start(struct wb_rma_allocator *pool)
{
    if (!sim_is_simulated()) {
        return __real_wbi_worker_start(pool);
    }
    if (pool->worker_stop) {
        return WB_ERR_CLOSED;
    }
    if (!is_ours(pool)) {
        sim_fifo_push(&pools, pool);
    }
    return WB_OK;
}

void __wrap_wbi_worker_stop(struct wb_rma_allocator *pool)
{
    for (size_t i = pools.count; i-- > 0;) {
        if (pools.items[i] == pool) {
            sim_fifo_remove(&pools, i);
        }
    }
    if (pools.count == 0) {
        sim_fifo_close(&pools);
    }
    __real_wbi_worker_stop(pool);
}

bool sim_background(void)
{
    bool done = false;
    for (size_t i = 0; i < pools.count && sim_is_simulated(); i++) {
        struct wb_rma_allocator *pool = pools.items[i];
        if (pool->worker_work) {
            pool->worker_work = false;
            wbi_round(pool);
            done = true;
        }
    }
    return done;
}
