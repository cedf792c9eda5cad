/*
 * The engine: one instance of the library in a process, its peers, its calls, its progress.
 *
 * Threads: every function here may be called from any thread at any time, unless its comment says
 * otherwise. Progress: nothing happens behind the program's back. Calls, replies and connections
 * move while some thread is inside wb_progress, wb_wait, or a call that waits, or is one of
 * wb_engine_run. Handlers and callbacks run on such a thread, and are never re-entered.
 *
 * fork: an engine stays the parent's, and so does its memory. In a child what takes the engine, a
 * peer of it or a call answers WB_ERR_CLOSED, or (wb_engine_destroy, wb_peer_close) does nothing;
 * the child can make an engine of its own. Blocks, vectors and landings are not mapped there:
 * touching one is SIGSEGV, and the functions of allocator.h, vector.h, object.h and buffer.h are
 * not for what was inherited, not even to drop it. The parent notices nothing.
 */
#ifndef WAYBILL_ENGINE_H
#define WAYBILL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/arena.h>
#include <waybill/memory.h>
#include <waybill/status.h>

struct wb_engine;  /* fabrics, lanes, memory and actions */
struct wb_peer;    /* the remote end */
struct wb_call;    /* a call that has begun and not been finished */
struct wb_context; /* the call that a handler is serving; valid until the handler returns */
struct wb_stream_item;

/* What a received struct's views hold on to; the library's own business. All zero holds nothing. */
struct wb_hold {
    struct wb_call *call;
    struct wb_stream_item *item; /* where it is one of a stream */
    struct wb_arena arena;       /* of the nested arrays */
};

/* What can be told to the verbs fabric. All zero (the default) lets it choose. */
struct wb_verbs_config {
    const char *devices; /* names with commas between, as ibv_devices lists them; borrowed until
                            wb_engine_create returns; NULL: every device with an active port */
    const char *source;  /* numeric IP address, one of this machine's, that connections leave from:
                            it chooses device, port and GID; with commas between: one for each host
                            of a peer's URL, in its order; borrowed likewise; NULL: by route */
    uint32_t mtu; /* bytes of a packet: 256, 512, 1024, 2048 or 4096; 0: the port's active; to
                      be told to both ends alike */
    uint32_t ack_timeout; /* a packet that is not acknowledged within 4.096 us * 2^ack_timeout is
                             sent again; 8 to 20; 0: 16 (268 ms) */
    uint32_t retries;     /* how often, before the peer counts as lost; 1 to 6; 0: 6. A dead peer is
                             known after liveness_us and retries + 1 such times, 2.9 s by default */
    bool rails; /* READs of chunks go over several devices at once: those over which the hosts of
                   "verbs://HOST,HOST:PORT" are reached. To be told to both ends; each has to have
                   several devices. Each chunk then carries a key for each of them; default false */
};

/* What becomes of a request that cannot land, because others hold the room. (One for which the pool
 * only has to grow waits in any case.) Its caller gets WB_ERR_BUSY where it is refused. */
enum wb_when_full {
    WB_FULL_WAIT,   /* it waits, until there is room or its caller's deadline */
    WB_FULL_REFUSE, /* it is refused at once */
    WB_FULL_SHED    /* it waits, and the longest waiting one beyond shed_beyond is refused for it */
};

/* What archives go through on their way. */
enum wb_filter {
    WB_FILTER_NONE,
    WB_FILTER_LZ4 /* compressed by lz4, where that makes them shorter; refused where the library was
                     built without */
};

enum { WB_LANES_MOST = 16 };

/* All there is to configure. Start from wb_engine_config_default. Bytes and microseconds
 * throughout. */
