/* Several allocators: what comes out of any of them travels, and ends when nobody reads it. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/world.h"

static const uint64_t mib = 1 << 20;

static struct wb_rma_allocator *make(const struct wb_rma_config *config)
{
    struct wb_rma_allocator *allocator = NULL;
    test_assert_status(wb_rma_allocator_create(test_world.engine, config, &allocator), WB_OK);
    return allocator;
}

static wb_rma_vector vector_of(struct wb_rma_allocator *allocator, size_t bytes, uint64_t seed)
{
    wb_rma_vector vector;
    test_assert_status(wb_rma_vector_create(allocator, 1, bytes, &vector), WB_OK);
    test_pattern_fill(vector.data, bytes, seed);
    return vector;
}

/* Sends it there and back. */
static void travel(const wb_rma_vector *vector, uint64_t seed)
{
    struct vector_in in = {.before = 1, .data = *vector, .after = 2};
    struct vector_out out;
    struct wb_call_options options = {.reply_bytes = vector->count + 4096};
    test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.data.count, vector->count);
    ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, seed), vector->count);
    vector_out_drop(&out);
}

/* Until the allocator has no more than `bytes` registered: peers let slabs go in their own time. */
static void await_bytes(struct wb_rma_allocator *allocator, uint64_t bytes)
{
    struct wb_rma_stats stats;
    uint64_t start = test_clock_us();
    do {
        wb_wait(test_world.engine, 1000);
        wb_rma_allocator_stats(allocator, &stats);
    } while (stats.slab_bytes > bytes && test_clock_us() - start < test_patience_us / 6);
    ck_assert_uint_le(stats.slab_bytes, bytes);
}

START_TEST(test_every_kind_of_pages_travels)
{
    test_world.client_config.budget_bytes = 256 * mib;
    test_world_open(1);
    for (enum wb_pages pages = WB_PAGES_SMALL; pages < WB_PAGES_1G; pages++) {
        struct wb_rma_config config;
        wb_rma_config_default(&config);
        config.pages = pages;
        config.slab_bytes = 4 * mib;
        config.budget_bytes = 32 * mib;
        struct wb_rma_allocator *allocator = make(&config);
        wb_rma_vector small = vector_of(allocator, 3000, 1),
                      large = vector_of(allocator, 9 * mib, 2);
        travel(&small, 1);
        travel(&large, 2);
        wb_rma_vector_drop(&small);
        wb_rma_vector_drop(&large);
        ck_assert_uint_gt(wb_rma_allocator_trim(allocator), 0);
        await_bytes(allocator, 0);
        wb_rma_allocator_destroy(allocator);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* The handle goes while a call is under way; the vectors and what peers read of them stay. */
START_TEST(test_destroyed_while_it_travels)
{
    enum { CALLS = 8 };
    struct wb_call *calls[CALLS];
    struct digest_out out;
    test_world_open(1);
    struct wb_rma_allocator *allocator = make(NULL);
    struct digest_in in = {.seed = 1, .data = vector_of(allocator, 5 * mib, 2)};
    wb_rma_vector kept = vector_of(allocator, 2000, 3);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
    }
    digest_in_drop(&in);
    wb_rma_allocator_destroy(allocator);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.data_right, 5 * mib);
    }
    travel(&kept, 3);
    wb_rma_vector_drop(&kept);
    test_world_close();
}
END_TEST

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
    munmap(base, bytes); /* nobody can be reading it */
    lender->releases++;
}

