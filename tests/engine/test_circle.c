/* Two threads, each in a callback of one engine, that want something of the other: none waits for
 * ever. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/engine/scene.h"

#define NOTHING(F)
WB_STREAM(chat, NOTHING, NOTHING, NOTHING)

enum { SERVED_MOST = 8 };

static struct test_scene scene;
static struct wb_stream *served[SERVED_MOST];
static atomic_uint served_count;
static atomic_uint inside; /* callbacks that have begun, */
static atomic_uint over;   /* and that have done all */

/* What one thread does in a callback of `engine`'s. */
struct side {
    struct wb_engine *engine, *other;
    const char *url;      /* that `other` can connect to */
    struct wb_peer *peer; /* `engine`'s, that is called */
    struct wb_peer *kept; /* of `other` */
    struct wb_peer *made;
    struct wb_stream *stream, *quiet; /* of `kept` */
    struct wb_stream *begun;
    atomic_uint told, told_late; /* late: of `stream`, which has been dropped */
    atomic_bool dropped;
    int finished, connected, described, opened;
    struct wb_peer *far; /* `other`'s, of an engine that serves on a thread of its own */
    int (*ask)(struct side *side);
    int asked;
    struct wb_call *left[2]; /* calls that could not be waited for */
};

static int serve_chat(struct wb_context *context, struct wb_stream *stream, struct chat_in *in,
                      void *user)
{
    (void)context;
    (void)in;
    (void)user;
    ck_assert_uint_lt(served_count, SERVED_MOST);
    served[atomic_fetch_add(&served_count, 1)] = stream;
    return WB_OK;
}

static int serve_sum(struct wb_context *context, struct sum_in *in, struct sum_out *out, void *user)
{
    (void)context;
    (void)user;
    out->sum = in->a + in->b;
    return WB_OK;
}

static void is_told(struct wb_stream *stream, void *user)
{
    struct side *side = user;
    bool late = stream == side->stream && atomic_load(&side->dropped);
    atomic_fetch_add(late ? &side->told_late : &side->told, 1);
}

static void open_streams(struct side *side)
{
    struct chat_in in = {0};
    unsigned before = served_count;
    ck_assert_int_eq(chat_open(side->kept, &in, NULL, &side->stream), WB_OK);
    ck_assert_int_eq(chat_open(side->kept, &in, NULL, &side->quiet), WB_OK);
    test_scene_until(&scene, served_count == before + 2);
}

/* Whether the other sides of `ends` streams know that these have ended. */
static bool have_ended(unsigned ends)
{
    for (unsigned i = 0; i < served_count; i++) {
        ends -= wb_stream_status(served[i], NULL) != WB_OK ? 1 : 0;
    }
    return ends == 0;
}

static void wait_for_both(void)
{
    uint64_t start = test_clock_us();
    atomic_fetch_add(&inside, 1);
    while (atomic_load(&inside) < 2 && test_clock_us() - start < test_patience_us) {
        test_sleep_us(100);
    }
}

static void meet_then(struct wb_call *call, void *user)
{
    struct side *side = user;
    struct wb_peer_info info;
    struct sum_out out;
    side->finished = sum_finish(call, &out);
    wait_for_both();
    wb_stream_on_ready(side->quiet, is_told, side);
    wb_stream_on_ready(side->stream, is_told, side);
    wb_stream_drop(side->stream);
    atomic_store(&side->dropped, true);
    side->opened = chat_open(side->kept, &(struct chat_in){0}, NULL, &side->begun);
    side->connected = wb_connect(side->other, side->url, &side->made);
    side->described = wb_peer_describe(side->kept, &info);
    wb_peer_close(wb_peer_keep(side->kept));
    atomic_fetch_add(&over, 1);
}

static void *work(void *user)
{
    struct side *side = user;
    uint64_t start = test_clock_us();
    while (atomic_load(&over) < 2 && test_clock_us() - start < test_patience_us) {
        wb_progress(side->engine);
    }
    return NULL;
}

static bool is_right(int status)
{
    return status == WB_OK || status == WB_ERR_DEADLOCK;
}

