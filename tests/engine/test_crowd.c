/* 32 threads and some 100 parcels that want more memory than there is, at both ends: each call ends
 * once, well or with a status that says why, and neither pool ever exceeds its budget. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mr_cache/validate.h"
#include "tests/support/driver.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

/* Takes a vector and bytes, says how far they were right, and makes a vector. */
#define TEST_WORK_IN(F)                                                                            \
    F(VALUE, u32, number)                                                                          \
    F(VALUE, u32, keep) F(VALUE, u64, wanted) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
#define TEST_WORK_OUT(F)                                                                           \
    F(VALUE, u64, raw_right) F(VALUE, u64, data_right) F(RMA, wb_rma_vector, data)
WB_ACTION(work, TEST_WORK_IN, TEST_WORK_OUT)

enum {
    THREADS = 32,
    WINDOW = 3, /* calls that a thread has open */
    CALLS = 24, /* of each thread, where it is not slow */
    SHELF = 6,  /* landings that the server's handlers keep at once */
    DRIVERS = 2,
    RAW_SEED = 7
};

static const uint64_t mib = 1 << 20, server_budget = 16 << 20, client_budget = 24 << 20;

/* ---- the server ---- */

struct kept {
    wb_rma_vector data;
    uint32_t number;
};

static struct {
    struct wb_engine *engine;
    struct test_driver drivers[DRIVERS];
    pthread_t keeper;
    atomic_bool stop;
    pthread_mutex_t mutex; /* guards the shelf */
    struct kept shelf[SHELF];
    unsigned kept;
    atomic_uint kept_ever, spoilt;
    atomic_uchar served[THREADS * CALLS]; /* handlers that succeeded, by call */
} server;

/* Leaves the vector where it is if the shelf is full. */
static void keep(wb_rma_vector *data, uint32_t number)
{
    pthread_mutex_lock(&server.mutex);
    if (server.kept < SHELF) {
        server.shelf[server.kept++] =
            (struct kept){.data = wb_rma_vector_take(data), .number = number};
        atomic_fetch_add(&server.kept_ever, 1);
    }
    pthread_mutex_unlock(&server.mutex);
}

static bool take_kept(struct kept *kept)
{
    pthread_mutex_lock(&server.mutex);
    bool any = server.kept > 0;
    if (any) {
        *kept = server.shelf[0];
        server.shelf[0] = server.shelf[--server.kept];
    }
    pthread_mutex_unlock(&server.mutex);
    return any;
}

/* Drops what handlers keep, one by one and not at once, on a thread that is no engine's. */
static void *drop_kept(void *unused)
{
    (void)unused;
    while (!atomic_load(&server.stop)) {
        struct kept kept;
        test_sleep_us(300);
        if (take_kept(&kept)) {
            size_t bytes = wb_rma_vector_bytes(&kept.data);
            bool right = test_pattern_check(kept.data.data, bytes, kept.number) == bytes;
            atomic_fetch_add(&server.spoilt, !right);
            wb_rma_vector_drop(&kept.data);
        }
    }
    return NULL;
}

static int on_work(struct wb_context *context, struct work_in *in, struct work_out *out, void *user)
{
    struct wb_rma_allocator *pool = wb_engine_allocator(wb_context_engine(context));
    size_t bytes = wb_rma_vector_bytes(&in->data);
    (void)user;
    if (in->wanted > 0) {
        int status = wb_rma_vector_create(pool, 1, in->wanted, &out->data);
        if (status != WB_OK) {
            return status; /* run again, where it is WB_AGAIN */
        }
        test_pattern_fill(out->data.data, in->wanted, in->number + 1);
    }
    out->raw_right = test_pattern_check(in->raw.data, in->raw.len, RAW_SEED);
    out->data_right = test_pattern_check(in->data.data, bytes, in->number);
    if (in->keep != 0) {
        keep(&in->data, in->number);
    }
    atomic_fetch_add(&server.served[in->number], 1);
    return WB_OK;
}