START_TEST(test_lent_memory_travels_and_comes_back)
{
    struct lender lender = {.bytes = 16 * mib};
    struct wb_rma_config config;
    test_world_open(1);
    wb_rma_config_default(&config);
    config.regions_only = true;
    struct wb_rma_allocator *allocator = make(&config);
    lender.base =
        mmap(NULL, lender.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(lender.base, MAP_FAILED);
    test_assert_status(
        wb_rma_allocator_add_region(allocator, lender.base, lender.bytes, -1, take_back, &lender),
        WB_OK);
    wb_rma_vector small = vector_of(allocator, 3000, 1), large = vector_of(allocator, 9 * mib, 2);
    ck_assert((uint8_t *)large.data >= (uint8_t *)lender.base &&
              (uint8_t *)large.data < (uint8_t *)lender.base + lender.bytes);
    travel(&small, 1);
    travel(&large, 2);
    wb_rma_vector_drop(&small);
    wb_rma_allocator_destroy(allocator);
    travel(&large, 2);
    ck_assert_uint_eq(lender.releases, 0);
    wb_rma_vector_drop(&large);
    test_world_close();
    ck_assert_uint_eq(lender.releases, 1);
}
END_TEST

/* A memfd of the program's own, sealed as shm needs it: peers map it. */
START_TEST(test_a_lent_file_travels_and_comes_back)
{
    enum { SEALS = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };
    struct lender lender = {.bytes = 4 * mib};
    struct wb_rma_config config;
    test_world_open(1);
    wb_rma_config_default(&config);
    config.regions_only = true;
    struct wb_rma_allocator *allocator = make(&config);
    int fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(ftruncate(fd, (off_t)lender.bytes), 0);
    uint8_t *reserved = mmap(NULL, 6 * mib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(reserved, MAP_FAILED);
    size_t head = -(uintptr_t)reserved & (2 * mib - 1);
    lender.base =
        mmap(reserved + head, lender.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    ck_assert_ptr_ne(lender.base, MAP_FAILED);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, SEALS), 0);
    test_assert_status(
        wb_rma_allocator_add_region(allocator, lender.base, lender.bytes, fd, take_back, &lender),
        WB_OK);
    wb_rma_vector vector = vector_of(allocator, 3 * mib, 7);
    travel(&vector, 7);
    wb_rma_vector_drop(&vector);
    wb_rma_allocator_destroy(allocator);
    uint64_t start = test_clock_us();
    while (lender.releases == 0 && test_clock_us() - start < test_patience_us / 6) {
        wb_wait(test_world.engine, 1000);
    }
    ck_assert_uint_eq(lender.releases, 1);
    test_world_close();
    ck_assert_uint_eq(lender.releases, 1);
    close(fd);
    munmap(reserved, head);
    munmap(reserved + head + lender.bytes, 2 * mib - head);
}
END_TEST

START_TEST(test_it_can_outlive_its_engine)
{
    void *memory = NULL;
    struct wb_rma_stats stats;
    test_world_open(1);
    struct wb_rma_allocator *allocator = make(NULL);
    wb_rma_vector vector = vector_of(allocator, 100000, 1);
    travel(&vector, 1);
    test_world_assert_quiet(0);
    test_world_close();
    ck_assert_uint_eq(test_pattern_check(vector.data, 100000, 1), 100000);
    test_assert_status(wb_rma_alloc(allocator, 100, 0, &memory), WB_ERR_CLOSED);
    test_assert_status(wb_rma_allocator_add_region(allocator, &stats, 1 << 22, -1, NULL, NULL),
                       WB_ERR_CLOSED);
    wb_rma_allocator_stats(allocator, &stats);
    ck_assert_uint_eq(stats.blocks, 1);
    wb_rma_allocator_destroy(allocator);
    wb_rma_vector_drop(&vector);
}
END_TEST

START_TEST(test_what_no_allocator_can_be)
{
    struct wb_rma_allocator *allocator = NULL;
    struct wb_rma_config config;
    test_world.client_config.budget_bytes = 64 * mib;
    test_world_open(1);
    wb_rma_config_default(&config);
    config.slab_bytes = 3 * mib;
    test_assert_status(wb_rma_allocator_create(test_world.engine, &config, &allocator),
                       WB_ERR_INVALID);
    wb_rma_config_default(&config);
    config.budget_bytes = 65 * mib;
    test_assert_status(wb_rma_allocator_create(test_world.engine, &config, &allocator),
                       WB_ERR_BUDGET);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "budget_bytes"));
    wb_rma_config_default(&config);
    config.budget_bytes = mib;
    test_assert_status(wb_rma_allocator_create(test_world.engine, &config, &allocator),
                       WB_ERR_BUDGET);
    wb_rma_config_default(&config);
    config.devices = "no_such_device";
    test_assert_status(wb_rma_allocator_create(test_world.engine, &config, &allocator),
                       WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "no_such_device"));
    wb_rma_config_default(&config);
    config.numa_node = -7;
    test_assert_status(wb_rma_allocator_create(test_world.engine, &config, &allocator),
                       WB_ERR_INVALID);
    ck_assert_ptr_null(allocator);
    wb_rma_allocator_destroy(NULL);
    wb_rma_allocator_destroy(test_world.pool); /* the engine's own: nothing happens */
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* What one does not use another gets, while peers have the slabs mapped. */
START_TEST(test_the_budget_moves_between_them)
{
    test_world.client_config.budget_bytes = 32 * mib;
    test_world_open(1);
    struct wb_rma_allocator *other = make(NULL);
    for (unsigned i = 0; i < 6; i++) {
        wb_rma_vector vector;
        struct wb_rma_allocator *pool = i % 2 ? other : test_world.pool;
        uint64_t start = test_clock_us();
        int status = WB_AGAIN;
        while (status == WB_AGAIN && test_clock_us() - start < test_patience_us / 6) {
            status = wb_rma_vector_create(pool, 1, 24 * mib, &vector);
            if (status == WB_AGAIN) {
                wb_wait(test_world.engine, 1000);
            }
        }
        test_assert_status(status, WB_OK);
        test_pattern_fill(vector.data, vector.count, i + 1);
        struct digest_in in = {.seed = i, .data = vector};
        struct digest_out out;
        test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_OK);
        ck_assert_uint_eq(out.data_right, 24 * mib);
        wb_rma_vector_drop(&vector);
        test_world_assert_quiet(0);
    }
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(other, &stats);
    ck_assert_uint_le(stats.engine_peak_bytes, 32 * mib);
    wb_rma_allocator_destroy(other);
    test_world_close();
}
END_TEST

