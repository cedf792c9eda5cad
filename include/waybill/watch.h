/*
 * Watching an engine: what has happened of late, and how long calls take. (What it has done in all
 * is wb_engine_stats, in engine.h; probes for tracers are in docs/watching.md.)
 *
 * Every function may be called from any thread at any time, handlers and callbacks too, and waits
 * for nobody: also where a handler is stuck.
 */
#ifndef WAYBILL_WATCH_H
#define WAYBILL_WATCH_H

#include <waybill/engine.h>

/* ---- the event log ---- */

/*
 * The last 2048 events of each lane, always on. An ordinary call without chunks leaves none: what
 * is logged is what is rare, or moves much. With the environment variable WB_EVENTS=errors, read
 * when the engine is made, a peer that is lost, other than by its owner's closing it, is reported
 * on stderr: why, one line of advice, and the last 32 events before.
 */
enum wb_event_kind {
    WB_EVENT_CONNECTED = 1, /* bytes: the largest eager message */
    WB_EVENT_LOST,          /* status: why; also of an attempt to connect that failed */
    WB_EVENT_REQUEST_SENT,  /* with chunks; bytes: of the message, chunk: records of its list */
    WB_EVENT_REQUEST_CAME,  /* likewise */
    WB_EVENT_REPLY_SENT,    /* likewise */
    WB_EVENT_REPLY_CAME,    /* likewise */
    WB_EVENT_REPLY_LATE,    /* for a call that has ended, or never was */
    WB_EVENT_CALL_ENDED,    /* status: why, never WB_OK */
    WB_EVENT_ERROR_SENT,    /* a request is answered with one; status, chunk: its code */
    WB_EVENT_PARKED,        /* a parcel waits for memory; bytes: of its message */
    WB_EVENT_READ,          /* is issued; bytes, chunk: which one of the parcel, from 1 */
    WB_EVENT_READ_FAILED,   /* likewise, and status */
    WB_EVENT_RELEASED,      /* by the peer; bytes: the lease */
    WB_EVENT_WITHDRAWN,     /* chunks taken back; bytes: the lease, chunk: how many still stand */
    WB_EVENT_CANCEL_SENT,   /* the peer is told to stop */
    WB_EVENT_CANCEL_CAME,   /* for a request that is still being received, or waits */
    WB_EVENT_RAIL,          /* is ready; chunk: how many the peer has now */
    WB_EVENT_RAIL_LOST,     /* or could not be had; status: why; chunk: how many are left */
    WB_EVENT_KINDS
};

/* What an event has no use for is 0 or "". */
struct wb_event {
    uint64_t number; /* counts the events of its lane, from 1 */
    uint64_t
        when_us;   /* CLOCK_MONOTONIC, as the engine last looked: while it is busy, some ms ago */
    uint32_t turn; /* counts polls of the lane: what the clock is too coarse for */
    enum wb_event_kind kind;
    const char *scheme; /* of the fabric; static storage */
    uint32_t lane;      /* of the fabric's, from 0 */
    uint32_t peer;      /* its number on this lane, from 1, never given twice */
    char peer_url[112]; /* or "", where 256 other peers have come since */
    uint64_t call;      /* its id on the wire, the caller's: another engine has the same ones */
    char action[48];    /* or "", where it is not known; cut where it is longer */
    uint64_t bytes;
    uint32_t chunk;
    int status;
};

/* Copies the last `most` events of an engine at most, the newest last. Returns how many, or
 * WB_ERR_CLOSED (in a child of fork); what is behind them in *events is undefined. */
WB_API int wb_engine_events(struct wb_engine *engine, struct wb_event *events, unsigned most);

/* Writes the same as lines; returns the bytes needed without the final 0, as snprintf, or
 * WB_ERR_CLOSED, WB_ERR_NO_MEMORY. More bytes may be needed the next time. Nothing is written where
 * size is 0, and text may be NULL then. */
WB_API int wb_engine_events_text(struct wb_engine *engine, unsigned most, char *text, size_t size);

/* Writes one event as a line without an end; returns as snprintf. */
WB_API int wb_event_text(const struct wb_event *event, char *text, size_t size);

/* "connected", "request sent" and so on. Never NULL. */
WB_API const char *wb_event_name(enum wb_event_kind kind);

/* ---- latencies ---- */

enum { WB_LATENCY_BITS = 5, WB_LATENCY_BUCKETS = (42 - WB_LATENCY_BITS + 1) << WB_LATENCY_BITS };

enum wb_latency_kind {
    WB_LATENCY_CALLS,    /* that this engine made, from NAME_async to their end, however they end;
                            without those of NAME_apply */
    WB_LATENCY_HANDLERS, /* that were run here, from decoding to their answer, which may be a
                            deferred one; on an executor, from when that was given the call. One
                            that says WB_AGAIN is counted when it is done */
    WB_LATENCY_KINDS
};

/* How often what took how long: buckets of 32 to each power of two nanoseconds, so 3 % wide; the
 * last one has all from 72 minutes on. */
struct wb_latency {
    uint64_t count, sum_ns, min_ns, max_ns; /* exact; 0 where count is */
    uint64_t buckets[WB_LATENCY_BUCKETS];
};

/* Reads the latencies since the engine was made, of all its fabrics. Those that end at this moment
 * may be in some of the figures. Errors: WB_ERR_INVALID (config.latency was not set, no such kind);
 * *latency is then untouched. */
WB_API int wb_engine_latency(struct wb_engine *engine, enum wb_latency_kind kind,
                             struct wb_latency *latency);

/* What so many percent (0 to 100) of them did not exceed, in nanoseconds, to 1.6 %; 0 if there are
 * none. */
WB_API uint64_t wb_latency_percentile(const struct wb_latency *latency, double percent);

/* Writes count, mean, extremes and percentiles as "name value unit" lines; returns as snprintf. */
WB_API int wb_latency_text(const struct wb_latency *latency, char *text, size_t size);

#endif
