/* A stranger's chunk lists: those that lie close its channel, those that ask for too much are
 * answered; no landing is left behind by either. */
#include <string.h>

#include "engine/engine.h"
#include "tests/engine/forge.h"
#include "tests/engine/scene.h"

static struct test_scene scene;
static struct test_forgery forgery;

/* A request for echo whose list is `records`, in an archive of 11 bytes: 8, a mark, 0, 0. */
static void forge_list(const struct wbi_chunk_record *records, uint32_t count)
{
    struct wbi_header header = test_forge_request(&echo_action, 9, WBI_FLAG_LEASED, count);
    header.reply_room = 1 << 16;
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 0x99);
    for (uint32_t i = 0; i < count; i++) {
        test_forge_record(&forgery, &records[i]);
    }
    test_forge_bytes(&forgery, "12345678\xff\0\0", 11);
}

static void assert_thrown_out(const char *why, size_t number)
{
    struct wb_engine_stats stats = test_scene_stats(&scene);
    uint64_t start = test_clock_us();
    test_scene_say(&scene, forgery.bytes, forgery.len);
    /* what must be fetched first is found out later */
    while (scene.stranger.lost == 0 && test_clock_us() - start < test_patience_us / 6) {
        test_scene_turn(&scene);
    }
    test_check(scene.stranger.lost != 0, "not thrown out: %s %zu", why, number);
    ck_assert_uint_eq(test_scene_stats(&scene).protocol_errors, stats.protocol_errors + 1);
    test_scene_assert_serves(&scene);
    test_scene_meet(&scene);
}

/* The status with which the request of call 9 is answered. */
static int answer(void)
{
    struct wbi_header header;
    const char *what;
    scene.stranger.heard_count = 0;
    test_check(test_scene_say(&scene, forgery.bytes, forgery.len), "thrown out: %s",
               scene.stranger.reason);
    /* what must be fetched first is answered after what test_scene_say asked */
    for (unsigned at = 0;; at++) {
        test_scene_until(&scene, scene.stranger.heard_count > at);
        const struct test_heard *heard = &scene.stranger.heard[at];
        if (wbi_header_decode(heard->bytes, heard->len, &header, &what) == WB_OK &&
            header.kind == WBI_REPLY && header.call_id == 9) {
            return header.status;
        }
    }
}

/* ---- lists that cannot be ---- */

