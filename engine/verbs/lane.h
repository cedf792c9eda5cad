/*
 * The lane and its channels: the structs. All private to the lane thread, except where noted.
 *
 * What a device says of its queue pairs comes on one descriptor, whichever lane they are of, and so
 * do connections that ask: on that of the lane that listens. Whoever reads them leaves word for the
 * lane whose they are (reported, arrivals), and wakes it.
 *
 *   lane ── queues, one a device in use: CQ, SRQ, the receive slots that are posted
 *        └─ channels: a connection (rdma_cm id), a queue pair, its send queue; and rails, which are
 *           channels of a channel (rails.h)
 */
#ifndef WBI_VERBS_LANE_H
#define WBI_VERBS_LANE_H

#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/count.h"
#include "engine/fabric.h"
#include "engine/verbs/address.h"
#include "engine/verbs/domain.h"
#include "engine/verbs/queues.h"
#include "engine/verbs/send_queue.h"
#include "engine/verbs/send_slots.h"

enum { WBI_VERBS_REASON_BYTES = 300 };

/* LOOKUP -> DIALLING -> OPEN -> LOST, or accepted: OPEN -> LOST. A doomed channel (doom != WB_OK)
 * has an end that is known and not yet told: what it has received comes first. */
enum wbi_verbs_state { WBI_VERBS_LOOKUP, WBI_VERBS_DIALLING, WBI_VERBS_OPEN, WBI_VERBS_LOST };

/* What a reservation is for. A message begins WBI_BUNDLE_FRAME into its slot. */
enum wbi_verbs_reservation {
    WBI_VERBS_AT_ONCE, /* in the lane's one place for messages that leave at once */
    WBI_VERBS_AS_MESSAGE,
    WBI_VERBS_AS_CONTROL,
    WBI_VERBS_AS_PART
};

struct wbi_channel {
    struct wbi_fabric_lane *lane;
    void *owner;
    enum wbi_verbs_state state;
    bool running;              /* the queue pair is, or was, in RTS */
    bool established;          /* the other side is known to be ready: nothing is sent before */
    bool stands;               /* OPEN, established, and not doomed: mostly all there is to ask */
    bool probing;              /* a probe is under way */
    bool deaf;                 /* it broke the protocol: what it sent besides does not count */
    bool told;                 /* on_lost was called */
    bool last_wqe;             /* the device holds no receive of the queue pair any more */
    _Atomic uint32_t reported; /* events of the queue pair, as bits; any lane's thread reads them */
    uint32_t index;            /* in the lane */
    struct wbi_channel *prev, *next; /* of the lane's */
    struct wbi_channel *next_by_qp;  /* in its bin of queues->by_qp */
    struct wbi_channel *next_ready;  /* in lane->ready */
    struct wbi_channel *main;        /* a rail's: whose it is (rails.h); else NULL */
    struct wbi_verbs_rails *rails;   /* a channel's that may have some; else NULL */
    uint32_t key_place;              /* which of a chunk's keys its READs take */
    uint32_t host;                   /* of its address, that it dials */
    bool accepted;
    bool ready;
    bool thirsty;                     /* in queues->thirsty */
    struct wbi_channel *next_thirsty; /* receives.h */
    uint32_t receives, posted;        /* without an SRQ: wanted, there */

    struct wbi_verbs_queues *queues; /* of its device; NULL until that is known */
    struct rdma_cm_id *id;
    struct ibv_qp *qp;
    uint32_t qp_num;
    struct wbi_verbs_send_queue sends;
    uint8_t *reserved; /* the place of the reservation */
    enum wbi_verbs_reservation reserved_as;
    uint32_t bundle_bytes; /* of the longest bundle that the peer takes; 0: it takes none */

    /* Control messages, counted modulo 2^16. sent - receipted <= 2 is the window; heard - told are
     * those that we have not sent a receipt for. */
    uint16_t controls_sent, controls_receipted;
    uint16_t controls_heard, controls_told;

    uint64_t heard;         /* when something was last heard of the peer, microseconds */
    struct wbi_offer *pins; /* offers of user memory, each with a registration of its own */
    uint32_t offers;

