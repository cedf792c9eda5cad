/* Archives that go through the filter: what arrives is what was sent, whichever side filters, and
 * those are filtered that can be shorter and undone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/filter.h"
#include "tests/conformance/world.h"

enum { FROM = 1024, LARGEST = 3000000 };

/* Below the filter's first length, an eager message, and what it takes only when it is filtered;
 * the last ones are long even then. */
static const size_t sizes[] = {0, 1, 500, 1500, 5000, 8100, 20000, 300000, LARGEST};

static bool open_world(bool client_filters, bool server_filters)
{
    if (!wbi_filter_is_here(WB_FILTER_LZ4)) {
        printf("not run: the filter, which this library was built without\n");
        return false;
    }
    test_world.client_config.filter = test_world.server_config.filter = WB_FILTER_LZ4;
    test_world.client_config.filter_from = client_filters ? FROM : UINT32_MAX;
    test_world.server_config.filter_from = server_filters ? FROM : UINT32_MAX;
    test_world.client_config.call_timeout_us = test_patience_us;
    test_world_open(1);
    return true;
}

/* Bytes that lz4 makes shorter by much, and each part of which is another. */
static void fill_lines(char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 50) {
        char line[51];
        snprintf(line, sizeof line, "%-40s%10zu", "what many lines have in common", at);
        memcpy(text + at, line, bytes - at < 50 ? bytes - at : 50);
    }
}

/* How many filtered archives each side has received. */
struct filtered {
    uint64_t requests, replies;
};

static struct filtered count_filtered(void)
{
    struct wb_engine_stats client;
    struct test_figures server;
    wb_engine_stats(test_world.engine, &client);
    test_server_figures(&test_world.host, &test_world.servers[0], &server);
    return (struct filtered){server.engine.parcels_filtered, client.parcels_filtered};
}

/* Bytes there and back, all of them in archives. */
static struct filtered exchange(const char *bytes, size_t len, uint64_t reply_bytes)
{
    struct wb_call_options options = {.flags = WB_CALL_COPY, .reply_bytes = reply_bytes};
    struct texts_in in = {.between = 7, .raw = {.data = bytes, .len = len}};
    struct texts_out out;
    struct filtered before = count_filtered();
    test_assert_status(texts_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.raw.len, len);
    ck_assert_uint_eq(out.between, 7);
    ck_assert(len == 0 || memcmp(out.raw.data, bytes, len) == 0);
    texts_out_drop(&out);
    struct filtered after = count_filtered();
    return (struct filtered){after.requests - before.requests, after.replies - before.replies};
}

static void exchange_sizes(bool client_filters, bool server_filters)
{
    char *lines = malloc(LARGEST), *noise = malloc(LARGEST);
    ck_assert(lines != NULL && noise != NULL);
    fill_lines(lines, LARGEST);
    test_pattern_fill(noise, LARGEST, 5);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t len = sizes[i];
        struct filtered seen = exchange(lines, len, 2 * len + 8192);
        ck_assert_uint_eq(seen.requests, client_filters && len >= FROM);
        ck_assert_uint_eq(seen.replies, server_filters && len >= FROM);
        seen = exchange(noise, len, 2 * len + 8192);
        ck_assert_uint_eq(seen.requests + seen.replies, 0);
    }
    free(lines);
    free(noise);
}

