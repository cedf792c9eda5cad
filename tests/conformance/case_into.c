/* Results that arrive in vectors of the caller's own: in the same memory, by whatever path, and
 * with nobody writing there once the call has ended. */
#include <string.h>

#include "engine/filter.h"
#include "tests/conformance/actions_later.h"
#include "tests/conformance/world.h"

enum { ROOM = 300000, SPARE = 64, GUARD = 0xee };

/* Lengths at which a vector begins to be a chunk, or a message to be long. */
static const size_t lengths[] = {0, 1, 100, 1023, 1024, 4096, 8192, 100000, 262144};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static wb_rma_vector make_room(size_t bytes)
{
    wb_rma_vector room;
    test_assert_status(wb_rma_vector_create(test_world.pool, 1, bytes, &room), WB_OK);
    memset(room.data, GUARD, bytes);
    return room;
}

static struct wb_call_options into(const wb_rma_vector *vectors, uint32_t count)
{
    return (struct wb_call_options){
        .timeout_us = test_patience_us, .into = vectors, .into_count = count};
}

/* What arrived is right, and where it should be. */
static void assert_there(const wb_rma_vector *got, const wb_rma_vector *room, size_t bytes,
                         uint64_t seed)
{
    ck_assert_uint_eq(got->count, bytes);
    ck_assert_ptr_eq(got->data, room->data);
    ck_assert_ptr_eq(got->block, room->block);
    ck_assert_uint_eq(test_pattern_check(got->data, bytes, seed), bytes);
}

/* Alone, with no other room for the result, and again and again in the same memory. */
START_TEST(test_results_arrive_in_the_callers_memory)
{
    test_world_open(1);
    wb_rma_vector room = make_room(ROOM);
    struct wb_call_options options = into(&room, 1);
    for (unsigned i = 0; i < LENGTHS; i++) {
        options.flags = 0;
        struct produce_in in = {.seed = i, .count = lengths[i], .elem_size = 1, .raw_bytes = i};
        struct produce_out out;
        struct wb_rma_stats stats;
        test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
        assert_there(&out.data, &room, lengths[i], i + 1);
        ck_assert_uint_eq(test_pattern_check(out.raw.data, out.raw.len, i), i);
        wb_rma_allocator_stats(test_world.pool, &stats);
        ck_assert_uint_eq(stats.blocks, 1);
        produce_out_drop(&out);
        ck_assert(wb_rma_vector_is_exclusive(&room));
    }
    wb_rma_vector_drop(&room);
    test_world_close();
}
END_TEST

/* Without chunks, too. */
START_TEST(test_copied_results_arrive_there)
{
    test_world_open(1);
    wb_rma_vector room = make_room(ROOM);
    struct wb_call_options options = into(&room, 1);
    options.flags = WB_CALL_COPY;
    for (unsigned i = 0; i < LENGTHS; i++) {
        options.reply_bytes = lengths[i] + 100;
        struct produce_in in = {.seed = i, .count = lengths[i], .elem_size = 1};
        struct produce_out out;
        test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
        assert_there(&out.data, &room, lengths[i], i + 1);
        produce_out_drop(&out);
    }
    wb_rma_vector_drop(&room);
    test_world_close();
}
END_TEST

/* ---- several ---- */

/* Vector `i` of the arguments, and so of the results: some are packed, some chunks, some empty
 * handles. */
static size_t wide_bytes(unsigned i)
{
    static const size_t sizes[] = {50, 5000, 0, 1, 3000, 7};
    return sizes[i % (sizeof sizes / sizeof sizes[0])];
}

/* Each result has its own vector by its place, whatever stands before it, and where none was passed
 * it lands as ever. Where all have one, nothing has to be reserved. */
