/*
 * Two hosts, and the crash of one. Host 0 runs the tests; host 1 serves the suite's actions, and
 * calls host 0 all the time. Host 0 has host 1 killed, which says goodbye to nobody, and booted
 * again. See scripts/vm for the files that host 0 asks with.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/bundle.h"
#include "tests/conformance/world.h"

enum { PORT = 20100, SURVIVOR_PORT = 20101, CALLS = 24, LARGE_CALLS = 4, CALLS_BACK = 4 };

/* A guest boots, and a host that was not there is asked again. */
static const uint64_t boot_us = 240000000;

static void make_url(unsigned host, unsigned port, char url[TEST_URL_BYTES])
{
    char first[64], second[64];
    const char *addresses = getenv("WB_VM_ADDRESSES");
    if (addresses == NULL || sscanf(addresses, "%63s %63s", first, second) != 2) {
        fprintf(stderr, "this program runs in two guests: scripts/vm --hosts 2\n");
        exit(EXIT_FAILURE);
    }
    snprintf(url, TEST_URL_BYTES, "verbs://%s:%u", host == 0 ? first : second, port);
}

static void make_local_url(char *url, size_t size, unsigned number)
{
    char text[TEST_URL_BYTES];
    make_url(0, SURVIVOR_PORT + number, text);
    snprintf(url, size, "%s", text);
}

/* ---- what the hosts tell each other ---- */

static void share_path(const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", getenv("WB_VM_SHARE"), name);
}

static void put_file(const char *name)
{
    char path[256];
    share_path(name, path);
    FILE *file = fopen(path, "we");
    ck_assert_msg(file != NULL, "cannot make %s", path);
    fclose(file);
}

static bool has_file(const char *name)
{
    char path[256];
    share_path(name, path);
    return access(path, F_OK) == 0;
}

/* ---- host 1 ---- */

/* Connects as soon as there is somebody. NULL: not within boot_us. */
static struct wb_peer *connect_at_last(struct wb_engine *engine, const char *url)
{
    uint64_t start = test_clock_us();
    struct wb_peer *peer;
    while (test_clock_us() - start < boot_us) {
        if (wb_connect(engine, url, &peer) == WB_OK) {
            if (wb_peer_wait(peer, boot_us) == WB_OK) {
                return peer;
            }
            wb_peer_close(peer);
        }
        wb_wait(engine, 200000);
    }
    return NULL;
}

/* Some calls with vectors that come back, all open at once. Returns how the worst has ended. */
static int call_host_0(struct wb_engine *engine, struct wb_peer *peer)
{
    struct wb_call *calls[CALLS_BACK] = {NULL};
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 300000};
    struct vector_in in = {0};
    int worst = wb_rma_vector_create(wb_engine_allocator(engine), 1, 300000, &in.data);
    for (unsigned i = 0; i < CALLS_BACK && worst == WB_OK; i++) {
        worst = vector_async(peer, &in, &options, &calls[i]);
    }
    for (unsigned i = 0; i < CALLS_BACK; i++) {
        struct vector_out out;
        int status = calls[i] != NULL ? vector_finish(calls[i], &out) : WB_OK;
        worst = status != WB_OK ? status : worst;
        if (calls[i] != NULL) {
            vector_out_drop(&out);
        }
    }
    vector_in_drop(&in);
    return worst;
}