START_TEST(test_lists_that_do_not_tile)
{
    const struct wbi_chunk_record chunk = test_forge_chunk(WB_CHUNK_POINTER, 5000, 16, 1);
    const struct wbi_chunk_record whole = test_forge_index(0, 9), rest = test_forge_index(9, 2);
    const struct {
        uint32_t count;
        struct wbi_chunk_record records[4];
    } lists[] = {
        {1, {whole}},
        {1, {chunk}},
        {2, {chunk, whole}},
        {2, {chunk, chunk}},
        {2, {whole, chunk}}, /* two bytes are nobody's */
        {2, {whole, rest}},
        {3, {whole, chunk, chunk}},
        {3, {whole, rest, chunk}},
        {3, {whole, chunk, test_forge_index(9, 1)}},
        {3, {whole, chunk, test_forge_index(9, 3)}},
        {3, {whole, chunk, test_forge_index(9, UINT64_MAX)}},
        {3, {whole, chunk, test_forge_index(8, 3)}}, /* they overlap */
        {3, {whole, chunk, test_forge_index(10, 1)}},
        {3, {whole, chunk, test_forge_index(0, 11)}},
        {3, {whole, chunk, test_forge_index(9, 0)}},
        {3, {test_forge_index(1, 8), chunk, rest}},
        {3, {test_forge_index(UINT64_MAX, 9), chunk, rest}},
        {3, {test_forge_index(0, UINT64_MAX), chunk, rest}},
        {3, {test_forge_index(0, 0), chunk, test_forge_index(0, 11)}},
        {4, {whole, chunk, rest, whole}},
    };
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        forge_list(lists[i].records, lists[i].count);
        assert_thrown_out("list", i);
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_records_that_cannot_be)
{
    /* where in the record of a chunk, and what stands there */
    static const struct {
        size_t at;
        uint8_t value;
    } lies[] = {{0, 0}, {0, 1}, {0, 4}, {0, 255}, {1, 0},   {1, 33}, {1, 255},
                {4, 1}, {7, 1}, {8, 0}, {2, 1},   {3, 255}, {1, 17}};
    struct wbi_chunk_record records[3] = {test_forge_index(0, 9),
                                          test_forge_chunk(WB_CHUNK_POINTER, 100, 16, 1),
                                          test_forge_index(9, 2)};
    records[1].address = 0; /* head 1 then reaches below the beginning of memory */
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        forge_list(records, 3);
        forgery.bytes[WBI_REQUEST_BYTES + WBI_ID_BYTES + 24 + lies[i].at] = lies[i].value;
        if (lies[i].at == 3) { /* a tail that reaches beyond the end of memory */
            memset(forgery.bytes + WBI_REQUEST_BYTES + WBI_ID_BYTES + 24 + 16, 0xff, 8);
        }
        assert_thrown_out("record", i);
    }
    records[1].len = 2;
    records[1].address = UINT64_MAX - 1;
    forge_list(records, 3);
    assert_thrown_out("a range that wraps", 0);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_keys_of_nonsense)
{
    static const uint8_t lengths[] = {1, 8, 15, 17, 32};
    struct wbi_chunk_record records[3] = {test_forge_index(0, 9), {0}, test_forge_index(9, 2)};
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (size_t i = 0; i < sizeof lengths; i++) {
        records[1] = test_forge_chunk(WB_CHUNK_POINTER, 5000, lengths[i], 0);
        forge_list(records, 3);
        assert_thrown_out("key", i);
    }
    for (unsigned fill = 0; fill < 256; fill += 51) {
        records[1] = test_forge_chunk(WB_CHUNK_RMA, 5000, 16, (uint8_t)fill);
        records[1].address = fill;
        forge_list(records, 3);
        assert_thrown_out("a key that names nothing", fill);
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_counts_and_long_parts_that_lie)
{
    static uint8_t memory[4096];
    struct wbi_offer offer = {.data = memory, .len = sizeof memory};
    test_scene_open(&scene, NULL);
    for (uint64_t i = 0; i < 8; i++) {
        uint32_t count = i == 0 ? 65537 : i == 1 ? UINT32_MAX : 3;
        uint64_t lens[] = {65537 * 40,     1 << 20, 3 * 24 - 1, 3 * 56 + 1,
                           UINT64_MAX / 2, 128,     128,        1};
        struct wbi_header header =
            test_forge_request(&echo_action, 9, WBI_FLAG_LEASED | WBI_FLAG_LONG_LIST, count);
        test_scene_meet(&scene);
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        struct wbi_chunk_record list = test_forge_offered(&offer, WB_CHUNK_RMA, lens[i]);
        list.kind = i == 5 ? WB_CHUNK_POINTER : i == 6 ? WB_CHUNK_INDEX : WB_CHUNK_RMA;
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, 1);
        test_forge_record(&forgery, &list);
        test_forge_bytes(&forgery, "12345678\xff\0\0", 11);
        assert_thrown_out("a long list", i);
    }
    /* a long archive, and an archive behind it */
    struct wbi_header header =
        test_forge_request(&echo_action, 9, WBI_FLAG_LEASED | WBI_FLAG_LONG_ARCHIVE, 0);
    ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
    struct wbi_chunk_record archive = test_forge_offered(&offer, WB_CHUNK_RMA, 11);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 1);
    test_forge_record(&forgery, &archive);
    test_forge_bytes(&forgery, "1", 1);
    assert_thrown_out("bytes behind the last part", 0);
    test_scene_close(&scene);
}
END_TEST

/* ---- lists that can be fetched, and are lies then ---- */

