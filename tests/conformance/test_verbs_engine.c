/* What only an engine on verbs can be told, or find: devices, sources, MTUs, limits, names, hosts
 * that are not there. Runs in a guest with two devices, whose files and links it changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/verbs_url.h"
#include "tests/conformance/world.h"
#include "tests/support/rdma.h"

static const char *self;

static void url_at(char url[TEST_URL_BYTES], const char *host, unsigned port)
{
    snprintf(url, TEST_URL_BYTES, "verbs://%s:%u", host, port);
}

static void assert_says(const char *text, const char *words)
{
    ck_assert_msg(strstr(text, words) != NULL, "\"%s\" does not say \"%s\"", text, words);
}

/* Connects, and waits for how that ends. *took is the time; the reason stays in `reason`. */
static int try_to_connect(const char *url, char reason[300], uint64_t *took)
{
    struct wb_peer *peer;
    uint64_t start = test_clock_us();
    int status = wb_connect(test_world.engine, url, &peer);
    snprintf(reason, 300, "%s", wb_last_error());
    if (status == WB_OK) {
        status = wb_peer_wait(peer, test_patience_us);
        snprintf(reason, 300, "%s", wb_peer_reason(peer));
        wb_peer_close(peer);
    }
    *took = test_clock_us() - start;
    return status;
}

/* ---- hosts ---- */

START_TEST(test_nobody_listens)
{
    char url[TEST_URL_BYTES], reason[300];
    uint64_t took;
    test_world_open(1);
    test_world_url(99, url);
    test_assert_status(try_to_connect(url, reason, &took), WB_ERR_REFUSED);
    assert_says(reason, "nobody listens");
    assert_says(reason, url);
    test_world_close();
}
END_TEST

