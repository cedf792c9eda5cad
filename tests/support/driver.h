/* An engine that a thread of its own drives, and what an engine looks like when nothing is under
 * way. */
#ifndef WAYBILL_TESTS_SUPPORT_DRIVER_H
#define WAYBILL_TESTS_SUPPORT_DRIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <waybill/waybill.h>

struct test_driver {
    struct wb_engine *engine;    /* borrowed */
    void (*tick)(void *context); /* between turns, on the driving thread; or NULL */
    void *context;
    pthread_t thread;
    atomic_bool stop;
    bool running;
};

/* Starts a thread that waits on the engine until it is stopped; engine, tick and context are set.
 * Returns whether there is one now. */
bool test_driver_start(struct test_driver *driver);

/* Stops the thread and waits for its end. One that does not run is fine. */
void test_driver_stop(struct test_driver *driver);

/* What an engine has to say of itself, in one piece that can be sent. */
struct test_figures {
    struct wb_engine_stats engine;
    struct wb_rma_stats pool;
};

void test_figures_take(struct wb_engine *engine, struct test_figures *figures);

/* NULL if nothing is under way and nothing is held beyond `blocks` blocks of the pool; otherwise
 * what there is, in words. Static storage of the thread. */
const char *test_figures_unquiet(const struct test_figures *figures, uint64_t blocks);

/* Makes progress until the engine is quiet with `blocks` blocks held by the program, or fails. */
void test_assert_quiet(struct wb_engine *engine, uint64_t blocks);

#endif
