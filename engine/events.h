/*
 * A lane's log of events: rings, written by the lane thread and read by anybody without the lane,
 * so that it can be read while a handler is stuck. Names of peers and actions are copied in rings
 * of their own: what they came from may be gone when somebody reads.
 */
#ifndef WBI_ENGINE_EVENTS_H
#define WBI_ENGINE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <waybill/watch.h>

#include "engine/ring.h"

struct wbi_header;
struct wbi_lane;

struct wbi_events {
    struct wbi_ring log, peers, actions;
    uint32_t peer_count; /* numbers given */
    bool reports;        /* lost peers, on stderr */
};

/* What happened, as it is logged; whole words. */
struct wbi_event {
    uint64_t call, action, bytes; /* action: its id, or 0 */
    uint32_t chunk;
    int32_t status; /* what a handler, or a peer, has said: any */
    uint32_t peer, turn;
    uint64_t when : 56, kind : 8; /* enum wb_event_kind */
};

/* Makes the lane's log. Returns WB_OK, or WB_ERR_NO_MEMORY with words; closing accepts what is
 * there. */
int wbi_events_open(struct wbi_lane *lane);
void wbi_events_close(struct wbi_lane *lane);

/* All that notes is marked cold: what is rare makes room for what is not. */

/* Lane thread: logs an event of a peer; its peer, turn and time are filled in here. */
void wbi_note(const struct wb_peer *peer, struct wbi_event event) __attribute__((cold));

/* Lane thread: a peer is new, and gets its number; is connected; was lost, which is reported where
 * that is asked for. */
void wbi_note_new(struct wb_peer *peer) __attribute__((cold));
void wbi_note_connected(const struct wb_peer *peer) __attribute__((cold));
void wbi_note_lost(const struct wb_peer *peer) __attribute__((cold));

/* Lane thread: a rail of the peer's is ready (WB_OK), or lost or not to be had, which is reported
 * likewise. */
void wbi_note_rail(const struct wb_peer *peer, int status, const char *words) __attribute__((cold));

/* Lane thread: a parcel with chunks was sent, or has come. */
void wbi_note_sent(const struct wb_peer *peer, const struct wbi_header *header, size_t bytes)
    __attribute__((cold));
void wbi_note_came(const struct wb_peer *peer, const struct wbi_header *header, size_t bytes)
    __attribute__((cold));

/* Lane thread: a request is answered with an error. */
void wbi_note_error(const struct wb_peer *peer, const struct wbi_header *request, int status,
                    int code) __attribute__((cold));

/* Lane thread: a call ends with a status that is not WB_OK. */
void wbi_note_end(const struct wb_call *call, int status) __attribute__((cold));

/* Any thread: event number `number`, from 0, of a lane. False: it is gone; *event is untouched. */
bool wbi_event_read(const struct wbi_lane *lane, uint64_t number, struct wb_event *event);

#endif
