#include "perf/payload.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_US = 1000, WAIT_TURNS = 10000 };

static const size_t burst_bytes = (size_t)16 << 20;

/* A vector from the pool; what other calls still hold is waited for. */
static int create_vector(struct wb_engine *engine, size_t size, wb_rma_vector *vector)
{
    struct wb_rma_allocator *pool = wb_engine_allocator(engine);
    int status = wb_rma_vector_create(pool, 1, size, vector);
    for (int turn = 0; status == WB_AGAIN && turn < WAIT_TURNS; turn++) {
        wb_wait(engine, WAIT_US);
        status = wb_rma_vector_create(pool, 1, size, vector);
    }
    return status;
}

int payloads_create(struct payloads *payloads, struct wb_engine *engine, enum path path,
                    size_t size, size_t count)
{
    struct payloads p = {.size = size, .count = count};
    int status = WB_OK;
    if (path == PATH_RMA) {
        p.vectors = calloc(count, sizeof *p.vectors);
        status = p.vectors != NULL ? WB_OK : WB_ERR_NO_MEMORY;
        for (size_t i = 0; i < count && status == WB_OK; i++) {
            status = create_vector(engine, size, &p.vectors[i]);
        }
    } else {
        p.memory = malloc(size * count);
        status = p.memory != NULL ? WB_OK : WB_ERR_NO_MEMORY;
    }
    if (status != WB_OK) {
        payloads_drop(&p);
    }
    *payloads = p;
    return status;
}

void payloads_drop(struct payloads *payloads)
{
    for (size_t i = 0; payloads->vectors != NULL && i < payloads->count; i++) {
        wb_rma_vector_drop(&payloads->vectors[i]);
    }
    free(payloads->vectors);
    free(payloads->memory);
    *payloads = (struct payloads){0};
}

void payloads_fill(struct payloads *payloads, size_t count, uint64_t stamp)
{
    for (size_t i = 0; i < count; i++) {
        void *data =
            payloads->vectors != NULL ? payloads->vectors[i].data : payloads_at(payloads, i);
        pattern_fill(data, payloads->size, stamp + i * PAYLOAD_STRIDE);
    }
}

uint32_t default_window(size_t size)
{
    size_t fits = burst_bytes / size;
    return fits < 2 ? 2 : fits > 64 ? 64 : (uint32_t)fits;
}

uint32_t burst_calls(size_t size, uint32_t window)
{
    size_t wanted = window == 1 ? 256 : (size_t)window * BURST_WINDOWS;
    size_t fits = burst_bytes / size;
    size_t calls = wanted < fits ? wanted : fits;
    return calls > window ? (uint32_t)calls : window;
}
