/*
 * An engine on a fabric that is right and awkward: it answers WB_AGAIN as often as it may, READs in
 * small pieces, few at a time, and cannot revoke a chunk but by closing the channel, as verbs
 * cannot.
 */
#include <string.h>

#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/peer.h"
#include "tests/engine/guest.h"

static struct test_scene scene;
static struct test_forgery forgery;

/* ---- the fabric: shm's, with these in the way ---- */

static unsigned asked;
static bool reads_nothing;

static bool not_now(unsigned one_in)
{
    return ++asked % one_in != 0;
}

static int awkward_reserve(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot)
{
    return not_now(3) ? WB_AGAIN : wbi_shm_fabric.reserve(channel, bytes, control, slot);
}

static int awkward_offer(struct wbi_channel *channel, struct wbi_offer *offer)
{
    return not_now(2) ? WB_AGAIN : wbi_shm_fabric.offer(channel, offer);
}

static int awkward_read(struct wbi_channel *channel, struct wbi_read *read)
{
    return reads_nothing || not_now(2) ? WB_AGAIN : wbi_shm_fabric.read(channel, read);
}

static int awkward_revoke(struct wbi_channel *channel, struct wbi_offer *offer)
{
    (void)channel;
    (void)offer;
    return WB_AGAIN;
}

static struct wbi_fabric awkward;
static struct wbi_fabric_caps small;

static void make_awkward(struct wb_engine *engine)
{
    struct wbi_lane *lane = engine->lanes[0];
    awkward = wbi_shm_fabric;
    awkward.reserve = awkward_reserve;
    awkward.offer = awkward_offer;
    awkward.read = awkward_read;
    awkward.revoke = awkward_revoke;
    small = *lane->caps;
    small.read_depth = 2;
    small.max_read_bytes = 1000;
    small.max_offers = 8;
    small.revokes_at_once = false;
    lane->fabric = &awkward;
    lane->caps = &small;
}

/* Opens the scene with the host on the awkward fabric, and its friend too if `both`. Connections
 * that were there before are made anew, since they know the old limits. */
static void open_scene_as(const struct wb_engine_config *host_config, bool both)
{
    reads_nothing = false;
    test_scene_open(&scene, host_config);
    make_awkward(scene.host);
    if (both) {
        make_awkward(scene.friend);
    }
    wb_peer_close(scene.peer);
    ck_assert_int_eq(wb_connect(scene.friend, scene.host_url, &scene.peer), WB_OK);
    test_scene_until(&scene, wb_peer_state(scene.peer) != WB_PEER_CONNECTING);
}

static void open_scene(bool both)
{
    open_scene_as(NULL, both);
}

/* ---- ordinary work ---- */

static void begin_echo(unsigned i, uint32_t flags, struct wb_call **call)
{
    static char raw[20000];
    size_t raw_len = i % 5 * 5000, count = i % 7 * 1500;
    struct wb_call_options options = {
        .timeout_us = test_patience_us, .reply_bytes = 60000, .flags = flags};
    struct echo_in in = {.number = i, .raw = {.data = raw, .len = raw_len}};
    test_pattern_fill(raw, sizeof raw, 1);
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.friend), 1, count, &in.data),
                     WB_OK);
    test_pattern_fill(in.data.data, count, i);
    ck_assert_int_eq(echo_async(scene.peer, &in, &options, call), WB_OK);
    echo_in_drop(&in);
}

static void finish_echo(unsigned i, struct wb_call *call)
{
    struct echo_out out;
    test_scene_until(&scene, wb_call_done(call));
    int status = echo_finish(call, &out);
    test_check(status == WB_OK, "call %u: %s", i, wb_last_error());
    ck_assert_uint_eq(out.number, i);
    ck_assert_uint_eq(out.raw.len, i % 5 * 5000);
    ck_assert_uint_eq(test_pattern_check(out.raw.data, out.raw.len, 1), out.raw.len);
    ck_assert_uint_eq(out.data.count, i % 7 * 1500);
    ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, i), out.data.count);
    echo_out_drop(&out);
}

static void work(void)
{
    enum { WINDOW = 24 };
    struct wb_call *calls[WINDOW];
    for (unsigned i = 0; i < 240 + WINDOW; i++) {
        if (i >= WINDOW) {
            finish_echo(i - WINDOW, calls[i % WINDOW]);
        }
        if (i < 240) {
            begin_echo(i, i % 3 == 2 ? WB_CALL_COPY : 0, &calls[i % WINDOW]);
        }
    }
}

