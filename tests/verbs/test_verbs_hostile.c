/* Peers that are no Waybill, or lie: each gets one clear end, and the other channels go on. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/driver.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"
#include "tests/verbs/pair.h"
#include "tests/verbs/raw.h"

static struct test_pair pair;
static struct test_raw raw;

static void prepare(void)
{
    test_pair_config(&pair);
    test_pair_open(&pair);
}

static void clear(void)
{
    test_raw_close(&raw);
    test_pair_close(&pair);
}

static const struct test_raw_hello plain = {
    .data = "hello", .len = 5, .responder_resources = 1, .initiator_depth = 1};

/* The raw peer is connected; returns the server's end. */
static struct test_end *meet_raw(void)
{
    unsigned before = pair.server.end_count;
    test_raw_dial(&raw, &pair.server, pair.address, &plain);
    ck_assert_int_eq(raw.answer, RDMA_CM_EVENT_ESTABLISHED);
    ck_assert_uint_eq(pair.server.end_count, before + 1);
    return pair.server.ends[before];
}

/* The end is lost, with a word of this in its reason, and nothing else is. */
static void assert_thrown_out(struct test_end *end, int status, const char *words)
{
    test_until_lost(&pair.server, &pair.client, end);
    ck_assert_msg(end->lost == status, "%s, not %s (%s)", wb_status_name(end->lost),
                  wb_status_name(status), end->reason);
    ck_assert_msg(strstr(end->reason, words) != NULL, "\"%s\" does not say \"%s\"", end->reason,
                  words);
    test_end_close(end);
    test_raw_close(&raw);
    test_assert_talks(pair.client_end, pair.server_end);
}

/* ---- messages ---- */

START_TEST(test_a_raw_peer_that_behaves)
{
    struct test_end *end = meet_raw();
    memset(raw.memory, 'r', 100);
    ck_assert_int_eq(test_raw_send(&raw, 0, 100), IBV_WC_SUCCESS);
    test_until_count(&pair.server, NULL, &end->messages, 1);
    ck_assert_uint_eq(end->last_len, 100);
    ck_assert_int_eq(test_raw_send(&raw, 1 << 16, 50), IBV_WC_SUCCESS);
    test_until_count(&pair.server, NULL, &end->messages, 2);
    test_raw_close(&raw);
    assert_thrown_out(end, WB_ERR_PEER_LOST, "closed");
}
END_TEST

START_TEST(test_immediates_that_mean_nothing)
{
    static const struct {
        uint32_t immediate, len;
        const char *words;
    } lies[] = {
        {1U << 18, 10, "a bundle"},       {5U << 16, 10, "mean nothing"},
        {1U << 19, 10, "mean nothing"},   {1U << 31, 10, "mean nothing"},
        {UINT32_MAX, 10, "mean nothing"}, {3U << 16, 0, "mean nothing"},
        {3U << 16, 10, "mean nothing"},   {1, 10, "receipts"},
        {0xffff, 10, "receipts"},         {1U << 17 | 1, 0, "receipts"},
        {0, 0, "empty message"},          {1U << 16, 0, "empty message"},
        {1U << 17, 10, "receipts with"},
    };
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct test_end *end = meet_raw();
        test_raw_send(&raw, lies[i].immediate, lies[i].len);
        assert_thrown_out(end, WB_ERR_PROTOCOL, lies[i].words);
    }
}
END_TEST

START_TEST(test_messages_without_immediates)
{
    struct test_end *end = meet_raw();
    struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};
    test_raw_do(&raw, &wr, 64);
    ck_assert_uint_eq(end->messages, 0);
    assert_thrown_out(end, WB_ERR_PROTOCOL, "without immediate data");
}
END_TEST

START_TEST(test_messages_that_are_too_long)
{
    for (uint32_t more = 1; more < 60000; more += 20000) {
        struct test_end *end = meet_raw();
        ck_assert_int_ne(test_raw_send(&raw, 0, pair.config.eager_bytes + more), IBV_WC_SUCCESS);
        assert_thrown_out(end, WB_ERR_PROTOCOL, "more bytes than it may");
    }
}
END_TEST

/* Control messages without waiting for receipts: the third can be too much already. */
START_TEST(test_a_control_window_that_is_not_kept)
{
    struct test_end *end = meet_raw();
    raw.other = NULL; /* it does not look meanwhile */
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_int_eq(test_raw_send(&raw, 1 << 16, 20), IBV_WC_SUCCESS);
    }
    assert_thrown_out(end, WB_ERR_PROTOCOL, "without waiting for receipts");
    ck_assert_int_eq(pair.server_end->lost, WB_OK);
}
END_TEST

