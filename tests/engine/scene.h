/*
 * The scene of the tests with strangers: an engine that is spoken to (the host), another engine
 * that is its honest peer (the friend), and a stranger. The test drives all three in turn, on one
 * thread.
 */
#ifndef WAYBILL_TESTS_ENGINE_SCENE_H
#define WAYBILL_TESTS_ENGINE_SCENE_H

#include <check.h>
#include <waybill/waybill.h>

#include "tests/engine/stranger.h"
#include "tests/support/driver.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

/* What the host serves. */
#define TEST_ECHO(F) F(VALUE, u64, number) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
WB_ACTION(echo, TEST_ECHO, TEST_ECHO)
#define TEST_SUM_IN(F) F(VALUE, u64, a) F(VALUE, u64, b)
#define TEST_SUM_OUT(F) F(VALUE, u64, sum)
WB_ACTION(sum, TEST_SUM_IN, TEST_SUM_OUT) /* fails with code 7, "no sum" where a is 0 */
#define TEST_NO_FIELDS(F)
WB_ACTION(never, TEST_ECHO, TEST_NO_FIELDS) /* answers WB_AGAIN for ever */

struct test_scene {
    const struct wbi_fabric *fabric;
    char host_url[100], friend_url[100], stranger_url[100];
    const char *host_address, *stranger_address; /* behind "scheme://" */
    struct wb_engine *host, *friend;
    struct wb_peer *peer;  /* the friend's, of the host */
    struct wb_peer *guest; /* the host's, of the stranger; or NULL */
    struct test_stranger stranger;
};

/* Opens all three. The stranger listens, but is not connected. */
void test_scene_open(struct test_scene *scene, const struct wb_engine_config *host_config);

/* Asserts that the host is quiet and serves its friend, and ends everything. */
void test_scene_close(struct test_scene *scene);

/* One turn of each. */
void test_scene_turn(struct test_scene *scene);

/* Turns until `met` holds; fails where that takes too long. */
#define test_scene_until(scene, met)                                                               \
    do {                                                                                           \
        uint64_t start_ = test_clock_us();                                                         \
        while (!(met)) {                                                                           \
            test_scene_turn(scene);                                                                \
            test_check(test_clock_us() - start_ < test_patience_us / 3, "never: %s", #met);        \
        }                                                                                          \
    } while (0)

/* Some turns, for things that should not happen to happen. */
void test_scene_pause(struct test_scene *scene);

/* Asserts that the host serves its friend: an ordinary call with all kinds of chunks. */
void test_scene_assert_serves(struct test_scene *scene);

/* The stranger connects to the host with an honest hello. Returns the credits it was given. */
uint32_t test_scene_meet(struct test_scene *scene);

/* From here on the host READs the stranger's memory as it is then, and no copies of it: the
 * stranger, which is connected, has no shelf left for one. */
void test_scene_fill_shelves(struct test_scene *scene);

/* The host connects to the stranger, which accepts with an honest hello. Sets scene->guest. */
void test_scene_visit(struct test_scene *scene);

/* Says a message and makes sure that the host has dealt with it: the host's answer to a request for
 * a sum (which is dropped from what was heard), or the end of the channel. Returns whether the
 * channel still stands. */
bool test_scene_say(struct test_scene *scene, const void *bytes, size_t len);

/* The friend's call `never`, which holds two MiB of the host until it is cancelled. */
struct wb_call *test_scene_hold(struct test_scene *scene);

/* The figures of the host. */
struct wb_engine_stats test_scene_stats(struct test_scene *scene);

#endif
