#include "perf/crowd.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "perf/common_patience.h"
#include "perf/common_say.h"
#include "perf/local_server.h"
#include "perf/measure.h"
#include "perf/report.h"
#include "perf/setup.h"

/* How long before a span all are told of it, so that it finds all of them calling. */
enum { AHEAD_NS = 20000000 };

/* The parent's. */
struct crowd {
    const struct options *options;
    struct child server, client[PROCESSES_MAX];
    char url[LISTEN_URL_ROOM]; /* of the server that --local has started */
    struct result result;
    struct figures told; /* by the client that is listened to */
    bool ahead;          /* whether the first client has said that it is ready */
};

/* ---- what goes through a socket pair; each returns 0, or HEARD_GONE: the other end is ---- */

enum { HEARD_GONE = 1, HEARD_NOTHING };

static int send_all(int link, const void *data, size_t bytes)
{
    for (size_t sent = 0; sent < bytes;) {
        ssize_t some = send(link, (const char *)data + sent, bytes - sent, MSG_NOSIGNAL);
        if (some < 0 && errno != EINTR) {
            return HEARD_GONE;
        }
        sent += some > 0 ? (size_t)some : 0;
    }
    return 0;
}

/* Or HEARD_NOTHING for so long (-1: for ever). */
static int receive_all(int link, void *data, size_t bytes, int timeout_ms)
{
    for (size_t got = 0; got < bytes;) {
        struct pollfd poller = {.fd = link, .events = POLLIN};
        int ready = poll(&poller, 1, timeout_ms);
        if (ready == 0) {
            return HEARD_NOTHING;
        }
        ssize_t some = ready > 0 ? recv(link, (char *)data + got, bytes - got, 0) : -1;
        if (some == 0 || (some < 0 && errno != EINTR)) {
            return HEARD_GONE;
        }
        got += some > 0 ? (size_t)some : 0;
    }
    return 0;
}

/* ---- a client ---- */

int crowd_await_span(int link, struct span *span)
{
    const char ready = 1;
    return send_all(link, &ready, sizeof ready) == 0 &&
                   receive_all(link, span, sizeof *span, -1) == 0
               ? 0
               : EXIT_FAILURE;
}

int crowd_tell(int link, const struct figures *figures)
{
    return send_all(link, figures, sizeof *figures) == 0 ? 0 : EXIT_FAILURE;
}

/* ---- the parent ---- */

/* Hears what client i says. Returns 0, or its exit status, or EXIT_FAILURE with a line said. */
static int hear(struct crowd *crowd, uint32_t i, void *data, size_t bytes, uint64_t patience)
{
    struct child *child = &crowd->client[i];
    uint64_t ms = patience / 1000;
    int timeout_ms = ms < INT32_MAX ? (int)ms : INT32_MAX;
    int heard = receive_all(child->link, data, bytes, timeout_ms);
    if (heard == 0) {
        return 0;
    }
    if (heard == HEARD_NOTHING) {
        return say(EXIT_FAILURE, "client %" PRIu32 " of %" PRIu32 " did not answer", i + 1,
                   crowd->options->processes);
    }
    int status = child_stop(child);
    return status != 0 ? status : say(EXIT_FAILURE, "client %" PRIu32 " ended at once", i + 1);
}

static uint64_t step_patience_us(const struct crowd *crowd)
{
    return patience_us(2 * memory_needed(crowd->options));
}

static int hear_ready(struct crowd *crowd, uint32_t i)
{
    char ready;
    return hear(crowd, i, &ready, sizeof ready, step_patience_us(crowd));
}

/* The first goes ahead, so that what is wrong with all of them is said once. */
static int start_clients(struct crowd *crowd)
{
    const struct options *o = crowd->options;
    struct option_words words;
    option_words_begin(&words, o);
    option_words_add(&words, "--connect");
    option_words_add(&words, o->role == ROLE_LOCAL ? crowd->url : o->url);
    int wrong = child_start(&crowd->client[0], words.word, -1);
    wrong = wrong == 0 ? hear_ready(crowd, 0) : wrong;
    crowd->ahead = true;
    for (uint32_t i = 1; wrong == 0 && i < o->processes; i++) {
        wrong = child_start(&crowd->client[i], words.word, -1);
    }
    return wrong;
}

/* One step: all at once. */
static int crowd_measure(struct crowd *crowd, size_t size, uint32_t window)
{
    const struct options *o = crowd->options;
    struct result *result = &crowd->result;
    uint64_t lasts = (uint64_t)(o->seconds * 1e6);
    int wrong = 0;
    for (uint32_t i = crowd->ahead ? 1 : 0; wrong == 0 && i < o->processes; i++) {
        wrong = hear_ready(crowd, i);
    }
    crowd->ahead = false;
    uint64_t from = ticks_now() + ticks_from_ns(AHEAD_NS);
    struct span span = {.from = from, .to = from + ticks_from_ns(1000 * lasts)};
    for (uint32_t i = 0; wrong == 0 && i < o->processes; i++) {
        send_all(crowd->client[i].link, &span, sizeof span); /* who is gone is found below */
    }
    *result = (struct result){.size = size, .window = window};
    for (uint32_t i = 0; wrong == 0 && i < o->processes; i++) {
        wrong = hear(crowd, i, &crowd->told, sizeof crowd->told, lasts + step_patience_us(crowd));
        if (wrong == 0) {
            figures_merge(&result->near.ours, &crowd->told);
        }
    }
    result->near.ours.ticks = span.to - span.from;
    return wrong;
}

static int run_steps(struct crowd *crowd)
{
    const struct options *o = crowd->options;
    int wrong = 0;
    report_head(o);
    for (struct step step = first_step(o); wrong == 0 && step.size > 0; step = next_step(o, step)) {
        wrong = crowd_measure(crowd, step.size, step.window);
        if (wrong == 0) {
            report_result(o, &crowd->result);
        }
    }
    return wrong;
}

int crowd_run(const struct options *o)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    crowd->options = o;
    crowd->server = CHILD_NONE;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        crowd->client[i] = CHILD_NONE;
    }
    int wrong =
        o->role == ROLE_LOCAL ? local_server_start(&crowd->server, o, NO_FD, crowd->url) : 0;
    wrong = wrong == 0 ? start_clients(crowd) : wrong;
    wrong = wrong == 0 ? run_steps(crowd) : wrong;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        int client_wrong = child_stop(&crowd->client[i]);
        wrong = wrong != 0 ? wrong : client_wrong;
    }
    int server_wrong = child_stop(&crowd->server);
    free(crowd);
    return wrong != 0 ? wrong : server_wrong;
}
