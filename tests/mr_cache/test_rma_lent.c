/* Memory that the program lends: it serves blocks, and comes back once, when nobody can read it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mr_cache/budget.h"
#include "mr_cache/region.h"
#include "tests/mr_cache/rma.h"

struct lender {
    void *base;
    size_t bytes;
    unsigned releases;
};

static void take_back(void *context, void *base, size_t bytes)
{
    struct lender *lender = context;

    ck_assert_ptr_eq(base, lender->base);
    ck_assert_uint_eq(bytes, lender->bytes);
    memset(base, 0, bytes); /* it is the program's, all of it */
    lender->releases++;
}

static struct lender lend_anonymous(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(base, MAP_FAILED);
    return (struct lender){.base = base, .bytes = bytes};
}

/* Takes any memory, as a device does. */
static int reg_any(void *context, const struct wbi_region *region, struct wbi_mr **mr)
{
    ck_assert(region->lent);
    *mr = context;
    return WB_OK;
}

static void dereg_any(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                      void *argument)
{
    ck_assert_ptr_eq((void *)mr, context);
    confirmed(argument);
}

/* Knows no lent memory, as a fabric that needs files does not. */
static int reg_none(void *context, const struct wbi_region *region, struct wbi_mr **mr)
{
    (void)context;
    (void)region;
    *mr = NULL;
    return WB_OK;
}

static void dereg_none(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                       void *argument)
{
    (void)context;
    (void)mr;
    (void)confirmed;
    (void)argument;
    ck_abort_msg("what was not registered is not deregistered");
}

static struct wb_rma_allocator *lent_pool(uint64_t budget_bytes, struct wbi_budget *budget)
{
    static char device;
    struct wbi_registrar registrars[2] = {
        {.context = &device, .reg = reg_any, .dereg = dereg_any, .pins = true},
        {.reg = reg_none, .dereg = dereg_none}};
    struct wbi_rma_config config = {.budget_bytes = budget_bytes,
                                    .slab_bytes = 1 << 30,
                                    .registrars = registrars,
                                    .registrar_count = 2,
                                    .numa_node = -1,
                                    .budget = budget,
                                    .lent_only = true};
    struct wb_rma_allocator *pool = NULL;
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    return pool;
}

static int add(struct wb_rma_allocator *pool, struct lender *lender)
{
    return wb_rma_allocator_add_region(pool, lender->base, lender->bytes, -1, take_back, lender);
}

static bool is_inside(const struct lender *lender, const void *data, size_t bytes)
{
    const unsigned char *at = data, *base = lender->base;

    return at >= base && at + bytes <= base + lender->bytes;
}

START_TEST(test_blocks_come_out_of_it)
{
    struct lender lender = lend_anonymous(12 * MIB);
    struct wb_rma_allocator *pool = lent_pool(64 * MIB, NULL);
    struct wb_rma_block *none = NULL;
    void *memory = NULL;

    ck_assert_int_eq(wbi_rma_alloc(pool, 64, true, &none), WB_AGAIN); /* nothing was lent yet */
    ck_assert_int_eq(add(pool, &lender), WB_OK);
    struct wb_rma_block *small = test_alloc(pool, 100), *large = test_alloc(pool, 7 * MIB);
    ck_assert(is_inside(&lender, wbi_rma_block_data(small), 100));
    ck_assert(is_inside(&lender, wbi_rma_block_data(large), 7 * MIB));
    ck_assert_ptr_nonnull((void *)wbi_rma_block_mr(small, 0));
    ck_assert_ptr_null((void *)wbi_rma_block_mr(small, 1));
    ck_assert_int_eq(wbi_rma_alloc(pool, 7 * MIB, true, &none), WB_AGAIN);
    ck_assert_int_eq(wb_rma_alloc(pool, 1000, 4096, &memory), WB_OK);
    wb_rma_free(memory);
    struct wb_rma_stats stats = test_stats(pool);
    ck_assert_uint_ge(stats.lent_bytes, 10 * MIB);
    ck_assert_uint_eq(stats.pinned_bytes, stats.lent_bytes);
    ck_assert_uint_eq(stats.slab_bytes, stats.lent_bytes);
    test_assert_valid(pool);
    wbi_rma_block_unref(small);
    wbi_rma_block_unref(large);
    ck_assert_uint_eq(wb_rma_allocator_trim(pool), 0);
    ck_assert_uint_eq(lender.releases, 0);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_eq(lender.releases, 1);
    munmap(lender.base, lender.bytes);
}
END_TEST

START_TEST(test_it_comes_back_with_the_last_block)
{
    struct lender lender = lend_anonymous(12 * MIB);
    struct wbi_budget *budget;

    ck_assert_int_eq(wbi_budget_create(64 * MIB, &budget), WB_OK);
    struct wb_rma_allocator *pool = lent_pool(64 * MIB, budget);
    ck_assert_int_eq(add(pool, &lender), WB_OK);
    struct wb_rma_block *held = test_alloc(pool, 100);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_eq(lender.releases, 0);
    test_fill(held, 2);
    test_check_fill(held, 2);
    wbi_rma_block_unref(held);
    wbi_budget_close(budget); /* or its thread was faster */
    wbi_budget_drop(budget);
    ck_assert_uint_eq(lender.releases, 1);
    munmap(lender.base, lender.bytes);
}
END_TEST

