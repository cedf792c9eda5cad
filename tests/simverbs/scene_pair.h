/*
 * Two hosts, an engine on each, in one thread of a deterministic world: the client is driven by the
 * test, the server whenever the client would wait.
 */
#ifndef WAYBILL_TESTS_SIMVERBS_SCENE_PAIR_H
#define WAYBILL_TESTS_SIMVERBS_SCENE_PAIR_H

#include "tests/conformance/actions.h"
#include "tests/conformance/service.h"
#include "tests/simverbs/fault.h"
#include "tests/simverbs/world.h"

struct sim_pair {
    struct sim_host *server_host, *client_host;
    struct sim_device *server_device, *client_device; /* 10.0.0.2 and 10.0.0.1 */
    struct sim_device *server_rail, *client_rail;     /* 10.0.1.2 and 10.0.1.1, or NULL */
    const char *url;                                  /* of the server; sim_pair_url */
    struct wb_engine_config config;                   /* of both; to be changed before _begin */
    struct test_service server, client;
    struct wb_peer *peer; /* the client's */
};

extern const char *const sim_pair_url;

/* Opens a world with two hosts of this kind. */
void sim_pair_open(struct sim_pair *pair, uint64_t seed, const struct sim_profile *profile);

/* Gives both hosts a second device, and lets READs go over both. */
void sim_pair_add_rails(struct sim_pair *pair, const struct sim_profile *profile);

/* Creates the engines, listens, connects: a status. sim_pair_end ends whatever it came to. */
int sim_pair_begin(struct sim_pair *pair);
void sim_pair_end(struct sim_pair *pair);

/* For who creates the engines himself: the server works whenever the client waits. */
void sim_pair_drive(struct sim_pair *pair);

/* Lets both make progress until neither has anything to do, `us` of the world's time at most. */
void sim_pair_settle(struct sim_pair *pair, uint64_t us);

/* The figures of one of them. */
struct wb_engine_stats sim_stats(const struct test_service *service);

/* Closes the world, and fails if anything is left. */
void sim_pair_close(struct sim_pair *pair);

/* As a fixture: clears away what a failed test has left. One that was closed is fine. */
void sim_pair_clear(struct sim_pair *pair);

#endif
