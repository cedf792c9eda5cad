/* A stranger that filters: archives that are not what they say end their call and nothing else; and
 * what it has not said it can undo it does not get. */
#include <stdlib.h>
#include <string.h>

#include "engine/filter.h"
#include "tests/engine/guest.h"

static struct test_scene scene;
static struct test_forgery forgery;

enum { SUM_BYTES = 16, PACKED_SUM = SUM_BYTES + 2 };

/* 1 and 2 as lz4 writes what it cannot make shorter: nothing but literals. */
static const uint8_t packed_sum[PACKED_SUM] = {0xf0, SUM_BYTES - 15, 1, 0, 0, 0, 0, 0, 0, 0, 2};

static bool heard_answer(int *status)
{
    return test_stranger_heard_reply(&scene.stranger, 5, status);
}

static int say_and_hear(void)
{
    int status = 0;
    scene.stranger.heard_count = 0;
    ck_assert_msg(test_scene_say(&scene, forgery.bytes, forgery.len), "thrown out: %s",
                  scene.stranger.reason);
    test_scene_until(&scene, heard_answer(&status));
    return status;
}

/* How a sum is answered whose archive says it was `plain_bytes` long and consists of these bytes.
 */
static int ask(uint64_t plain_bytes, const void *packed, size_t packed_bytes)
{
    struct wbi_header header = test_forge_request(&sum_action, 5, WBI_FLAG_FILTERED, 0);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, plain_bytes);
    test_forge_bytes(&forgery, packed, packed_bytes);
    return say_and_hear();
}

/* A host that takes filtered archives. */
static void open_scene(void)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.filter = WB_FILTER_LZ4;
    test_scene_open(&scene, &config);
}

static uint64_t pool_bytes(void)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(wb_engine_allocator(scene.host), &stats);
    return stats.slab_bytes;
}

START_TEST(test_lengths_that_lie)
{
    static const uint64_t lies[] = {0,
                                    1,
                                    SUM_BYTES - 1,
                                    SUM_BYTES + 1,
                                    PACKED_SUM * 255,
                                    PACKED_SUM * 255 + 1,
                                    1 << 30,
                                    0x7e000000,
                                    0x7e000001,
                                    UINT32_MAX,
                                    (uint64_t)1 << 32 | SUM_BYTES,
                                    INT64_MAX,
                                    UINT64_MAX};
    open_scene();
    test_scene_meet(&scene);
    ck_assert_int_eq(ask(SUM_BYTES, packed_sum, PACKED_SUM), WB_OK);
    uint64_t bytes = pool_bytes();
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        test_check(ask(lies[i], packed_sum, PACKED_SUM) == WB_ERR_MALFORMED, "lie %u", i);
    }
    ck_assert_uint_eq(pool_bytes(), bytes);
    ck_assert_uint_eq(test_scene_stats(&scene).parcels_filtered, 1);
    ck_assert_uint_eq(test_scene_stats(&scene).protocol_errors, 0);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_bytes_that_no_filter_made)
{
    uint8_t bytes[300];
    uint64_t seed = 4;
    open_scene();
    test_scene_meet(&scene);
    for (size_t len = 0; len < PACKED_SUM; len++) {
        ck_assert_int_eq(ask(SUM_BYTES, packed_sum, len), WB_ERR_MALFORMED);
    }
    /* a match that lies before the first byte; one byte more than is needed */
    ck_assert_int_eq(ask(SUM_BYTES, "\x1f\x01\x02\x01\0\0", 6), WB_ERR_MALFORMED);
    memcpy(bytes, packed_sum, PACKED_SUM);
    bytes[PACKED_SUM] = 0;
    ck_assert_int_eq(ask(SUM_BYTES, bytes, PACKED_SUM + 1), WB_ERR_MALFORMED);
    for (unsigned i = 0; i < test_scaled(300); i++) {
        size_t len = 1 + test_pattern_random(&seed) % sizeof bytes;
        for (size_t at = 0; at < len; at++) {
            bytes[at] = (uint8_t)(test_pattern_random(&seed) >> 20);
        }
        uint64_t plain = 1 + test_pattern_random(&seed) % (len * 255);
        ck_assert_int_eq(ask(plain, bytes, len), WB_ERR_MALFORMED);
    }
    ck_assert_int_eq(ask(SUM_BYTES, packed_sum, PACKED_SUM), WB_OK);
    test_scene_close(&scene);
}
END_TEST

/* A long archive says how long the plain one is only when it is here: that may be more than the
 * pool can ever hold. */
