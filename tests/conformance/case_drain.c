/* The end in order: what has begun ends, nothing new begins, and nobody loses anything. The client
 * is drained, and a guest, an engine of its own in this process, is its caller. */
#include <stdatomic.h>
#include <string.h>

#include "tests/conformance/actions_later.h"
#include "tests/conformance/world.h"

enum { AT_GATE = 8 };

static struct guest {
    struct wb_engine *engine;
    struct wb_peer *peer; /* the client */
    struct test_driver driver;
    char url[TEST_URL_BYTES]; /* the client's */
} guest;

static void open_guest(void)
{
    test_world_own_url(5, guest.url);
    test_assert_status(wb_listen(test_world.engine, guest.url), WB_OK);
    test_assert_status(wb_engine_create(&test_world.client_config, &guest.engine), WB_OK);
    guest.driver = (struct test_driver){.engine = guest.engine};
    ck_assert(test_driver_start(&guest.driver));
    test_assert_status(wb_connect(guest.engine, guest.url, &guest.peer), WB_OK);
    uint64_t start = test_clock_us();
    while (wb_peer_state(guest.peer) == WB_PEER_CONNECTING &&
           test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
    }
    ck_assert_int_eq(wb_peer_state(guest.peer), WB_PEER_CONNECTED);
}

static void close_guest(void)
{
    test_driver_stop(&guest.driver);
    wb_engine_destroy(guest.engine);
    guest.engine = NULL;
}

static wb_rma_vector guest_vector(size_t count)
{
    wb_rma_vector vector;
    test_assert_status(wb_rma_vector_create(wb_engine_allocator(guest.engine), 1, count, &vector),
                       WB_OK);
    memset(vector.data, 7, count);
    return vector;
}

static uint64_t received(void)
{
    struct wb_engine_stats stats;
    wb_engine_stats(test_world.engine, &stats);
    return stats.parcels_received;
}

/* Until so many requests of the guest's have come to the client. */
static void await_received(uint64_t before, uint64_t count)
{
    uint64_t start = test_clock_us();
    while (received() - before < count && test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
    }
    ck_assert_uint_eq(received() - before, count);
}

/* The guest's calls have come to the client's gate, which is closed. */
static void begin_at_gate(struct wb_call *calls[AT_GATE])
{
    uint64_t before = received();
    for (size_t i = 0; i < AT_GATE; i++) {
        struct wait_at_gate_in in = {.data = guest_vector(i * 30000)};
        test_assert_status(wait_at_gate_async(guest.peer, &in, NULL, &calls[i]), WB_OK);
        wait_at_gate_in_drop(&in);
    }
    await_received(before, AT_GATE);
}

static void assert_gate_calls(struct wb_call *calls[AT_GATE], int wanted)
{
    struct wait_at_gate_out out;
    for (unsigned i = 0; i < AT_GATE; i++) {
        test_assert_status(wait_at_gate_finish(calls[i], &out), wanted);
    }
}

static void open_gate_then(struct wb_call *call, void *user)
{
    struct test_service *service = user;
    (void)call;
    service->gate_open = true;
}

/* At once: nothing else is waited for. */
static void end_client(void)
{
    test_service_close(&test_world.client);
    test_world.engine = NULL;
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        test_world.peers[i] = NULL;
    }
}

static void open_client(void)
{
    test_assert_status(test_service_open(&test_world.client, &test_world.client_config, NULL),
                       WB_OK);
    test_world.engine = test_world.client.engine;
    test_world.pool = wb_engine_allocator(test_world.engine);
    test_world_connect(0);
    test_world_assert_works(test_world.peer);
}

/* Requests that are being served, and own calls, both with chunks: all of them end well, also for
 * callers that hear of it only when the engine has gone. */
