/* What other threads have left for a lane does not wait for the callbacks of who holds it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <waybill/waybill.h>

#include "tests/support/program.h"

#define NOTHING(F)
WB_ACTION(ask, NOTHING, NOTHING)  /* the host pokes who asks, and answers */
WB_ACTION(poke, NOTHING, NOTHING) /* the guest's */
WB_ACTION(mark, NOTHING, NOTHING) /* the host notes it */

static struct wb_engine *host, *guest;
static struct wb_peer *peer; /* the guest's, of the host */
static _Atomic bool in_handler, left, marked, told, marked_when_told;

static void rest(void)
{
    usleep(100);
}

/* Waits for a flag, `us` at most. */
static bool await(const _Atomic bool *flag, uint64_t us)
{
    uint64_t start = test_clock_us();
    while (!atomic_load(flag) && test_clock_us() - start < us) {
        rest();
    }
    return atomic_load(flag);
}

static void end_poke(struct wb_call *call, void *user)
{
    struct poke_out out;
    (void)user;
    poke_finish(call, &out);
}

static int on_ask(struct wb_context *context, struct ask_in *in, struct ask_out *out, void *user)
{
    struct wb_call_options options = {.then = end_poke};
    struct poke_in nothing = {0};
    struct wb_call *call;
    (void)in;
    (void)out;
    (void)user;
    return poke_async(wb_context_peer(context), &nothing, &options, &call);
}

static int on_mark(struct wb_context *context, struct mark_in *in, struct mark_out *out, void *user)
{
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    atomic_store(&marked, true);
    return WB_OK;
}

/* What the host has sent: the question's answer is behind the poke, in the ring of this poll. */
static uint64_t sent_by_host(void)
{
    struct wb_engine_stats stats;
    wb_engine_stats(host, &stats);
    return stats.parcels_sent;
}

static int on_poke(struct wb_context *context, struct poke_in *in, struct poke_out *out, void *user)
{
    uint64_t start = test_clock_us();
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    atomic_store(&in_handler, true);
    while (sent_by_host() < 2 && test_clock_us() - start < test_patience_us) {
        rest();
    }
    return await(&left, test_patience_us) ? WB_OK : 1;
}

/* Takes its time until the mark is there. */
static void then_wait(struct wb_call *call, void *user)
{
    struct ask_out out;
    (void)user;
    ask_finish(call, &out);
    atomic_store(&marked_when_told, await(&marked, test_patience_us / 10));
    atomic_store(&told, true);
}

/* Leaves a call for the lane, whose holder is in a handler. */
static void *leave_one(void *unused)
{
    struct mark_in nothing = {0};
    struct mark_out out;
    struct wb_call *call;
    (void)unused;
    await(&in_handler, test_patience_us);
    int status = mark_async(peer, &nothing, NULL, &call);
    atomic_store(&left, true);
    return status == WB_OK && mark_finish(call, &out) == WB_OK ? peer : NULL;
}

START_TEST(test_parcels_go_before_callbacks)
{
    char url[64];
    pthread_t thread;
    void *well;
    struct ask_in nothing = {0};
    struct wb_call *call;
    struct wb_call_options options = {.then = then_wait, .timeout_us = test_patience_us};
    snprintf(url, sizeof url, "shm://leave.%ld", (long)getpid());
    ck_assert_int_eq(wb_engine_create(NULL, &host), WB_OK);
    ck_assert_int_eq(wb_engine_create(NULL, &guest), WB_OK);
    ck_assert_int_eq(ask_register(host, on_ask, NULL), WB_OK);
    ck_assert_int_eq(mark_register(host, on_mark, NULL), WB_OK);
    ck_assert_int_eq(poke_register(guest, on_poke, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(host, url), WB_OK);
    ck_assert_int_eq(wb_engine_run(host, 1), WB_OK);
    ck_assert_int_eq(wb_connect(guest, url, &peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(peer, test_patience_us), WB_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, leave_one, NULL), 0);
    ck_assert_int_eq(ask_async(peer, &nothing, &options, &call), WB_OK);
    uint64_t start = test_clock_us();
    while (!atomic_load(&told) && test_clock_us() - start < test_patience_us) {
        wb_progress(guest);
    }
    ck_assert(atomic_load(&told));
    ck_assert(atomic_load(&marked_when_told));
    while (!atomic_load(&marked)) {
        wb_progress(guest);
    }
    pthread_join(thread, &well);
    ck_assert_ptr_nonnull(well);
    wb_peer_close(peer);
    wb_engine_destroy(guest);
    wb_engine_destroy(host);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: leaving a lane");
    TCase *tcase = tcase_create("leave");
    tcase_add_test(tcase, test_parcels_go_before_callbacks);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
