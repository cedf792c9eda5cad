/* Channels: queue pair attributes, the control window, and closing with everything in flight. */
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/qp.h"
#include "tests/support/program.h"
#include "tests/support/rdma.h"
#include "tests/verbs/pair.h"

static struct test_pair pair;
static struct wbi_offer offer; /* stays until its channel is closed */

static void prepare(void)
{
    test_pair_config(&pair);
}

static void clear(void)
{
    test_pair_close(&pair);
}

/* ---- attributes ---- */

static struct ibv_qp_attr read_back(const struct test_end *end)
{
    struct ibv_qp_attr attr;
    struct ibv_qp_init_attr init;
    int mask = IBV_QP_STATE | IBV_QP_MIN_RNR_TIMER | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
               IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_MAX_DEST_RD_ATOMIC |
               IBV_QP_PATH_MTU | IBV_QP_ACCESS_FLAGS;
    TEST_THAT(ibv_query_qp(end->channel->qp, &attr, mask, &init) == 0);
    TEST_THAT(attr.qp_state == IBV_QPS_RTS);
    TEST_THAT(init.srq != NULL && init.qp_type == IBV_QPT_RC);
    return attr;
}

static void assert_attributes(const struct test_end *end, unsigned timeout, unsigned retries)
{
    struct ibv_qp_attr attr = read_back(end);
    ck_assert_uint_eq(attr.min_rnr_timer, 12);
    ck_assert_uint_eq(attr.timeout, timeout);
    ck_assert_uint_eq(attr.retry_cnt, retries);
    ck_assert_uint_le(attr.rnr_retry, 6); /* 7 never ends */
    ck_assert_uint_eq(
        attr.qp_access_flags &
            (unsigned)~(IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE),
        0);
}

static enum ibv_mtu active_mtu(const struct test_side *side)
{
    struct ibv_port_attr attr;
    TEST_THAT(ibv_query_port(side->domain->devices[0].context, 1, &attr) == 0);
    return attr.active_mtu;
}

START_TEST(test_attributes_by_default)
{
    wb_engine_config_default(&pair.config);
    test_pair_open(&pair);
    struct test_end *ends[] = {pair.server_end, pair.client_end};
    for (unsigned i = 0; i < 2; i++) {
        assert_attributes(ends[i], 16, 6);
        ck_assert_uint_eq(read_back(ends[i]).path_mtu, active_mtu(&pair.client));
        ck_assert_uint_eq(read_back(ends[i]).max_rd_atomic, WBI_VERBS_READ_DEPTH);
        ck_assert_uint_eq(read_back(ends[i]).max_dest_rd_atomic, WBI_VERBS_READ_DEPTH);
    }
}
END_TEST

START_TEST(test_attributes_as_told)
{
    pair.config.verbs = (struct wb_verbs_config){.mtu = 512, .ack_timeout = 14, .retries = 3};
    test_pair_open(&pair);
    struct test_end *ends[] = {pair.server_end, pair.client_end};
    for (unsigned i = 0; i < 2; i++) {
        assert_attributes(ends[i], 14, 3);
        ck_assert_uint_eq(read_back(ends[i]).path_mtu, IBV_MTU_512);
    }
    test_assert_talks(pair.client_end, pair.server_end);
}
END_TEST

/* What one side can answer is what the other may ask. */
static void assert_depths(const struct test_end *asks, const struct test_end *answers,
                          unsigned depth)
{
    ck_assert_uint_eq(read_back(asks).max_rd_atomic, depth);
    ck_assert_uint_eq(read_back(answers).max_dest_rd_atomic, depth);
    ck_assert_uint_eq(asks->channel->sends.read_depth, depth);
}

