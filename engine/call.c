/* A call's way on the lane: entered, answered, ended. The caller's side of it is call_stub.c. */
#include "engine/call.h"

#include <string.h>

#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/into.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/probe.h"

void wbi_call_enter(struct wb_call *call, uint64_t bytes)
{
    struct wb_peer *peer = call->peer;
    call->prev = NULL;
    call->next = peer->calls;
    if (peer->calls != NULL) {
        peer->calls->prev = call;
    }
    peer->calls = call;
    atomic_store_explicit(&call->state, WBI_CALL_OPEN, memory_order_release);
    wbi_count(&call->lane->counters.calls_begun, 1);
    wbi_probe_call_begin(peer, wbi_call_id(call), bytes);
}

static void unlist(struct wb_call *call)
{
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
    if (call->prev != NULL) {
        call->prev->next = call->next;
    } else {
        call->peer->calls = call->next;
    }
}

/* ---- what the program is told ---- */

static void publish(struct wb_call *call)
{
    struct wbi_lane *lane = call->lane;
    atomic_store_explicit(&call->state, WBI_CALL_ENDED, memory_order_release);
    /* one that lies down right now has the lane look (sleepers.h) */
    if (atomic_load_explicit(&lane->engine->sleepers.count, memory_order_relaxed) > 0) {
        atomic_fetch_or_explicit(&lane->wants, WBI_ASKED_TO_WAKE, memory_order_relaxed);
    }
}

static void list_due(struct wb_call *call)
{
    struct wbi_lane *lane = call->lane;
    if (!call->due) {
        call->due = true;
        call->next_due = NULL;
        *lane->due_tail = call;
        lane->due_tail = &call->next_due;
        lane->owes = true;
    }
}

static void tell_sent(struct wb_call *call)
{
    if (call->on_sent != NULL) {
        call->due_sent = true;
        list_due(call);
    }
}

void wbi_call_sent(struct wb_call *call)
{
    tell_sent(call);
    if (call->one_way) {
        wbi_call_end(call, WB_OK, NULL);
    }
}

void wbi_call_announce(struct wb_call *call)
{
    wbi_count(&call->lane->counters.calls_ended, 1);
    if (call->lane->latency != NULL) {
        wbi_latency_end(call->lane->latency, call);
    }
    if (call->on_sent == NULL && call->then == NULL && !call->one_way) {
        publish(call);
        return;
    }
    tell_sent(call);
    call->due_end = true;
    list_due(call);
}

/* Once its end is published the call is the program's; one without an answer nobody finishes. */
static void tell(struct wb_call *call)
{
    void (*on_sent)(void *user) = call->due_sent ? call->on_sent : NULL;
    void (*then)(struct wb_call *, void *) = call->then;
    void *user = call->user;
    bool ended = call->due_end;
    call->due = call->due_sent = call->due_end = false;
    if (on_sent != NULL) {
        wbi_lane_before_program(call->lane);
        call->on_sent = NULL;
        on_sent(user);
    }
    if (ended && call->one_way) {
        wbi_call_give(call);
    } else if (ended) {
        struct wbi_lane *lane = call->lane;
        publish(call);
        if (then != NULL) {
            wbi_lane_before_program(lane);
            then(call, user);
        }
    }
}

void wbi_calls_tell(struct wbi_lane *lane)
{
    while (lane->due != NULL) {
        struct wb_call *call = lane->due;
        lane->due = call->next_due;
        if (lane->due == NULL) {
            lane->due_tail = &lane->due;
        }
        tell(call);
    }
}

/* ---- ends ---- */

static void set_text(struct wb_call *call, const char *text)
{
    size_t len = text != NULL ? strnlen(text, sizeof call->text - 1) : 0;
    if (len > 0) {
        memcpy(call->text, text, len);
    }
    call->text[len] = '\0';
}

/* A parcel that still waits goes on without its call; what it offers is taken back. */
static void disown_parcel(struct wb_call *call)
{
    struct wbi_parcel *parcel = call->out.parcel;
    if (parcel != NULL) {
        call->set = parcel->out.set;
        if (call->set != NULL) {
            call->set->call = call;
        }
        parcel->out.set = NULL;
        parcel->out.call = NULL;
        call->out.parcel = NULL;
    }
}

