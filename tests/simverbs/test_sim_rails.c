/* Rails: READs that go over several devices, and who may have one. (Where one goes:
 * test_sim_rails_lost.c.) */
#include <string.h>

#include "engine/engine.h"
#include "engine/verbs/rails.h"
#include "mr_cache/allocator.h"
#include "tests/conformance/bundle.h"
#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_rails.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static void fetch_large(void)
{
    struct wb_call_options options = {.reply_bytes = SIM_RAILS_LARGE + 4096};
    struct produce_in in = {.seed = 6, .count = SIM_RAILS_LARGE, .elem_size = 1};
    struct produce_out out;
    int status = produce_call(sim_rails_pair.peer, &in, &out, &options);
    test_check(status == WB_OK, "%s", wb_last_error());
    ck_assert_uint_eq(test_pattern_check(out.data.data, SIM_RAILS_LARGE, 7), SIM_RAILS_LARGE);
    produce_out_drop(&out);
}

/* Both sides READ over both devices, about as much over each. */
START_TEST(test_reads_go_over_both)
{
    sim_rails_begin(sim_profiles[_i]);
    sim_rails_call(wb_engine_allocator(sim_rails_pair.client.engine));
    fetch_large();
    const struct test_service *sides[] = {&sim_rails_pair.server, &sim_rails_pair.client};
    for (unsigned i = 0; i < 2; i++) {
        struct wb_engine_stats stats = sim_stats(sides[i]);
        ck_assert_uint_ge(stats.rail_reads, stats.read_requests / 3);
        ck_assert_uint_le(stats.rail_reads, stats.read_requests * 2 / 3);
    }
    sim_calls_assert_quiet(&sim_rails_pair, "rails");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* Parts of one block that follow each other stay on one way, where they become one request. */
START_TEST(test_what_merges_stays_together)
{
    enum { PARTS = 32, PART = 4096 };
    wb_rma_vector whole, parts[PARTS];
    struct test_bundle in = {.count = PARTS, .vectors = parts}, out = {0};
    struct wb_call_options options = {.reply_bytes = 1 << 20};
    sim_rails_begin(&sim_profile_mlx5);
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(sim_rails_pair.client.engine), 1,
                                          PARTS * PART, &whole),
                     WB_OK);
    for (unsigned i = 0; i < PARTS; i++) {
        parts[i] = wb_rma_vector_slice(&whole, (size_t)i * PART, PART);
    }
    int status = test_bundle_call(sim_rails_pair.peer, &in, &out, &options);
    test_check(status == WB_OK, "%s", wb_last_error());
    struct wb_engine_stats stats = sim_stats(&sim_rails_pair.server);
    ck_assert_uint_eq(stats.reads, PARTS);
    ck_assert_uint_le(stats.read_requests, PARTS / 4);
    test_bundle_drop(&out);
    for (unsigned i = 0; i < PARTS; i++) {
        wb_rma_vector_drop(&parts[i]);
    }
    wb_rma_vector_drop(&whole);
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* What only the connection's device knows goes over that alone: an allocator's of that device, and
 * what is registered for the call. */
