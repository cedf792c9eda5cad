/* The dearer checks: what they find, and what they let pass. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mr_cache/budget.h"
#include "mr_cache/poison.h"
#include "tests/mr_cache/rma.h"

static struct wb_rma_allocator *checked_pool(enum wb_rma_checks checks)
{
    struct wbi_rma_config config = {
        .budget_bytes = 32 * MIB, .slab_bytes = 4 * MIB, .checks = checks, .numa_node = -1};
    struct wb_rma_allocator *pool = NULL;

    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    return pool;
}

static unsigned char *get(struct wb_rma_allocator *pool, size_t bytes, size_t alignment)
{
    void *memory = NULL;

    ck_assert_int_eq(wb_rma_alloc(pool, bytes, alignment, &memory), WB_OK);
    return memory;
}

START_TEST(what_is_right_passes)
{
    struct wb_rma_allocator *pool = checked_pool((enum wb_rma_checks)_i);
    uint64_t random = 7;

    for (unsigned round = 0; round < 2000; round++) {
        size_t bytes = test_random_bytes(&random, 300 << 10);
        size_t alignment = (size_t)1 << test_random(&random) % 20;
        unsigned char *memory = get(pool, bytes, alignment);
        ck_assert_uint_eq((uintptr_t)memory % alignment, 0);
        ck_assert_uint_ge(wb_rma_usable_bytes(memory), bytes);
        memset(memory, (int)round, wb_rma_usable_bytes(memory));
        wb_rma_free(memory);
    }
    wb_rma_vector vector;
    ck_assert_int_eq(wb_rma_vector_create(pool, 8, 3, &vector), WB_OK);
    for (uint64_t i = 0; i < 5000; i++)
        ck_assert_int_eq(wb_rma_vector_push(&vector, &i), WB_OK);
    ck_assert_uint_eq(((uint64_t *)vector.data)[5002], 4999);
    wb_rma_vector_drop(&vector);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

static void write_past_the_end(struct wb_rma_allocator *pool)
{
    unsigned char *memory = get(pool, 100, 0);

    memory[100] = 1;
    wb_rma_free(memory);
}

static void write_after_free(struct wb_rma_allocator *pool)
{
    unsigned char *memory = get(pool, 100, 0);

    wb_rma_free(memory);
    wbi_unpoison(memory, 128); /* AddressSanitizer would be first */
    memory[50] = 1;
    for (unsigned i = 0; i < 1000; i++)
        (void)get(pool, 100, 0);
}

static void free_twice(struct wb_rma_allocator *pool)
{
    unsigned char *memory = get(pool, 100, 0);

    wb_rma_free(memory);
    wb_rma_free(memory);
}

static void free_inside_of_an_aligned_block(struct wb_rma_allocator *pool)
{
    wb_rma_free(get(pool, MIB, MIB) + (128 << 10));
}

static void free_twice_what_a_peer_reads(struct wb_rma_allocator *pool)
{
    unsigned char *memory = get(pool, 100, 0);

    wbi_rma_block_lease(wbi_rma_find(memory));
    wb_rma_free(memory);
    wb_rma_free(memory); /* which would give the peer's hold away */
}

static void free_twice_what_two_peers_read(struct wb_rma_allocator *pool)
{
    unsigned char *memory = get(pool, 100, 0);

    wbi_rma_block_lease(wbi_rma_find(memory));
    wbi_rma_block_lease(wbi_rma_find(memory));
    wb_rma_free(memory);
    wb_rma_free(memory);
}

/* ctest runs these without Check's own fork, so each mistake gets a process here. What the child
 * says comes by a pipe. A slab is not for children (MADV_DONTFORK), so the pool is the child's. */
static void expect_death(void (*mistake)(struct wb_rma_allocator *pool), const char *words)
{
    int pipes[2];
    char said[600] = "";

    ck_assert_int_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipes[1], STDERR_FILENO);
        mistake(checked_pool(WB_RMA_CHECKS_BLOCKS));
        _exit(0);
    }
    (void)close(pipes[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(pipes[0], said + length, sizeof said - 1 - length)) > 0;)
        length += (size_t)got;
    (void)close(pipes[0]);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "it went through: %s", said);
    ck_assert_msg(strstr(said, words) != NULL, "\"%s\" has no \"%s\"", said, words);
}

START_TEST(what_is_wrong_ends_the_program)
{
    expect_death(write_past_the_end, "written past its end");
    expect_death(write_after_free, "written to after it was freed");
    expect_death(free_twice, "freed already");
    expect_death(free_inside_of_an_aligned_block, "no block");
    expect_death(free_twice_what_a_peer_reads, "a peer may read it yet");
    expect_death(free_twice_what_two_peers_read, "a peer may read it yet");
}
END_TEST

struct report {
    unsigned lines;
    char first[400];
};