struct wb_engine_config {
    uint64_t budget_bytes;      /* bound on registered memory; default 1 GiB */
    uint64_t slab_bytes;        /* an ordinary slab of the pool, a power of two; default 8 MiB */
    uint64_t pin_bytes;         /* bound on memory that is registered for wb_mr_pin, beside the
                                   budget; default 4 GiB; 0: nothing can be pinned for a fabric that
                                   registers */
    uint32_t eager_bytes;       /* largest eager message, 512 to 65536; default 8192 */
    uint32_t pointer_threshold; /* strings, byte ranges and buffers from here on travel as pointer
                                   chunks; 0, the default, is 4096, but for strings and byte ranges
                                   over shm, where the program's memory is copied on both sides in
                                   any case, what an eager message of both engines has no room for:
                                   its bytes less 256, if that is more */
    uint32_t rma_threshold;     /* rma_vectors, objects and registered buffers from here on travel
                                   as rma chunks; default 1024 */
    uint32_t max_calls;         /* calls open at once on a lane, 1 to 65536; default 1024. While a
                                   thread is in the lane, others may find a quarter of them, and 256
                                   at most, taken that is not */
    uint32_t credits;   /* requests that a peer may have unanswered here, 1 to 4096; default 256 */
    uint32_t max_peers; /* channels at once of a fabric, 1 to 1024; default 256. Each lane takes its
                           part of them, rounded up */
    uint32_t lanes;     /* of each fabric, 1 to WB_LANES_MOST; 0, the default, is 1. Each peer lives
                           on one, on that with the fewest when it comes: threads that call peers of
                           different lanes do not meet, and handlers of different lanes run at once.
                           A lane without peers costs memory (docs/scaling.md), and no time */
    uint64_t call_timeout_us;    /* deadline of a call that states none; default 30 s */
    uint64_t connect_timeout_us; /* default 5 s */
    uint64_t spin_us;     /* how long a waiting thread polls before it sleeps; default 50. Over
                             shm some hundred microseconds more where it was awake for long */
    uint64_t liveness_us; /* a peer that was not heard for so long is probed, where the network does
                             not tell of deaths (verbs); default 1 s */
    uint32_t
        reserve_percent; /* of budget_bytes, kept for what arrives and for replies' room: the
                            program's own allocations leave so much unused, 0 to 50; default 6 */
    enum wb_when_full when_full; /* requests for which there is no room now; default WB_FULL_WAIT */
    uint32_t shed_beyond;        /* with WB_FULL_SHED, how many may wait; default 16 */
    enum wb_rma_checks checks;   /* of the engine's own allocator; default WB_RMA_CHECKS_CHEAP */
    enum wb_pages pages;         /* of the engine's own allocator; default WB_PAGES_TRANSPARENT */
    enum wb_filter filter; /* of the archives that this engine sends, and that it takes, requests
                              and replies; never of chunks. A peer that does not take them gets them
                              as they are, and so does a caller whose reply_bytes do not hold the
                              plain and the filtered result. Undoing runs on the thread that makes
                              progress, and holds the filtered and the plain archive of a request
                              at once, which the budget must have room for. Filtering takes, until
                              the parcel is sent, twice the plain archive of malloc's memory, which
                              is not of budget_bytes; default WB_FILTER_NONE */
    uint32_t filter_from;  /* archives of fewer bytes are not filtered; UINT32_MAX: none that this
                              engine sends; default 1024 */
    uint64_t arena_bytes;  /* that the nested arrays of one parcel may take when decoded, outside of
                              the budget, 1 to UINT32_MAX; default 64 MiB */
    uint32_t max_depth;    /* to which custom types of a parcel may nest, 1 to 1024; default 64 */
    uint32_t max_chunks;   /* of one parcel that arrives, 1 to 65536, which is the default and the
                              most: a request with more ends with WB_ERR_BUDGET, a result with more
                              with WB_ERR_REPLY_TOO_LARGE */
    uint32_t streams; /* open at once with one peer (stream.h), whoever opened them, 1 to 65536;
                         default 64 */
    uint32_t stream_items; /* that the other side of a stream may be ahead, 1 to 1024; default 16 */
    uint64_t stream_bytes; /* that they may hold here, 16384 and more; an item may have half of it.
                              Never more than a 64th of budget_bytes, and all open streams of an
                              engine together have a quarter; default 2 MiB */
    bool latency;          /* counts how long calls and handlers take (watch.h), which reads the
                              clock twice for each; default false */
    struct wb_verbs_config verbs;
};

