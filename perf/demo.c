/* wb_demo: the main job, by every path. */
#include "perf/demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/common_child.h"
#include "perf/common_command.h"
#include "perf/common_listen.h"
#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/common_words.h"
#include "perf/demo_actions.h"
#include "perf/demo_server.h"

enum {
    READY_MS = 20000,
    CONNECT_US = 5000000,
    SPIN_US = 100000,
    WORD_ROOM = 64,
    DOUBLES_MAX = 1 << 30,
    CALLS_MAX = 1000
};
enum { FIELD_DOUBLES = 16 << 20, FIELD_CALLS = 5, RECORD_CALLS = 5000 };
enum { TOURS = 2, URLS_ROOM = TOURS * LISTEN_URL_ROOM };

static const char *const help[] = {
    "wb_demo: a client sends a field of doubles and a record to a server in a second process,\n"
    "by the copy, pointer and rma paths over shared memory and, where an RDMA device is, over\n"
    "verbs, checks every element of what comes back, and prints what each path cost.\n"
    "\n"
    "  wb_demo [--record FILE] [--doubles N] [--calls N]\n"
    "\n"
    "  --record FILE  the record: a JSON object with \"ids\" (64-bit integers), \"string\" and\n"
    "                 \"string_count\" (100); by default\n"
    "                 " WB_RECORD_FILE "\n"
    "  --doubles N    elements of the field (16777216, which is 128 MiB; less over a fabric\n"
    "                 that takes more than some seconds for it)\n"
    "  --calls N      calls with the field for each path, after a first one that maps memory\n"
    "                 (5); a thousand times as many with the record (fewer, but 1, where\n"
    "                 they take more than some seconds)\n"
    "  --help         this text\n"
    "\n"
    "copy: everything is copied into the archive. pointer: large arguments stay in the caller's\n"
    "own memory, and are read from there. rma: they are in the engine's pool, and are read from\n"
    "there straight into the other side's.\n"
    "Exit status: 0 if all results are right; 1 if something failed; 2 for wrong usage.\n"
    "(--serve and --parent are what the demo tells the process that it starts.)\n",
    NULL};

