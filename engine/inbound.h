/*
 * Inbound parcels: those that do not end in the turn in which they arrive, because parts of them
 * must be fetched, or because there is no memory yet (parked). An eager request that is handled at
 * once never becomes one.
 *
 * The way of one:  parse -> [admit and fetch the long archive and list] -> [admit the plain
 * archive, and undo the filter] -> [admit and fetch the chunks] -> release -> deliver
 * Admission is all or nothing: every landing of a stage is there before its first READ is issued.
 * A long archive says only when it is here how much the plain one takes, and a long list what the
 * chunks do. Where that is not to be had, what has landed goes, and is READ anew when there is room
 * for all: what waits holds nothing that others wait for, but for one that keeps (landing.c). (A
 * list is READ once: its chunks are remembered.) Invariant: in_flight READs use the landings; the
 * struct is freed only when in_flight == 0.
 */
#ifndef WBI_ENGINE_INBOUND_H
#define WBI_ENGINE_INBOUND_H

#include <stdbool.h>
#include <waybill/serial.h>

#include "engine/admission.h"
#include "engine/fabric.h"
#include "engine/wire.h"
#include "serial/chunk_list.h"

struct wb_peer;
struct wb_call;
struct wb_context;
struct wb_deferred;
struct wbi_lane;

enum {
    WBI_MAX_CHUNKS = 65536
}; /* of one parcel: bounds what a list can make us allocate outside the pool */

enum { WBI_FEW_CHUNKS = 3 }; /* records of a list for which nothing is allocated: of one chunk */

/* One range to fetch: a whole chunk, or the long archive or list; with its head and tail, where
 * READs must be aligned. */
struct wbi_part {
    struct wbi_chunk_record record;
    uint64_t from, bytes; /* what is fetched */
    uint8_t *into;
    struct wb_rma_block *block; /* one reference */
};

enum wbi_stage {
    WBI_STAGE_LONG,   /* the long archive and list */
    WBI_STAGE_FILTER, /* the archive that was filtered, undone; nothing is fetched */
    WBI_STAGE_CHUNKS, /* the chunks */
    WBI_STAGE_READY   /* all here; a request may still wait for the handler's memory */
};

struct wbi_inbound {
    struct wbi_lane *lane;
    struct wb_peer *peer;            /* while it is in the peer's lists */
    struct wbi_inbound *prev, *next; /* all of the peer */
    struct wbi_inbound *queue_next;  /* in the peer's fetch queue, or the lane's parked queue */
    uint8_t *slot;                   /* the message; kept until the end */
    size_t len;
    struct wbi_header header;
    uint64_t lease_id;            /* to be released; 0 once it was queued, or if there is none */
    struct wb_call *call;         /* REPLY: for which; NULL when that has ended meanwhile */
    struct wb_call *leaving;      /* REPLY: whose end waits for the READs in flight; or NULL */
    uint64_t deadline;            /* 0 none or not yet known; leaving: of those READs */
    int status;                   /* the first failure; READs are no more issued */
    bool parked, paced, fetching; /* in which queue it is, if any: pace.h, fetch.c */
    bool credited;                /* whether its credit went back */
    uint64_t fetch_bytes;         /* of its peer's; 0: it is not being fetched, or not counted */
    bool waiting;                 /* it counts in the lane's */
    bool orphan;                  /* likewise: deferred, and its peer is gone */
    uint32_t round;               /* parked: how many of its peer waited before it */
    bool noted;                   /* that it was parked is in the log */
    uint64_t ticket;              /* 0, or when it began to wait for landings, among all */
    enum wbi_stage stage;
    struct wbi_part archive_part, list_part;
    struct wbi_part plain_part; /* until the filter is undone; no bytes: none, or not yet known */
    const uint8_t *archive, *list;
    uint64_t archive_len;
    size_t list_len;
    struct wb_landing *landings;    /* `few_landings`, or allocated; and so */
    struct wbi_part *chunks;        /* from when the list is here and looked at */
    struct wbi_part *parts;         /* of the stage under way; may be `chunks` */
    uint32_t part_count, part_next; /* next to issue from */
    uint64_t part_offset;           /* issued of part_next */
    uint32_t in_flight;
    uint32_t chunk_count;             /* landings; offered chunks */
    uint64_t room_used;               /* REPLY: of the call's room */
    struct wbi_load listed;           /* the chunks' landings: a long list says when it is here */
    bool anew;                        /* its list was here, and it has let go to wait for all */
    uint32_t kept;                    /* REQUEST: landings of its stage that it waits with; or 0 */
    uint64_t kept_from;               /* with what it was counted before it kept any */
    uint64_t kept_at, kept_since;     /* its stamp in the engine's, while that is its; its first */
    uint64_t keeps_again;             /* it is not to keep any before */
    uint64_t admitted;                /* REQUEST: counted in the engine's; 0 before it is let in */
    struct wb_deferred *deferred;     /* REQUEST: whose it is, while its answer is to come */
    struct wb_rma_block *reply_block; /* REQUEST with COPY: room for a long reply, reserved before
                                         the handler runs */
    struct wb_landing few_landings[WBI_FEW_CHUNKS];
    struct wbi_part few_chunks[WBI_FEW_CHUNKS];
};

/* Lane thread: takes the message (its slot too). Ends with delivery or failure on its own. */
void wbi_inbound_start(struct wb_peer *peer, uint8_t *slot, size_t len,
                       const struct wbi_header *header, struct wb_call *call);

/* Lane thread: parks a request that was complete at once, whose handler asked to be run again;
 * credited: its credit has gone back already. WB_ERR_NO_MEMORY: the slot is still the caller's. */
