/*
 * bibw's other half: the server calls back, on the peer that asked for it, in bursts that the
 * client paces by three steps:
 *
 *   PREPARE   the client says what it wants; the server's main loop then writes the payloads
 *   READY     says whether that is done
 *   GO        the server's main loop makes the burst
 *
 * A waiting call is not allowed in a handler, so handlers only take notes; the main loop acts by
 * mirror_step.
 */
#ifndef WAYBILL_PERF_MIRROR_H
#define WAYBILL_PERF_MIRROR_H

#include <stdbool.h>
#include <waybill/engine.h>

#include "perf/caller.h"

enum mirror_step { MIRROR_PREPARE, MIRROR_READY, MIRROR_GO };
enum mirror_state { MIRROR_IDLE, MIRROR_ASKED, MIRROR_PREPARED, MIRROR_GOING, MIRROR_FAILED };

/* The server's; all zero is idle. Used by the thread that makes progress alone. */
struct mirror {
    enum mirror_state state;
    struct wb_peer *peer;         /* the engine's; who asked */
    const struct wb_peer *called; /* the one that the caller was opened for */
    struct calls_wanted wanted;
    uint32_t calls;
    struct caller caller;
    char why[120]; /* what failed */
};

/* Registers the action; `mirror` is borrowed for the life of the engine. */
int mirror_register(struct mirror *mirror, struct wb_engine *engine);

/* Does what was asked for since; returns whether there was anything. */
bool mirror_step(struct mirror *mirror, struct wb_engine *engine);

/* Accepts all zero. Before the engine is destroyed. */
void mirror_close(struct mirror *mirror);

/* The client's: has the server prepare a burst like that of `caller`, and waits until it has.
 * Returns WB_OK, or as perf_mirror_call; caller->error has the words of WB_ERR_REMOTE. */
int mirror_prepare(struct caller *caller, uint32_t calls);
/* Starts the server's burst and returns at once. */
int mirror_go(struct caller *caller);

#endif
