/* Objects, buffers and slices, both ways, by every path; and when a buffer comes back. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/world.h"

/* ---- objects ---- */

static void make_objects(struct objects_in *in, uint64_t seed)
{
    *in = (struct objects_in){.before = 5, .after = (uint32_t)seed};
    test_assert_status(small_object_create(test_world.pool, &in->small), WB_OK);
    test_assert_status(edge_object_create(test_world.pool, &in->edge), WB_OK);
    test_assert_status(large_object_create(test_world.pool, &in->large), WB_OK);
    test_pattern_fill(small_object_get(&in->small), small_object_bytes, seed);
    test_pattern_fill(edge_object_get(&in->edge), edge_object_bytes, seed + 1);
    test_pattern_fill(large_object_get(&in->large), large_object_bytes, seed + 2);
}

static void assert_right(const void *data, size_t bytes, uint64_t seed)
{
    size_t right = test_pattern_check(data, bytes, seed);
    test_check(right == bytes, "byte %zu of %zu is wrong", right, bytes);
}

START_TEST(test_objects_there_and_back)
{
    test_world_open(1);
    for (unsigned i = 0; i < 10; i++) {
        struct wb_call_options options = {.reply_bytes = 400000,
                                          .flags = i % 2 == 1 ? WB_CALL_COPY : 0};
        struct objects_in in;
        struct objects_out out;
        make_objects(&in, i);
        test_assert_status(objects_call(test_world.peer, &in, &out, &options), WB_OK);
        objects_in_drop(&in);
        ck_assert_uint_eq(out.after, i);
        assert_right(small_object_get(&out.small), small_object_bytes, i);
        assert_right(edge_object_get(&out.edge), edge_object_bytes, i + 1);
        ck_assert_uint_eq((uintptr_t)large_object_get(&out.large) % 64, 0);
        large_object mine = large_object_take(&out.large);
        ck_assert_ptr_null(large_object_get(&out.none));
        objects_out_drop(&out);
        assert_right(large_object_get(&mine), large_object_bytes, i + 2);
        large_object_drop(&mine);
    }
    test_world_close();
}
END_TEST

START_TEST(test_objects_travel_as_rma_chunks)
{
    struct wb_rma_stats before, after;
    struct wb_engine_stats stats;
    test_world_open(1);
    struct wb_call_options options = {.reply_bytes = 400000};
    struct objects_in in;
    struct objects_out out;
    make_objects(&in, 1);
    wb_rma_allocator_stats(test_world.pool, &before);
    test_assert_status(objects_call(test_world.peer, &in, &out, &options), WB_OK);
    wb_rma_allocator_stats(test_world.pool, &after);
    wb_engine_stats(test_world.engine, &stats);
    ck_assert_uint_eq(after.registrations, before.registrations);
    ck_assert_uint_ge(stats.read_bytes, large_object_bytes + edge_object_bytes);
    ck_assert_uint_lt(stats.read_bytes, large_object_bytes + edge_object_bytes + 256);
    objects_out_drop(&out);
    objects_in_drop(&in);
    test_world_close();
}
END_TEST

/* ---- slices ---- */

START_TEST(test_slices_travel_as_parts)
{
    enum { BYTES = 100000 };
    static const struct {
        size_t first, count;
    } parts[] = {{0, BYTES}, {0, 0},     {1, 1},      {1, 1023},         {3, 1024},
                 {5, 4096},  {64, 8191}, {77, 50001}, {BYTES - 1, 1},    {BYTES, 0},
                 {1, 99999}, {2, 99998}, {4097, 333}, {BYTES / 2, 20000}};
    struct wb_rma_stats before, after;
    test_world_open(1);
    wb_rma_vector whole = test_world_vector(1, BYTES, 8);
    struct wb_call_options options = {.reply_bytes = BYTES};
    wb_rma_allocator_stats(test_world.pool, &before);
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t count = parts[i].count;
        struct vector_out out;
        struct vector_in in = {.data = wb_rma_vector_slice(&whole, parts[i].first, count)};
        ck_assert_ptr_eq(in.data.block, whole.block);
        test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(out.data.count, count);
        if (count > 0) {
            ck_assert_mem_eq(out.data.data, in.data.data, count);
        }
        vector_out_drop(&out);
        vector_in_drop(&in);
    }
    wb_rma_allocator_stats(test_world.pool, &after);
    ck_assert_uint_eq(after.registrations, before.registrations);
    ck_assert(wb_rma_vector_is_exclusive(&whole));
    wb_rma_vector_drop(&whole);
    test_world_close();
}
END_TEST