START_TEST(test_calls_to_an_awkward_host)
{
    open_scene(false);
    work();
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_calls_between_awkward_engines)
{
    open_scene(true);
    work();
    test_scene_close(&scene);
}
END_TEST

/* A chunk of n bytes takes as many READs as its pieces. */
START_TEST(test_reads_in_pieces)
{
    struct wb_call *call;
    open_scene(false);
    uint64_t reads = test_scene_stats(&scene).reads;
    begin_echo(4, 0, &call); /* 20000 bytes by pointer, 6000 by rma */
    finish_echo(4, call);
    ck_assert_uint_eq(test_scene_stats(&scene).reads - reads, 26);
    ck_assert_uint_eq(test_scene_stats(&scene).read_bytes, 26000);
    test_scene_close(&scene);
}
END_TEST

/* ---- what cannot be revoked ---- */

static void assert_quarantined(struct wb_call *call, uint64_t chunks)
{
    test_scene_until(&scene, test_scene_stats(&scene).leases_quarantined > 0);
    ck_assert_uint_eq(test_scene_stats(&scene).leases_quarantined, chunks);
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, chunks);
    ck_assert(!wb_call_done(call));
}

static struct wb_call *begin_short(wb_rma_vector *data)
{
    static char raw[5000];
    struct wb_call *call;
    struct wb_call_options options = {.timeout_us = 20000};
    struct echo_in in = {.raw = {.data = raw, .len = sizeof raw}};
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.host), 1, 3000, &in.data),
                     WB_OK);
    scene.stranger.heard_count = 0;
    *data = wb_rma_vector_share(&in.data);
    ck_assert_int_eq(echo_async(scene.guest, &in, &options, &call), WB_OK);
    echo_in_drop(&in);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    return call;
}

/* The peer releases when it is told to stop: that ends the call, and the channel stands. */
START_TEST(test_timed_out_and_released)
{
    wb_rma_vector data;
    open_scene(false);
    test_scene_visit(&scene);
    for (unsigned i = 0; i < 3; i++) {
        struct wb_call *call = begin_short(&data);
        uint64_t lease =
            wbi_id_decode(test_stranger_last(&scene.stranger)->bytes + WBI_REQUEST_BYTES);
        assert_quarantined(call, 2);
        test_scene_until(&scene, scene.stranger.heard_count == 2); /* the cancel */
        struct wbi_header header = {.kind = WBI_CONTROL, .release_count = 1};
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, lease);
        test_guest_say(&scene, &forgery);
        ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_ERR_TIMED_OUT);
        ck_assert(wb_rma_vector_is_exclusive(&data));
        wb_rma_vector_drop(&data);
        ck_assert_uint_eq(test_scene_stats(&scene).leases_quarantined, 0);
        ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    }
    test_scene_close(&scene);
}
END_TEST

/* It does not: after a grace period the channel goes, and with it the last who could read. */
START_TEST(test_timed_out_and_never_released)
{
    wb_rma_vector data;
    open_scene(false);
    test_scene_visit(&scene);
    struct wb_call *other = test_guest_begin_sum(&scene);
    struct wb_call *call = begin_short(&data);
    assert_quarantined(call, 2);
    ck_assert(!wb_rma_vector_is_exclusive(&data));
    test_scene_assert_serves(&scene);
    ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_ERR_TIMED_OUT);
    ck_assert(wb_rma_vector_is_exclusive(&data));
    wb_rma_vector_drop(&data);
    ck_assert_int_eq(test_guest_finish_sum(&scene, other), WB_ERR_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(scene.guest), "release"));
    test_scene_close(&scene);
}
END_TEST

