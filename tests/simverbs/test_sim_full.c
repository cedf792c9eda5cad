/* Replies at a server whose pool is full, every byte of it: what a handler has said arrives all the
 * same, whatever parts of it are offered by themselves. */
#include <string.h>

#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { MOST = 100000, BLOCKS = 4096, ELEMENTS = 1000, CALLS = 5 };

#define TELL_IN(F) F(VALUE, u64, len)
#define TELL_OUT(F) F(BYTES, wb_bytes, text)
WB_ACTION(tell, TELL_IN, TELL_OUT)

#define MANY_IN(F) F(VALUE, u64, len)
#define MANY_OUT(F)                                                                                \
    F(RMA, wb_rma_vector, a)                                                                       \
    F(RMA, wb_rma_vector, b)                                                                       \
    F(RMA, wb_rma_vector, c)                                                                       \
    F(RMA, wb_rma_vector, d)                                                                       \
    F(RMA, wb_rma_vector, e)                                                                       \
    F(RMA, wb_rma_vector, f)                                                                       \
    F(RMA, wb_rma_vector, g)                                                                       \
    F(RMA, wb_rma_vector, h)                                                                       \
    F(RMA, wb_rma_vector, i)                                                                       \
    F(RMA, wb_rma_vector, j)                                                                       \
    F(RMA, wb_rma_vector, k)                                                                       \
    F(RMA, wb_rma_vector, l)                                                                       \
    F(BYTES, wb_bytes, text)
WB_ACTION(many, MANY_IN, MANY_OUT)

static struct sim_pair pair;
static uint8_t words[MOST];
static wb_rma_vector vector; /* the server's */
static void *blocks[BLOCKS];
static unsigned held, told;

static int on_tell(struct wb_context *context, struct tell_in *in, struct tell_out *out, void *user)
{
    (void)context;
    (void)user;
    told++;
    out->text = (wb_bytes){.data = words, .len = in->len};
    return WB_OK;
}

static int on_many(struct wb_context *context, struct many_in *in, struct many_out *out, void *user)
{
    (void)context;
    (void)user;
    told++;
    wb_rma_vector *all[] = {&out->a, &out->b, &out->c, &out->d, &out->e, &out->f,
                            &out->g, &out->h, &out->i, &out->j, &out->k, &out->l};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        *all[i] = wb_rma_vector_share(&vector);
    }
    out->text = (wb_bytes){.data = words, .len = in->len};
    return WB_OK;
}

/* Takes all that there is, the reserve too. */
static void fill(struct wb_rma_allocator *pool)
{
    for (size_t bytes = 1 << 20; bytes >= 64; bytes /= 2) {
        int status = WB_OK;
        while (status == WB_OK) {
            ck_assert_uint_lt(held, BLOCKS);
            status = wb_rma_alloc(pool, bytes, 0, &blocks[held]);
            held += status == WB_OK;
        }
        ck_assert_int_eq(status, WB_AGAIN);
    }
}

static void open_pair(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    pair.config.budget_bytes = 4 << 20;
    pair.config.reserve_percent = 0;
    pair.config.eager_bytes = 512;
    pair.config.rma_threshold = 1;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.server.engine);
    ck_assert_int_eq(tell_register(pair.server.engine, on_tell, NULL), WB_OK);
    ck_assert_int_eq(many_register(pair.server.engine, on_many, NULL), WB_OK);
    test_pattern_fill(words, sizeof words, 1);
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, ELEMENTS, &vector), WB_OK);
    test_pattern_fill(vector.data, ELEMENTS, 2);
    told = held = 0;
    fill(pool);
}

static void close_pair(void)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(wb_engine_allocator(pair.server.engine), &stats);
    ck_assert_uint_le(stats.engine_peak_bytes, stats.engine_budget_bytes);
    while (held > 0) {
        wb_rma_free(blocks[--held]);
    }
    wb_rma_vector_drop(&vector);
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}

START_TEST(test_long_texts)
{
    static const size_t sizes[] = {600, 4093, MOST};
    open_pair(sim_profiles[_i]);
    for (unsigned i = 0; i < CALLS * 3; i++) {
        struct tell_in in = {.len = sizes[i % 3]};
        struct tell_out out;
        struct wb_call_options options = {.reply_bytes = MOST + 100};
        int status = tell_call(pair.peer, &in, &out, &options);
        test_check(status == WB_OK, "%zu bytes: %s", sizes[i % 3], wb_last_error());
        ck_assert_uint_eq(out.text.len, in.len);
        ck_assert_uint_eq(test_pattern_check(out.text.data, out.text.len, 1), in.len);
        tell_out_drop(&out);
    }
    ck_assert_uint_eq(told, CALLS * 3);
    close_pair();
}
END_TEST

/* With a long list, and that and a long archive. */
START_TEST(test_long_lists)
{
    open_pair(sim_profiles[_i]);
    for (unsigned i = 0; i < CALLS * 2; i++) {
        struct many_in in = {.len = i % 2 ? 3000 : 10};
        struct many_out out;
        struct wb_call_options options = {.reply_bytes = MOST};
        int status = many_call(pair.peer, &in, &out, &options);
        test_check(status == WB_OK, "%s", wb_last_error());
        ck_assert_uint_eq(test_pattern_check(out.a.data, ELEMENTS, 2), ELEMENTS);
        ck_assert_uint_eq(test_pattern_check(out.l.data, ELEMENTS, 2), ELEMENTS);
        ck_assert_uint_eq(test_pattern_check(out.text.data, out.text.len, 1), in.len);
        many_out_drop(&out);
    }
    ck_assert_uint_eq(told, CALLS * 2);
    close_pair();
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: a full pool");
    TCase *tcase = tcase_create("replies");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_long_texts, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_long_lists, 0, SIM_PROFILES);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
