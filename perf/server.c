#include "perf/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/common_child.h"
#include "perf/common_say.h"
#include "perf/floor.h"
#include "perf/mirror.h"
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
    struct floor floor;
};

static void close_server(struct server *server)
{
    mirror_close(&server->mirror);
    wb_engine_destroy(server->engine);
    floor_close(&server->floor);
}

static int open_server(const struct options *o, struct server *server)
{
    if (o->area_fd != NO_FD && area_open(&server->floor.area, o->area_fd) != 0) {
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

/* Serves the parent: polls the engine, and the orders of --vs floor. Idle turns are rare enough to
 * look for the parent. */
static void serve_parent(struct server *server, int link)
{
    uint32_t idle = 0;
    while (!ended) {
        if (server->floor.area.head != NULL) {
            floor_serve(&server->floor);
        }
        bool busy = wb_progress(server->engine) > 0;
        busy = mirror_step(&server->mirror, server->engine) || busy;
        if (busy) {
            idle = 0;
        } else if (relax(++idle) && parent_is_gone(link)) {
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
    server->floor = FLOOR_NONE;
    int wrong = open_server(options, server);
    if (wrong == 0 && options->parent_fd != NO_FD) {
        parent_tell_ready(options->parent_fd);
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
