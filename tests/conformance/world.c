#include "tests/conformance/world.h"

#include <stdlib.h>
#include <string.h>

struct test_world test_world;

void test_world_url(unsigned number, char url[TEST_URL_BYTES])
{
    test_world.fabric->make_url(url, TEST_URL_BYTES, number);
}

void test_world_own_url(unsigned number, char url[TEST_URL_BYTES])
{
    const struct fabric_under_test *fabric = test_world.fabric;
    (fabric->make_own_url != NULL ? fabric->make_own_url : fabric->make_url)(url, TEST_URL_BYTES,
                                                                             number);
}

/* How many lanes the environment asks for; 0: the default. */
static uint32_t lanes_asked(void)
{
    const char *asked = getenv("TEST_LANES");
    return asked != NULL ? (uint32_t)strtoul(asked, NULL, 10) : 0;
}

bool test_world_rails_asked(void)
{
    return getenv("TEST_RAILS") != NULL;
}

/* Takes the first lane on both sides, where they have others. It ends with the engines. */
static void connect_other(unsigned index)
{
    struct test_world *world = &test_world;
    struct wb_peer *other;
    uint32_t most = world->server_config.max_peers;
    most = world->client_config.max_peers < most ? world->client_config.max_peers : most;
    world->others = lanes_asked() > 1 && most >= 2 * TEST_SERVERS;
    if (world->others) {
        test_assert_status(wb_connect(world->engine, world->servers[index].url, &other), WB_OK);
        test_assert_status(wb_peer_wait(other, test_patience_us), WB_OK);
    }
}

/* Where the URL names several hosts the peer has a rail, soon. */
static void await_rail(struct wb_peer *peer)
{
    uint64_t start = test_clock_us();
    struct wb_peer_info info = {.rails = 0};
    while (info.rails == 0 && test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
        test_assert_status(wb_peer_describe(peer, &info), WB_OK);
    }
    ck_assert_uint_gt(info.rails, 0);
}

void test_world_connect(unsigned index)
{
    struct test_world *world = &test_world;
    const char *url = world->servers[index].url;
    test_assert_status(wb_connect(world->engine, url, &world->peers[index]), WB_OK);
    world->peer = world->peers[0];
    test_assert_status(wb_peer_wait(world->peers[index], test_patience_us), WB_OK);
    if (strchr(url, ',') != NULL) {
        await_rail(world->peers[index]);
    }
}

void test_world_open(unsigned servers)
{
    struct test_world *world = &test_world;
    for (unsigned i = 0; i < servers; i++) {
        test_world_url(i, world->servers[i].url);
        test_assert_status(
            test_server_start(&world->host, &world->servers[i], &world->server_config), WB_OK);
    }
    test_assert_status(test_service_open(&world->client, &world->client_config, NULL), WB_OK);
    world->engine = world->client.engine;
    world->pool = wb_engine_allocator(world->engine);
    for (unsigned i = 0; i < servers; i++) {
        connect_other(i);
        test_world_connect(i);
    }
}

static bool runs(const struct test_server *server)
{
    return server->local != NULL || server->pid > 0;
}

static void assert_server_quiet(struct test_server *server)
{
    struct test_world *world = &test_world;
    uint64_t start = test_clock_us();
    struct test_figures figures;
    const char *unquiet;
    do {
        wb_wait(world->engine, 1000);
        test_server_figures(&world->host, server, &figures);
        unquiet = test_figures_unquiet(&figures, 0);
    } while (unquiet != NULL && test_clock_us() - start < test_patience_us / 6);
    ck_assert_msg(unquiet == NULL, "the server is not quiet: %s", unquiet);
}

void test_world_assert_quiet(uint64_t blocks)
{
    test_assert_quiet(test_world.engine, blocks);
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        if (runs(&test_world.servers[i])) {
            assert_server_quiet(&test_world.servers[i]);
        }
    }
}

void test_world_close(void)
{
    struct test_world *world = &test_world;
    test_world_assert_quiet(0);
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        wb_peer_close(world->peers[i]);
        world->peers[i] = NULL;
    }
    world->peer = NULL;
    test_service_close(&world->client);
    world->engine = NULL;
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        test_server_stop(&world->host, &world->servers[i]);
    }
}