/* RDMA WRITE with immediate data takes a receive as a message does. */
START_TEST(test_writes_are_no_messages)
{
    struct test_end *end = meet_raw();
    struct ibv_send_wr wr = {.opcode = IBV_WR_RDMA_WRITE_WITH_IMM};
    test_raw_do(&raw, &wr, 0);
    assert_thrown_out(end, WB_ERR_PROTOCOL, "empty message");
}
END_TEST

/* No memory of ours is there to be written or read without an offer. */
START_TEST(test_memory_is_not_for_everybody)
{
    static const enum ibv_wr_opcode opcodes[] = {IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ};
    struct wbi_mr *mr = pair.server_area.mr;
    uint8_t *memory = pair.server_area.slab.base;
    memory[0] = 77;
    for (unsigned i = 0; i < 2; i++) {
        struct test_end *end = meet_raw();
        struct ibv_send_wr wr = {
            .opcode = opcodes[i],
            .wr.rdma = {.remote_addr = (uintptr_t)memory,
                        .rkey = i == 0 ? mr->on[0]->rkey : mr->on[0]->rkey ^ 0x11}};
        ck_assert_int_eq(test_raw_do(&raw, &wr, 64), IBV_WC_REM_ACCESS_ERR);
        ck_assert_uint_eq(memory[0], 77);
        test_raw_close(&raw);
        test_until_lost(&pair.server, &pair.client, end);
        test_end_close(end);
        test_assert_talks(pair.client_end, pair.server_end);
    }
}
END_TEST

/* ---- handshakes ---- */

START_TEST(test_a_peer_without_reads)
{
    struct test_raw_hello hello = plain;
    for (unsigned i = 0; i < 3; i++) {
        hello.responder_resources = i == 1;
        hello.initiator_depth = i == 2;
        test_raw_dial(&raw, &pair.server, pair.address, &hello);
        ck_assert_int_eq(raw.answer, RDMA_CM_EVENT_REJECTED);
        test_raw_close(&raw);
        test_assert_talks(pair.client_end, pair.server_end);
    }
}
END_TEST

/* One that connects and never says anything is no burden; it is gone when it goes. */
START_TEST(test_a_silent_peer)
{
    struct test_end *end = meet_raw();
    uint64_t start = test_clock_us();
    while (test_clock_us() - start < 3 * pair.config.liveness_us) {
        test_poll_both(&pair.server, &pair.client);
    }
    ck_assert_int_eq(end->lost, WB_OK); /* its device answers for it */
    ck_assert_uint_gt(test_side_count(&pair.server).probes, 0);
    test_assert_talks(pair.client_end, pair.server_end);
    test_raw_close(&raw);
    assert_thrown_out(end, WB_ERR_PEER_LOST, "closed");
}
END_TEST

/* Private data of any content and length, at an engine's door. */
START_TEST(test_hellos_of_any_content)
{
    struct wb_engine *engine, *caller;
    struct wb_peer *peer;
    struct wb_engine_stats stats;
    char url[80], address[64];
    uint64_t random = 5;
    test_new_address(0, address);
    snprintf(url, sizeof url, "verbs://%s", address);
    TEST_OK(wb_engine_create(NULL, &engine));
    TEST_OK(wb_listen(engine, url));
    struct test_driver driver = {.engine = engine};
    ck_assert(test_driver_start(&driver));
    for (unsigned len = 0; len <= 56; len++) {
        uint8_t bytes[56];
        for (unsigned i = 0; i < sizeof bytes; i++) {
            bytes[i] = len % 3 == 0   ? 0
                       : len % 3 == 1 ? 0xff
                                      : (uint8_t)test_pattern_random(&random);
        }
        struct test_raw_hello hello = {
            .data = bytes, .len = len, .responder_resources = 1, .initiator_depth = 1};
        test_raw_dial(&raw, NULL, address, &hello);
        ck_assert_msg(raw.answer == RDMA_CM_EVENT_REJECTED, "%u bytes: %s", len,
                      rdma_event_str(raw.answer));
        test_raw_close(&raw);
    }
    TEST_OK(wb_engine_create(NULL, &caller));
    TEST_OK(wb_connect(caller, url, &peer));
    TEST_OK(wb_peer_wait(peer, test_patience_us));
    wb_engine_stats(engine, &stats);
    ck_assert_uint_eq(stats.peers_lost, 0);
    wb_engine_destroy(caller);
    test_driver_stop(&driver);
    wb_engine_destroy(engine);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_a_raw_peer_that_behaves,
                                  test_immediates_that_mean_nothing,
                                  test_messages_without_immediates,
                                  test_messages_that_are_too_long,
                                  test_a_control_window_that_is_not_kept,
                                  test_writes_are_no_messages,
                                  test_memory_is_not_for_everybody,
                                  test_a_peer_without_reads,
                                  test_a_silent_peer,
                                  test_hellos_of_any_content};
    Suite *suite = suite_create("verbs, strangers");
    TCase *tcase = test_program_case("hostile", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, prepare, clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