START_TEST(test_more_than_the_pool_can_hold)
{
    static uint8_t archive[20000];
    struct wbi_offer offer = {.data = archive, .len = sizeof archive};
    uint8_t flags = WBI_FLAG_LEASED | WBI_FLAG_LONG_ARCHIVE | WBI_FLAG_FILTERED;
    struct wbi_header header = test_forge_request(&sum_action, 5, flags, 0);
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.slab_bytes = config.budget_bytes = 2 << 20;
    config.filter = WB_FILTER_LZ4;
    test_scene_open(&scene, &config);
    test_scene_meet(&scene);
    ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
    struct wbi_chunk_record record = test_forge_offered(&offer, WB_CHUNK_RMA, sizeof archive);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 77);
    test_forge_record(&forgery, &record);
    wbi_id_encode((sizeof archive - WBI_FILTER_HEAD) * 255, archive);
    ck_assert_int_eq(say_and_hear(), WB_ERR_BUDGET);
    wbi_id_encode((sizeof archive - WBI_FILTER_HEAD) * 255 + 1, archive);
    ck_assert_int_eq(say_and_hear(), WB_ERR_MALFORMED);
    wbi_id_encode(SUM_BYTES, archive);
    ck_assert_int_eq(say_and_hear(), WB_ERR_MALFORMED);
    scene.fabric->retire(scene.stranger.channel, &offer);
    test_scene_close(&scene);
}
END_TEST

/* A long archive of 5 MiB that is READ twice, since there is no room for the plain one at first:
 * the second time it must say the same. */
START_TEST(test_an_archive_that_changes_while_it_waits)
{
    enum { PLAIN = 5 << 20, MORE = 10 }; /* filtered, more than is copied when it is offered */
    bool changes = _i == 1;
    uint8_t *plain = calloc(1, PLAIN + MORE), *archive = malloc(PLAIN + MORE);
    uint8_t flags = WBI_FLAG_LEASED | WBI_FLAG_LONG_ARCHIVE | WBI_FLAG_FILTERED;
    struct wbi_header header = test_forge_request(&sum_action, 5, flags, 0);
    struct wb_engine_config config;
    struct never_out none;
    int status = 0;
    ck_assert(plain != NULL && archive != NULL);
    struct wbi_offer offer = {.data = archive, .len = wbi_filter_apply(plain, PLAIN, archive)};
    wb_engine_config_default(&config);
    config.slab_bytes = 2 << 20;
    config.budget_bytes = 8 << 20;
    config.filter = WB_FILTER_LZ4;
    test_scene_open(&scene, &config);
    struct wb_call *held = test_scene_hold(&scene);
    test_scene_meet(&scene);
    ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
    struct wbi_chunk_record record = test_forge_offered(&offer, WB_CHUNK_RMA, offer.len);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 77);
    test_forge_record(&forgery, &record);
    uint64_t reads = test_scene_stats(&scene).reads;
    ck_assert(test_scene_say(&scene, forgery.bytes, forgery.len));
    test_scene_until(&scene, test_scene_stats(&scene).reads > reads);
    test_scene_pause(&scene);
    ck_assert(!heard_answer(&status));
    if (changes) {
        ck_assert_uint_eq(wbi_filter_apply(plain, PLAIN + MORE, archive), offer.len);
    }
    wb_call_cancel(held);
    test_scene_until(&scene, heard_answer(&status) && wb_call_done(held));
    ck_assert_int_eq(never_finish(held, &none), WB_ERR_CANCELLED);
    ck_assert_int_eq(status, changes ? WB_ERR_MALFORMED : WB_ERR_REMOTE); /* of 0 and 0 */
    ck_assert_uint_eq(test_scene_stats(&scene).parcels_filtered, !changes);
    scene.fabric->retire(scene.stranger.channel, &offer);
    test_scene_close(&scene);
    free(plain);
    free(archive);
}
END_TEST

/* Answers the call that was heard last by a filtered sum of which it says this length. */
static void answer(struct wbi_header header, uint64_t plain_bytes)
{
    /* 8 literals */
    static const uint8_t packed[] = {0x80, 3, 0, 0, 0, 0, 0, 0, 0};
    header.kind = WBI_REPLY;
    header.credits = 1;
    header.flags = WBI_FLAG_FILTERED;
    header.call_id = test_guest_heard_call(&scene);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, plain_bytes);
    test_forge_bytes(&forgery, packed, sizeof packed);
    test_guest_say(&scene, &forgery);
}

