#include "perf/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "perf/cargo.h"
#include "perf/common_say.h"
#include "perf/crowd.h"
#include "perf/local_server.h"
#include "perf/measure.h"
#include "perf/report.h"
#include "perf/setup.h"

/* What there is besides the session's parts; zeroed parts are fine to close. */
struct client {
    struct child child;
    struct orders orders;
    struct floor floor;
    struct raw raw;
    struct service service;
    struct session session;
    struct result result;
    struct wb_peer *peers[PEERS_MAX];
    char url[LISTEN_URL_ROOM]; /* of the server that --local has started */
};

/* The area has payloads only where the floor copies them out of it. */
static int open_orders(const struct options *o, struct client *client)
{
    client->orders.server = &client->child;
    return area_create(&client->orders.area, o->vs == VS_FLOOR ? (size_t)cargo_most(o) : 1);
}

/* What --vs needs once the server is there; our own calls are to be as they are without. */
static int open_baseline(const struct options *o, struct client *client)
{
    if (o->vs == VS_VMREADV) {
        prctl(PR_SET_PTRACER, client->child.pid); /* where Yama asks who may read us */
    }
    return o->vs == VS_RAW ? raw_join(&client->raw, client->url) : 0;
}

static int open_client(const struct options *o, struct client *client)
{
    const char *url = o->url;
    int wrong = vs_has_orders(o->vs) ? open_orders(o, client) : 0;
    if (wrong == 0 && o->role == ROLE_LOCAL) {
        wrong = local_server_start(&client->child, o, client->orders.area.fd, client->url);
        url = client->url;
    }
    wrong = wrong == 0 ? setup_side(o, 0, &client->session.engine) : wrong;
    if (wrong != 0) {
        return wrong;
    }
    int status = service_register(&client->service, client->session.engine);
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "cannot register the actions: %s", status_words(status));
    }
    for (uint32_t i = 0; wrong == 0 && i < o->peers; i++) {
        wrong = setup_peer(client->session.engine, url, &client->peers[i]);
    }
    return wrong == 0 ? open_baseline(o, client) : wrong;
}

/* Returns the server's exit status: 0 where there is none. */
static int close_client(struct client *client)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        wb_peer_close(client->peers[i]);
    }
    service_close(&client->service);
    wb_engine_destroy(client->session.engine);
    floor_close(&client->floor);
    raw_leave(&client->raw);
    orders_close(&client->orders);
    return child_stop(&client->child);
}

static int run_step(struct client *client, size_t size, uint32_t window)
{
    const struct options *o = client->session.options;
    int wrong = measure(&client->session, size, window, &client->result);
    if (wrong == 0 && is_client_of_many(o)) {
        return crowd_tell(o->parent_fd, &client->result.near.ours);
    }
    if (wrong == 0) {
        report_result(o, &client->result);
    }
    return wrong;
}

int client_run(const struct options *o)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    client->child = CHILD_NONE;
    client->orders = ORDERS_NONE;
    client->floor = (struct floor){.orders = &client->orders, .options = o};
    client->raw = (struct raw){.orders = &client->orders, .options = o};
    client->session.floor = &client->floor;
    client->session.raw = &client->raw;
    client->session.options = o;
    client->session.service = &client->service;
    client->session.peers = client->peers;
    int wrong = open_client(o, client);
    if (wrong == 0 && !is_client_of_many(o)) {
        report_head(o);
    }
    for (struct step step = first_step(o); wrong == 0 && step.size > 0; step = next_step(o, step)) {
        wrong = run_step(client, step.size, step.window);
    }
    int server_wrong = close_client(client);
    free(client);
    return wrong != 0 ? wrong : server_wrong;
}
