/* The lane and its channels: the structs, and who may touch what. All private to the lane thread,
 * except where noted. */
#ifndef WBI_SHM_LANE_H
#define WBI_SHM_LANE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/clock.h"
#include "engine/fabric.h"
#include "engine/shm/exports.h"
#include "engine/shm/imports.h"
#include "engine/shm/lease.h"
#include "engine/shm/list.h"
#include "engine/shm/packet.h"
#include "engine/shm/read.h"
#include "engine/shm/ring.h"
#include "engine/shm/segment.h"
#include "engine/shm/stage.h"

enum {
    WBI_SHM_HOT_CHANNELS = 16,
    WBI_SHM_READ_DEPTH = 16,
    WBI_SHM_MAX_EAGER = 65536,
    WBI_SHM_MAX_VISITORS = 64,
    WBI_SHM_REASON_BYTES = 160
};

/* What the lane's epoll descriptor reports, and what is freed only when no event of the same batch
 * can name it. */
struct wbi_shm_watch {
    enum { WBI_SHM_EVENT, WBI_SHM_LISTENER, WBI_SHM_VISITOR, WBI_SHM_SOCKET, WBI_SHM_PROCESS } kind;
    void *self;  /* the struct that is watched; NULL: closed */
    void *grave; /* what to free; NULL: alive */
    struct wbi_shm_watch *next_grave;
};

struct wbi_shm_listener {
    struct wbi_shm_watch watch;
    struct wbi_fabric_lane *lane;
    struct wbi_shm_list node;
    int fd;
};

/* A connection that has sent no hello yet. */
struct wbi_shm_visitor {
    struct wbi_shm_watch watch;
    struct wbi_fabric_lane *lane;
    struct wbi_shm_list node; /* the oldest first */
    int fd;
    uint64_t since;
};

/*
 * CONNECTING -> OPEN -> LOST -> CLOSED. A doomed channel (doom != WB_OK) is CONNECTING or OPEN,
 * with its end known and not yet told: what it has received is delivered first, if the peer was
 * merely lost.
 */
enum wbi_shm_state { WBI_SHM_CONNECTING, WBI_SHM_OPEN, WBI_SHM_LOST, WBI_SHM_CLOSED };

/* A connection that has sent its hello to the lane that listens, and is to live on another. */
struct wbi_shm_arrival {
    struct wbi_shm_arrival *next;
    int fd;
    struct wbi_shm_mail mail;
};

struct wbi_channel {
    struct wbi_fabric_lane *lane;
    void *owner;
    enum wbi_shm_state state;
    uint32_t index;                   /* in the lane, and of the doorbell that the peer rings */
    int hot_place;                    /* in lane->hot, or -1: cold */
    enum wbi_shm_attention attention; /* what the peer has been told */
    uint64_t last_active;             /* lane->polls when something was received last */
    uint32_t max_send;                /* bytes: what both sides can take */
    bool starved;                     /* no room in the ring when last asked */
    unsigned mapped_reads;            /* in lane->reads */

    struct wbi_shm_ring_in in;
    struct wbi_shm_ring_out out;
    struct wbi_shm_segment mine;
    struct wbi_shm_segment theirs;
    struct wbi_shm_mapping *page; /* the peer's lane page */
    uint32_t doorbell;            /* which one of it is for us to ring */

    struct wbi_shm_list staging; /* in lane->staging while staged work is under way */
    struct wbi_shm_reader reader;
    struct wbi_shm_server server;
    unsigned staged_reads;
    struct wbi_shm_leases leases;

    int socket;
    int process;   /* pidfd, or -1 */
    pid_t pid;     /* of the peer, 0 if it cannot be seen from here */
    bool can_take; /* process_vm_readv works on the peer */
    struct wbi_shm_watch socket_watch;
    struct wbi_shm_watch process_watch;
    struct wbi_shm_link link; /* shared with registering threads, under the domain's lock */
    struct wbi_shm_imports imports;

    int doom; /* why the channel ends, WB_OK while it does not */
    bool doom_drains;
    char doom_reason[WBI_SHM_REASON_BYTES];
    uint32_t refusal_len; /* what the peer's reject() gave */
    uint8_t refusal[WBI_HELLO_MAX];

    /* only while CONNECTING */
    bool dialled; /* connect() has succeeded and the hello is sent */
    int segment_fd;
    char address[68];
    uint32_t hello_len;
    uint8_t hello[WBI_HELLO_MAX];
};

struct wbi_fabric_lane {
    struct wbi_domain *domain;
    struct wbi_fabric_events events;
    void *owner;
    uint32_t eager_bytes;
    uint32_t max_channels;
    uint32_t channel_count;
    uint32_t index_end;            /* 1 past the highest index in use */
    struct wbi_channel **channels; /* by index */

