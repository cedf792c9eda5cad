/* What the command line of wb_perf says. */
#ifndef WAYBILL_PERF_OPTIONS_H
#define WAYBILL_PERF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/common_words.h"
#include "perf/trace.h"

struct wb_engine_config;

enum test { TEST_NONE, TEST_LAT, TEST_BW, TEST_BIBW, TEST_RATE };
enum path { PATH_DEFAULT, PATH_EAGER, PATH_COPY, PATH_POINTER, PATH_RMA };
enum role { ROLE_NONE, ROLE_LOCAL, ROLE_LISTEN, ROLE_CONNECT };
enum vs { VS_NONE, VS_FLOOR, VS_VMREADV, VS_RAW, VS_ONE };

enum {
    WINDOW_MAX = 4096,
    THREADS_MAX = 64,
    CHUNKS_MAX = 1024,
    PEERS_MAX = 256,
    PROCESSES_MAX = 64,
    NO_CPU = -1
};

struct options {
    enum test test;
    enum role role;
    const char *url;          /* for listen and connect; borrowed from the command line */
    char fabric[FABRIC_ROOM]; /* of --fabric, or the one that url names */
    const char *devices; /* RDMA devices with commas between, or NULL: all; borrowed likewise */
    enum path path;      /* never PATH_DEFAULT once parsed */
    size_t size_min, size_max; /* bytes */
    size_t reply;              /* bytes of a reply's payload */
    const char *trace_path;    /* or NULL; borrowed likewise */
    struct trace trace;        /* what is in it; then all sizes are its means */
    uint32_t chunks;           /* pieces of an argument */
    uint32_t window_min,
        window_max;     /* calls in flight a thread; 0: chosen by size, see payload.h */
    uint32_t threads;   /* of a client */
    uint32_t peers;     /* connections of a client */
    uint32_t processes; /* that are clients, or 0: this one */
    uint64_t iters;     /* calls to measure, or 0: by time */
    double seconds;     /* to measure, where iters is 0 */
    int cpu[2];         /* of the caller and of the server, or NO_CPU */
    bool same;          /* whether a thread's calls all carry one payload, written once */
    bool verify;
    enum vs vs;
    enum format format;
    const struct wb_engine_config *config; /* to start from; NULL: the default; borrowed */
    int parent_fd, area_fd;                /* of a process that wb_perf has started, or NO_FD */
};

/* Whether this is a process that --processes has started. */
static inline bool is_client_of_many(const struct options *o)
{
    return o->role == ROLE_CONNECT && o->parent_fd != NO_FD;
}

/* Threads that call, in all clients. */
static inline uint32_t callers(const struct options *o)
{
    return o->threads * (o->processes > 0 ? o->processes : 1);
}

/* Reads the command line into *options, as command_read: COMMAND_RUN, or the exit status. */
int options_parse(struct options *options, int argc, char **argv);
void options_drop(struct options *options);

enum { OPTION_WORDS = 32, OPTION_WORD_ROOM = 48 };

/* A command line of this program's, NULL at the end; what it borrows from stays. */
struct option_words {
    const char *word[OPTION_WORDS + 1];
    size_t count;
    char made[OPTION_WORDS][OPTION_WORD_ROOM];
};

/* The program, the test, and what both sides have to know of it: for a process that takes part. */
void option_words_begin(struct option_words *words, const struct options *options);
/* Adds a borrowed word, or one that is made as by printf. */
void option_words_add(struct option_words *words, const char *word);
void option_words_addf(struct option_words *words, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The next size of a sweep after `size`: the next power of two, at last `last` itself; 0 after
 * that. */
size_t next_power(size_t size, size_t last);

/* The same, up to size_max. */
size_t options_next_size(const struct options *options, size_t size);

/* The next window of a sweep after `window`, or 0. */
uint32_t options_next_window(const struct options *options, uint32_t window);

const char *test_name(enum test test);
const char *path_name(enum path path);
const char *vs_name(enum vs vs);

/* Whether the server takes part in the baseline, past the library: --local only. */
bool vs_has_orders(enum vs vs);

/* Whether the baseline is a word that travels, since the payload is in our message itself. */
bool vs_is_words(const struct options *options);

/* The largest payload of --path eager: what an eager message of the default engine holds beside its
 * headers. */
size_t eager_limit(void);

/* The text of --help, in parts. */
extern const char *const options_help[];

#endif
