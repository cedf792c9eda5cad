/* A stranger whose results are to arrive in vectors of the caller's: what it offers that does not
 * belong there touches none of them, and the call ends as it should. */
#include <string.h>

#include "tests/engine/guest.h"

enum { FITS = 9000, POINTER = WB_CHUNK_POINTER, RMA = WB_CHUNK_RMA, NO_KIND = 0xff, GUARD = 0xee };

static struct test_scene scene;
static struct test_forgery forgery;
static uint8_t memory[4 * FITS];

/* One or two chunks, the archive in front of each, and what is behind. */
struct lie {
    const char *what;
    struct {
        uint8_t kind;
        uint64_t len;
        const char *before;
        size_t bytes;
    } chunks[2];
    const char *behind;
    size_t bytes;
    int without_room, with_room; /* how a call ends that reserves nothing else, or enough */
};

#define ONE_MARK "12345678\0\x01\xff", 11
#define IN_RAW "12345678\xff", 9
#define IN_DATA "\x01\xff", 2
#define NONE                                                                                       \
    {                                                                                              \
        .kind = NO_KIND                                                                            \
    }

static const struct lie lies[] = {
    {"the truth", {{RMA, FITS, ONE_MARK}, NONE}, "", 0, WB_OK, WB_OK},
    {"one byte", {{RMA, 1, ONE_MARK}, NONE}, "", 0, WB_OK, WB_OK},
    {"a pointer chunk before it",
     {{POINTER, 5000, IN_RAW}, {RMA, FITS, IN_DATA}},
     "",
     0,
     WB_ERR_REPLY_TOO_LARGE,
     WB_OK},
    {"too long", {{RMA, 2 * FITS, ONE_MARK}, NONE}, "", 0, WB_ERR_REPLY_TOO_LARGE, WB_OK},
    {"longer than any memory",
     {{RMA, (uint64_t)1 << 62, ONE_MARK}, NONE},
     "",
     0,
     WB_ERR_REPLY_TOO_LARGE,
     WB_ERR_REPLY_TOO_LARGE},
    {"of the wrong kind",
     {{POINTER, 100, ONE_MARK}, NONE},
     "",
     0,
     WB_ERR_REPLY_TOO_LARGE,
     WB_ERR_MALFORMED},
    {"the one before it of the wrong kind",
     {{RMA, 100, IN_RAW}, {RMA, FITS, IN_DATA}},
     "",
     0,
     WB_ERR_REPLY_TOO_LARGE,
     WB_ERR_MALFORMED},
    {"one more than there are fields",
     {{RMA, FITS, ONE_MARK}, {RMA, FITS, IN_DATA}},
     "",
     0,
     WB_ERR_REPLY_TOO_LARGE,
     WB_ERR_MALFORMED},
    {"in the middle of a number",
     {{RMA, 100, "1234", 4}, NONE},
     "5678\0\x01\xff",
     7,
     WB_ERR_REPLY_TOO_LARGE,
     WB_ERR_MALFORMED},
    {"behind its mark",
     {{RMA, 100, "12345678\0\x01\xff\0", 12}, NONE},
     "",
     0,
     WB_ERR_REPLY_TOO_LARGE,
     WB_ERR_MALFORMED},
    {"a part of an element",
     {{RMA, 100, "12345678\0\x07\xff", 11}, NONE},
     "",
     0,
     WB_ERR_REPLY_TOO_LARGE,
     WB_ERR_MALFORMED},
    {"bytes behind the last field",
     {{RMA, 100, ONE_MARK}, NONE},
     "x",
     1,
     WB_ERR_MALFORMED,
     WB_ERR_MALFORMED},
};
enum { LIES = sizeof lies / sizeof lies[0] };

static struct wb_call *begin(const wb_rma_vector *into, uint64_t reply_bytes)
{
    struct wb_call *call;
    struct echo_in in = {.number = 4};
    struct wb_call_options options = {.reply_bytes = reply_bytes, .into = into, .into_count = 1};
    scene.stranger.heard_count = 0;
    ck_assert_int_eq(echo_async(scene.guest, &in, &options, &call), WB_OK);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    return call;
}

