/* A client of wb_soak: some calls open at a time, sleeping while they are; closes its connection
 * now and then with calls under way. */
#include <stdlib.h>
#include <string.h>

#include "perf/common_clock.h"
#include "perf/common_say.h"
#include "perf/soak.h"
#include "perf/soak_calls.h"

enum {
    WINDOW = 6,
    BUDGET_MIB = 96,
    SLAB_MIB = 16,
    CREDITS = 16,
    CONNECT_US = 240000000, /* in an emulated guest 64 that come at once take minutes */
    WAIT_US = 20000,
    AGAIN_US = 2000,
    SHORT_US = 1000,
    SHORT_OF = 100, /* one call of so many has a deadline that is hardly to be met */
    CANCEL_OF = 50, /* and one of so many is given up at once */
    CLOSE_OF = 400  /* and before one of so many the connection is closed */
};

struct client {
    const struct soak_options *options;
    struct soak_shared shared;
    struct soak_client_state *state;
    uint32_t index;
    uint64_t random;
    struct wb_engine *engine;
    struct wb_peer *peer;
    struct soak_call calls[WINDOW];
};

static int open_engine(struct client *client)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = (uint64_t)BUDGET_MIB << 20;
    config.slab_bytes = (uint64_t)SLAB_MIB << 20;
    config.max_peers = 2;
    config.max_calls = 2 * WINDOW;
    config.credits = CREDITS;
    config.spin_us = 0;
    config.connect_timeout_us = CONNECT_US;
    config.call_timeout_us = SOAK_DEADLINE_US;
    if (client->options->filter != WB_FILTER_NONE && client->options->index % 2 == 0) {
        config.filter = client->options->filter;
        config.pointer_threshold = UINT32_MAX;
    }
    int status = wb_engine_create(&config, &client->engine);
    return status == WB_OK ? 0 : say(EXIT_FAILURE, "no engine: %s", status_words(status));
}

/* Connects anew if there is no peer, or a lost one. */
static int see_to_peer(struct client *client)
{
    if (client->peer != NULL && wb_peer_state(client->peer) == WB_PEER_CONNECTED) {
        return 0;
    }
    wb_peer_close(client->peer);
    client->peer = NULL;
    int status = wb_connect(client->engine, client->options->url, &client->peer);
    status = status == WB_OK ? wb_peer_wait(client->peer, CONNECT_US) : status;
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "client %u cannot connect: %s", client->index,
                   status_words(status));
    }
    atomic_fetch_add(&client->state->connects, 1);
    return 0;
}

static void mark(struct client *client, uint32_t number, uint8_t value)
{
    _Atomic uint8_t *at = board_mark(&client->shared, client->index, number);
    uint8_t before = atomic_load(at);
    bool fits = value == MARK_BEGUN ? before == MARK_NONE : before == MARK_BEGUN;
    atomic_store(at, fits ? value : MARK_TWICE);
}

/* Begins a call in a free place, and says whether one was begun. */
static bool begin(struct client *client, struct soak_call *call)
{
    struct exchange_in in;
    if (soak_call_make(call, client->engine, &client->random, &in) != WB_OK) {
        return false;
    }
    uint64_t room = (uint64_t)call->want_bytes + call->want_vector + call->want_buffer;
    struct wb_call_options options = {.reply_bytes = room + 4096, .error = &call->error};
    if (soak_below(&client->random, SHORT_OF) == 0) {
        options.timeout_us = SHORT_US;
    }
    call->number = atomic_fetch_add(&client->state->next, 1);
    in.client = client->index;
    in.number = call->number;
    mark(client, call->number, MARK_BEGUN);
    int status = exchange_async(client->peer, &in, &options, &call->call);
    exchange_in_drop(&in);
    if (status == WB_OK) {
        call->cancelled = soak_below(&client->random, CANCEL_OF) == 0;
        if (call->cancelled) {
            wb_call_cancel(call->call);
        }
        return true;
    }
    bool allowed = status == WB_AGAIN || status == WB_ERR_NOT_SENT;
    if (!allowed) {
        say(EXIT_FAILURE, "client %u, call %u: refused with %s: %s", client->index, call->number,
            wb_status_name(status), wb_last_error());
    }
    mark(client, call->number, allowed ? mark_of(status) : MARK_CORRUPT);
    soak_call_forget(call);
    return false;
}

/* Finishes what has ended; returns how many are still open. */
static unsigned finish(struct client *client)
{
    unsigned open = 0;
    for (unsigned i = 0; i < WINDOW; i++) {
        struct soak_call *call = &client->calls[i];
        if (call->call != NULL && wb_call_done(call->call)) {
            uint32_t number = call->number;
            mark(client, number, soak_call_finish(call, client->index));
        }
        open += call->call != NULL;
    }
    return open;
}

/* Waits for the ends of all; those that do not come are lost. */
static int finish_all(struct client *client)
{
    uint64_t start = clock_ns();
    int wrong = 0;
    const uint64_t patience_ns = (uint64_t)(SOAK_DEADLINE_US + SOAK_GRACE_US) * 1000;
    while (finish(client) > 0 && clock_ns() - start < patience_ns) {
        wb_wait(client->engine, WAIT_US);
    }
    for (unsigned i = 0; i < WINDOW; i++) {
        if (client->calls[i].call != NULL) {
            wrong = say(EXIT_FAILURE, "client %u, call %u: does not end", client->index,
                        client->calls[i].number);
            mark(client, client->calls[i].number, MARK_LOST);
        }
    }
    return wrong;
}

static bool may_begin(const struct client *client)
{
    uint32_t next = atomic_load(&client->state->next);
    return next < SOAK_CALLS_MAX && next < atomic_load(&client->shared.board->gate);
}

static bool is_over(const struct client *client)
{
    uint64_t most = client->options->calls != 0 ? client->options->calls : SOAK_CALLS_MAX;
    return atomic_load(&client->shared.board->stop) != 0 ||
           atomic_load(&client->state->next) >= most;
}

/* Fills the window, and sleeps until something has happened. */
static int step(struct client *client)
{
    uint64_t wait_us = WAIT_US;
    if (client->peer != NULL && soak_below(&client->random, CLOSE_OF) == 0) {
        wb_peer_close(client->peer);
        client->peer = NULL;
    }
    int wrong = see_to_peer(client);
    unsigned most = 1 + (unsigned)soak_below(&client->random, WINDOW);
    for (unsigned i = 0; wrong == 0 && i < most && may_begin(client); i++) {
        if (client->calls[i].call == NULL && !begin(client, &client->calls[i])) {
            wait_us = AGAIN_US;
            break;
        }
    }
    if (wrong == 0) {
        wb_wait(client->engine, wait_us);
        finish(client);
    }
    return wrong;
}

int soak_call_all(const struct soak_options *options)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    client->options = options;
    client->index = (uint32_t)options->index;
    int wrong = board_open(&client->shared, options->board_fd, (uint32_t)options->clients, true);
    if (wrong == 0) {
        client->state = &client->shared.board->clients[client->index];
        /* another sequence after each restart */
        client->random = options->seed * SOAK_CLIENTS_MAX + client->index +
                         ((uint64_t)atomic_load(&client->state->next) << 32);
        wrong = open_engine(client);
    }
    while (wrong == 0 && !is_over(client) && !parent_is_gone(options->parent_fd)) {
        wrong = step(client);
    }
    if (client->engine != NULL) {
        int ended = finish_all(client);
        wrong = wrong != 0 ? wrong : ended;
    }
    wb_peer_close(client->peer);
    wb_engine_destroy(client->engine);
    board_close(&client->shared);
    free(client);
    return wrong;
}
