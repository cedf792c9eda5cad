/* wb_demo: the main job, by every path. */
#include "perf/demo.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/common_child.h"
#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/demo_actions.h"
#include "perf/demo_server.h"

enum {
    READY_MS = 20000,
    CONNECT_US = 5000000,
    SPIN_US = 100000,
    WORD_ROOM = 64,
    DOUBLES_MAX = 1 << 30
};
enum { FIELD_CALLS = 5, RECORD_CALLS = 5000 };

static const char help[] =
    "wb_demo: a client sends a field of doubles and a record to a server in a second process,\n"
    "by the copy, pointer and rma paths over shared memory, checks every element of what comes\n"
    "back, and prints what each path cost.\n"
    "\n"
    "  wb_demo [--record FILE] [--doubles N] [--calls N]\n"
    "\n"
    "  --record FILE  the record: a JSON object with \"ids\" (64-bit integers), \"string\" and\n"
    "                 \"string_count\" (100); by default\n"
    "                 " WB_RECORD_FILE "\n"
    "  --doubles N    elements of the field (16777216, which is 128 MiB)\n"
    "  --calls N      calls with the field for each path, after a first one that maps memory\n"
    "                 (5); a thousand times as many with the record\n"
    "  --help         this text\n"
    "\n"
    "copy: everything is copied into the archive. pointer: large arguments stay in the caller's\n"
    "own memory, and are read from there. rma: they are in the engine's pool, and are read from\n"
    "there straight into the other side's.\n"
    "Exit status: 0 if all results are right; 1 if something failed; 2 for wrong usage.\n"
    "(--serve and --parent are what the demo tells the process that it starts.)\n";

struct arguments {
    const char *record, *serve;
    uint64_t doubles, calls;
    int parent_fd;
};

const char *demo_path_name(enum demo_path path)
{
    static const char *const names[DEMO_PATHS] = {"copy", "pointer", "rma"};
    return names[path];
}

void demo_progress(const char *step, enum demo_path path, unsigned done, unsigned of)
{
    if (isatty(STDOUT_FILENO)) {
        printf("\r  %s, %s path: call %u of %u   \r", step, demo_path_name(path), done, of);
        fflush(stdout);
    }
}

struct wb_engine *demo_engine(uint64_t budget_bytes)
{
    struct wb_engine *engine = NULL;
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = budget_bytes > config.budget_bytes ? budget_bytes : config.budget_bytes;
    if (cpus_allowed() > 1) {
        config.spin_us = SPIN_US;
    }
    int status = wb_engine_create(&config, &engine);
    if (status != WB_OK) {
        say(EXIT_FAILURE, "cannot create an engine: %s", status_words(status));
        return NULL;
    }
    return engine;
}

static int set_number(const char *option, const char *text, uint64_t max, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value == 0 || value > max) {
        return say(EXIT_USAGE, "--%s %s: not a whole number from 1 to %llu", option, text,
                   (unsigned long long)max);
    }
    *number = value;
    return 0;
}