START_TEST(test_it_is_taken_once_and_released_once_whatever_happens)
{
    struct lender lender = lend_anonymous(12 * MIB), small = lend_anonymous(2 * MIB - 4096);
    struct lender large = lend_anonymous(40 * MIB), again = lender;
    struct wb_rma_allocator *pool = lent_pool(16 * MIB, NULL);

    ck_assert_int_eq(add(pool, &small), WB_ERR_INVALID);
    ck_assert_uint_eq(small.releases, 1);
    ck_assert_int_eq(add(pool, &large), WB_ERR_BUDGET);
    ck_assert_uint_eq(large.releases, 1);
    ck_assert_int_eq(add(pool, &lender), WB_OK);
    memset(&again, 0, sizeof again);
    again.base = lender.base;
    again.bytes = lender.bytes;
    ck_assert_int_eq(wb_rma_allocator_add_region(pool, again.base, again.bytes, -1, NULL, NULL),
                     WB_ERR_EXISTS);
    bool former = wbi_rma_thread_may_grow(false);
    small.releases = 0;
    ck_assert_int_eq(add(pool, &small), WB_ERR_DEADLOCK);
    ck_assert_uint_eq(small.releases, 1);
    (void)wbi_rma_thread_may_grow(former);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_eq(lender.releases, 1);
    munmap(lender.base, lender.bytes);
    munmap(large.base, large.bytes);
    munmap(small.base, small.bytes);
}
END_TEST

START_TEST(test_a_lent_slab_is_not_given_up_for_others)
{
    struct lender lender = lend_anonymous(8 * MIB);
    struct wbi_budget *budget;
    struct wb_rma_block *none = NULL;
    struct wb_rma_allocator *other = NULL;

    ck_assert_int_eq(wbi_budget_create(10 * MIB, &budget), WB_OK);
    struct wb_rma_allocator *pool = lent_pool(10 * MIB, budget);
    ck_assert_int_eq(add(pool, &lender), WB_OK);
    uint64_t lent = test_stats(pool).lent_bytes;
    struct wbi_rma_config config = {
        .budget_bytes = 10 * MIB, .slab_bytes = 2 * MIB, .numa_node = -1, .budget = budget};
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &other), WB_OK);
    ck_assert_int_eq(wbi_rma_alloc(other, 6 * MIB, true, &none), WB_AGAIN);
    ck_assert_uint_eq(test_stats(pool).lent_bytes, lent);
    ck_assert_uint_eq(lender.releases, 0);
    wbi_budget_close(budget);
    ck_assert_uint_eq(lender.releases, 1);
    wbi_rma_allocator_destroy(pool);
    wbi_rma_allocator_destroy(other);
    wbi_budget_drop(budget);
    munmap(lender.base, lender.bytes);
}
END_TEST

/* Of a device that registers so many bytes. */
struct limits {
    struct wbi_budget *budget;
    uint64_t bytes, asked;
};

static int check_region(void *context, uint32_t devices, uint64_t piece, uint64_t total)
{
    struct limits *limits = context;
    uint64_t bytes, slabs;

    (void)devices;
    ck_assert_uint_le(piece, total);
    wbi_budget_count(limits->budget, &bytes, &slabs);
    limits->asked++;
    return bytes + total > limits->bytes ? WB_ERR_NO_MEMORY : WB_OK;
}

/* Idle slabs are in the way of no limit, for they go first; and who is refused has taken nothing.
 */
START_TEST(test_limits_are_asked_when_idle_slabs_have_gone)
{
    struct lender lender = lend_anonymous(8 * MIB);
    struct limits limits = {.bytes = 8 * MIB};
    struct wb_rma_allocator *pool = NULL;

    ck_assert_int_eq(wbi_budget_create(8 * MIB, &limits.budget), WB_OK);
    struct wbi_rma_config config = {.budget_bytes = 8 * MIB,
                                    .slab_bytes = 2 * MIB,
                                    .numa_node = -1,
                                    .budget = limits.budget,
                                    .check_region = check_region,
                                    .context = &limits};
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    wbi_rma_block_unref(test_alloc(pool, 6 * MIB));
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 8 * MIB);
    limits.bytes = 2 * MIB;
    ck_assert_int_eq(add(pool, &lender), WB_ERR_NO_MEMORY);
    ck_assert_uint_eq(lender.releases, 1);
    ck_assert_uint_eq(limits.asked, 1);
    ck_assert_uint_eq(test_stats(pool).lent_bytes, 0);
    test_assert_valid(pool);
    wbi_rma_block_unref(test_alloc(pool, 6 * MIB));
    limits.bytes = 8 * MIB;
    ck_assert_int_eq(add(pool, &lender), WB_OK);
    ck_assert_uint_eq(limits.asked, 2);
    ck_assert_uint_le(test_stats(pool).slab_bytes, 8 * MIB);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
    wbi_budget_close(limits.budget);
    wbi_budget_drop(limits.budget);
    ck_assert_uint_eq(lender.releases, 2);
    munmap(lender.base, lender.bytes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_blocks_come_out_of_it,
                                  test_it_comes_back_with_the_last_block,
                                  test_it_is_taken_once_and_released_once_whatever_happens,
                                  test_a_lent_slab_is_not_given_up_for_others,
                                  test_limits_are_asked_when_idle_slabs_have_gone};

    return test_run(test_suite("rma lent", tests, sizeof(tests) / sizeof(*tests), 60));
}