WB_API void wb_engine_config_default(struct wb_engine_config *config);

/* Writes the configuration as "name value unit" lines; returns the bytes needed without the final
 * 0, as snprintf. */
WB_API int wb_engine_config_text(const struct wb_engine_config *config, char *text, size_t size);

/*
 * Creates an engine with every fabric that this machine can use. config NULL means the defaults; it
 * is copied. Sets *engine on success only; the caller ends it with wb_engine_destroy. Errors:
 * WB_ERR_INVALID (a field out of range, a device that is not here, a filter that this library was
 * built without), WB_ERR_BUDGET (budget below one slab), WB_ERR_NO_MEMORY, WB_ERR_SYSTEM;
 * wb_last_error() names the field or the system call.
 */
WB_API int wb_engine_create(const struct wb_engine_config *config, struct wb_engine **engine);

/*
 * Closes all peers (open calls end with WB_ERR_CLOSED) and gives back everything. Accepts NULL. No
 * other thread of the program's may be inside the engine, and it is not called from inside a
 * handler. Peers, unfinished calls, and results with views (structs that NAME_finish filled and
 * that were not dropped) become invalid; rma_vectors stay valid until they are dropped.
 */
WB_API void wb_engine_destroy(struct wb_engine *engine);

/* What the last failing function of this header or of an action's stubs on this thread has to say:
 * one line that names the thing and what to do. Never NULL; overwritten by the next failure on this
 * thread. wb_rma_vector_* say all they know by their status. */
WB_API const char *wb_last_error(void);

/* The engine's own allocator, in which everything lands that it receives. Borrowed: it ends with
 * the engine. wb_rma_allocator_create makes others. */
WB_API struct wb_rma_allocator *wb_engine_allocator(struct wb_engine *engine);

/*
 * Makes progress once, without waiting: receives, fetches, runs handlers, sends what waited.
 * Returns the number of things done, 0 when there was nothing, or WB_ERR_DEADLOCK from inside a
 * handler or callback.
 */
WB_API int wb_progress(struct wb_engine *engine);

/*
 * Makes progress until something was done or timeout_us have passed; polls for config.spin_us, then
 * sleeps. Returns as wb_progress.
 */
WB_API int wb_wait(struct wb_engine *engine, uint64_t timeout_us);

/*
 * A program with a loop of its own waits for the engine's descriptor beside its others. The loop's
 * thread does, each time before it waits:
 *
 *   while (wb_engine_arm(engine, &timeout_us) == WB_AGAIN) {
 *       wb_progress(engine);
 *   }
 *   poll(…, wb_engine_fd(engine) for reading, …, timeout_us at most);
 *   wb_progress(engine);
 *
 * wb_engine_fd: an epoll descriptor, to be waited for and for nothing else; the engine's until its
 * end. wb_engine_arm returns WB_OK: nothing is to be done now, and the descriptor becomes readable
 * when something is, whatever other threads do meanwhile; *timeout_us is when to look at deadlines
 * at the latest: nothing else of the engine's is called between this and the wait. Or WB_AGAIN:
 * wb_progress has something to do, or may have within a millisecond, or another thread is at it; or
 * WB_ERR_DEADLOCK, inside a handler, or WB_ERR_CLOSED, in a child. At most one thread waits so;
 * others may call, wait and make progress as ever.
 */
WB_API int wb_engine_fd(const struct wb_engine *engine);
WB_API int wb_engine_arm(struct wb_engine *engine, uint64_t *timeout_us);