/* Says it, and offers memory for all that it names. */
static void tell(const struct lie *lie, struct wbi_offer *offers)
{
    unsigned chunks = lie->chunks[1].kind == NO_KIND ? 1 : 2;
    struct wbi_header header = {.kind = WBI_REPLY,
                                .flags = WBI_FLAG_LEASED,
                                .credits = 1,
                                .chunk_count = 2 * chunks + (lie->bytes > 0),
                                .call_id = test_guest_heard_call(&scene)};
    uint64_t at = 0;
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 0x4242);
    for (unsigned i = 0; i < chunks; i++) {
        uint64_t len = lie->chunks[i].len;
        offers[i] = (struct wbi_offer){.data = memory, .len = len < sizeof memory ? len : 1};
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offers[i]), WB_OK);
        struct wbi_chunk_record index = test_forge_index(at, lie->chunks[i].bytes);
        struct wbi_chunk_record chunk = test_forge_offered(&offers[i], lie->chunks[i].kind, len);
        test_forge_record(&forgery, &index);
        test_forge_record(&forgery, &chunk);
        at += index.len;
    }
    if (lie->bytes > 0) {
        struct wbi_chunk_record index = test_forge_index(at, lie->bytes);
        test_forge_record(&forgery, &index);
    }
    for (unsigned i = 0; i < chunks; i++) {
        test_forge_bytes(&forgery, lie->chunks[i].before, lie->chunks[i].bytes);
    }
    test_forge_bytes(&forgery, lie->behind, lie->bytes);
    scene.stranger.heard_count = 0;
    test_guest_say(&scene, &forgery);
}

/* What was the vector's own is there; its bytes are right if they arrived, and else may be any. */
static void expect(struct wb_call *call, const struct lie *lie, int status,
                   const wb_rma_vector *room)
{
    struct echo_out out;
    test_scene_until(&scene, wb_call_done(call));
    int got = echo_finish(call, &out);
    test_check(got == status, "%s: %s, not %s", lie->what, wb_status_name(got),
               wb_status_name(status));
    if (got == WB_OK) {
        size_t len = out.data.count;
        ck_assert_int_eq(out.data.data == room->data, len <= room->count);
        ck_assert_uint_eq(test_pattern_check(out.data.data, len, 8), len);
        ck_assert_uint_eq(test_pattern_check(out.raw.data, out.raw.len, 8), out.raw.len);
    }
    echo_out_drop(&out);
    wb_rma_vector_assert_exclusive(room);
    const uint8_t *bytes = room->data;
    for (size_t i = room->count; i < room->count + FITS; i++) {
        test_check(bytes[i] == GUARD, "%s: byte %zu is behind the vector", lie->what, i);
    }
}

START_TEST(test_lies_about_chunks)
{
    wb_rma_vector whole;
    test_pattern_fill(memory, sizeof memory, 8);
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (unsigned i = 0; i < 2 * LIES; i++) {
        const struct lie *lie = &lies[i / 2];
        bool roomy = i % 2 == 1;
        struct wbi_offer offers[2];
        ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.host), 1, 2 * FITS, &whole),
                         WB_OK);
        memset(whole.data, GUARD, 2 * FITS);
        wb_rma_vector room = wb_rma_vector_slice(&whole, 0, FITS);
        wb_rma_vector_drop(&whole);
        struct wb_call *call = begin(&room, roomy ? 4 * FITS : 0);
        tell(lie, offers);
        expect(call, lie, roomy ? lie->with_room : lie->without_room, &room);
        test_scene_until(&scene, scene.stranger.heard_count == 1); /* it was released */
        for (unsigned n = 0; n < (lie->chunks[1].kind == NO_KIND ? 1 : 2); n++) {
            scene.fabric->retire(scene.stranger.channel, &offers[n]);
        }
        wb_rma_vector_drop(&room);
    }
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    test_scene_close(&scene);
}
END_TEST

/* Archives without chunks, which are looked through when the call is finished. */
START_TEST(test_archives_of_noise)
{
    static const size_t lengths[] = {0, 1, 8, 9, 10, 11, 100, 7000};
    static uint8_t noise[7000];
    wb_rma_vector room;
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.host), 1, FITS, &room), WB_OK);
    for (unsigned i = 0; i < 4 * sizeof lengths / sizeof lengths[0]; i++) {
        memset(noise, (int)i % 4 * 83, sizeof noise);
        struct wb_call *call = begin(&room, 0);
        test_guest_answer(&scene, WB_OK, noise, lengths[i / 4]);
        int status = test_guest_finish_echo(&scene, call);
        /* nothing but zeros, of just the right length, is a result */
        ck_assert_int_eq(status, i % 4 == 0 && lengths[i / 4] == 11 ? WB_OK : WB_ERR_MALFORMED);
        wb_rma_vector_assert_exclusive(&room);
    }
    wb_rma_vector_drop(&room);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_lies_about_chunks, test_archives_of_noise};
    Suite *suite = suite_create("a stranger's results in the caller's vectors");
    suite_add_tcase(suite, test_program_case("into", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