START_TEST(test_each_result_has_its_own_vector)
{
    unsigned without = _i == 0 ? 5 : 0; /* every fifth has none */
    wb_rma_vector rooms[TEST_WIDE_FIELDS], args[TEST_WIDE_FIELDS] = {{0}};
    struct wide_in in = {0};
    struct wide_out out;
    test_world_open(1);
    for (unsigned i = 0; i < TEST_WIDE_FIELDS; i++) {
        bool handle = i % 7 != 3;
        args[i] = handle ? test_world_vector(1, wide_bytes(i), i) : (wb_rma_vector){0};
        bool own = without == 0 || i % without != 4;
        rooms[i] = own ? make_room(wide_bytes(i) + SPARE) : (wb_rma_vector){0};
    }
    struct wb_call_options options = into(rooms, TEST_WIDE_FIELDS);
    options.reply_bytes = _i == 0 ? 60000 : 0;
    memcpy(&in, args, sizeof args);
    test_assert_status(wide_call(test_world.peer, &in, &out, &options), WB_OK);
    wide_in_drop(&in);
    memcpy(args, &out, sizeof args);
    for (unsigned i = 0; i < TEST_WIDE_FIELDS; i++) {
        if (i % 7 == 3) {
            ck_assert_ptr_null(args[i].block);
        } else if (without == 0 || i % without != 4) {
            assert_there(&args[i], &rooms[i], wide_bytes(i), i);
        } else {
            ck_assert_uint_eq(args[i].count, wide_bytes(i));
            ck_assert_uint_eq(test_pattern_check(args[i].data, args[i].count, i), args[i].count);
        }
    }
    wide_out_drop(&out);
    for (unsigned i = 0; i < TEST_WIDE_FIELDS; i++) {
        ck_assert(wb_rma_vector_is_exclusive(&rooms[i]));
        wb_rma_vector_drop(&rooms[i]);
    }
    test_world_close();
}
END_TEST

/* Slices of one vector, which lie unaligned: nothing beside them is touched. Where a device cannot
 * READ there, reply_bytes have the result first. */
START_TEST(test_results_arrive_in_slices)
{
    enum { BYTES = 9001 };
    struct vector_out out;
    test_world_open(1);
    wb_rma_vector whole = make_room(3 * BYTES);
    for (unsigned i = 0; i < 4; i++) {
        static const size_t firsts[] = {0, 64, 1, BYTES + 3};
        wb_rma_vector slice = wb_rma_vector_slice(&whole, firsts[i], BYTES);
        struct vector_in in = {.data = test_world_vector(1, BYTES, i)};
        struct wb_call_options options = into(&slice, 1);
        options.reply_bytes = BYTES + SPARE;
        memset(whole.data, GUARD, whole.count);
        test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
        assert_there(&out.data, &slice, BYTES, i);
        const uint8_t *bytes = whole.data;
        for (size_t at = 0; at < whole.count; at++) {
            bool beside = at < firsts[i] || at >= firsts[i] + BYTES;
            test_check(!beside || bytes[at] == GUARD, "byte %zu is not the result's", at);
        }
        vector_in_drop(&in);
        vector_out_drop(&out);
        wb_rma_vector_drop(&slice);
    }
    wb_rma_vector_drop(&whole);
    test_world_close();
}
END_TEST

/* An object, an argument that its result takes the place of, and buffers, which count as nothing.
 */
