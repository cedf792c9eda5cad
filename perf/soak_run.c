/* The parent of an ordinary soak: starts the clients, kills some, sees all of them end. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "perf/common_clock.h"
#include "perf/common_say.h"
#include "perf/soak.h"

enum {
    LOOK_NS = 2000000,
    KILL_CALLS = 400, /* between two kills there are fewer than twice so many calls, */
    KILL_NS = 50000000,
    PEERS_MAX = 1024,
    PEERS_SPARE = 16
};
static const uint64_t second_ns = 1000000000;
static const uint64_t end_ns = ((uint64_t)SOAK_DEADLINE_US + SOAK_GRACE_US) * 1000 + 20000000000;

struct crew {
    const struct soak_options *options;
    struct soak_shared *shared;
    char url[LISTEN_URL_ROOM];
    struct child server, *clients; /* pid 0: it has done its part */
    uint32_t *settled;             /* calls of each client that need no look after its next kill */
    uint64_t random, start, last_kill, next_kill; /* the latter in calls, of all clients */
    struct soak_outcome outcome;
    bool sampled;
};

static uint64_t consumed(const struct crew *crew)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < crew->options->clients; i++) {
        sum += atomic_load(&crew->shared->board->clients[i].next);
    }
    return sum;
}

static int start_client(struct crew *crew, uint64_t index)
{
    return soak_start_client(crew->options, crew->shared, "client", crew->url, index, 1,
                             &crew->clients[index]);
}

/* What was under way when a client was killed will not end. */
static void mark_killed(struct crew *crew, uint32_t index)
{
    uint32_t next = atomic_load(&crew->shared->board->clients[index].next);
    for (uint32_t i = crew->settled[index]; i < next && i < SOAK_CALLS_MAX; i++) {
        uint8_t begun = MARK_BEGUN;
        atomic_compare_exchange_strong(board_mark(crew->shared, index, i), &begun, MARK_KILLED);
    }
    crew->settled[index] = next;
}