static void hear(void *context, const char *line)
{
    struct report *report = context;

    if (report->lines++ == 0)
        (void)snprintf(report->first, sizeof report->first, "%s", line);
}

START_TEST(what_is_held_is_told_by_its_place)
{
    struct wb_rma_allocator *pool = checked_pool(WB_RMA_CHECKS_BLOCKS);
    void *few = NULL, *many[10];
    struct report report = {0};

    ck_assert_int_eq(wb_rma_allocator_leaks(pool, hear, &report), 0);
    ck_assert_int_eq(wb_rma_alloc(pool, 10, 0, &few), WB_OK);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_int_eq(wb_rma_alloc(pool, 1000, 0, &many[i]), WB_OK);
    struct wb_rma_block *block = wbi_rma_find(many[0]);
    wbi_rma_block_lease(block);
    ck_assert_int_eq(wb_rma_allocator_leaks(pool, hear, &report), 2);
    ck_assert_uint_eq(report.lines, 2);
    ck_assert_msg(strstr(report.first, "10 blocks of 10000 bytes together, 1 of them leased") !=
                      NULL,
                  "%s", report.first);
    wbi_rma_block_unlease(block);
    wb_rma_free(few);
    for (unsigned i = 0; i < 10; i++)
        wb_rma_free(many[i]);
    ck_assert_int_eq(wb_rma_allocator_leaks(pool, hear, &report), 0);
    wbi_rma_allocator_destroy(pool);

    pool = checked_pool(WB_RMA_CHECKS_CHEAP);
    ck_assert_int_eq(wb_rma_allocator_leaks(pool, hear, &report), WB_ERR_INVALID);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

/* The line about the only place that holds something. */
static const char *only_line(struct wb_rma_allocator *pool, struct report *report)
{
    *report = (struct report){0};
    ck_assert_int_eq(wb_rma_allocator_leaks(pool, hear, report), 1);
    return report->first;
}

START_TEST(what_the_library_allocates_has_a_place_too)
{
    struct wb_rma_allocator *pool = checked_pool(WB_RMA_CHECKS_BLOCKS);
    struct report report;
    wb_rma_vector vector;

    ck_assert_int_eq(wbi_rma_vector_copy(pool, "abc", 1, 3, &vector), WB_OK);
    ck_assert_ptr_nonnull(strstr(only_line(pool, &report), "allocated at a landing"));
    ck_assert_int_eq(wb_rma_vector_resize(&vector, 5000), WB_OK);
    ck_assert_ptr_null(strstr(only_line(pool, &report), "landing"));
    ck_assert_ptr_null(strstr(report.first, "(nil)"));
    wb_rma_vector_drop(&vector);
    struct wb_rma_block *block = test_alloc(pool, 10);
    ck_assert_ptr_nonnull(strstr(only_line(pool, &report), "the engine itself"));
    wbi_rma_block_lease(block);
    wbi_rma_block_unref(block);
    wbi_rma_block_unlease(block); /* as it should be */
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(what_is_held_is_told_after_the_end)
{
    struct wbi_budget *budget;
    struct wb_rma_allocator *pool = NULL;
    struct report report;

    ck_assert_int_eq(wbi_budget_create(32 * MIB, &budget), WB_OK);
    struct wbi_rma_config config = {.budget_bytes = 32 * MIB,
                                    .slab_bytes = 4 * MIB,
                                    .checks = WB_RMA_CHECKS_BLOCKS,
                                    .numa_node = -1,
                                    .budget = budget};
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    unsigned char *memory = get(pool, 100, 0), *large = get(pool, 6 * MIB, 0);
    wb_rma_free(get(pool, 100, 0));
    wbi_budget_close(budget); /* as an engine's end does */
    ck_assert_ptr_nonnull(strstr(only_line(pool, &report), "2 blocks of 6291556 bytes together"));
    wb_rma_free(large);
    ck_assert_ptr_nonnull(strstr(only_line(pool, &report), "1 blocks of 100 bytes together"));
    wb_rma_free(memory);
    ck_assert_int_eq(wb_rma_allocator_leaks(pool, hear, &report), 0);
    wbi_rma_allocator_destroy(pool);
    wbi_budget_drop(budget);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rma checks");
    TCase *tcase = tcase_create("checks");

    tcase_set_timeout(tcase, 100);
    tcase_add_loop_test(tcase, what_is_right_passes, WB_RMA_CHECKS_BLOCKS, WB_RMA_CHECKS_ALL + 1);
    tcase_add_test(tcase, what_is_wrong_ends_the_program);
    tcase_add_test(tcase, what_is_held_is_told_by_its_place);
    tcase_add_test(tcase, what_the_library_allocates_has_a_place_too);
    tcase_add_test(tcase, what_is_held_is_told_after_the_end);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
