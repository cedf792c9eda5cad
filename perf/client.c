#include "perf/client.h"

#include <stdio.h>
#include <stdlib.h>

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

size_t baseline_bytes(const struct options *o)
{
    size_t most = 0;
    for (size_t size = o->size_min; size > 0; size = options_next_size(o, size)) {
        uint32_t window = o->window_max > 0 ? o->window_max : first_window(o, size);
        struct calls_wanted wanted = wanted_calls(o, size, window);
        size_t bytes = size * floor_copies(size, burst_calls(&wanted));
        most = bytes > most ? bytes : most;
    }
    return o->test == TEST_BW || o->test == TEST_BIBW ? most : 1;
}

static int open_orders(const struct options *o, struct client *client)
{
    client->orders.server = &client->child;
    return area_create(&client->orders.area, o->vs == VS_FLOOR ? baseline_bytes(o) : 1);
}

static int open_raw(const struct options *o, struct client *client)
{
    bool pings = o->test == TEST_LAT;
    return raw_open(&client->raw, client->url, pings ? 2 * o->size_max : baseline_bytes(o),
                    pings ? o->size_max : 0);
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
    return wrong == 0 && o->vs == VS_RAW ? open_raw(o, client) : wrong;
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
    raw_close(&client->raw);
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
    client->floor.orders = client->raw.orders = &client->orders;
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