int wbi_inbound_park_eager(struct wb_peer *peer, uint8_t *slot, size_t len,
                           const struct wbi_header *header, size_t archive_at, bool credited);

/* Lane thread, in the handler of a complete request: keeps it beyond that, with its credit where
 * that has not gone back. NULL: no memory, all is as it was. */
struct wbi_inbound *wbi_inbound_keep(struct wb_context *context);

/* Lane thread: a request that was kept has been answered, or its peer is gone. Frees it. */
void wbi_inbound_end(struct wbi_inbound *inbound);

/* Lane thread: the peer may send another request in place of this one. Once. */
void wbi_inbound_return_credit(struct wbi_inbound *inbound);

/* Lane thread: takes back a credit that was to go with the reply; true: it is too late, it has
 * gone. */
bool wbi_inbound_credit_gone(struct wb_peer *peer);

/* Lane thread: where receives are few, one that waits for its handler gives its credit back and
 * keeps only the block: nothing that waits may stop what it waits for. */
void wbi_inbound_part_with_credit(struct wbi_inbound *inbound);

/* Lane thread: tries the parked ones again, each once. Returns how many moved on. */
int wbi_inbound_retry(struct wbi_lane *lane);

/* Lane thread: puts READs of this peer on their way as far as there are free ones. */
void wbi_inbound_fetch(struct wb_peer *peer);

/* Lane thread: a stage's parts are all set up: their READs may be issued. */
void wbi_fetch_begin(struct wbi_inbound *inbound);

/* Lane thread: it has failed while it was in the queue for READs, `fetching`: it leaves that, and
 * ends, if it has none in flight. May free it. */
void wbi_fetch_quit(struct wbi_inbound *inbound);

/* Lane thread: the last READ of a stage has ended, or it failed. fetch.c calls it. */
void wbi_inbound_fetched(struct wbi_inbound *inbound);

/* Lane thread: the parcel has failed: no more READs; it ends when those in flight have. */
void wbi_inbound_fail(struct wbi_inbound *inbound, int status);

/* Lane thread: its landings cannot be had now: it waits, or is refused, or another one for it, as
 * config.when_full says. */
void wbi_inbound_no_room(struct wbi_inbound *inbound);

/* Lane thread: waits in the lane's queue for memory. */
void wbi_inbound_park(struct wbi_inbound *inbound);

/* Lane thread: out of the lane's queue, if it is there. */
void wbi_inbound_unpark(struct wbi_inbound *inbound);

/* Lane thread: takes the next step that its stage allows; parks, fetches, delivers or ends it. */
void wbi_inbound_step(struct wbi_inbound *inbound);

/* Lane thread: out of all queues and lists, and freed: the channel is gone. */
void wbi_inbound_bury(struct wbi_inbound *inbound);

/* Lane thread: stops a request that its caller has given up. */
void wbi_inbound_cancel(struct wb_peer *peer, uint64_t call_id);

/* Lane thread: looks at the deadlines of this peer's parcels. */
void wbi_inbound_expire(struct wb_peer *peer, uint64_t now);

/* Ends the struct and what it holds; in_flight must be 0. Accepts NULL. Any thread once it is in no
 * list. */
void wbi_inbound_free(struct wbi_inbound *inbound);

/* Lane thread: sets up the plain archive as a part, of the bytes that it says it is.
 * WB_ERR_MALFORMED: it cannot be, or is not what it was when it was READ before. Idempotent. */
int wbi_inbound_set_up_plain(struct wbi_inbound *inbound);

/* Lane thread: the part has room: undoes the filter, and puts the plain archive in the place of the
 * filtered one. WB_ERR_MALFORMED. */
int wbi_inbound_undo_filter(struct wbi_inbound *inbound);

/* Lane thread: before a request waits for room: where that is the plain archive's, or chunks' that
 * a long list has named, and there is none, what has landed goes, and is READ anew with room for
 * all. Others may wait for it. The stage may be an earlier one then. */
void wbi_inbound_let_go(struct wbi_inbound *inbound);

/* Lane thread: the stage that a request or reply begins with, be it for the second time. */
enum wbi_stage wbi_inbound_first_stage(const struct wbi_inbound *inbound);

bool wbi_inbound_is_filtered(const struct wbi_inbound *inbound);

/* Whether a long list is still to be fetched, or to be looked at. */
bool wbi_inbound_lacks_list(const struct wbi_inbound *inbound);

/* How many chunks land before their stage, with the long archive. */
uint32_t wbi_inbound_chunks_ahead(const struct wbi_inbound *inbound);

/* Lane thread: all landings of the stage, or none and a status, but for the one that keeps
 * (`kept`, WB_AGAIN). The plain archive's is among them as soon as it is known; chunks' that are
 * known before their stage likewise, but they wait for the filter to be undone. */
int wbi_inbound_land(struct wbi_inbound *inbound);

/* Gives the part's room back, if it has any; or that of `count` parts. */
void wbi_part_drop(struct wbi_part *part);
void wbi_parts_drop(struct wbi_part *parts, uint32_t count);

/* What is fetched of a part, by its record. WB_ERR_PROTOCOL: it is not aligned as this side must
 * read it. */
int wbi_part_set_range(const struct wbi_lane *lane, struct wbi_part *part);

/* Where the parts of a message lie, by its header (already decoded from it). WB_ERR_PROTOCOL. */
int wbi_inbound_parse(struct wbi_inbound *inbound);

/* make_vector of readers: shares `block`, or copies into a fresh block of the pool. context: the
 * lane. */
int wbi_make_vector(void *lane, struct wb_rma_block *block, const void *data, uint64_t bytes,
                    uint32_t elem_size, wb_rma_vector *out);

#endif