/*
 * Threads of the engine's own make its progress, so that no thread of the program need: `count` of
 * them, 1 to 64, which poll for config.spin_us and then sleep, as wb_wait. They block all signals,
 * are named "waybill-engine", and keep to the CPUs near the RDMA device, where it is known which
 * those are and the program may run there. One is enough, but where handlers are long on several
 * fabrics: those of one fabric run one at a time. Handlers and callbacks run on them, and as ever
 * on threads of the program that wait in the engine. wb_engine_halt ends them, whatever calls are
 * open, and returns when none runs any more; without any it does nothing. wb_engine_destroy does
 * the same. Any thread. Errors of both: WB_ERR_DEADLOCK (inside a handler or callback),
 * WB_ERR_CLOSED (in a child of fork); of wb_engine_run: WB_ERR_INVALID (count; there are threads
 * already), WB_ERR_SYSTEM (they cannot be made: there are none then).
 */
WB_API int wb_engine_run(struct wb_engine *engine, unsigned count);
WB_API int wb_engine_halt(struct wb_engine *engine);

/*
 * Listens at "shm://NAME" (NAME: 1 to 64 of A-Z a-z 0-9 . _ -) or "verbs://HOST:PORT" (HOST: a
 * name, an IPv4 address, an IPv6 address in brackets, or * for every address of this machine; or up
 * to four with commas between: at each of them). The
 * engine serves its registered actions there until it is destroyed. Errors: WB_ERR_BAD_URL,
 * WB_ERR_INVALID (the address is one of a device that the engine does not use),
 * WB_ERR_NO_FABRIC, WB_ERR_IN_USE, WB_ERR_NO_MEMORY, WB_ERR_SYSTEM, WB_ERR_CLOSED (the engine is
 * drained, or a parent process's).
 */
WB_API int wb_listen(struct wb_engine *engine, const char *url);

/*
 * Begins to connect and returns at once with a peer in state WB_PEER_CONNECTING; calls may be made,
 * they wait for the connection. Where the URL names several hosts, they are one peer's: the first
 * is connected to, the others are ways for its chunks besides (config.verbs.rails, without which
 * that is WB_ERR_INVALID). The caller ends *peer with wb_peer_close. Sets *peer on success only.
 * Errors: WB_ERR_BAD_URL, WB_ERR_NO_FABRIC, WB_ERR_REFUSED (already known that nobody listens),
 * WB_AGAIN (max_peers), WB_ERR_NO_MEMORY, WB_ERR_SYSTEM, WB_ERR_DEADLOCK (inside a handler or
 * callback of another fabric or engine: whoever keeps this fabric waits for one as well, maybe for
 * that; to be tried again when the handler has returned).
 */
WB_API int wb_connect(struct wb_engine *engine, const char *url, struct wb_peer **peer);

enum wb_peer_state {
    WB_PEER_CONNECTING,
    WB_PEER_CONNECTED,
    WB_PEER_LOST, /* for good; connect anew for a new peer */
    WB_PEER_IDLE  /* of wb_connect_with (peer.h): not connected, until a call or wb_peer_wait */
};

WB_API enum wb_peer_state wb_peer_state(const struct wb_peer *peer);

/* Makes progress until the peer is connected or lost, timeout_us at most. Returns WB_OK,
 * WB_ERR_TIMED_OUT, WB_ERR_DEADLOCK, WB_ERR_CLOSED (it is not connected, and is being drained), or
 * why the connection failed (WB_ERR_REFUSED, WB_ERR_VERSION, WB_ERR_PEER_LOST …). */
WB_API int wb_peer_wait(struct wb_peer *peer, uint64_t timeout_us);

/* What is known of a peer, and what both sides have agreed on: 0 until the peer was connected, and
 * what it was then once it is lost; 0 again while one that comes back (peer.h) is not connected. */