/* ---- buffers ---- */

/* Lengths at which the length's form, the kind of chunk, or the message changes. */
static const size_t lengths[] = {0,    1,    251,  252,  1023, 1024,  4092,  4095,  4096,
                                 4097, 4100, 8191, 8192, 9000, 65535, 65536, 300000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0], LONGEST = 300000 };

static void count_release(void *context, const void *data, size_t len)
{
    unsigned *released = context;
    memset((void *)(uintptr_t)data, 0xee, len); /* whoever still reads it is found out */
    *released += 1;
}

/* A buffer of the client's by each of the ways, with the pattern of `len`. */
static wb_buffer made(unsigned how, size_t len, unsigned *released)
{
    static uint8_t bytes[LONGEST + 1];
    wb_buffer buffer = {0};
    wb_rma_vector vector;
    void *memory;
    test_pattern_fill(bytes, len, len);
    switch (how) {
    case 0:
        return wb_buffer_view(bytes, len);
    case 1:
        test_assert_status(wb_buffer_copy(bytes, len, &buffer), WB_OK);
        break;
    case 2:
        test_assert_status(wb_buffer_reference(bytes, len, count_release, released, &buffer),
                           WB_OK);
        break;
    case 3:
        memory = malloc(len + 1);
        ck_assert_ptr_nonnull(memory);
        test_pattern_fill(memory, len, len);
        test_assert_status(wb_buffer_adopt(memory, len, NULL, &buffer), WB_OK);
        break;
    default:
        vector = test_world_vector(1, len, len);
        buffer = wb_buffer_of_vector(&vector);
    }
    return buffer;
}