    struct wbi_verbs_lookup *lookup; /* while LOOKUP or DIALLING, if the host is a name */
    struct wbi_verbs_address address;
    uint32_t hello_len; /* while LOOKUP or DIALLING */
    uint8_t hello[WBI_HELLO_MAX];

    int doom;           /* why the channel ends, WB_OK while it does not */
    uint64_t doomed_at; /* queues->taken then: what it had received is within the next CQ of them */
    char doom_reason[WBI_VERBS_REASON_BYTES];
    uint32_t refusal_len;
    uint8_t refusal[WBI_HELLO_MAX];
};

/* The message that leaves at once: the device copies it while it is posted, so that all channels
 * of a lane write theirs in one place, whose cache lines stay warm. */
struct wbi_verbs_at_once {
    struct ibv_send_wr request; /* its number, flags and immediate data are the message's own */
    struct ibv_sge sge;         /* and so is its length */
    uint8_t message[WBI_VERBS_INLINE];
};

struct wbi_fabric_lane {
    struct wbi_domain *domain;
    struct wbi_fabric_events events;
    void *owner;
    struct wbi_slot_arena slots; /* to receive into: the engine's */
    uint32_t receives, eager_bytes, max_channels;
    uint64_t liveness_us;

    struct wbi_verbs_queues queues[WBI_VERBS_MAX_DEVICES]; /* by the device's number */
    struct wbi_verbs_queues *used;                         /* of these, those that are open */
    struct wbi_verbs_send_slots send_slots;
    struct wbi_channel *channels;
    struct wbi_channel **by_index; /* max_channels of them */
    uint32_t channel_count;
    struct wbi_channel *ready; /* with something to post */
    unsigned doomed;
    unsigned dialling;       /* channels that look up or dial, */
    unsigned rails_dialling; /* and rails that do */
    unsigned stranded;       /* channels with READs of a rail that has gone */

    struct rdma_event_channel *cm;
    struct wbi_verbs_listener *listeners;
    _Atomic(struct wbi_verbs_arrival *) arrivals; /* newest first; written by any lane's thread */
    struct wbi_verbs_arrival *arrived;            /* before those, and oldest first */
    _Atomic bool reported;            /* some of its channels or queues have events; likewise */
    struct wbi_verbs_lookup *orphans; /* of channels that were closed while the resolver worked */
    uint64_t linger_left, lingered; /* microseconds: what closes may wait; when that was reckoned */
    int epoll, event;

    bool gathering; /* what is sent is posted later, together: in lane->ready; */
    bool gathers;   /* or is from the next message on: a poll is under way */
    bool armed, woken;
    uint32_t polls;
    struct wbi_rough_clock clock;
    uint64_t now, looked, probed; /* microseconds: the clock when read last; when looked, probed */

    struct wbi_verbs_at_once at_once;
    wbi_counter read_requests, reads_peak, rail_reads, probes, bundles, bundled;
};

/* ---- lane.c ---- */

int wbi_verbs_lane_open(struct wbi_domain *domain, const struct wbi_lane_config *config,
                        const struct wbi_fabric_events *events, void *lane_owner,
                        struct wbi_fabric_lane **out);
void wbi_verbs_lane_close(struct wbi_fabric_lane *lane);
int wbi_verbs_lane_fd(const struct wbi_fabric_lane *lane);
void wbi_verbs_lane_wake(struct wbi_fabric_lane *lane);
void wbi_verbs_lane_count(const struct wbi_fabric_lane *lane, struct wbi_fabric_counters *counters);

/* Watches `fd` for input; `tag` is what the lane's epoll then reports. WB_ERR_SYSTEM. */
int wbi_verbs_watch(struct wbi_fabric_lane *lane, int fd, uint32_t tag);

/* What the lane's epoll reports: one of these, or WATCH_DEVICE + the device's number, or
 * WATCH_COMPLETIONS + it. */
enum {
    WBI_VERBS_WATCH_EVENT,
    WBI_VERBS_WATCH_CM,
    WBI_VERBS_WATCH_DEVICE = 16,
    WBI_VERBS_WATCH_COMPLETIONS = 32
};

