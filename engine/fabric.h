/*
 * The contract between the engine and a kind of network. A fabric knows this header, engine/clock.h
 * and the registrar of mr_cache; it knows no wire format, no call and no other fabric. One
 * conformance suite runs against every fabric.
 *
 *   fabric ── domain (one an engine: memory) ── lanes (each a unit of progress; the first listens)
 * ── channels (each one peer)
 *
 * Threads: "lane thread" is whoever holds the lane; the engine sees to it that only one does at a
 * time. Functions on lanes and channels are called by the lane thread only, and events are called
 * by it from inside poll only. Functions of the registrar are called on any thread. Unless stated
 * otherwise nothing here blocks, and on the path of messages and READs (reserve, send, cancel,
 * offer, retire, revoke, read, poll when nothing connects) nothing allocates. All returned statuses
 * are negative wb_status or WB_OK; a function that fails leaves its outputs untouched. The first
 * function that knows an error's words stores them with wbi_error (engine/error.h has it; declared
 * here).
 */
#ifndef WBI_ENGINE_FABRIC_H
#define WBI_ENGINE_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/engine.h>

#include "mr_cache/pinner.h"
#include "mr_cache/registrar.h"

struct wbi_domain;
struct wbi_pin;
struct wbi_fabric_lane;
struct wbi_channel;
struct wbi_request; /* a connection that asks to be accepted; valid inside on_request only */

enum {
    WBI_HELLO_MAX =
        56, /* bytes that a handshake can carry each way on every fabric (rdma_cm's private data) */
    WBI_REMOTE_KEY_MAX = 32,
    WBI_CONTROL_ROOM = 256 /* bytes: largest message that is reserved as control */
};

/* What a fabric can do here; constant for a domain. */
struct wbi_fabric_caps {
    uint32_t max_eager_bytes; /* largest message */
    uint32_t read_depth;      /* READs in flight a channel; read() answers WB_AGAIN beyond */
    uint64_t max_read_bytes;  /* largest single READ */
    uint64_t read_ahead;      /* bytes of READs under way that keep a channel busy */
    uint32_t read_align; /* a READ's addresses and length are multiples of it: a power of two up to
                            64, 1 is none. An offer's address is its data's, as to this */
    uint32_t key_bytes;  /* length of every key that offer() makes, at most WBI_REMOTE_KEY_MAX; */
    uint32_t rail_key_bytes; /* where this is not 0, it is this, and a key's first key_bytes will
                                do: READs of a channel may go over several devices, see rails() */
    uint32_t max_offers;     /* chunks that can be offered on a channel at once */
    uint32_t max_regions;    /* registrations at once; 0 is no limit that matters */
    uint32_t max_pins; /* of these, for user memory that is offered: chunks of a lane at once; 0 is
                          no limit that matters */
    uint64_t max_region_bytes; /* largest registration; 0 is no limit that matters */
    uint32_t kept_slots; /* receive slots a channel that the fabric needs beyond those of requests
                            and replies: its control messages' */
    uint32_t slot_sets;  /* devices that each need all of a lane's receive slots; 1 but for several
                            devices */
    uint32_t max_channels;  /* of a lane; 0 is no limit that matters */
    bool own_receives;      /* each channel has receives of its own, as many as receives() says */
    uint32_t late_receives; /* of those together, that may be missing: they are posted in batches */
    uint32_t max_receives;  /* of those together, posted at once; 0 is no limit that matters */
    uint32_t max_completions; /* that can wait at once: one for each receive that is posted, and
                                 channel_work for each channel; 0 is no limit that matters */
    uint32_t channel_work;
    bool revokes_at_once; /* revoke() makes a chunk unreadable by itself, without closing the
                             channel */
    bool stages; /* chunks of user memory are copied on both sides, as messages are: what fits in
                    one is quicker there */
};

/* Receive slots: one arena that the engine owns for the life of the lane; slot i is base + i *
 * stride. */
struct wbi_slot_arena {
    uint8_t *base;
    size_t stride; /* at least the engine's eager_bytes, and no multiple of 4096 (cache sets) */
    uint32_t count;
};

struct wbi_lane_config {
    struct wbi_slot_arena slots;
    uint32_t receives;     /* slots to be posted on each device, or to all channels together */
    uint32_t eager_bytes;  /* largest message sent or received on this lane */
    uint32_t max_channels; /* 1 to 1024 */
    uint64_t liveness_us;  /* a channel on which nothing was heard for so long is probed, if the
                              fabric has no other way to see a death */
};