struct wb_peer_info {
    char url[112];      /* that wb_connect was given; of one that connected to us, a name for it */
    const char *scheme; /* of the fabric; static storage */
    enum wb_peer_state state;
    bool accepted;            /* it connected to us */
    uint32_t wire_version;    /* that both speak */
    uint32_t eager_bytes;     /* largest message, the smaller of both sides' */
    uint32_t credits;         /* requests that it lets us have unanswered there */
    uint32_t credits_granted; /* requests that it may have unanswered here */
    uint32_t peer_read_depth; /* READs at once that it serves, as it says */
    uint32_t read_depth;      /* READs at once that are made of it here, at most */
    uint32_t key_bytes;       /* of each chunk that is offered to it */
    uint32_t read_align;      /* that READs are made with here; 1: none */
    uint64_t max_read_bytes;  /* largest single READ here */
    uint64_t engine_id;       /* its engine's, random: another one after a restart */
    uint32_t rails;           /* devices besides the connection's that chunks are READ over now */
};

/* Describes a peer. Any thread, handlers too. Errors: WB_ERR_CLOSED (in a child of fork),
 * WB_ERR_DEADLOCK (as wb_connect); *info is then untouched. */
WB_API int wb_peer_describe(struct wb_peer *peer, struct wb_peer_info *info);

/* Why a peer was lost, in one line; "" while it is not. Valid until the peer is closed. */
WB_API const char *wb_peer_reason(const struct wb_peer *peer);

/* Ends the handle, and closes the channel if it is one of wb_connect (open calls end with
 * WB_ERR_CLOSED); inside handlers maybe a little later. Accepts NULL. */
WB_API void wb_peer_close(struct wb_peer *peer);

/* Inside a handler: makes the caller's peer (wb_context_peer) a handle that stays valid after the
 * handler, to call back later; the caller ends it with wb_peer_close, which leaves the channel of a
 * peer that connected to us open, and closes one of wb_connect. Returns its argument. */
WB_API struct wb_peer *wb_peer_keep(struct wb_peer *peer);

/*
 * Back-pressure for a program that waits for events: to be called on a thread to which NAME_async
 * or NAME_apply has answered WB_AGAIN for this peer. room(user) is called once, when the call would
 * be taken now; there may be room already, and nothing is missed in between. Who asks first is told
 * first; others may be quicker to take the room, and then NAME_async answers WB_AGAIN once more. It
 * is also called when the peer is lost, and by wb_engine_destroy: NAME_async says that then.
 * It is called on a thread that makes progress or closes the peer, never in here, and like `then`
 * (below): it may make calls, and not wait. Any thread. WB_OK: it will be called. Errors, and it
 * will not: WB_ERR_NOT_SENT (the peer is lost), WB_ERR_NO_MEMORY, WB_ERR_CLOSED (in a child of
 * fork).
 */
WB_API int wb_peer_on_room(struct wb_peer *peer, void (*room)(void *user), void *user);

/* ---- calls ---- */

/* What a handler says when it fails, as its caller sees it. */
struct wb_error {
    int code;       /* the handler's own, or 0 */
    char text[120]; /* terminated; "" if it gave none */
};

enum wb_call_flags {
    WB_CALL_COPY = 1, /* no chunks: every argument is copied into the archive, whatever its size */
    WB_CALL_ONE_WAY = 2 /* no answer: NAME_apply sets it; NAME_async and NAME_call refuse it */
};