START_TEST(test_depths_are_agreed_on)
{
    struct test_end *server_end, *client_end;
    test_pair_open(&pair);
    pair.server.domain->devices[0].read_depth_in = 4;
    pair.client.domain->devices[0].read_depth_in = 8;
    test_pair_join(&pair, &server_end, &client_end);
    assert_depths(client_end, server_end, 4);
    assert_depths(server_end, client_end, 8);
    pair.server.domain->devices[0].read_depth_out = 1;
    pair.client.domain->devices[0].read_depth_out = 2;
    test_pair_join(&pair, &server_end, &client_end);
    assert_depths(client_end, server_end, 2);
    assert_depths(server_end, client_end, 1);
    test_assert_talks(server_end, client_end);
}
END_TEST

/* ---- messages ---- */

START_TEST(test_messages_of_every_length)
{
    static uint8_t bytes[65536];
    test_pair_open(&pair);
    test_fill(bytes, sizeof bytes, 1);
    for (size_t len = 1; len <= pair.config.eager_bytes; len = len < 300 ? len + 1 : len * 2 - 77) {
        uint64_t before = pair.server_end->messages;
        test_send(pair.client_end, &pair.server, bytes, len);
        test_until_count(&pair.client, &pair.server, &pair.server_end->messages, before + 1);
        ck_assert_uint_eq(pair.server_end->last_len, len);
        ck_assert(test_filled(pair.server_end->last, len, 1));
    }
    uint8_t *slot;
    ck_assert_int_eq(wbi_verbs_fabric.reserve(pair.client_end->channel, pair.config.eager_bytes + 1,
                                              false, &slot),
                     WB_ERR_INVALID);
}
END_TEST

/* Control messages until there is no room; returns how many. */
static unsigned send_controls(struct test_end *end)
{
    uint8_t *slot;
    unsigned sent = 0;
    while (wbi_verbs_fabric.reserve(end->channel, WBI_CONTROL_ROOM, true, &slot) == WB_OK) {
        memset(slot, 'c', WBI_CONTROL_ROOM);
        wbi_verbs_fabric.send(end->channel, WBI_CONTROL_ROOM);
        ck_assert_uint_le(++sent, 1000);
    }
    return sent;
}

START_TEST(test_two_control_messages_lack_receipts)
{
    test_pair_open(&pair);
    test_assert_talks(pair.client_end, pair.server_end); /* the server knows that both are ready */
    uint64_t before = pair.server_end->messages;
    for (uint64_t round = 1; round <= 200; round++) {
        ck_assert_uint_eq(send_controls(pair.client_end), 2);
        ck_assert_uint_eq(send_controls(pair.server_end), 2);
        uint64_t start = test_clock_us();
        while ((uint16_t)(pair.client_end->channel->controls_sent -
                          pair.client_end->channel->controls_receipted) > 0 ||
               (uint16_t)(pair.server_end->channel->controls_sent -
                          pair.server_end->channel->controls_receipted) > 0) {
            test_poll_both(&pair.client, &pair.server);
            ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
        }
        ck_assert_uint_eq(pair.server_end->messages, before + 2 * round);
        ck_assert_uint_eq(pair.client_end->messages, before + 2 * round);
    }
    test_assert_talks(pair.client_end, pair.server_end);
}
END_TEST

/* Receipts ride on ordinary messages too, which never wait for the window. */
START_TEST(test_control_messages_among_others)
{
    uint64_t controls = 0, messages = 0;
    uint8_t *slot;
    test_pair_open(&pair);
    uint64_t start = test_clock_us();
    while (controls + messages < 4000) {
        controls += send_controls(pair.client_end);
        if (wbi_verbs_fabric.reserve(pair.client_end->channel, 32, false, &slot) == WB_OK) {
            memset(slot, 'm', 32);
            wbi_verbs_fabric.send(pair.client_end->channel, 32);
            messages++;
        }
        test_poll_both(&pair.client, &pair.server);
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    }
    test_until_count(&pair.client, &pair.server, &pair.server_end->messages, controls + messages);
    ck_assert_uint_eq(pair.server_end->bytes, controls * WBI_CONTROL_ROOM + messages * 32);
    ck_assert_uint_gt(controls, 100);
    ck_assert_uint_gt(messages, 100);
}
END_TEST

