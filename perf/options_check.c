#include "perf/options_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/engine.h>

#include "perf/common_listen.h"
#include "perf/common_say.h"
#include "perf/options.h"

enum {
    HEADERS_BYTES = 512, /* of an eager message: more than any header, so that a payload fits */
    SERVER_PEERS_MAX = 1000
};

size_t eager_limit(void)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    return config.eager_bytes - HEADERS_BYTES;
}

/* Whether a call is more than one payload there, in one piece, and some words back. */
static bool is_special(const struct options *o)
{
    return o->reply > 0 || o->trace_path != NULL || o->chunks > 1;
}

static int check_sides(const struct options *o)
{
    if (o->role == ROLE_NONE) {
        return say(EXIT_USAGE,
                   "where is the other side? Give --local, --listen URL or --connect URL");
    }
    if (o->test == TEST_NONE && o->role != ROLE_LISTEN) {
        return say(EXIT_USAGE, "which test? Give lat, bw, bibw or rate");
    }
    if (o->same && o->role == ROLE_LISTEN && o->parent_fd == NO_FD) {
        return say(EXIT_USAGE, "--same is for who calls, and not for --listen");
    }
    if (o->processes > 0 && o->iters > 0) {
        return say(EXIT_USAGE, "--processes are measured for a --time, not for --iters");
    }
    if (o->processes * o->peers > SERVER_PEERS_MAX) {
        return say(EXIT_USAGE,
                   "%u processes with %u peers each: a server has %d connections at "
                   "most",
                   o->processes, o->peers, SERVER_PEERS_MAX);
    }
    if (o->test == TEST_BIBW && (o->threads > 1 || o->peers > 1 || o->processes > 0)) {
        return say(EXIT_USAGE, "bibw has one thread and one connection a side; --threads, --peers "
                               "and --processes are for lat, bw and rate");
    }
    return 0;
}

static int check_load(const struct options *o)
{
    if (o->test == TEST_BIBW && is_special(o)) {
        return say(EXIT_USAGE, "--reply, --trace and --chunks are for lat, bw and rate");
    }
    if (o->trace_path != NULL && (o->size_max > 0 || o->reply > 0)) {
        return say(EXIT_USAGE, "a trace says the sizes; give --trace, or --size and --reply");
    }
    if (o->chunks > 1 && (o->trace_path != NULL || o->reply > 0)) {
        return say(EXIT_USAGE, "--chunks has arguments of one size, and no payload back");
    }
    if (o->test == TEST_LAT && o->window_max > 1) {
        return say(EXIT_USAGE, "lat has one call in flight; --window is for bw, bibw and rate");
    }
    return 0;
}

static int check_vs(const struct options *o)
{
    if (vs_has_orders(o->vs) && o->role != ROLE_LOCAL) {
        return say(EXIT_USAGE,
                   "--vs %s shares memory between the two sides, which only --local has",
                   vs_name(o->vs));
    }
    if (o->vs != VS_NONE && o->processes > 0) {
        return say(EXIT_USAGE, "--vs has one process that calls, and no --processes");
    }
    if (o->vs == VS_RAW && strcmp(o->fabric, "verbs") != 0) {
        return say(EXIT_USAGE,
                   "--vs raw is bare verbs, for --fabric verbs; %s has --vs floor and "
                   "vmreadv",
                   o->fabric);
    }
    if (o->vs == VS_RAW && o->peers > 1) {
        return say(EXIT_USAGE, "--vs raw has a queue pair for each thread, and no --peers");
    }
    if (o->vs == VS_ONE && o->threads == 1) {
        return say(EXIT_USAGE, "--vs one compares several threads with one; give --threads");
    }
    return 0;
}

/* What a path takes; of payloads that are known. */
static int check_path(const struct options *o)
{
    size_t most = o->trace_path != NULL ? o->trace.largest.argument : o->size_max;
    size_t back = o->trace_path != NULL ? o->trace.largest.reply : o->reply;
    most = most > back ? most : back;
    if (o->path == PATH_EAGER && most > eager_limit() && o->role != ROLE_LISTEN) {
        return say(EXIT_USAGE,
                   "%zu bytes do not fit one eager message (at most %zu); "
                   "take --path copy, pointer or rma",
                   most, eager_limit());
    }
    if (o->chunks > 1 && o->path == PATH_EAGER && o->role != ROLE_LISTEN) {
        return say(EXIT_USAGE, "--chunks is for --path copy, pointer and rma");
    }
    if (o->same && o->path == PATH_EAGER && o->role != ROLE_LISTEN) {
        return say(EXIT_USAGE, "an eager message is written anew for each call; "
                               "--same is for --path copy, pointer and rma");
    }
    if (o->chunks > o->size_min) {
        return say(EXIT_USAGE, "%zu bytes are no %u chunks", o->size_min, o->chunks);
    }
    return 0;
}

/* Fills what was not given, by test. */
static void complete(struct options *o)
{
    if (o->url != NULL) {
        url_scheme(o->url, o->fabric, sizeof o->fabric);
    } else if (o->fabric[0] == '\0') {
        snprintf(o->fabric, sizeof o->fabric, "shm");
    }
    bool streams = o->test == TEST_BW || o->test == TEST_BIBW;
    if (o->path == PATH_DEFAULT) {
        o->path = streams ? PATH_RMA : PATH_EAGER;
    }
    if (o->trace_path != NULL) {
        uint64_t mean = o->trace.arguments / o->trace.calls;
        o->size_min = o->size_max = mean > 0 ? (size_t)mean : 1;
        o->reply = (size_t)(o->trace.replies / o->trace.calls);
    } else if (o->size_max == 0) {
        o->size_min = o->size_max = streams ? (size_t)1 << 20 : 8;
    }
    if (o->test == TEST_LAT) {
        o->window_min = o->window_max = 1;
    }
    if (o->seconds <= 0) {
        o->seconds = 1.0;
    }
}

int options_check(void *options)
{
    struct options *o = options;
    int wrong = check_sides(o);
    if (wrong == 0 && o->iters > 0 && o->seconds > 0) {
        wrong = say(EXIT_USAGE, "give --iters or --time, not both");
    }
    wrong = wrong == 0 ? check_load(o) : wrong;
    if (wrong == 0 && o->trace_path != NULL) {
        wrong = trace_read(o->trace_path, &o->trace);
    }
    if (wrong != 0) {
        return wrong;
    }
    complete(o);
    wrong = check_vs(o);
    wrong = wrong == 0 ? check_path(o) : wrong;
    if (wrong != 0) {
        options_drop(o);
    }
    return wrong;
}
