/* A stranger's long lists and archives, which the host has landed and let go of since there is no
 * room for the chunks: what it does to them meanwhile is its own harm. */
#include <string.h>

#include "tests/engine/forge.h"
#include "tests/engine/scene.h"

enum { ROOM = 8 << 20, CHUNK = 5 << 20, CALL = 9 };

static struct test_scene scene;
static struct test_forgery forgery;
static uint8_t raw[CHUNK], list[256];
static struct wbi_offer chunk, parts[2]; /* the long archive and list */
static char archive[] =
    "12345678\xff\0"; /* with the zero behind it: 8 bytes, a mark, two lengths */

static uint64_t used_bytes(void)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(wb_engine_allocator(scene.host), &stats);
    return stats.used_bytes;
}

/* Echo, of a chunk that a long list names; the archive is long too, or on board. */
static void forge_echo(bool long_archive)
{
    uint8_t flags = WBI_FLAG_LEASED | WBI_FLAG_LONG_LIST;
    struct wbi_chunk_record records[3] = {test_forge_index(0, 9), {0}, test_forge_index(9, 2)};
    chunk = (struct wbi_offer){.data = raw, .len = sizeof raw};
    parts[0] = (struct wbi_offer){.data = archive, .len = sizeof archive};
    parts[1] = (struct wbi_offer){.data = list};
    ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &chunk), WB_OK);
    records[1] = test_forge_offered(&chunk, WB_CHUNK_POINTER, sizeof raw);
    for (unsigned i = 0; i < 3; i++) {
        parts[1].len += wbi_chunk_record_encode(&records[i], list + parts[1].len);
    }
    flags = long_archive ? flags | WBI_FLAG_LONG_ARCHIVE : flags;
    struct wbi_header header = test_forge_request(&echo_action, CALL, flags, 3);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 77);
    for (unsigned i = long_archive ? 0 : 1; i < 2; i++) {
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &parts[i]), WB_OK);
        struct wbi_chunk_record record = test_forge_offered(&parts[i], WB_CHUNK_RMA, parts[i].len);
        test_forge_record(&forgery, &record);
    }
    if (!long_archive) {
        test_forge_bytes(&forgery, archive, sizeof archive);
    }
}

enum { NOTHING, THE_LIST, THE_ARCHIVE, WAYS };

/* It waits with nothing of the pool, and its list is READ once. */
START_TEST(test_what_changes_while_it_waits)
{
    int changes = _i % WAYS, status = 0;
    bool long_archive = _i < WAYS;
    struct wb_engine_config config;
    struct never_out none;
    wb_engine_config_default(&config);
    config.slab_bytes = 2 << 20;
    config.budget_bytes = ROOM;
    test_scene_open(&scene, &config);
    struct wb_call *held = test_scene_hold(&scene);
    test_scene_meet(&scene);
    memcpy(archive, "12345678\xff\0", sizeof archive);
    test_scene_fill_shelves(&scene);
    forge_echo(long_archive);
    uint64_t used = used_bytes(), reads = test_scene_stats(&scene).reads;
    ck_assert(test_scene_say(&scene, forgery.bytes, forgery.len));
    test_scene_until(&scene, test_scene_stats(&scene).reads == reads + 1 + long_archive);
    test_scene_pause(&scene);
    ck_assert_uint_eq(used_bytes(), used);
    ck_assert(!test_stranger_heard_reply(&scene.stranger, CALL, &status));
    if (changes == THE_LIST) {
        memset(list, 0xff, sizeof list);
    } else if (changes == THE_ARCHIVE) {
        archive[8] = 0;
    }
    wb_call_cancel(held);
    test_scene_until(&scene, wb_call_done(held) &&
                                 test_stranger_heard_reply(&scene.stranger, CALL, &status));
    ck_assert_int_eq(never_finish(held, &none), WB_ERR_CANCELLED);
    bool spoilt = changes == THE_ARCHIVE && long_archive;
    ck_assert_int_eq(status, spoilt ? WB_ERR_MALFORMED : WB_ERR_REPLY_TOO_LARGE);
    ck_assert_uint_eq(test_scene_stats(&scene).read_bytes - (2 << 20),
                      CHUNK + parts[1].len + (long_archive ? 2 * sizeof archive : 0));
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("a stranger's long lists");
    TCase *tcase = test_program_case("lists", NULL, 0);
    tcase_add_loop_test(tcase, test_what_changes_while_it_waits, 0, 2 * WAYS);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