START_TEST(test_handles_of_all_kinds)
{
    struct objects_in in = {0};
    struct objects_out out;
    struct wb_rma_stats stats;
    test_world_open(1);
    test_assert_status(large_object_create(test_world.pool, &in.large), WB_OK);
    test_pattern_fill(large_object_get(&in.large), large_object_bytes, 6);
    wb_rma_vector rooms[3] = {{0}, {0}, make_room(large_object_bytes + SPARE)};
    struct wb_call_options options = into(rooms, 3);
    test_assert_status(objects_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_ptr_eq(large_object_get(&out.large), rooms[2].data);
    ck_assert_uint_eq(test_pattern_check(rooms[2].data, large_object_bytes, 6), large_object_bytes);
    objects_out_drop(&out);
    objects_in_drop(&in);

    struct vector_in same = {.data = wb_rma_vector_slice(&rooms[2], 0, large_object_bytes)};
    struct vector_out back;
    options.into = &rooms[2];
    options.into_count = 1;
    test_assert_status(vector_call(test_world.peer, &same, &back, &options), WB_OK);
    assert_there(&back.data, &rooms[2], large_object_bytes, 6);
    vector_in_drop(&same);
    vector_out_drop(&back);

    struct lend_in lend = {.seed = 9, .bytes = 50000, .mode = TEST_LEND_ADOPTED};
    struct lend_out lent;
    options.reply_bytes = lend.bytes;
    test_assert_status(lend_call(test_world.peer, &lend, &lent, &options), WB_OK);
    ck_assert_ptr_ne(lent.raw.data, rooms[2].data);
    ck_assert_uint_eq(test_pattern_check(lent.raw.data, lent.raw.len, 9), lend.bytes);
    lend_out_drop(&lent);
    ck_assert(wb_rma_vector_is_exclusive(&rooms[2]));
    wb_rma_vector_drop(&rooms[2]);
    wb_rma_allocator_stats(test_world.pool, &stats);
    ck_assert_uint_eq(stats.blocks, 0);
    test_world_close();
}
END_TEST

/* ---- what does not fit ---- */

/* It lands as it would have without, or there is no room for it. */
START_TEST(test_vectors_that_are_too_small)
{
    test_world_open(1);
    wb_rma_vector room = make_room(ROOM);
    wb_rma_vector slice = wb_rma_vector_slice(&room, 0, 99);
    struct wb_call_options options = into(&slice, 1);
    for (unsigned i = 0; i < LENGTHS; i++) {
        bool fits = lengths[i] <= 99;
        struct produce_in in = {.seed = i, .count = lengths[i], .elem_size = 1};
        struct produce_out out;
        options.reply_bytes = lengths[i];
        test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(out.data.count, lengths[i]);
        ck_assert_uint_eq(test_pattern_check(out.data.data, lengths[i], i + 1), lengths[i]);
        ck_assert_int_eq(out.data.data == slice.data, fits);
        produce_out_drop(&out);
    }
    struct produce_in in = {.seed = 1, .count = 100000, .elem_size = 1};
    struct produce_out out;
    options.reply_bytes = 0;
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_ERR_REPLY_TOO_LARGE);
    ck_assert_ptr_null(out.data.block);
    wb_rma_vector two[] = {slice, room}; /* in all there were room enough */
    options.into = two;
    options.into_count = 2;
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_ERR_REPLY_TOO_LARGE);
    ck_assert_ptr_null(out.data.block);
    test_world_assert_works(test_world.peer);
    wb_rma_vector_drop(&slice);
    ck_assert(wb_rma_vector_is_exclusive(&room));
    wb_rma_vector_drop(&room);
    test_world_close();
}
END_TEST

/* Memory of another engine is refused; that of another allocator of this one is as good. */
START_TEST(test_memory_of_others)
{
    struct wb_engine *another;
    struct wb_rma_allocator *pool;
    struct produce_in in = {.seed = 1, .count = 50000, .elem_size = 1};
    struct produce_out out;
    wb_rma_vector room;
    struct wb_call *call;
    test_world_open(1);
    struct wb_call_options options = into(&room, 1);
    test_assert_status(wb_engine_create(NULL, &another), WB_OK);
    test_assert_status(wb_rma_vector_create(wb_engine_allocator(another), 1, 60000, &room), WB_OK);
    test_assert_status(produce_async(test_world.peer, &in, &options, &call), WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "into"));
    ck_assert(wb_rma_vector_is_exclusive(&room));
    wb_rma_vector_drop(&room);
    wb_engine_destroy(another);
    options.into = NULL;
    test_assert_status(produce_async(test_world.peer, &in, &options, &call), WB_ERR_INVALID);

    test_assert_status(wb_rma_allocator_create(test_world.engine, NULL, &pool), WB_OK);
    test_assert_status(wb_rma_vector_create(pool, 1, 60000, &room), WB_OK);
    options.into = &room;
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
    assert_there(&out.data, &room, in.count, 2);
    produce_out_drop(&out);
    wb_rma_vector_drop(&room);
    wb_rma_allocator_destroy(pool);
    test_world_close();
}
END_TEST