static int call_sum(uint64_t reply_bytes, uint64_t plain_bytes)
{
    struct wb_call *call;
    struct sum_in in = {.a = 1, .b = 2};
    struct wb_call_options options = {.reply_bytes = reply_bytes};
    scene.stranger.heard_count = 0;
    ck_assert_int_eq(sum_async(scene.guest, &in, &options, &call), WB_OK);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    answer((struct wbi_header){0}, plain_bytes);
    return test_guest_finish_sum(&scene, call);
}

START_TEST(test_replies)
{
    open_scene();
    test_scene_visit(&scene);
    ck_assert_int_eq(call_sum(8, 8), WB_OK);
    ck_assert_int_eq(call_sum(8, 7), WB_ERR_MALFORMED);
    ck_assert_int_eq(call_sum(8, 9), WB_ERR_MALFORMED);
    ck_assert_int_eq(call_sum(8, UINT64_MAX), WB_ERR_MALFORMED);
    ck_assert_int_eq(call_sum(0, 8), WB_ERR_REPLY_TOO_LARGE); /* nobody reserved room for it */
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    /* a status has words, and they are plain */
    struct wb_call *call = test_guest_begin_sum(&scene);
    answer((struct wbi_header){.status = WB_ERR_REMOTE}, 8);
    ck_assert_int_eq(test_guest_finish_sum(&scene, call), WB_ERR_PEER_LOST);
    test_scene_close(&scene);
}
END_TEST

/* Meets a host that filters, as one who undoes `features`; returns the flags of the request that it
 * gets. */
static uint8_t flags_for(uint64_t features)
{
    static uint8_t raw[3000];
    struct wbi_hello hello = test_stranger_hello();
    struct wb_call *call;
    struct echo_in in = {.raw = {.data = raw, .len = sizeof raw}};
    struct wbi_header header;
    const char *what;
    hello.features = features;
    wb_peer_close(scene.guest);
    test_stranger_hang_up(&scene.stranger);
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, &hello);
    ck_assert_int_eq(wb_connect(scene.host, scene.stranger_url, &scene.guest), WB_OK);
    test_scene_until(&scene, wb_peer_state(scene.guest) != WB_PEER_CONNECTING);
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    scene.stranger.heard_count = 0;
    ck_assert_int_eq(echo_async(scene.guest, &in, NULL, &call), WB_OK);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    const struct test_heard *heard = test_stranger_last(&scene.stranger);
    ck_assert_int_eq(wbi_header_decode(heard->bytes, heard->len, &header, &what), WB_OK);
    test_guest_answer(&scene, WB_ERR_REMOTE, "", 0);
    test_guest_finish_echo(&scene, call);
    return header.flags;
}

START_TEST(test_only_who_undoes_is_sent_filtered)
{
    open_scene();
    ck_assert_uint_eq(flags_for(0), 0);
    ck_assert_uint_eq(flags_for(~(uint64_t)WBI_FEATURE_LZ4), 0);
    ck_assert_uint_eq(flags_for(WBI_FEATURE_LZ4), WBI_FLAG_FILTERED);
    test_scene_close(&scene);
    test_scene_open(&scene, NULL); /* it is off by default */
    ck_assert_uint_eq(flags_for(WBI_FEATURE_LZ4), 0);
    test_scene_close(&scene);
}
END_TEST

/* A host that does not filter says so, and throws out who filters all the same. */
START_TEST(test_a_filter_that_nobody_offered)
{
    struct wbi_hello hello;
    struct wbi_header header = test_forge_request(&sum_action, 5, WBI_FLAG_FILTERED, 0);
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    ck_assert_int_eq(wbi_hello_decode(scene.stranger.hello, scene.stranger.hello_len, &hello),
                     WB_OK);
    ck_assert_uint_eq(hello.features, 0);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, SUM_BYTES);
    test_forge_bytes(&forgery, packed_sum, PACKED_SUM);
    ck_assert(!test_scene_say(&scene, forgery.bytes, forgery.len));
    ck_assert_uint_eq(test_scene_stats(&scene).protocol_errors, 1);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const with[] = {test_lengths_that_lie,
                                 test_bytes_that_no_filter_made,
                                 test_more_than_the_pool_can_hold,
                                 test_replies,
                                 test_only_who_undoes_is_sent_filtered,
                                 test_a_filter_that_nobody_offered};
    const TTest *const without[] = {test_a_filter_that_nobody_offered};
    bool here = wbi_filter_is_here(WB_FILTER_LZ4);
    Suite *suite = suite_create("a stranger filters");
    TCase *tcase = here ? test_program_case("with lz4", with, sizeof with / sizeof with[0])
                        : test_program_case("without", without, 1);
    if (here) {
        tcase_add_loop_test(tcase, test_an_archive_that_changes_while_it_waits, 0, 2);
    }
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
