/* Two threads and a queue: what a program's own executor is to the suite, and who answers deferred
 * calls. */
#ifndef WAYBILL_TESTS_CONFORMANCE_WORKERS_H
#define WAYBILL_TESTS_CONFORMANCE_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <waybill/waybill.h>

enum { TEST_WORKERS = 2 };

struct test_piece {
    struct test_piece *next;
    void (*run)(void *context);
    void *context;
};

struct test_workers {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t threads[TEST_WORKERS];
    unsigned count;
    bool stop;
    struct test_piece *first, **last;
    struct wb_executor executor;
};

/* Starts the threads. WB_ERR_NO_MEMORY. */
int test_workers_start(struct test_workers *workers);

/* Has run(context) called by one of them; by this thread where there is no memory. */
void test_workers_give(struct test_workers *workers, void (*run)(void *context), void *context);

/* Lets them do all that is left, and ends them. Accepts a zeroed struct. */
void test_workers_stop(struct test_workers *workers);

#endif
