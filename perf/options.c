#include "perf/options.h"

#include <stdio.h>
#include <string.h>

#include "perf/common_command.h"
#include "perf/common_listen.h"
#include "perf/common_say.h"
#include "perf/options_check.h"

static const char *const test_names[] = {"?", "lat", "bw", "bibw", "rate"};
static const char *const path_names[] = {"?", "eager", "copy", "pointer", "rma"};
static const char *const vs_names[] = {"?", "floor", "vmreadv", "raw", "one"};

const char *test_name(enum test test)
{
    return test_names[test];
}

const char *path_name(enum path path)
{
    return path_names[path];
}

const char *vs_name(enum vs vs)
{
    return vs_names[vs];
}

bool vs_has_orders(enum vs vs)
{
    return vs == VS_FLOOR || vs == VS_VMREADV || vs == VS_RAW;
}

bool vs_is_words(const struct options *o)
{
    return o->vs == VS_FLOOR && (o->test == TEST_LAT || o->test == TEST_RATE) &&
           o->path == PATH_EAGER && o->reply == 0 && o->trace_path == NULL;
}

static int set_cpus(struct options *o, const char *text)
{
    uint64_t first = 0, second = 0;
    const char *end = text;
    int wrong = words_number(text, 4095, &first, &end);
    second = first;
    if (wrong == 0 && *end == ',') {
        wrong = words_number(end + 1, 4095, &second, &end);
    }
    if (wrong != 0 || *end != '\0') {
        return say(EXIT_USAGE, "--cpu %s: not A,B with the numbers of two CPUs", text);
    }
    o->cpu[0] = (int)first;
    o->cpu[1] = (int)second;
    return 0;
}

static int set_role(struct options *o, enum role role, const char *url)
{
    if (o->role != ROLE_NONE) {
        return say(EXIT_USAGE, "give one of --local, --listen and --connect");
    }
    o->role = role;
    o->url = url;
    return 0;
}

enum {
    OPT_LOCAL = 256,
    OPT_LISTEN,
    OPT_CONNECT,
    OPT_FABRIC,
    OPT_DEVICE,
    OPT_PATH,
    OPT_SIZE,
    OPT_REPLY,
    OPT_TRACE,
    OPT_CHUNKS,
    OPT_WINDOW,
    OPT_THREADS,
    OPT_PEERS,
    OPT_PROCESSES,
    OPT_ITERS,
    OPT_TIME,
    OPT_CPU,
    OPT_SAME,
    OPT_VERIFY,
    OPT_VS,
    OPT_FORMAT,
    OPT_PARENT,
    OPT_AREA
};

static const struct option long_options[] = {
    {"local", no_argument, NULL, OPT_LOCAL},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"connect", required_argument, NULL, OPT_CONNECT},
    {"fabric", required_argument, NULL, OPT_FABRIC},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"path", required_argument, NULL, OPT_PATH},
    {"size", required_argument, NULL, OPT_SIZE},
    {"reply", required_argument, NULL, OPT_REPLY},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"chunks", required_argument, NULL, OPT_CHUNKS},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"peers", required_argument, NULL, OPT_PEERS},
    {"processes", required_argument, NULL, OPT_PROCESSES},
    {"iters", required_argument, NULL, OPT_ITERS},
    {"time", required_argument, NULL, OPT_TIME},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"same", no_argument, NULL, OPT_SAME},
    {"verify", no_argument, NULL, OPT_VERIFY},
    {"vs", required_argument, NULL, OPT_VS},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"parent", required_argument, NULL, OPT_PARENT},
    {"area", required_argument, NULL, OPT_AREA},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0},
};

/* A whole number from 1 to max. */
static int take_count(const char *option, const char *text, uint32_t max, uint32_t *count)
{
    uint64_t number = 0;
    int wrong = words_count(option, text, max, &number);
    *count = wrong == 0 ? (uint32_t)number : *count;
    return wrong;
}

