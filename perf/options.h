/* What the command line of wb_perf says. */
#ifndef WAYBILL_PERF_OPTIONS_H
#define WAYBILL_PERF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/common_words.h"

struct wb_engine_config;

enum test { TEST_NONE, TEST_LAT, TEST_BW, TEST_BIBW, TEST_RATE };
enum path { PATH_DEFAULT, PATH_EAGER, PATH_COPY, PATH_POINTER, PATH_RMA };
enum role { ROLE_NONE, ROLE_LOCAL, ROLE_LISTEN, ROLE_CONNECT };
enum vs { VS_NONE, VS_FLOOR, VS_RAW, VS_ONE };

enum { WINDOW_MAX = 4096, THREADS_MAX = 64, NO_CPU = -1 };

struct options {
    enum test test;
    enum role role;
    const char *url;          /* for listen and connect; borrowed from the command line */
    char fabric[FABRIC_ROOM]; /* of --fabric, or the one that url names */
    const char *devices; /* RDMA devices with commas between, or NULL: all; borrowed likewise */
    enum path path;      /* never PATH_DEFAULT once parsed */
    size_t size_min, size_max; /* bytes */
    uint32_t window;           /* calls in flight a thread; 0: chosen by size, see payload.h */
    uint32_t threads;
    uint64_t iters; /* calls to measure, or 0: by time */
    double seconds; /* to measure, where iters is 0 */
    int cpu[2];     /* of the caller and of the server, or NO_CPU */
    bool verify;
    enum vs vs;
    enum format format;
    const struct wb_engine_config *config; /* to start from; NULL: the default; borrowed */
    int parent_fd, area_fd;                /* of a process that --local has started, or NO_FD */
};

/* Reads the command line into *options, as command_read: COMMAND_RUN, or the exit status. */
int options_parse(struct options *options, int argc, char **argv);

/* The next size of a sweep after `size`: the next power of two, at last `last` itself; 0 after
 * that. */
size_t next_power(size_t size, size_t last);

/* The same, up to size_max. */
size_t options_next_size(const struct options *options, size_t size);

const char *test_name(enum test test);
const char *path_name(enum path path);
const char *vs_name(enum vs vs);

/* Whether the server takes part in the baseline, past the library: --local only. */
bool vs_has_orders(enum vs vs);

/* The largest payload of --path eager: what an eager message of the default engine holds beside its
 * headers. */
size_t eager_limit(void);

/* The text of --help, in parts. */
extern const char *const options_help[];

#endif
