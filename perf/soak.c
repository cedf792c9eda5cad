/* wb_soak: many clients that call and are killed, and a server that is judged. */
#include "perf/soak.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_command.h"
#include "perf/common_say.h"
#include "perf/common_words.h"

enum { IDLE_MAX = 1023, SECONDS_MAX = 1000000, CLIENTS = 64, SECONDS = 60 };

static const char *const help[] = {
    "wb_soak: a server and many clients, each a process, that call it with arguments of every\n"
    "kind and size for a while; clients are killed and started again. Every call is followed\n"
    "by its number at both ends, so that one that is lost or executed twice is found.\n"
    "\n"
    "  wb_soak [--fabric F] [--clients N] [--seconds S | --calls N] [--kill] [--seed N]\n"
    "          [--filter F]\n"
    "  wb_soak [--fabric F] --idle N\n"
    "\n"
    "  --fabric F    shm (default) or verbs\n"
    "  --clients N   processes that call, 1 to 512 (64)\n"
    "  --seconds S   how long (60)\n"
    "  --calls N     so many calls of each client instead, however long that takes\n"
    "  --kill        end clients by SIGKILL, at random, and start them again\n"
    "  --seed N      of what is random (1)\n"
    "  --filter F    none (default) or lz4, for archives: the server filters, and every other\n"
    "                client, whose byte ranges are in archives then\n"
    "  --idle N      no calls: N connections, 1 to 1023, from a few processes, and what the\n"
    "                server takes for each\n"
    "  --help        this text\n"
    "\n"
    "Prints one JSON object: calls begun, ended, executed (those of the killed too), lost (begun\n"
    "and never ended, or ended well and never executed), doubled (executed or ended twice, or\n"
    "executed although its caller was told that it was not), corrupt (a wrong byte, or a status\n"
    "that cannot be), killed (under way when their client was), timed_out, cancelled (given up\n"
    "by their client), deferred (answered after their handler had returned), busy, kills,\n"
    "reconnects, server_rss_start (before anybody came), server_rss_before (after a quarter of\n"
    "the run) and server_rss_after (all are gone, the pool is trimmed) in bytes, of the latter\n"
    "server_anonymous_after (heap and message slots) and server_pool_after, pool_leaked (bytes\n"
    "still held then), filtered (requests that\n"
    "came so). Or, for --idle, bytes_per_idle_peer and what it is made of.\n"
    "Exit status: 0; 1 if lost, doubled, corrupt or pool_leaked is not 0, or nothing was filtered\n"
    "that should have been, or something failed; 2 for wrong usage. (--role and what it needs are "
    "what wb_soak tells its own processes.)\n",
    NULL};

enum { OPTION_ROLE = 1000, OPTION_URL, OPTION_INDEX, OPTION_PEERS, OPTION_PARENT, OPTION_BOARD };

static int read_role(struct soak_options *options, const char *text)
{
    static const char *const names[] = {
        [ROLE_SERVER] = "server", [ROLE_CLIENT] = "client", [ROLE_IDLER] = "idler"};
    for (int role = ROLE_SERVER; role <= ROLE_IDLER; role++) {
        if (strcmp(text, names[role]) == 0) {
            options->role = (enum soak_role)role;
            return 0;
        }
    }
    return say(EXIT_USAGE, "--role is for wb_soak itself");
}

static int read_filter(struct soak_options *options, const char *text)
{
    bool lz4 = strcmp(text, "lz4") == 0;
    options->filter = lz4 ? WB_FILTER_LZ4 : WB_FILTER_NONE;
    return lz4 || strcmp(text, "none") == 0
               ? 0
               : say(EXIT_USAGE, "--filter %s: not one of none, lz4", text);
}

/* What the parent tells the others. */
static int read_internal(struct soak_options *o, int option, const char *text)
{
    switch (option) {
    case OPTION_ROLE:
        return read_role(o, text);
    case OPTION_URL:
        o->url = text;
        return 0;
    case OPTION_INDEX:
        return words_between("index", text, 0, SOAK_CLIENTS_MAX - 1, &o->index);
    case OPTION_PEERS:
        return words_between("peers", text, 1, IDLE_MAX + 1, &o->peers);
    case OPTION_PARENT:
        return words_fd("parent", text, &o->parent_fd);
    case OPTION_BOARD:
        return words_fd("board", text, &o->board_fd);
    default:
        return EXIT_USAGE; /* getopt has said it */
    }
}

static int read_option(void *into, int option, const char *text)
{
    struct soak_options *o = into;
    switch (option) {
    case 'f':
        o->fabric = text;
        return strcmp(text, "shm") == 0 || strcmp(text, "verbs") == 0
                   ? 0
                   : say(EXIT_USAGE, "--fabric %s: not one of shm, verbs", text);
    case 'n':
        return words_between("clients", text, 1, SOAK_CLIENTS_MAX, &o->clients);
    case 's':
        return words_between("seconds", text, 1, SECONDS_MAX, &o->seconds);
    case 'c':
        return words_between("calls", text, 2, SOAK_CALLS_MAX, &o->calls);
    case 'r':
        return words_between("seed", text, 0, UINT64_MAX, &o->seed);
    case 'i':
        return words_between("idle", text, 1, IDLE_MAX, &o->idle);
    case 'z':
        return read_filter(o, text);
    case 'k':
        o->kill = true;
        return 0;
    default:
        return read_internal(o, option, text);
    }
}

static int check_role(void *into)
{
    const struct soak_options *o = into;
    bool told = o->parent_fd >= 0 && o->board_fd >= 0 &&
                (o->url != NULL || o->role == ROLE_SERVER) && o->index < o->clients;
    return o->role == ROLE_PARENT || told ? 0 : say(EXIT_USAGE, "--role is for wb_soak itself");
}

int soak_parse(struct soak_options *options, int argc, char **argv)
{
    static const struct option names[] = {{"fabric", required_argument, NULL, 'f'},
                                          {"clients", required_argument, NULL, 'n'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"calls", required_argument, NULL, 'c'},
                                          {"seed", required_argument, NULL, 'r'},
                                          {"idle", required_argument, NULL, 'i'},
                                          {"filter", required_argument, NULL, 'z'},
                                          {"kill", no_argument, NULL, 'k'},
                                          {"help", no_argument, NULL, COMMAND_HELP},
                                          {"role", required_argument, NULL, OPTION_ROLE},
                                          {"url", required_argument, NULL, OPTION_URL},
                                          {"index", required_argument, NULL, OPTION_INDEX},
                                          {"peers", required_argument, NULL, OPTION_PEERS},
                                          {"parent", required_argument, NULL, OPTION_PARENT},
                                          {"board", required_argument, NULL, OPTION_BOARD},
                                          {NULL, 0, NULL, 0}};
    static const struct command command = {.name = "wb_soak",
                                           .help = help,
                                           .options = names,
                                           .take = read_option,
                                           .check = check_role};
    return command_read(&command, argc, argv, options);
}

int main(int argc, char **argv)
{
    struct soak_options options = {.fabric = "shm",
                                   .clients = CLIENTS,
                                   .seconds = SECONDS,
                                   .seed = 1,
                                   .peers = 1,
                                   .parent_fd = NO_FD,
                                   .board_fd = NO_FD};
    int ended = soak_parse(&options, argc, argv);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    switch (options.role) {
    case ROLE_SERVER:
        return soak_serve(&options);
    case ROLE_CLIENT:
        return soak_call_all(&options);
    case ROLE_IDLER:
        return soak_stand_idle(&options);
    default:
        return finish_output(options.idle != 0 ? soak_idle(&options) : soak_run(&options));
    }
}