/* Takes one option about what is called, and by how many; 0, or EXIT_USAGE with a line said. */
static int take_load(struct options *o, int option, const char *text)
{
    switch (option) {
    case OPT_SIZE:
        return words_sizes(text, &o->size_min, &o->size_max);
    case OPT_REPLY:
        return words_size("reply", text, &o->reply);
    case OPT_TRACE:
        o->trace_path = text;
        return 0;
    case OPT_CHUNKS:
        return take_count("chunks", text, CHUNKS_MAX, &o->chunks);
    case OPT_WINDOW:
        return words_range("window", text, WINDOW_MAX, &o->window_min, &o->window_max);
    case OPT_THREADS:
        return take_count("threads", text, THREADS_MAX, &o->threads);
    case OPT_PEERS:
        return take_count("peers", text, PEERS_MAX, &o->peers);
    default:
        return take_count("processes", text, PROCESSES_MAX, &o->processes);
    }
}

/* Takes one option that has a value. */
static int take_value(struct options *o, int option, const char *text)
{
    int choice = 0;
    int wrong = 0;
    switch (option) {
    case OPT_PATH:
        wrong = words_choice("path", text, path_names, COUNT_OF(path_names), 1, &choice);
        o->path = wrong == 0 ? (enum path)choice : o->path;
        return wrong;
    case OPT_FORMAT:
        return words_format(text, FORMAT_CSV, &o->format);
    case OPT_VS:
        wrong = words_choice("vs", text, vs_names, COUNT_OF(vs_names), 1, &choice);
        o->vs = wrong == 0 ? (enum vs)choice : o->vs;
        return wrong;
    case OPT_ITERS:
        return words_count("iters", text, UINT64_MAX / 2, &o->iters);
    case OPT_TIME:
        return words_seconds(text, &o->seconds);
    case OPT_CPU:
        return set_cpus(o, text);
    case OPT_PARENT:
        return words_fd("parent", text, &o->parent_fd);
    case OPT_AREA:
        return words_fd("area", text, &o->area_fd);
    default:
        return take_load(o, option, text);
    }
}

/* Takes any option. */
static int take(void *into, int option, const char *text)
{
    struct options *o = into;
    switch (option) {
    case OPT_LOCAL:
        return set_role(o, ROLE_LOCAL, NULL);
    case OPT_LISTEN:
        return set_role(o, ROLE_LISTEN, text);
    case OPT_CONNECT:
        return set_role(o, ROLE_CONNECT, text);
    case OPT_FABRIC:
        return words_fabric(text, o->fabric);
    case OPT_DEVICE:
        o->devices = text;
        return 0;
    case OPT_SAME:
        o->same = true;
        return 0;
    case OPT_VERIFY:
        o->verify = true;
        return 0;
    default:
        return take_value(o, option, text);
    }
}

/* Takes the words that are no options: the test. */
static int take_words(void *into, int count, char **words)
{
    struct options *o = into;
    int test = count > 0 ? words_index(words[0], test_names, COUNT_OF(test_names)) : 0;
    if (count > 0 && test < 1) {
        return say(EXIT_USAGE, "%s: not a test; the tests are lat, bw, bibw and rate", words[0]);
    }
    if (count > 1) {
        return say(EXIT_USAGE, "%s: one test at a time, and options begin with --", words[1]);
    }
    o->test = (enum test)test;
    return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct command command = {.name = "wb_perf",
                                           .help = options_help,
                                           .options = long_options,
                                           .take = take,
                                           .take_words = take_words,
                                           .check = options_check};
    *options = (struct options){.chunks = 1,
                                .threads = 1,
                                .peers = 1,
                                .cpu = {NO_CPU, NO_CPU},
                                .parent_fd = NO_FD,
                                .area_fd = NO_FD};
    return command_read(&command, argc, argv, options);
}

void options_drop(struct options *options)
{
    trace_drop(&options->trace);
}

size_t next_power(size_t size, size_t last)
{
    if (size >= last) {
        return 0;
    }
    size_t power = 1;
    while (power <= size) {
        power <<= 1;
    }
    return power < last ? power : last;
}

size_t options_next_size(const struct options *options, size_t size)
{
    return next_power(size, options->size_max);
}

uint32_t options_next_window(const struct options *options, uint32_t window)
{
    return (uint32_t)next_power(window, options->window_max);
}
