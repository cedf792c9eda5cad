/* A device whose READs are aligned to 4 bytes: whatever the lengths and addresses of arguments and
 * results, they arrive, and nothing beyond them is touched. */
#include <string.h>

#include "mr_cache/allocator.h"
#include "tests/simverbs/scene_pair.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { MOST = 4100, BLOCK = 16384, GUARD = 0xee };

#define CUT_IN(F) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data) F(VALUE, u32, from)
#define CUT_OUT(F) F(VALUE, u64, seed_raw) F(RMA, wb_rma_vector, data) F(RMA, wb_rma_vector, more)
WB_ACTION(cut, CUT_IN, CUT_OUT)

static struct sim_pair pair;
static _Alignas(64) uint8_t memory[MOST + 64];

/* Answers with what it was given from byte `from` on, twice: results that begin anywhere. */
static int on_cut(struct wb_context *context, struct cut_in *in, struct cut_out *out, void *user)
{
    size_t bytes = wb_rma_vector_bytes(&in->data);
    (void)context;
    (void)user;
    out->seed_raw = test_pattern_check(in->raw.data, in->raw.len, 1);
    if (in->data.block != NULL && in->from < bytes) {
        const uint8_t *base = wbi_rma_block_data(in->data.block);
        size_t at = (size_t)((uint8_t *)in->data.data - base);
        out->data = wbi_rma_vector_slice(in->data.block, at + in->from, 1, bytes - in->from);
        out->more = wbi_rma_vector_slice(in->data.block, at + in->from, 1, 1);
    }
    return WB_OK;
}

static void open_pair(uint32_t threshold)
{
    sim_pair_open(&pair, 1, &sim_profile_aries);
    pair.config.pointer_threshold = pair.config.rma_threshold = threshold;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    ck_assert_int_eq(cut_register(pair.server.engine, on_cut, NULL), WB_OK);
}

static void close_pair(void)
{
    struct wb_engine_stats stats;
    wb_engine_stats(pair.server.engine, &stats);
    ck_assert_uint_eq(stats.protocol_errors + stats.peers_lost, 0);
    sim_pair_close(&pair);
}

/* `len` bytes at `at` of a block, which has guards around. */
static wb_rma_vector slice(size_t at, size_t len, uint64_t seed)
{
    struct wb_rma_block *block;
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.client.engine);
    ck_assert_int_eq(wbi_rma_alloc(pool, BLOCK, true, &block), WB_OK);
    memset(wbi_rma_block_data(block), GUARD, BLOCK);
    wb_rma_vector vector = wbi_rma_vector_slice(block, at, 1, len);
    wbi_rma_block_unref(block);
    test_pattern_fill(vector.data, len, seed);
    return vector;
}

/* A range of plain memory and a vector, both of `len` bytes at an address that ends in `at`. */
static void call_cut(size_t at, size_t len, uint32_t from)
{
    static uint8_t whole[BLOCK], wanted[BLOCK];
    struct wb_call_options options = {.reply_bytes = 2 * len + 256};
    struct cut_in in = {
        .raw = {.data = memory + at, .len = len}, .data = slice(at, len, 2), .from = from};
    struct cut_out out;
    test_pattern_fill(memory + at, len, 1);
    memset(wanted, GUARD, sizeof wanted);
    test_pattern_fill(wanted + at, len, 2);
    int status = cut_call(pair.peer, &in, &out, &options);
    test_check(status == WB_OK, "%zu bytes at %zu: %s", len, at, wb_last_error());
    ck_assert_uint_eq(out.seed_raw, len);
    size_t left = from < len ? len - from : 0;
    ck_assert_uint_eq(out.data.count, left);
    ck_assert_uint_eq(out.more.count, left > 0);
    if (left > 0) {
        ck_assert_mem_eq(out.data.data, wanted + at + from, left);
        ck_assert_mem_eq(out.more.data, wanted + at + from, 1);
        ck_assert_uint_eq((uintptr_t)out.data.data % 64, 0);
    }
    memcpy(whole, wbi_rma_block_data(in.data.block), sizeof whole);
    ck_assert_mem_eq(whole, wanted, sizeof whole);
    cut_out_drop(&out);
    cut_in_drop(&in);
}

/* Around a threshold below them, one among them, and the usual ones. */
START_TEST(test_short_ranges)
{
    static const uint32_t thresholds[] = {1, 4, 5};
    open_pair(thresholds[_i]);
    for (size_t len = 1; len <= 9; len++) {
        for (size_t at = 0; at < 5; at++) {
            call_cut(at, len, (uint32_t)((len + at) % 4));
        }
    }
    close_pair();
}
END_TEST

START_TEST(test_ranges_around_a_threshold)
{
    open_pair(4096);
    for (size_t len = 4091; len <= MOST; len++) {
        for (size_t at = 0; at < 4; at++) {
            call_cut(at, len, (uint32_t)(len % 7));
        }
    }
    close_pair();
}
END_TEST

/* READs are split; so long that heads and tails lie in different ones. */
START_TEST(test_long_vectors)
{
    struct wb_rma_allocator *pool;
    open_pair(1024);
    pool = wb_engine_allocator(pair.client.engine);
    for (uint32_t odd = 0; odd < 5; odd++) {
        size_t len = ((size_t)3 << 20) + odd;
        struct wb_call_options options = {.reply_bytes = len + 256};
        struct cut_in in = {.from = odd % 4};
        struct cut_out out;
        ck_assert_int_eq(wb_rma_vector_create(pool, 1, len, &in.data), WB_OK);
        test_pattern_fill(in.data.data, len, 2);
        ck_assert_int_eq(cut_call(pair.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(out.data.count, len - in.from);
        ck_assert(memcmp(out.data.data, (uint8_t *)in.data.data + in.from, len - in.from) == 0);
        cut_out_drop(&out);
        cut_in_drop(&in);
    }
    close_pair();
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: aligned READs");
    TCase *tcase = tcase_create("align");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_short_ranges, 0, 3);
    tcase_add_test(tcase, test_ranges_around_a_threshold);
    tcase_add_test(tcase, test_long_vectors);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
