/*
 * One run: hosts of a simulated network, each with an engine, do at random what engines can do,
 * step by step in one thread, while a model (ledger.h) and rules (rules.h) watch. A run is a
 * function of its options and its seed.
 */
#ifndef WAYBILL_TESTS_WB_SIM_PLAY_H
#define WAYBILL_TESTS_WB_SIM_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/simverbs/world.h"
#include "tests/wb_sim/ledger.h"
#include "tests/wb_sim/node.h"
#include "tests/wb_sim/summary.h"

struct play_options {
    uint64_t steps;
    unsigned hosts;                    /* 2 to PLAY_MOST_HOSTS; of a crowd more */
    const struct sim_profile *profile; /* of all devices; NULL: each run draws one */
    bool breaks;    /* devices, links, receive queues and new connections break by themselves */
    bool gives_up;  /* calls are given up; arguments are spoilt once they are sent */
    bool defers;    /* handlers answer later, or run on an executor; in half of the runs */
    bool lines;     /* in some runs connections come and go by themselves, and hosts are drained */
    bool streams;   /* in half of the runs hosts open streams to each other */
    bool rails;     /* in a quarter of the runs READs go over two devices of each host */
    bool disturb;   /* false: every run is calm */
    uint32_t lanes; /* of every host's engine */
};

enum {
    PLAY_MOST_HOSTS = 16,
    PLAY_MOST_CROWD = 1001,
    PLAY_FAILED = 3 /* what play_fail exits with: all is said */
};

struct streams;

struct play {
    const struct play_options *options;
    uint64_t seed, random;
    uint64_t breaks;     /* the stream of what options->breaks adds: seeds mean the same without */
    uint64_t later;      /* the same of options->defers */
    bool defers;         /* this run does */
    bool let_go;         /* and it has come to its end: all is answered */
    uint64_t lines;      /* the same of options->lines */
    bool comes_and_goes; /* this run is one of those */
    uint64_t rails;      /* the same of options->rails */
    bool has_rails;      /* this run is one of those */
    struct streams *streams; /* what options->streams adds, with a stream of its own */
    bool calm;               /* nothing is disturbed: calls end well, or by their own deadline */
    bool tight;              /* pools are small: there may be no room */
    bool filters; /* most hosts filter archives, and bytes are such that it helps; by the seed
                     alone: other seeds mean what they meant before there were filters */
    const struct sim_profile *profile;
    struct node *nodes;
    unsigned host_count;
    struct ledger ledger;
    uint64_t *broken_ns; /* host_count by host_count, both ways: when something was last done that
                            ends channels between the two; 0 never */
    bool *idles;         /* likewise: the first may close a channel that it does not use */
    uint64_t step;
    struct summary summary;
};

/* Runs one seed; a rule that is broken ends the program (play_fail). Returns the hash of its trace.
 * Adds to *summary. */
uint64_t play_run(const struct play_options *options, uint64_t seed, struct summary *summary);

/* For play_run and crowd_run: a world with its hosts, none of them up yet; and its end, which fails
 * if something is left. */
struct play *play_open(const struct play_options *options, uint64_t seed);
void play_close(struct play *play);

/* All hosts go on, until `us` have passed; or, with `calls`, until no call is open. When nobody has
 * anything to do, `idle_us` pass. */
void play_settle(struct play *play, uint64_t us, uint64_t idle_us, bool calls);

/* A rule is broken: says which, the last events, and how to see it again; ends the process. */
void play_fail(const struct play *play, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* What play_fail prints for the run under way: set by whoever knows the command line. */
void play_on_fail(void (*say_replay)(uint64_t seed, FILE *out), unsigned trace_lines);

/* Channels between two hosts end, or those of one with all; and whether something that began then
 * may have lost its channel. */
void play_break(struct play *play, unsigned a, unsigned b);
void play_break_all(struct play *play, unsigned a);
bool play_may_be_lost(const struct play *play, unsigned a, unsigned b, uint64_t begun_ns);

/* ---- chance ---- */

uint64_t play_below(struct play *play, uint64_t limit); /* limit 0: 0 */
bool play_chance(struct play *play, unsigned in_1000);

/* Of options->lines: below `limit`. */
uint64_t play_below_in_lines(struct play *play, uint64_t limit);

/* Below `limit`, with every order of magnitude as likely as the next. */
uint64_t play_size(struct play *play, uint64_t limit);

/* ---- time ---- */

/* Lets time pass, with all that devices do in it. */
void play_pass(uint64_t us);

#endif