static void server_open(const char *url, enum wb_when_full when_full)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = server_budget;
    config.slab_bytes = 2 * mib;
    config.when_full = when_full;
    config.shed_beyond = 2;
    for (unsigned i = 0; i < THREADS * CALLS; i++) {
        atomic_store(&server.served[i], 0);
    }
    atomic_store(&server.stop, false);
    atomic_store(&server.kept_ever, 0);
    pthread_mutex_init(&server.mutex, NULL);
    ck_assert_int_eq(wb_engine_create(&config, &server.engine), WB_OK);
    ck_assert_int_eq(work_register(server.engine, on_work, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(server.engine, url), WB_OK);
    for (unsigned i = 0; i < DRIVERS; i++) {
        server.drivers[i] = (struct test_driver){.engine = server.engine};
        ck_assert(test_driver_start(&server.drivers[i]));
    }
    ck_assert_int_eq(pthread_create(&server.keeper, NULL, drop_kept, NULL), 0);
}

static void server_close(void)
{
    struct kept kept;
    for (unsigned i = 0; i < DRIVERS; i++) {
        test_driver_stop(&server.drivers[i]);
    }
    atomic_store(&server.stop, true);
    pthread_join(server.keeper, NULL);
    while (take_kept(&kept)) {
        wb_rma_vector_drop(&kept.data);
    }
    test_assert_quiet(server.engine, 0);
    wb_engine_destroy(server.engine);
    pthread_mutex_destroy(&server.mutex);
    ck_assert_uint_eq(server.spoilt, 0);
}

/* ---- the callers ---- */

/* What a run is about: how calls may end but well. */
struct manner {
    uint64_t timeout_us;
    enum wb_when_full when_full;
    int otherwise; /* WB_OK: in no other way */
};

struct open_call {
    struct wb_call *call; /* NULL: this place is empty */
    uint32_t number;
    size_t raw_bytes, data_bytes, wanted;
};

struct caller {
    pthread_t thread;
    unsigned first; /* number of its first call */
    uint64_t random;
    char complaint[300]; /* the first; Check takes none from other threads than its own */
    struct open_call open[WINDOW];
    unsigned begun, ended, good;
};

static struct {
    struct wb_engine *engine;
    struct wb_peer *peer;
    const struct manner *manner;
    uint8_t *raw; /* more than the server's budget */
    struct caller callers[THREADS];
    atomic_uint otherwise; /* of all of them, so far */
    unsigned calls;        /* of each */
} client;

/* Between `least` and `most`, every doubling as likely as any other. */
static size_t random_bytes(uint64_t *random, size_t least, size_t most)
{
    size_t bytes = least;
    for (uint64_t bits = test_pattern_random(random); bits % 8 != 0 && bytes < most; bits /= 8) {
        bytes *= 2;
    }
    bytes += test_pattern_random(random) % bytes;
    return bytes < most ? bytes : most;
}

static void complain(struct caller *caller, const struct open_call *open, int status)
{
    if (caller->complaint[0] == '\0') {
        snprintf(
            caller->complaint, sizeof caller->complaint,
            "call %u (%zu bytes, a vector of %zu, one of %zu wanted): %s, served %u times (%s)",
            open->number, open->raw_bytes, open->data_bytes, open->wanted, wb_status_name(status),
            atomic_load(&server.served[open->number]), wb_last_error());
    }
}

static size_t raw_most(void)
{
    return (size_t)(server_budget + 2 * mib);
}

/* Whether a call may fail like this. A caller that comes a second too late, for the machine is busy
 * with others, finds the reply withdrawn. */
static bool may_end_with(int status)
{
    int otherwise = client.manner->otherwise;
    return status != WB_OK &&
           (status == otherwise || (otherwise == WB_ERR_TIMED_OUT && status == WB_ERR_REVOKED));
}

static bool is_right(const struct open_call *open, const struct work_out *out)
{
    return out->raw_right == open->raw_bytes && out->data_right == open->data_bytes &&
           out->data.count == open->wanted &&
           test_pattern_check(out->data.data, open->wanted, open->number + 1) == open->wanted;
}