/* ---- poll.c ---- */

int wbi_verbs_lane_poll(struct wbi_fabric_lane *lane);
int wbi_verbs_lane_arm(struct wbi_fabric_lane *lane);

/* ---- house.c ---- */

/* Takes what the descriptors report, and what else is due every few milliseconds. Returns the
 * number of things done. */
int wbi_verbs_keep_house(struct wbi_fabric_lane *lane);

/* Dooms all channels on a device. */
void wbi_verbs_doom_device(struct wbi_fabric_lane *lane, const struct wbi_verbs_device *device,
                           const char *words);

/* Takes what a device says of queue pairs and ports: all lanes have its one context, so what is
 * another's is left where that finds it. Returns the number of things done. */
int wbi_verbs_device_events(struct wbi_fabric_lane *lane, struct wbi_verbs_device *device);

/* Takes what has been left for the lane; and for its queues on one device alone, which may be not
 * in use. */
void wbi_verbs_take_reports(struct wbi_fabric_lane *lane);
void wbi_verbs_take_queue_reports(struct wbi_verbs_queues *queues);

/* ---- listener.c ---- */

int wbi_verbs_listen(struct wbi_fabric_lane *lane, const char *address);
void wbi_verbs_listeners_close(struct wbi_fabric_lane *lane);
bool wbi_verbs_is_listener(const struct wbi_fabric_lane *lane, const struct rdma_cm_id *id);

/* ---- rendezvous.c: the passive side ---- */

int wbi_verbs_accept(struct wbi_request *request, const void *hello, size_t hello_len,
                     void *channel_owner, struct wbi_channel **out);
void wbi_verbs_reject(struct wbi_request *request, const void *hello, size_t hello_len);
void wbi_verbs_on_connect_request(struct wbi_fabric_lane *lane, struct rdma_cm_id *id,
                                  const struct rdma_conn_param *param, const uint8_t *hello,
                                  size_t hello_len);

/* Asks about connections that have come from the lane that listens; and gives them up, when the
 * lane is closed. */
int wbi_verbs_take_arrivals(struct wbi_fabric_lane *lane);
bool wbi_verbs_has_arrivals(const struct wbi_fabric_lane *lane);
void wbi_verbs_drop_arrivals(struct wbi_fabric_lane *lane);

/* ---- dial.c: the active side ---- */

int wbi_verbs_connect(struct wbi_fabric_lane *lane, const char *address, const void *hello,
                      size_t hello_len, void *channel_owner, struct wbi_channel **out);
/* Looks up, or dials, the first host of channel->address. What fails leaves the channel to be
 * closed. */
int wbi_verbs_dial_begin(struct wbi_channel *channel);
/* Goes on with a channel in state LOOKUP: tries the next address of its name. */
void wbi_verbs_dial_name(struct wbi_channel *channel);
/* An address leads nowhere: the next one is tried if there is one. */
void wbi_verbs_on_no_way(struct wbi_channel *channel, const char *why);
void wbi_verbs_on_address(struct wbi_channel *channel);
void wbi_verbs_on_route(struct wbi_channel *channel);
void wbi_verbs_on_answer(struct wbi_channel *channel, const struct rdma_conn_param *param,
                         const uint8_t *hello, size_t hello_len);

/* ---- cm_event.c ---- */

/* Takes all connection events that are there. Returns the number of things done. */
int wbi_verbs_cm_events(struct wbi_fabric_lane *lane);

/* ---- close.c ---- */

void wbi_verbs_close(struct wbi_channel *channel);

/* ---- channel.c ---- */

/* A channel in state LOOKUP with an index and nothing else; or a rail of `main`, with nothing at
 * all. WB_AGAIN: the lane has max_channels. WB_ERR_NO_MEMORY. */
int wbi_verbs_channel_new(struct wbi_fabric_lane *lane, void *owner, struct wbi_channel *main,
                          struct wbi_channel **out);

/* One more, or fewer (-1), that looks up or dials. */
static inline void wbi_verbs_count_dialling(const struct wbi_channel *channel, int more)
{
    struct wbi_fabric_lane *lane = channel->lane;
    *(channel->main != NULL ? &lane->rails_dialling : &lane->dialling) += (unsigned)more;
}

