#include "tests/simverbs/scene_pair.h"

#include "tests/support/program.h"

const char *const sim_pair_url = "verbs://10.0.0.2:7471";

void sim_pair_open(struct sim_pair *pair, uint64_t seed, const struct sim_profile *profile)
{
    *pair = (struct sim_pair){.url = sim_pair_url};
    sim_open(&(struct sim_options){.seed = seed});
    pair->client_host = sim_host_add();
    pair->server_host = sim_host_add();
    pair->client_device = sim_device_add(pair->client_host, profile, "10.0.0.1");
    pair->server_device = sim_device_add(pair->server_host, profile, "10.0.0.2");
    wb_engine_config_default(&pair->config);
    pair->config.max_peers = 8;
    pair->config.max_calls = 16;
    pair->config.credits = 16;
    pair->config.slab_bytes = 2 << 20;
    pair->config.budget_bytes = 64 << 20;
}

void sim_pair_add_rails(struct sim_pair *pair, const struct sim_profile *profile)
{
    pair->client_rail = sim_device_add(pair->client_host, profile, "10.0.1.1");
    pair->server_rail = sim_device_add(pair->server_host, profile, "10.0.1.2");
    pair->url = "verbs://10.0.0.2,10.0.1.2:7471";
    pair->config.verbs.rails = true;
}

/* The server's turn. */
static bool serve(void *context)
{
    struct sim_pair *pair = context;
    int done = wb_progress(pair->server.engine);
    test_service_tick(&pair->server);
    return done > 0;
}

void sim_pair_drive(struct sim_pair *pair)
{
    sim_on_wait(serve, pair);
}

int sim_pair_begin(struct sim_pair *pair)
{
    sim_host_enter(pair->server_host);
    int status = test_service_open(&pair->server, &pair->config, pair->url);
    sim_host_enter(pair->client_host);
    if (status != WB_OK) {
        return status;
    }
    sim_pair_drive(pair);
    status = test_service_open(&pair->client, &pair->config, NULL);
    status = status == WB_OK ? wb_connect(pair->client.engine, pair->url, &pair->peer) : status;
    return status == WB_OK ? wb_peer_wait(pair->peer, 20000000) : status;
}

void sim_pair_end(struct sim_pair *pair)
{
    wb_peer_close(pair->peer);
    pair->peer = NULL;
    test_service_close(&pair->client);
    if (pair->server.engine != NULL) {
        sim_on_wait(NULL, NULL);
    }
    test_service_close(&pair->server);
}

void sim_pair_settle(struct sim_pair *pair, uint64_t us)
{
    uint64_t end = sim_now_ns() + us * 1000;
    while (sim_now_ns() < end) {
        bool busy = serve(pair);
        busy |= wb_progress(pair->client.engine) > 0;
        if (!busy) {
            sim_advance(100);
        }
    }
}

void sim_pair_clear(struct sim_pair *pair)
{
    if (pair->server_host != NULL) {
        sim_pair_end(pair);
        sim_close();
    }
    *pair = (struct sim_pair){.peer = NULL};
}

struct wb_engine_stats sim_stats(const struct test_service *service)
{
    struct wb_engine_stats stats;
    wb_engine_stats(service->engine, &stats);
    return stats;
}

void sim_pair_close(struct sim_pair *pair)
{
    sim_pair_end(pair);
    unsigned left = sim_close();
    *pair = (struct sim_pair){.peer = NULL};
    ck_assert_msg(left == 0, "%u things of verbs are left", left);
}
