/* What lent memory's owner may do when it comes back: use the allocators, on whatever path it came.
 */
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "mr_cache/budget.h"
#include "tests/mr_cache/rma.h"

enum { LENT_BYTES = 4 << 20 };

/* Lent memory, and the allocator that its owner then uses. */
struct lender {
    void *base;
    struct lender *again; /* lent to that when this one comes back; or NULL */
    struct wb_rma_allocator *uses;
    int expected;        /* of allocating there */
    bool may_lack;       /* or WB_AGAIN */
    atomic_bool refuses; /* the registrar does, while this is set */
    unsigned releases;
    sem_t released;
};

static int reg(void *context, const struct wbi_region *region, struct wbi_mr **mr)
{
    struct lender *lender = context;

    (void)region;
    *mr = context;
    return lender->refuses ? WB_ERR_NO_MEMORY : WB_OK;
}

static void dereg(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                  void *argument)
{
    (void)context;
    (void)mr;
    confirmed(argument);
}

static void take_back(void *context, void *base, size_t bytes);

static int lend(struct wb_rma_allocator *pool, struct lender *lender)
{
    return wb_rma_allocator_add_region(pool, lender->base, LENT_BYTES, -1, take_back, lender);
}

/* A small block, and one for which the pool has to grow. */
static void use(const struct lender *lender)
{
    void *small = NULL, *large = NULL;

    ck_assert_int_eq(wb_rma_alloc(lender->uses, 64, 0, &small), lender->expected);
    int rc = wb_rma_alloc(lender->uses, 5 * MIB, 0, &large);
    if (!lender->may_lack || rc != WB_AGAIN)
        ck_assert_int_eq(rc, lender->expected);
    wb_rma_free(small);
    wb_rma_free(large);
}

static void take_back(void *context, void *base, size_t bytes)
{
    struct lender *lender = context;

    memset(base, 0, bytes);
    lender->releases++;
    lender->refuses = false;
    use(lender);
    if (lender->again)
        ck_assert_int_eq(lend(lender->uses, lender->again), WB_OK);
    sem_post(&lender->released);
}

