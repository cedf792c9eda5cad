/*
 * What the product does on a thread of its own: a pool grows. In a deterministic world that happens
 * on the one thread there is, when time moves on; elsewhere the pool has its thread. The linker
 * leads the pool's calls here (--wrap) and leaves the originals at hand (__real_).
 */
#include <waybill/status.h>

#include "mr_cache/budget.h"
#include "mr_cache/round.h"
#include "mr_cache/worker.h"
#include "tests/simverbs/model.h"

/* The linker's names. */
int __real_wbi_worker_start(struct wbi_budget *budget);
void __real_wbi_worker_stop(struct wbi_budget *budget);
int __wrap_wbi_worker_start(struct wbi_budget *budget);
void __wrap_wbi_worker_stop(struct wbi_budget *budget);

/* Budgets that a deterministic world works for, in the order in which they asked. What wakes their
 * thread (wbi_worker_wake) sets worker_work, and wakes nobody. */
static struct sim_fifo budgets;

static bool is_ours(const struct wbi_budget *budget)
{
    for (size_t i = 0; i < budgets.count; i++) {
        if (budgets.items[i] == budget) {
            return true;
        }
    }
    return false;
}

int __wrap_wbi_worker_start(struct wbi_budget *budget)
{
    if (!sim_is_simulated()) {
        return __real_wbi_worker_start(budget);
    }
    if (budget->worker_stop) {
        return WB_ERR_CLOSED;
    }
    if (!is_ours(budget)) {
        sim_fifo_push(&budgets, budget);
    }
    return WB_OK;
}

void __wrap_wbi_worker_stop(struct wbi_budget *budget)
{
    for (size_t i = budgets.count; i-- > 0;) {
        if (budgets.items[i] == budget) {
            sim_fifo_remove(&budgets, i);
        }
    }
    if (budgets.count == 0) {
        sim_fifo_close(&budgets);
    }
    __real_wbi_worker_stop(budget);
}

bool sim_background(void)
{
    bool done = false;
    for (size_t i = 0; i < budgets.count && sim_is_simulated(); i++) {
        struct wbi_budget *budget = budgets.items[i];
        if (budget->worker_work) {
            budget->worker_work = false;
            wbi_round(budget);
            done = true;
        }
    }
    return done;
}
