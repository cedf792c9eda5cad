/* A program with a loop of its own, by epoll: the engine's descriptor is waited for beside the
 * program's others, a socket in the server and a timer in the client. No thread of anybody's polls,
 * and none waits for a call: answers come by callback. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <waybill/waybill.h>

#define SQUARE_IN(F) F(VALUE, u32, number)
#define SQUARE_OUT(F) F(VALUE, u64, square)
WB_ACTION(square, SQUARE_IN, SQUARE_OUT)

enum { QUESTIONS = 20, PERIOD_MS = 2 };

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "05_epoll: %s: %s (%s)\n", what, wb_status_text(status), wb_last_error());
        exit(1);
    }
}

static void require(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

/* ---- the loop ---- */

struct loop {
    struct wb_engine *engine;
    int epoll;
    int other; /* the program's own descriptor */
};

static void loop_add(const struct loop *loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    require(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static struct loop loop_open(int other)
{
    struct loop loop = {.epoll = epoll_create1(EPOLL_CLOEXEC), .other = other};
    require(loop.epoll, "epoll_create1");
    check(wb_engine_create(NULL, &loop.engine), "engine");
    loop_add(&loop, wb_engine_fd(loop.engine));
    loop_add(&loop, other);
    return loop;
}

static void loop_close(const struct loop *loop)
{
    wb_engine_destroy(loop->engine);
    close(loop->epoll);
}

/* Sleeps until there is something, and lets the engine do its part of it: handlers and callbacks
 * run in here. Returns whether the other descriptor is readable. */
static bool loop_turn(const struct loop *loop)
{
    uint64_t timeout_us;
    int status;
    while ((status = wb_engine_arm(loop->engine, &timeout_us)) == WB_AGAIN) {
        wb_progress(loop->engine); /* it has something to do before it can sleep */
    }
    check(status, "arm");
    struct epoll_event events[2];
    int ready = epoll_wait(loop->epoll, events, 2, (int)((timeout_us + 999) / 1000));
    wb_progress(loop->engine); /* also when only time has passed: for deadlines */
    for (int i = 0; i < ready; i++) {
        if (events[i].data.fd == loop->other) {
            return true;
        }
    }
    return false;
}

/* ---- the server: until the client closes its end of the socket ---- */

static int serve_square(struct wb_context *context, struct square_in *in, struct square_out *out,
                        void *user)
{
    (void)context;
    (void)user;
    out->square = (uint64_t)in->number * in->number;
    return WB_OK;
}

static void serve(const char *url, int client)
{
    struct loop loop = loop_open(client);
    check(square_register(loop.engine, serve_square, NULL), "register");
    check(wb_listen(loop.engine, url), url);
    require((int)write(client, "!", 1), "write");
    while (!loop_turn(&loop)) {
    }
    loop_close(&loop);
}

/* ---- the client: a question at each tick of the timer ---- */

struct client {
    struct wb_peer *peer;
    uint32_t asked, answered;
    uint64_t sum;
};

static void on_answer(struct wb_call *call, void *user)
{
    struct client *client = user;
    struct square_out out;
    check(square_finish(call, &out), "answer");
    client->answered++;
    client->sum += out.square;
}

static void ask(struct client *client)
{
    struct wb_call_options options = {.then = on_answer, .user = client};
    struct square_in in = {.number = client->asked + 1};
    struct wb_call *call;
    int status = square_async(client->peer, &in, &options, &call);
    if (status != WB_AGAIN) { /* no room now: the next tick tries again */
        check(status, "ask");
        client->asked++;
    }
}

static int run_client(const char *url)
{
    struct itimerspec period = {.it_value.tv_nsec = PERIOD_MS * 1000000L,
                                .it_interval.tv_nsec = PERIOD_MS * 1000000L};
    struct client client = {0};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    require(timer, "timerfd_create");
    require(timerfd_settime(timer, 0, &period, NULL), "timerfd_settime");
    struct loop loop = loop_open(timer);
    check(wb_connect(loop.engine, url, &client.peer), url);
    while (client.answered < QUESTIONS) {
        uint64_t ticks;
        if (loop_turn(&loop) && read(timer, &ticks, sizeof ticks) > 0 && client.asked < QUESTIONS) {
            ask(&client);
        }
    }
    printf("The squares of 1 to %d: %llu in all.\n", QUESTIONS, (unsigned long long)client.sum);
    wb_peer_close(client.peer);
    loop_close(&loop);
    close(timer);
    return client.sum == QUESTIONS * (QUESTIONS + 1) * (2 * QUESTIONS + 1) / 6 ? 0 : 1;
}

int main(void)
{
    char url[64], byte;
    int ends[2], served = 1;
    snprintf(url, sizeof url, "shm://epoll.%ld", (long)getpid());
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return 1;
    }
    pid_t server = fork(); /* before there is an engine: each process makes its own */
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* it does not outlive us */
        close(ends[0]);
        serve(url, ends[1]);
        return 0;
    }
    close(ends[1]);
    if (server < 0 || read(ends[0], &byte, 1) != 1) {
        return 1; /* the server has said why */
    }
    int result = run_client(url);
    close(ends[0]);
    waitpid(server, &served, 0);
    return result != 0 || served != 0;
}