/* Tells the server to stop, once, where it may still be at work for this call. */
static void stop_server(struct wb_call *call)
{
    bool reachable =
        atomic_load_explicit(&call->peer->state, memory_order_relaxed) == WB_PEER_CONNECTED;
    if (call->sent && !call->stopped && reachable) {
        call->stopped = true;
        wbi_control_cancel(call->peer, wbi_call_id(call));
        wbi_note(call->peer,
                 (struct wbi_event){.kind = WB_EVENT_CANCEL_SENT, .call = wbi_call_id(call)});
    }
}

/* Takes back what the call offers. False: the peer may still read, and the end waits for it. */
static bool withdraw(struct wb_call *call)
{
    struct wbi_lease_set *set = call->set;
    if (set == NULL) {
        return true;
    }
    set->call = NULL; /* a set that goes at once announces nothing */
    call->set = NULL;
    if (wbi_lease_set_withdraw(set)) {
        return true;
    }
    set->call = call;
    call->set = set;
    return false;
}

/* From here on no message of the peer's finds it, whenever its program is told. */
static void begin_end(struct wb_call *call, int status)
{
    wbi_probe_call_end(call->peer, wbi_call_id(call), status);
    unlist(call);
    atomic_store_explicit(&call->state, WBI_CALL_ENDING, memory_order_relaxed);
    call->status = status;
}

/* Its program is told, unless something is still to be waited for. */
static void finish_end(struct wb_call *call)
{
    if (withdraw(call) && !call->is_read) {
        wbi_call_announce(call);
    }
}

void wbi_call_end(struct wb_call *call, int status, const char *text)
{
    begin_end(call, status);
    if (call->reply != NULL && call->reply->call == call && status != WB_OK) {
        struct wbi_inbound *reply =
            call->reply; /* still being fetched: nobody waits for it any more */
        reply->call = NULL;
        call->reply = NULL;
        if (call->into != NULL) {
            wbi_into_quit(call, reply);
        }
        wbi_inbound_fail(reply, WB_ERR_CANCELLED);
    }
    disown_parcel(call);
    if (status != WB_OK) {
        memcpy(call->where, call->peer->url, sizeof call->where);
        set_text(call, text);
        wbi_note_end(call, status);
    }
    if (status == WB_ERR_TIMED_OUT || status == WB_ERR_CANCELLED) {
        stop_server(call);
    }
    finish_end(call);
}

void wbi_call_set_gone(struct wb_call *call)
{
    uint32_t state = atomic_load_explicit(&call->state, memory_order_relaxed);
    call->set = NULL;
    if (state == WBI_CALL_ENDING && !call->is_read) {
        wbi_call_announce(call);
    } else if (state == WBI_CALL_OPEN) {
        wbi_call_sent(call);
    }
}

static struct wb_call *find_unwanted(const struct wb_peer *peer)
{
    struct wb_call *call = peer->calls;
    while (call != NULL && !atomic_load_explicit(&call->unwanted, memory_order_relaxed)) {
        call = call->next;
    }
    return call;
}

void wbi_calls_cancel(struct wbi_lane *lane)
{
    for (struct wb_peer *peer = lane->peers; peer != NULL; peer = peer->next) {
        struct wb_call *call;
        while ((call = find_unwanted(peer)) != NULL) {
            wbi_call_end(call, WB_ERR_CANCELLED, NULL); /* which may end others */
        }
    }
}

/* ---- the reply ---- */

/* Statuses that a server may end a call with; what else a peer sends is the peer's own business. */
static bool is_servers(int status)
{
    static const int known[] = {WB_ERR_REMOTE,    WB_ERR_UNKNOWN_ACTION, WB_ERR_SIGNATURE,
                                WB_ERR_MALFORMED, WB_ERR_BUDGET,         WB_ERR_REPLY_TOO_LARGE,
                                WB_ERR_TIMED_OUT, WB_ERR_CANCELLED,      WB_ERR_NO_MEMORY,
                                WB_ERR_REVOKED,   WB_ERR_INVALID,        WB_ERR_BUSY,
                                WB_ERR_NOT_SENT};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (status == known[i]) {
            return true;
        }
    }
    return false;
}

static void end_with_error(struct wb_call *call, const struct wbi_header *header,
                           const uint8_t *text, size_t len)
{
    char words[sizeof call->text];
    size_t used = len < sizeof words - 1 ? len : sizeof words - 1;
    memcpy(words, text, used);
    words[used] = '\0';
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)words[i] < ' ' || words[i] == 0x7f) {
            words[i] = ' '; /* a peer's text goes to terminals and logs */
        }
    }
    int status = is_servers(header->status) ? header->status : WB_ERR_REMOTE;
    if (call->error != NULL && status == WB_ERR_REMOTE) {
        call->error->code = header->status == WB_ERR_REMOTE ? header->code : header->status;
        memcpy(call->error->text, words, used + 1);
    }
    wbi_call_end(call, status, words);
}