/* A request whose list, and archive if `archive_len` is not 0, are the stranger's memory. */
static void forge_long(const void *list, size_t list_len, uint32_t count, const void *archive,
                       size_t archive_len)
{
    struct wbi_offer offers[2] = {{.data = list, .len = list_len},
                                  {.data = archive, .len = archive_len}};
    uint8_t flags = WBI_FLAG_LEASED | WBI_FLAG_LONG_LIST;
    flags = archive_len > 0 ? flags | WBI_FLAG_LONG_ARCHIVE : flags;
    struct wbi_header header = test_forge_request(&echo_action, 9, flags, count);
    header.reply_room = 1 << 16;
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 1);
    for (int i = archive_len > 0 ? 1 : 0; i >= 0; i--) {
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offers[i]), WB_OK);
        struct wbi_chunk_record record =
            test_forge_offered(&offers[i], WB_CHUNK_RMA, offers[i].len);
        test_forge_record(&forgery, &record);
    }
    if (archive_len == 0) {
        test_forge_bytes(&forgery, "12345678\xff\0\0", 11);
    }
}

START_TEST(test_long_lists)
{
    static uint8_t raw[5000], list[512];
    struct wbi_offer offer = {.data = raw, .len = sizeof raw};
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < 6; i++) {
        test_scene_meet(&scene);
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        struct wbi_chunk_record records[3] = {
            test_forge_index(0, i == 1 ? 8 : 9),
            test_forge_offered(&offer, i == 2 ? WB_CHUNK_RMA : WB_CHUNK_POINTER, sizeof raw),
            test_forge_index(9, i == 3 ? UINT64_MAX : 2)};
        size_t len = 0;
        for (unsigned j = 0; j < 3; j++) {
            len += wbi_chunk_record_encode(&records[j], list + len);
        }
        if (i == 4) {
            memset(list, 0xff, len);
        } else if (i == 5) {
            len += 8; /* more than the records take */
        }
        forge_long(list, len, 3, "12345678\xff\0\0", i % 2 ? 11 : 0);
        if (i == 0 || i == 2) {
            ck_assert_int_eq(answer(), i == 0 ? WB_OK : WB_ERR_MALFORMED);
        } else {
            assert_thrown_out("the content of a long list", i);
        }
    }
    test_scene_close(&scene);
}
END_TEST

/* ---- more than there is ---- */

START_TEST(test_more_than_the_budget)
{
    struct wbi_chunk_record records[5] = {test_forge_index(0, 9)};
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (unsigned shift = 31; shift <= 62; shift++) {
        records[1] = test_forge_chunk(WB_CHUNK_POINTER, (uint64_t)1 << shift, 16, 0xff);
        records[2] = test_forge_index(9, 2);
        forge_list(records, 3);
        ck_assert_int_eq(answer(), WB_ERR_BUDGET);
        struct wbi_header header =
            test_forge_request(&echo_action, 9, WBI_FLAG_LEASED | WBI_FLAG_LONG_ARCHIVE, 0);
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, 1);
        records[1].kind = WB_CHUNK_RMA;
        test_forge_record(&forgery, &records[1]);
        ck_assert_int_eq(answer(), WB_ERR_BUDGET);
    }
    /* two that are too much together only, and whose sum is just below what wraps */
    records[0] = test_forge_index(0, 9);
    records[1] = records[3] = test_forge_chunk(WB_CHUNK_POINTER, (uint64_t)700 << 20, 16, 0xff);
    records[2] = test_forge_index(9, 1);
    records[4] = test_forge_index(10, 1);
    forge_list(records, 5);
    ck_assert_int_eq(answer(), WB_ERR_BUDGET);
    records[1].len = records[3].len = UINT64_MAX / 2;
    forge_list(records, 5);
    ck_assert_int_eq(answer(), WB_ERR_BUDGET);
    /* room for the reply beyond all bounds: a promise that costs nothing */
    for (unsigned copy = 0; copy < 2; copy++) {
        struct wbi_header header = test_forge_request(&sum_action, 9, copy ? WBI_FLAG_COPY : 0, 0);
        header.reply_room = UINT64_MAX;
        test_forge_header(&forgery, &header);
        test_forge_bytes(&forgery, "1234567812345678", 16);
        ck_assert_int_eq(answer(), WB_OK);
    }
    ck_assert_uint_eq(test_scene_stats(&scene).protocol_errors, 0);
    test_scene_close(&scene);
}
END_TEST

