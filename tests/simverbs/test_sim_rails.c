/* Rails: READs that go over several devices; what becomes of them where a device, or a rail, goes;
 * and who may have one. */
#include <string.h>

#include "engine/engine.h"
#include "engine/verbs/rails.h"
#include "mr_cache/allocator.h"
#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { LARGE = 3 << 20, PATIENCE_US = 20000000 };

static struct sim_pair pair;

static void clear(void)
{
    sim_pair_clear(&pair);
}

/* What a side has of channels and rails, the newest first; its last lane is of verbs. */
static const struct wbi_channel *channels_of(const struct test_service *side)
{
    return side->engine->lanes[side->engine->lane_count - 1]->port->channels;
}

static uint32_t rails_of(struct wb_peer *peer)
{
    struct wb_peer_info info;
    ck_assert_int_eq(wb_peer_describe(peer, &info), WB_OK);
    return info.rails;
}

/* Lets both go on until the peer has so many. */
static void await_rails(uint32_t wanted)
{
    for (unsigned i = 0; i < 400 && rails_of(pair.peer) != wanted; i++) {
        sim_pair_settle(&pair, 50000);
    }
    ck_assert_uint_eq(rails_of(pair.peer), wanted);
}

static void begin(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    sim_pair_add_rails(&pair, profile);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    await_rails(1);
}

static struct wb_call *send_large(struct wb_rma_allocator *allocator, struct digest_in *in)
{
    struct wb_call *call = NULL;
    *in = (struct digest_in){.seed = 8};
    ck_assert_int_eq(wb_rma_vector_create(allocator, 1, LARGE, &in->data), WB_OK);
    test_pattern_fill(in->data.data, LARGE, 9);
    ck_assert_int_eq(digest_async(pair.peer, in, NULL, &call), WB_OK);
    return call;
}

static void assert_arrives(struct wb_call *call, struct digest_in *in)
{
    struct digest_out out;
    ck_assert_int_eq(wb_call_wait(call, PATIENCE_US), WB_OK);
    int status = digest_finish(call, &out);
    test_check(status == WB_OK, "%s", wb_last_error());
    ck_assert_uint_eq(out.data_right, LARGE);
    digest_out_drop(&out);
    digest_in_drop(in);
}

static void call_large(struct wb_rma_allocator *allocator)
{
    struct digest_in in;
    assert_arrives(send_large(allocator, &in), &in);
}

static void fetch_large(void)
{
    struct wb_call_options options = {.reply_bytes = LARGE + 4096};
    struct produce_in in = {.seed = 6, .count = LARGE, .elem_size = 1};
    struct produce_out out;
    int status = produce_call(pair.peer, &in, &out, &options);
    test_check(status == WB_OK, "%s", wb_last_error());
    ck_assert_uint_eq(test_pattern_check(out.data.data, LARGE, 7), LARGE);
    produce_out_drop(&out);
}

/* Both sides READ over both devices, about as much over each. */
START_TEST(test_reads_go_over_both)
{
    begin(sim_profiles[_i]);
    call_large(wb_engine_allocator(pair.client.engine));
    fetch_large();
    const struct test_service *sides[] = {&pair.server, &pair.client};
    for (unsigned i = 0; i < 2; i++) {
        struct wb_engine_stats stats = sim_stats(sides[i]);
        ck_assert_uint_ge(stats.rail_reads, stats.read_requests / 3);
        ck_assert_uint_le(stats.rail_reads, stats.read_requests * 2 / 3);
    }
    sim_calls_assert_quiet(&pair, "rails");
    sim_pair_close(&pair);
}
END_TEST

/* Small chunks that follow each other stay on one way, where they become one request. */
START_TEST(test_what_merges_stays_together)
{
    begin(&sim_profile_mlx5);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(sim_calls_digest(&pair, i), WB_OK);
    }
    struct wb_engine_stats stats = sim_stats(&pair.server);
    ck_assert_uint_le(stats.read_requests, stats.reads);
    sim_pair_close(&pair);
}
END_TEST

/* What only the connection's device knows goes over that alone: an allocator's of that device, and
 * what is registered for the call. */