START_TEST(test_memory_of_one_device)
{
    sim_rails_begin(&sim_profile_mlx5);
    struct wb_rma_config config;
    struct wb_rma_allocator *allocator = NULL;
    int count = 0;
    struct ibv_device **all = ibv_get_device_list(&count);
    wb_rma_config_default(&config);
    config.devices = ibv_get_device_name(all[_i]); /* the first is the connection's */
    ck_assert_int_eq(wb_rma_allocator_create(sim_rails_pair.client.engine, &config, &allocator),
                     WB_OK);
    ibv_free_device_list(all);
    sim_rails_call(allocator);
    ck_assert_uint_eq(sim_stats(&sim_rails_pair.server).rail_reads, 0);
    sim_rails_call(wb_engine_allocator(sim_rails_pair.client.engine));
    ck_assert_uint_gt(sim_stats(&sim_rails_pair.server).rail_reads, 0);
    wb_rma_allocator_destroy(allocator);
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* ---- who has none ---- */

START_TEST(test_both_have_to_ask)
{
    sim_pair_open(&sim_rails_pair, 1, &sim_profile_mlx5);
    sim_pair_add_rails(&sim_rails_pair, &sim_profile_mlx5);
    const char *url = sim_rails_pair.url;
    sim_rails_pair.url = sim_pair_url; /* without: one host */
    sim_rails_pair.config.verbs.rails = _i == 0;
    sim_host_enter(sim_rails_pair.server_host);
    ck_assert_int_eq(test_service_open(&sim_rails_pair.server, &sim_rails_pair.config, url), WB_OK);
    sim_host_enter(sim_rails_pair.client_host);
    sim_pair_drive(&sim_rails_pair);
    sim_rails_pair.config.verbs.rails = _i == 1;
    ck_assert_int_eq(test_service_open(&sim_rails_pair.client, &sim_rails_pair.config, NULL),
                     WB_OK);
    int status = wb_connect(sim_rails_pair.client.engine, url, &sim_rails_pair.peer);
    if (_i == 0) {
        ck_assert_int_eq(status, WB_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(wb_last_error(), "verbs.rails"));
        ck_assert_int_eq(
            wb_connect(sim_rails_pair.client.engine, sim_pair_url, &sim_rails_pair.peer), WB_OK);
    }
    for (unsigned i = 0; i < 100; i++) {
        sim_pair_settle(&sim_rails_pair, 5000);
    }
    ck_assert_int_eq(wb_peer_state(sim_rails_pair.peer), WB_PEER_CONNECTED);
    ck_assert_uint_eq(sim_rails_of(sim_rails_pair.peer), 0);
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* A second host that is reached over the connection's own device, at either end, is no rail. */
START_TEST(test_no_rail_over_the_same_device)
{
    sim_pair_open(&sim_rails_pair, 1, &sim_profile_mlx5);
    sim_pair_add_rails(&sim_rails_pair, &sim_profile_mlx5);
    sim_rails_pair.config.verbs.source = _i == 0 ? "10.0.0.1,10.0.0.1" : "10.0.0.1,10.0.1.1";
    sim_rails_pair.url = _i == 0 ? sim_rails_pair.url : "verbs://10.0.0.2,10.0.0.2:7471";
    sim_host_enter(sim_rails_pair.server_host);
    struct wb_engine_config server = sim_rails_pair.config;
    server.verbs.source = NULL;
    ck_assert_int_eq(test_service_open(&sim_rails_pair.server, &server, "verbs://*:7471"), WB_OK);
    sim_host_enter(sim_rails_pair.client_host);
    sim_pair_drive(&sim_rails_pair);
    ck_assert_int_eq(test_service_open(&sim_rails_pair.client, &sim_rails_pair.config, NULL),
                     WB_OK);
    ck_assert_int_eq(
        wb_connect(sim_rails_pair.client.engine, sim_rails_pair.url, &sim_rails_pair.peer), WB_OK);
    for (unsigned i = 0; i < 400; i++) {
        sim_pair_settle(&sim_rails_pair, 5000);
    }
    ck_assert_int_eq(wb_peer_state(sim_rails_pair.peer), WB_PEER_CONNECTED);
    ck_assert_uint_eq(sim_rails_of(sim_rails_pair.peer), 0);
    ck_assert_int_eq(sim_calls_digest(&sim_rails_pair, 4), WB_OK);
    sim_calls_assert_quiet(&sim_rails_pair, "one device");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* ---- strangers ---- */

/* Asks the server for a rail with these private data. Returns the event that answers. */
static enum rdma_cm_event_type ask(const uint8_t *hello, size_t len)
{
    struct rdma_event_channel *channel = rdma_create_event_channel();
    struct rdma_cm_id *id;
    struct sockaddr_storage where;
    struct rdma_conn_param param = {.private_data = hello,
                                    .private_data_len = (uint8_t)len,
                                    .responder_resources = 1,
                                    .initiator_depth = 1,
                                    .qp_num = 77};
    enum rdma_cm_event_type last = RDMA_CM_EVENT_ADDR_ERROR;
    wbi_verbs_numeric("10.0.1.2", 7471, &where);
    ck_assert_ptr_nonnull(channel);
    ck_assert(wbi_verbs_unblock(channel->fd));
    ck_assert_int_eq(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
    ck_assert_int_eq(rdma_resolve_addr(id, NULL, (struct sockaddr *)&where, 2000), 0);
    for (unsigned i = 0;
         i < 1000 && last != RDMA_CM_EVENT_REJECTED && last != RDMA_CM_EVENT_CONNECT_RESPONSE;
         i++) {
        struct rdma_cm_event *event;
        sim_pair_settle(&sim_rails_pair, 100);
        if (rdma_get_cm_event(channel, &event) != 0) {
            continue;
        }
        last = event->event;
        rdma_ack_cm_event(event);
        if (last == RDMA_CM_EVENT_ADDR_RESOLVED) {
            ck_assert_int_eq(rdma_resolve_route(id, 2000), 0);
        } else if (last == RDMA_CM_EVENT_ROUTE_RESOLVED) {
            ck_assert_int_eq(rdma_connect(id, &param), 0);
        }
    }
    rdma_destroy_id(id);
    rdma_destroy_event_channel(channel);
    return last;
}

/* The token of the pair's connection. */
static uint64_t token_of_pair(void)
{
    const struct wbi_channel *newest = sim_rails_channels(&sim_rails_pair.client);
    return newest->main->rails->token;
}

/* No token, another one, the right one where all rails' places are taken or with keys that no chunk
 * has: all are refused, and the pair hears nothing of it. */
START_TEST(test_strangers_get_no_rail)
{
    uint8_t hello[WBI_HELLO_MAX] = {'W', 'B', 'R', 'L'};
    sim_rails_begin(&sim_profile_mlx5);
    uint64_t token = token_of_pair();
    ck_assert_int_eq(ask(hello, sizeof hello), RDMA_CM_EVENT_REJECTED);
    memcpy(hello + 8, &(uint64_t){token ^ 1}, sizeof token);
    hello[16] = 1;
    ck_assert_int_eq(ask(hello, sizeof hello), RDMA_CM_EVENT_REJECTED);
    memcpy(hello + 8, &token, sizeof token);
    ck_assert_int_eq(ask(hello, sizeof hello),
                     RDMA_CM_EVENT_REJECTED); /* over that device it has one */
    for (unsigned place = 0; place < 256; place += 85) {
        hello[16] = (uint8_t)place;
        ck_assert_int_eq(ask(hello, sizeof hello), RDMA_CM_EVENT_REJECTED);
    }
    ck_assert_int_eq(ask(hello, 10), RDMA_CM_EVENT_REJECTED);
    ck_assert_uint_eq(sim_rails_of(sim_rails_pair.peer), 1);
    sim_rails_call(wb_engine_allocator(sim_rails_pair.client.engine));
    sim_calls_assert_quiet(&sim_rails_pair, "strangers");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* With several lanes a rail goes to the lane of its connection. */
START_TEST(test_rails_of_several_lanes)
{
    struct wb_peer *peers[3];
    sim_pair_open(&sim_rails_pair, 1, &sim_profile_mlx5);
    sim_pair_add_rails(&sim_rails_pair, &sim_profile_mlx5);
    sim_rails_pair.config.lanes = 3;
    ck_assert_int_eq(sim_pair_begin(&sim_rails_pair), WB_OK);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(wb_connect(sim_rails_pair.client.engine, sim_rails_pair.url, &peers[i]),
                         WB_OK);
        ck_assert_int_eq(wb_peer_wait(peers[i], SIM_RAILS_PATIENCE_US), WB_OK);
    }
    sim_rails_await(1);
    for (unsigned i = 0; i < 3; i++) {
        struct wb_peer *first = sim_rails_pair.peer;
        sim_rails_pair.peer = peers[i];
        sim_rails_await(1);
        sim_rails_call(wb_engine_allocator(sim_rails_pair.client.engine));
        sim_rails_pair.peer = first;
        wb_peer_close(peers[i]);
    }
    sim_calls_assert_quiet(&sim_rails_pair, "lanes");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: rails");
    TCase *tcase = tcase_create("rails");
    tcase_add_checked_fixture(tcase, NULL, sim_rails_clear);
    tcase_add_loop_test(tcase, test_reads_go_over_both, 0, 3);
    tcase_add_test(tcase, test_what_merges_stays_together);
    tcase_add_loop_test(tcase, test_memory_of_one_device, 0, 2);
    tcase_add_loop_test(tcase, test_both_have_to_ask, 0, 2);
    tcase_add_loop_test(tcase, test_no_rail_over_the_same_device, 0, 2);
    tcase_add_test(tcase, test_strangers_get_no_rail);
    tcase_add_test(tcase, test_rails_of_several_lanes);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