static int run_host_1(void)
{
    static struct test_service service;
    char here[TEST_URL_BYTES], there[TEST_URL_BYTES];
    make_url(1, PORT, here);
    make_url(0, PORT, there);
    if (test_service_open(&service, NULL, here) != WB_OK) {
        fprintf(stderr, "%s\n", wb_last_error());
        return EXIT_FAILURE;
    }
    struct wb_peer *peer = connect_at_last(service.engine, there);
    int status = peer != NULL ? WB_OK : WB_ERR_TIMED_OUT;
    while (!has_file("done") && status == WB_OK) {
        status = call_host_0(service.engine, peer);
        test_service_tick(&service);
    }
    if (status != WB_OK && !has_file("done")) {
        fprintf(stderr, "calls to %s: %s (%s; %s)\n", there, wb_status_name(status),
                wb_last_error(), peer != NULL ? wb_peer_reason(peer) : "no peer");
    }
    wb_peer_close(peer);
    test_service_close(&service);
    return status == WB_OK || has_file("done") ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- host 0 ---- */

/* peers[0] is host 1, peers[1] the survivor: a server of this host. A thread drives the engine, for
 * host 1 calls it while the tests look at bytes. There is room for these two and
 * for host 1's own connection, and for no peer that was not given back. */
static void open_hosts(void)
{
    struct test_world *world = &test_world;
    char here[TEST_URL_BYTES];
    make_url(0, PORT, here);
    make_url(1, PORT, world->servers[0].url);
    make_local_url(world->servers[1].url, TEST_URL_BYTES, 0);
    world->client_config.max_peers = 3;
    test_assert_status(test_server_start(&world->host, &world->servers[1], &world->server_config),
                       WB_OK);
    test_assert_status(test_service_open(&world->client, &world->client_config, here), WB_OK);
    test_assert_status(test_service_drive(&world->client), WB_OK);
    world->engine = world->client.engine;
    world->pool = wb_engine_allocator(world->engine);
    world->peers[0] = world->peer = connect_at_last(world->engine, world->servers[0].url);
    ck_assert_msg(world->peer != NULL, "host 1 is not reached: %s", wb_last_error());
    test_world_connect(1);
}

/* Host 1 is ours no longer: it leaves when it sees that. */
static void close_hosts(void)
{
    put_file("done");
    wb_peer_close(test_world.peers[0]);
    test_world.peers[0] = NULL;
    uint64_t start = test_clock_us();
    struct wb_engine_stats stats;
    do { /* its connection to us ends with it */
        wb_wait(test_world.engine, 10000);
        wb_engine_stats(test_world.engine, &stats);
    } while (stats.leases_open > 0 && test_clock_us() - start < test_patience_us);
    wb_peer_close(test_world.peers[1]);
    test_world.peers[1] = NULL;
    test_service_close(&test_world.client);
    test_server_stop(&test_world.host, &test_world.servers[1]);
}

static void assert_vectors_come_back(uint64_t bytes)
{
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = bytes};
    struct vector_in in = {.before = 1, .data = test_world_vector(1, bytes, bytes), .after = 2};
    struct vector_out out;
    test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.before, 1);
    ck_assert_uint_eq(out.after, 2);
    ck_assert_uint_eq(out.data.count, bytes);
    ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, bytes), bytes);
    vector_out_drop(&out);
    vector_in_drop(&in);
}

static void assert_bytes_arrive(size_t bytes, uint32_t flags)
{
    struct wb_call_options options = {.timeout_us = test_patience_us, .flags = flags};
    struct digest_out out;
    void *raw = malloc(bytes + 1);
    ck_assert_ptr_nonnull(raw);
    test_pattern_fill(raw, bytes, 5);
    struct digest_in in = {.seed = 5, .raw = {.data = raw, .len = bytes}};
    test_assert_status(digest_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.raw_bytes, bytes);
    ck_assert_uint_eq(out.raw_right, bytes);
    free(raw);
}

static void assert_results_come(uint64_t bytes)
{
    struct produce_in in = {.seed = bytes, .raw_bytes = bytes, .count = bytes / 8, .elem_size = 8};
    struct wb_call_options options = {.timeout_us = test_patience_us,
                                      .reply_bytes = 2 * bytes + 4096};
    struct produce_out out;
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(test_pattern_check(out.raw.data, bytes, bytes), bytes);
    ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, bytes + 1), bytes);
    produce_out_drop(&out);
}

static void assert_scalars_come_back(void)
{
    struct scalars_in in = {.a = -1,
                            .b = INT16_MIN,
                            .c = INT32_MIN,
                            .d = INT64_MIN,
                            .e = UINT8_MAX,
                            .f = UINT16_MAX,
                            .g = UINT32_MAX,
                            .h = UINT64_MAX,
                            .i = 1.5F,
                            .j = -0.1};
    struct scalars_out out;
    test_assert_status(scalars_call(test_world.peer, &in, &out, NULL), WB_OK);
    ck_assert(out.a == in.a && out.b == in.b && out.c == in.c && out.d == in.d && out.e == in.e &&
              out.f == in.f && out.g == in.g && out.h == in.h && out.i == in.i && out.j == in.j);
}

static void assert_bundle_comes_back(uint32_t count)
{
    struct test_bundle in, out;
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 8 << 20};
    test_assert_status(test_bundle_make(test_world.pool, count, &in), WB_OK);
    test_assert_status(test_bundle_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(test_bundle_right(&out), count);
    test_bundle_drop(&out);
    test_bundle_drop(&in);
}

