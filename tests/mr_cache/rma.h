/* What the tests of this room share: a registrar that is no fabric, pools on it, and checks. */
#ifndef WAYBILL_TESTS_MR_CACHE_RMA_H
#define WAYBILL_TESTS_MR_CACHE_RMA_H

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "mr_cache/allocator.h"
#include "mr_cache/validate.h"

#define MIB ((uint64_t)1 << 20)

enum { TEST_SLAB_BYTES = 2 << 20, TEST_PENDING = 64 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif
#ifndef TEST_SANITIZED
#define TEST_SANITIZED 0
#endif

struct test_pending {
    void (*confirmed)(void *argument);
    void *argument;
    struct wbi_mr *mr;
};

/* A registrar that counts, fails and defers on demand. Set it up before use; read it when quiet. */
struct test_registrar {
    pthread_mutex_t mutex;
    uint64_t bytes, peak_bytes; /* registered and not confirmed as gone */
    pthread_t thread;           /* of the last reg */
    sem_t arrived, let_in;
    unsigned *clock;                 /* ticks with each call of the registrars that share it */
    unsigned serial;                 /* of the last call, by the clock */
    unsigned regs, deregs, confirms; /* calls that succeeded */
    unsigned failures;               /* so many next calls of reg fail, */
    int failure;                     /* with this status */
    bool defers;                     /* dereg leaves its confirmation in `pending` */
    bool holds;                      /* reg posts `arrived` and waits for `let_in` first */
    unsigned pending_count;
    struct test_pending pending[TEST_PENDING];
};

void test_registrar_init(struct test_registrar *registrar);
struct wbi_registrar test_registrar_table(struct test_registrar *registrar);

/* Whether dereg leaves its confirmations pending from now on; also while the pool is at work. */
void test_registrar_defer(struct test_registrar *registrar, bool defers);

/* Makes all confirmations that were deferred; returns how many. */
unsigned test_registrar_confirm(struct test_registrar *registrar);

/* Asserts that everything registered was deregistered and confirmed, and ends the registrar. */
void test_registrar_finish(struct test_registrar *registrar);

/* A pool of slabs of 2 MiB on one registrar, which may be NULL. */
struct wb_rma_allocator *test_pool(uint64_t budget_bytes, struct test_registrar *registrar);

/* The same with slabs of that size. */
struct wb_rma_allocator *test_pool_of(uint64_t budget_bytes, uint64_t slab_bytes,
                                      struct test_registrar *registrar);

/* The same with so many bytes for threads' caches: WBI_RMA_NO_CACHES where a test looks at what is
 * free in a run. */
struct wb_rma_allocator *test_pool_with(uint64_t budget_bytes, uint64_t slab_bytes,
                                        uint64_t cache_bytes, struct test_registrar *registrar);

/* Allocates with growth here, which must succeed. */
struct wb_rma_block *test_alloc(struct wb_rma_allocator *pool, size_t bytes);

struct wb_rma_stats test_stats(struct wb_rma_allocator *pool);

/* Fills a block's memory (of a large one both ends and a word of each page), and asserts that it
 * still holds what it was filled with. */
void test_fill(struct wb_rma_block *block, unsigned seed);
void test_check_fill(struct wb_rma_block *block, unsigned seed);

/* Slabs that are mapped in this process, by /proc: whatever the address map knows, LeakSanitizer
 * does not call lost. */
unsigned test_mapped_slabs(void);

/* A small generator, so that a seed means the same everywhere. *state is the seed, never 0. */
uint64_t test_random(uint64_t *state);

/* Bytes between 1 and `most`, every doubling as likely as any other. */
size_t test_random_bytes(uint64_t *state, size_t most);

#define test_assert_valid(pool)                                                                    \
    do {                                                                                           \
        const char *wrong_ = wbi_rma_validate(pool);                                               \
        ck_assert_msg(!wrong_, "not true: %s", wrong_);                                            \
    } while (0)

/* Runs the suite (takes it) and returns main's result. */
int test_run(Suite *suite);

/* A suite of one case with these tests, each of at most `seconds` where Check forks. */
Suite *test_suite(const char *name, const TTest *const *tests, unsigned count, double seconds);

#endif