START_TEST(test_either_side_may_filter)
{
    bool client = (_i & 1) != 0, server = (_i & 2) != 0;
    if (!open_world(client, server)) {
        return;
    }
    exchange_sizes(client, server);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* A reply is filtered only where its caller has reserved room to undo it. */
START_TEST(test_replies_without_room_are_plain)
{
    if (!open_world(true, true)) {
        return;
    }
    char *lines = malloc(LARGEST);
    ck_assert_ptr_nonnull(lines);
    fill_lines(lines, LARGEST);
    struct filtered seen = exchange(lines, 1500, 0);
    ck_assert_uint_eq(seen.requests, 1);
    ck_assert_uint_eq(seen.replies, 0);
    seen = exchange(lines, 1500, 1600); /* the library adds some for rounding */
    ck_assert_uint_eq(seen.replies, 1);
    /* the filtered one would have to be fetched, and there is room for the plain one alone */
    seen = exchange(lines, LARGEST, LARGEST + 100);
    ck_assert_uint_eq(seen.replies, 0);
    free(lines);
    test_world_close();
}
END_TEST

/* A filtered archive whose marks stand for chunks, and that waits for its handler meanwhile. */
START_TEST(test_chunks_beside)
{
    static char lines[100000];
    struct wb_call_options options = {.reply_bytes = 400000};
    /* the text is in the archive; or from here on */
    test_world.client_config.pointer_threshold = _i == 0 ? UINT32_MAX : 4096;
    if (!open_world(true, true)) {
        return;
    }
    fill_lines(lines, sizeof lines);
    for (size_t len = 1500; len <= sizeof lines; len *= 4) {
        struct again_in in = {.times = 2,
                              .seed = len,
                              .text = {.data = lines, .len = len},
                              .data = test_world_vector(1, 70000, len)};
        struct again_out out;
        struct filtered before = count_filtered();
        test_assert_status(again_call(test_world.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(out.runs, 3);
        ck_assert_uint_eq(out.data_right, 70000);
        ck_assert_uint_eq(out.text.len, len);
        ck_assert(memcmp(out.text.data, lines, len) == 0);
        ck_assert_uint_eq(test_pattern_check(out.data.data, 70000, len), 70000);
        again_out_drop(&out);
        again_in_drop(&in);
        struct filtered after = count_filtered();
        ck_assert_uint_eq(after.requests - before.requests, _i == 0 || len < 4096);
        ck_assert_uint_eq(after.replies - before.replies, 1);
    }
    test_world_close();
}
END_TEST

/* Vectors inside a filtered archive are parts of the plain one's block, and outlive the call. */
START_TEST(test_vectors_inside_outlive_the_call)
{
    struct wb_call_options options = {.flags = WB_CALL_COPY, .reply_bytes = 400000};
    struct vector_in in = {.before = 1, .after = 2};
    struct vector_out out;
    wb_rma_vector taken;
    if (!open_world(true, true)) {
        return;
    }
    in.data = test_world_vector(50, 2000, 1);
    fill_lines(in.data.data, 100000);
    struct filtered before = count_filtered();
    test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
    struct filtered after = count_filtered();
    ck_assert_uint_eq(after.requests - before.requests, 1);
    ck_assert_uint_eq(after.replies - before.replies, 1);
    taken = wb_rma_vector_take(&out.data);
    vector_out_drop(&out);
    test_world_assert_works(test_world.peer);
    ck_assert_uint_eq(wb_rma_vector_bytes(&taken), 100000);
    ck_assert(memcmp(taken.data, in.data.data, 100000) == 0);
    wb_rma_vector_drop(&taken);
    vector_in_drop(&in);
    test_world_close();
}
END_TEST

/* ---- memory that is not there ---- */

static const size_t mib = 1 << 20;

/* `plain` bytes in an archive, of which lz4 leaves somewhat more than `noise`. */
static struct digest_in make_digest(size_t noise, size_t plain)
{
    struct digest_in in = {.seed = 1, .raw = {.data = calloc(1, plain), .len = plain}};
    ck_assert_ptr_nonnull(in.raw.data);
    test_pattern_fill((void *)(uintptr_t)in.raw.data, noise, 1);
    return in;
}

static void drop_digest(struct digest_in *in)
{
    free((void *)(uintptr_t)in->raw.data);
    in->raw = (wb_bytes){0};
    digest_in_drop(in);
}

static void assert_digest(const struct digest_out *out, size_t noise, size_t plain)
{
    ck_assert_uint_eq(out->raw_bytes, plain);
    ck_assert_uint_ge(out->raw_right, noise);
    ck_assert_uint_lt(out->raw_right, noise + 100);
}

/* A server with a pool of so many MiB, for clients whose bytes are in archives. */
static bool open_small_world(uint64_t budget)
{
    test_world.server_config.budget_bytes = budget * mib;
    test_world.server_config.slab_bytes = 2 * mib;
    test_world.client_config.pointer_threshold = UINT32_MAX;
    return open_world(true, true);
}

/* Filtered, half a dozen begin to land; plain, the pool holds one. None waits for another with what
 * it has, and none is READ more than twice. */
START_TEST(test_archives_wait_for_one_another)
{
    enum { CALLS = 10 };
    const size_t noise = 5 * mib / 4, plain = 10 * mib;
    struct wb_call *calls[CALLS];
    struct digest_out out;
    struct test_figures figures;
    if (!open_small_world(16)) {
        return;
    }
    struct digest_in in = make_digest(noise, plain);
    /* they are there together when the server goes on, even where filtering takes a while */
    struct stall_in pause = {.ms = 300};
    struct stall_out none;
    struct wb_call *stalled;
    test_assert_status(stall_async(test_world.peer, &pause, NULL, &stalled), WB_OK);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_finish(calls[i], &out), WB_OK);
        assert_digest(&out, noise, plain);
    }
    test_assert_status(stall_finish(stalled, &none), WB_OK);
    test_server_figures(&test_world.host, &test_world.servers[0], &figures);
    ck_assert_uint_eq(figures.engine.parcels_filtered, CALLS);
    /* some fabrics READ bytes around it */
    ck_assert_uint_le(figures.engine.read_bytes, 2 * (figures.engine.filtered_bytes + CALLS * 64));
    drop_digest(&in);
    test_world_close();
}
END_TEST

/* One whose archives, the filtered and the plain, are the pool to the last slab; with chunks that
 * have room only when the filtered one has gone; and what is more than the pool. */
START_TEST(test_archives_that_just_fit)
{
    const size_t noise = mib;
    struct digest_out out;
    if (!open_small_world(16)) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        struct digest_in in = make_digest(noise, 13 * mib);
        test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_OK);
        assert_digest(&out, noise, 13 * mib);
        drop_digest(&in);

        in = make_digest(noise, 14 * mib + 1);
        test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_ERR_BUDGET);
        drop_digest(&in);

        in = make_digest(3 * mib, 8 * mib - 100);
        in.data = test_world_vector(1, 7 * mib, 2);
        test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_OK);
        assert_digest(&out, 3 * mib, 8 * mib - 100);
        ck_assert_uint_eq(out.data_right, 7 * mib);
        drop_digest(&in);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* ---- ends of one that waits ---- */

