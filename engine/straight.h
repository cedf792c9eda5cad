/*
 * The straight way of a small message, which most take: it has no chunks, no filter and no releases
 * to carry, nothing waits before it, and the fabric has a slot now. Its header is written into that
 * at once; no plan is made, and nothing is left to be sealed. Whatever it does not suit goes the
 * long way (prepare, place, seal in parcel.h), which suits everything.
 */
#ifndef WBI_ENGINE_STRAIGHT_H
#define WBI_ENGINE_STRAIGHT_H

#include "engine/lane.h"
#include "engine/peer.h"

/* Lane thread: whether a message of the kind could go now: the channel is up, no other goes first,
 * and a request has its credit. */
static inline bool wbi_outgoing_is_next(const struct wb_peer *peer, const struct wbi_header *header)
{
    bool first =
        header->kind == WBI_REPLY ? peer->replies_tail == &peer->waiting : peer->waiting == NULL;
    return first && !peer->dying &&
           atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_CONNECTED &&
           (header->kind != WBI_REQUEST ||
            wbi_peer_may_ask(peer, (header->flags & WBI_FLAG_ONE_WAY) != 0));
}

/* Any thread: whether a message is small, as far as its sizes say; without the lane that is to be
 * asked again in it, since the next channel of a line may take less. */
static inline bool wbi_straight_suits(const struct wb_peer *peer, enum wbi_kind kind,
                                      const struct wb_sizer *sizer)
{
    size_t eager_bytes = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    return sizer->records == 0 && sizer->bytes <= eager_bytes - wbi_header_bytes((uint8_t)kind);
}

/*
 * Lane thread: places the message of out->peer in the fabric's slot with its header, whose kind it
 * sets, and points the writer at the archive's place. out->set, long_block, plain and parcel are
 * NULL and stay so, and out->plan has nothing but the bytes. Inline, since the kind is known where
 * it is called. False: it takes the long way, and nothing is held.
 */
static inline bool wbi_outgoing_go_straight(struct wbi_outgoing *out, enum wbi_kind kind,
                                            const struct wb_sizer *sizer, struct wb_writer *writer)
{
    const struct wb_peer *peer = out->peer;
    struct wbi_header *header = &out->header;
    size_t header_bytes = wbi_header_bytes((uint8_t)kind);
    header->kind = (uint8_t)kind;
    if (peer->releases.count != 0 || !wbi_straight_suits(peer, kind, sizer) ||
        !wbi_outgoing_is_next(peer, header) ||
        peer->lane->fabric->reserve(peer->channel, header_bytes + sizer->bytes, false,
                                    &out->message) != WB_OK) {
        out->message = NULL;
        return false;
    }
    out->straight = true;
    out->plan.bytes = header_bytes + sizer->bytes;
    /* the sizer's thresholds have just been written one by one, and would be waited for */
    const struct wb_thresholds all_packed = {
        .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
    wb_writer_start(writer, all_packed, out->message + header_bytes, sizer->bytes, NULL, 0);
    wbi_header_encode(header, out->message);
    return true;
}

/* Whether the stub has written what it had sized. */
static inline bool wbi_straight_is_written(const struct wb_writer *writer)
{
    return writer->at == writer->end && writer->chunk_count == 0 && writer->status == WB_OK;
}

#endif
