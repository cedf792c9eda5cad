#include "engine/events.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/probe.h"
#include "engine/report.h"
#include "serial/hash.h"

enum { LOGGED = 2048, PEERS_NAMED = 256, ACTIONS_NAMED = 32 };

enum {
    WORD = sizeof(uint64_t),
    EVENT_WORDS = sizeof(struct wbi_event) / WORD,
    URL_BYTES = sizeof((struct wb_event *)0)->peer_url,
    ACTION_BYTES = sizeof((struct wb_event *)0)->action,
    NAME_WORDS = 1 + URL_BYTES / WORD
};
static const uint64_t MOST_WHEN = ((uint64_t)1 << 56) - 1;
_Static_assert((int)WB_EVENT_KINDS <= UINT8_MAX, "an event has eight bits for its kind");
_Static_assert(sizeof(struct wbi_event) % WORD == 0, "an event is a record of whole words");
_Static_assert(URL_BYTES % WORD == 0 && ACTION_BYTES % WORD == 0, "so is a name");
_Static_assert((int)ACTION_BYTES <= (int)URL_BYTES, "a record has room for either");
_Static_assert((int)URL_BYTES == sizeof((struct wb_peer *)0)->url, "a peer's is copied whole");

int wbi_events_open(struct wbi_lane *lane)
{
    struct wbi_events *events = &lane->events;
    const char *wanted = getenv("WB_EVENTS");
    events->reports = wanted != NULL && strcmp(wanted, "errors") == 0;
    int status = wbi_ring_open(&events->log, LOGGED, EVENT_WORDS);
    status = status == WB_OK ? wbi_ring_open(&events->peers, PEERS_NAMED, NAME_WORDS) : status;
    status = status == WB_OK
                 ? wbi_ring_open(&events->actions, ACTIONS_NAMED, 1 + ACTION_BYTES / WORD)
                 : status;
    return status == WB_OK ? WB_OK : wbi_error(status, "no memory for the log of events");
}

void wbi_events_close(struct wbi_lane *lane)
{
    wbi_ring_close(&lane->events.log);
    wbi_ring_close(&lane->events.peers);
    wbi_ring_close(&lane->events.actions);
}

/* ---- writing ---- */

void wbi_note(const struct wb_peer *peer, struct wbi_event event)
{
    struct wbi_lane *lane = peer->lane;
    uint64_t record[EVENT_WORDS];
    event.peer = peer->number;
    event.turn = lane->turns;
    event.when = lane->now & MOST_WHEN;
    memcpy(record, &event, sizeof record);
    wbi_ring_write(&lane->events.log, record);
}

static void write_name(struct wbi_ring *ring, uint64_t key, const char *name)
{
    uint64_t record[NAME_WORDS] = {key};
    size_t most = (ring->words - 1) * (size_t)WORD - 1;
    memcpy(record + 1, name, strnlen(name, most));
    wbi_ring_write(ring, record);
}

/* The name written last for a key. The writer's own, or a reader's who may come too late. */
static bool find_name(const struct wbi_ring *ring, uint64_t key, uint64_t record[NAME_WORDS])
{
    uint64_t written = wbi_ring_written(ring);
    uint64_t first = written > ring->count ? written - ring->count : 0;
    while (written > first) {
        if (wbi_ring_read(ring, --written, record) && record[0] == key) {
            return true;
        }
    }
    return false;
}

void wbi_note_new(struct wb_peer *peer)
{
    struct wbi_events *events = &peer->lane->events;
    peer->number = ++events->peer_count;
    write_name(&events->peers, peer->number, peer->url);
}

void wbi_note_connected(const struct wb_peer *peer)
{
    wbi_note(peer, (struct wbi_event){
                       .kind = WB_EVENT_CONNECTED,
                       .bytes = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed)});
    wbi_probe_peer_connected(peer, peer->url, peer->their_id);
}

void wbi_note_lost(const struct wb_peer *peer)
{
    struct wbi_events *events = &peer->lane->events;
    write_name(&events->peers, peer->number, peer->url); /* others may have come since */
    wbi_note(peer, (struct wbi_event){.kind = WB_EVENT_LOST, .status = peer->status});
    wbi_probe_peer_lost(peer, peer->reason, peer->status);
    bool lost = peer->status != WB_ERR_CLOSED && peer->status != WB_OK && wbi_line_is_lost(peer);
    if (events->reports && lost) {
        wbi_report(peer);
    }
}

void wbi_note_rail(const struct wb_peer *peer, int status, const char *words)
{
    const struct wbi_lane *lane = peer->lane;
    wbi_note(peer, (struct wbi_event){.kind = status == WB_OK ? WB_EVENT_RAIL : WB_EVENT_RAIL_LOST,
                                      .chunk = lane->fabric->rails_up(peer->channel),
                                      .status = status});
    if (lane->events.reports && status != WB_OK) {
        wbi_report_rail(peer, status, words);
    }
}

static void note_parcel(const struct wb_peer *peer, const struct wbi_header *header, size_t bytes,
                        enum wb_event_kind kind)
{
    wbi_note(peer, (struct wbi_event){.kind = (uint8_t)kind,
                                      .call = header->call_id,
                                      .action = header->action,
                                      .bytes = bytes,
                                      .chunk = header->chunk_count,
                                      .status = header->status});
}

