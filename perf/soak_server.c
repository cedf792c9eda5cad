/* The server of wb_soak: checks what arrives, remembers what it has executed, answers in kind. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_clock.h"
#include "perf/common_pattern.h"
#include "perf/common_say.h"
#include "perf/soak.h"
#include "perf/soak_actions.h"
#include "perf/soak_sum.h"

enum { CODE_CORRUPT = 1, CODE_ROOM = 2, LATER_OF = 4 /* one call of so many is deferred */ };
enum { RESULT_MAX = 8 << 20, WAIT_US = 20000, LEAVING_WAITS = 250, BUDGET_MIB = 512, CREDITS = 32 };
/* Until the dead are known to be dead, and nothing more comes to an end. */
static const uint64_t quiet_ns = UINT64_C(6000000000), quiet_shm_ns = UINT64_C(1000000000),
                      settle_ns = UINT64_C(60000000000);

struct server {
    const struct soak_options *options;
    struct wb_engine *engine;
    struct soak_shared shared;
    uint8_t *bytes;      /* what results of borrowed bytes are made in: they are copied at once */
    struct later *later; /* calls whose handlers have returned without an answer */
    uint64_t deferred;   /* those there ever were */
};

static bool is_right(const void *data, size_t len, uint64_t stamp, enum soak_part part)
{
    return pattern_check(data, len, soak_stamp(stamp, part)) == len;
}

static int make_vector(struct server *server, uint32_t len, uint64_t stamp, wb_rma_vector *vector)
{
    if (len == 0) {
        return WB_OK;
    }
    struct wb_rma_allocator *pool = wb_engine_allocator(server->engine);
    int status = wb_rma_vector_create(pool, 1, len, vector);
    if (status == WB_OK) {
        pattern_fill(vector->data, len, stamp);
    }
    return status;
}

