#include "perf/payload.h"

#include <stdlib.h>

#include "perf/pieces.h"

enum { WAIT_US = 1000, WAIT_TURNS = 10000 };

static const size_t burst_most = (size_t)16 << 20;

/* A vector from the pool; what other calls still hold is waited for. */
static int create_vector(struct wb_engine *engine, size_t size, wb_rma_vector *vector)
{
    struct wb_rma_allocator *pool = wb_engine_allocator(engine);
    int status = size > 0 ? wb_rma_vector_create(pool, 1, size, vector) : WB_OK;
    for (int turn = 0; status == WB_AGAIN && turn < WAIT_TURNS; turn++) {
        wb_wait(engine, WAIT_US);
        status = wb_rma_vector_create(pool, 1, size, vector);
    }
    return status;
}

/* Where all calls carry parts of one call's buffers. */
static int create_shared_vectors(struct payloads *p, struct wb_engine *engine,
                                 const struct calls_wanted *wanted)
{
    int status = WB_OK;
    for (size_t c = 0; c < p->chunks && status == WB_OK; c++) {
        wb_rma_vector buffer = {0};
        status = create_vector(engine, piece_room(wanted, c), &buffer);
        for (size_t j = c; j < p->calls * p->chunks && status == WB_OK; j += p->chunks) {
            size_t bytes = piece_bytes(wanted, j);
            if (bytes > 0) {
                p->vectors[j] = wb_rma_vector_slice(&buffer, piece_shift(wanted, j), bytes);
            }
        }
        wb_rma_vector_drop(&buffer);
    }
    return status;
}

static int create_vectors(struct payloads *p, struct wb_engine *engine,
                          const struct calls_wanted *wanted)
{
    size_t count = p->calls * p->chunks;
    p->vectors = calloc(count, sizeof *p->vectors);
    int status = p->vectors != NULL ? WB_OK : WB_ERR_NO_MEMORY;
    if (status == WB_OK && wanted->same) {
        return create_shared_vectors(p, engine, wanted);
    }
    for (size_t j = 0; j < count && status == WB_OK; j++) {
        status = create_vector(engine, piece_bytes(wanted, j), &p->vectors[j]);
    }
    return status;
}

static int create_pieces(struct payloads *p, const struct calls_wanted *wanted)
{
    struct pieces laid;
    int status = pieces_lay_arguments(&laid, wanted, p->calls);
    if (status != WB_OK) {
        return status;
    }
    size_t count = p->calls * p->chunks;
    p->memory = malloc(laid.room + 1); /* a trace may have nothing but replies */
    p->pieces = calloc(count + 1, sizeof *p->pieces);
    for (size_t j = 0; p->memory != NULL && p->pieces != NULL && j < count; j++) {
        p->pieces[j] = (wb_bytes){.data = p->memory + laid.piece[j].at, .len = laid.piece[j].bytes};
    }
    pieces_drop(&laid);
    return p->memory != NULL && p->pieces != NULL ? WB_OK : WB_ERR_NO_MEMORY;
}

int payloads_create(struct payloads *payloads, struct wb_engine *engine,
                    const struct calls_wanted *wanted, size_t calls)
{
    struct payloads p = {.calls = calls, .chunks = wanted->chunks};
    int status =
        wanted->path == PATH_RMA ? create_vectors(&p, engine, wanted) : create_pieces(&p, wanted);
    if (status != WB_OK) {
        payloads_drop(&p);
    }
    *payloads = p;
    return status;
}

void payloads_drop(struct payloads *payloads)
{
    for (size_t j = 0; payloads->vectors != NULL && j < payloads->calls * payloads->chunks; j++) {
        wb_rma_vector_drop(&payloads->vectors[j]);
    }
    free(payloads->vectors);
    free(payloads->pieces);
    free(payloads->memory);
    *payloads = (struct payloads){0};
}

void payloads_fill(struct payloads *payloads, const struct calls_wanted *wanted, size_t calls,
                   uint64_t stamp)
{
    for (size_t j = 0; j < calls * payloads->chunks; j++) {
        if (payloads->vectors != NULL) {
            const wb_rma_vector *vector = &payloads->vectors[j];
            pattern_fill(vector->data, vector->count, stamp + piece_stamp(wanted, j));
        } else {
            const wb_bytes *piece = &payloads->pieces[j];
            uint8_t *data = payloads->memory + ((const uint8_t *)piece->data - payloads->memory);
            pattern_fill(data, piece->len, stamp + piece_stamp(wanted, j));
        }
    }
}

uint32_t default_window(size_t size)
{
    size_t fits = size > 0 ? burst_most / size : burst_most;
    return fits < 2 ? 2 : fits > 64 ? 64 : (uint32_t)fits;
}

/* So many, or a few more: where all carry the same in PIECES_PARTS places in turn, a burst ends
 * with another place than the next one begins with. */
static size_t whole_turns(const struct calls_wanted *wanted, size_t count)
{
    bool turns = wanted->same && wanted->verify;
    return turns ? (count + PIECES_PARTS - 1) / PIECES_PARTS * PIECES_PARTS : count;
}

uint32_t burst_calls(const struct calls_wanted *wanted)
{
    size_t window = wanted->window;
    size_t calls = window == 1 ? 256 : window * BURST_WINDOWS;
    if (wanted->trace != NULL) {
        size_t once = wanted->trace->calls;
        size_t fits = wanted->trace->arguments > 0 ? burst_most / wanted->trace->arguments : calls;
        size_t times = calls / once < fits ? calls / once : fits;
        return (uint32_t)(once * whole_turns(wanted, times > 1 ? times : 1));
    }
    size_t fits = burst_most / wanted->size;
    calls = calls < fits ? calls : fits;
    return (uint32_t)whole_turns(wanted, calls > window ? calls : window);
}

uint64_t burst_bytes(const struct calls_wanted *wanted)
{
    uint64_t calls = burst_calls(wanted);
    return wanted->trace != NULL ? calls / wanted->trace->calls * wanted->trace->arguments
                                 : calls * wanted->size;
}
