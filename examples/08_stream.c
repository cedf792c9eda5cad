/* A stream: the client sends samples and the server sends back a running mean for each, both at
 * once. The server's side never waits: it is moved on by a callback, and goes no faster than the
 * client takes. The client's side waits where it has nothing else to do. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <waybill/waybill.h>

#define MEAN_IN(F) F(VALUE, f64, start)
#define MEAN_UP(F) F(VALUE, f64, sample)
#define MEAN_DOWN(F) F(VALUE, u32, samples) F(VALUE, f64, mean)
WB_STREAM(mean, MEAN_IN, MEAN_UP, MEAN_DOWN)

enum { SAMPLES = 1000 };
static const uint64_t patience_us = 10000000;

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "08_stream: %s: %s (%s)\n", what, wb_status_text(status), wb_last_error());
        exit(1);
    }
}

/* ---- the server ---- */

struct session {
    double sum;
    struct mean_down next; /* to be sent, where samples != 0 */
    uint32_t samples;
};

static int take(struct wb_stream *stream, struct session *session)
{
    struct mean_up item;
    int status = mean_up_next(stream, &item, 0);
    if (status == WB_OK) {
        session->sum += item.sample;
        session->samples++;
        session->next.samples = session->samples;
        session->next.mean = session->sum / session->samples;
        mean_up_drop(&item);
    }
    return status;
}

static int give(struct wb_stream *stream, struct session *session)
{
    int status = mean_down_send(stream, &session->next, 0);
    if (status == WB_OK) {
        session->next.samples = 0;
    }
    return status;
}

/* Called when there is something to take, room to send, or an end: goes on until neither is. */
static void on_ready(struct wb_stream *stream, void *user)
{
    struct session *session = user;
    int status = WB_OK;
    while (status == WB_OK) {
        status = (session->next.samples == 0 ? take : give)(stream, session);
    }
    if (status == WB_AGAIN) {
        return; /* it will be called again */
    }
    if (status == WB_END) {
        wb_stream_finish(stream); /* the client has sent all, and gets the end behind our last */
    }
    wb_stream_drop(stream);
    free(session);
}

static int serve_mean(struct wb_context *context, struct wb_stream *stream, struct mean_in *in,
                      void *user)
{
    (void)user;
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return wb_context_fail(context, 1, "no memory");
    }
    session->sum = in->start;
    wb_stream_on_ready(stream, on_ready, session); /* the stream is ours from here on */
    return WB_OK;
}

static void serve(const char *url, int ready)
{
    struct wb_engine *engine;
    check(wb_engine_create(NULL, &engine), "engine");
    check(mean_register(engine, serve_mean, NULL), "register");
    check(wb_listen(engine, url), url);
    if (write(ready, "!", 1) != 1) {
        exit(1);
    }
    for (;;) {
        wb_wait(engine, 1000000); /* until the client ends this process */
    }
}

/* ---- the client ---- */

static double run_client(const char *url)
{
    struct wb_engine *engine;
    struct wb_peer *peer;
    struct wb_stream *stream;
    struct mean_in in = {.start = 0};
    struct mean_down last = {0};
    uint32_t sent = 0;
    check(wb_engine_create(NULL, &engine), "engine");
    check(wb_connect(engine, url, &peer), url);
    check(mean_open(peer, &in, NULL, &stream), "open");
    while (last.samples < SAMPLES) {
        struct mean_up item = {.sample = sent};
        /* ahead as far as it goes; it waits only where there is nothing to be taken either */
        uint64_t wait_us = sent == last.samples ? patience_us : 0;
        int status = sent < SAMPLES ? mean_up_send(stream, &item, wait_us) : WB_AGAIN;
        if (status == WB_OK) {
            sent++;
        } else if (status == WB_AGAIN) {
            check(mean_down_next(stream, &last, patience_us), "next");
        } else {
            check(status, "send");
        }
    }
    check(wb_stream_finish(stream), "finish");
    struct mean_down none;
    check(mean_down_next(stream, &none, patience_us) == WB_END ? WB_OK : WB_ERR_PROTOCOL, "end");
    wb_stream_drop(stream);
    wb_peer_close(peer);
    wb_engine_destroy(engine);
    return last.mean;
}

int main(void)
{
    char url[64], byte;
    int ends[2];
    snprintf(url, sizeof url, "shm://stream.%ld", (long)getpid());
    if (pipe(ends) != 0) {
        return 1;
    }
    pid_t server = fork(); /* before there is an engine: each process makes its own */
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* it does not outlive us */
        serve(url, ends[1]);
    }
    close(ends[1]);
    if (server < 0 || read(ends[0], &byte, 1) != 1) {
        return 1; /* the server has said why */
    }
    double mean = run_client(url);
    printf("The mean of 0 to %d: %g.\n", SAMPLES - 1, mean);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return mean == (SAMPLES - 1) / 2.0 ? 0 : 1;
}