/* Chunks that were offered, and are described wrongly. */
START_TEST(test_more_than_was_offered)
{
    static uint8_t raw[20000]; /* more than shm copies beforehand */
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < 3; i++) {
        struct wbi_offer offer = {.data = raw, .len = sizeof raw};
        struct wbi_chunk_record records[3] = {test_forge_index(0, 9), {0}, test_forge_index(9, 2)};
        test_scene_meet(&scene);
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        records[1] = test_forge_offered(&offer, WB_CHUNK_POINTER, i == 0 ? 20001 : 20000);
        if (i == 1) {
            records[1].key[8] ^= 1; /* the value of no lease */
        } else if (i == 2) {
            scene.fabric->retire(scene.stranger.channel, &offer); /* it was one */
        }
        forge_list(records, 3);
        while (scene.stranger.lost == 0 &&
               !test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false)) {
            test_scene_turn(&scene);
        }
        /* it is withdrawn, or not even the stranger's own fabric puts up with it */
        test_scene_until(&scene, scene.stranger.lost != 0 || scene.stranger.heard_count > 0);
        if (scene.stranger.lost == 0) {
            struct wbi_header header;
            const char *what;
            const struct test_heard *heard = test_stranger_last(&scene.stranger);
            ck_assert_int_eq(wbi_header_decode(heard->bytes, heard->len, &header, &what), WB_OK);
            ck_assert_uint_eq(header.kind, WBI_REPLY);
            ck_assert_int_eq(header.status, WB_ERR_REVOKED);
        }
        test_scene_assert_serves(&scene);
    }
    test_scene_close(&scene);
}
END_TEST

/* ---- a fabric whose READs are aligned ---- */

static struct wbi_fabric_caps aligned_caps;

/* Both engines, since what the friend offers must be right for the host. */
static void open_aligned(void)
{
    test_scene_open(&scene, NULL);
    aligned_caps = *scene.host->lanes[0]->caps;
    aligned_caps.read_align = 4;
    scene.host->lanes[0]->caps = scene.friend->lanes[0]->caps = &aligned_caps;
}

/* Every way to say where a chunk of some bytes in an aligned range begins and ends. */
START_TEST(test_heads_and_tails)
{
    static _Alignas(64) uint8_t raw[5000];
    unsigned taken = 0;
    open_aligned();
    for (unsigned i = 0; i < 256; i++) {
        struct wbi_offer offer = {.data = raw, .len = sizeof raw};
        unsigned at = i % 4, len = 400 + i / 4 % 4, head = i / 16 % 4, tail = i / 64;
        struct wbi_chunk_record records[3] = {test_forge_index(0, 9), {0}, test_forge_index(9, 2)};
        test_scene_meet(&scene);
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        records[1] = test_forge_offered(&offer, WB_CHUNK_POINTER, len);
        records[1].address += 8 + at;
        records[1].head = (uint8_t)head;
        records[1].tail = (uint8_t)tail;
        forge_list(records, 3);
        if (at == head && (head + len + tail) % 4 == 0) {
            ck_assert_int_eq(answer(), WB_OK);
            taken++;
        } else {
            assert_thrown_out("head and tail", i);
        }
    }
    ck_assert_uint_eq(taken, 16);
    test_scene_close(&scene);
}
END_TEST

/* More than is needed is fetched too, if it is aligned and was offered. */
START_TEST(test_long_heads)
{
    static _Alignas(64) uint8_t raw[5000];
    struct wbi_offer offer = {.data = raw, .len = sizeof raw};
    struct wbi_chunk_record records[3] = {test_forge_index(0, 9), {0}, test_forge_index(9, 2)};
    open_aligned();
    test_scene_meet(&scene);
    ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
    records[1] = test_forge_offered(&offer, WB_CHUNK_POINTER, 5);
    records[1].address += 255;
    records[1].head = 255;
    records[1].tail = 248;
    forge_list(records, 3);
    ck_assert_int_eq(answer(), WB_OK);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_lists_that_do_not_tile,
                                  test_records_that_cannot_be,
                                  test_keys_of_nonsense,
                                  test_counts_and_long_parts_that_lie,
                                  test_long_lists,
                                  test_more_than_the_budget,
                                  test_more_than_was_offered,
                                  test_heads_and_tails,
                                  test_long_heads};
    Suite *suite = suite_create("a stranger's chunks");
    suite_add_tcase(suite, test_program_case("chunks", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