START_TEST(test_what_has_begun_ends)
{
    struct wb_call *calls[AT_GATE], *own;
    struct again_out out;
    test_world_open(1);
    open_guest();
    begin_at_gate(calls);
    struct again_in in = {.times = 20, .seed = 5, .data = test_world_vector(1, 50000, 5)};
    struct wb_call_options options = {
        .reply_bytes = 1 << 17, .then = open_gate_then, .user = &test_world.client};
    test_assert_status(again_async(test_world.peer, &in, &options, &own), WB_OK);
    again_in_drop(&in);
    ck_assert(!wb_call_done(calls[0]));
    test_assert_status(wb_engine_drain(test_world.engine, test_patience_us), WB_OK);
    ck_assert(wb_call_done(own));
    test_assert_status(again_finish(own, &out), WB_OK);
    ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, 5), 50000);
    again_out_drop(&out);
    test_assert_quiet(test_world.engine, 0);
    end_client();
    assert_gate_calls(calls, WB_OK);
    close_guest();
    open_client();
    test_world_close();
}
END_TEST

/* Those whose handlers have returned, and that other threads answer meanwhile. */
START_TEST(test_what_is_answered_later_ends)
{
    enum { CALLS = 24 };
    struct wb_call *calls[CALLS];
    struct wb_call_options options = {.reply_bytes = 1 << 17};
    test_world_open(1);
    open_guest();
    uint64_t before = received();
    for (size_t i = 0; i < CALLS; i++) {
        struct on_workers_in in = {
            .how = TEST_BY_WORKER, .seed = i, .data = guest_vector(i * 3000)};
        test_pattern_fill(in.data.data, in.data.count, i + 1);
        test_assert_status(on_workers_async(guest.peer, &in, &options, &calls[i]), WB_OK);
        on_workers_in_drop(&in);
    }
    await_received(before, CALLS);
    test_assert_status(wb_engine_drain(test_world.engine, test_patience_us), WB_OK);
    end_client();
    for (size_t i = 0; i < CALLS; i++) {
        struct on_workers_out out;
        test_assert_status(on_workers_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.right, 1);
        ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, i + 1), i * 3000);
        on_workers_out_drop(&out);
    }
    close_guest();
    open_client();
    test_world_close();
}
END_TEST

/* The guest's call ends while the client makes progress. */
static void await_end(const struct wb_call *call)
{
    uint64_t start = test_clock_us();
    while (!wb_call_done(call) && test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
    }
}

static void assert_calls_are_refused(void)
{
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct keep_in keep = {.seed = 1};
    struct keep_out kept;
    struct wb_call *call;
    test_assert_status(add_call(test_world.peer, &in, &out, NULL), WB_ERR_CLOSED);
    test_assert_status(add_async(test_world.peer, &in, NULL, &call), WB_ERR_CLOSED);
    test_assert_status(add_async(guest.peer, &in, NULL, &call), WB_OK);
    await_end(call);
    test_assert_status(add_finish(call, &out), WB_ERR_NOT_SENT);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "drained"));
    for (size_t i = 0; i < 600; i++) { /* more than there are credits */
        keep.data = guest_vector(i % 16 * 10000);
        struct wb_call_options options = {.flags = i % 32 == 0 ? WB_CALL_COPY : 0};
        test_assert_status(keep_apply(guest.peer, &keep, NULL), WB_OK);
        test_assert_status(keep_async(guest.peer, &keep, &options, &call), WB_OK);
        keep_in_drop(&keep);
        await_end(call);
        test_assert_status(keep_finish(call, &kept), WB_ERR_NOT_SENT);
    }
    ck_assert_uint_eq(test_world.client.kept_count, 0);
}

static void assert_nobody_connects(void)
{
    struct wb_peer *peer = NULL;
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &peer),
                       WB_ERR_CLOSED);
    ck_assert_ptr_null(peer);
    test_assert_status(wb_connect(guest.engine, guest.url, &peer), WB_OK);
    uint64_t start = test_clock_us();
    while (wb_peer_state(peer) == WB_PEER_CONNECTING &&
           test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
    }
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(peer), "drained"));
    wb_peer_close(peer);
}

