/* Streams' life: the table, ends, what the program is told. */
#include "engine/stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"

enum {
    BUDGETS_A_STREAM = 64, /* a stream may hold that part of the budget */
    BUDGETS_ALL = 4        /* and all of them that part */
};

/* ---- the table ---- */

void wbi_streams_open(struct wbi_lane *lane)
{
    lane->streams.due_tail = &lane->streams.due;
}

/* More places, all of them free. Where generations begin differs between processes: who has an id
 * of one that was here before names nothing. */
static int grow(struct wbi_lane *lane)
{
    struct wbi_streams *streams = &lane->streams;
    uint32_t generation = (uint32_t)lane->engine->id | 1;
    uint32_t size = streams->size == 0 ? 16 : streams->size * 2;
    struct wbi_stream_place *table = realloc(streams->table, size * sizeof *table);
    if (table == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    for (uint32_t i = streams->size; i < size; i++) {
        table[i] = (struct wbi_stream_place){.generation = generation,
                                             .next_free = i + 1 < size ? i + 2 : 0};
    }
    streams->table = table;
    streams->free = streams->size + 1;
    streams->size = size;
    return WB_OK;
}

/* The engine's streams may hold so much less. */
static void give_back(struct wbi_lane *lane, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&lane->engine->stream_bytes, bytes, memory_order_relaxed);
}

static int enlist(struct wb_stream *stream)
{
    struct wbi_streams *streams = &stream->lane->streams;
    if (streams->free == 0 && grow(stream->lane) != WB_OK) {
        return WB_ERR_NO_MEMORY;
    }
    uint32_t index = streams->free - 1;
    struct wbi_stream_place *place = &streams->table[index];
    streams->free = place->next_free;
    place->stream = stream;
    stream->id = (uint64_t)place->generation << 32 | index;
    stream->peer->streams++;
    stream->peer->handles++;
    return WB_OK;
}

static void unlist(struct wb_stream *stream)
{
    struct wbi_lane *lane = stream->lane;
    struct wb_peer *peer = stream->peer;
    struct wbi_stream_place *place = &lane->streams.table[(uint32_t)stream->id];
    place->stream = NULL;
    place->generation++;
    place->next_free = lane->streams.free;
    lane->streams.free = (uint32_t)stream->id + 1;
    give_back(lane, stream->bytes);
    atomic_fetch_sub(&lane->streams.hungry, atomic_exchange(&stream->hungry, false) ? 1 : 0);
    peer->streams--;
    peer->timed_streams -= stream->deadline_us != 0 ? 1 : 0;
    pthread_mutex_lock(&stream->lock);
    stream->lane = NULL; /* items that the program has outlive it, and maybe the lane */
    pthread_mutex_unlock(&stream->lock);
    wbi_lane_drain(lane); /* a call of it may name the peer */
    peer->handles--;
    wbi_peer_forget_buried(peer);
}

struct wb_stream *wbi_stream_find(struct wbi_lane *lane, uint64_t id, const struct wb_peer *peer)
{
    const struct wbi_streams *streams = &lane->streams;
    uint32_t index = (uint32_t)id;
    if (index >= streams->size || streams->table[index].generation != id >> 32) {
        return NULL;
    }
    struct wb_stream *stream = streams->table[index].stream;
    return stream != NULL && stream->peer == peer ? stream : NULL;
}

/* ---- begins ---- */

/* Whether peers may take so much more of what all streams may hold: beyond its first one a peer has
 * at most half of what the others leave. `held`: with that. */
static bool is_fair(const struct wb_peer *peer, uint64_t bytes, uint64_t held, uint64_t all)
{
    uint64_t own = peer->streams * bytes, others = held - bytes - own;
    return peer->streams == 0 || (others <= all && own + bytes <= (all - others) / 2);
}

/* Counts what another one may hold, if it may: what is refused is never counted, or two on
 * different lanes could refuse each other. */