/* The lease of this call has been released if the peer is honest: the reply's message says so
 * before its result. */
static bool take_result(struct wb_call *call, uint8_t *slot, size_t len, size_t archive_at)
{
    bool small = len - archive_at <= WBI_SMALL_RESULT;
    call->archive = slot + archive_at;
    call->archive_len = len - archive_at;
    if (small) {
        wbi_copy_short(call->small, call->archive, len - archive_at);
        call->archive = call->small;
    } else {
        call->slot = slot;
    }
    begin_end(call, WB_OK); /* it was sent, so it has no parcel, and no other reply */
    finish_end(call);
    return !small;
}

/* The call that waits for a reply with that id; NULL: that is late. */
static inline struct wb_call *find_asker(struct wb_peer *peer, uint64_t id, size_t len)
{
    struct wb_call *call = wbi_call_find(&peer->lane->calls, id);
    if (call != NULL && call->peer == peer && call->sent && call->reply == NULL && !call->one_way) {
        return call;
    }
    wbi_count(&peer->lane->counters.late_replies, 1);
    wbi_note(peer, (struct wbi_event){.kind = WB_EVENT_REPLY_LATE, .call = id, .bytes = len});
    return NULL;
}

bool wbi_call_result(struct wb_peer *peer, uint8_t *slot, size_t len)
{
    struct wb_call *call = find_asker(peer, wbi_message_call(slot), len);
    return call != NULL && take_result(call, slot, len, WBI_REPLY_BYTES);
}

bool wbi_call_reply(struct wb_peer *peer, uint8_t *slot, size_t len,
                    const struct wbi_header *header)
{
    struct wb_call *call = find_asker(peer, header->call_id, len);
    if (call == NULL) {
        if ((header->flags & WBI_FLAG_LEASED) != 0) {
            wbi_control_release(peer, wbi_id_decode(slot + WBI_REPLY_BYTES));
        }
        return false;
    }
    if ((header->flags & (WBI_FLAG_LEASED | WBI_FLAG_FILTERED)) != 0) {
        wbi_inbound_start(peer, slot, len, header, call);
        return true;
    }
    size_t archive_at = WBI_REPLY_BYTES + (size_t)header->release_count * WBI_ID_BYTES;
    if (header->status != WB_OK) {
        end_with_error(call, header, slot + archive_at, len - archive_at);
        return false;
    }
    return take_result(call, slot, len, archive_at);
}

void wbi_call_reply_fetched(struct wb_call *call, struct wbi_inbound *inbound, int status)
{
    inbound->call = NULL;
    call->reply = NULL;
    if (status == WB_OK) {
        call->reply = inbound;
        call->archive = inbound->archive;
        call->archive_len = inbound->archive_len;
    }
    if (status == WB_OK) {
        wbi_call_end(call, WB_OK, NULL);
    } else if (call->peer->dying && status == WB_ERR_PEER_LOST) {
        wbi_call_end(call, wbi_peer_end_of(call), call->peer->reason);
    } else if (status == WB_ERR_REVOKED && !call->lane->caps->revokes_at_once) {
        /* a key that is gone takes the channel along: so does the end of the peer's process */
        wbi_call_end(call, WB_ERR_PEER_LOST, "the peer took its memory away: it has ended");
    } else if (status == WB_ERR_MALFORMED) {
        wbi_call_end(call, status, "the reply's archive is not what its filter makes");
    } else {
        wbi_call_end(call, status, "the reply could not be fetched");
    }
}

/* Apart, so that calls without are quickly forgotten. */
static __attribute__((noinline)) void forget_memory(struct wb_call *call)
{
    if (call->slot != NULL) {
        wbi_slots_return(&call->lane->slots, call->slot);
        call->slot = NULL;
    }
    wbi_inbound_free(call->reply);
    call->reply = NULL;
    if (call->room != NULL) {
        wbi_rma_block_unref(call->room);
        call->room = NULL;
    }
    if (call->into != NULL) {
        wbi_into_close(call);
    }
}

void wbi_call_forget(struct wb_call *call)
{
    if (call->slot != NULL || call->reply != NULL || call->room != NULL || call->into != NULL) {
        forget_memory(call);
    }
}
