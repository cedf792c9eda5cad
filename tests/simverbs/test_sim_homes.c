/* Several lanes of the verbs fabric: what one device says to all of them. */
#include <string.h>

#include "engine/engine.h"
#include "engine/verbs/domain.h"
#include "engine/verbs/lane.h"
#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/program.h"

static struct sim_pair pair;

static void open_pair(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    pair.config.lanes = 2;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
}

static struct wb_peer *connect_one_more(void)
{
    struct wb_peer *peer;
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(peer, 20000000), WB_OK);
    return peer;
}

/* The second lane of a side. */
static struct wbi_lane *second_lane(const struct test_service *side)
{
    return side->engine->lanes[side->engine->lane_count - 1];
}

static struct wbi_verbs_queues *queues_of(const struct test_service *side)
{
    struct wbi_lane *lane = second_lane(side);
    ck_assert_uint_ne(lane->population, 0);
    return &lane->port->queues[0];
}

static struct wbi_verbs_device *device_of_second(void)
{
    connect_one_more();
    return queues_of(&pair.client)->device;
}

static void assert_works(struct wb_peer *peer)
{
    struct wb_peer *first = pair.peer;
    pair.peer = peer;
    ck_assert_int_eq(sim_calls_digest(&pair, 7), WB_OK);
    pair.peer = first;
}

/* The queues of a lane that has no peers break, on either side, and its next peer gets others. */
START_TEST(test_a_mute_lane_hears_what_has_broken)
{
    const struct test_service *sides[] = {&pair.client, &pair.server}, *side = sides[_i];
    open_pair(&sim_profile_mlx5);
    struct wb_peer *second = connect_one_more();
    struct wbi_verbs_queues *queues = queues_of(side);
    struct ibv_srq *srq = queues->srq;
    assert_works(second);
    wb_peer_close(second);
    sim_pair_settle(&pair, 100000);
    ck_assert_uint_eq(second_lane(side)->population, 0);
    ((struct sim_srq *)srq)->broken = true;
    sim_async(srq->context,
              (struct ibv_async_event){.element.srq = srq, .event_type = IBV_EVENT_SRQ_ERR});
    sim_pair_settle(&pair, 100000);
    ck_assert_uint_ne(queues->reported, 0); /* it has had no turn */
    second = connect_one_more();
    ck_assert_uint_eq(queues_of(side)->reported, 0);
    assert_works(second);
    wb_peer_close(second);
    sim_pair_close(&pair);
}
END_TEST

/* The device's death is read on one lane, and the other one is not armed before it knows. */
START_TEST(test_a_death_keeps_all_lanes_awake)
{
    open_pair(&sim_profile_mlx5);
    struct wb_peer *second = connect_one_more();
    struct wbi_verbs_queues *queues = queues_of(&pair.client);
    sim_pair_settle(&pair, 100000);
    ck_assert_int_eq(wbi_verbs_lane_arm(queues->lane), WB_OK);
    atomic_fetch_add(&queues->device->deaths, 1);
    ck_assert_int_eq(wbi_verbs_lane_arm(queues->lane), WB_AGAIN);
    sim_pair_settle(&pair, 100000);
    ck_assert_int_eq(wb_peer_state(second), WB_PEER_LOST);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_LOST);
    wb_peer_close(second);
    sim_pair_close(&pair);
}
END_TEST

/* A device that does not tell of a queue pair's last receive is not asked again; unless another
 * lane's thread may just have read it. */
START_TEST(test_who_reads_for_another_counts)
{
    open_pair(&sim_profile_rxe);
    struct wbi_verbs_device *device = device_of_second();
    ck_assert(device->tells_last_wqe);
    atomic_fetch_add(&device->readers, 1);
    wb_peer_close(connect_one_more());
    sim_pair_settle(&pair, 100000);
    ck_assert(device->tells_last_wqe);
    atomic_fetch_sub(&device->readers, 1);
    wb_peer_close(connect_one_more());
    sim_pair_settle(&pair, 100000);
    ck_assert(!device->tells_last_wqe);
    sim_pair_close(&pair);
}
END_TEST

