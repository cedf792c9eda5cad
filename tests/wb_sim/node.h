/* A host: its engine's life, the connections it made, what its handlers keep. */
#ifndef WAYBILL_TESTS_WB_SIM_NODE_H
#define WAYBILL_TESTS_WB_SIM_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <waybill/waybill.h>

#include "tests/simverbs/world.h"

struct play;
struct open_call;
struct later_job;
struct later_work;

enum { NODE_LINKS = 3, NODE_KEPT = 8, NODE_DEVICES = 2 };

/* A connection that the host made. */
struct link {
    struct wb_peer *peer; /* NULL: none */
    unsigned target;
    uint64_t begun_ns;
};

/* A vector that a handler has kept, of whose bytes it knows the pattern. */
struct kept {
    wb_rma_vector data;
    uint64_t number, seed; /* of the call it came with */
};

struct node {
    struct play *play;
    unsigned number;
    struct sim_host *host;
    struct sim_device *devices[NODE_DEVICES];
    unsigned device_count;
    bool up[NODE_DEVICES]; /* links */
    struct wb_engine_config config;
    struct wb_engine *engine;                                  /* NULL: down */
    uint64_t down_until_ns, stalled_until_ns, silent_until_ns; /* silent 0: it is not */
    bool turning;                                              /* one of its turns is under way */
    bool sleeping; /* of which it waits in one: another thread could do something */
    uint64_t up_since_ns;
    bool draining;
    struct link links[NODE_LINKS];
    struct link back; /* a caller that a handler has kept */
    struct open_call *calls;
    unsigned call_count;
    struct kept kept[NODE_KEPT];
    uint8_t *answer; /* the bytes of the last raw result */
    /* later.c: what is to be answered, what the executor was given, and that */
    struct later_job *jobs;
    struct later_work *works;
    struct wb_executor executor;
};

/* Adds the host and its devices to the world; no engine yet. */
void node_open(struct node *node, struct play *play, unsigned number);

/* Creates the engine and listens. False: that failed, as it may under faults. */
bool node_up(struct node *node);

/* Whether it uses all of its devices: those whose links were down, or that could not be opened,
 * when it was created, it does not. */
bool node_is_whole(const struct node *node);

/* Adds what its engine has done to the run's summary. */
void node_count(const struct node *node);

/* Destroys the engine, with everything on it. */
void node_down(struct node *node);

/* node_down, and the memory that a handler keeps. */
void node_close(struct node *node);

bool node_runs(const struct node *node); /* has an engine and is not stalled */

/* One turn: progress, and calls that have ended are taken. */
bool node_turn(struct node *node);

/* Lets the engine wait, `us` at most. */
void node_sleep(struct node *node, uint64_t us);

/* Connects slot `index`, which is free, to some host; or some slot, if it is free. */
void node_connect(struct node *node, unsigned index);
void node_connect_if_free(struct node *node);

/* The same to one host. */
void node_connect_to(struct node *node, unsigned index, unsigned target);
void node_disconnect(struct node *node, struct link *link, bool lost);

void node_disconnect_all(struct node *node);

/* Ends the links whose peers are lost. */
void node_mend(struct node *node);

void node_drop_kept(struct node *node, unsigned index);

/* handlers.c: WB_OK or why they could not be registered. */
int node_serve(struct node *node);

#endif
