/* The scene of the tests of several lanes: two engines on shm, a host that is driven by threads,
 * and a guest that is the test's. */
#ifndef WAYBILL_TESTS_ENGINE_LANES_H
#define WAYBILL_TESTS_ENGINE_LANES_H

#include <check.h>
#include <waybill/waybill.h>

#include "tests/support/driver.h"

#define TEST_TWICE(F) F(VALUE, u64, number) F(RMA, wb_rma_vector, data)
WB_ACTION(twice, TEST_TWICE, TEST_TWICE)

enum { LANES = 4, PEERS = 2 * LANES, DRIVERS = 2 };

struct lanes_scene {
    struct wb_engine *host, *guest;
    struct test_driver drivers[DRIVERS]; /* of the host */
    struct wb_peer *peers[PEERS];        /* the guest's */
    char url[64];
};

extern struct lanes_scene lanes_scene;

/* What serves it. */
int lanes_on_twice(struct wb_context *context, struct twice_in *in, struct twice_out *out,
                   void *user);

/* Both engines, with so many lanes and peers at most; the host listens and serves `twice`. */
void lanes_open(uint32_t lanes, uint32_t max_peers);
void lanes_close(void);

/* The guest connects so many peers. */
void lanes_connect(unsigned count);

/* A call of the guest's, with a vector there and back, is well. */
void lanes_call(struct wb_peer *peer, uint64_t number);

#endif