/* An answer to a call whose chunks were not released with it. */
START_TEST(test_answered_and_never_released)
{
    wb_rma_vector data;
    open_scene(false);
    test_scene_visit(&scene);
    struct wb_call *call = begin_short(&data);
    test_guest_answer(&scene, WB_OK, "12345678\0\x01\0", 11);
    assert_quarantined(call, 2);
    ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_OK);
    ck_assert(wb_rma_vector_is_exclusive(&data));
    wb_rma_vector_drop(&data);
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_LOST);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_ends_of_what_is_quarantined)
{
    wb_rma_vector data;
    open_scene(false);
    for (unsigned i = 0; i < 3; i++) {
        test_scene_visit(&scene);
        struct wb_call *call = begin_short(&data);
        assert_quarantined(call, 2);
        if (i == 0) {
            wb_peer_close(scene.guest);
            scene.guest = NULL;
        } else if (i == 1) {
            test_stranger_hang_up(&scene.stranger);
        } else {
            test_guest_answer(&scene, WB_OK, "12345678\0\x01\0", 11); /* too late */
            test_scene_until(&scene, test_scene_stats(&scene).late_replies == 1);
        }
        ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_ERR_TIMED_OUT);
        ck_assert(wb_rma_vector_is_exclusive(&data));
        wb_rma_vector_drop(&data);
    }
    test_scene_close(&scene);
}
END_TEST

/* A result that its caller neither fetches nor gives back in its time. */
START_TEST(test_a_result_that_is_never_released)
{
    open_scene(false);
    test_scene_meet(&scene);
    test_guest_ask_echo(&scene, 50000);
    test_scene_until(&scene, test_scene_stats(&scene).leases_open == 1);
    test_scene_until(&scene, test_scene_stats(&scene).leases_quarantined == 1);
    test_scene_assert_serves(&scene);
    ck_assert_int_eq(scene.stranger.lost, 0);
    test_scene_until(&scene, scene.stranger.lost != 0);
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, 0);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_destroyed_with_something_quarantined)
{
    wb_rma_vector data;
    open_scene(false);
    test_scene_visit(&scene);
    struct wb_call *call = begin_short(&data);
    assert_quarantined(call, 2);
    wb_engine_destroy(scene.host);
    ck_assert(wb_rma_vector_is_exclusive(&data));
    memset(data.data, 1, 3000);
    wb_rma_vector_drop(&data);
    wb_engine_destroy(scene.friend);
    test_stranger_close(&scene.stranger);
}
END_TEST

/* ---- nothing to READ ---- */

/* A filtered request on board needs no READ, and does not wait for others' of its peer. */
START_TEST(test_filtered_ones_pass_by)
{
    static uint8_t zeros[3000];
    struct wb_engine_config config;
    struct wb_call *slow, *quick;
    struct wb_call_options options = {.timeout_us = test_patience_us};
    struct echo_in in = {.number = 7, .raw = {.data = zeros, .len = sizeof zeros}};
    struct echo_out out;
    wb_engine_config_default(&config);
    config.filter = WB_FILTER_LZ4;
    open_scene_as(&config, false);
    atomic_store(&scene.peer->filter_from, config.filter_from); /* the friend filters, too */
    wbi_peer_reckon(scene.peer);
    uint64_t before = test_scene_stats(&scene).parcels_received;
    reads_nothing = true;
    begin_echo(1, 0, &slow);
    test_scene_until(&scene, test_scene_stats(&scene).parcels_received > before);
    ck_assert_int_eq(echo_async(scene.peer, &in, &options, &quick), WB_OK);
    test_scene_until(&scene, wb_call_done(quick));
    ck_assert_int_eq(echo_finish(quick, &out), WB_OK);
    ck_assert_uint_eq(out.raw.len, sizeof zeros);
    echo_out_drop(&out);
    ck_assert_uint_eq(test_scene_stats(&scene).parcels_filtered, 1);
    ck_assert(!wb_call_done(slow));
    reads_nothing = false;
    finish_echo(1, slow);
    test_scene_close(&scene);
}
END_TEST

/* ---- few offers ---- */

/* More chunks than the fabric offers at once: refused in words. As many as it does: one parcel
 * after the other. */
START_TEST(test_more_chunks_than_offers)
{
    enum { CALLS = 20 };
    struct wb_call *calls[CALLS];
    open_scene(true);
    small.max_offers = 2; /* none for an argument beside the long archive and list */
    struct echo_in in = {.number = 1};
    struct wb_call *call;
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.friend), 1, 9000, &in.data),
                     WB_OK);
    ck_assert_int_eq(echo_async(scene.peer, &in, NULL, &call), WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), scene.host_url));
    echo_in_drop(&in);
    small.max_offers = 4;
    for (unsigned i = 0; i < CALLS; i++) {
        begin_echo(i, 0, &calls[i]);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        finish_echo(i, calls[i]);
    }
    test_scene_close(&scene);
}
END_TEST

