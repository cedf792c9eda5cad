/* wb_ping: whether a peer is there, how far away, and what was agreed on with it. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/waybill.h>

#include "perf/common_clock.h"
#include "perf/common_command.h"
#include "perf/common_listen.h"
#include "perf/common_say.h"
#include "perf/common_words.h"

/* No server has this action. That it has not is an answer, and only a living engine gives it. */
#define PING_IN(F) F(BYTES, wb_bytes, payload)
#define PING_OUT(F) F(VALUE, u32, nothing)
WB_ACTION(waybill_ping, PING_IN, PING_OUT)

enum { COUNT = 5, COUNT_MAX = 1000000, SIZE = 8, SIZE_MAX_BYTES = 65536, HEADER_BYTES = 128 };
enum { SPIN_US = 1000, CALL_US = 5000000, INTERVAL_MS = 200, US_A_MS = 1000 };
static const double interval_max_s = 3600.0;

static const char *const help[] = {
    "wb_ping: is that peer there, how far away is it, and what was agreed on with it.\n"
    "\n"
    "  wb_ping URL [--count N] [--interval S] [--size BYTES] [--format text|json]\n"
    "\n"
    "  URL            shm://NAME or verbs://HOST:PORT, where an engine listens. It needs no\n"
    "                 action for this: what it answers to a call for one that it has not\n"
    "                 shows that it is alive. verbs://HOST,HOST:PORT asks for rails, and says\n"
    "                 how many there are in the end\n"
    "  --count N      calls (5)\n"
    "  --interval S   seconds between two of them (0.2)\n"
    "  --size BYTES   of each call's argument (8), as much as one message takes at most\n"
    "  --format F     text (default), or json: one object: url, fabric, connect_us, calls,\n"
    "                 size, rtt_us{min,p50,max}, agreed{wire_version,eager_bytes,credits,\n"
    "                 credits_granted,read_depth,peer_read_depth,max_read_bytes,read_align,\n"
    "                 key_bytes,rails}\n"
    "  --help         this text\n"
    "\n"
    "Exit status: 0; 1 with a line on stderr if nobody is there, it refused, or it does not\n"
    "answer; 2 for wrong usage.\n",
    NULL};

struct arguments {
    const char *url;
    uint64_t count, size;
    double interval_s;
    enum format format; /* text or json */
};

/* What was measured. Owns rtt_us. */
struct trip {
    struct wb_peer_info peer;
    double connect_us;
    double *rtt_us; /* sorted, when all are there */
};

static int read_interval(const char *text, double *interval_s)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || !(value >= 0.0) || value > interval_max_s) {
        return say(EXIT_USAGE, "--interval %s: not a number of seconds from 0 to %.0f", text,
                   interval_max_s);
    }
    *interval_s = value;
    return 0;
}

static int take(void *into, int option, const char *text)
{
    struct arguments *arguments = into;
    switch (option) {
    case 'c':
        return words_between("count", text, 1, COUNT_MAX, &arguments->count);
    case 'i':
        return read_interval(text, &arguments->interval_s);
    case 's':
        return words_between("size", text, 0, SIZE_MAX_BYTES, &arguments->size);
    default:
        return words_format(text, FORMAT_JSON, &arguments->format);
    }
}

static int take_url(void *into, int count, char **words)
{
    struct arguments *arguments = into;
    arguments->url = count == 1 ? words[0] : NULL;
    return count == 1 ? 0 : say(EXIT_USAGE, "one URL is needed, shm://NAME or verbs://HOST:PORT");
}

/* As command_read. */
static int parse(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 'c'},   {"interval", required_argument, NULL, 'i'},
        {"size", required_argument, NULL, 's'},    {"format", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, COMMAND_HELP}, {NULL, 0, NULL, 0}};
    static const struct command command = {
        .name = "wb_ping", .help = help, .options = options, .take = take, .take_words = take_url};
    return command_read(&command, argc, argv, arguments);
}

static double us_since(uint64_t start_ns)
{
    return (double)(clock_ns() - start_ns) / 1000.0;
}

static int meet(struct wb_engine *engine, const struct arguments *arguments, struct wb_peer **peer,
                struct trip *trip)
{
    uint64_t start = clock_ns();
    int status = wb_connect(engine, arguments->url, peer);
    if (status == WB_OK) {
        /* the engine's own connect_timeout_us ends it first */
        status = wb_peer_wait(*peer, UINT64_MAX);
    }
    trip->connect_us = us_since(start);
    if (status == WB_OK) {
        status = wb_peer_describe(*peer, &trip->peer);
    }
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "no connection to %s: %s (%s)", arguments->url,
                   status_words(status), wb_status_name(status));
    }
    if (arguments->size + HEADER_BYTES > trip->peer.eager_bytes) {
        return say(EXIT_FAILURE, "--size %" PRIu64 ": one message to this peer takes %u at most",
                   arguments->size, trip->peer.eager_bytes - HEADER_BYTES);
    }
    return 0;
}

