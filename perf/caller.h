/*
 * Bursts of calls to one peer, at most a window of them in flight; used by the client and, for
 * bibw, by the server.
 *
 *   caller_write   writes the payloads of the next burst       (not timed)
 *   caller_burst   makes the calls and waits for their ends    (timed, whole)
 */
#ifndef WAYBILL_PERF_CALLER_H
#define WAYBILL_PERF_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <waybill/engine.h>

#include "perf/exchange.h"
#include "perf/histogram.h"
#include "perf/payload.h"

/* How long a call may take while `threads` have a window of such calls in flight, and the peer may
 * have as many. */
uint64_t calls_patience_us(size_t size, uint32_t window, uint32_t threads);

/* The time of which calls count: those that end in [from, to), in ticks. */
struct span {
    uint64_t from, to;
};
#define SPAN_ALWAYS ((struct span){.to = UINT64_MAX})

struct flight;

/* One thread's; all zero has nothing to give back. */
struct caller {
    struct wb_engine *engine;     /* borrowed */
    struct wb_peer *const *peers; /* wanted.peers of them; borrowed, as the array is */
    bool words;                   /* whether one word is the payload: 8 bytes on the eager path */
    const struct exchange *exchange; /* else */
    struct calls_wanted wanted;
    struct payloads payloads; /* none where it is words */
    struct flight *flights;   /* `window` of them, a ring in the order of beginning */
    bool written;             /* whether anything has been */
    uint64_t stamp;           /* of the burst that was written last */
    uint64_t start, end;      /* of the last burst, in ticks */
    uint64_t check_ticks;     /* of these, the peer's time for checking payloads */
    struct span span;         /* SPAN_ALWAYS at first */
    uint64_t carried;         /* bytes of payload, both ways, of the last burst's calls in span */
    struct histogram *rtt;    /* borrowed, or NULL: of these, in ticks, without their own check */
    struct wb_error error;    /* words of a call that ended with WB_ERR_REMOTE */
};

/* Sets up for bursts of up to `burst` calls. Returns WB_OK or as payloads_create; on failure
 * *caller is all zero. */
int caller_open(struct caller *caller, struct wb_engine *engine, struct wb_peer *const *peers,
                const struct calls_wanted *wanted, uint32_t burst);
/* Accepts all zero. No call is open. */
void caller_close(struct caller *caller);

/* Where all calls carry the same, that is written the first time alone. */
void caller_write(struct caller *caller, uint32_t calls);

/* Returns WB_OK, or how the first call that failed did; WB_ERR_MALFORMED for a wrong answer. All
 * calls have ended. */
int caller_burst(struct caller *caller, uint32_t calls);

/* What to say of a failed burst; static storage of the caller. */
const char *caller_words(const struct caller *caller, int status);

#endif