/* ---- what is offered has been written ---- */

#define MANY_FOUR(F, v)                                                                            \
    F(RMA, wb_rma_vector, v##0)                                                                    \
    F(RMA, wb_rma_vector, v##1) F(RMA, wb_rma_vector, v##2) F(RMA, wb_rma_vector, v##3)
#define MANY(F) MANY_FOUR(F, a) MANY_FOUR(F, b) MANY_FOUR(F, c) MANY_FOUR(F, d)
WB_ACTION(many, MANY, MANY)

static int on_many(struct wb_context *context, struct many_in *in, struct many_out *out, void *user)
{
    (void)context;
    (void)user;
#define GIVE(kind, type, name) out->name = wb_rma_vector_take(&in->name);
    MANY(GIVE)
#undef GIVE
    return WB_OK;
}

static struct {
    const struct wbi_offer *offer; /* NULL: none */
    uint64_t sum;
} noted[64];
static unsigned retired, changed;

static uint64_t sum_of(const struct wbi_offer *offer)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < offer->len; i++) {
        sum = sum * 31 + ((const uint8_t *)offer->data)[i];
    }
    return sum;
}

static int noting_offer(struct wbi_channel *channel, struct wbi_offer *offer)
{
    int status = awkward_offer(channel, offer);
    for (size_t i = 0; status == WB_OK && i < sizeof noted / sizeof *noted; i++) {
        if (!noted[i].offer) {
            noted[i].offer = offer;
            noted[i].sum = sum_of(offer);
            break;
        }
    }
    return status;
}

static void noting_retire(struct wbi_channel *channel, struct wbi_offer *offer)
{
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++) {
        if (noted[i].offer == offer) {
            noted[i].offer = NULL;
            changed += noted[i].sum != sum_of(offer);
            retired++;
        }
    }
    wbi_shm_fabric.retire(channel, offer);
}

/* The list, too, which is long here and has the keys of what was offered before it: a fabric may
 * copy what it is offered. */
START_TEST(test_offers_of_what_is_there)
{
    struct wb_engine_config config;
    struct many_in in = {0};
    struct many_out out;
    wb_engine_config_default(&config);
    config.eager_bytes = 512;
    open_scene_as(&config, true);
    ck_assert_int_eq(many_register(scene.host, on_many, NULL), WB_OK);
    small.max_offers = 32;
    awkward.offer = noting_offer;
    awkward.retire = noting_retire;
    retired = changed = 0;
    uint64_t total = 0;
#define MAKE(kind, type, name)                                                                     \
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.friend), 1, 3000, &in.name),   \
                     WB_OK);                                                                       \
    test_pattern_fill(in.name.data, 3000, total);                                                  \
    total += 3000;
    MANY(MAKE)
#undef MAKE
    for (unsigned i = 0; i < 3; i++) {
        struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 100000};
        struct wb_call *call;
        ck_assert_int_eq(many_async(scene.peer, &in, &options, &call), WB_OK);
        test_scene_until(&scene, wb_call_done(call));
        ck_assert_int_eq(many_finish(call, &out), WB_OK);
        uint64_t at = 0;
#define CHECK(kind, type, name)                                                                    \
    ck_assert_uint_eq(test_pattern_check(out.name.data, out.name.count, at), 3000);                \
    at += 3000;
        MANY(CHECK)
#undef CHECK
        many_out_drop(&out);
    }
    many_in_drop(&in);
    test_scene_until(&scene, retired >= 3 * (16 + 1)); /* the requests' at least */
    ck_assert_uint_eq(changed, 0);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_calls_to_an_awkward_host,
                                  test_calls_between_awkward_engines,
                                  test_reads_in_pieces,
                                  test_timed_out_and_released,
                                  test_timed_out_and_never_released,
                                  test_answered_and_never_released,
                                  test_ends_of_what_is_quarantined,
                                  test_a_result_that_is_never_released,
                                  test_destroyed_with_something_quarantined,
                                  test_more_chunks_than_offers,
                                  test_offers_of_what_is_there};
    Suite *suite = suite_create("an awkward fabric");
    TCase *tcase = test_program_case("awkward", tests, sizeof tests / sizeof tests[0]);
    if (wbi_filter_is_here(WB_FILTER_LZ4)) {
        tcase_add_test(tcase, test_filtered_ones_pass_by);
    }
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