/* Returns 0 to go on, EXIT_USAGE with a line said, or -1 after --help. */
static int parse(struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {{"record", required_argument, NULL, 'r'},
                                            {"doubles", required_argument, NULL, 'd'},
                                            {"calls", required_argument, NULL, 'c'},
                                            {"serve", required_argument, NULL, 's'},
                                            {"parent", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option, wrong = 0;
    uint64_t fd = 0;
    while (wrong == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            arguments->record = optarg;
            break;
        case 'd':
            wrong = set_number("doubles", optarg, DOUBLES_MAX, &arguments->doubles);
            break;
        case 'c':
            wrong = set_number("calls", optarg, 1000, &arguments->calls);
            break;
        case 's':
            arguments->serve = optarg;
            break;
        case 'p':
            wrong = set_number("parent", optarg, 1 << 20, &fd);
            arguments->parent_fd = (int)fd;
            break;
        case 'h':
            fputs(help, stdout);
            return -1;
        default:
            return EXIT_USAGE;
        }
    }
    if (wrong == 0 && optind < argc) {
        return say(EXIT_USAGE, "%s: wb_demo takes options only", argv[optind]);
    }
    if (wrong == 0 && (arguments->serve != NULL) != (arguments->parent_fd >= 0)) {
        return say(EXIT_USAGE, "--serve and --parent are for the demo itself");
    }
    return wrong;
}

static void print_cost(const char *what, enum demo_path path, const struct demo_cost *cost)
{
    double way_ms = cost->mean_ms - cost->handler_ms;
    printf("  %-8s%-10s%8u%12.3f%12.3f%12.3f%12.3f%10.2f\n", what, demo_path_name(path),
           cost->calls, cost->first_ms, cost->best_ms, cost->mean_ms, cost->handler_ms,
           way_ms > 0 ? cost->moved_bytes / way_ms / 1e6 : 0.0);
}

/* Goes through all paths, and prints the table at the end. */
static int run_paths(struct demo *demo)
{
    static int (*const steps[])(struct demo *, enum demo_path, struct demo_cost *) = {demo_field,
                                                                                      demo_record};
    static const char *const names[] = {"field", "record"};
    struct demo_cost costs[2][DEMO_PATHS];
    for (int step = 0; step < 2; step++) {
        for (enum demo_path path = 0; path < DEMO_PATHS; path++) {
            int wrong = steps[step](demo, path, &costs[step][path]);
            if (wrong != 0) {
                return wrong;
            }
            printf("%s, %s path: %u calls, every result checked\n", names[step],
                   demo_path_name(path), costs[step][path].calls + 1);
            fflush(stdout);
        }
    }
    printf("\nWhat each path cost. GB/s counts the bytes that moved (the field's there and back) "
           "in the mean\n"
           "time of a call, without the handler's arithmetic. The first call, which maps memory, "
           "stands apart.\n\n"
           "  %-8s%-10s%8s%12s%12s%12s%12s%10s\n",
           "what", "path", "calls", "first ms", "best ms", "mean ms", "handler ms", "GB/s");
    for (int step = 0; step < 2; step++) {
        for (enum demo_path path = 0; path < DEMO_PATHS; path++) {
            print_cost(names[step], path, &costs[step][path]);
        }
    }
    return 0;
}

static int connect_demo(struct demo *demo, const char *url)
{
    int status = wb_connect(demo->engine, url, &demo->peer);
    if (status == WB_OK) {
        status = wb_peer_wait(demo->peer, CONNECT_US);
    }
    return status == WB_OK ? 0 : say(EXIT_FAILURE, "cannot connect: %s", status_words(status));
}

/* The pools of both sides hold a landing and a result, and at the client a source, each once more
 * for rounding. */
static uint64_t budget_of(uint64_t doubles)
{
    return ((uint64_t)256 << 20) + 6 * doubles * sizeof(double);
}

static int run_client(const struct arguments *arguments, struct demo *demo, struct child *child)
{
    char url[WORD_ROOM], doubles[WORD_ROOM];
    uint64_t bytes = arguments->doubles * sizeof(double);
    if (!memory_suffices(8, bytes)) {
        return say(EXIT_FAILURE,
                   "a field of %llu MiB needs eight times that; choose fewer --doubles",
                   (unsigned long long)(bytes >> 20));
    }
    int wrong = record_read(&demo->record, arguments->record);
    if (wrong != 0) {
        return wrong;
    }
    if (demo->record.string_count != DEMO_STRINGS_COUNT) {
        return say(EXIT_FAILURE, "%s: string_count is %zu; the demo's action has %d strings",
                   arguments->record, demo->record.string_count, DEMO_STRINGS_COUNT);
    }
    snprintf(url, sizeof url, "shm://wb_demo.%ld", (long)getpid());
    snprintf(doubles, sizeof doubles, "--doubles=%llu", (unsigned long long)arguments->doubles);
    const char *words[] = {"wb_demo", "--serve", url, doubles, NULL};
    wrong = child_start(child, words, -1);
    if (wrong == 0) {
        wrong = child_await_ready(child, READY_MS);
    }
    if (wrong != 0) {
        return wrong;
    }
    printf("server: process %ld at %s\nfield: %llu doubles (%.1f MiB); record: %zu integers and "
           "%zu strings of %zu "
           "characters\n",
           (long)child->pid, url, (unsigned long long)arguments->doubles, (double)bytes / 1048576.0,
           demo->record.id_count, demo->record.string_count, demo->record.string_len);
    fflush(stdout);
    demo->engine = demo_engine(budget_of(arguments->doubles));
    wrong = demo->engine != NULL ? connect_demo(demo, url) : EXIT_FAILURE;
    return wrong == 0 ? run_paths(demo) : wrong;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .record = WB_RECORD_FILE, .doubles = 16 << 20, .calls = FIELD_CALLS, .parent_fd = -1};
    int wrong = parse(&arguments, argc, argv);
    if (wrong != 0) {
        return wrong < 0 ? finish_output(EXIT_SUCCESS) : wrong;
    }
    if (arguments.serve != NULL) {
        return demo_serve(arguments.serve, budget_of(arguments.doubles), arguments.parent_fd);
    }
    struct child child = CHILD_NONE;
    struct demo demo = {.doubles = (size_t)arguments.doubles,
                        .field_calls = (unsigned)arguments.calls,
                        .record_calls = (unsigned)arguments.calls * (RECORD_CALLS / FIELD_CALLS)};
    wrong = run_client(&arguments, &demo, &child);
    wb_peer_close(demo.peer);
    wb_engine_destroy(demo.engine);
    record_drop(&demo.record);
    int server_wrong = child_stop(&child);
    wrong = wrong != 0 ? wrong : server_wrong;
    if (wrong == 0) {
        printf("\nAll results are right.\n");
    }
    return finish_output(wrong);
}