static void close_streams(struct side *sides)
{
    unsigned begun = 0;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(is_right(sides[i].opened) || sides[i].opened == WB_ERR_CLOSED);
        ck_assert((sides[i].begun != NULL) == (sides[i].opened == WB_OK));
        begun += sides[i].begun != NULL;
        test_scene_until(&scene, sides[i].told > 0);
        ck_assert_uint_le(sides[i].told_late, 1);
        wb_stream_drop(sides[i].quiet);
        wb_stream_drop(sides[i].begun);
    }
    test_scene_until(&scene, served_count <= 4 + begun && have_ended(served_count));
    for (unsigned i = 0; i < served_count; i++) {
        wb_stream_drop(served[i]);
    }
}

static void open_sides(struct side *sides)
{
    test_scene_open(&scene, NULL);
    sides[0] = (struct side){.engine = scene.host, .other = scene.friend, .url = scene.host_url};
    sides[1] = (struct side){.engine = scene.friend, .other = scene.host, .url = scene.friend_url};
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(wb_connect(sides[i].engine, sides[1 - i].url, &sides[i].peer), WB_OK);
        sides[1 - i].kept = sides[i].peer;
        test_scene_until(&scene, wb_peer_state(sides[i].peer) == WB_PEER_CONNECTED);
    }
}

/* A call of each, and a thread for each: `then` is called in it. */
static void run_sides(struct side *sides, void (*const then[2])(struct wb_call *, void *))
{
    pthread_t threads[2];
    struct wb_call *call;
    struct sum_in in = {.a = 1, .b = 2};
    for (unsigned i = 0; i < 2; i++) {
        struct wb_call_options options = {
            .timeout_us = test_patience_us, .then = then[i], .user = &sides[i]};
        ck_assert_int_eq(sum_async(sides[i].peer, &in, &options, &call), WB_OK);
    }
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &sides[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(inside + over, 2 + 2);
}

static void close_sides(struct side *sides)
{
    for (unsigned i = 0; i < 2; i++) {
        wb_peer_close(sides[i].made);
        wb_peer_close(sides[i].peer);
    }
    test_scene_close(&scene);
}

START_TEST(test_none_waits_for_ever)
{
    static struct side sides[2];
    void (*const then[2])(struct wb_call *, void *) = {meet_then, meet_then};
    inside = over = 0;
    open_sides(sides);
    ck_assert_int_eq(chat_register(scene.host, serve_chat, NULL), WB_OK);
    ck_assert_int_eq(chat_register(scene.friend, serve_chat, NULL), WB_OK);
    for (unsigned i = 0; i < 2; i++) {
        open_streams(&sides[i]);
    }
    run_sides(sides, then);
    close_streams(sides);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(sides[i].finished, WB_OK);
        ck_assert(is_right(sides[i].connected) && is_right(sides[i].described));
        ck_assert((sides[i].made != NULL) == (sides[i].connected == WB_OK));
        /* what was closed in there is lost, maybe a little later */
        test_scene_until(&scene, wb_peer_state(sides[i].peer) == WB_PEER_LOST);
        ck_assert_str_ne(wb_peer_reason(sides[i].peer), "");
    }
    close_sides(sides);
}
END_TEST

/* One waits for a call to the other engine, whose lane the other thread keeps while that connects
 * back. */
static void call_then(struct wb_call *call, void *user)
{
    struct side *side = user;
    struct sum_in in = {.a = 3, .b = 4};
    const struct wb_call_options options = {.timeout_us = 50000}; /* nobody serves it meanwhile */
    struct sum_out out;
    side->finished = sum_finish(call, &out);
    wait_for_both();
    side->described = sum_call(side->kept, &in, &out, &options);
    atomic_fetch_add(&over, 1);
}

static void connect_then(struct wb_call *call, void *user)
{
    struct side *side = user;
    struct sum_out out;
    side->finished = sum_finish(call, &out);
    wait_for_both();
    side->connected = wb_connect(side->other, side->url, &side->made);
    atomic_fetch_add(&over, 1);
}