START_TEST(test_calls_between_hosts)
{
    static const uint64_t sizes[] = {0, 1, 1000, 4096, 65537, 1 << 20};
    open_hosts();
    assert_scalars_come_back();
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_vectors_come_back(sizes[i]);
        assert_bytes_arrive(sizes[i], 0);
        assert_bytes_arrive(sizes[i], WB_CALL_COPY);
        assert_results_come(sizes[i] / 8 * 8);
    }
    assert_vectors_come_back(64 << 20);
    assert_bundle_comes_back(300);
    for (unsigned i = 0; i < 1000; i++) {
        struct add_in in = {.a = i, .b = 1};
        struct add_out out;
        test_assert_status(add_call(test_world.peer, &in, &out, NULL), WB_OK);
        ck_assert_uint_eq(out.sum, i + 1);
    }
    test_world_assert_works(test_world.peers[1]);
}
END_TEST

/* ---- the crash ---- */

struct crash {
    struct wb_call *gates[CALLS], *large[LARGE_CALLS], *results[LARGE_CALLS];
    uint64_t bound_us, asked, last_end;
    uint64_t survivor_calls, survivor_worst_us;
};

/* Calls that wait at host 1 with chunks of both kinds, that host 1 fetches, and that we fetch. */
static void begin_calls(struct crash *crash)
{
    static char raw[100000];
    const struct wb_call_options long_ones = {.timeout_us = boot_us};
    struct wb_call_options with_result = {.timeout_us = boot_us, .reply_bytes = 32 << 20};
    struct produce_in wish = {.seed = 1, .count = 32 << 20, .elem_size = 1};
    struct digest_in large = {.seed = 1, .data = test_world_vector(1, 32 << 20, 2)};
    for (unsigned i = 0; i < CALLS; i++) {
        struct wait_at_gate_in in = {.raw = {.data = raw, .len = sizeof raw},
                                     .data = test_world_vector(1, (size_t)i * 5000, i)};
        test_assert_status(wait_at_gate_async(test_world.peer, &in, &long_ones, &crash->gates[i]),
                           WB_OK);
        wait_at_gate_in_drop(&in);
    }
    for (unsigned i = 0; i < LARGE_CALLS; i++) {
        test_assert_status(digest_async(test_world.peer, &large, &long_ones, &crash->large[i]),
                           WB_OK);
        test_assert_status(produce_async(test_world.peer, &wish, &with_result, &crash->results[i]),
                           WB_OK);
    }
    digest_in_drop(&large);
}

static unsigned count_open(struct wb_call *const *calls, unsigned count)
{
    unsigned open = 0;
    for (unsigned i = 0; i < count; i++) {
        open += !wb_call_done(calls[i]);
    }
    return open;
}

static unsigned open_calls(const struct crash *crash)
{
    return count_open(crash->gates, CALLS) + count_open(crash->large, LARGE_CALLS) +
           count_open(crash->results, LARGE_CALLS);
}

/* An ordinary call to the survivor, which is not to notice anything. */
static void call_survivor(struct crash *crash)
{
    uint64_t start = test_clock_us();
    test_world_assert_works(test_world.peers[1]);
    uint64_t took = test_clock_us() - start;
    crash->survivor_calls++;
    crash->survivor_worst_us = took > crash->survivor_worst_us ? took : crash->survivor_worst_us;
}

/* Both directions are busy: host 1 calls, it fetches, we fetch. */
static void await_traffic(void)
{
    struct wb_engine_stats before, now;
    wb_engine_stats(test_world.engine, &before);
    uint64_t start = test_clock_us();
    do {
        wb_wait(test_world.engine, 1000);
        wb_engine_stats(test_world.engine, &now);
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    } while (now.calls_served < before.calls_served + 2 || now.read_bytes == before.read_bytes);
}

static void ask_rig(const char *wish, const char *answer)
{
    char path[64];
    snprintf(path, sizeof path, "control/%s", wish);
    put_file(path);
    snprintf(path, sizeof path, "control/%s", answer);
    uint64_t start = test_clock_us();
    while (!has_file(path)) {
        wb_wait(test_world.engine, 1000);
        ck_assert_uint_lt(test_clock_us() - start, boot_us);
    }
}

static void finish_lost_calls(struct crash *crash)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct wait_at_gate_out out;
        test_assert_status(wait_at_gate_finish(crash->gates[i], &out), WB_ERR_PEER_LOST);
    }
    for (unsigned i = 0; i < LARGE_CALLS; i++) {
        struct digest_out digest;
        struct produce_out made;
        int digested = digest_finish(crash->large[i], &digest);
        int produced = produce_finish(crash->results[i], &made);
        ck_assert(digested == WB_OK || digested == WB_ERR_PEER_LOST);
        ck_assert(produced == WB_OK || produced == WB_ERR_PEER_LOST);
        produce_out_drop(&made);
    }
}

