/* Random operations by seed against a model; the pool's books are checked all along. */
#include <stdlib.h>

#include "tests/mr_cache/rma.h"

enum { LIVE = 256, STEPS = 6000 };

/* What the model knows of a block that is held. */
struct held {
    struct wb_rma_block *block; /* NULL: this place is empty */
    size_t asked;
    unsigned refs, leases;
    unsigned seed;
};

struct model {
    struct held held[LIVE];
    uint64_t used_bytes, leased_bytes, blocks, peak, waits, budget;
    uint64_t random;
    uint64_t cache_bytes; /* most that lies in caches */
};

static void do_alloc(struct model *model, struct wb_rma_allocator *pool, struct held *held)
{
    size_t bytes = test_random_bytes(&model->random, 5 * MIB);
    bool may_grow = test_random(&model->random) % 4 != 0;
    struct wb_rma_block *block = NULL;
    int rc = wbi_rma_alloc(pool, bytes, may_grow, &block);

    if (rc == WB_AGAIN) {
        model->waits++;
        return;
    }
    ck_assert_int_eq(rc, WB_OK);
    *held = (struct held){
        .block = block, .asked = bytes, .refs = 1, .seed = (unsigned)test_random(&model->random)};
    ck_assert_uint_ge(wbi_rma_block_bytes(block), bytes);
    test_fill(block, held->seed);
    model->blocks++;
    model->used_bytes += wbi_rma_block_bytes(block);
    if (model->used_bytes > model->peak)
        model->peak = model->used_bytes;
}

/* Drops one reference, a lease or a plain one. */
static void do_drop(struct model *model, struct held *held)
{
    struct wb_rma_block *block = held->block;
    size_t bytes = wbi_rma_block_bytes(block);
    bool lease = held->leases > 0 && (held->refs == 0 || test_random(&model->random) % 2);

    test_check_fill(block, held->seed);
    if (lease && --held->leases == 0)
        model->leased_bytes -= bytes;
    if (!lease)
        held->refs--;
    if (held->refs + held->leases == 0) {
        model->blocks--;
        model->used_bytes -= bytes;
        held->block = NULL;
    }
    if (lease)
        wbi_rma_block_unlease(block);
    else
        wbi_rma_block_unref(block);
}

static void do_share(struct model *model, struct held *held)
{
    struct wb_rma_block *block = held->block;

    if (test_random(&model->random) % 2) {
        wbi_rma_block_lease(block);
        if (held->leases++ == 0)
            model->leased_bytes += wbi_rma_block_bytes(block);
    } else {
        wbi_rma_block_ref(block);
        held->refs++;
    }
}

static void check_figures(const struct model *model, struct wb_rma_allocator *pool)
{
    struct wb_rma_stats stats = test_stats(pool);

    test_assert_valid(pool);
    ck_assert_uint_eq(stats.used_bytes, model->used_bytes);
    ck_assert_uint_eq(stats.leased_bytes, model->leased_bytes);
    ck_assert_uint_eq(stats.blocks, model->blocks);
    ck_assert_uint_ge(stats.peak_used_bytes, model->peak);
    ck_assert_uint_le(stats.peak_used_bytes, model->peak + model->cache_bytes);
    ck_assert_uint_eq(stats.waits, model->waits);
    ck_assert_uint_le(stats.slab_bytes, model->budget);
}

static void check_found(struct model *model, const struct held *held)
{
    unsigned char *data = wbi_rma_block_data(held->block);

    ck_assert_ptr_eq(wbi_rma_find(data + test_random(&model->random) % held->asked), held->block);
}

static void run_seed(unsigned seed, uint64_t budget, uint64_t slab, bool caches)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct model *model = calloc(1, sizeof(*model));
    struct wb_rma_allocator *pool =
        test_pool_with(budget, slab, caches ? 0 : WBI_RMA_NO_CACHES, &registrar);

    model->random = seed;
    model->budget = budget;
    model->cache_bytes = caches ? budget / 16 : 0;
    for (unsigned step = 0; step < STEPS; step++) {
        struct held *held = &model->held[test_random(&model->random) % LIVE];
        test_registrar_defer(&registrar, step / 1000 % 2);
        if (!held->block)
            do_alloc(model, pool, held);
        else if (test_random(&model->random) % 4 == 0)
            do_share(model, held);
        else
            do_drop(model, held);
        if (held->block)
            check_found(model, held);
        if (test_random(&model->random) % 32 == 0)
            test_registrar_confirm(&registrar);
        if (step % 8 == 0)
            check_figures(model, pool);
    }
    for (unsigned i = 0; i < LIVE; i++)
        while (model->held[i].block)
            do_drop(model, &model->held[i]);
    check_figures(model, pool);
    test_registrar_defer(&registrar, false);
    wbi_rma_allocator_destroy(pool);
    test_registrar_confirm(&registrar);
    ck_assert_uint_le(registrar.peak_bytes, budget);
    test_registrar_finish(&registrar);
    free(model);
}

START_TEST(test_random_operations)
{
    /* A budget that is seldom full, one that often is, one that nearly always is; a single slab. */
    const struct {
        uint64_t budget, slab;
    } sizes[] = {
        {128 * MIB, 16 * MIB}, {24 * MIB, 2 * MIB}, {8 * MIB, 2 * MIB}, {32 * MIB, 32 * MIB}};

    run_seed((unsigned)_i + 1, sizes[_i % 4].budget, sizes[_i % 4].slab, _i % 8 < 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rma random");
    TCase *tcase = tcase_create("by seed");

    tcase_set_timeout(tcase, 100);
    tcase_add_loop_test(tcase, test_random_operations, 0, 16);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
