/* How wb_soak's parent starts its processes, and asks the server. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "perf/common_clock.h"
#include "perf/common_say.h"
#include "perf/soak.h"

enum { WORD_ROOM = 64, URL_WORD_ROOM = LISTEN_URL_ROOM + 8, READY_MS = 60000, LOOK_NS = 2000000 };
static const uint64_t answer_ns = UINT64_C(180000000000);

static const char *filter_word(const struct soak_options *options)
{
    return options->filter == WB_FILTER_LZ4 ? "--filter=lz4" : "--filter=none";
}

int soak_start_server(const struct soak_options *options, const struct soak_shared *shared,
                      uint64_t peers, struct child *server, char *url)
{
    char fabric[WORD_ROOM], clients[WORD_ROOM], limit[WORD_ROOM], board[WORD_ROOM];
    char idle[WORD_ROOM];
    snprintf(fabric, sizeof fabric, "--fabric=%s", options->fabric);
    snprintf(clients, sizeof clients, "--clients=%" PRIu64, options->clients);
    snprintf(limit, sizeof limit, "--peers=%" PRIu64, peers);
    snprintf(board, sizeof board, "--board=%d", shared->fd);
    snprintf(idle, sizeof idle, "--idle=%" PRIu64, options->idle);
    const char *words[] = {"wb_soak",
                           "--role=server",
                           fabric,
                           clients,
                           limit,
                           board,
                           filter_word(options),
                           options->idle != 0 ? idle : NULL,
                           NULL};
    int wrong = child_start(server, words, shared->fd);
    return wrong == 0 ? child_await_ready(server, READY_MS, url, LISTEN_URL_ROOM) : wrong;
}

int soak_start_client(const struct soak_options *options, const struct soak_shared *shared,
                      const char *role, const char *url, uint64_t index, uint64_t peers,
                      struct child *client)
{
    char role_word[WORD_ROOM], url_word[URL_WORD_ROOM], number[WORD_ROOM], clients[WORD_ROOM];
    char seed[WORD_ROOM], limit[WORD_ROOM], board[WORD_ROOM], calls[WORD_ROOM];
    snprintf(role_word, sizeof role_word, "--role=%s", role);
    snprintf(url_word, sizeof url_word, "--url=%s", url);
    snprintf(number, sizeof number, "--index=%" PRIu64, index);
    snprintf(clients, sizeof clients, "--clients=%" PRIu64, options->clients);
    snprintf(seed, sizeof seed, "--seed=%" PRIu64, options->seed);
    snprintf(limit, sizeof limit, "--peers=%" PRIu64, peers);
    snprintf(board, sizeof board, "--board=%d", shared->fd);
    snprintf(calls, sizeof calls, "--calls=%" PRIu64, options->calls);
    const char *words[] = {"wb_soak",
                           role_word,
                           url_word,
                           number,
                           clients,
                           seed,
                           limit,
                           board,
                           filter_word(options),
                           options->calls != 0 ? calls : NULL,
                           NULL};
    return child_start(client, words, shared->fd);
}

int soak_ask(const struct soak_shared *shared, enum soak_order kind, const struct child *server,
             struct soak_sample *sample)
{
    const struct timespec look = {.tv_nsec = LOOK_NS};
    struct soak_board *board = shared->board;
    uint64_t start = clock_ns();
    atomic_store(&board->kind, kind);
    uint32_t order = atomic_fetch_add(&board->order, 1) + 1;
    while (atomic_load(&board->answered) != order) {
        if (child_is_gone(server)) {
            return say(EXIT_FAILURE, "the server has ended by itself");
        }
        if (clock_ns() - start > answer_ns) {
            return say(EXIT_FAILURE, "the server does not answer");
        }
        nanosleep(&look, NULL);
    }
    *sample = board->sample;
    return 0;
}
