/*
 * wb_soak: one server process, many client processes that call it and are killed, and a parent that
 * starts and kills them and judges. Each role is the program itself, executed anew.
 */
#ifndef WAYBILL_PERF_SOAK_H
#define WAYBILL_PERF_SOAK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <waybill/engine.h>

#include "perf/common_child.h"
#include "perf/common_listen.h"
#include "perf/soak_board.h"

enum soak_role { ROLE_PARENT, ROLE_SERVER, ROLE_CLIENT, ROLE_IDLER };

struct soak_options {
    enum soak_role role;
    const char *fabric;
    uint64_t clients, seconds;
    uint64_t calls; /* of each client, instead of seconds; 0: not given */
    uint64_t seed;
    uint64_t idle; /* connections that only stand; 0: an ordinary soak */
    bool kill;
    enum wb_filter filter; /* of the server, and of clients of even number */

    /* what the parent tells the others */
    const char *url;
    uint64_t index, peers;
    int parent_fd, board_fd;
};

enum { SOAK_DEADLINE_US = 20000000, SOAK_GRACE_US = 20000000 };

/* Returns 0 to go on, EXIT_USAGE with a line said, or -1 after --help. */
int soak_parse(struct soak_options *options, int argc, char **argv);

/* Each role; returns the exit status, with a line said where it is not 0. */
int soak_run(const struct soak_options *options);
int soak_idle(const struct soak_options *options);
int soak_serve(const struct soak_options *options);
int soak_call_all(const struct soak_options *options);
int soak_stand_idle(const struct soak_options *options);

/* ---- the parent's, for soak_run and soak_idle ---- */

/* Starts the server for `peers` connections and sets url (LISTEN_URL_ROOM). 0, or EXIT_FAILURE. */
int soak_start_server(const struct soak_options *options, const struct soak_shared *shared,
                      uint64_t peers, struct child *server, char *url);
/* Starts client `index`. */
int soak_start_client(const struct soak_options *options, const struct soak_shared *shared,
                      const char *role, const char *url, uint64_t index, uint64_t peers,
                      struct child *client);
/* Gives the server an order and waits for its answer. 0, or EXIT_FAILURE with a line said. */
int soak_ask(const struct soak_shared *shared, enum soak_order kind, const struct child *server,
             struct soak_sample *sample);

/* Judges the records and prints the JSON. Returns the exit status. */
struct soak_outcome {
    uint64_t kills, broken; /* clients that ended by themselves, and not well */
    struct soak_sample start, before, after;
};
int soak_judge(const struct soak_options *options, const struct soak_shared *shared,
               const struct soak_outcome *outcome);

/* A generator of random numbers (splitmix64); any state will do. */
static inline uint64_t soak_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static inline uint64_t soak_below(uint64_t *state, uint64_t bound)
{
    return soak_random(state) % bound;
}

#endif
