/* What programs do without a pool of registered memory, and the vector beside it. */
#include <string.h>
#include <sys/mman.h>
#include <waybill/vector.h>

#include "perf/alloc_worker.h"

enum { PAGE_BYTES = 4096, VECTORS = 16 };

/* Some vectors, so that reading the clock does not count. */
static bool vector_round(struct worker *worker)
{
    for (int i = 0; i < VECTORS; i++) {
        wb_rma_vector vector;
        int status = wb_rma_vector_create(worker->bench->pool, 1, worker->size, &vector);
        if (status != WB_OK) {
            return worker_fail(worker, wb_status_text(status));
        }
        *(volatile uint8_t *)vector.data = 1;
        wb_rma_vector_drop(&vector);
    }
    worker->ops += VECTORS;
    return true;
}

/* ---- register ---- */

/* Registers `count` blocks of the arena, and takes them back. */
static bool register_blocks(struct worker *worker, int count)
{
    int done = 0;
    for (; done < count; done++) {
        uint8_t *block = worker->arena + (size_t)done * worker->size;
        *(volatile uint8_t *)block = 1;
        worker->mrs[done] = device_register(&worker->bench->device, block, worker->size);
        if (worker->mrs[done] == NULL) {
            worker_fail(worker, "cannot register memory (see memlock in wb_info)");
            break;
        }
    }
    for (int i = 0; i < done; i++) {
        ibv_dereg_mr(worker->mrs[i]);
    }
    worker->ops += (uint64_t)count;
    return done == count;
}

static bool register_pair_round(struct worker *worker)
{
    return register_blocks(worker, 1);
}

static bool register_batch_round(struct worker *worker)
{
    return register_blocks(worker, BATCH);
}

/* ---- mapreg ---- */

/* Maps, touches and registers memory as the worker's block `i`. */
static bool map_block(struct worker *worker, int i)
{
    void *at = mmap(NULL, worker->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return worker_fail(worker, "cannot map memory");
    }
    for (size_t offset = 0; offset < worker->size; offset += PAGE_BYTES) {
        ((volatile uint8_t *)at)[offset] = 1;
    }
    worker->mrs[i] = device_register(&worker->bench->device, at, worker->size);
    if (worker->mrs[i] == NULL) {
        munmap(at, worker->size);
        return worker_fail(worker, "cannot register memory (see memlock in wb_info)");
    }
    worker->live[i] = at;
    return true;
}

static bool map_blocks(struct worker *worker, int count)
{
    int done = 0;
    while (done < count && map_block(worker, done)) {
        done++;
    }
    for (int i = 0; i < done; i++) {
        ibv_dereg_mr(worker->mrs[i]);
        munmap(worker->live[i], worker->size);
    }
    worker->ops += (uint64_t)count;
    return done == count;
}

static bool mapreg_pair_round(struct worker *worker)
{
    return map_blocks(worker, 1);
}

static bool mapreg_batch_round(struct worker *worker)
{
    return map_blocks(worker, BATCH);
}

const struct method vector_method = {.round = vector_round};
const struct method register_pair = {.round = register_pair_round};
const struct method register_batch = {.round = register_batch_round};
const struct method mapreg_pair = {.round = mapreg_pair_round};
const struct method mapreg_batch = {.round = mapreg_batch_round};