/* ---- closing ---- */

enum { READS = 64 };

/* Fills the send queue with all it takes: messages, control messages, READs. Returns how many
 * READs were begun. */
static unsigned fill_queue(struct test_end *end, struct test_read reads[READS])
{
    unsigned begun = 0;
    uint8_t *slot;
    int status = WB_OK;
    for (; status == WB_OK && begun < READS; begun += status == WB_OK) {
        test_area_read(&pair.client_area, begun * (size_t)65536, &reads[begun], &offer,
                       begun * (size_t)65536, 60000);
        status = wbi_verbs_fabric.read(end->channel, &reads[begun].read);
    }
    while (wbi_verbs_fabric.reserve(end->channel, 5000, false, &slot) == WB_OK) {
        memset(slot, 'x', 5000);
        wbi_verbs_fabric.send(end->channel, 5000);
    }
    ck_assert_uint_eq(send_controls(end), 2);
    return begun;
}

/* All that a side lends to channels is back, or about to be posted. */
static void assert_nothing_lent(const struct test_side *side)
{
    const struct wbi_fabric_lane *lane = side->lane;
    uint32_t posted = 0;
    for (unsigned i = 0; i < side->domain->device_count; i++) {
        posted += lane->queues[i].posted + lane->queues[i].spares.count;
    }
    ck_assert_uint_eq(lane->send_slots.shared, WBI_VERBS_SHARED_SENDS);
    ck_assert_uint_eq(side->free_count + posted, TEST_SLOTS);
}

static void close_in_flight(unsigned polls)
{
    static struct test_read reads[READS];
    struct test_end *server_end, *client_end;
    test_pair_join(&pair, &server_end, &client_end);
    test_area_offer(&pair.server_area, server_end, 0, TEST_AREA_BYTES, &offer);
    unsigned begun = fill_queue(client_end, reads);
    ck_assert_uint_ge(begun, 2);
    for (unsigned i = 0; i < polls; i++) {
        wbi_verbs_fabric.poll(pair.client.lane);
    }
    test_end_close(client_end);
    for (unsigned i = 0; i < begun; i++) { /* once each: the READs' own done() sees to that */
        ck_assert(reads[i].ended);
        ck_assert(reads[i].status == WB_OK || reads[i].status == WB_ERR_PEER_LOST);
    }
    test_until_lost(&pair.server, &pair.client, server_end);
    test_end_close(server_end);
    test_assert_talks(pair.client_end, pair.server_end);
}

START_TEST(test_close_with_everything_in_flight)
{
    test_pair_open(&pair);
    for (unsigned polls = 0; polls < 20; polls++) {
        close_in_flight(polls);
    }
    uint64_t start = test_clock_us();
    while ((pair.client.lane->send_slots.shared != WBI_VERBS_SHARED_SENDS ||
            pair.server.lane->send_slots.shared != WBI_VERBS_SHARED_SENDS) &&
           test_clock_us() - start < test_patience_us) {
        test_poll_both(&pair.client, &pair.server);
    }
    assert_nothing_lent(&pair.client);
    assert_nothing_lent(&pair.server);
}
END_TEST

/* A close meets completions of other channels: what they received is not lost by it. */
START_TEST(test_closing_keeps_what_others_received)
{
    test_pair_open(&pair);
    test_assert_talks(pair.client_end, pair.server_end);
    for (unsigned round = 0; round < 20; round++) {
        struct test_end *server_end, *client_end;
        test_pair_join(&pair, &server_end, &client_end);
        uint64_t before = pair.client_end->messages;
        for (unsigned i = 0; i < 16; i++) {
            test_send(pair.server_end, NULL, "for the other", 13);
        }
        wbi_verbs_fabric.poll(pair.server.lane);
        test_sleep_us(5000); /* they are in the client's queue, by all likelihood */
        test_end_close(client_end);
        test_until_count(&pair.client, &pair.server, &pair.client_end->messages, before + 16);
        test_until_lost(&pair.server, &pair.client, server_end);
        test_end_close(server_end);
    }
    assert_nothing_lent(&pair.client);
}
END_TEST