struct arguments {
    const char *record;
    bool serve;
    uint64_t doubles, calls; /* 0: not given */
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

static int take(void *into, int option, const char *text)
{
    struct arguments *arguments = into;
    switch (option) {
    case 'r':
        arguments->record = text;
        return 0;
    case 'd':
        return words_count("doubles", text, DOUBLES_MAX, &arguments->doubles);
    case 'c':
        return words_count("calls", text, CALLS_MAX, &arguments->calls);
    case 's':
        arguments->serve = true;
        return 0;
    default:
        return words_fd("parent", text, &arguments->parent_fd);
    }
}

static int check_serve(void *into)
{
    const struct arguments *arguments = into;
    return arguments->serve == (arguments->parent_fd >= 0)
               ? 0
               : say(EXIT_USAGE, "--serve and --parent are for the demo itself");
}

/* As command_read. */
static int parse(struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {{"record", required_argument, NULL, 'r'},
                                            {"doubles", required_argument, NULL, 'd'},
                                            {"calls", required_argument, NULL, 'c'},
                                            {"serve", no_argument, NULL, 's'},
                                            {"parent", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, COMMAND_HELP},
                                            {NULL, 0, NULL, 0}};
    static const struct command command = {
        .name = "wb_demo", .help = help, .options = options, .take = take, .check = check_serve};
    return command_read(&command, argc, argv, arguments);
}

static int connect_demo(struct demo *demo, const char *url)
{
    int status = wb_connect(demo->engine, url, &demo->peer);
    if (status == WB_OK) {
        status = wb_peer_wait(demo->peer, CONNECT_US);
    }
    return status == WB_OK
               ? 0
               : say(EXIT_FAILURE, "cannot connect to %s: %s", url, status_words(status));
}

static int tour(struct demo *demo, const char *fabric, const char *url, struct demo_tour *result)
{
    int wrong = connect_demo(demo, url);
    wrong = wrong == 0 ? demo_go(demo, fabric, result) : wrong;
    wb_peer_close(demo->peer);
    demo->peer = NULL;
    return wrong;
}

/* The line on why there is no tour over verbs. */
static void say_no_verbs(void)
{
    struct wb_fabric_info *info = calloc(1, sizeof *info);
    const char *why = info == NULL                   ? "no memory"
                      : fabric_usable("verbs", info) ? "no RDMA device has an IP address"
                                                     : info->why_not;
    printf(
        "verbs: not here: %s. To try it all the same: scripts/vm -- build/release/perf/wb_demo\n",
        why);
    free(info);
}

/* Tours the fabrics by the URLs that the server has told, with a space between. */
static int run_tours(struct demo *demo, char *urls)
{
    struct demo_tour tours[TOURS];
    char *verbs_url = strchr(urls, ' ');
    unsigned count = 0;
    if (verbs_url != NULL) {
        *verbs_url++ = '\0';
    } else {
        say_no_verbs();
    }
    int wrong = tour(demo, "shm", urls, &tours[count++]);
    if (wrong == 0 && verbs_url != NULL) {
        wrong = tour(demo, "verbs", verbs_url, &tours[count++]);
    }
    if (wrong == 0) {
        demo_print(tours, count);
    }
    return wrong;
}

/* The pools of both sides hold a landing and a result, and at the client a source, each once more
 * for rounding. */
static uint64_t budget_of(uint64_t doubles)
{
    return ((uint64_t)256 << 20) + 6 * doubles * sizeof(double);
}

static int start_server(const struct arguments *arguments, struct child *child, char *urls)
{
    char doubles[WORD_ROOM];
    snprintf(doubles, sizeof doubles, "--doubles=%llu", (unsigned long long)arguments->doubles);
    const char *words[] = {"wb_demo", "--serve", doubles, NULL};
    int wrong = child_start(child, words, -1);
    return wrong == 0 ? child_await_ready(child, READY_MS, urls, URLS_ROOM) : wrong;
}

static int run_client(const struct arguments *arguments, struct demo *demo, struct child *child)
{
    char urls[URLS_ROOM];
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
    wrong = start_server(arguments, child, urls);
    if (wrong != 0) {
        return wrong;
    }
    printf("server: process %ld at %s\nfield: %llu doubles (%.1f MiB); record: %zu integers and "
           "%zu strings of %zu "
           "characters\n",
           (long)child->pid, urls, (unsigned long long)arguments->doubles,
           (double)bytes / 1048576.0, demo->record.id_count, demo->record.string_count,
           demo->record.string_len);
    fflush(stdout);
    demo->engine = demo_engine(budget_of(arguments->doubles));
    return demo->engine != NULL ? run_tours(demo, urls) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.record = WB_RECORD_FILE, .parent_fd = -1};
    int ended = parse(&arguments, argc, argv);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    struct demo demo = {.may_shrink = arguments.doubles == 0, .may_skip = arguments.calls == 0};
    arguments.doubles = demo.may_shrink ? FIELD_DOUBLES : arguments.doubles;
    arguments.calls = demo.may_skip ? FIELD_CALLS : arguments.calls;
    if (arguments.serve) {
        return demo_serve(budget_of(arguments.doubles), arguments.parent_fd);
    }
    struct child child = CHILD_NONE;
    demo.doubles = (size_t)arguments.doubles;
    demo.field_calls = (unsigned)arguments.calls;
    demo.record_calls = (unsigned)arguments.calls * (RECORD_CALLS / FIELD_CALLS);
    int wrong = run_client(&arguments, &demo, &child);
    wb_engine_destroy(demo.engine);
    record_drop(&demo.record);
    int server_wrong = child_stop(&child);
    wrong = wrong != 0 ? wrong : server_wrong;
    if (wrong == 0) {
        printf("\nAll results are right.\n");
    }
    return finish_output(wrong);
}