enum {
    WBI_ACK_TIMEOUT = 16, /* of verbs, where none is told: 268 ms: a switch that converges, a host
                             that stalls */
    WBI_RETRIES = 6
};

/* What a fabric counts beyond what the engine sees. */
struct wbi_fabric_counters {
    uint64_t read_requests;    /* READs as they were posted: after merging */
    uint64_t reads_peak;       /* most of them in flight at once on one channel */
    uint64_t rail_reads;       /* of these requests, those over rails */
    uint64_t probes;           /* that asked whether a silent peer lives */
    uint64_t bundles, bundled; /* bundles that were sent, and the parcels in them */
};

/* What a fabric tells the engine; `owner` is what the engine gave for the lane or channel. */
struct wbi_fabric_events {
    /* Somebody has come to a lane that listens: on which of the domain's lanes is the connection to
     * live? That one then asks, or unasked() says, from whatever lane, that the connection has gone
     * before it could. */
    struct wbi_fabric_lane *(*home)(void *lane_owner);
    void (*unasked)(void *home_owner);

    /* Somebody asks to connect, on the lane that home() has found. The engine answers inside with
     * accept() or reject(). hello is borrowed. */
    void (*on_request)(void *lane_owner, struct wbi_request *request, const void *hello,
                       size_t hello_len);

    /* The other side accepted. Comes before any message of the channel. hello is borrowed. */
    void (*on_connected)(void *channel_owner, const void *hello, size_t hello_len);

    /*
     * The channel is dead: refused (hello is what the peer's reject() gave, hello_len 0 if
     * nothing), timed out, peer gone, or it broke the fabric's own protocol. Comes once, after the
     * last message that was received, and no event of the channel follows but those that close()
     * gives. The engine calls close() later, not from inside.
     */
    void (*on_lost)(void *channel_owner, int status, const char *reason, const void *hello,
                    size_t hello_len);

    /* A channel's rail is ready (WB_OK; words name its device), or was lost or not to be had, which
     * the channel outlives. Comes from inside poll, or close of any channel of the lane's. */
    void (*on_rail)(void *channel_owner, int status, const char *words);

    /* Gives a free slot to receive into (the fabric owns it until on_message keeps it, on_bundle,
     * or return_slot), or NULL: receive no more for now. */
    uint8_t *(*take_slot)(void *lane_owner);
    void (*return_slot)(void *lane_owner, uint8_t *slot);

    /* Receives that a channel needs, where each has its own; asked once, when it is made. */
    uint32_t (*receives)(void *channel_owner);

    /* A message of `len` bytes is in `slot`; the peer can change it no more. Returns whether the
     * engine keeps the slot, which is its own then; mostly it does not, and the fabric may receive
     * into it again. */
    bool (*on_message)(void *channel_owner, uint8_t *slot, size_t len);

    /* The same of a message that is a bundle (bundle.h), of which nothing has been checked; the
     * slot is the engine's again. Comes only after bundle(). Returns the parcels that it was, each
     * of which may have been a handler; 1 where it was none. */
    uint32_t (*on_bundle)(void *channel_owner, uint8_t *slot, size_t len);
};

/* What an allocator is about to ask of the registrar. */
struct wbi_memory_plan {
    uint64_t slab_bytes;       /* of its slabs; 0: it makes none */
    uint64_t registered_bytes; /* by the engine's allocators so far, */
    uint64_t regions;          /* in so many slabs */
    uint32_t devices;          /* as in wbi_region */
};

/* One READ. The engine fills the first part and owns the struct; the fabric uses it from read() to
 * done(). */
struct wbi_read {
    const uint8_t *key; /* as offered by the peer; borrowed until done */
    uint32_t key_len;
    uint64_t address; /* as offered, plus the offset into the chunk */
    uint64_t offset;  /* of this READ in its chunk: bytes */
    uint64_t len;     /* at least 1 */
    void *into;
    struct wbi_mr *into_mr; /* the landing's registration with this domain */

    /* Called exactly once for each read() that returned WB_OK, by the lane thread from inside poll
     * or close: WB_OK, or WB_ERR_REVOKED, WB_ERR_PEER_LOST, WB_ERR_PROTOCOL. The landing is touched
     * no more. */
    void (*done)(struct wbi_read *read, int status);

    /* the fabric's own */
    struct wbi_read *next;
    uint64_t progress;
    void *private[3];
};

/* A chunk to be offered: part of a region that is registered, of the pool or pinned; or (mr ==
 * NULL) memory that is to be registered for the offer, with the bytes around it that an aligned
 * READ takes along. Lives until retired or revoked. */