/* Whether its queue pair takes the device's shared receives. A rail's takes none. */
static inline bool wbi_verbs_shares(const struct wbi_channel *channel)
{
    return channel->main == NULL && channel->queues->srq != NULL;
}

/* Finds the device behind channel->id and makes the queue pair there. WB_ERR_INVALID: a device that
 * is not ours, WB_ERR_SYSTEM, WB_ERR_NO_MEMORY. */
int wbi_verbs_channel_equip(struct wbi_channel *channel);

/* Open from here on: messages may come. */
void wbi_verbs_channel_open(struct wbi_channel *channel);

/* The other side is ready. */
void wbi_verbs_channel_establish(struct wbi_channel *channel);

/* The same, known from what it sent: that can come before the event. Tells the connection manager,
 * which else would wait for its own. */
void wbi_verbs_channel_establish_by_data(struct wbi_channel *channel);

/* Says why the channel ends; on_lost comes from the poll. The first reason stays. */
void wbi_verbs_doom(struct wbi_channel *channel, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends a doomed channel: tells its owner. */
void wbi_verbs_lose(struct wbi_channel *channel);

/* ---- traffic.c, offer.c, read.c ---- */

int wbi_verbs_reserve(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot);
void wbi_verbs_send(struct wbi_channel *channel, size_t bytes);
void wbi_verbs_cancel(struct wbi_channel *channel);
bool wbi_verbs_arrived(struct wbi_channel *channel);

/* ---- bundles.c ---- */

/* From now on messages to the peer may be bundles, of so many bytes at most. */
void wbi_verbs_bundle(struct wbi_channel *channel, size_t most);

/* Something is queued and not posted. Reserves a parcel's place in the message that was queued
 * last; false: it has none. */
bool wbi_verbs_bundle_reserve(struct wbi_channel *channel, size_t bytes);

/* The parcel that was reserved so is there. Returns the message that it is in. */
struct wbi_verbs_work *wbi_verbs_bundle_add(struct wbi_channel *channel, size_t bytes);

/* ---- traffic.c ---- */

/* Posts what the channels queued, of each as one list; the second, where there is something. */
void wbi_verbs_post_all(struct wbi_fabric_lane *lane);
static inline void wbi_verbs_post_ready(struct wbi_fabric_lane *lane)
{
    if (lane->ready != NULL) {
        wbi_verbs_post_all(lane);
    }
}

void wbi_verbs_lane_gather(struct wbi_fabric_lane *lane);
void wbi_verbs_lane_flush(struct wbi_fabric_lane *lane);

/* Asks a silent peer's device for a sign of life. */
void wbi_verbs_probe(struct wbi_channel *channel);

/* The channel has something to post: now, or while the lane gathers with what follows; _soon: at
 * the next flush or poll in any case. */
void wbi_verbs_ready(struct wbi_channel *channel);
void wbi_verbs_ready_soon(struct wbi_channel *channel);

/* A message came: checks what the immediate data say and gives it to the owner. Takes the slot. */
uint32_t wbi_verbs_take_message(struct wbi_channel *channel, uint8_t *slot,
                                const struct ibv_wc *wc);

int wbi_verbs_offer(struct wbi_channel *channel, struct wbi_offer *offer);
bool wbi_verbs_knows(const struct wbi_channel *channel, const struct wbi_mr *mr);
void wbi_verbs_retire(struct wbi_channel *channel, struct wbi_offer *offer);
int wbi_verbs_revoke(struct wbi_channel *channel, struct wbi_offer *offer);
void wbi_verbs_offers_close(struct wbi_channel *channel);

int wbi_verbs_read(struct wbi_channel *channel, struct wbi_read *read);

/* The same over one way: a channel without a look at its rails, or a rail. WB_AGAIN. */
int wbi_verbs_read_over(struct wbi_channel *way, struct wbi_read *read);

/* Whether a way's devices know the chunk and the landing. A channel's always do. */
bool wbi_verbs_leads_to(const struct wbi_channel *way, const struct wbi_read *read);

#endif