/* A filtered archive needs room beside the vectors, whatever the server takes them for. */
START_TEST(test_filtered_results)
{
    if (!wbi_filter_is_here(WB_FILTER_LZ4)) {
        printf("not run: the filter, which this library was built without\n");
        return;
    }
    test_world.client_config.filter = test_world.server_config.filter = WB_FILTER_LZ4;
    test_world.client_config.filter_from = test_world.server_config.filter_from = 1024;
    test_world_open(1);
    wb_rma_vector room = make_room(ROOM);
    static char blank[40000];
    static const size_t texts[] = {10, 1500, 6000, 40000};
    for (unsigned i = 0; i < 4; i++) {
        struct wb_call_options options = into(&room, 1);
        options.reply_bytes = texts[i] > 8000 ? texts[i] + 1000 : 0;
        struct later_in in = {.how = TEST_IN_HANDLER,
                              .raw = {.data = blank, .len = texts[i]},
                              .data = test_world_vector(1, 70000, 1)};
        struct later_out out;
        test_assert_status(later_call(test_world.peer, &in, &out, &options), WB_OK);
        assert_there(&out.data, &room, 70000, 1);
        ck_assert_uint_eq(out.raw.len, texts[i]);
        ck_assert(memcmp(out.raw.data, blank, texts[i]) == 0);
        later_in_drop(&in);
        later_out_drop(&out);
    }
    ck_assert(wb_rma_vector_is_exclusive(&room));
    wb_rma_vector_drop(&room);
    test_world_close();
}
END_TEST

/* ---- who holds it ---- */

/* The handle, and the array, are the caller's again when the call has begun. */
START_TEST(test_vectors_may_be_dropped_in_mid_call)
{
    struct wb_call *call;
    struct produce_in in = {.seed = 1, .count = 100000, .elem_size = 1};
    struct produce_out out;
    test_world_open(1);
    wb_rma_vector room = make_room(in.count + SPARE), was = room;
    struct wb_call_options options = into(&room, 1);
    test_assert_status(produce_async(test_world.peer, &in, &options, &call), WB_OK);
    ck_assert(!wb_rma_vector_is_exclusive(&room));
    wb_rma_vector_drop(&room);
    test_assert_status(produce_finish(call, &out), WB_OK);
    assert_there(&out.data, &was, in.count, 2);
    produce_out_drop(&out);
    test_world_close();
}
END_TEST

static void note_end(struct wb_call *call, void *user)
{
    (void)call;
    *(bool *)user = true;
}

/* Answers that come later and are told of, each in memory of its own; on shm and verbs alike the
 * views of a result outlive its call's references to the vectors. */