enum { SHORT, LONG, WAYS };

/* A request that waits for room to undo its filter, since another one has taken that; `way` says
 * whether its filtered archive came with its message, or was READ and has gone again. */
struct waiting {
    struct wb_call *gate, *call;
};

static struct waiting begin_waiting(int way, uint32_t timeout_us)
{
    struct wb_call_options patient = {.timeout_us = test_patience_us};
    struct wb_call_options options = {.timeout_us = timeout_us};
    size_t noise = way == SHORT ? 0 : 2 * mib, plain = way == SHORT ? mib : 6 * mib;
    struct wait_at_gate_in hold = {.data = test_world_vector(1, (way == SHORT ? 12 : 5) * mib, 1)};
    struct digest_in in = make_digest(noise, plain);
    struct waiting waiting;
    struct test_figures before, now;
    uint64_t start = test_clock_us();
    test_assert_status(wait_at_gate_async(test_world.peer, &hold, &patient, &waiting.gate), WB_OK);
    do { /* the gate's chunks are there */
        wb_wait(test_world.engine, 1000);
        test_server_figures(&test_world.host, &test_world.servers[0], &before);
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    } while (before.engine.read_bytes < wb_rma_vector_bytes(&hold.data));
    test_assert_status(digest_async(test_world.peer, &in, &options, &waiting.call), WB_OK);
    do { /* and so was the other one, which has nothing of the pool any more; or it is too late */
        wb_wait(test_world.engine, 1000);
        test_server_figures(&test_world.host, &test_world.servers[0], &now);
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    } while (!wb_call_done(waiting.call) &&
             (now.engine.parcels_received == before.engine.parcels_received ||
              now.engine.read_bytes - before.engine.read_bytes < noise ||
              now.pool.used_bytes > before.pool.used_bytes));
    wait_at_gate_in_drop(&hold);
    drop_digest(&in);
    return waiting;
}

static void assert_end(struct waiting *waiting, int wanted)
{
    struct digest_out out;
    test_assert_done(waiting->call);
    test_assert_status(digest_finish(waiting->call, &out), wanted);
}

