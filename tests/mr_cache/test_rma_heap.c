/* Memory by address: alignment, sizes, what may be freed. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/mr_cache/rma.h"

static struct wb_rma_allocator *pool;

static void set_up(void)
{
    pool = test_pool(64 * MIB, NULL);
}

static void tear_down(void)
{
    test_assert_valid(pool);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}

static void *get(size_t bytes, size_t alignment)
{
    void *memory;

    ck_assert_int_eq(wb_rma_alloc(pool, bytes, alignment, &memory), WB_OK);
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_ge(wb_rma_usable_bytes(memory), bytes);
    return memory;
}

START_TEST(every_alignment_is_kept_at_every_size)
{
    for (size_t alignment = 1; alignment <= 2 * MIB; alignment *= 2) {
        for (size_t bytes = 1; bytes <= 8 * MIB; bytes = bytes * 5 / 2 + 3) {
            unsigned char *memory = get(bytes, alignment);
            ck_assert_uint_eq((uintptr_t)memory % (alignment > 64 ? alignment : 64), 0);
            memory[0] = memory[bytes - 1] = 1;
            wb_rma_free(memory);
        }
    }
}
END_TEST

/* A block that is not the first of its run begins at no multiple of a page. */
START_TEST(large_alignments_stay_inside_their_blocks)
{
    enum { BLOCKS = 8 };
    unsigned char *held[BLOCKS];

    for (size_t alignment = 32 << 10; alignment <= 2 * MIB; alignment *= 2) {
        for (size_t bytes = 0; bytes <= 300 << 10; bytes = bytes * 3 + 1) {
            for (unsigned i = 0; i < BLOCKS; i++) {
                held[i] = get(bytes, alignment);
                struct wb_rma_block *block = wbi_rma_find(held[i]);
                unsigned char *data = wbi_rma_block_data(block);
                ck_assert_uint_eq((uintptr_t)held[i] % alignment, 0);
                ck_assert(held[i] >= data);
                ck_assert(held[i] + bytes <= data + wbi_rma_block_bytes(block));
                for (unsigned other = 0; other < i; other++)
                    ck_assert_ptr_ne(wbi_rma_find(held[other]), block);
            }
            for (unsigned i = 0; i < BLOCKS; i++)
                wb_rma_free(held[i]);
        }
    }
}
END_TEST

START_TEST(no_bytes_are_a_block_and_null_is_none)
{
    void *a = get(0, 0), *b = get(0, 0);

    ck_assert_ptr_ne(a, b);
    wb_rma_free(a);
    wb_rma_free(b);
    wb_rma_free(NULL);
    ck_assert_uint_eq(wb_rma_usable_bytes(NULL), 0);
}
END_TEST

START_TEST(what_cannot_be_is_said)
{
    void *memory = &pool;

    wb_rma_free(get(64, 0)); /* the way of a cached block, too */
    ck_assert_int_eq(wb_rma_alloc(pool, 64, 3, &memory), WB_ERR_INVALID);
    ck_assert_ptr_null(memory);
    ck_assert_int_eq(wb_rma_alloc(pool, 64, 4 * MIB, &memory), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_alloc(pool, SIZE_MAX, 0, &memory), WB_ERR_BUDGET);
    ck_assert_int_eq(wb_rma_alloc(pool, SIZE_MAX - 1, MIB, &memory), WB_ERR_BUDGET);
    ck_assert_int_eq(wb_rma_alloc(pool, 65 * MIB, 0, &memory), WB_ERR_BUDGET);
    ck_assert_ptr_null(memory);
}
END_TEST

static void free_twice(void)
{
    void *memory = get(100, 0);

    wb_rma_free(memory);
    wb_rma_free(memory);
}

static void free_inside(void)
{
    wb_rma_free((unsigned char *)get(100, 0) + 8);
}

static void free_a_strangers(void)
{
    int local = 0;

    wb_rma_free(&local);
}

/* ctest runs these without Check's own fork, so each mistake gets a process here. */
START_TEST(a_wrong_address_ends_the_program)
{
    void (*const mistakes[])(void) = {free_twice, free_inside, free_a_strangers};

    for (unsigned i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            (void)close(STDERR_FILENO);
            mistakes[i]();
            _exit(0);
        }
        int status = 0;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "mistake %u went through",
                      i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rma heap");
    TCase *rules = tcase_create("rules");

    tcase_add_checked_fixture(rules, set_up, tear_down);
    tcase_set_timeout(rules, 60);
    tcase_add_test(rules, every_alignment_is_kept_at_every_size);
    tcase_add_test(rules, large_alignments_stay_inside_their_blocks);
    tcase_add_test(rules, no_bytes_are_a_block_and_null_is_none);
    tcase_add_test(rules, what_cannot_be_is_said);
    tcase_add_test(rules, a_wrong_address_ends_the_program);
    suite_add_tcase(suite, rules);
    return test_run(suite);
}
