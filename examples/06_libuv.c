/* A program whose loop is libuv's. An engine takes part in it by three handles: one for its
 * descriptor, one before the loop sleeps, and a timer for its deadlines. Here two do, one that
 * serves and one that asks, beside a timer of the program's; in two processes it is the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include <waybill/waybill.h>

#define SQUARE_IN(F) F(VALUE, u32, number)
#define SQUARE_OUT(F) F(VALUE, u64, square)
WB_ACTION(square, SQUARE_IN, SQUARE_OUT)

enum { QUESTIONS = 20, PERIOD_MS = 2 };

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "06_libuv: %s: %s (%s)\n", what, wb_status_text(status), wb_last_error());
        exit(1);
    }
}

static void require(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "06_libuv: %s: %s\n", what, uv_strerror(result));
        exit(1);
    }
}

/* ---- the engine in the loop: what a program would take over as it is ---- */

struct guest {
    struct wb_engine *engine;
    uv_poll_t readable; /* something came */
    uv_prepare_t sleep; /* the loop is about to wait */
    uv_timer_t due;     /* the engine wants to look at its deadlines */
};

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct guest *guest = handle->data;
    (void)events;
    require(status, "poll");
    wb_progress(guest->engine); /* handlers and callbacks run in here */
}

static void on_due(uv_timer_t *handle)
{
    struct guest *guest = handle->data;
    wb_progress(guest->engine);
}

/* The last that happens before the loop looks how long it may wait. */
static void on_sleep(uv_prepare_t *handle)
{
    struct guest *guest = handle->data;
    uint64_t timeout_us;
    int status;
    while ((status = wb_engine_arm(guest->engine, &timeout_us)) == WB_AGAIN) {
        wb_progress(guest->engine);
    }
    check(status, "arm");
    require(uv_timer_start(&guest->due, on_due, (timeout_us + 999) / 1000, 0), "timer");
}

static void guest_open(struct guest *guest, uv_loop_t *loop)
{
    check(wb_engine_create(NULL, &guest->engine), "engine");
    guest->readable.data = guest->sleep.data = guest->due.data = guest;
    require(uv_poll_init(loop, &guest->readable, wb_engine_fd(guest->engine)), "poll");
    require(uv_prepare_init(loop, &guest->sleep), "prepare");
    require(uv_timer_init(loop, &guest->due), "timer");
    require(uv_poll_start(&guest->readable, UV_READABLE, on_readable), "poll");
    require(uv_prepare_start(&guest->sleep, on_sleep), "prepare");
}

/* ---- the program ---- */

static int serve_square(struct wb_context *context, struct square_in *in, struct square_out *out,
                        void *user)
{
    (void)context;
    (void)user;
    out->square = (uint64_t)in->number * in->number;
    return WB_OK;
}

struct client {
    uv_loop_t loop;
    uv_timer_t tick;
    struct wb_peer *peer;
    uint32_t asked, answered;
    uint64_t sum;
};

static void on_answer(struct wb_call *call, void *user)
{
    struct client *client = user;
    struct square_out out;
    check(square_finish(call, &out), "answer");
    client->sum += out.square;
    if (++client->answered == QUESTIONS) {
        uv_stop(&client->loop);
    }
}

static void on_tick(uv_timer_t *handle)
{
    struct client *client = handle->data;
    struct wb_call_options options = {.then = on_answer, .user = client};
    struct square_in in = {.number = client->asked + 1};
    struct wb_call *call;
    int status = square_async(client->peer, &in, &options, &call);
    if (status == WB_AGAIN) {
        return; /* no room now: the next tick tries again */
    }
    check(status, "ask");
    if (++client->asked == QUESTIONS) {
        uv_timer_stop(handle);
    }
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    uv_close(handle, NULL);
}

/* Ends the handles, then the loop. */
static void close_loop(uv_loop_t *loop)
{
    uv_walk(loop, close_handle, NULL);
    require(uv_run(loop, UV_RUN_DEFAULT), "run");
    require(uv_loop_close(loop), "close");
}

int main(void)
{
    char url[64];
    struct guest serving, asking;
    struct client client = {.tick.data = &client};
    snprintf(url, sizeof url, "shm://libuv.%ld", (long)getpid());
    require(uv_loop_init(&client.loop), "loop");
    guest_open(&serving, &client.loop);
    guest_open(&asking, &client.loop);
    check(square_register(serving.engine, serve_square, NULL), "register");
    check(wb_listen(serving.engine, url), url);
    check(wb_connect(asking.engine, url, &client.peer), url);
    require(uv_timer_init(&client.loop, &client.tick), "timer");
    require(uv_timer_start(&client.tick, on_tick, PERIOD_MS, PERIOD_MS), "timer");

    uv_run(&client.loop, UV_RUN_DEFAULT); /* until the last answer stops it */
    printf("The squares of 1 to %d: %llu in all.\n", QUESTIONS, (unsigned long long)client.sum);

    close_loop(&client.loop); /* before the engines, whose descriptors it has */
    wb_peer_close(client.peer);
    wb_engine_destroy(asking.engine);
    wb_engine_destroy(serving.engine);
    return client.sum == QUESTIONS * (QUESTIONS + 1) * (2 * QUESTIONS + 1) / 6 ? 0 : 1;
}