struct wbi_offer {
    const void *data;
    uint64_t len;
    struct wbi_mr *mr;
    const void *region_base;
    struct wbi_pin *pin; /* the engine's own: what keeps mr registered, or NULL */

    /* filled by offer(): what the peer needs to READ it */
    uint8_t key[WBI_REMOTE_KEY_MAX];
    uint32_t key_len;
    uint64_t address;

    /* the fabric's own */
    uint64_t lease;
    struct wbi_offer *prev, *next;
};

struct wbi_fabric {
    const char *scheme;

    /* Says whether this machine can use the fabric, and its limits in words. Any thread. May block.
     */
    void (*describe)(struct wb_fabric_info *info);

    /* Says what is good and bad about reaching `address` from here, short of connecting. Any
     * thread. May block, seconds at most. NULL: there is nothing to say. */
    void (*check)(const struct wb_engine_config *config, const char *address, wb_check_say say,
                  void *context);

    /* Opens and closes the fabric for one engine; config is borrowed for the call. close comes
     * after all its lanes are closed and all registrations are gone. Accepts NULL. May block.
     * WB_ERR_NO_FABRIC: not to be used here, and words that say why; WB_ERR_INVALID: not as the
     * configuration asks. */
    int (*domain_open)(const struct wb_engine_config *config, struct wbi_domain **out);
    void (*domain_close)(struct wbi_domain *domain);
    const struct wbi_fabric_caps *(*caps)(const struct wbi_domain *domain);
    struct wbi_registrar (*registrar)(struct wbi_domain *domain);

    /* Says beforehand whether an allocator can be had: WB_ERR_BUDGET (a slab that no device of it
     * can register), WB_ERR_NO_MEMORY (the system's or a device's limit is reached), with words.
     * Any thread. NULL: nothing is limited. */
    int (*check_memory)(const struct wbi_domain *domain, const struct wb_engine_config *config,
                        const struct wbi_memory_plan *plan);

    /* Which devices of the domain `names` are (with commas between; NULL: all), as bits for
     * wbi_region.devices. WB_ERR_INVALID with words: one is none of them. And the NUMA node that
     * these devices are on; -1: on several, or unknown. Any thread; may block. NULL, both: there
     * are no devices to choose from. */
    int (*devices)(const struct wbi_domain *domain, const char *names, uint32_t *devices);
    int (*numa_node)(const struct wbi_domain *domain, uint32_t devices);

    /* Registers user memory that is pinned, whose chunks are then offered with that mr. Without, or
     * NULL: user memory is offered as it is. */
    struct wbi_pinner (*pinner)(struct wbi_domain *domain);

    /* Opens a lane. config and events are copied; the slot arena is borrowed until close, which
     * also closes the lane's channels and listeners that are still there, with no event but done()
     * of their READs. Accepts NULL. May block. */
    int (*lane_open)(struct wbi_domain *domain, const struct wbi_lane_config *config,
                     const struct wbi_fabric_events *events, void *lane_owner,
                     struct wbi_fabric_lane **out);
    void (*lane_close)(struct wbi_fabric_lane *lane);

    /* Checks an address (what follows "scheme://"): WB_OK or WB_ERR_BAD_URL with words. Any thread.
     */
    int (*check_address)(const char *address);

    /* Listens until the lane is closed. May block, seconds at most, where the host is a name.
     * WB_ERR_IN_USE, WB_ERR_SYSTEM, WB_ERR_NO_MEMORY. */
    int (*listen)(struct wbi_fabric_lane *lane, const char *address);

    /* Begins to connect; ends with on_connected or on_lost. The engine limits the time.
     * WB_ERR_REFUSED if that is known at once, WB_AGAIN if the lane has max_channels,
     * WB_ERR_SYSTEM, WB_ERR_NO_MEMORY. */
    int (*connect)(struct wbi_fabric_lane *lane, const char *address, const void *hello,
                   size_t hello_len, void *channel_owner, struct wbi_channel **out);
    /* Where it fails, the request is still to be answered: reject() it. */
    int (*accept)(struct wbi_request *request, const void *hello, size_t hello_len,
                  void *channel_owner, struct wbi_channel **out);
    void (*reject)(struct wbi_request *request, const void *hello, size_t hello_len);

    /* Takes the channel. Ends its READs (done with WB_ERR_PEER_LOST) and makes every chunk that was
     * offered on it unreadable before it returns; offers that were not retired are forgotten. Tells
     * the peer. Accepts NULL. */
    void (*close)(struct wbi_channel *channel);