/* Finishes the call, and checks what it says. */
static void finish(struct caller *caller, struct open_call *open)
{
    struct work_out out;
    int status = work_finish(open->call, &out);
    unsigned served = atomic_load(&server.served[open->number]);
    bool expected;
    if (open->raw_bytes == raw_most()) {
        expected = served == 0 && (status == WB_ERR_BUDGET || may_end_with(status));
    } else if (status == WB_OK) {
        expected = served == 1 && is_right(open, &out);
    } else {
        expected = served <= 1 && may_end_with(status);
        atomic_fetch_add(&client.otherwise, 1);
    }
    if (!expected) {
        complain(caller, open, status);
    }
    caller->ended++;
    caller->good += status == WB_OK;
    work_out_drop(&out);
    open->call = NULL;
}

static bool finish_any(struct caller *caller)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        if (caller->open[i].call != NULL) {
            finish(caller, &caller->open[i]);
            return true;
        }
    }
    return false;
}

/* One attempt: WB_OK, WB_AGAIN where the caller's own pool is full, or what should not be. */
static int begin_once(struct open_call *open, bool keeps, bool copies)
{
    struct wb_call_options options = {.timeout_us = client.manner->timeout_us,
                                      .reply_bytes = open->wanted + 64,
                                      .flags = copies ? WB_CALL_COPY : 0};
    struct work_in in = {.number = open->number,
                         .keep = keeps,
                         .wanted = open->wanted,
                         .raw = {.data = client.raw, .len = open->raw_bytes}};
    int status = WB_OK;
    if (open->data_bytes > 0) {
        status =
            wb_rma_vector_create(wb_engine_allocator(client.engine), 1, open->data_bytes, &in.data);
    }
    if (status == WB_OK) {
        test_pattern_fill(in.data.data, open->data_bytes, open->number);
        status = work_async(client.peer, &in, &options, &open->call);
    }
    work_in_drop(&in);
    return status;
}

/* A thread that waits for its own pool lets go of what it has first: who waits holds nothing. */
static void begin(struct caller *caller, struct open_call *open)
{
    uint64_t kind = test_pattern_random(&caller->random) % 16, start = test_clock_us();
    int status;
    *open = (struct open_call){.number = caller->first + caller->begun};
    if (kind == 0) { /* by pointer: it is in nobody's pool yet */
        open->raw_bytes = raw_most();
    } else {
        open->raw_bytes = kind % 2 ? random_bytes(&caller->random, 100, (size_t)mib) : 0;
        open->data_bytes = kind % 4 ? random_bytes(&caller->random, 1000, (size_t)(2 * mib)) : 0;
        /* the smallest are packed, and have the call's room all the same */
        open->wanted = kind % 3 == 0 ? random_bytes(&caller->random, 500, (size_t)(2 * mib)) : 0;
    }
    while ((status = begin_once(open, kind % 2, kind == 5)) == WB_AGAIN) {
        if (test_clock_us() - start > test_patience_us) {
            break;
        }
        if (!finish_any(caller)) {
            wb_wait(client.engine, 1000);
        }
    }
    if (status != WB_OK) {
        complain(caller, open, status);
    }
    caller->begun++;
}

static void *call(void *argument)
{
    struct caller *caller = argument;
    while (caller->begun < client.calls && caller->complaint[0] == '\0') {
        struct open_call *open = &caller->open[caller->begun % WINDOW];
        if (open->call != NULL) {
            finish(caller, open);
        }
        begin(caller, open);
    }
    while (finish_any(caller)) {
    }
    return NULL;
}

static void client_open(const char *url, const struct manner *manner)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = client_budget;
    config.slab_bytes = 2 * mib;
    client.manner = manner;
    client.calls = test_scaled(CALLS);
    client.calls = client.calls > WINDOW ? client.calls : WINDOW;
    atomic_store(&client.otherwise, 0);
    client.raw = malloc(raw_most());
    ck_assert_ptr_nonnull(client.raw);
    test_pattern_fill(client.raw, raw_most(), RAW_SEED);
    ck_assert_int_eq(wb_engine_create(&config, &client.engine), WB_OK);
    ck_assert_int_eq(wb_connect(client.engine, url, &client.peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(client.peer, test_patience_us), WB_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        client.callers[i] = (struct caller){.first = i * CALLS, .random = i + 1};
    }
}

static void client_close(void)
{
    test_assert_quiet(client.engine, 0);
    wb_peer_close(client.peer);
    wb_engine_destroy(client.engine);
    free(client.raw);
}

/* ---- together ---- */

enum { MOST_HELD = 64 };