START_TEST(test_deferred_answers_in_futures)
{
    enum { MANY = 8 };
    wb_rma_vector rooms[MANY];
    struct wb_call *calls[MANY];
    bool ended[MANY] = {false};
    static uint8_t raw[5000];
    test_pattern_fill(raw, sizeof raw, 3);
    test_world_open(1);
    for (unsigned i = 0; i < MANY; i++) {
        rooms[i] = make_room(20000);
        struct wb_call_options options = into(&rooms[i], 1);
        options.reply_bytes = sizeof raw;
        options.then = note_end;
        options.user = &ended[i];
        struct later_in in = {.how = i % 2 == 0 ? TEST_BY_WORKER : TEST_IN_HANDLER,
                              .seed = 3,
                              .raw = {.data = raw, .len = sizeof raw},
                              .data = test_world_vector(1, 10000 + i, 4)};
        test_assert_status(later_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
        later_in_drop(&in);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct later_out out;
        uint64_t start = test_clock_us();
        while (!ended[i] && test_clock_us() - start < test_patience_us) {
            wb_wait(test_world.engine, 10000);
        }
        test_assert_status(later_finish(calls[i], &out), WB_OK);
        assert_there(&out.data, &rooms[i], 10000 + i, 4);
        ck_assert_uint_eq(test_pattern_check(out.raw.data, sizeof raw, 3), sizeof raw);
        later_out_drop(&out);
        ck_assert(wb_rma_vector_is_exclusive(&rooms[i]));
        wb_rma_vector_drop(&rooms[i]);
    }
    test_world_close();
}
END_TEST

/* ---- calls that end otherwise: nobody writes there when they have ---- */

enum way { BY_DEADLINE, BY_CANCEL, BY_CLOSE, WAYS };

/* Ends the call after some turns, in the midst of its READs or not. Returns its status. */
static int end_call(enum way way, unsigned turns, const wb_rma_vector *room)
{
    struct produce_in in = {.seed = 1, .count = room->count, .elem_size = 1};
    struct produce_out out;
    struct wb_call *call;
    struct wb_call_options options = into(room, 1);
    options.timeout_us = way == BY_DEADLINE ? turns + 1 : test_patience_us;
    test_assert_status(produce_async(test_world.peer, &in, &options, &call), WB_OK);
    for (unsigned i = 0; i < turns && way != BY_DEADLINE; i++) {
        wb_progress(test_world.engine);
    }
    if (way == BY_CANCEL) {
        wb_call_cancel(call);
    } else if (way == BY_CLOSE) {
        wb_peer_close(test_world.peer);
        test_world_connect(0);
    }
    int status = produce_finish(call, &out);
    if (status == WB_OK) {
        assert_there(&out.data, room, in.count, 2);
    }
    produce_out_drop(&out);
    return status;
}

START_TEST(test_nobody_writes_when_the_call_has_ended)
{
    static const int statuses[WAYS] = {WB_ERR_TIMED_OUT, WB_ERR_CANCELLED, WB_ERR_CLOSED};
    enum way way = (enum way)_i;
    test_world_open(1);
    wb_rma_vector room = make_room(2000000);
    for (unsigned turns = 0; turns < test_scaled(20000); turns = turns * 3 + 1) {
        int status = end_call(way, turns, &room);
        ck_assert_msg(status == WB_OK || status == statuses[way], "%s", wb_status_name(status));
        wb_rma_vector_assert_exclusive(&room);
        memset(room.data, GUARD, room.count);
    }
    const uint8_t *bytes = room.data;
    test_world_assert_works(test_world.peer);
    for (size_t i = 0; i < room.count; i++) {
        test_check(bytes[i] == GUARD, "byte %zu was written after the call's end", i);
    }
    wb_rma_vector_drop(&room);
    test_world_close();
}
END_TEST

TCase *test_into_case(void)
{
    const TTest *const tests[] = {test_results_arrive_in_the_callers_memory,
                                  test_copied_results_arrive_there,
                                  test_results_arrive_in_slices,
                                  test_handles_of_all_kinds,
                                  test_vectors_that_are_too_small,
                                  test_memory_of_others,
                                  test_filtered_results,
                                  test_vectors_may_be_dropped_in_mid_call,
                                  test_deferred_answers_in_futures};
    TCase *tcase = test_world_case("into", tests, sizeof tests / sizeof tests[0]);
    tcase_add_loop_test(tcase, test_each_result_has_its_own_vector, 0, 2);
    tcase_add_loop_test(tcase, test_nobody_writes_when_the_call_has_ended, 0, WAYS);
    return tcase;
}