/* What a death may take: silence until the probe, then all tries; the specification lets a device
 * wait four times its timeout for each. */
static uint64_t death_bound_us(const struct wb_engine_config *config)
{
    uint32_t timeout = config->verbs.ack_timeout != 0 ? config->verbs.ack_timeout : 16;
    uint32_t retries = config->verbs.retries != 0 ? config->verbs.retries : 6;
    double a_try_us = 4.096 * (double)(1U << timeout);
    return config->liveness_us + (uint64_t)(4 * a_try_us * (retries + 1));
}

static void crash_host_1(struct crash *crash)
{
    crash->bound_us = death_bound_us(&test_world.client_config);
    begin_calls(crash);
    await_traffic();
    ck_assert_uint_gt(open_calls(crash), 0);
    crash->asked = test_clock_us();
    ask_rig("kill.1", "killed.1");
    while (open_calls(crash) > 0) {
        call_survivor(crash);
        ck_assert_msg(test_clock_us() - crash->asked < crash->bound_us,
                      "%u calls are still open %" PRIu64 " ms after the kill, bound %" PRIu64 " ms",
                      open_calls(crash), (test_clock_us() - crash->asked) / 1000,
                      crash->bound_us / 1000);
    }
    crash->last_end = test_clock_us();
    printf("from the kill to the last call's end: %" PRIu64 " ms (bound %" PRIu64
           " ms); meanwhile %" PRIu64 " calls to another, the longest %" PRIu64 " ms\n",
           (crash->last_end - crash->asked) / 1000, crash->bound_us / 1000, crash->survivor_calls,
           crash->survivor_worst_us / 1000);
    finish_lost_calls(crash);
}

static void assert_all_given_back(const struct wb_engine_stats *before)
{
    struct wb_engine_stats now;
    test_assert_quiet(test_world.engine, 0);
    wb_engine_stats(test_world.engine, &now);
    ck_assert_int_eq(wb_peer_state(test_world.peer), WB_PEER_LOST);
    printf("reason: %s\n", wb_peer_reason(test_world.peer));
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(test_world.peer), test_world.servers[0].url));
    /* ours to it, and its to us */
    uint64_t start = test_clock_us();
    while (now.peers_lost < before->peers_lost + 2) {
        wb_wait(test_world.engine, 1000);
        wb_engine_stats(test_world.engine, &now);
        ck_assert_uint_lt(test_clock_us() - start, death_bound_us(&test_world.client_config));
    }
    ck_assert_uint_eq(now.protocol_errors, before->protocol_errors);
}

START_TEST(test_a_host_crashes_and_comes_back)
{
    struct crash crash = {.asked = 0};
    struct wb_engine_stats before, now;
    wb_engine_stats(test_world.engine, &before);
    crash_host_1(&crash);
    assert_all_given_back(&before);
    test_world_assert_works(test_world.peers[1]);
    wb_peer_close(test_world.peer);
    ask_rig("boot.1", "booted.1");
    test_world.peers[0] = test_world.peer =
        connect_at_last(test_world.engine, test_world.servers[0].url);
    ck_assert_msg(test_world.peer != NULL, "host 1 is not reached again: %s", wb_last_error());
    assert_vectors_come_back(1 << 20);
    assert_results_come(1 << 20);
    wb_engine_stats(test_world.engine, &before);
    uint64_t start = test_clock_us();
    do { /* and it reaches us */
        wb_wait(test_world.engine, 1000);
        wb_engine_stats(test_world.engine, &now);
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    } while (now.calls_served < before.calls_served + CALLS_BACK);
    close_hosts();
}
END_TEST

static void clear(void)
{
    if (has_file("done")) {
        test_world_clear();
    }
}

int main(int argc, char **argv)
{
    static const struct fabric_under_test verbs = {
        .scheme = "verbs", .two_processes = true, .make_url = make_local_url};
    const TTest *const tests[] = {test_calls_between_hosts, test_a_host_crashes_and_comes_back};
    const char *host = getenv("WB_VM_HOST");
    if (host != NULL && strcmp(host, "1") == 0) {
        return run_host_1();
    }
    test_world.fabric = &verbs;
    test_world_prepare();
    test_host_open(&test_world.host, true);
    Suite *suite = suite_create("two hosts");
    TCase *tcase = test_program_case("hosts", tests, sizeof tests / sizeof tests[0]);
    tcase_add_unchecked_fixture(tcase, NULL, clear);
    suite_add_tcase(suite, tcase);
    int result = test_program_run(suite, argc, argv);
    test_host_close(&test_world.host);
    return result;
}