/* What a program of the server's side holds of its pool. */
struct held {
    wb_rma_vector blocks[MOST_HELD];
    unsigned count;
    uint64_t waits; /* of the pool, before */
};

/* Takes all the room that the server leaves to a program; before anybody calls, so that some must
 * want more than there is. */
static void crowd_the_server(struct held *held)
{
    struct wb_rma_allocator *pool = wb_engine_allocator(server.engine);
    struct wb_rma_stats stats;
    *held = (struct held){.count = 0};
    for (size_t bytes = (size_t)(2 * mib); bytes >= 64 << 10; bytes /= 2) {
        while (held->count < MOST_HELD &&
               wb_rma_vector_create(pool, 1, bytes, &held->blocks[held->count]) == WB_OK) {
            held->count++;
        }
    }
    wb_rma_allocator_stats(pool, &stats);
    held->waits = stats.waits;
}

/* Gives the room back when the server has had to tell somebody that there is none. */
static void relieve_the_server(struct held *held)
{
    struct wb_rma_allocator *pool = wb_engine_allocator(server.engine);
    struct wb_rma_stats stats;
    uint64_t start = test_clock_us();
    bool told;
    do {
        test_sleep_us(1000);
        wb_rma_allocator_stats(pool, &stats);
        told = client.manner->otherwise == WB_OK ? stats.waits > held->waits
                                                 : atomic_load(&client.otherwise) > 0;
        test_check(told || test_clock_us() - start < test_patience_us, "nobody wants too much");
    } while (!told);
    while (held->count > 0) {
        wb_rma_vector_drop(&held->blocks[--held->count]);
    }
}

static void assert_within_budget(struct wb_engine *engine, uint64_t budget)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(wb_engine_allocator(engine), &stats);
    ck_assert_uint_eq(stats.budget_bytes, budget);
    ck_assert_uint_le(stats.engine_peak_bytes, budget);
    ck_assert_uint_le(stats.peak_used_bytes, budget);
    ck_assert_uint_gt(stats.peak_used_bytes, budget / 2); /* there was a crowd */
}

static void assert_each_ended_once(void)
{
    struct wb_engine_stats stats;
    unsigned begun = 0, ended = 0, good = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        const struct caller *caller = &client.callers[i];
        ck_assert_msg(caller->complaint[0] == '\0', "thread %u: %s", i, caller->complaint);
        begun += caller->begun;
        ended += caller->ended;
        good += caller->good;
    }
    wb_engine_stats(client.engine, &stats);
    ck_assert_uint_eq(begun, THREADS * client.calls);
    ck_assert_uint_eq(ended, begun);
    ck_assert_uint_eq(stats.calls_begun, begun);
    ck_assert_uint_eq(stats.calls_ended, begun);
    ck_assert_uint_eq(stats.peers_lost + stats.protocol_errors, 0);
    ck_assert_uint_gt(good, 0);
    ck_assert_uint_gt(server.kept_ever, 0);
}

START_TEST(test_a_crowd)
{
    static const struct manner manners[] = {
        {2 * test_patience_us, WB_FULL_WAIT, WB_OK},
        {50000, WB_FULL_WAIT, WB_ERR_TIMED_OUT},
        {2 * test_patience_us, WB_FULL_REFUSE, WB_ERR_BUSY},
        {2 * test_patience_us, WB_FULL_SHED, WB_ERR_BUSY},
    };
    char url[64];
    snprintf(url, sizeof url, "shm://crowd-%ld-%d", (long)getpid(), _i);
    server_open(url, manners[_i].when_full);
    client_open(url, &manners[_i]);
    struct held held;
    crowd_the_server(&held);
    for (unsigned i = 0; i < THREADS; i++) {
        struct caller *caller = &client.callers[i];
        ck_assert_int_eq(pthread_create(&caller->thread, NULL, call, caller), 0);
    }
    relieve_the_server(&held);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(client.callers[i].thread, NULL);
    }
    assert_each_ended_once();
    assert_within_budget(client.engine, client_budget);
    assert_within_budget(server.engine, server_budget);
    client_close();
    server_close();
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("crowd");
    TCase *tcase = tcase_create("crowd");
    tcase_add_loop_test(tcase, test_a_crowd, 0, 4);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