START_TEST(test_a_host_that_is_not_there)
{
    char url[TEST_URL_BYTES], host[32], reason[300];
    unsigned a, b, c, d;
    uint64_t took;
    test_world.client_config.connect_timeout_us = 4000000;
    test_world_open(1);
    ck_assert_int_eq(sscanf(test_rdma_address(0), "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    snprintf(host, sizeof host, "%u.%u.%u.99", a, b, c);
    url_at(url, host, 20000);
    int status = try_to_connect(url, reason, &took);
    ck_assert_msg(status == WB_ERR_REFUSED || status == WB_ERR_TIMED_OUT, "%s: %s",
                  wb_status_name(status), reason);
    printf("a host that is not there: %s after %llu ms\n", reason, (unsigned long long)took / 1000);
    assert_says(reason, url);
    ck_assert_uint_lt(took, test_world.client_config.connect_timeout_us + 2000000);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_names)
{
    char url[TEST_URL_BYTES], reason[300];
    uint64_t took;
    struct wb_peer *peer;
    FILE *hosts = fopen("/etc/hosts", "ae");
    ck_assert_ptr_nonnull(hosts);
    fprintf(hosts, "\n%s waybill-by-name\n", test_rdma_address(0));
    fclose(hosts);
    test_world_open(1);
    const char *port = strrchr(test_world.servers[0].url, ':') + 1;
    snprintf(url, sizeof url, "verbs://waybill-by-name:%s", port);
    test_assert_status(wb_connect(test_world.engine, url, &peer), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    test_world_assert_works(peer);
    wb_peer_close(peer);
    int status = try_to_connect("verbs://no-such-host.invalid:7471", reason, &took);
    ck_assert_msg(status == WB_ERR_REFUSED || status == WB_ERR_TIMED_OUT, "%s: %s",
                  wb_status_name(status), reason);
    assert_says(reason, "no-such-host.invalid");
    test_assert_status(wb_listen(test_world.engine, "verbs://waybill-by-name:23001"), WB_OK);
    test_assert_status(wb_listen(test_world.engine, "verbs://waybill-by-name:23001"),
                       WB_ERR_IN_USE);
    ck_assert_int_ne(wb_listen(test_world.engine, "verbs://no-such-host.invalid:23002"), WB_OK);
    assert_says(wb_last_error(), "no-such-host.invalid");
    ck_assert_int_ne(wb_listen(test_world.engine, "verbs://10.99.99.99:23003"), WB_OK);
    assert_says(wb_last_error(), "10.99.99.99");
    test_world_close();
}
END_TEST

/* ---- devices ---- */

/* Calls over both devices, in turn and at once, by one engine with one that listens everywhere. */
START_TEST(test_two_devices)
{
    enum { CALLS = 16 };
    struct wb_call *calls[CALLS];
    struct wb_peer *peers[2];
    struct digest_out out;
    char url[TEST_URL_BYTES];
    test_world_open(1);
    ck_assert_ptr_nonnull(test_world.servers[0].local);
    test_assert_status(wb_listen(test_world.servers[0].local->engine, "verbs://*:23010"), WB_OK);
    for (unsigned i = 0; i < 2; i++) {
        url_at(url, test_rdma_address(i), 23010);
        test_assert_status(wb_connect(test_world.engine, url, &peers[i]), WB_OK);
        test_assert_status(wb_peer_wait(peers[i], test_patience_us), WB_OK);
        test_world_assert_works(peers[i]);
    }
    struct digest_in in = {.seed = 1, .data = test_world_vector(1, 3 << 20, 2)};
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_async(peers[i % 2], &in, NULL, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.data_right, 3 << 20);
    }
    digest_in_drop(&in);
    wb_peer_close(peers[0]);
    test_world_assert_works(peers[1]);
    wb_peer_close(peers[1]);
    test_world_close();
}
END_TEST

static void assert_no_engine(const struct wb_engine_config *config, const char *words)
{
    struct wb_engine *engine = NULL;
    test_assert_status(wb_engine_create(config, &engine), WB_ERR_INVALID);
    ck_assert_ptr_null(engine);
    assert_says(wb_last_error(), words);
}

START_TEST(test_configurations_that_cannot_be)
{
    struct wb_engine_config config;
    static const char *const devices[] = {"nosuch0", "rxe", "rxe00", "rxe0,nosuch0", "rxe0,", ""};
    wb_engine_config_default(&config);
    for (unsigned i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        config.verbs.devices = devices[i];
        assert_no_engine(&config, "config.verbs.devices");
    }
    wb_engine_config_default(&config);
    config.verbs.source = "localhost";
    assert_no_engine(&config, "config.verbs.source");
    wb_engine_config_default(&config);
    config.verbs.mtu = 1000;
    assert_no_engine(&config, "mtu");
    wb_engine_config_default(&config);
    config.verbs.ack_timeout = 7;
    assert_no_engine(&config, "ack_timeout");
    config.verbs.ack_timeout = 21;
    assert_no_engine(&config, "ack_timeout");
    wb_engine_config_default(&config);
    config.verbs.retries = 7; /* never ends */
    assert_no_engine(&config, "retries");
}
END_TEST

/* One device alone is used, and the other's address is not reached. */
START_TEST(test_a_device_that_is_left_out)
{
    char url[TEST_URL_BYTES], reason[300];
    uint64_t took;
    test_world.client_config.verbs.devices = test_rdma_device(0);
    test_world_open(1);
    test_assert_status(wb_listen(test_world.servers[0].local->engine, "verbs://*:23020"), WB_OK);
    url_at(url, test_rdma_address(1), 23020);
    int status = try_to_connect(url, reason, &took);
    ck_assert_int_ne(status, WB_OK);
    assert_says(reason, "config.verbs.devices");
    url_at(url, test_rdma_address(1), 23021);
    status = wb_listen(test_world.engine, url);
    ck_assert_msg(status != WB_OK, "listens on a device that was left out");
    assert_says(wb_last_error(), test_rdma_device(1));
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_sources)
{
    char reason[300];
    uint64_t took;
    test_world.client_config.verbs.source = test_rdma_address(0);
    test_world_open(1);
    test_world_assert_works(test_world.peer);
    char *url = strdup(test_world.servers[0].url);
    test_service_close(&test_world.client);
    test_world.peers[0] = NULL;
    test_world.client_config.verbs.source = "10.99.99.99";
    int status = test_service_open(&test_world.client, &test_world.client_config, NULL);
    if (status == WB_OK) { /* known when it is used */
        test_world.engine = test_world.client.engine;
        status = try_to_connect(url, reason, &took);
        assert_says(reason, "source");
    } else {
        assert_says(wb_last_error(), "source");
    }
    ck_assert_int_ne(status, WB_OK);
    free(url);
    if (test_world.client.engine != NULL) {
        test_service_close(&test_world.client);
    }
    test_world.engine = NULL;
}
END_TEST

START_TEST(test_an_mtu_above_the_ports)
{
    char url[TEST_URL_BYTES], reason[300];
    uint64_t took;
    test_world_open(1);
    memcpy(url, test_world.servers[0].url, sizeof url);
    test_service_close(&test_world.client);
    test_world.peers[0] = NULL;
    test_world.client_config.verbs.mtu = 4096;
    int status = test_service_open(&test_world.client, &test_world.client_config, NULL);
    test_world.engine = test_world.client.engine;
    if (status == WB_OK) {
        status = try_to_connect(url, reason, &took);
        assert_says(reason, "mtu");
        test_service_close(&test_world.client);
    } else {
        assert_says(wb_last_error(), "mtu");
    }
    ck_assert_int_ne(status, WB_OK);
    test_world.engine = NULL;
}
END_TEST

/* ---- limits ---- */

/* In a process that may pin little: shm works, and verbs says what to do. */
static int run_with_little_memlock(void)
{
    struct wb_engine *engine;
    struct wb_peer *peer;
    char url[TEST_URL_BYTES];
    test_verbs_url(url, sizeof url, 50);
    if (wb_engine_create(NULL, &engine) != WB_OK) {
        printf("no engine: %s\n", wb_last_error());
        return EXIT_FAILURE;
    }
    bool listens = wb_listen(engine, "shm://little-memlock") == WB_OK;
    int status = wb_connect(engine, url, &peer);
    bool says = strstr(wb_last_error(), "memlock unlimited") != NULL &&
                strstr(wb_last_error(), "limits.conf") != NULL;
    if (!listens || status != WB_ERR_NO_FABRIC || !says) {
        printf("shm %d; verbs %s: %s\n", listens, wb_status_name(status), wb_last_error());
        return EXIT_FAILURE;
    }
    wb_engine_destroy(engine);
    return EXIT_SUCCESS;
}

START_TEST(test_too_little_memlock)
{
    struct rlimit little = {.rlim_cur = 65536, .rlim_max = 65536};
    int status;
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setrlimit(RLIMIT_MEMLOCK, &little);
        execlp("setpriv", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", self,
               "--little-memlock", (char *)NULL);
        _exit(99);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---- links ---- */

static void set_link(const char *where)
{
    char command[100];
    snprintf(command, sizeof command, "ip link set wb1 %s", where);
    ck_assert_int_eq(system(command), 0); /* NOLINT: in a guest */
}

static void assert_port_is_missed(void)
{
    struct wb_engine_config config;
    struct wb_engine *engine;
    wb_engine_config_default(&config);
    config.verbs.devices = "rxe1";
    test_assert_status(wb_engine_create(&config, &engine), WB_ERR_INVALID);
    assert_says(wb_last_error(), "no port is active");
    config.verbs.devices = NULL; /* the other one is enough */
    test_assert_status(wb_engine_create(&config, &engine), WB_OK);
    wb_engine_destroy(engine);
}

/* The second device's. Its peer is lost, the first device's is not. (Soft-RoCE of Linux 6.1
 * connects nobody any more once its connection manager sent something into a port that was down;
 * that ends, too.) */
START_TEST(test_a_port_that_is_down)
{
    struct wb_peer *peer;
    char url[TEST_URL_BYTES], reason[300];
    uint64_t took;
    test_world.client_config.liveness_us = 300000;
    test_world_open(1);
    url_at(url, test_rdma_address(1), 23030);
    test_assert_status(wb_listen(test_world.servers[0].local->engine, url), WB_OK);
    test_assert_status(wb_connect(test_world.engine, url, &peer), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    test_world_assert_works(peer);
    set_link("down");
    assert_port_is_missed();
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    test_assert_status(add_call(peer, &in, &out, NULL), WB_ERR_PEER_LOST);
    assert_says(wb_peer_reason(peer), url);
    wb_peer_close(peer);
    test_world_assert_works(test_world.peer);
    set_link("up");
    int status = try_to_connect(url, reason, &took);
    ck_assert_msg(status == WB_OK || status == WB_ERR_REFUSED || status == WB_ERR_TIMED_OUT, "%s",
                  wb_status_name(status));
    ck_assert_uint_lt(took, 2 * test_world.client_config.connect_timeout_us);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* ---- READs ---- */

START_TEST(test_reads_are_split_and_overlap)
{
    struct wb_engine_stats stats;
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 16 << 20};
    struct produce_in in = {.seed = 1, .count = 16 << 20, .elem_size = 1};
    struct produce_out out;
    test_world_open(1);
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(test_pattern_check(out.data.data, in.count, 2), in.count);
    produce_out_drop(&out);
    wb_engine_stats(test_world.engine, &stats);
    printf("16 MiB: %llu READs, %llu requests, %llu in flight at most\n",
           (unsigned long long)stats.reads, (unsigned long long)stats.read_requests,
           (unsigned long long)stats.reads_peak);
    ck_assert_uint_ge(stats.read_requests, 16);
    ck_assert_uint_gt(stats.reads_peak, 1);
    test_world_close();
}
END_TEST

/* Calls that wait for a connection have chunks that nobody was told of. */
START_TEST(test_unsent_chunks_are_withdrawn)
{
    static char raw[100000];
    struct test_service late;
    struct wb_peer *peer;
    struct wait_at_gate_out out;
    char url[TEST_URL_BYTES];
    test_world_open(1);
    test_world_url(60, url);
    test_assert_status(test_service_open(&late, NULL, url), WB_OK); /* and nobody drives it */
    test_assert_status(wb_connect(test_world.engine, url, &peer), WB_OK);
    for (unsigned i = 0; i < 10; i++) {
        struct wb_call_options options = {.timeout_us = 30000};
        struct wait_at_gate_in in = {.raw = {.data = raw, .len = sizeof raw},
                                     .data = test_world_vector(1, 100000, i)};
        test_assert_status(wait_at_gate_call(peer, &in, &out, &options), WB_ERR_TIMED_OUT);
        ck_assert(wb_rma_vector_is_exclusive(&in.data));
        wait_at_gate_in_drop(&in);
    }
    test_assert_status(test_service_drive(&late), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    test_world_assert_works(peer);
    wb_peer_close(peer);
    test_service_close(&late);
    test_world_close();
}
END_TEST

int main(int argc, char **argv)
{
    static const struct fabric_under_test verbs = {.scheme = "verbs", .make_url = test_verbs_url};
    const TTest *const tests[] = {test_nobody_listens,
                                  test_a_host_that_is_not_there,
                                  test_names,
                                  test_two_devices,
                                  test_configurations_that_cannot_be,
                                  test_a_device_that_is_left_out,
                                  test_sources,
                                  test_an_mtu_above_the_ports,
                                  test_too_little_memlock,
                                  test_reads_are_split_and_overlap,
                                  test_unsent_chunks_are_withdrawn,
                                  test_a_port_that_is_down};
    self = argv[0];
    if (argc > 1 && strcmp(argv[1], "--little-memlock") == 0) {
        return run_with_little_memlock();
    }
    if (getenv("WB_VM") == NULL) {
        fprintf(stderr, "this program changes files and links: run it in a guest, by scripts/vm\n");
        return EXIT_FAILURE;
    }
    test_world.fabric = &verbs;
    test_host_open(&test_world.host, false);
    Suite *suite = suite_create("verbs engine");
    suite_add_tcase(suite, test_world_case("engine", tests, sizeof tests / sizeof tests[0]));
    int result = test_program_run(suite, argc, argv);
    test_host_close(&test_world.host);
    return result;
}
