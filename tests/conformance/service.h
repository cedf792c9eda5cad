/* What serves the suite's actions: the state behind the handlers of one engine, and its life. */
#ifndef WAYBILL_TESTS_CONFORMANCE_SERVICE_H
#define WAYBILL_TESTS_CONFORMANCE_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <waybill/waybill.h>

#include "tests/conformance/actions_handles.h"
#include "tests/conformance/actions_streams.h"
#include "tests/conformance/actions_types.h"
#include "tests/conformance/workers.h"
#include "tests/support/driver.h"

enum { TEST_KEPT_MOST = 64, TEST_BACK_MOST = 512 };

struct test_kept {
    wb_rma_vector data;
    uint64_t seed;
};

/* The calls back of one call_me. Touched by the thread that drives the engine only. */
struct test_back {
    struct wb_peer *peer; /* kept; NULL: none asked for, or all done */
    uint64_t bytes;
    uint32_t left, open; /* still to be begun; begun and not finished */
    uint32_t right, wrong;
    struct wb_call *calls[TEST_BACK_MOST];
};

/* Calls that are answered later. */
struct test_job;
struct test_later {
    struct test_workers workers;
    pthread_mutex_t lock;
    struct test_job *held;
    atomic_uint agains;
};

/* Streams that are served, and what is known of those that have ended. */
struct test_talk;
struct test_talks {
    struct test_talk *first;
    uint32_t open, ended, taken, wrong;
    int status, code; /* of the last one */
    bool let_go;
};

/* Handlers run on whatever thread makes progress, one at a time; those of on_workers on workers. */
struct test_service {
    struct wb_engine *engine;
    struct test_driver driver; /* for a server; a test drives its client itself */
    uint32_t again_runs;
    bool gate_open;
    struct test_kept kept[TEST_KEPT_MOST];
    uint32_t kept_count;
    void *produced; /* the bytes of the last produce */
    struct test_back back;
    struct test_handles handles;
    struct test_types types;
    struct test_later later;
    struct test_talks talks;
    struct wb_call *inside; /* that a handler could not finish; or NULL */
};

/* Creates an engine that serves all actions, listening at `url` unless that is NULL. A status, with
 * wb_last_error's words; on failure nothing is left. */
int test_service_open(struct test_service *service, const struct wb_engine_config *config,
                      const char *url);

/* service_odd.c: the second half of the actions. */
int test_service_register_odd(struct test_service *service);

/* service_types.c: types made of types. */
int test_service_register_types(struct test_service *service);

/* service_later.c: calls that are answered later. stop: before the engine's end, what workers are
 * at is done; close: after it. */
int test_service_register_later(struct test_service *service);
void test_later_stop(struct test_later *later);
void test_later_close(struct test_later *later);

/* service_streams.c */
int test_service_register_streams(struct test_service *service);

/* Lets a thread of its own drive it. WB_ERR_NO_MEMORY. */
int test_service_drive(struct test_service *service);

/* Moves its calls back on: to be called between turns. */
void test_service_tick(void *service);

/* Stops the driver if there is one, gives back what handlers keep, and destroys the engine. Accepts
 * a zeroed struct. */
void test_service_close(struct test_service *service);

/* shape.c knows another action of the same name than its callers do. */
int test_shape_register(struct wb_engine *engine);
int test_shape_call(struct wb_peer *peer);       /* as the callers know it */
int test_shape_call_right(struct wb_peer *peer); /* as it is registered */

#endif