    /* what a poll touches */
    uint64_t polls;
    uint32_t unlooked; /* of them, since the clock was read: idle ones count for more */
    unsigned hot_count;
    struct wbi_channel *hot[WBI_SHM_HOT_CHANNELS];
    struct wbi_shm_lane_page *page;
    struct wbi_shm_list staging; /* of channels */
    struct wbi_shm_reads reads;
    unsigned doomed;
    bool armed;
    bool polling;  /* inside poll: what is closed is freed at its end */
    bool slotless; /* take_slot said no in this poll */
    uint8_t *slot; /* for the next message, or NULL: the last one's, which nobody has kept */
    bool sweep;    /* a cold channel was left with something in it */
    bool woken;    /* slept since housekeeping was done last */
    bool hurry;    /* a connection or a mapping is being made */
    uint64_t now;  /* the clock when it was read last */
    struct wbi_rough_clock clock;
    uint64_t looked; /* when housekeeping was done last */
    uint64_t swept;  /* when all channels were looked at last */
    uint64_t awake;  /* since it was armed last, or took a promise back; 0: the clock has not been
                        read since */
    bool promised;   /* some channel's attention may be */
    bool refused;    /* a channel found no hot place since the promises were reviewed */
    uint64_t withdrawn; /* when that was taken back; 0: long ago, or never */

    struct wbi_shm_mapping *page_mapping;
    int page_fd;
    int epoll;
    int event; /* wake(); written by any thread */
    struct wbi_shm_watch event_watch;
    struct wbi_shm_list listeners;
    struct wbi_shm_list visitors;
    unsigned visitor_count;
    struct wbi_shm_watch *graves;
    _Atomic(struct wbi_shm_arrival *) arrivals; /* newest first; written by any lane's thread */
    struct wbi_shm_arrival *arrived;            /* before those, and oldest first */
};

/* ---- lane.c ---- */

int wbi_shm_lane_open(struct wbi_domain *domain, const struct wbi_lane_config *config,
                      const struct wbi_fabric_events *events, void *lane_owner,
                      struct wbi_fabric_lane **out);
void wbi_shm_lane_close(struct wbi_fabric_lane *lane);
int wbi_shm_lane_fd(const struct wbi_fabric_lane *lane);
void wbi_shm_lane_wake(struct wbi_fabric_lane *lane);

/* Watches `fd` for input. WB_ERR_SYSTEM. */
int wbi_shm_watch(struct wbi_fabric_lane *lane, int fd, struct wbi_shm_watch *watch);

/* Ends a watch; fd may be -1. */
void wbi_shm_unwatch(struct wbi_fabric_lane *lane, int fd);

/* Frees `memory`, in which `watch` lies: now, or when the poll ends. */
void wbi_shm_bury(struct wbi_fabric_lane *lane, struct wbi_shm_watch *watch, void *memory);

/* ---- poll.c ---- */

int wbi_shm_lane_poll(struct wbi_fabric_lane *lane);
int wbi_shm_lane_arm(struct wbi_fabric_lane *lane);

/* ---- attention.c ---- */

/* Polls the channel directly from now on, if a place is free or can be made free. */
void wbi_shm_warm(struct wbi_channel *channel);

/* Leaves its place; its doorbell is wanted from now on. */
void wbi_shm_cool(struct wbi_channel *channel);

/* Tells the peers of all hot channels. */
void wbi_shm_set_hot_attention(struct wbi_fabric_lane *lane, enum wbi_shm_attention attention);

/* Whether anything has come for the channel, or become possible on it. Sequentially consistent. */
bool wbi_shm_has_work(struct wbi_channel *channel);

/* From now on messages of hot channels that are in use may come without their senders' fences. */
void wbi_shm_promise(struct wbi_fabric_lane *lane);

/* Whether nobody counts any more on what was promised; takes it back. */
bool wbi_shm_promises_nothing(struct wbi_fabric_lane *lane);

/* Once in a while: those in use are worth it once the lane has been awake for long. A lane without
 * may sleep at once when it is to, and one without a free place give away that of an idle one. */
void wbi_shm_review_promises(struct wbi_fabric_lane *lane);

/* ---- house.c ---- */

/* Takes what the descriptors report, and what else is due every few milliseconds. Returns the
 * number of things done. */
int wbi_shm_keep_house(struct wbi_fabric_lane *lane);

/* ---- rendezvous.c ---- */

int wbi_shm_check_address(const char *address);
int wbi_shm_listen(struct wbi_fabric_lane *lane, const char *address);
void wbi_shm_listener_close(struct wbi_shm_listener *listener);
void wbi_shm_visitor_close(struct wbi_shm_visitor *visitor);
int wbi_shm_connect(struct wbi_fabric_lane *lane, const char *address, const void *hello,
                    size_t hello_len, void *channel_owner, struct wbi_channel **out);