/* Half of the buffers are the pool's, and half plain memory. */
static int make_buffer(struct server *server, uint32_t len, uint64_t stamp, wb_buffer *buffer)
{
    if (len == 0) {
        return WB_OK;
    }
    if (len % 2 == 0) {
        wb_rma_vector vector = {0};
        int status = make_vector(server, len, stamp, &vector);
        *buffer = status == WB_OK ? wb_buffer_of_vector(&vector) : (wb_buffer){0};
        return status;
    }
    void *memory = malloc(len);
    if (memory == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    pattern_fill(memory, len, stamp);
    int status = wb_buffer_adopt(memory, len, NULL, buffer);
    if (status != WB_OK) {
        free(memory);
    }
    return status;
}

static int make_result(struct server *server, const struct exchange_in *in,
                       struct exchange_out *out)
{
    pattern_fill(server->bytes, in->want_bytes, soak_stamp(in->stamp, OUT_BYTES));
    out->bytes = (wb_bytes){.data = server->bytes, .len = in->want_bytes};
    int status =
        make_vector(server, in->want_vector, soak_stamp(in->stamp, OUT_VECTOR), &out->vector);
    status = status == WB_OK ? make_buffer(server, in->want_buffer,
                                           soak_stamp(in->stamp, OUT_BUFFER), &out->buffer)
                             : status;
    if (status != WB_OK) {
        exchange_out_drop(out);
        *out = (struct exchange_out){0};
        return status;
    }
    out->client = in->client;
    out->number = in->number;
    out->sum = soak_sum(SOAK_SUM_START, in->bytes.data, in->bytes.len);
    out->sum = soak_sum(out->sum, in->vector.data, wb_rma_vector_bytes(&in->vector));
    out->sum = soak_sum(out->sum, in->buffer.data, in->buffer.len);
    return WB_OK;
}

static bool are_right(const struct exchange_in *in)
{
    return in->want_bytes <= RESULT_MAX && in->want_vector <= RESULT_MAX &&
           in->want_buffer <= RESULT_MAX &&
           is_right(in->bytes.data, in->bytes.len, in->stamp, IN_BYTES) &&
           is_right(in->vector.data, wb_rma_vector_bytes(&in->vector), in->stamp, IN_VECTOR) &&
           is_right(in->buffer.data, in->buffer.len, in->stamp, IN_BUFFER);
}

/* ---- calls that are answered later ---- */

struct later {
    struct later *next;
    struct wb_deferred *answer;
    struct exchange_in in;
};

static int serve_later(struct server *server, struct wb_context *context, struct exchange_in *in)
{
    struct later *later = calloc(1, sizeof *later);
    int status = later != NULL ? wb_context_defer(context, &later->answer) : WB_ERR_NO_MEMORY;
    if (status != WB_OK) {
        free(later);
        return wb_context_fail(context, CODE_ROOM, "cannot defer: %s", wb_status_text(status));
    }
    later->in = *in;
    *in = (struct exchange_in){0};
    later->next = server->later;
    server->later = later;
    server->deferred++;
    return WB_OK;
}

/* Nobody may be waiting any more: it is executed all the same. What it was called with is looked at
 * again, since it had to stay as it was. */
static void answer(struct server *server, struct later *later)
{
    struct exchange_out out = {0};
    bool right = are_right(&later->in);
    int status = right ? make_result(server, &later->in, &out) : WB_OK;
    if (!right || status != WB_OK) {
        wb_deferred_fail(later->answer, right ? CODE_ROOM : CODE_CORRUPT, "%s",
                         right ? wb_status_text(status) : "arguments are corrupt later");
    } else if (!board_executed(&server->shared, later->in.client, later->in.number)) {
        wb_deferred_fail(later->answer, CODE_CORRUPT, "there is no such call");
    } else {
        exchange_reply(later->answer, &out);
    }
    exchange_out_drop(&out);
    exchange_in_drop(&later->in);
    free(later);
}

/* Serves for a while, and answers what was deferred. */
static void wait_and_answer(struct server *server)
{
    wb_wait(server->engine, WAIT_US);
    while (server->later != NULL) {
        struct later *later = server->later;
        server->later = later->next;
        answer(server, later);
    }
}

static int serve(struct wb_context *context, struct exchange_in *in, struct exchange_out *out,
                 void *user)
{
    struct server *server = user;
    if (!are_right(in)) {
        return wb_context_fail(context, CODE_CORRUPT, "arguments are corrupt");
    }
    if (in->number % LATER_OF == 0) {
        return serve_later(server, context, in);
    }
    int status = make_result(server, in, out);
    if (status != WB_OK) {
        return status == WB_AGAIN
                   ? status
                   : wb_context_fail(context, CODE_ROOM, "no room for the result: %s",
                                     wb_status_text(status));
    }
    return board_executed(&server->shared, in->client, in->number)
               ? WB_OK
               : wb_context_fail(context, CODE_CORRUPT, "there is no such call");
}

/* Of this process, in bytes; 0 where the system does not say. */
static void read_rss(struct soak_sample *sample)
{
    char line[160];
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        uint64_t kib = 0;
        if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1) {
            sample->rss = kib * 1024;
        } else if (sscanf(line, "RssAnon: %" SCNu64, &kib) == 1) {
            sample->rss_anonymous = kib * 1024;
        } else if (sscanf(line, "RssShmem: %" SCNu64, &kib) == 1) {
            sample->rss_shared = kib * 1024;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void take_sample(struct server *server, struct soak_sample *sample)
{
    struct wb_rma_stats pool;
    struct wb_engine_stats stats;
    *sample = (struct soak_sample){0};
    wb_rma_allocator_stats(wb_engine_allocator(server->engine), &pool);
    wb_engine_stats(server->engine, &stats);
    sample->pool_bytes = pool.slab_bytes;
    sample->used_bytes = pool.used_bytes;
    sample->leased_bytes = pool.leased_bytes;
    sample->leases_open = stats.leases_open;
    sample->filtered = stats.parcels_filtered;
    sample->deferred = server->deferred;
    read_rss(sample);
}

/* Gives back what is idle, and sees it go: the pool's own thread may still be at it. */
static void trim(struct server *server)
{
    struct wb_rma_allocator *pool = wb_engine_allocator(server->engine);
    struct wb_rma_stats stats;
    wb_rma_allocator_trim(pool);
    wb_rma_allocator_stats(pool, &stats);
    for (unsigned i = 0; stats.leaving_bytes > 0 && i < LEAVING_WAITS; i++) {
        wait_and_answer(server);
        wb_rma_allocator_stats(pool, &stats);
    }
}

/* Serves until nothing has changed for a while: everybody is known to be gone. */
static void settle(struct server *server)
{
    uint64_t quiet = strcmp(server->options->fabric, "shm") == 0 ? quiet_shm_ns : quiet_ns;
    uint64_t start = clock_ns(), since = start, known = UINT64_MAX;
    while (clock_ns() - since < quiet && clock_ns() - start < settle_ns) {
        struct wb_engine_stats stats;
        struct wb_rma_stats pool;
        wait_and_answer(server);
        wb_engine_stats(server->engine, &stats);
        wb_rma_allocator_stats(wb_engine_allocator(server->engine), &pool);
        uint64_t now = stats.peers_lost + stats.calls_served + pool.used_bytes + stats.leases_open;
        since = now == known ? since : clock_ns();
        known = now;
    }
    trim(server);
}

static void obey(struct server *server)
{
    struct soak_board *board = server->shared.board;
    uint32_t order = atomic_load(&board->order);
    if (order == atomic_load(&board->answered)) {
        return;
    }
    if (atomic_load(&board->kind) == ORDER_SETTLE) {
        settle(server);
    }
    take_sample(server, &board->sample);
    atomic_store(&board->answered, order);
}

static int open_server(struct server *server, char *url)
{
    const struct soak_options *o = server->options;
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.max_peers = (uint32_t)o->peers;
    if (o->idle == 0) { /* idle peers are told of with the defaults */
        config.budget_bytes = (uint64_t)BUDGET_MIB << 20;
        config.credits = CREDITS;
    }
    config.spin_us = 0;
    config.filter = o->filter;
    server->bytes = malloc(RESULT_MAX);
    int status = server->bytes == NULL ? WB_ERR_NO_MEMORY : WB_OK;
    status = status == WB_OK ? wb_engine_create(&config, &server->engine) : status;
    status = status == WB_OK ? exchange_register(server->engine, serve, server) : status;
    status = status == WB_OK ? listen_anywhere(server->engine, o->fabric, NULL, url) : status;
    return status == WB_OK ? 0 : say(EXIT_FAILURE, "cannot serve: %s", status_words(status));
}

int soak_serve(const struct soak_options *options)
{
    struct server server = {.options = options};
    char url[LISTEN_URL_ROOM];
    int wrong = board_open(&server.shared, options->board_fd, (uint32_t)options->clients, false);
    if (wrong != 0) {
        return wrong;
    }
    wrong = open_server(&server, url);
    if (wrong == 0) {
        parent_tell_ready(options->parent_fd, url);
        uint64_t looked = 0;
        for (;;) {
            wait_and_answer(&server);
            obey(&server);
            if (clock_ns() - looked > (uint64_t)WAIT_US * 1000) {
                looked = clock_ns();
                if (parent_is_gone(options->parent_fd)) {
                    break;
                }
            }
        }
    }
    wb_engine_destroy(server.engine);
    free(server.bytes);
    board_close(&server.shared);
    return wrong;
}
