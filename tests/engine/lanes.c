#include "tests/engine/lanes.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/support/pattern.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

struct lanes_scene lanes_scene;

int lanes_on_twice(struct wb_context *context, struct twice_in *in, struct twice_out *out,
                   void *user)
{
    (void)context;
    (void)user;
    out->number = 2 * in->number;
    out->data = wb_rma_vector_take(&in->data);
    return WB_OK;
}

void lanes_open(uint32_t lanes, uint32_t max_peers)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.lanes = lanes;
    config.max_peers = max_peers;
    config.budget_bytes = 64 << 20;
    snprintf(lanes_scene.url, sizeof lanes_scene.url, "shm://lanes-%ld", (long)getpid());
    ck_assert_int_eq(wb_engine_create(&config, &lanes_scene.host), WB_OK);
    ck_assert_int_eq(wb_engine_create(&config, &lanes_scene.guest), WB_OK);
    ck_assert_int_eq(twice_register(lanes_scene.host, lanes_on_twice, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(lanes_scene.host, lanes_scene.url), WB_OK);
    for (unsigned i = 0; i < DRIVERS; i++) {
        lanes_scene.drivers[i] = (struct test_driver){.engine = lanes_scene.host};
        ck_assert(test_driver_start(&lanes_scene.drivers[i]));
    }
}

void lanes_connect(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(wb_connect(lanes_scene.guest, lanes_scene.url, &lanes_scene.peers[i]),
                         WB_OK);
    }
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(wb_peer_wait(lanes_scene.peers[i], test_patience_us), WB_OK);
    }
}

void lanes_close(void)
{
    for (unsigned i = 0; i < DRIVERS; i++) {
        test_driver_stop(&lanes_scene.drivers[i]);
    }
    wb_engine_destroy(lanes_scene.guest);
    wb_engine_destroy(lanes_scene.host);
}

void lanes_call(struct wb_peer *peer, uint64_t number)
{
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 1 << 16};
    struct twice_in in = {.number = number};
    struct twice_out out;
    ck_assert_int_eq(
        wb_rma_vector_create(wb_engine_allocator(lanes_scene.guest), 1, 3000, &in.data), WB_OK);
    test_pattern_fill(in.data.data, 3000, number);
    int status = twice_call(peer, &in, &out, &options);
    test_check(status == WB_OK, "a call: %s", wb_last_error());
    test_check(out.number == 2 * number, "an answer of another call");
    test_check(test_pattern_check(out.data.data, out.data.count, number) == 3000, "other bytes");
    twice_out_drop(&out);
    twice_in_drop(&in);
}