/* The server says that it has ended it too: too late, unless it was that which ended it here. */
static void await_late_reply(uint64_t patience_us)
{
    struct wb_engine_stats stats;
    uint64_t start = test_clock_us();
    do {
        wb_wait(test_world.engine, 1000);
        wb_engine_stats(test_world.engine, &stats);
    } while (stats.late_replies == 0 && test_clock_us() - start < patience_us);
}

/* The gate opens, and all is there. */
static void close_gate_world(struct waiting *waiting)
{
    struct open_gate_in in = {.open = 1};
    struct open_gate_out none;
    struct wait_at_gate_out out;
    test_assert_status(open_gate_call(test_world.peer, &in, &none, NULL), WB_OK);
    test_assert_status(wait_at_gate_finish(waiting->gate, &out), WB_OK);
    test_world_assert_works(test_world.peer);
    test_world_close();
}

START_TEST(test_waiting_is_cancelled)
{
    if (!open_small_world(16)) {
        return;
    }
    struct waiting waiting = begin_waiting(_i, test_patience_us);
    wb_call_cancel(waiting.call);
    assert_end(&waiting, WB_ERR_CANCELLED);
    await_late_reply(test_patience_us);
    ck_assert_uint_eq(count_filtered().requests, 0);
    close_gate_world(&waiting);
}
END_TEST

START_TEST(test_waiting_is_past_its_deadline)
{
    if (!open_small_world(16)) {
        return;
    }
    struct waiting waiting = begin_waiting(_i, 500000);
    assert_end(&waiting, WB_ERR_TIMED_OUT);
    await_late_reply(1000000);
    close_gate_world(&waiting);
}
END_TEST

static void finish_gate(struct waiting *waiting, int wanted)
{
    struct wait_at_gate_out out;
    test_assert_done(waiting->gate);
    test_assert_status(wait_at_gate_finish(waiting->gate, &out), wanted);
}

START_TEST(test_waiting_and_its_peer_goes)
{
    if (!open_small_world(16)) {
        return;
    }
    struct waiting waiting = begin_waiting(_i, test_patience_us);
    wb_peer_close(test_world.peer);
    assert_end(&waiting, WB_ERR_CLOSED);
    finish_gate(&waiting, WB_ERR_CLOSED);
    test_world_assert_quiet(0);
    test_world_connect(0);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_waiting_and_its_engine_ends)
{
    if (!open_small_world(16)) {
        return;
    }
    struct waiting waiting = begin_waiting(_i, test_patience_us);
    test_server_stop(&test_world.host, &test_world.servers[0]);
    assert_end(&waiting, WB_ERR_PEER_LOST);
    finish_gate(&waiting, WB_ERR_PEER_LOST);
    test_world_close();
}
END_TEST

/* The room is there at last. */
START_TEST(test_waiting_comes_in)
{
    struct digest_out out;
    struct open_gate_in open = {.open = 1};
    struct open_gate_out none;
    if (!open_small_world(16)) {
        return;
    }
    struct waiting waiting = begin_waiting(_i, test_patience_us);
    test_assert_status(open_gate_call(test_world.peer, &open, &none, NULL), WB_OK);
    test_assert_status(digest_finish(waiting.call, &out), WB_OK);
    assert_digest(&out, _i == SHORT ? 0 : 2 * mib, _i == SHORT ? mib : 6 * mib);
    finish_gate(&waiting, WB_OK);
    test_world_close();
}
END_TEST

TCase *test_filter_case(void)
{
    const TTest *const tests[] = {test_replies_without_room_are_plain,
                                  test_vectors_inside_outlive_the_call,
                                  test_archives_wait_for_one_another, test_archives_that_just_fit};
    TCase *tcase = test_world_case("filter", tests, sizeof tests / sizeof tests[0]);
    tcase_add_loop_test(tcase, test_either_side_may_filter, 0, 4);
    tcase_add_loop_test(tcase, test_chunks_beside, 0, 2);
    tcase_add_loop_test(tcase, test_waiting_is_cancelled, 0, WAYS);
    tcase_add_loop_test(tcase, test_waiting_is_past_its_deadline, 0, WAYS);
    tcase_add_loop_test(tcase, test_waiting_and_its_peer_goes, 0, WAYS);
    tcase_add_loop_test(tcase, test_waiting_and_its_engine_ends, 0, WAYS);
    tcase_add_loop_test(tcase, test_waiting_comes_in, 0, WAYS);
    return tcase;
}