void wbi_note_sent(const struct wb_peer *peer, const struct wbi_header *header, size_t bytes)
{
    bool request = header->kind == WBI_REQUEST;
    note_parcel(peer, header, bytes, request ? WB_EVENT_REQUEST_SENT : WB_EVENT_REPLY_SENT);
}

void wbi_note_came(const struct wb_peer *peer, const struct wbi_header *header, size_t bytes)
{
    bool request = header->kind == WBI_REQUEST;
    note_parcel(peer, header, bytes, request ? WB_EVENT_REQUEST_CAME : WB_EVENT_REPLY_CAME);
}

void wbi_note_error(const struct wb_peer *peer, const struct wbi_header *request, int status,
                    int code)
{
    wbi_note(peer, (struct wbi_event){.kind = WB_EVENT_ERROR_SENT,
                                      .call = request->call_id,
                                      .action = request->action,
                                      .chunk = (uint32_t)code,
                                      .status = status});
}

void wbi_note_end(const struct wb_call *call, int status)
{
    struct wbi_ring *actions = &call->lane->events.actions;
    uint64_t action = wbi_hash_name(call->action), record[NAME_WORDS];
    if (!find_name(actions, action, record)) {
        write_name(actions, action, call->action);
    }
    wbi_note(call->peer, (struct wbi_event){.kind = WB_EVENT_CALL_ENDED,
                                            .call = wbi_call_id(call),
                                            .action = action,
                                            .status = status});
}

/* ---- reading ---- */

static bool read_raw(const struct wbi_lane *lane, uint64_t number, struct wbi_event *raw)
{
    uint64_t record[EVENT_WORDS];
    if (!wbi_ring_read(&lane->events.log, number, record)) {
        return false;
    }
    memcpy(raw, record, sizeof *raw);
    return true;
}

static void name_action(const struct wbi_lane *lane, uint64_t action, char name[ACTION_BYTES])
{
    uint64_t record[NAME_WORDS];
    const struct wbi_entry *entry = wbi_registry_find(&lane->engine->registry, action);
    name[0] = '\0';
    if (entry != NULL) {
        size_t len = strnlen(entry->name, ACTION_BYTES - 1);
        memcpy(name, entry->name, len);
        name[len] = '\0';
    } else if (action != 0 && find_name(&lane->events.actions, action, record)) {
        memcpy(name, record + 1, ACTION_BYTES);
    }
}

static void name_peer(const struct wbi_lane *lane, uint32_t peer, char url[URL_BYTES])
{
    uint64_t record[NAME_WORDS];
    url[0] = '\0';
    if (find_name(&lane->events.peers, peer, record)) {
        memcpy(url, record + 1, URL_BYTES);
    }
}

static void explain(const struct wbi_lane *lane, uint64_t number, const struct wbi_event *raw,
                    struct wb_event *event)
{
    *event = (struct wb_event){.number = number + 1,
                               .when_us = raw->when,
                               .turn = raw->turn,
                               .kind = (enum wb_event_kind)raw->kind,
                               .scheme = lane->fabric->scheme,
                               .lane = lane->index,
                               .peer = raw->peer,
                               .call = raw->call,
                               .bytes = raw->bytes,
                               .chunk = raw->chunk,
                               .status = raw->status};
    name_peer(lane, raw->peer, event->peer_url);
    name_action(lane, raw->action, event->action);
}

bool wbi_event_read(const struct wbi_lane *lane, uint64_t number, struct wb_event *event)
{
    struct wbi_event raw;
    bool there = read_raw(lane, number, &raw);
    if (there) {
        explain(lane, number, &raw, event);
    }
    return there;
}

/* The latest event of all lanes before those that were taken; left[i]: how many lane i has before.
 * Of lanes whose clocks say the same, each in its own order. */
static bool take_latest(const struct wb_engine *engine, uint64_t *left, struct wb_event *event)
{
    const struct wbi_lane *from = NULL;
    struct wbi_event latest = {0}, raw;
    unsigned chosen = 0;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        if (left[i] > 0 && !read_raw(engine->lanes[i], left[i] - 1, &raw)) {
            left[i] = 0; /* older ones are gone as well */
        }
        if (left[i] > 0 && (from == NULL || raw.when > latest.when)) {
            from = engine->lanes[i];
            latest = raw;
            chosen = i;
        }
    }
    if (from != NULL) {
        explain(from, --left[chosen], &latest, event);
    }
    return from != NULL;
}

int wb_engine_events(struct wb_engine *engine, struct wb_event *events, unsigned most)
{
    uint64_t left[WBI_MAX_LANES];
    unsigned room = most;
    int status = wbi_engine_check_process(engine);
    if (status != WB_OK) {
        return status;
    }
    for (unsigned i = 0; i < engine->lane_count; i++) {
        left[i] = wbi_ring_written(&engine->lanes[i]->events.log);
    }
    while (room > 0 && take_latest(engine, left, &events[room - 1])) {
        room--;
    }
    if (room > 0 && room < most) { /* fewer than asked for */
        memmove(events, events + room, (most - room) * sizeof *events);
    }
    return (int)(most - room);
}
