/* Connections that only stand, and what the server takes for each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "perf/common_say.h"
#include "perf/soak.h"

enum {
    A_PROCESS = 128, /* connections of one process, at most */
    PROCESSES_MAX = 16,
    READY_MS = 180000,
    CONNECT_US = 120000000,
    WAIT_US = 200000,
    BUDGET_MIB = 16,
    SLAB_MIB = 2,
    FEW = 8
};

/* ---- an idler ---- */

static int connect_all(struct wb_engine *engine, const struct soak_options *o,
                       struct wb_peer **peers)
{
    for (uint64_t i = 0; i < o->peers; i++) {
        int status = wb_connect(engine, o->url, &peers[i]);
        status = status == WB_OK ? wb_peer_wait(peers[i], CONNECT_US) : status;
        if (status != WB_OK) {
            return say(EXIT_FAILURE, "connection %" PRIu64 " of %" PRIu64 ": %s", i + 1, o->peers,
                       status_words(status));
        }
    }
    return 0;
}

int soak_stand_idle(const struct soak_options *options)
{
    struct wb_engine *engine = NULL;
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = (uint64_t)BUDGET_MIB << 20;
    config.slab_bytes = (uint64_t)SLAB_MIB << 20;
    config.max_peers = (uint32_t)options->peers;
    config.max_calls = config.credits = FEW;
    config.connect_timeout_us = CONNECT_US;
    config.spin_us = 0;
    struct wb_peer **peers = calloc(options->peers, sizeof *peers);
    int status = peers != NULL ? wb_engine_create(&config, &engine) : WB_ERR_NO_MEMORY;
    int wrong = status == WB_OK ? connect_all(engine, options, peers)
                                : say(EXIT_FAILURE, "no engine: %s", status_words(status));
    if (wrong == 0) {
        parent_tell_ready(options->parent_fd, "connected");
        while (!parent_is_gone(options->parent_fd)) {
            wb_wait(engine, WAIT_US);
        }
    }
    for (uint64_t i = 0; peers != NULL && i < options->peers; i++) {
        if (wrong == 0 && wb_peer_state(peers[i]) != WB_PEER_CONNECTED) {
            wrong = say(EXIT_FAILURE, "a connection was lost: %s", wb_peer_reason(peers[i]));
        }
        wb_peer_close(peers[i]);
    }
    wb_engine_destroy(engine);
    free(peers);
    return wrong;
}

/* ---- their parent ---- */

static int start_idlers(const struct soak_options *o, const struct soak_shared *shared,
                        const char *url, uint64_t peers, struct child *idler)
{
    char words[FEW * FEW];
    int wrong = soak_start_client(o, shared, "idler", url, 0, peers, idler);
    return wrong == 0 ? child_await_ready(idler, READY_MS, words, sizeof words) : wrong;
}

static int64_t for_each(uint64_t before, uint64_t after, uint64_t count)
{
    return count > 0 ? ((int64_t)after - (int64_t)before) / (int64_t)count : 0;
}

static void print(const struct soak_options *o, const struct soak_sample *before,
                  const struct soak_sample *after)
{
    printf("{\"fabric\":\"%s\",\"idle\":%" PRIu64 ",\"server_rss_before\":%" PRIu64
           ",\"server_rss_after\":%" PRIu64 ",\"bytes_per_idle_peer\":%" PRId64,
           o->fabric, o->idle, before->rss, after->rss, for_each(before->rss, after->rss, o->idle));
    printf(",\"anonymous_per_idle_peer\":%" PRId64 ",\"shared_per_idle_peer\":%" PRId64
           ",\"pool_per_idle_peer\":%" PRId64 "}\n",
           for_each(before->rss_anonymous, after->rss_anonymous, o->idle),
           for_each(before->rss_shared, after->rss_shared, o->idle),
           for_each(before->pool_bytes, after->pool_bytes, o->idle));
}

/* The first idler makes what is made once, for whoever comes. */
static int stand(const struct soak_options *o, const struct soak_shared *shared,
                 struct child *server, struct child *idlers)
{
    char url[LISTEN_URL_ROOM];
    struct soak_sample before, after;
    int wrong = soak_start_server(o, shared, o->idle + 1, server, url);
    wrong = wrong == 0 ? start_idlers(o, shared, url, 1, &idlers[0]) : wrong;
    wrong = wrong == 0 ? soak_ask(shared, ORDER_SAMPLE, server, &before) : wrong;
    unsigned count = 1;
    for (uint64_t left = o->idle; wrong == 0 && left > 0; count++) {
        uint64_t some = left < A_PROCESS ? left : A_PROCESS;
        wrong = start_idlers(o, shared, url, some, &idlers[count]);
        left -= some;
    }
    wrong = wrong == 0 ? soak_ask(shared, ORDER_SAMPLE, server, &after) : wrong;
    for (unsigned i = 0; i < count; i++) {
        int one = child_stop(&idlers[i]);
        wrong = wrong != 0 ? wrong : one;
    }
    int server_wrong = child_stop(server);
    if (wrong == 0 && server_wrong == 0) {
        print(o, &before, &after);
    }
    return wrong != 0 ? wrong : server_wrong;
}

int soak_idle(const struct soak_options *options)
{
    struct soak_shared shared;
    struct child server = CHILD_NONE, idlers[PROCESSES_MAX];
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* for our children: a connection takes some */
        setrlimit(RLIMIT_NOFILE, &files);
    }
    for (unsigned i = 0; i < PROCESSES_MAX; i++) {
        idlers[i] = CHILD_NONE;
    }
    int wrong = board_create(&shared, (uint32_t)options->clients);
    wrong = wrong == 0 ? stand(options, &shared, &server, idlers) : wrong;
    board_close(&shared);
    return wrong;
}