START_TEST(test_who_connects_does_not_wait_for_a_waiting_call)
{
    static struct side sides[2];
    void (*const then[2])(struct wb_call *, void *) = {call_then, connect_then};
    inside = over = 0;
    open_sides(sides);
    run_sides(sides, then);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(sides[i].finished, WB_OK);
    }
    ck_assert_int_eq(sides[0].described, WB_ERR_TIMED_OUT);
    ck_assert_int_eq(sides[1].connected, WB_ERR_DEADLOCK);
    close_sides(sides);
}
END_TEST

/* Each waits, for as long as it takes, for a call by the other engine, whose lane the other thread
 * keeps, to a third one that answers at once. */
static int ask_by_call(struct side *side)
{
    struct sum_in in = {.a = 3, .b = 4};
    struct sum_out out;
    return sum_call(side->far, &in, &out, NULL);
}

static void ask_far(struct side *side)
{
    struct sum_in in = {.a = 3, .b = 4};
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(sum_async(side->far, &in, NULL, &side->left[i]), WB_OK);
    }
}

/* A handle stays with who may not wait for it. */
static int ask_by_finish(struct side *side)
{
    struct sum_out out;
    ask_far(side);
    int status = sum_finish(side->left[0], &out);
    side->left[0] = status == WB_ERR_DEADLOCK ? side->left[0] : NULL;
    return status;
}

static int ask_for_all(struct side *side)
{
    ask_far(side);
    return wb_call_wait_all(side->left, 2, UINT64_MAX);
}

static int ask_for_any(struct side *side)
{
    size_t which;
    ask_far(side);
    int status = wb_call_wait_any(side->left, 2, UINT64_MAX, &which);
    ck_assert_uint_eq(which == 2, status != WB_OK);
    return status;
}

static void ask_then(struct wb_call *call, void *user)
{
    struct side *side = user;
    struct sum_out out;
    side->finished = sum_finish(call, &out);
    wait_for_both();
    side->asked = side->ask(side);
    atomic_fetch_add(&over, 1);
}

static void finish_left(struct side *side)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sum_out out;
        if (side->left[i] != NULL) {
            ck_assert_int_eq(sum_finish(side->left[i], &out), WB_OK);
            ck_assert_uint_eq(out.sum, 7);
        }
    }
}

static void ask_both(const char *far_url, int (*ask)(struct side *side))
{
    static struct side sides[2];
    void (*const then[2])(struct wb_call *, void *) = {ask_then, ask_then};
    inside = over = 0;
    open_sides(sides);
    for (unsigned i = 0; i < 2; i++) {
        sides[i].ask = ask;
        ck_assert_int_eq(wb_connect(sides[i].other, far_url, &sides[i].far), WB_OK);
        ck_assert_int_eq(wb_peer_wait(sides[i].far, test_patience_us), WB_OK);
    }
    run_sides(sides, then);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(sides[i].finished, WB_OK);
        ck_assert(is_right(sides[i].asked));
        finish_left(&sides[i]);
        wb_peer_close(sides[i].far);
    }
    /* who came second may not wait, and the first could then be served */
    ck_assert((sides[0].asked == WB_OK) != (sides[1].asked == WB_OK));
    close_sides(sides);
}

START_TEST(test_two_that_wait_for_each_others_engines)
{
    static int (*const asks[])(struct side *) = {ask_by_call, ask_by_finish, ask_for_all,
                                                 ask_for_any};
    struct wb_engine *far;
    char url[100];
    snprintf(url, sizeof url, "%s://far-%ld", wbi_shm_fabric.scheme, (long)getpid());
    ck_assert_int_eq(wb_engine_create(NULL, &far), WB_OK);
    ck_assert_int_eq(sum_register(far, serve_sum, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(far, url), WB_OK);
    ck_assert_int_eq(wb_engine_run(far, 1), WB_OK);
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        ask_both(url, asks[i]);
    }
    wb_engine_destroy(far);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_none_waits_for_ever,
                                  test_who_connects_does_not_wait_for_a_waiting_call,
                                  test_two_that_wait_for_each_others_engines};
    Suite *suite = suite_create("circles of lanes");
    suite_add_tcase(suite, test_program_case("circles", tests, 3));
    return test_program_run(suite, argc, argv);
}
