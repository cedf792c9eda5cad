/* Handlers as tasks of a work-stealing pool (task_pool.h): two sites compute a Fibonacci number
 * together, each task by asking the other site for its two halves. Odd ones leave their worker and
 * are resumed when both calls have ended; even ones wait, and do other tasks meanwhile. */
#include <stdio.h>
#include <unistd.h>

#include "examples/task_pool.h"

#define FIB_IN(F) F(VALUE, u32, n)
#define FIB_OUT(F) F(VALUE, u64, value)
WB_ACTION(fib, FIB_IN, FIB_OUT)

enum { NUMBER = 20, SMALL = 8, LARGEST = 40, VALUE = 6765 };

static const uint64_t timeout_us = 120000000;

/* An engine, and its way to the other one. Here they share a process and a pool. */
struct site {
    struct pool *pool;
    struct wb_engine *engine;
    struct wb_peer *other;
    atomic_int room; /* calls that the other site takes besides those that it has */
};

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "07_task_pool: %s: %s (%s)\n", what, wb_status_text(status),
                wb_last_error());
        exit(1);
    }
}

static uint64_t compute(uint32_t n)
{
    return n < 2 ? n : compute(n - 1) + compute(n - 2);
}

/* Calls that are answered late hold credits, and wait for calls that need some, both ways. So none
 * is begun that would have to wait for one: what finds no room is computed at home. */
static bool take_room(struct site *site)
{
    if (atomic_fetch_sub(&site->room, 1) > 0) {
        return true;
    }
    atomic_fetch_add(&site->room, 1);
    return false;
}

/* ---- a task that is resumed ---- */

struct fork {
    struct pool_join join; /* the first: its task is what is resumed */
    struct site *site;
    struct wb_deferred *answer;
    struct wb_call *halves[2];
    uint64_t at_home; /* of halves that were not asked for */
};

static void resume(struct task *task)
{
    struct fork *fork = (struct fork *)task;
    struct fib_out out = {.value = fork->at_home};
    int status = WB_OK;
    for (unsigned i = 0; i < 2; i++) {
        struct fib_out half;
        if (fork->halves[i] != NULL) {
            int ended = fib_finish(fork->halves[i], &half); /* has ended: does not wait */
            atomic_fetch_add(&fork->site->room, 1);
            status = status == WB_OK ? ended : status;
            out.value += half.value;
        }
    }
    if (status == WB_OK) {
        fib_reply(fork->answer, &out); /* or nobody waits any more: that is no matter */
    } else {
        wb_deferred_fail(fork->answer, 1, "a half: %s", wb_status_text(status));
    }
    free(fork);
}

static void ask(struct fork *fork, struct wb_call **half, uint32_t n)
{
    struct wb_call_options options = {
        .timeout_us = timeout_us, .then = pool_then, .user = &fork->join};
    struct fib_in in = {.n = n};
    if (take_room(fork->site)) {
        if (fib_async(fork->site->other, &in, &options, half) == WB_OK) {
            return;
        }
        atomic_fetch_add(&fork->site->room, 1);
    }
    fork->at_home += compute(n);
    pool_part(&fork->join);
}

static int answer_later(struct wb_context *context, struct site *site, uint32_t n)
{
    struct fork *fork = malloc(sizeof *fork);
    if (fork == NULL) {
        return wb_context_fail(context, 1, "no memory for a task");
    }
    *fork = (struct fork){.join = {.task.run = resume, .pool = site->pool}, .site = site};
    atomic_init(&fork->join.parts, 3); /* both halves, and we */
    int status = wb_context_defer(context, &fork->answer);
    if (status != WB_OK) {
        free(fork);
        return status;
    }
    ask(fork, &fork->halves[0], n - 1);
    ask(fork, &fork->halves[1], n - 2);
    pool_part(&fork->join);
    return WB_OK;
}

/* ---- a task that waits ---- */

static int await_half(struct site *site, uint32_t n, uint64_t *value)
{
    struct wb_call_options options = {.timeout_us = timeout_us};
    struct fib_in in = {.n = n};
    struct fib_out out;
    if (!take_room(site)) {
        *value += compute(n);
        return WB_OK;
    }
    int status = fib_call(site->other, &in, &out, &options);
    atomic_fetch_add(&site->room, 1);
    *value += out.value;
    return status;
}

static int serve_fib(struct wb_context *context, struct fib_in *in, struct fib_out *out, void *user)
{
    if (in->n > LARGEST) {
        return wb_context_fail(context, 1, "fib(%u): up to %d here", in->n, LARGEST);
    }
    if (in->n < SMALL) {
        out->value = compute(in->n);
        return WB_OK;
    }
    if (in->n % 2 == 1) {
        return answer_later(context, user, in->n);
    }
    int status = await_half(user, in->n - 1, &out->value);
    if (status == WB_OK) {
        status = await_half(user, in->n - 2, &out->value);
    }
    return status == WB_OK ? WB_OK
                           : wb_context_fail(context, 1, "a half: %s", wb_status_text(status));
}

/* ---- both sites ---- */

static void open_site(struct site *site, struct pool *pool, const char *url)
{
    site->pool = pool;
    check(wb_engine_create(NULL, &site->engine), "engine");
    check(fib_register_on(site->engine, &pool->executor, serve_fib, site), "register");
    check(wb_listen(site->engine, url), url);
    check(wb_engine_run(site->engine, 1), "run"); /* who waits in it makes progress as well */
}

static void connect_site(struct site *site, const char *url)
{
    struct wb_peer_info info;
    check(wb_connect(site->engine, url, &site->other), url);
    check(wb_peer_wait(site->other, timeout_us), "connect");
    check(wb_peer_describe(site->other, &info), "describe");
    atomic_init(&site->room, (int)info.credits / 2); /* others may be on their way back */
}

int main(void)
{
    static struct pool pool;
    static struct site sites[2];
    char urls[2][64];
    uint64_t value = 0;
    if (!pool_open(&pool)) {
        return 1;
    }
    for (unsigned i = 0; i < 2; i++) {
        snprintf(urls[i], sizeof urls[i], "shm://pool.%ld.%u", (long)getpid(), i);
        open_site(&sites[i], &pool, urls[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        connect_site(&sites[i], urls[1 - i]);
    }

    check(await_half(&sites[0], NUMBER, &value), "fib");
    for (unsigned i = 0; i < 2; i++) {
        check(wb_engine_halt(sites[i].engine), "halt"); /* nothing gives the pool tasks any more */
    }
    pool_close(&pool); /* before the engines that its workers are in */
    for (unsigned i = 0; i < 2; i++) {
        wb_peer_close(sites[i].other);
        wb_engine_destroy(sites[i].engine);
    }
    printf("fib(%d) is %llu, by %lu tasks, of which %lu were stolen.\n", NUMBER,
           (unsigned long long)value, pool.done, pool.stolen);
    return value == VALUE ? 0 : 1;
}