/* It does tell, after all: it is asked again. */
START_TEST(test_a_device_that_tells_is_asked_again)
{
    open_pair(&sim_profile_mlx5);
    struct wbi_verbs_device *device = device_of_second();
    atomic_store(&device->tells_last_wqe, false);
    sim_device_upset(pair.client_device, 0);
    sim_pair_settle(&pair, 1000000);
    ck_assert(device->tells_last_wqe);
    sim_pair_close(&pair);
}
END_TEST

static void fail_to_connect(const struct wbi_lane *lane, int wanted)
{
    struct wb_peer *peer;
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &peer), WB_OK);
    ck_assert_ptr_eq(peer->lane, lane);
    ck_assert_int_eq(wb_peer_wait(peer, 20000000), wanted);
    wb_peer_close(peer);
    sim_pair_settle(&pair, 1000);
    ck_assert_uint_eq(second_lane(&pair.client)->population, 0);
    ck_assert_uint_eq(second_lane(&pair.server)->population, 0);
}

/* A lane that cannot make its queues has the fewest peers, and is not each next one's for that:
 * neither of those that connect nor of those that arrive. */
START_TEST(test_a_lane_that_lacks_queues_is_shunned)
{
    struct sim_profile profile = sim_profile_mlx5;
    open_pair(&profile);
    const struct wbi_lane *lane = pair.peer->lane, *lacking = second_lane(&pair.client);
    int srqs = profile.attr.max_srq;
    profile.attr.max_srq = 1;
    fail_to_connect(lacking, WB_ERR_NO_MEMORY);
    fail_to_connect(lane, WB_ERR_REFUSED);
    struct wb_peer *peer = connect_one_more();
    ck_assert_ptr_eq(peer->lane, lane);
    assert_works(peer);
    profile.attr.max_srq = srqs;
    sim_pair_settle(&pair, 1000000);
    peer = connect_one_more();
    ck_assert_ptr_eq(peer->lane, lacking);
    ck_assert_uint_eq(second_lane(&pair.server)->population, 1);
    assert_works(peer);
    sim_pair_close(&pair);
}
END_TEST

/* What slots, pins and chunks of two lanes may take of the regions leaves some for slabs. */
START_TEST(test_lanes_need_regions)
{
    static const int few = 19, enough = 20;
    struct sim_profile profile = sim_profile_mlx5;
    profile.attr.max_mr = few + _i;
    sim_pair_open(&pair, 1, &profile);
    pair.config.lanes = 2;
    int status = sim_pair_begin(&pair);
    if (profile.attr.max_mr < enough) {
        ck_assert_int_ne(status, WB_OK);
        ck_assert_ptr_nonnull(strstr(wb_last_error(), "max_mr is 19, and config.lanes, 2"));
    } else {
        test_check(status == WB_OK, "%s", wb_last_error());
        const struct wbi_fabric_caps *caps = second_lane(&pair.client)->caps;
        unsigned pins = (caps->max_regions + 3) / 4, chunks = 2 * caps->max_pins, slots = 2 * 2;
        ck_assert_uint_lt(pins + chunks + slots, caps->max_regions);
        assert_works(pair.peer);
        assert_works(connect_one_more());
    }
    sim_pair_close(&pair);
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: lanes of one fabric");
    TCase *tcase = tcase_create("homes");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_a_mute_lane_hears_what_has_broken, 0, 2);
    tcase_add_test(tcase, test_a_death_keeps_all_lanes_awake);
    tcase_add_test(tcase, test_who_reads_for_another_counts);
    tcase_add_test(tcase, test_a_device_that_tells_is_asked_again);
    tcase_add_test(tcase, test_a_lane_that_lacks_queues_is_shunned);
    tcase_add_loop_test(tcase, test_lanes_need_regions, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