static void lender_init(struct lender *lender)
{
    *lender = (struct lender){
        .base = mmap(NULL, LENT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
    ck_assert_ptr_ne(lender->base, MAP_FAILED);
    sem_init(&lender->released, 0, 0);
}

static void lender_finish(struct lender *lender)
{
    ck_assert_uint_eq(lender->releases, 1);
    sem_destroy(&lender->released);
    munmap(lender->base, LENT_BYTES);
}

/* A pool of slabs of 2 MiB, whose registrar refuses as `lender` says. */
static struct wb_rma_allocator *pool_of(struct wbi_budget *budget, uint64_t bytes,
                                        struct lender *lender)
{
    struct wbi_registrar registrar = {.context = lender, .reg = reg, .dereg = dereg};
    struct wbi_rma_config config = {.budget_bytes = bytes,
                                    .slab_bytes = 2 * MIB,
                                    .registrars = &registrar,
                                    .registrar_count = 1,
                                    .numa_node = -1,
                                    .budget = budget};
    struct wb_rma_allocator *pool = NULL;

    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    return pool;
}

START_TEST(test_the_same_allocator_is_used_when_it_could_not_take_it)
{
    struct lender lender, other;

    lender_init(&lender);
    lender_init(&other);
    struct wb_rma_allocator *pool = pool_of(NULL, 32 * MIB, &lender);
    lender.uses = other.uses = pool;
    lender.again = &other;
    lender.refuses = true;
    ck_assert_int_eq(lend(pool, &lender), WB_ERR_NO_MEMORY);
    ck_assert_uint_eq(lender.releases, 1);
    ck_assert_uint_eq(other.releases, 0);
    ck_assert_uint_ge(test_stats(pool).lent_bytes, 2 * MIB);
    test_assert_valid(pool);
    other.expected = WB_ERR_CLOSED;
    wbi_rma_allocator_destroy(pool);
    lender_finish(&lender);
    lender_finish(&other);
}
END_TEST

START_TEST(test_another_allocator_is_used_whoever_lets_the_slab_go)
{
    struct wbi_budget *budget;
    struct lender lender, other;

    for (unsigned by_growth = 0; by_growth < 2; by_growth++) {
        uint64_t budget_bytes = by_growth ? 24 * MIB : 64 * MIB;
        lender_init(&lender);
        lender_init(&other);
        ck_assert_int_eq(wbi_budget_create(budget_bytes, &budget), WB_OK);
        struct wb_rma_allocator *pool = pool_of(budget, budget_bytes, &lender);
        struct wb_rma_allocator *stays = pool_of(budget, budget_bytes, &lender);
        lender.uses = stays;
        lender.may_lack = by_growth;
        other.uses = stays;
        other.expected = WB_ERR_CLOSED;
        lender.again = by_growth ? NULL : &other;
        ck_assert_int_eq(lend(pool, &lender), WB_OK);
        struct wb_rma_block *held[3] = {0};
        for (unsigned i = 0; i < 3; i++) /* of its slab of its own, and of the lent one */
            held[i] = test_alloc(pool, MIB);
        wbi_rma_allocator_destroy(pool);
        ck_assert_uint_eq(lender.releases, 0);
        for (unsigned i = 0; i < 3; i++)
            wbi_rma_block_unref(held[i]);
        if (by_growth) { /* which needs what both slabs have; or the budget's thread is faster */
            struct wb_rma_block *large = NULL;
            while (wbi_rma_alloc(stays, 20 * MIB, true, &large) == WB_AGAIN)
                sched_yield();
            ck_assert_ptr_nonnull(large);
            wbi_rma_block_unref(large);
        }
        sem_wait(&lender.released);
        wbi_budget_close(budget);
        wbi_rma_allocator_destroy(stays);
        wbi_budget_drop(budget);
        lender_finish(&lender);
        other.releases += by_growth;
        lender_finish(&other);
    }
}
END_TEST

START_TEST(test_a_budget_that_closes_lets_it_be_used)
{
    struct wbi_budget *budget;
    struct lender lender;

    lender_init(&lender);
    ck_assert_int_eq(wbi_budget_create(24 * MIB, &budget), WB_OK);
    struct wb_rma_allocator *pool = pool_of(budget, 24 * MIB, &lender);
    struct wb_rma_allocator *stays = pool_of(budget, 24 * MIB, &lender);
    ck_assert_int_eq(lend(pool, &lender), WB_OK);
    lender.uses = stays; /* which is closed after this one */
    wbi_budget_close(budget);
    ck_assert_uint_eq(lender.releases, 1);
    wbi_rma_allocator_destroy(pool);
    wbi_rma_allocator_destroy(stays);
    wbi_budget_drop(budget);
    lender_finish(&lender);
}
END_TEST

START_TEST(test_the_last_block_after_the_end_lets_it_be_used)
{
    struct lender lender;

    lender_init(&lender);
    struct wb_rma_allocator *pool = pool_of(NULL, 24 * MIB, &lender);
    struct wb_rma_allocator *stays = pool_of(NULL, 24 * MIB, &lender);
    lender.uses = stays;
    ck_assert_int_eq(lend(pool, &lender), WB_OK);
    struct wb_rma_block *held[3];
    for (unsigned i = 0; i < 3; i++)
        held[i] = test_alloc(pool, MIB);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_eq(lender.releases, 0);
    for (unsigned i = 0; i < 3; i++)
        wbi_rma_block_unref(held[i]);
    ck_assert_uint_eq(lender.releases, 1);
    wbi_rma_allocator_destroy(stays);
    lender_finish(&lender);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_the_same_allocator_is_used_when_it_could_not_take_it,
                                  test_another_allocator_is_used_whoever_lets_the_slab_go,
                                  test_a_budget_that_closes_lets_it_be_used,
                                  test_the_last_block_after_the_end_lets_it_be_used};

    return test_run(test_suite("rma release", tests, sizeof(tests) / sizeof(*tests), 60));
}