START_TEST(test_nothing_new_begins)
{
    struct wb_call *calls[AT_GATE];
    test_world_open(1);
    open_guest();
    begin_at_gate(calls);
    test_assert_status(wb_engine_drain(test_world.engine, 20000), WB_ERR_TIMED_OUT);
    ck_assert_msg(strstr(wb_last_error(), "8 requests being served") != NULL, "%s",
                  wb_last_error());
    assert_calls_are_refused();
    assert_nobody_connects();
    ck_assert(!wb_call_done(calls[0]));
    test_world.client.gate_open = true;
    test_assert_status(wb_engine_drain(test_world.engine, test_patience_us), WB_OK);
    assert_gate_calls(calls, WB_OK);
    uint64_t start = test_clock_us();
    struct test_figures figures;
    const char *unquiet;
    do { /* what it offered for refused requests has come back */
        wb_wait(test_world.engine, 1000);
        test_figures_take(guest.engine, &figures);
        unquiet = test_figures_unquiet(&figures, 0);
    } while (unquiet != NULL && test_clock_us() - start < test_patience_us);
    ck_assert_msg(unquiet == NULL, "the guest is not quiet: %s", unquiet);
    close_guest();
    test_world_close();
}
END_TEST

START_TEST(test_one_peer_is_drained)
{
    enum { CALLS = 40 };
    struct wb_call *calls[CALLS];
    struct vector_out out;
    test_world_open(2);
    for (size_t i = 0; i < CALLS; i++) {
        struct vector_in in = {.data = test_world_vector(1, i * 5000, i)};
        struct wb_call_options options = {.reply_bytes = i * 5000};
        test_assert_status(vector_async(test_world.peers[0], &in, &options, &calls[i]), WB_OK);
        vector_in_drop(&in);
    }
    test_assert_status(wb_peer_drain(test_world.peers[0], test_patience_us), WB_OK);
    for (size_t i = 0; i < CALLS; i++) {
        ck_assert(wb_call_done(calls[i]));
        test_assert_status(vector_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, i), i * 5000);
        vector_out_drop(&out);
    }
    struct vector_in none = {.before = 1};
    test_assert_status(vector_call(test_world.peers[0], &none, &out, NULL), WB_ERR_CLOSED);
    test_world_assert_works(test_world.peers[1]);
    wb_peer_close(test_world.peers[0]);
    test_world_connect(0);
    test_world_assert_works(test_world.peers[0]);
    test_world_close();
}
END_TEST

START_TEST(test_a_lost_peer_is_drained)
{
    test_world_open(2);
    test_server_stop(&test_world.host, &test_world.servers[0]);
    test_assert_status(wb_peer_wait(test_world.peers[1], test_patience_us), WB_OK);
    uint64_t start = test_clock_us();
    while (wb_peer_state(test_world.peers[0]) != WB_PEER_LOST &&
           test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
    }
    test_assert_status(wb_peer_drain(test_world.peers[0], test_patience_us), WB_ERR_PEER_LOST);
    test_world_assert_works(test_world.peers[1]);
    test_world_close();
}
END_TEST

/* A line to the server, which is connected. */
static struct wb_peer *line_to_server(void)
{
    struct wb_peer_options again = {.again = true};
    struct wb_peer *peer;
    test_assert_status(wb_connect_with(test_world.engine, test_world.servers[0].url, &again, &peer),
                       WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    return peer;
}

/* It would come back, and is lost all the same for what was under way. */
START_TEST(test_a_line_is_lost_meanwhile)
{
    struct wb_call *call;
    struct wait_at_gate_in in = {.data = {.count = 0}};
    struct wait_at_gate_out out;
    test_world_open(1);
    struct wb_peer *peer = line_to_server();
    test_assert_status(wait_at_gate_async(peer, &in, NULL, &call), WB_OK);
    test_assert_status(wb_peer_drain(peer, 1000), WB_ERR_TIMED_OUT);
    test_server_stop(&test_world.host, &test_world.servers[0]);
    test_assert_status(wb_peer_drain(peer, test_patience_us), WB_ERR_PEER_LOST);
    ck_assert(wb_call_done(call));
    test_assert_status(wait_at_gate_finish(call, &out), WB_ERR_PEER_LOST);
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

/* Calls wait for a line that is away, longer than anybody wants to drain; so do those who wait for
 * the line itself. */
START_TEST(test_absent_lines_are_drained)
{
    enum { CALLS = 5 };
    struct wb_peer_options again = {.lazy = true, .again = true, .backoff_us = 1000};
    struct wb_call_options patient = {.timeout_us = 10 * test_patience_us};
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct wb_call *calls[CALLS];
    struct wb_peer *peer;
    char nowhere[TEST_URL_BYTES];
    test_world_open(1);
    test_world_url(9, nowhere);
    test_assert_status(wb_connect_with(test_world.engine, nowhere, &again, &peer), WB_OK);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(add_async(peer, &in, &patient, &calls[i]), WB_OK);
        test_assert_status(wb_peer_wait(peer, 1000), WB_ERR_TIMED_OUT);
    }
    int status = _i == 0 ? wb_peer_drain(peer, test_patience_us)
                         : wb_engine_drain(test_world.engine, test_patience_us);
    test_assert_status(status, WB_OK);
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert(wb_call_done(calls[i]));
        test_assert_status(add_finish(calls[i], &out), WB_ERR_NOT_SENT);
    }
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_ERR_CLOSED);
    test_assert_status(add_async(peer, &in, NULL, &calls[0]), WB_ERR_CLOSED);
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