static void assert_buffer_comes_back(unsigned how, size_t len, uint32_t flags)
{
    unsigned released = 0;
    struct wb_call_options options = {.reply_bytes = len + 100, .flags = flags};
    struct return_buffer_in in = {.before = 1, .after = 2, .raw = made(how, len, &released)};
    struct return_buffer_out out;
    wb_buffer mine;
    test_assert_status(return_buffer_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(released, 0);
    ck_assert(how == 0 || wb_buffer_is_exclusive(&in.raw)); /* the call's is gone */
    return_buffer_in_drop(&in);
    ck_assert_uint_eq(released, how == 2);
    ck_assert_uint_eq(out.after, 2);
    ck_assert_uint_eq(out.raw.len, len);
    test_assert_status(wb_buffer_keep(&out.raw, &mine), WB_OK);
    return_buffer_out_drop(&out);
    assert_right(mine.data, len, len);
    wb_buffer_drop(&mine);
}

START_TEST(test_buffers_there_and_back)
{
    test_world_open(1);
    for (unsigned i = 0; i < LENGTHS; i++) {
        for (unsigned how = 0; how < 5; how++) {
            assert_buffer_comes_back(how, lengths[i], 0);
            assert_buffer_comes_back(how, lengths[i], WB_CALL_COPY);
        }
    }
    test_world_close();
}
END_TEST

/* What is passed to a call may be dropped at once. */
START_TEST(test_a_call_keeps_its_buffer)
{
    enum { LEN = 100000 };
    unsigned released = 0;
    struct wb_call *call;
    struct return_buffer_out out;
    struct wb_call_options options = {.reply_bytes = LEN};
    test_world_open(1);
    struct return_buffer_in in = {.raw = made(2, LEN, &released)};
    test_assert_status(return_buffer_async(test_world.peer, &in, &options, &call), WB_OK);
    ck_assert(!wb_buffer_is_exclusive(&in.raw));
    return_buffer_in_drop(&in);
    ck_assert_uint_eq(released, 0); /* nothing has moved on since */
    test_assert_status(return_buffer_finish(call, &out), WB_OK);
    ck_assert_uint_eq(released, 1);
    assert_right(out.raw.data, LEN, LEN);
    ck_assert(!wb_buffer_is_view(&out.raw));
    ck_assert_uint_eq(out.was_view, 0);
    return_buffer_out_drop(&out);
    ck_assert_uint_eq(released, 1);
    test_world_close();
}
END_TEST

/* Forwarded as it came: a part of a pool's block, which needs no registration. */
START_TEST(test_a_received_buffer_goes_on)
{
    enum { LEN = 50000 };
    struct wb_call_options options = {.reply_bytes = LEN + 100};
    test_world_open(2);
    struct return_buffer_in in = {.raw = made(1, LEN, NULL)};
    struct return_buffer_out out;
    for (unsigned i = 0; i < 6; i++) {
        test_assert_status(return_buffer_call(test_world.peers[i % 2], &in, &out, &options), WB_OK);
        return_buffer_in_drop(&in);
        ck_assert_ptr_nonnull(out.raw.block);
        in.raw = wb_buffer_take(&out.raw);
        return_buffer_out_drop(&out);
    }
    assert_right(in.raw.data, LEN, LEN);
    wb_buffer slice = wb_buffer_slice(&in.raw, 777, 20001);
    wb_buffer_drop(&in.raw);
    in.raw = slice;
    test_assert_status(return_buffer_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.raw.len, 20001);
    ck_assert_mem_eq(out.raw.data, in.raw.data, 20001);
    return_buffer_in_drop(&in);
    return_buffer_out_drop(&out);
    test_world_close();
}
END_TEST

/* ---- results from plain memory ---- */

static void assert_all_returned(uint32_t lent)
{
    struct lent_in in = {0};
    struct lent_out out;
    uint64_t start = test_clock_us();
    do {
        test_assert_status(lent_call(test_world.peer, &in, &out, NULL), WB_OK);
    } while (out.returned < out.lent && test_clock_us() - start < test_patience_us / 6);
    ck_assert_uint_eq(out.lent, lent);
    ck_assert_uint_eq(out.returned, lent);
}

START_TEST(test_servers_lend)
{
    uint32_t by_reference = 0;
    test_world_open(1);
    for (unsigned i = 0; i < LENGTHS; i++) {
        for (unsigned mode = TEST_LEND_VIEW; mode <= TEST_LEND_ADOPTED; mode++) {
            struct lend_in in = {.seed = i, .bytes = lengths[i], .mode = (uint8_t)mode};
            for (uint32_t flags = 0; flags <= WB_CALL_COPY; flags++) {
                struct wb_call_options options = {.reply_bytes = lengths[i] + 100, .flags = flags};
                struct lend_out out;
                test_assert_status(lend_call(test_world.peer, &in, &out, &options), WB_OK);
                ck_assert_uint_eq(out.raw.len, lengths[i]);
                assert_right(out.raw.data, out.raw.len, i);
                lend_out_drop(&out);
                by_reference += mode == TEST_LEND_REFERENCE;
            }
        }
    }
    assert_all_returned(by_reference);
    test_world_close();
}
END_TEST

START_TEST(test_a_lent_result_without_room)
{
    test_world_open(1);
    struct lend_in in = {.bytes = 100000, .mode = TEST_LEND_REFERENCE};
    struct lend_out out;
    for (uint64_t room = 0; room < 100000; room += 40000) {
        struct wb_call_options options = {.reply_bytes = room};
        test_assert_status(lend_call(test_world.peer, &in, &out, &options), WB_ERR_REPLY_TOO_LARGE);
        ck_assert_ptr_null(out.raw.data);
    }
    assert_all_returned(3);
    test_world_close();
}
END_TEST

/* ---- kept beyond the handler, dropped elsewhere ---- */

START_TEST(test_dropped_on_another_thread)
{
    enum { CALLS = 20 };
    unsigned released = 0;
    test_world_open(1);
    for (unsigned i = 0; i < CALLS; i++) {
        struct hand_on_in in = {.seed = lengths[i % LENGTHS],
                                .raw = made(i % 5, lengths[i % LENGTHS], &released),
                                .data = test_world_vector(1, 20000, lengths[i % LENGTHS] + 1)};
        struct hand_on_out out;
        test_assert_status(large_object_create(test_world.pool, &in.large), WB_OK);
        test_pattern_fill(large_object_get(&in.large), large_object_bytes, in.seed + 2);
        test_assert_status(hand_on_call(test_world.peer, &in, &out, NULL), WB_OK);
        hand_on_in_drop(&in);
    }
    test_world_assert_works(test_world.peer);
    struct handed_in in = {0};
    struct handed_out out;
    test_assert_status(handed_call(test_world.peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.threads, CALLS);
    ck_assert_uint_eq(out.spoilt, 0);
    test_world_close(); /* all blocks are back at both ends */
}
END_TEST

/* ---- calls that time out with their buffer offered ---- */

static void assert_nothing_spoilt(void)
{
    struct checked_in in = {0};
    struct checked_out out;
    test_assert_status(checked_call(test_world.peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.spoilt, 0);
}

/* The server is held up, and has the offer when the caller gives up. */
START_TEST(test_a_time_out_while_offered)
{
    unsigned released = 0;
    struct wb_call *stalled;
    struct stall_in stall = {.ms = 500};
    struct stall_out done;
    test_world_open(1);
    for (unsigned i = 0; i < 3; i++) {
        struct wb_call_options options = {.timeout_us = 50000};
        struct check_buffer_out out;
        test_assert_status(stall_async(test_world.peer, &stall, NULL, &stalled), WB_OK);
        struct check_buffer_in in = {.seed = 200000, .raw = made(2, 200000, &released)};
        wb_buffer mine = wb_buffer_take(&in.raw);
        in.raw = wb_buffer_share(&mine);
        struct wb_call *call;
        test_assert_status(check_buffer_async(test_world.peer, &in, &options, &call), WB_OK);
        check_buffer_in_drop(&in);
        int status = check_buffer_finish(call, &out);
        /* a machine that is busy elsewhere may look at its clock when all is over */
        ck_assert_msg(status == WB_ERR_TIMED_OUT || status == WB_OK, "%s", wb_status_name(status));
        ck_assert(wb_buffer_is_exclusive(&mine)); /* no peer can read it any more */
        ck_assert_uint_eq(released, i);
        wb_buffer_drop(&mine);
        ck_assert_uint_eq(released, i + 1);
        test_assert_status(stall_finish(stalled, &done), WB_OK);
        test_world_assert_works(test_world.peer);
    }
    assert_nothing_spoilt();
    test_world_close();
}
END_TEST

/* At any moment of it. The callback spoils the bytes: the handler never sees that. */
START_TEST(test_time_outs_at_any_moment)
{
    unsigned released = 0, calls = 0;
    test_world_open(1);
    for (uint64_t timeout_us = 1; timeout_us < 100000; timeout_us = timeout_us * 2 + 1) {
        for (unsigned i = 0; i < test_scaled(4); i++, calls++) {
            struct wb_call_options options = {.timeout_us = timeout_us};
            struct check_buffer_in in = {.seed = LONGEST, .raw = made(2, LONGEST, &released)};
            struct check_buffer_out out;
            struct wb_call *call;
            test_assert_status(check_buffer_async(test_world.peer, &in, &options, &call), WB_OK);
            check_buffer_in_drop(&in);
            int status = check_buffer_finish(call, &out);
            ck_assert_msg(status == WB_OK || status == WB_ERR_TIMED_OUT, "%s",
                          wb_status_name(status));
            ck_assert_uint_eq(released, calls + 1);
            if (status == WB_OK) {
                ck_assert_uint_eq(out.right, LONGEST);
            }
        }
    }
    test_world_assert_quiet(0);
    assert_nothing_spoilt();
    test_world_close();
}
END_TEST

TCase *test_handles_case(void)
{
    const TTest *const tests[] = {test_objects_there_and_back,
                                  test_objects_travel_as_rma_chunks,
                                  test_slices_travel_as_parts,
                                  test_buffers_there_and_back,
                                  test_a_call_keeps_its_buffer,
                                  test_a_received_buffer_goes_on,
                                  test_servers_lend,
                                  test_a_lent_result_without_room,
                                  test_dropped_on_another_thread,
                                  test_a_time_out_while_offered,
                                  test_time_outs_at_any_moment};
    return test_world_case("handles", tests, sizeof tests / sizeof tests[0]);
}