static int take_bytes(struct wb_peer *peer, bool opener, uint64_t bytes, uint64_t all)
{
    _Atomic uint64_t *counted = &peer->lane->engine->stream_bytes;
    uint64_t held = atomic_load_explicit(counted, memory_order_relaxed);
    do {
        bool fair = opener || is_fair(peer, bytes, held + bytes, all);
        if (held + bytes > all || !fair) {
            return wbi_error(WB_ERR_BUSY,
                             "%s: open streams may hold %s already; lower config.stream_bytes or "
                             "raise config.budget_bytes",
                             peer->url,
                             fair ? "a quarter of the budget" : "this peer's part of the budget");
        }
    } while (!atomic_compare_exchange_weak_explicit(counted, &held, held + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return WB_OK;
}

/* Whether the peer may have another one here, and what that may hold; it is counted. */
static int admit(struct wb_peer *peer, bool opener, uint64_t *bytes)
{
    struct wbi_lane *lane = peer->lane;
    const struct wb_engine_config *config = &lane->engine->config;
    uint64_t part = config->budget_bytes / BUDGETS_A_STREAM;
    uint64_t all = config->budget_bytes / BUDGETS_ALL;
    *bytes = config->stream_bytes < part ? config->stream_bytes : part;
    if (peer->streams >= config->streams) {
        return wbi_error(WB_ERR_BUSY, "%s: %u streams are open with this peer (config.streams)",
                         peer->url, peer->streams);
    }
    return take_bytes(peer, opener, *bytes, all);
}

int wbi_stream_make(struct wb_peer *peer, struct wb_stream_type *type, bool opener,
                    struct wb_stream **out)
{
    struct wbi_lane *lane = peer->lane;
    const struct wb_engine_config *config = &lane->engine->config;
    uint64_t bytes = 0;
    int status = admit(peer, opener, &bytes);
    if (status != WB_OK) {
        return status;
    }
    struct wb_stream *stream = calloc(1, sizeof *stream);
    struct wb_stream_item **ring =
        stream != NULL ? calloc(config->stream_items, sizeof(struct wb_stream_item *)) : NULL;
    if (ring != NULL) {
        *stream = (struct wb_stream){.lane = lane,
                                     .peer = peer,
                                     .type = type,
                                     .opener = opener,
                                     .timeout_us = config->call_timeout_us,
                                     .ring = ring,
                                     .items = config->stream_items,
                                     .bytes = bytes,
                                     .total = UINT64_MAX};
        atomic_init(&stream->refs, 1);
        atomic_init(&stream->users, 1);
        pthread_mutex_init(&stream->lock, NULL);
    }
    if (ring == NULL || enlist(stream) != WB_OK) {
        free(ring);
        free(stream);
        give_back(lane, bytes);
        return wbi_error(WB_ERR_NO_MEMORY, "%s: no memory for a stream", peer->url);
    }
    *out = stream;
    return WB_OK;
}

/* ---- ends ---- */

void wbi_stream_unref(struct wb_stream *stream)
{
    if (atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&stream->lock);
        free(stream->ring);
        free(stream);
    }
}

/* One user less, if it is not the last. */
static bool leave_others(struct wb_stream *stream)
{
    uint32_t users = atomic_load_explicit(&stream->users, memory_order_relaxed);
    while (users > 1) {
        if (atomic_compare_exchange_weak_explicit(&stream->users, &users, users - 1,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void wbi_stream_leave(struct wb_stream *stream)
{
    struct wbi_lane *lane = stream->lane;
    if (leave_others(stream)) {
        return;
    }
    enum wbi_entry_kind entry = WBI_LANE_NESTED;
    if (lane != NULL) {
        entry = wbi_lane_enter_in_turn(lane);
        if (entry == WBI_LANE_BUSY) {
            wbi_stream_post_leave(stream);
            return;
        }
    }
    bool last = atomic_fetch_sub_explicit(&stream->users, 1, memory_order_acq_rel) == 1;
    if (last && lane != NULL) {
        unlist(stream);
    }
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    if (last) {
        wbi_stream_unref(stream);
    }
}

/* All that has arrived and has not been taken. */
static struct wb_stream_item *empty_ring(struct wb_stream *stream)
{
    struct wb_stream_item *list = NULL;
    for (uint64_t i = 0; i < stream->items; i++) {
        struct wb_stream_item *item = stream->ring[i];
        if (item != NULL) {
            item->next = list;
            list = item;
            stream->ring[i] = NULL;
        }
    }
    return list;
}

/* Under the lock: it has ended; or, in order, all has been sent and has arrived, and what is left
 * is to be taken, if its program wants it. */
static bool is_over(const struct wb_stream *stream)
{
    bool in_order = stream->finished && !stream->owes_finish && stream->in_flight == 0 &&
                    stream->arrived == stream->total;
    return stream->status != WB_OK || (in_order && !stream->given_up);
}

struct wb_stream_item *wbi_stream_set_end(struct wb_stream *stream, int status, int code,
                                          const char *text, bool owes)
{
    if (is_over(stream)) {
        return NULL;
    }
    stream->status = status;
    stream->code = code;
    snprintf(stream->text, sizeof stream->text, "%s", text != NULL ? text : "");
    stream->owes_finish = false;
    stream->owes_abort = owes;
    return !stream->given_up && stream->arrived == stream->total ? NULL : empty_ring(stream);
}

void wbi_stream_fail(struct wb_stream *stream, int status, int code, const char *text, bool owes)
{
    struct wbi_lane *lane = stream->lane;
    pthread_mutex_lock(&stream->lock);
    bool ends = !is_over(stream);
    struct wb_stream_item *items = wbi_stream_set_end(stream, status, code, text, owes);
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_free_items(items);
    if (!ends) {
        return;
    }
    enum wbi_entry_kind entry = wbi_lane_enter(lane); /* a finish never waits */
    if (entry == WBI_LANE_BUSY) {
        wbi_stream_make_hungry(stream);
        return;
    }
    wbi_stream_make_due(stream);
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    wbi_engine_notify(lane->engine);
}

void wbi_stream_discard(struct wb_stream *stream, int status)
{
    pthread_mutex_lock(&stream->lock);
    struct wb_stream_item *items = wbi_stream_set_end(stream, status, 0, NULL, false);
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_free_items(items);
    wb_stream_drop(stream);
}

void wbi_streams_end(struct wb_peer *peer, int status, const char *reason)
{
    const struct wbi_streams *streams = &peer->lane->streams;
    for (uint32_t i = 0; i < streams->size && peer->streams > 0; i++) {
        struct wb_stream *stream = streams->table[i].stream;
        if (stream == NULL || stream->peer != peer) {
            continue;
        }
        pthread_mutex_lock(&stream->lock);
        bool opened = stream->opened;
        if (!opened) { /* it ends with its opening, which may have been answered already */
            stream->lost = status;
            stream->lost_reason = reason;
        }
        pthread_mutex_unlock(&stream->lock);
        if (opened) {
            wbi_stream_fail(stream, status, 0, reason, false);
        }
        pthread_mutex_lock(&stream->lock); /* behind it: a finish that is owed is not in order */
        stream->owes_finish = stream->owes_abort = stream->owes_withdraw = false;
        pthread_mutex_unlock(&stream->lock);
    }
}

void wbi_stream_withdraw(struct wb_peer *peer, uint64_t id)
{
    const struct wbi_streams *streams = &peer->lane->streams;
    for (uint32_t i = 0; i < streams->size; i++) {
        struct wb_stream *stream = streams->table[i].stream;
        if (stream != NULL && stream->peer == peer && !stream->opener && stream->their_id == id) {
            wbi_stream_fail(stream, WB_ERR_CANCELLED, 0, NULL, false);
        }
    }
}

void wbi_streams_close(struct wbi_lane *lane)
{
    struct wbi_streams *streams = &lane->streams;
    for (uint32_t i = 0; i < streams->size; i++) {
        struct wb_stream *stream = streams->table[i].stream;
        if (stream == NULL) {
            continue;
        }
        pthread_mutex_lock(&stream->lock);
        stream->given_up = true; /* there is nothing more to decode with */
        struct wb_stream_item *items = empty_ring(stream);
        stream->status = stream->status == WB_OK ? WB_ERR_CLOSED : stream->status;
        stream->lane = NULL;
        stream->peer = NULL;
        bool starves = stream->starves, left = stream->left;
        stream->starves = stream->left = false;
        pthread_mutex_unlock(&stream->lock);
        wbi_stream_free_items(items);
        if (starves && left) {
            atomic_fetch_sub(&stream->users, 1); /* of two users */
        }
        if (starves || left) {
            wbi_stream_leave(stream);
        }
    }
    free(streams->table);
    *streams = (struct wbi_streams){0};
}

/* ---- public ---- */

static bool is_inherited(const struct wb_stream *stream)
{
    return stream->lane != NULL && wbi_engine_is_inherited(stream->lane->engine);
}

int wbi_stream_say_end(struct wb_stream *stream, int status)
{
    return wbi_error(status, "stream %s has ended: %s%s%s", stream->type->action.name,
                     wb_status_text(status), stream->text[0] != '\0' ? ": " : "", stream->text);
}

int wbi_stream_check(struct wb_stream *stream, struct wb_stream_type *type, bool right_way)
{
    wbi_stream_prepare(type);
    const struct wb_stream_type *own = stream->type;
    bool same = own == type ||
                (atomic_load(&own->action.id) == atomic_load(&type->action.id) &&
                 atomic_load(&own->action.signature) == atomic_load(&type->action.signature));
    if (!same || !right_way) {
        return wbi_error(WB_ERR_INVALID, "a stream %s is used as a stream %s%s", own->action.name,
                         type->action.name, same ? ", in its other direction" : "");
    }
    return stream->lane != NULL ? wbi_engine_check_process(stream->lane->engine) : WB_OK;
}

int wb_stream_status(struct wb_stream *stream, struct wb_error *error)
{
    if (is_inherited(stream)) {
        return wbi_engine_check_process(stream->lane->engine);
    }
    pthread_mutex_lock(&stream->lock);
    int status = stream->status;
    if (error != NULL) {
        error->code = stream->code;
        memcpy(error->text, stream->text, sizeof error->text);
    }
    pthread_mutex_unlock(&stream->lock);
    return status;
}

void wb_stream_abort(struct wb_stream *stream, int code, const char *format, ...)
{
    char text[sizeof stream->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (is_inherited(stream)) {
        return;
    }
    struct wbi_lane *lane = stream->lane;
    wbi_stream_use(stream); /* a `ready` may drop it as soon as it has ended */
    pthread_mutex_lock(&stream->lock);
    bool ends = !is_over(stream); /* in order, too: what has arrived is still taken */
    stream->given_up = stream->given_up || ends;
    struct wb_stream_item *items =
        wbi_stream_set_end(stream, WB_ERR_CANCELLED, code > 0 ? code : 1, text, true);
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_free_items(items);
    if (ends) {
        wbi_stream_flush(stream);
        wbi_engine_notify(lane->engine);
    }
    wbi_stream_leave(stream);
}

/* Under its lock: its program wants nothing of it any more. */
static struct wb_stream_item *give_up(struct wb_stream *stream)
{
    bool in_order = stream->finished && stream->next == stream->total;
    stream->dropped = stream->given_up = true;
    if (stream->status == WB_OK && !in_order) {
        bool finishes = stream->owes_finish;
        struct wb_stream_item *items = wbi_stream_set_end(stream, WB_ERR_CANCELLED, 0, NULL, true);
        stream->owes_finish = finishes;
        stream->patient = true;
        return items;
    }
    return empty_ring(stream);
}

void wb_stream_drop(struct wb_stream *stream)
{
    if (stream == NULL || is_inherited(stream)) {
        return;
    }
    struct wbi_lane *lane = stream->lane;
    enum wbi_entry_kind entry = lane != NULL ? wbi_lane_enter_in_turn(lane) : WBI_LANE_NESTED;
    pthread_mutex_lock(&stream->lock);
    if (entry != WBI_LANE_BUSY) { /* else one may just begin; none does when this is dropped */
        stream->ready = NULL;
    }
    struct wb_stream_item *items = give_up(stream);
    pthread_mutex_unlock(&stream->lock);
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    wbi_stream_free_items(items);
    wbi_stream_flush(stream);
    wbi_stream_leave(stream);
}