static void kill_client(struct child *client)
{
    int status;
    kill(client->pid, SIGKILL);
    while (waitpid(client->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(client->link);
    *client = CHILD_NONE;
}

/* Kills a client and starts it again. */
static int kill_one(struct crew *crew)
{
    uint32_t index = (uint32_t)soak_below(&crew->random, crew->options->clients);
    struct child *client = &crew->clients[index];
    if (client->pid <= 0 || child_is_gone(client)) {
        return 0; /* that is for reap */
    }
    kill_client(client);
    mark_killed(crew, index);
    crew->outcome.kills++;
    crew->last_kill = clock_ns();
    return start_client(crew, index);
}

/* With a number of calls, kills come at fixed numbers of calls in the first half, and the clients
 * wait for them before the second: so their count does not depend on how fast the machine is. */
static uint64_t half_calls(const struct crew *crew)
{
    return crew->options->calls / 2 * crew->options->clients;
}

static int kill_in_time(struct crew *crew)
{
    const struct soak_options *o = crew->options;
    uint64_t calls = consumed(crew);
    if (o->calls == 0) {
        if (calls < crew->next_kill || clock_ns() - crew->last_kill < KILL_NS) {
            return 0;
        }
        crew->next_kill = calls + 1 + soak_below(&crew->random, (uint64_t)2 * KILL_CALLS);
        return kill_one(crew);
    }
    int wrong = 0;
    if (crew->outcome.kills < o->clients &&
        calls >= (crew->outcome.kills + 1) * half_calls(crew) / (o->clients + 1)) {
        wrong = kill_one(crew);
    }
    if (crew->outcome.kills >= o->clients) {
        atomic_store(&crew->shared->board->gate, UINT32_MAX);
    }
    return wrong;
}

/* Sees which clients have ended by themselves. Returns how many have not. */
static uint64_t reap(struct crew *crew)
{
    uint64_t left = 0;
    for (uint64_t i = 0; i < crew->options->clients; i++) {
        struct child *client = &crew->clients[i];
        if (client->pid > 0 && child_is_gone(client)) {
            int status = child_stop(client);
            crew->outcome.broken += status != 0;
        }
        left += client->pid > 0;
    }
    return left;
}

static int sample_in_time(struct crew *crew)
{
    const struct soak_options *o = crew->options;
    bool warm = o->calls != 0 ? consumed(crew) >= half_calls(crew) / 2
                              : clock_ns() - crew->start > o->seconds * second_ns / 4;
    if (crew->sampled || !warm) {
        return 0;
    }
    crew->sampled = true;
    return soak_ask(crew->shared, ORDER_SAMPLE, &crew->server, &crew->outcome.before);
}

static bool is_time_up(const struct crew *crew)
{
    return crew->options->calls == 0 &&
           clock_ns() - crew->start > crew->options->seconds * second_ns;
}

static int soak(struct crew *crew)
{
    const struct timespec look = {.tv_nsec = LOOK_NS};
    int wrong = 0;
    crew->start = crew->last_kill = clock_ns();
    for (uint64_t i = 0; wrong == 0 && i < crew->options->clients; i++) {
        wrong = start_client(crew, i);
    }
    while (wrong == 0 && reap(crew) > 0 && crew->outcome.broken == 0 && !is_time_up(crew)) {
        wrong = crew->options->kill ? kill_in_time(crew) : 0;
        wrong = wrong == 0 ? sample_in_time(crew) : wrong;
        if (wrong == 0 && child_is_gone(&crew->server)) {
            wrong = say(EXIT_FAILURE, "the server has ended by itself");
        }
        nanosleep(&look, NULL);
    }
    atomic_store(&crew->shared->board->stop, 1);
    uint64_t end = clock_ns();
    while (reap(crew) > 0 && wrong == 0 && clock_ns() - end < end_ns) {
        nanosleep(&look, NULL);
    }
    for (uint64_t i = 0; i < crew->options->clients; i++) {
        if (crew->clients[i].pid > 0) {
            say(EXIT_FAILURE, "client %llu did not end", (unsigned long long)i);
            kill_client(&crew->clients[i]);
            crew->outcome.broken++;
        }
    }
    return wrong;
}

static int soak_whole(struct crew *crew)
{
    const struct soak_options *o = crew->options;
    uint64_t peers = 3 * o->clients + PEERS_SPARE;
    bool gated = o->kill && o->calls != 0;
    atomic_store(&crew->shared->board->gate, gated ? (uint32_t)(o->calls / 2) : UINT32_MAX);
    int wrong = soak_start_server(o, crew->shared, peers < PEERS_MAX ? peers : PEERS_MAX,
                                  &crew->server, crew->url);
    struct soak_outcome *outcome = &crew->outcome;
    wrong =
        wrong == 0 ? soak_ask(crew->shared, ORDER_SAMPLE, &crew->server, &outcome->start) : wrong;
    wrong = wrong == 0 ? soak(crew) : wrong;
    wrong =
        wrong == 0 ? soak_ask(crew->shared, ORDER_SETTLE, &crew->server, &outcome->after) : wrong;
    int server_wrong = child_stop(&crew->server);
    wrong = wrong != 0 ? wrong : server_wrong;
    return wrong == 0 ? soak_judge(o, crew->shared, outcome) : wrong;
}

int soak_run(const struct soak_options *options)
{
    struct soak_shared shared;
    int wrong = board_create(&shared, (uint32_t)options->clients);
    if (wrong != 0) {
        return wrong;
    }
    struct crew crew = {.options = options,
                        .shared = &shared,
                        .server = CHILD_NONE,
                        .clients = calloc(options->clients, sizeof(struct child)),
                        .settled = calloc(options->clients, sizeof(uint32_t)),
                        .random = options->seed};
    wrong = crew.clients != NULL && crew.settled != NULL ? soak_whole(&crew)
                                                         : say(EXIT_FAILURE, "no memory");
    free(crew.settled);
    free(crew.clients);
    board_close(&shared);
    return wrong;
}