struct stuck {
    atomic_bool inside, let_go;
};

static void stick_then(struct wb_call *call, void *user)
{
    struct stuck *stuck = user;
    (void)call;
    atomic_store(&stuck->inside, true);
    while (!atomic_load(&stuck->let_go)) {
        test_sleep_us(100);
    }
}

/* Another thread keeps the lane in a callback, for as long as nobody waits any more. */
START_TEST(test_waits_end_though_the_lane_is_taken)
{
    struct stuck stuck = {.inside = false};
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct wb_call *call, *other;
    struct wb_call_options options = {.then = stick_then, .user = &stuck};
    struct wb_peer_options lazy = {.lazy = true};
    struct wb_peer *peer;
    test_world.client_config.lanes = 1; /* the lane that is kept is the other peer's, too */
    test_world_open(1);
    const char *url = test_world.servers[0].url;
    test_assert_status(wb_connect_with(test_world.engine, url, &lazy, &peer), WB_OK);
    struct test_driver driver = {.engine = test_world.engine};
    ck_assert(test_driver_start(&driver));
    test_assert_status(add_async(test_world.peer, &in, &options, &call), WB_OK);
    while (!atomic_load(&stuck.inside)) {
        test_sleep_us(100);
    }
    test_assert_status(wb_peer_wait(peer, 1000), WB_ERR_TIMED_OUT);
    test_assert_status(wb_peer_drain(peer, 1000), WB_ERR_TIMED_OUT);
    test_assert_status(wb_engine_drain(test_world.engine, 1000), WB_ERR_TIMED_OUT);
    test_assert_status(add_async(test_world.peer, &in, NULL, &other), WB_ERR_CLOSED);
    atomic_store(&stuck.let_go, true);
    test_assert_status(wb_engine_drain(test_world.engine, test_patience_us), WB_OK);
    test_assert_status(add_finish(call, &out), WB_OK);
    test_driver_stop(&driver);
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

static void drain_then(struct wb_call *call, void *user)
{
    int *said = user;
    (void)call;
    said[0] = wb_engine_drain(test_world.engine, 1000);
    said[1] = wb_peer_drain(test_world.peer, 1000);
}

/* It would wait for itself; and nothing has changed. */
START_TEST(test_a_drain_in_a_callback)
{
    int said[2] = {WB_OK, WB_OK};
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct wb_call *call;
    struct wb_call_options options = {.then = drain_then, .user = said};
    test_world_open(1);
    test_assert_status(add_async(test_world.peer, &in, &options, &call), WB_OK);
    test_assert_done(call);
    test_assert_status(add_finish(call, &out), WB_OK);
    ck_assert_int_eq(said[0], WB_ERR_DEADLOCK);
    ck_assert_int_eq(said[1], WB_ERR_DEADLOCK);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

TCase *test_drain_case(void)
{
    const TTest *const tests[] = {test_what_has_begun_ends,
                                  test_what_is_answered_later_ends,
                                  test_nothing_new_begins,
                                  test_one_peer_is_drained,
                                  test_a_lost_peer_is_drained,
                                  test_a_line_is_lost_meanwhile,
                                  test_waits_end_though_the_lane_is_taken,
                                  test_a_drain_in_a_callback};
    TCase *tcase = test_world_case("drain", tests, sizeof tests / sizeof tests[0]);
    tcase_add_loop_test(tcase, test_absent_lines_are_drained, 0, 2);
    return tcase;
}
