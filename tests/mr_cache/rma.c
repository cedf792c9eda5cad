#include "tests/mr_cache/rma.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct wbi_mr {
    uint64_t bytes;
    int fd;
};

void test_registrar_init(struct test_registrar *registrar)
{
    memset(registrar, 0, sizeof(*registrar));
    pthread_mutex_init(&registrar->mutex, NULL);
    sem_init(&registrar->arrived, 0, 0);
    sem_init(&registrar->let_in, 0, 0);
}

static void tick(struct test_registrar *registrar)
{
    if (registrar->clock)
        registrar->serial = ++*registrar->clock;
}

static int reg(void *context, const struct wbi_region *region, struct wbi_mr **mr)
{
    struct test_registrar *registrar = context;
    struct stat file;

    if (registrar->holds) {
        sem_post(&registrar->arrived);
        sem_wait(&registrar->let_in);
    }
    ck_assert_int_eq(fstat(region->fd, &file), 0);
    ck_assert_uint_eq((uint64_t)file.st_size, region->bytes);
    pthread_mutex_lock(&registrar->mutex);
    bool fails = registrar->failures > 0;
    if (fails) {
        registrar->failures--;
    } else {
        *mr = malloc(sizeof(**mr));
        **mr = (struct wbi_mr){.bytes = region->bytes, .fd = region->fd};
        registrar->regs++;
        registrar->bytes += region->bytes;
        if (registrar->bytes > registrar->peak_bytes)
            registrar->peak_bytes = registrar->bytes;
    }
    registrar->thread = pthread_self();
    tick(registrar);
    pthread_mutex_unlock(&registrar->mutex);
    return fails ? registrar->failure : WB_OK;
}

static void confirm(struct test_registrar *registrar, struct test_pending *pending)
{
    struct stat file;

    /* The region is there until this very call. */
    ck_assert_int_eq(fstat(pending->mr->fd, &file), 0);
    ck_assert_uint_eq((uint64_t)file.st_size, pending->mr->bytes);
    pthread_mutex_lock(&registrar->mutex);
    registrar->bytes -= pending->mr->bytes;
    registrar->confirms++;
    pthread_mutex_unlock(&registrar->mutex);
    free(pending->mr);
    pending->confirmed(pending->argument);
}

static void dereg(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                  void *argument)
{
    struct test_registrar *registrar = context;
    struct test_pending pending = {.confirmed = confirmed, .argument = argument, .mr = mr};

    pthread_mutex_lock(&registrar->mutex);
    registrar->deregs++;
    tick(registrar);
    bool defers = registrar->defers;
    if (defers) {
        ck_assert_uint_lt(registrar->pending_count, TEST_PENDING);
        registrar->pending[registrar->pending_count++] = pending;
    }
    pthread_mutex_unlock(&registrar->mutex);
    if (!defers)
        confirm(registrar, &pending);
}

struct wbi_registrar test_registrar_table(struct test_registrar *registrar)
{
    return (struct wbi_registrar){.context = registrar, .reg = reg, .dereg = dereg};
}

void test_registrar_defer(struct test_registrar *registrar, bool defers)
{
    pthread_mutex_lock(&registrar->mutex);
    registrar->defers = defers;
    pthread_mutex_unlock(&registrar->mutex);
}

unsigned test_registrar_confirm(struct test_registrar *registrar)
{
    struct test_pending pending[TEST_PENDING];

    pthread_mutex_lock(&registrar->mutex);
    unsigned count = registrar->pending_count;
    memcpy(pending, registrar->pending, count * sizeof(*pending));
    registrar->pending_count = 0;
    pthread_mutex_unlock(&registrar->mutex);
    for (unsigned i = 0; i < count; i++)
        confirm(registrar, &pending[i]);
    return count;
}

void test_registrar_finish(struct test_registrar *registrar)
{
    ck_assert_uint_eq(registrar->regs, registrar->deregs);
    ck_assert_uint_eq(registrar->regs, registrar->confirms);
    ck_assert_uint_eq(registrar->bytes, 0);
    sem_destroy(&registrar->arrived);
    sem_destroy(&registrar->let_in);
    pthread_mutex_destroy(&registrar->mutex);
}

struct wb_rma_allocator *test_pool(uint64_t budget_bytes, struct test_registrar *registrar)
{
    return test_pool_of(budget_bytes, TEST_SLAB_BYTES, registrar);
}

struct wb_rma_allocator *test_pool_of(uint64_t budget_bytes, uint64_t slab_bytes,
                                      struct test_registrar *registrar)
{
    return test_pool_with(budget_bytes, slab_bytes, 0, registrar);
}

struct wb_rma_allocator *test_pool_with(uint64_t budget_bytes, uint64_t slab_bytes,
                                        uint64_t cache_bytes, struct test_registrar *registrar)
{
    struct wbi_registrar table = {0};
    struct wb_rma_allocator *pool = NULL;

    if (registrar)
        table = test_registrar_table(registrar);
    struct wbi_rma_config config = {.budget_bytes = budget_bytes,
                                    .slab_bytes = slab_bytes,
                                    .cache_bytes = cache_bytes,
                                    .registrars = &table,
                                    .registrar_count = registrar ? 1 : 0,
                                    .numa_node = -1};
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    return pool;
}

struct wb_rma_block *test_alloc(struct wb_rma_allocator *pool, size_t bytes)
{
    struct wb_rma_block *block = NULL;

    ck_assert_int_eq(wbi_rma_alloc(pool, bytes, true, &block), WB_OK);
    return block;
}

struct wb_rma_stats test_stats(struct wb_rma_allocator *pool)
{
    struct wb_rma_stats stats;

    wb_rma_allocator_stats(pool, &stats);
    return stats;
}

static uint64_t pattern(unsigned seed, size_t index)
{
    return (seed + index) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The word to look at after word `index` of `count`: every one near both ends, one a page between.
 */
static size_t next_word(size_t index, size_t count)
{
    bool inside = index >= 512 && index + 1024 < count;

    return index + (inside ? 512 : 1);
}

void test_fill(struct wb_rma_block *block, unsigned seed)
{
    uint64_t *words = wbi_rma_block_data(block);
    size_t count = wbi_rma_block_bytes(block) / sizeof(*words);

    for (size_t i = 0; i < count; i = next_word(i, count))
        words[i] = pattern(seed, i);
}

void test_check_fill(struct wb_rma_block *block, unsigned seed)
{
    const uint64_t *words = wbi_rma_block_data(block);
    size_t count = wbi_rma_block_bytes(block) / sizeof(*words);

    for (size_t i = 0; i < count; i = next_word(i, count))
        if (words[i] != pattern(seed, i))
            ck_abort_msg("word %zu of block %p was overwritten", i, (void *)block);
}

unsigned test_mapped_slabs(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[256];
    unsigned count = 0;

    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof(line), maps))
        count += strstr(line, "waybill-slab") != NULL;
    (void)fclose(maps);
    return count;
}

uint64_t test_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

size_t test_random_bytes(uint64_t *state, size_t most)
{
    unsigned doublings = 64 - (unsigned)__builtin_clzll(most);
    size_t bytes = (size_t)1 << (test_random(state) % doublings);

    bytes += test_random(state) % bytes;
    return bytes < most ? bytes : most;
}

int test_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

Suite *test_suite(const char *name, const TTest *const *tests, unsigned count, double seconds)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, seconds);
    for (unsigned i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return suite;
}