/* One round trip. An action that somebody has given our name to after all answers as well. */
static int go(struct wb_peer *peer, wb_bytes payload, double *rtt_us)
{
    struct waybill_ping_in in = {.payload = payload};
    struct waybill_ping_out out;
    struct wb_call_options options = {.timeout_us = CALL_US, .flags = WB_CALL_COPY};
    uint64_t start = clock_ns();
    int status = waybill_ping_call(peer, &in, &out, &options);
    *rtt_us = us_since(start);
    bool answered = status == WB_ERR_UNKNOWN_ACTION || status == WB_ERR_SIGNATURE ||
                    status == WB_ERR_REMOTE || status == WB_OK;
    waybill_ping_out_drop(&out);
    return answered ? 0
                    : say(EXIT_FAILURE, "it is connected, and does not answer: %s (%s)",
                          status_words(status), wb_status_name(status));
}

/* Lets time pass, in which the engine does what it has to. */
static void pause_between(struct wb_engine *engine, double seconds)
{
    uint64_t start = clock_ns(), us = (uint64_t)(seconds * 1e6), gone;
    while ((gone = (clock_ns() - start) / 1000) < us) {
        wb_wait(engine, us - gone);
    }
}

static int go_all(struct wb_engine *engine, struct wb_peer *peer, const struct arguments *arguments,
                  struct trip *trip)
{
    static const uint8_t zeros[SIZE_MAX_BYTES];
    wb_bytes payload = {.data = zeros, .len = (size_t)arguments->size};
    for (uint64_t i = 0; i < arguments->count; i++) {
        if (i > 0) {
            pause_between(engine, arguments->interval_s);
        }
        int wrong = go(peer, payload, &trip->rtt_us[i]);
        if (wrong != 0) {
            return wrong;
        }
        if (arguments->format != FORMAT_JSON) {
            printf("call %" PRIu64 ": %" PRIu64 " bytes, %.1f us\n", i + 1, arguments->size,
                   trip->rtt_us[i]);
            fflush(stdout);
        }
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void print_peer(const struct arguments *arguments, const struct trip *trip)
{
    const struct wb_peer_info *p = &trip->peer;
    printf("%s: connected over %s in %.1f us\n", arguments->url, p->scheme, trip->connect_us);
    printf("agreed: wire version %u, messages of %u bytes, %u requests there and %u here, "
           "%u reads of at most %" PRIu64 " bytes (%u there), keys of %u bytes\n",
           p->wire_version, p->eager_bytes, p->credits, p->credits_granted, p->read_depth,
           p->max_read_bytes, p->peer_read_depth, p->key_bytes);
    fflush(stdout);
}

static void print_json(const struct arguments *arguments, const struct trip *trip)
{
    const struct wb_peer_info *p = &trip->peer;
    uint64_t n = arguments->count;
    printf("{\"url\":\"%s\",\"fabric\":\"%s\",\"connect_us\":%.1f,\"calls\":%" PRIu64
           ",\"size\":%" PRIu64 ",\"rtt_us\":{\"min\":%.2f,\"p50\":%.2f,\"max\":%.2f},",
           p->url, p->scheme, trip->connect_us, n, arguments->size, trip->rtt_us[0],
           trip->rtt_us[n / 2], trip->rtt_us[n - 1]);
    printf("\"agreed\":{\"wire_version\":%u,\"eager_bytes\":%u,\"credits\":%u,"
           "\"credits_granted\":%u,\"read_depth\":%u,\"peer_read_depth\":%u,"
           "\"max_read_bytes\":%" PRIu64 ",\"read_align\":%u,\"key_bytes\":%u,\"rails\":%u}}\n",
           p->wire_version, p->eager_bytes, p->credits, p->credits_granted, p->read_depth,
           p->peer_read_depth, p->max_read_bytes, p->read_align, p->key_bytes, p->rails);
}

static int ping(struct wb_engine *engine, const struct arguments *arguments, struct trip *trip)
{
    struct wb_peer *peer = NULL;
    int wrong = meet(engine, arguments, &peer, trip);
    if (wrong == 0 && arguments->format != FORMAT_JSON) {
        print_peer(arguments, trip);
    }
    wrong = wrong == 0 ? go_all(engine, peer, arguments, trip) : wrong;
    if (wrong == 0) {
        (void)wb_peer_describe(peer, &trip->peer); /* rails come later than the connection */
    }
    wb_peer_close(peer);
    if (wrong != 0) {
        return wrong;
    }
    uint64_t n = arguments->count;
    qsort(trip->rtt_us, n, sizeof *trip->rtt_us, compare);
    if (arguments->format == FORMAT_JSON) {
        print_json(arguments, trip);
    } else {
        printf("round trip: min %.1f, median %.1f, max %.1f us\n", trip->rtt_us[0],
               trip->rtt_us[n / 2], trip->rtt_us[n - 1]);
        if (url_has_rails(arguments->url)) {
            printf("rails: %u\n", trip->peer.rails);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .count = COUNT, .size = SIZE, .interval_s = (double)INTERVAL_MS / US_A_MS};
    struct wb_engine *engine = NULL;
    struct wb_engine_config config;
    int ended = parse(argc, argv, &arguments);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    wb_engine_config_default(&config);
    config.spin_us = SPIN_US;
    config.max_peers = 1;
    config.verbs.rails = url_has_rails(arguments.url);
    struct trip trip = {.rtt_us = calloc(arguments.count, sizeof(double))};
    int status = trip.rtt_us != NULL ? wb_engine_create(&config, &engine) : WB_ERR_NO_MEMORY;
    int wrong = status == WB_OK ? ping(engine, &arguments, &trip)
                                : say(EXIT_FAILURE, "no engine: %s", status_words(status));
    wb_engine_destroy(engine);
    free(trip.rtt_us);
    return finish_output(wrong);
}
