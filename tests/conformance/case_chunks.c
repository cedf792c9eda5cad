/* Calls of many chunks: in one message, with a chunk list that does not fit it, with long archives.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/bundle.h"
#include "tests/conformance/world.h"

static size_t wide_bytes(unsigned field)
{
    /* empty, packed, and chunks of all sorts of lengths */
    return field % 8 == 0 ? 0 : field % 8 == 1 ? 500 : (size_t)field * 1000 + field;
}

START_TEST(test_64_vectors_in_one_call)
{
    test_world_open(1);
    struct wide_in in = {0};
    struct wide_out out;
    uint64_t total = 0;
    unsigned field = 0;
#define MAKE(kind, type, name)                                                                     \
    total += wide_bytes(field) + 64;                                                               \
    in.name = test_world_vector(1, wide_bytes(field), field);                                      \
    field++;
    TEST_WIDE(MAKE)
#undef MAKE
    ck_assert_uint_eq(field, TEST_WIDE_FIELDS);
    for (uint32_t flags = 0; flags <= WB_CALL_COPY; flags++) {
        struct wb_call_options options = {.reply_bytes = total, .flags = flags};
        test_assert_status(wide_call(test_world.peer, &in, &out, &options), WB_OK);
        field = 0;
#define CHECK(kind, type, name)                                                                    \
    ck_assert_uint_eq(out.name.count, wide_bytes(field));                                          \
    ck_assert_uint_eq(test_pattern_check(out.name.data, out.name.count, field), out.name.count);   \
    field++;
        TEST_WIDE(CHECK)
#undef CHECK
        wide_out_drop(&out);
    }
    wide_in_drop(&in);
    test_world_close();
}
END_TEST

static void assert_bundle_comes_back(uint32_t count, size_t filler, uint32_t flags)
{
    static uint8_t bytes[300000];
    struct test_bundle in, out;
    struct wb_call_options options = {.reply_bytes = 16 << 20, .flags = flags};
    test_assert_status(test_bundle_make(test_world.pool, count, &in), WB_OK);
    test_pattern_fill(bytes, filler, filler);
    in.filler = (wb_bytes){.data = bytes, .len = filler};
    test_assert_status(test_bundle_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.count, count);
    ck_assert_uint_eq(test_bundle_right(&out), count);
    ck_assert_uint_eq(out.filler.len, filler);
    ck_assert_uint_eq(test_pattern_check(out.filler.data, filler, filler), filler);
    test_bundle_drop(&out);
    test_bundle_drop(&in);
}

START_TEST(test_chunk_lists_that_do_not_fit_the_message)
{
    test_world_open(1);
    for (uint32_t count = 0; count <= 320; count += count < 8 ? 1 : 13) {
        assert_bundle_comes_back(count, 0, 0);
    }
    assert_bundle_comes_back(1000, 0, 0);
    test_world_close();
}
END_TEST

/* The filler is packed because it is shorter than a pointer chunk would be. */
START_TEST(test_long_lists_with_long_archives)
{
    static const size_t fillers[] = {100, 3000, 4000, 7000, 8000, 8192, 20000, 300000};
    test_world.client_config.pointer_threshold = 1 << 20;
    test_world_open(1);
    for (unsigned i = 0; i < sizeof fillers / sizeof fillers[0]; i++) {
        for (uint32_t count = 0; count <= 300; count += 50) {
            assert_bundle_comes_back(count, fillers[i], 0);
            assert_bundle_comes_back(count, fillers[i], WB_CALL_COPY);
        }
    }
    test_world_close();
}
END_TEST

START_TEST(test_the_smallest_messages)
{
    test_world.client_config.eager_bytes = 512;
    test_world_open(1);
    for (uint32_t count = 0; count <= 40; count++) {
        assert_bundle_comes_back(count, (size_t)count * 20, 0);
    }
    assert_bundle_comes_back(300, 5000, 0);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_the_largest_messages)
{
    test_world.client_config.eager_bytes = test_world.server_config.eager_bytes = 65536;
    /* room for all that peers may send is pinned on each device */
    test_world.client_config.max_peers = test_world.server_config.max_peers = 4;
    test_world.client_config.pointer_threshold = 1 << 20;
    test_world_open(1);
    for (size_t filler = 64000; filler <= 66000; filler += 100) {
        assert_bundle_comes_back((uint32_t)(filler / 100 % 5), filler, 0);
    }
    assert_bundle_comes_back(1000, 60000, 0);
    test_world_close();
}
END_TEST

/* More chunks than a fabric can offer at once: goes all the same, or is refused; it never hangs. */
START_TEST(test_more_chunks_than_leases)
{
    struct test_bundle in, out;
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 32 << 20};
    test_world_open(1);
    test_assert_status(test_bundle_make(test_world.pool, TEST_BUNDLE_MOST, &in), WB_OK);
    uint64_t start = test_clock_us();
    int status = test_bundle_call(test_world.peer, &in, &out, &options);
    ck_assert_msg(status == WB_OK || status == WB_ERR_INVALID, "%s", wb_status_name(status));
    ck_assert_uint_lt(test_clock_us() - start, test_patience_us / 2);
    if (status == WB_OK) {
        ck_assert_uint_eq(test_bundle_right(&out), TEST_BUNDLE_MOST);
    }
    test_bundle_drop(&out);
    test_bundle_drop(&in);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

TCase *test_chunks_case(void)
{
    const TTest *const tests[] = {
        test_64_vectors_in_one_call,        test_chunk_lists_that_do_not_fit_the_message,
        test_long_lists_with_long_archives, test_the_smallest_messages,
        test_the_largest_messages,          test_more_chunks_than_leases};
    return test_world_case("chunks", tests, sizeof tests / sizeof tests[0]);
}