/* ---- a pool that is full ---- */

enum { WISHES = 100, WISH = 3 << 20 };

/* Makes WISHES calls at once, each of WISH bytes; counts how they end. */
static void wish(unsigned *served, unsigned *refused)
{
    static struct wb_call *calls[WISHES];
    struct digest_in in = {.seed = 1, .data = test_world_vector(1, WISH, 2)};
    struct wb_call_options options = {.timeout_us = test_patience_us};
    struct digest_out out;
    *served = *refused = 0;
    for (unsigned i = 0; i < WISHES; i++) {
        test_assert_status(digest_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < WISHES; i++) {
        int status = digest_finish(calls[i], &out);
        ck_assert_msg(status == WB_OK || status == WB_ERR_BUSY, "call %u: %s", i, wb_last_error());
        ck_assert(status != WB_OK || out.data_right == WISH);
        *served += status == WB_OK;
        *refused += status == WB_ERR_BUSY;
    }
    digest_in_drop(&in);
}

static void open_full(enum wb_when_full when_full)
{
    test_world.server_config.budget_bytes = 16 * mib;
    test_world.server_config.slab_bytes = 2 * mib;
    test_world.server_config.when_full = when_full;
    test_world.server_config.shed_beyond = 4;
    test_world_open(1);
}

START_TEST(test_more_than_there_is_waits)
{
    unsigned served, refused;
    open_full(WB_FULL_WAIT);
    wish(&served, &refused);
    ck_assert_uint_eq(served, WISHES);
    test_world_close();
}
END_TEST

START_TEST(test_more_than_there_is_is_refused)
{
    unsigned served, refused;
    open_full(WB_FULL_REFUSE);
    wish(&served, &refused);
    ck_assert_uint_gt(served, 0);
    ck_assert_uint_eq(served + refused, WISHES);
    test_world_assert_works(test_world.peer); /* and afterwards there is room */
    test_world_close();
}
END_TEST

START_TEST(test_more_than_there_is_is_shed)
{
    unsigned served, refused;
    open_full(WB_FULL_SHED);
    wish(&served, &refused);
    ck_assert_uint_gt(served, 0);
    ck_assert_uint_eq(served + refused, WISHES);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

static void has_landed(void *user)
{
    *(bool *)user = true;
}

/* A request waits at the gate with most of the room; the next ones are refused, or the oldest,
 * whether they come after it (_i 0, 1) or with it, while the pool has still to grow (2, 3). */
START_TEST(test_who_is_refused)
{
    enum { NEXT = 6 };
    bool refuses = _i % 2 == 0, landed = _i > 1;
    struct wb_call *held, *calls[NEXT];
    struct wb_call_options options = {.timeout_us = test_patience_us};
    struct wb_call_options first = {
        .timeout_us = test_patience_us, .on_sent = has_landed, .user = &landed};
    open_full(refuses ? WB_FULL_REFUSE : WB_FULL_SHED);
    struct wait_at_gate_in gate = {.data = test_world_vector(1, 12 * mib, 1)};
    struct digest_in in = {.seed = 1, .data = test_world_vector(1, 6 * mib, 2)};
    struct digest_out out;
    test_assert_status(wait_at_gate_async(test_world.peer, &gate, &first, &held), WB_OK);
    while (!landed) {
        ck_assert_int_eq(wb_call_wait(held, 1000), WB_ERR_TIMED_OUT);
    }
    for (unsigned i = 0; i < NEXT; i++) {
        test_assert_status(digest_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
    }
    unsigned gone = refuses ? NEXT : NEXT - 4;
    for (unsigned i = 0; i < gone; i++) {
        test_assert_done(calls[i]);
        test_assert_status(digest_finish(calls[i], &out), WB_ERR_BUSY);
    }
    struct open_gate_in open = {.open = 1};
    struct open_gate_out none;
    struct wait_at_gate_out nothing;
    test_assert_status(open_gate_call(test_world.peer, &open, &none, NULL), WB_OK);
    test_assert_status(wait_at_gate_finish(held, &nothing), WB_OK);
    for (unsigned i = gone; i < NEXT; i++) {
        test_assert_status(digest_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.data_right, 6 * mib);
    }
    wait_at_gate_in_drop(&gate);
    digest_in_drop(&in);
    test_world_close();
}
END_TEST

START_TEST(test_the_program_leaves_the_reserve)
{
    void *memory[32], *none = NULL;
    unsigned count = 0;
    test_world.client_config.budget_bytes = 16 * mib;
    test_world.client_config.slab_bytes = 2 * mib;
    test_world.client_config.reserve_percent = 25;
    test_world_open(1);
    int status = WB_OK;
    while (status == WB_OK && count < 32) {
        status = wb_rma_alloc(test_world.pool, mib, 0, &memory[count]);
        count += status == WB_OK;
    }
    test_assert_status(status, WB_AGAIN);
    ck_assert_uint_eq(count, 12);
    test_assert_status(wb_rma_alloc(test_world.pool, 13 * mib, 0, &none), WB_ERR_BUDGET);
    ck_assert_int_eq(wb_rma_alloc_wait(test_world.pool, mib, 0, 20000, &none), WB_ERR_TIMED_OUT);
    ck_assert_ptr_null(none);
    /* another allocator has to leave it, too; and a reply still finds its room */
    struct wb_rma_config config;
    struct wb_rma_allocator *other = NULL;
    wb_rma_config_default(&config);
    test_assert_status(wb_rma_allocator_create(test_world.engine, &config, &other), WB_AGAIN);
    struct produce_in in = {.seed = 3, .count = 2 * mib - 8192, .elem_size = 1};
    struct wb_call_options roomy = {.reply_bytes = 2 * mib - 8192};
    struct produce_out out;
    test_assert_status(produce_call(test_world.peer, &in, &out, &roomy), WB_OK);
    produce_out_drop(&out);
    wb_rma_free(memory[--count]);
    test_assert_status(wb_rma_alloc_wait(test_world.pool, mib, 0, 20000, &memory[count]), WB_OK);
    for (count++; count > 0;) {
        wb_rma_free(memory[--count]);
    }
    test_world_close();
}
END_TEST

TCase *test_allocators_case(void)
{
    const TTest *const tests[] = {
        test_every_kind_of_pages_travels,        test_destroyed_while_it_travels,
        test_lent_memory_travels_and_comes_back, test_a_lent_file_travels_and_comes_back,
        test_it_can_outlive_its_engine,          test_what_no_allocator_can_be,
        test_the_budget_moves_between_them,      test_more_than_there_is_waits,
        test_more_than_there_is_is_refused,      test_more_than_there_is_is_shed,
        test_the_program_leaves_the_reserve};
    TCase *tcase = test_world_case("allocators", tests, sizeof tests / sizeof tests[0]);
    tcase_add_loop_test(tcase, test_who_is_refused, 0, 4);
    return tcase;
}
