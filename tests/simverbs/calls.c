/*
 * Small calls over the simulated network, for counting instructions (scripts/instructions): two
 * engines in one thread, each of whose turns finds what it waits for. sim_calls COUNT [WINDOW]:
 * COUNT calls of 8 bytes that are answered by 8, WINDOW at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <waybill/waybill.h>

#include "tests/simverbs/world.h"

#define TWICE(F) F(VALUE, u64, value)
WB_ACTION(twice, TWICE, TWICE)

enum { MOST = 64 };

static const char *const url = "verbs://10.0.0.2:7471";

static int on_twice(struct wb_context *context, struct twice_in *in, struct twice_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    out->value = 2 * in->value;
    return WB_OK;
}

static struct wb_engine *client, *server;

/* The server's turn, where the client would wait. */
static bool serve(void *context)
{
    (void)context;
    return wb_progress(server) > 0;
}

static bool open_both(struct wb_peer **peer)
{
    struct wb_engine_config config;
    struct sim_host *hosts[] = {sim_host_add(), sim_host_add()};
    sim_device_add(hosts[0], &sim_profile_mlx5, "10.0.0.1");
    sim_device_add(hosts[1], &sim_profile_mlx5, "10.0.0.2");
    wb_engine_config_default(&config);
    config.max_peers = 8;
    sim_host_enter(hosts[1]);
    int status = wb_engine_create(&config, &server);
    status = status == WB_OK ? twice_register(server, on_twice, NULL) : status;
    status = status == WB_OK ? wb_listen(server, url) : status;
    sim_host_enter(hosts[0]);
    status = status == WB_OK ? wb_engine_create(&config, &client) : status;
    sim_on_wait(serve, NULL);
    status = status == WB_OK ? wb_connect(client, url, peer) : status;
    status = status == WB_OK ? wb_peer_wait(*peer, 20000000) : status;
    if (status != WB_OK) {
        fprintf(stderr, "sim_calls: %s\n", wb_last_error());
    }
    return status == WB_OK;
}

/* `count` calls at once: all are begun, each side takes its turn, all have ended. */
static bool call_together(struct wb_peer *peer, unsigned count)
{
    struct wb_call *calls[MOST];
    struct twice_out out;
    bool right = true;
    for (unsigned i = 0; i < count; i++) {
        struct twice_in in = {.value = i};
        right &= twice_async(peer, &in, NULL, &calls[i]) == WB_OK;
    }
    for (unsigned turns = 0; right && turns < 4 && !wb_call_done(calls[count - 1]); turns++) {
        wb_progress(server);
        wb_progress(client);
    }
    for (unsigned i = 0; right && i < count; i++) {
        right = wb_call_done(calls[i]) && twice_finish(calls[i], &out) == WB_OK &&
                out.value == 2 * (uint64_t)i;
    }
    return right;
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long window = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    struct wb_peer *peer = NULL;
    if (count == 0 || window == 0 || window > MOST) {
        fprintf(stderr, "usage: %s COUNT [WINDOW, at most %d]\n", argv[0], MOST);
        return 2;
    }
    /* what is sent has arrived when the other side looks */
    sim_open(&(struct sim_options){.seed = 1, .latency_ns = 1, .jitter_ns = 1, .poll_ns = 1000});
    bool right = open_both(&peer);
    for (unsigned long i = 0; right && i < count / window; i++) {
        right = call_together(peer, (unsigned)window);
    }
    if (!right) {
        fprintf(stderr, "sim_calls: a call went wrong: %s\n", wb_last_error());
    }
    wb_peer_close(peer);
    wb_engine_destroy(client);
    sim_on_wait(NULL, NULL);
    wb_engine_destroy(server);
    return sim_close() != 0 || !right;
}