struct wb_call_options {
    uint64_t timeout_us;  /* from the call's begin to its end; 0: config.call_timeout_us */
    uint64_t reply_bytes; /* room for a result beyond one eager message, reserved in this engine's
                             pool; 0: none */
    uint32_t flags;       /* of wb_call_flags */
    /* Of this call's arguments, in place of config's; SIZE_MAX: none of these become chunks; 0:
       config's, and where both are, many small ones are gathered. */
    size_t pointer_threshold, rma_threshold;
    struct wb_error
        *error; /* filled when the call ends with WB_ERR_REMOTE; borrowed until it ends; or NULL */
    /* What the program wants to be told; NULL: nothing. Called as a handler is, on a thread that
       makes progress, or begins, cancels or connects: it may make calls, and not wait; hold no lock
       around those that it takes. Neither is called where NAME_async fails.
       on_sent: once, when nobody reads the arguments any more, so that strings, byte ranges and
       views may be reused: before the handler has ended, where that is known before, and in any
       case before the call has.
       then: once, when the call has ended, maybe before NAME_async has returned; NAME_finish does
       not wait any more, and is called there or later, but not before. wb_engine_destroy calls it
       for the calls that it ends; no new channel is to be had then (WB_ERR_CLOSED). */
    void (*on_sent)(void *user);
    void (*then)(struct wb_call *call, void *user);
    void *user; /* of both */
    /*
     * Memory of the program's own in which results are to arrive: the i-th vector or object of the
     * result in [data, data + capacity) of into[i], which is any block or slice of this engine's
     * allocators. They are counted in the order of the fields, empty handles too, buffers not, and
     * none behind a custom type. An empty handle in into[] is none: that result lands as ever.
     * The result's handle is then one more reference to that block, with the elements that came.
     * A chunk is READ straight into it and takes nothing of reply_bytes; those are for all else of
     * a result beyond one eager message, vectors that the server packs (rma_threshold) among it.
     * What came packed is copied by NAME_finish. What is larger than its vector lands as without
     * one: in reply_bytes, or the call ends with WB_ERR_REPLY_TOO_LARGE. (A device that READs
     * aligned needs some bytes more, or reply_bytes to READ it into first.)
     * The array is borrowed until NAME_async has returned, and the call has its own references:
     * drop the vectors at once, or keep them (they may be arguments of this call, too), but leave
     * their bytes alone until the call has ended. Then, however it ended, nobody writes there any
     * more: the end of one that timed out or was cancelled waits for READs under way, for a second,
     * after which its channel is closed. What is there is unspecified where the call failed, and
     * behind the elements that came. NAME_async answers WB_ERR_INVALID where a vector is of no
     * allocator of this engine; NAME_apply has no result, and passes over them.
     */
    const wb_rma_vector *into;
    uint32_t into_count; /* 0: none */
};

/*
 * NAME_call and NAME_async (see action.h) return
 *   WB_OK, or at once: WB_AGAIN (async only: no credit, no slot, no open call to have; make
 * progress and try again, or see wb_peer_on_room), WB_ERR_BUDGET (reply_bytes or the archive can
 * never fit the pool), WB_ERR_INVALID, WB_ERR_NO_MEMORY, WB_ERR_NOT_SENT (the peer is lost),
 * WB_ERR_CLOSED (it, or the engine, is drained), WB_ERR_DEADLOCK (a waiting call inside a handler),
 * and NAME_call and NAME_finish how the call ended: WB_OK, WB_ERR_REMOTE, WB_ERR_TIMED_OUT,
 * WB_ERR_PEER_LOST, WB_ERR_NOT_SENT, WB_ERR_CLOSED, WB_ERR_UNKNOWN_ACTION, WB_ERR_SIGNATURE,
 * WB_ERR_REPLY_TOO_LARGE, WB_ERR_MALFORMED, WB_ERR_BUDGET (the receiver's pool can never hold the
 * arguments), WB_ERR_BUSY (it has no room now, and does not wait), WB_ERR_REVOKED, WB_ERR_PROTOCOL,
 * WB_ERR_CANCELLED. When finish has returned, whatever it returned, nobody reads the call's pointer
 * chunks any more, nor writes into its `into`. Strings, byte ranges and views that are passed to
 * async are borrowed until finish, or on_sent; rma_vectors, objects and buffers are referenced by
 * the call, and may be dropped at once.
 */

/* What can be done with a call in between is in call.h. */

/* ---- handlers ---- */

/*
 * A handler gets its arguments decoded and a zeroed result to fill; it returns WB_OK, or a positive
 * code of its own (its caller gets WB_ERR_REMOTE with it), or WB_AGAIN: run me again when the pool
 * has room, nothing has happened. Arguments' views end with the handler; to keep a vector,
 * wb_rma_vector_take it, and a buffer, wb_buffer_keep it. Vectors, objects and buffers in the
 * result are the engine's afterwards. Strings, byte ranges and views in the result are copied
 * before the handler's stub returns.
 */