START_TEST(test_memory_of_one_device)
{
    begin(&sim_profile_mlx5);
    struct wb_rma_config config;
    struct wb_rma_allocator *allocator = NULL;
    int count = 0;
    struct ibv_device **all = ibv_get_device_list(&count);
    wb_rma_config_default(&config);
    config.devices = ibv_get_device_name(all[_i]); /* the first is the connection's */
    ck_assert_int_eq(wb_rma_allocator_create(pair.client.engine, &config, &allocator), WB_OK);
    ibv_free_device_list(all);
    call_large(allocator);
    ck_assert_uint_eq(sim_stats(&pair.server).rail_reads, 0);
    wb_rma_allocator_destroy(allocator);
    sim_pair_close(&pair);
}
END_TEST

/* A rail's device stops, at either end, or its queue pair breaks, while chunks are READ over it:
 * they arrive all the same, and the rail comes back when its device does. */
static void stop(unsigned how)
{
    struct sim_device *const devices[] = {pair.client_rail, pair.server_rail};
    if (how < 2) {
        sim_link_set(devices[how], false);
    } else {
        sim_device_upset(devices[how - 2], 0);
    }
}

START_TEST(test_a_rail_goes_and_comes_back)
{
    struct digest_in in;
    begin(sim_profiles[_i / 4]);
    unsigned how = (unsigned)_i % 4;
    struct wb_call *call = send_large(wb_engine_allocator(pair.client.engine), &in);
    for (unsigned i = 0; i < 1000 && sim_stats(&pair.server).rail_reads == 0; i++) {
        sim_pair_settle(&pair, 10);
    }
    ck_assert_uint_gt(sim_stats(&pair.server).rail_reads, 0);
    stop(how);
    assert_arrives(call, &in);
    await_rails(how < 2 ? 0 : 1);
    call_large(wb_engine_allocator(pair.client.engine));
    if (how < 2) {
        sim_link_set(how == 0 ? pair.client_rail : pair.server_rail, true);
        await_rails(1);
    }
    uint64_t before = sim_stats(&pair.server).rail_reads;
    call_large(wb_engine_allocator(pair.client.engine));
    ck_assert_uint_gt(sim_stats(&pair.server).rail_reads, before);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_CONNECTED);
    ck_assert_uint_eq(sim_stats(&pair.client).peers_lost, 0);
    sim_calls_assert_quiet(&pair, "a rail went");
    sim_pair_close(&pair);
}
END_TEST

/* The connection's own device goes: its rails go with it, and nothing is left. */
START_TEST(test_the_connection_goes)
{
    struct digest_in in;
    struct digest_out out;
    begin(&sim_profile_mlx5);
    struct wb_call *call = send_large(wb_engine_allocator(pair.client.engine), &in);
    sim_pair_settle(&pair, 30);
    sim_link_set(pair.client_device, false);
    ck_assert_int_eq(wb_call_wait(call, PATIENCE_US), WB_OK);
    ck_assert_int_eq(digest_finish(call, &out), WB_ERR_PEER_LOST);
    digest_in_drop(&in);
    ck_assert_uint_eq(rails_of(pair.peer), 0);
    sim_link_set(pair.client_device, true);
    sim_calls_assert_quiet(&pair, "the connection went");
    sim_pair_close(&pair);
}
END_TEST

/* The peer is closed while it READs over both: nothing offered is readable then, by either. */
START_TEST(test_closed_while_it_reads)
{
    struct digest_in in;
    begin(sim_profiles[_i]);
    struct wb_call *call = send_large(wb_engine_allocator(pair.client.engine), &in);
    sim_pair_settle(&pair, 30);
    wb_peer_close(pair.peer);
    pair.peer = NULL;
    struct digest_out out;
    ck_assert_int_eq(digest_finish(call, &out), WB_ERR_CLOSED);
    digest_in_drop(&in);
    ck_assert_ptr_null(channels_of(&pair.client));
    sim_calls_assert_quiet(&pair, "closed");
    sim_pair_close(&pair);
}
END_TEST

/* ---- who has none ---- */

START_TEST(test_both_have_to_ask)
{
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    sim_pair_add_rails(&pair, &sim_profile_mlx5);
    const char *url = pair.url;
    pair.url = sim_pair_url; /* without: one host */
    pair.config.verbs.rails = _i == 0;
    sim_host_enter(pair.server_host);
    ck_assert_int_eq(test_service_open(&pair.server, &pair.config, url), WB_OK);
    sim_host_enter(pair.client_host);
    sim_pair_drive(&pair);
    pair.config.verbs.rails = _i == 1;
    ck_assert_int_eq(test_service_open(&pair.client, &pair.config, NULL), WB_OK);
    int status = wb_connect(pair.client.engine, url, &pair.peer);
    if (_i == 0) {
        ck_assert_int_eq(status, WB_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(wb_last_error(), "verbs.rails"));
        ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &pair.peer), WB_OK);
    }
    for (unsigned i = 0; i < 100; i++) {
        sim_pair_settle(&pair, 5000);
    }
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_CONNECTED);
    ck_assert_uint_eq(rails_of(pair.peer), 0);
    sim_pair_close(&pair);
}
END_TEST

