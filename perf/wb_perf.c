/* wb_perf: what calls cost. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/alloc.h"
#include "perf/common_child.h"
#include "perf/common_command.h"
#include "perf/common_listen.h"
#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/common_words.h"
#include "perf/measure.h"
#include "perf/mirror.h"
#include "perf/reg.h"
#include "perf/report.h"
#include "perf/server.h"
#include "perf/setup.h"
#include "perf/show.h"
#include "perf/tune.h"

enum { READY_MS = 20000, NUMBER_ROOM = 48 };

/* What the client has besides the session's parts; zeroed parts are fine to close. */
struct client {
    struct child child;
    struct orders orders;
    struct floor floor;
    struct raw raw;
    struct service service;
    struct session session;
    struct result result;
    struct wb_fabric_info fabric;
    char url[LISTEN_URL_ROOM]; /* of the server that --local has started */
};

/* The largest burst of the baseline. */
static size_t baseline_bytes(const struct options *o)
{
    size_t most = 0;
    for (size_t size = o->size_min; size > 0; size = options_next_size(o, size)) {
        uint32_t window = o->window > 0 ? o->window : default_window(size);
        size_t bytes = size * floor_copies(size, burst_calls(size, window));
        most = bytes > most ? bytes : most;
    }
    return o->test == TEST_BW || o->test == TEST_BIBW ? most : 1;
}

/* Says so if the sizes do not fit the machine, which would otherwise end in the dark. */
static int check_memory(const struct options *o)
{
    uint64_t sides = o->role == ROLE_LOCAL ? 2 : 1;
    uint64_t needed = sides * memory_needed(o) +
                      (vs_has_orders(o->vs) ? 2 * baseline_bytes(o) + sides * o->size_max : 0);
    if (needed <= memory_available()) {
        return 0;
    }
    return say(EXIT_FAILURE,
               "payloads of up to %zu bytes need %" PRIu64 " MiB here and %" PRIu64
               " MiB are available; choose a smaller --size, --window or --threads",
               o->size_max, needed >> 20, memory_available() >> 20);
}

/* Starts this program as the other side, which finds itself an address, and waits until it listens
 * at client->url. */
static int start_server(const struct options *o, struct client *client)
{
    char sizes[NUMBER_ROOM], window[NUMBER_ROOM], threads[NUMBER_ROOM], cpus[NUMBER_ROOM],
        area[NUMBER_ROOM], anywhere[NUMBER_ROOM];
    snprintf(anywhere, sizeof anywhere, "--listen=%s://", o->fabric);
    snprintf(sizes, sizeof sizes, "--size=%zu:%zu", o->size_min, o->size_max);
    snprintf(window, sizeof window, "--window=%u", o->window);
    snprintf(threads, sizeof threads, "--threads=%u", o->threads);
    snprintf(cpus, sizeof cpus, "--cpu=%d,%d", o->cpu[0], o->cpu[1]);
    snprintf(area, sizeof area, "--area=%d", client->orders.area.fd);
    const char *words[12] = {"wb_perf", test_name(o->test), anywhere, sizes, threads};
    size_t count = 5;
    if (o->window > 0) {
        words[count++] = window;
    }
    if (o->cpu[0] != NO_CPU) {
        words[count++] = cpus;
    }
    if (vs_has_orders(o->vs)) {
        words[count++] = area;
    }
    if (o->devices != NULL) {
        words[count++] = "--device";
        words[count++] = o->devices;
    }
    int status = child_start(&client->child, words, client->orders.area.fd);
    return status == 0
               ? child_await_ready(&client->child, READY_MS, client->url, sizeof client->url)
               : status;
}

/* What is said at once, rather than by the other side. */
static int check_fabric(const struct options *o, struct client *client)
{
    return fabric_usable(o->fabric, &client->fabric)
               ? 0
               : say(EXIT_FAILURE, "--fabric %s cannot be used: %s", o->fabric,
                     client->fabric.why_not);
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
    if (vs_has_orders(o->vs) && open_orders(o, client) != 0) {
        return EXIT_FAILURE;
    }
    if (o->role == ROLE_LOCAL) {
        int wrong = check_fabric(o, client);
        wrong = wrong == 0 ? start_server(o, client) : wrong;
        if (wrong != 0) {
            return wrong;
        }
        url = client->url;
    }
    if (setup_side(o, 0, &client->session.engine) != 0) {
        return EXIT_FAILURE;
    }
    int status = service_register(&client->service, client->session.engine);
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "cannot register the actions: %s", status_words(status));
    }
    int wrong = setup_peer(client->session.engine, url, &client->session.peer);
    return wrong == 0 && o->vs == VS_RAW ? open_raw(o, client) : wrong;
}

/* Returns the server's exit status: 0 where there is none. */
static int close_client(struct client *client)
{
    wb_peer_close(client->session.peer);
    wb_engine_destroy(client->session.engine);
    floor_close(&client->floor);
    raw_close(&client->raw);
    orders_close(&client->orders);
    return child_stop(&client->child);
}

static int run_client(const struct options *o)
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
    int wrong = open_client(o, client);
    if (wrong == 0) {
        report_head(o);
    }
    for (size_t size = o->size_min; wrong == 0 && size > 0; size = options_next_size(o, size)) {
        wrong = measure(&client->session, size, &client->result);
        if (wrong == 0) {
            report_result(o, &client->result);
        }
    }
    int server_wrong = close_client(client);
    free(client);
    return finish_output(wrong != 0 ? wrong : server_wrong);
}

/* What has no other side, and options of its own. */
static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} subcommands[] = {
    {"alloc", alloc_main}, {"reg", reg_main}, {"show", show_main}, {"tune", tune_main}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < COUNT_OF(subcommands); i++) {
        if (strcmp(argv[1], subcommands[i].name) == 0) {
            argv[1] = argv[0]; /* getopt says it where it complains */
            return subcommands[i].main(argc - 1, argv + 1);
        }
    }
    struct options options;
    int ended = options_parse(&options, argc, argv);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    ticks_start();
    if (options.role == ROLE_LISTEN) {
        return finish_output(server_run(&options));
    }
    return check_memory(&options) != 0 ? EXIT_FAILURE : run_client(&options);
}
