/* Every system call behind a slab fails once, in turn: a status, and nothing is left behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/mr_cache/rma.h"

/* The linker takes these instead of the C library's. They count on the test's own thread only. */
static unsigned calls, failing; /* the call of this number fails; 0: none */
static bool old_kernel;         /* which knows no MADV_POPULATE_WRITE */

static bool fails_now(void)
{
    if (failing == 0 || ++calls != failing)
        return false;
    errno = ENOMEM;
    return true;
}

int memfd_create(const char *name, unsigned flags)
{
    return fails_now() ? -1 : (int)syscall(SYS_memfd_create, name, flags);
}

int ftruncate(int fd, off_t length)
{
    return fails_now() ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return fails_now() ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int madvise(void *base, size_t bytes, int advice)
{
    if (advice == MADV_HUGEPAGE) /* may fail without harm */
        return 0;
    if (advice == MADV_POPULATE_WRITE && old_kernel) {
        errno = EINVAL;
        return -1;
    }
    bool ours = advice == MADV_DONTFORK || advice == MADV_POPULATE_WRITE;
    return ours && fails_now() ? -1 : (int)syscall(SYS_madvise, base, bytes, advice);
}

int fcntl(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    if (command == F_ADD_SEALS && fails_now())
        return -1;
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

static unsigned count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* Lets each call fail in turn until a growth succeeds; returns the number of failures. */
static unsigned walk(struct wb_rma_allocator *pool)
{
    unsigned descriptors = count_descriptors(), mapped = test_mapped_slabs();
    struct wb_rma_block *block = NULL;

    for (unsigned number = 1;; number++) {
        calls = 0;
        failing = number;
        int rc = wbi_rma_alloc(pool, 4 * MIB, true, &block);
        failing = 0;
        test_assert_valid(pool);
        if (rc == WB_OK) {
            memset(wbi_rma_block_data(block), 1, wbi_rma_block_bytes(block));
            wbi_rma_block_unref(block);
            return number - 1;
        }
        ck_assert_int_eq(rc, WB_ERR_NO_MEMORY);
        ck_assert_ptr_null(block);
        ck_assert_uint_eq(test_stats(pool).slab_bytes, 2 * MIB);
        ck_assert_uint_eq(count_descriptors(), descriptors);
        ck_assert_uint_eq(test_mapped_slabs(), mapped);
    }
}

START_TEST(test_each_call_fails_in_turn)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(16 * MIB, &registrar);

    old_kernel = _i;
    ck_assert_uint_eq(walk(pool), 5); /* create, truncate, do not fork, populate, seal */
    ck_assert_uint_eq(registrar.regs, 2);
    old_kernel = false;
    wbi_rma_allocator_destroy(pool);
    test_registrar_finish(&registrar);
}
END_TEST

START_TEST(test_creation_fails_cleanly)
{
    struct wbi_rma_config config = {
        .budget_bytes = 2 * MIB, .slab_bytes = 2 * MIB, .numa_node = -1};
    struct wb_rma_allocator *pool = NULL;

    calls = 0;
    failing = 1;
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_ERR_NO_MEMORY);
    ck_assert_ptr_null(pool);
    failing = 0;
    ck_assert_uint_eq(test_mapped_slabs(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rma faults");
    TCase *tcase = tcase_create("by call");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_each_call_fails_in_turn, 0, 2);
    tcase_add_test(tcase, test_creation_fails_cleanly);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