/* A second host that is reached over the connection's own device, at either end, is no rail. */
START_TEST(test_no_rail_over_the_same_device)
{
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    sim_pair_add_rails(&pair, &sim_profile_mlx5);
    pair.config.verbs.source = _i == 0 ? "10.0.0.1,10.0.0.1" : "10.0.0.1,10.0.1.1";
    pair.url = _i == 0 ? pair.url : "verbs://10.0.0.2,10.0.0.2:7471";
    sim_host_enter(pair.server_host);
    struct wb_engine_config server = pair.config;
    server.verbs.source = NULL;
    ck_assert_int_eq(test_service_open(&pair.server, &server, "verbs://*:7471"), WB_OK);
    sim_host_enter(pair.client_host);
    sim_pair_drive(&pair);
    ck_assert_int_eq(test_service_open(&pair.client, &pair.config, NULL), WB_OK);
    ck_assert_int_eq(wb_connect(pair.client.engine, pair.url, &pair.peer), WB_OK);
    for (unsigned i = 0; i < 400; i++) {
        sim_pair_settle(&pair, 5000);
    }
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_CONNECTED);
    ck_assert_uint_eq(rails_of(pair.peer), 0);
    ck_assert_int_eq(sim_calls_digest(&pair, 4), WB_OK);
    sim_calls_assert_quiet(&pair, "one device");
    sim_pair_close(&pair);
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
        sim_pair_settle(&pair, 100);
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
    const struct wbi_channel *newest = channels_of(&pair.client);
    return newest->main->rails->token;
}

/* No token, another one, the right one where all rails' places are taken or with keys that no chunk
 * has: all are refused, and the pair hears nothing of it. */
START_TEST(test_strangers_get_no_rail)
{
    uint8_t hello[WBI_HELLO_MAX] = {'W', 'B', 'R', 'L'};
    begin(&sim_profile_mlx5);
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
    ck_assert_uint_eq(rails_of(pair.peer), 1);
    call_large(wb_engine_allocator(pair.client.engine));
    sim_calls_assert_quiet(&pair, "strangers");
    sim_pair_close(&pair);
}
END_TEST

/* With several lanes a rail goes to the lane of its connection. */
START_TEST(test_rails_of_several_lanes)
{
    struct wb_peer *peers[3];
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    sim_pair_add_rails(&pair, &sim_profile_mlx5);
    pair.config.lanes = 3;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(wb_connect(pair.client.engine, pair.url, &peers[i]), WB_OK);
        ck_assert_int_eq(wb_peer_wait(peers[i], PATIENCE_US), WB_OK);
    }
    await_rails(1);
    for (unsigned i = 0; i < 3; i++) {
        struct wb_peer *first = pair.peer;
        pair.peer = peers[i];
        await_rails(1);
        call_large(wb_engine_allocator(pair.client.engine));
        pair.peer = first;
        wb_peer_close(peers[i]);
    }
    sim_calls_assert_quiet(&pair, "lanes");
    sim_pair_close(&pair);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: rails");
    TCase *tcase = tcase_create("rails");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_reads_go_over_both, 0, 3);
    tcase_add_test(tcase, test_what_merges_stays_together);
    tcase_add_loop_test(tcase, test_memory_of_one_device, 0, 1);
    tcase_add_loop_test(tcase, test_a_rail_goes_and_comes_back, 0, 8);
    tcase_add_test(tcase, test_the_connection_goes);
    tcase_add_loop_test(tcase, test_closed_while_it_reads, 0, 3);
    tcase_add_loop_test(tcase, test_both_have_to_ask, 0, 2);
    tcase_add_loop_test(tcase, test_no_rail_over_the_same_device, 0, 2);
    tcase_add_test(tcase, test_strangers_get_no_rail);
    tcase_add_test(tcase, test_rails_of_several_lanes);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