void test_world_prepare(void)
{
    wb_engine_config_default(&test_world.server_config);
    test_world.server_config.lanes = lanes_asked();
    test_world.server_config.verbs.rails = test_world_rails_asked();
    if (test_is_emulated()) { /* to register receives by the thousand takes half a second there,
                               * and to connect some seconds while the machine has other work */
        test_world.server_config.connect_timeout_us = 30000000;
        test_world.server_config.max_peers = 16;
        test_world.server_config.credits = 80;
    }
    test_world.client_config = test_world.server_config;
}

void test_world_clear(void)
{
    struct test_world *world = &test_world;
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        world->peers[i] = NULL; /* the engine ends them */
    }
    world->peer = NULL;
    if (world->client.engine != NULL) {
        test_service_close(&world->client);
    }
    world->engine = NULL;
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        test_server_stop(&world->host, &world->servers[i]);
    }
}

wb_rma_vector test_world_vector(uint32_t elem_size, size_t count, uint64_t seed)
{
    wb_rma_vector vector;
    test_assert_status(wb_rma_vector_create(test_world.pool, elem_size, count, &vector), WB_OK);
    test_pattern_fill(vector.data, wb_rma_vector_bytes(&vector), seed);
    return vector;
}

void test_world_assert_works(struct wb_peer *peer)
{
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 1 << 16};
    static char raw[10000];
    struct digest_in in = {
        .seed = 3, .raw = {.data = raw, .len = sizeof raw}, .data = test_world_vector(8, 1000, 4)};
    struct digest_out out;
    test_pattern_fill(raw, sizeof raw, 3);
    test_assert_status(digest_call(peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.raw_bytes, sizeof raw);
    ck_assert_uint_eq(out.raw_right, sizeof raw);
    ck_assert_uint_eq(out.data_right, 8000);
    ck_assert_uint_eq(out.elem_size, 8);
    digest_out_drop(&out);
    digest_in_drop(&in);
}

TCase *test_world_case(const char *name, const TTest *const *tests, unsigned count)
{
    TCase *tcase = test_program_case(name, tests, count);
    tcase_add_checked_fixture(tcase, test_world_prepare, test_world_clear);
    return tcase;
}

int test_conformance_run(const struct fabric_under_test *fabric, int argc, char **argv)
{
    test_world.fabric = fabric;
    if (fabric->find_nursery != NULL) {
        test_host_open_remote(&test_world.host, fabric->find_nursery());
    } else {
        test_host_open(&test_world.host, fabric->two_processes);
    }
    Suite *suite = suite_create(fabric->two_processes ? "conformance, two processes"
                                                      : "conformance, one process");
    suite_add_tcase(suite, test_arguments_case());
    suite_add_tcase(suite, test_payload_case());
    suite_add_tcase(suite, test_chunks_case());
    suite_add_tcase(suite, test_handles_case());
    suite_add_tcase(suite, test_traffic_case());
    suite_add_tcase(suite, test_errors_case());
    suite_add_tcase(suite, test_budget_case());
    suite_add_tcase(suite, test_sizes_case());
    suite_add_tcase(suite, test_handlers_case());
    suite_add_tcase(suite, test_later_case());
    suite_add_tcase(suite, test_streams_case());
    suite_add_tcase(suite, test_stream_ends_case());
    suite_add_tcase(suite, test_time_case());
    suite_add_tcase(suite, test_ends_case());
    suite_add_tcase(suite, test_drain_case());
    suite_add_tcase(suite, test_lines_case());
    if (fabric->find_nursery == NULL || argc > 1) { /* the same wherever the servers are */
        suite_add_tcase(suite, test_types_case());
        suite_add_tcase(suite, test_into_case());
        suite_add_tcase(suite, test_pins_case());
        suite_add_tcase(suite, test_ranges_case());
        suite_add_tcase(suite, test_filter_case());
        suite_add_tcase(suite, test_allocators_case());
        suite_add_tcase(suite, test_futures_case());
        suite_add_tcase(suite, test_crew_case());
        suite_add_tcase(suite, test_room_case());
        suite_add_tcase(suite, test_watch_case());
        suite_add_tcase(suite, test_strange_streams_case());
    }
    if (fabric->two_processes) {
        suite_add_tcase(suite, test_death_case());
    }
    int result = test_program_run(suite, argc, argv);
    test_host_close(&test_world.host);
    return result;
}