/* Fails the call with a text for the caller; returns `code` (positive), for `return
 * wb_context_fail(…)`. */
WB_API int wb_context_fail(struct wb_context *context, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The engine that serves; the caller as a peer, borrowed until the handler ends, on which async
 * calls back may be made. */
WB_API struct wb_engine *wb_context_engine(const struct wb_context *context);
WB_API struct wb_peer *wb_context_peer(const struct wb_context *context);

/* ---- figures ---- */

struct wb_engine_stats {
    uint64_t calls_begun, calls_ended; /* as caller */
    uint64_t calls_served;             /* handlers that have returned */
    uint64_t parcels_sent, parcels_received;
    uint64_t parcels_waited;     /* that found no room at once and went through a queue */
    uint64_t reads, read_bytes;  /* fetched by this engine */
    uint64_t leases_open;        /* chunks that a peer may read now */
    uint64_t leases_quarantined; /* of those, of calls that have ended for their caller */
    uint64_t releases_received;
    uint64_t late_replies; /* for calls that had ended */
    /* received with a filtered archive; bytes of those archives, as they came and as they are */
    uint64_t parcels_filtered, filtered_bytes, unfiltered_bytes;
    uint64_t protocol_errors, peers_lost; /* no attempts that others follow, see peer.h */
    uint64_t sleeps;
    /* of a fabric that READs in hardware: READs as posted, after merging; the most in flight on one
     * channel; questions whether a silent peer lives */
    uint64_t read_requests, reads_peak, probes;
    uint64_t rail_reads;       /* of read_requests, those over rails (config.verbs.rails) */
    uint64_t bundles, bundled; /* messages sent that carried several parcels, and those parcels */
    /* of memory without a key of its own, where a fabric registers: offers that registered on the
     * fly, and that a pin (pin.h), or a block around a plain range, saved; ranges pinned now, their
     * bytes, and those of their registrations; registrations made for pins, and those of them that
     * were dropped to make room */
    uint64_t registrations, registrations_avoided;
    uint64_t pins, pinned_bytes, pin_registered_bytes;
    uint64_t pin_registrations, pin_evictions;
};

WB_API void wb_engine_stats(struct wb_engine *engine, struct wb_engine_stats *stats);

/* Writes the figures as "name value unit" lines, named as the members above; returns the bytes
 * needed without the final 0, as snprintf. Nothing is written where size is 0, and text may be NULL
 * then. Any thread. */
WB_API int wb_engine_stats_text(struct wb_engine *engine, char *text, size_t size);

/* ---- what is here ---- */

struct wb_fabric_info {
    const char *scheme;
    bool usable;
    char why_not[200];  /* what is missing and what to do about it, when it is not usable */
    char details[4000]; /* "name value" lines: devices, limits and capabilities that matter */
};

/* Describes fabric number `index`; returns WB_OK, or WB_ERR_INVALID past the last. Needs no engine.
 */
WB_API int wb_fabric_info(unsigned index, struct wb_fabric_info *info);

enum wb_verdict {
    WB_CHECK_GOOD,
    WB_CHECK_DOUBT, /* works, and may disappoint */
    WB_CHECK_BAD    /* will not work until it is mended */
};

/* Receives one line, without a line's end; borrowed. */
typedef void (*wb_check_say)(void *context, enum wb_verdict verdict, const char *line);

/*
 * Says before the first transfer what will go wrong with `url`: limits of this machine, device,
 * port and packet size on the way, then a trial connection and, where that succeeds, one trial
 * call. config NULL means the defaults. Calls say(context, …) for each finding, on this thread.
 * Blocks, config.connect_timeout_us and a few seconds at most. Returns how many findings were
 * WB_CHECK_BAD.
 */
WB_API int wb_check(const struct wb_engine_config *config, const char *url, wb_check_say say,
                    void *context);

/* The machine as hwloc sees it, as "name value" lines; returns bytes needed as snprintf, or a
 * negative status. */
WB_API int wb_machine_text(char *text, size_t size);

#endif