/* What was sent before a close arrives, though its sender closed at once. */
START_TEST(test_last_words_arrive)
{
    test_pair_open(&pair);
    for (unsigned round = 0; round < 20; round++) {
        struct test_end *server_end, *client_end;
        test_pair_join(&pair, &server_end, &client_end);
        for (unsigned i = 0; i <= round; i++) {
            test_send(client_end, &pair.server, "goodbye", 7);
        }
        test_end_close(client_end);
        test_until_lost(&pair.server, &pair.client, server_end);
        ck_assert_uint_eq(server_end->messages, round + 1);
        ck_assert_ptr_nonnull(strstr(server_end->reason, "closed"));
        test_end_close(server_end);
    }
}
END_TEST

/* ---- many ---- */

START_TEST(test_64_channels_on_a_device)
{
    enum { CHANNELS = TEST_MAX_CHANNELS };
    struct test_end *server_ends[CHANNELS], *client_ends[CHANNELS];
    struct test_end *one_more;
    test_pair_open(&pair);
    server_ends[0] = pair.server_end;
    client_ends[0] = pair.client_end;
    for (unsigned i = 1; i < CHANNELS; i++) {
        test_pair_join(&pair, &server_ends[i], &client_ends[i]);
    }
    struct wbi_channel *channel;
    ck_assert_int_eq(
        wbi_verbs_fabric.connect(pair.client.lane, pair.address, "x", 1, NULL, &channel), WB_AGAIN);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < CHANNELS; i++) {
            test_assert_talks(client_ends[i], server_ends[i]);
        }
    }
    for (unsigned i = 1; i < CHANNELS; i += 2) {
        test_end_close(client_ends[i]);
        test_until_lost(&pair.server, &pair.client, server_ends[i]);
        test_end_close(server_ends[i]);
        test_assert_talks(client_ends[i - 1], server_ends[i - 1]);
    }
    test_pair_join(&pair, &server_ends[1], &one_more);
    test_assert_talks(server_ends[1], one_more);
}
END_TEST

/* Each connects to the other at the same time: two channels, of which both work. */
START_TEST(test_crossing_connects)
{
    char address[64];
    test_pair_open(&pair);
    test_new_address(0, address);
    TEST_OK(wbi_verbs_fabric.listen(pair.client.lane, address));
    for (unsigned round = 0; round < 20; round++) {
        struct test_end *there, *back;
        unsigned servers = pair.server.end_count, clients = pair.client.end_count;
        TEST_OK(test_connect(&pair.client, pair.address, "a", 1, &there));
        TEST_OK(test_connect(&pair.server, address, "b", 1, &back));
        test_until_flag(&pair.client, &pair.server, &there->connected);
        test_until_flag(&pair.client, &pair.server, &back->connected);
        struct test_end *there_accepted = pair.server.ends[servers + 1];
        struct test_end *back_accepted = pair.client.ends[clients + 1];
        test_assert_talks(there, there_accepted);
        test_assert_talks(back, back_accepted);
        test_end_close(there);
        test_end_close(back);
        test_until_lost(&pair.client, &pair.server, back_accepted);
        test_until_lost(&pair.client, &pair.server, there_accepted);
        test_end_close(there_accepted);
        test_end_close(back_accepted);
    }
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_attributes_by_default,
                                  test_attributes_as_told,
                                  test_depths_are_agreed_on,
                                  test_messages_of_every_length,
                                  test_two_control_messages_lack_receipts,
                                  test_control_messages_among_others,
                                  test_close_with_everything_in_flight,
                                  test_closing_keeps_what_others_received,
                                  test_last_words_arrive,
                                  test_64_channels_on_a_device,
                                  test_crossing_connects};
    Suite *suite = suite_create("verbs channels");
    TCase *tcase = test_program_case("channels", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, prepare, clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