    /*
     * One eager message: reserve room for `bytes`, write them at *slot, then send() at most that
     * many, or cancel(); between these nothing is asked of the channel but offers. One reservation
     * a lane at a time. WB_AGAIN: no room now (after poll there may be). Messages arrive in order,
     * whole, once. `control` may use the room kept back for control messages (two of
     * WBI_CONTROL_ROOM bytes at least).
     */
    int (*reserve)(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot);
    void (*send)(struct wbi_channel *channel, size_t bytes);
    void (*cancel)(struct wbi_channel *channel);

    /* The peer takes bundles (bundle.h) of `most` bytes: messages that wait for each other anyway
     * may go as one. The slots of its reservations are 8 behind a multiple of 16. NULL: the
     * fabric gains nothing by that, and its messages are parcels. */
    void (*bundle)(struct wbi_channel *channel, size_t most);

    /* Both sides have caps.rail_key_bytes: the channel may have further ways for its READs, which
     * are found by the connection's token. Asked when it is connected, once. And how many it has
     * now. NULL, both: caps.rail_key_bytes is 0. */
    void (*rails)(struct wbi_channel *channel, uint64_t token);
    uint32_t (*rails_up)(const struct wbi_channel *channel);

    /* Whether the other side has all that was sent but for control messages; where that is not
     * known, finds it out by later polls. True of a channel that is lost. NULL: what is sent
     * arrives, whatever becomes of this side. */
    bool (*arrived)(struct wbi_channel *channel);

    /* Makes a chunk readable for the channel's peer; the bytes are what they are now, for the
     * fabric may copy them. The offer must stay where it is until it is retired, revoked, or the
     * channel is closed. WB_AGAIN: no lease free now, or the peer does not know the region yet. */
    int (*offer)(struct wbi_channel *channel, struct wbi_offer *offer);

    /* Whether an offer with that registration needs none of its own, so that it does not count in
     * max_pins. NULL: they all do not. */
    bool (*knows)(const struct wbi_channel *channel, const struct wbi_mr *mr);

    /* Ends an offer that the peer has released: never fails. */
    void (*retire)(struct wbi_channel *channel, struct wbi_offer *offer);

    /* Withdraws an offer that the peer has not released. WB_OK: the chunk is unreadable, the offer
     * has ended. WB_AGAIN: only close() can do that here; the offer stands. */
    int (*revoke)(struct wbi_channel *channel, struct wbi_offer *offer);

    /* Fetches a range of a peer's chunk into a landing; ends with read->done. WB_AGAIN: read_depth
     * are in flight. WB_ERR_PROTOCOL: the key is none of this fabric's. */
    int (*read)(struct wbi_channel *channel, struct wbi_read *read);

    /*
     * After gather(), messages and READs may be kept back to go out together, in order; flush()
     * sends them, as every later poll, arm or close does. Otherwise a message leaves within send().
     * The engine flushes before it lets the lane go, and never gathers twice without; poll gathers
     * and flushes by itself, and has flushed when it returns. Neither fails: a channel whose work
     * is refused is lost by a later poll. NULL, both: nothing is ever kept back.
     */
    void (*gather)(struct wbi_fabric_lane *lane);
    void (*flush)(struct wbi_fabric_lane *lane);

    /* Receives, moves READs on, accepts, notices deaths. Returns the number of things done (0:
     * idle). */
    int (*poll)(struct wbi_fabric_lane *lane);

    /* Takes back what it may have promised its peers about staying awake. Whether nobody counts on
     * that any more, so that it can be armed; else in some hundred microseconds. NULL: it promises
     * nothing. */
    bool (*calm)(struct wbi_fabric_lane *lane);

    /* Prepares to sleep: after WB_OK, fd() becomes readable when there is something to poll; what
     * is due by time (names looked up, silent peers) wants a poll every 100 ms all the same.
     * WB_AGAIN: there is something now, or may be in some hundred microseconds: poll first. The
     * next poll disarms. */
    int (*arm)(struct wbi_fabric_lane *lane);
    int (*fd)(const struct wbi_fabric_lane *lane);

    /* Makes fd() readable, to wake a thread that sleeps on it. Any thread. */
    void (*wake)(struct wbi_fabric_lane *lane);

    /* What was counted so far; any thread. NULL where the fabric counts nothing. */
    void (*count)(const struct wbi_fabric_lane *lane, struct wbi_fabric_counters *counters);
};

extern const struct wbi_fabric wbi_shm_fabric;
extern const struct wbi_fabric wbi_verbs_fabric;

/* Stores the words of an error for wb_last_error on this thread, and returns `status`: `return
 * wbi_error(…);` */
int wbi_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