int wbi_shm_accept(struct wbi_request *request, const void *hello, size_t hello_len,
                   void *channel_owner, struct wbi_channel **out);
void wbi_shm_reject(struct wbi_request *request, const void *hello, size_t hello_len);

/* What the epoll descriptor has reported. Each returns the number of things done. */
int wbi_shm_listener_event(struct wbi_shm_listener *listener, uint64_t now);
int wbi_shm_visitor_event(struct wbi_shm_visitor *visitor);

/* Asks about connections that have come from the lane that listens, some at a time; whether there
 * are more; and gives them up, when the lane is closed. */
int wbi_shm_take_arrivals(struct wbi_fabric_lane *lane);
bool wbi_shm_has_arrivals(const struct wbi_fabric_lane *lane);
void wbi_shm_drop_arrivals(struct wbi_fabric_lane *lane);

/* Tries again to reach a listener whose queue was full. */
void wbi_shm_dial(struct wbi_channel *channel);

/* The listener's answer to our hello; takes the mail's descriptors. */
void wbi_shm_answered(struct wbi_channel *channel, struct wbi_shm_mail *mail);

/* ---- channel.c ---- */

/* A channel in state CONNECTING with its own segment, its index and nothing of a peer. Borrows
 * nothing. WB_AGAIN: the lane has max_channels. WB_ERR_NO_MEMORY, WB_ERR_SYSTEM. */
int wbi_shm_channel_new(struct wbi_fabric_lane *lane, void *owner, struct wbi_channel **out);

/* Maps what the peer has sent with `mail` (hello or ack) on channel->socket. Takes the mail's
 * descriptors. On failure the channel is good for nothing but close(); *why is set (static) with
 * WB_ERR_PROTOCOL. */
int wbi_shm_channel_join(struct wbi_channel *channel, struct wbi_shm_mail *mail, const char **why);

/* Opens a channel that has joined: from here on messages come. WB_ERR_NO_MEMORY. */
int wbi_shm_channel_open(struct wbi_channel *channel);

/* Sends our half of the handshake on channel->socket (hello or ack). */
int wbi_shm_send_hello(struct wbi_channel *channel, enum wbi_shm_packet_kind kind,
                       const void *hello, size_t hello_len);

void wbi_shm_channel_close(struct wbi_channel *channel);

/* Says why the channel ends; on_lost comes from the poll. With `drains`, what is in the ring comes
 * first. */
void wbi_shm_doom(struct wbi_channel *channel, int status, bool drains, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Ends a doomed channel: tells its owner. */
void wbi_shm_lose(struct wbi_channel *channel);

/* Reads all packets that are there. Returns the number of things done. */
int wbi_shm_channel_drain(struct wbi_channel *channel);

/* A descriptor of process `pid`, or -1. */
int wbi_shm_pidfd(pid_t pid);

/* The peer's process or its end of the socket has ended. */
void wbi_shm_channel_gone(struct wbi_channel *channel);

int wbi_shm_reserve(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot);
void wbi_shm_send(struct wbi_channel *channel, size_t bytes);
void wbi_shm_cancel(struct wbi_channel *channel);
int wbi_shm_offer(struct wbi_channel *channel, struct wbi_offer *offer);
void wbi_shm_retire(struct wbi_channel *channel, struct wbi_offer *offer);
int wbi_shm_revoke(struct wbi_channel *channel, struct wbi_offer *offer);

/* Rings the peer's doorbell and wakes it if it sleeps; the slow half of wbi_shm_notify. */
void wbi_shm_ring_doorbell(struct wbi_channel *channel);

/* After something was published with sequential consistency: makes sure that the peer comes to
 * look. */
static inline void wbi_shm_notify(struct wbi_channel *channel)
{
    uint32_t attention = atomic_load(&channel->theirs.head->attention.word);
    if (attention != WBI_SHM_PROMISED && attention != WBI_SHM_HOT) {
        wbi_shm_ring_doorbell(channel);
    }
}

/* The same after a message was published without a fence: where the peer has promised to stay awake
 * until it is to be seen, none is needed. */
static inline void wbi_shm_notify_sent(struct wbi_channel *channel)
{
    _Atomic uint32_t *attention = &channel->theirs.head->attention.word;
    atomic_signal_fence(memory_order_seq_cst); /* the time that is promised begins with the store */
    if (atomic_load_explicit(attention, memory_order_relaxed) != WBI_SHM_PROMISED) {
        atomic_thread_fence(memory_order_seq_cst);
        wbi_shm_notify(channel);
    }
}

/* Puts the channel among those whose staged work each poll moves. */
static inline void wbi_shm_stage_begin(struct wbi_channel *channel)
{
    if (wbi_shm_list_empty(&channel->staging)) {
        wbi_shm_list_append(&channel->lane->staging, &channel->staging);
    }
}

#endif
