/* Room that is neither a call nor the pool's: the parcels of a lane, which replies take as well. */
#include <stdio.h>
#include <waybill/peer.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "tests/engine/scene.h"

static struct test_scene scene;

static void count(void *user)
{
    ++*(unsigned *)user;
}

static int try_sum(struct wb_peer *peer, struct wb_call **call)
{
    struct sum_in in = {.a = 1, .b = 2};
    return sum_async(peer, &in, NULL, call);
}

/* All that requests may have. */
static struct wbi_parcel *take_all(struct wbi_parcels *parcels)
{
    struct wbi_parcel *taken = NULL, *parcel;
    while ((parcel = wbi_parcel_take(parcels, true)) != NULL) {
        parcel->next = taken;
        taken = parcel;
    }
    return taken;
}

static struct wbi_parcel *give_one(struct wbi_parcels *parcels, struct wbi_parcel *taken)
{
    struct wbi_parcel *rest = taken->next;
    wbi_parcel_give(parcels, taken);
    return rest;
}

/* Told by the first parcel that comes back; where the peer is connected a fabric's slot will do. */
START_TEST(test_told_when_a_parcel_is_free)
{
    bool comes = _i == 1;
    unsigned told = 0;
    char nowhere[120];
    struct wb_peer *peer;
    struct wb_call *call;
    struct wb_peer_options options = {.lazy = true, .again = true};
    test_scene_open(&scene, NULL);
    struct wbi_parcels *parcels = &scene.friend->lanes[0]->parcels;
    snprintf(nowhere, sizeof nowhere, "%s-nowhere", scene.host_url);
    const char *url = comes ? scene.host_url : nowhere;
    ck_assert_int_eq(wb_connect_with(scene.friend, url, &options, &peer), WB_OK);
    struct wbi_parcel *taken = take_all(parcels);
    ck_assert_int_eq(try_sum(peer, &call), WB_AGAIN);
    ck_assert_int_eq(wb_peer_on_room(peer, count, &told), WB_OK);
    test_scene_pause(&scene);
    ck_assert_uint_eq(told, 0);
    if (comes) {
        ck_assert_int_eq(wb_peer_wait(peer, 0), WB_ERR_TIMED_OUT); /* but it has begun */
        test_scene_until(&scene, wb_peer_state(peer) == WB_PEER_CONNECTED);
    } else {
        taken = give_one(parcels, taken);
    }
    test_scene_until(&scene, told > 0);
    ck_assert_int_eq(try_sum(peer, &call), WB_OK);
    test_scene_pause(&scene);
    ck_assert_uint_eq(told, 1);
    while (taken != NULL) {
        taken = give_one(parcels, taken);
    }
    struct sum_out out;
    test_scene_until(&scene, !comes || wb_call_done(call));
    wb_peer_close(peer);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(sum_finish(call, &out), comes ? WB_OK : WB_ERR_CLOSED);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("room");
    TCase *tcase = test_program_case("room", NULL, 0);
    tcase_add_loop_test(tcase, test_told_when_a_parcel_is_free, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
