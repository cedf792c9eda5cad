/*
 * The straight way of a small message, which most take: it has no chunks, no filter and no releases
 * to carry, nothing waits before it, and the fabric has a slot now. Its header is written into that
 * at once; no plan is made, no record kept (what the writer knows is all there is to know), and
 * nothing is left to be sealed. Whatever it does not suit goes the long way (prepare, place, seal
 * in parcel.h), which suits everything.
 */
#ifndef WBI_ENGINE_STRAIGHT_H
#define WBI_ENGINE_STRAIGHT_H

#include "engine/lane.h"
#include "engine/peer.h"

/* Lane thread: whether no other message goes before one of the kind, and a request has its credit.
 */
static inline bool wbi_outgoing_is_first(const struct wb_peer *peer, enum wbi_kind kind,
                                         bool one_way)
{
    return kind == WBI_REPLY
               ? peer->replies_tail == &peer->waiting
               : peer->waiting == NULL && (kind != WBI_REQUEST || wbi_peer_may_ask(peer, one_way));
}

/* Lane thread: whether it could go now: the channel is up, too. */
static inline bool wbi_outgoing_is_next(const struct wb_peer *peer, enum wbi_kind kind,
                                        bool one_way)
{
    return !peer->dying &&
           atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_CONNECTED &&
           wbi_outgoing_is_first(peer, kind, one_way);
}

/* Lane thread: whether a message with an archive of so many bytes may take the straight way. */
static inline bool wbi_straight_suits(const struct wb_peer *peer, enum wbi_kind kind, bool one_way,
                                      size_t archive_bytes)
{
    return archive_bytes < peer->straight_below && peer->releases.count == 0 &&
           wbi_outgoing_is_first(peer, kind, one_way);
}

/*
 * Lane thread: a place in the fabric's slot for such a message, whose archive the caller writes
 * behind its header. Inline, since the kind is known where it is called. NULL: there is none now,
 * and nothing is held.
 */
static inline uint8_t *wbi_straight_place(struct wb_peer *peer, enum wbi_kind kind,
                                          size_t archive_bytes)
{
    size_t bytes = wbi_header_bytes((uint8_t)kind) + archive_bytes;
    uint8_t *message;
    int status = peer->lane->fabric->reserve(peer->channel, bytes, false, &message);
    return status == WB_OK ? message : NULL;
}

/* Points the writer at the archive's place in such a message. */
static inline void wbi_straight_write(uint8_t *message, enum wbi_kind kind, size_t archive_bytes,
                                      struct wb_writer *writer)
{
    /* the sizer's thresholds have just been written one by one, and would be waited for */
    const struct wb_thresholds all_packed = {
        .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
    wb_writer_start(writer, all_packed, message + wbi_header_bytes((uint8_t)kind), archive_bytes,
                    NULL, 0);
}

/* Whether the stub has written what it had sized. (A chunk, for which the writer has no room, would
 * have failed.) */
static inline bool wbi_straight_is_written(const struct wb_writer *writer)
{
    return writer->at == writer->end && writer->status == WB_OK;
}

/* Lane thread: sends what has been placed so, encoded and written. */
static inline void wbi_straight_send(struct wb_peer *peer, enum wbi_kind kind, uint8_t *message,
                                     size_t archive_bytes)
{
    struct wbi_lane *lane = peer->lane;
    wbi_header_set_credits(message, wbi_control_credits(peer));
    lane->fabric->send(peer->channel, wbi_header_bytes((uint8_t)kind) + archive_bytes);
    wbi_count(&lane->counters.parcels_sent, 1);
}

/* The message that a writer's archive is in, and the archive's bytes. */
static inline uint8_t *wbi_straight_message(const struct wb_writer *writer, enum wbi_kind kind)
{
    return writer->begin - wbi_header_bytes((uint8_t)kind);
}
static inline size_t wbi_straight_bytes(const struct wb_writer *writer)
{
    return (size_t)(writer->end - writer->begin);
}

#endif
