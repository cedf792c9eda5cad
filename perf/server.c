#include "perf/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/common_child.h"
#include "perf/common_listen.h"
#include "perf/common_say.h"
#include "perf/floor.h"
#include "perf/mirror.h"
#include "perf/raw.h"
#include "perf/relax.h"
#include "perf/service.h"
#include "perf/setup.h"

enum { WAIT_US = 1000000 };

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

/* All that the server has; zeroed parts are fine to close. */
struct server {
    struct wb_engine *engine;
    struct service service;
    struct mirror mirror;
    struct orders orders;
    struct floor floor;
    struct raw raw;
    char url[LISTEN_URL_ROOM]; /* where a child of --local listens */
};

static void close_server(struct server *server)
{
    mirror_close(&server->mirror);
    service_close(&server->service);
    wb_engine_destroy(server->engine);
    floor_close(&server->floor);
    raw_leave(&server->raw);
    orders_close(&server->orders);
}

/* Where the parent does not care. */
static int listen_for_parent(const struct options *o, struct server *server)
{
    int status = listen_anywhere(server->engine, o->fabric, o->devices, server->url);
    if (status == WB_ERR_NO_FABRIC && wb_last_error()[0] == '\0') {
        return say(EXIT_FAILURE,
                   "cannot listen: no address of this machine belongs to an RDMA device%s%s; give "
                   "its network interface one, or use --listen and --connect",
                   o->devices != NULL ? " of " : "", o->devices != NULL ? o->devices : "");
    }
    return status == WB_OK ? 0 : say(EXIT_FAILURE, "cannot listen: %s", status_words(status));
}

static int open_server(const struct options *o, struct server *server)
{
    if (o->area_fd != NO_FD && area_open(&server->orders.area, o->area_fd) != 0) {
        return EXIT_FAILURE;
    }
    if (setup_side(o, 1, &server->engine) != 0) {
        return EXIT_FAILURE;
    }
    int status = service_register(&server->service, server->engine);
    if (status == WB_OK) {
        status = mirror_register(&server->mirror, server->engine);
    }
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "cannot register the actions: %s", status_words(status));
    }
    if (o->parent_fd != NO_FD) {
        return listen_for_parent(o, server);
    }
    status = wb_listen(server->engine, o->url);
    return status == WB_OK ? 0 : say(EXIT_FAILURE, "cannot listen: %s", status_words(status));
}

/* Serves until a signal ends it; sleeps while nobody calls. */
static void serve_alone(struct server *server)
{
    while (!ended) {
        wb_wait(server->engine, WAIT_US);
        mirror_step(&server->mirror, server->engine);
    }
}

/* Obeys an order of --vs, if there is a new one. */
static void obey(struct server *server)
{
    uint32_t order = server->orders.area.head != NULL ? orders_take(&server->orders) : 0;
    if (order == 0) {
        return;
    }
    if (orders_is_raw(order)) {
        raw_obey(&server->raw, order);
    } else {
        floor_obey(&server->floor, order);
    }
}

/* Serves the parent: polls the engine, and the orders of --vs. Idle turns are rare enough to look
 * for the parent. */
static void serve_parent(struct server *server, int link)
{
    struct relax idle = {0};
    while (!ended) {
        obey(server);
        bool busy = wb_progress(server->engine) > 0;
        busy = mirror_step(&server->mirror, server->engine) || busy;
        if (busy) {
            idle = (struct relax){0};
        } else if (relax(&idle) && parent_is_gone(link)) {
            return;
        }
    }
}

int server_run(const struct options *options)
{
    /* A signal does not restart what it interrupts, so that the loop sees it. */
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    server->orders = ORDERS_NONE;
    server->floor = (struct floor){.orders = &server->orders, .options = options, .side = 1};
    server->raw = (struct raw){.orders = &server->orders, .options = options, .side = 1};
    int wrong = open_server(options, server);
    if (wrong == 0 && options->parent_fd != NO_FD) {
        parent_tell_ready(options->parent_fd, server->url);
        serve_parent(server, options->parent_fd);
    } else if (wrong == 0) {
        printf("# listening at %s; Ctrl-C ends it\n", options->url);
        fflush(stdout);
        serve_alone(server);
    }
    close_server(server);
    free(server);
    return wrong;
}
