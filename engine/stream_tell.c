/* What a stream's program is told, and when; and what is left to the next look of its lane. */
#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/stream.h"

void wbi_stream_make_due(struct wb_stream *stream)
{
    struct wbi_streams *streams = &stream->lane->streams;
    if (stream->due || stream->ready == NULL) { /* one that is dropped has none */
        return;
    }
    stream->due = true;
    wbi_stream_use(stream);
    stream->next_due = NULL;
    *streams->due_tail = stream;
    streams->due_tail = &stream->next_due;
    stream->lane->owes = true;
}

bool wbi_stream_is_dropped(struct wb_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool dropped = stream->dropped;
    pthread_mutex_unlock(&stream->lock);
    return dropped;
}

void wbi_streams_tell(struct wbi_lane *lane)
{
    struct wbi_streams *streams = &lane->streams;
    while (streams->due != NULL) {
        struct wb_stream *stream = streams->due;
        streams->due = stream->next_due;
        if (streams->due == NULL) {
            streams->due_tail = &streams->due;
        }
        stream->due = false;
        if (stream->ready != NULL && !wbi_stream_is_dropped(stream)) {
            stream->ready(stream, stream->user);
        }
        wbi_stream_leave(stream);
    }
}

void wbi_stream_make_hungry(struct wb_stream *stream)
{
    if (!atomic_exchange(&stream->hungry, true)) {
        atomic_fetch_add(&stream->lane->streams.hungry, 1);
        wbi_rooms_want_turn(stream->lane);
    }
}

void wbi_stream_post_leave(struct wb_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->left = true;
    wbi_stream_make_hungry(stream); /* under the lock: the lane's look may be the stream's end */
    pthread_mutex_unlock(&stream->lock);
}

static bool take_left(struct wb_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool left = stream->left;
    stream->left = false;
    pthread_mutex_unlock(&stream->lock);
    return left;
}

static void take_ready(struct wb_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    if (stream->posts_ready) {
        stream->ready = stream->dropped ? NULL : stream->posted_ready;
        stream->user = stream->posted_user;
        stream->posts_ready = false;
    }
    pthread_mutex_unlock(&stream->lock);
}

void wbi_streams_retry(struct wbi_lane *lane)
{
    struct wbi_streams *streams = &lane->streams;
    if (!wbi_streams_hunger(streams)) {
        return;
    }
    for (uint32_t i = 0; i < streams->size; i++) {
        struct wb_stream *stream = streams->table[i].stream;
        if (stream != NULL && atomic_exchange(&stream->hungry, false)) {
            atomic_fetch_sub(&streams->hungry, 1);
            take_ready(stream);
            wbi_stream_make_due(stream);
            bool left = take_left(stream);
            wbi_stream_say_again(stream); /* which may be the end of it, if nobody has left */
            if (left) {
                wbi_stream_leave(stream);
            }
        }
    }
    wbi_engine_notify(lane->engine); /* who waits tries again, too */
}

/* One that is not open yet ends with its opening, which has no more time than that (stream_say.c).
 */
static bool is_late(struct wb_stream *stream, uint64_t now)
{
    if (stream->deadline_us == 0) {
        return false;
    }
    if (stream->deadline == 0) {
        stream->deadline = wbi_deadline(now, stream->deadline_us);
    }
    pthread_mutex_lock(&stream->lock);
    bool late = now >= stream->deadline && stream->opened && stream->status == WB_OK;
    pthread_mutex_unlock(&stream->lock);
    return late;
}

void wbi_streams_expire(struct wb_peer *peer, uint64_t now)
{
    const struct wbi_streams *streams = &peer->lane->streams;
    for (uint32_t i = 0; i < streams->size && peer->timed_streams > 0; i++) {
        struct wb_stream *stream = streams->table[i].stream;
        if (stream != NULL && stream->peer == peer && is_late(stream, now)) {
            wbi_stream_use(stream);
            wbi_stream_fail(stream, WB_ERR_TIMED_OUT, 0, "its deadline is over", true);
            wbi_stream_flush(stream);
            wbi_stream_leave(stream);
        }
    }
}

void wb_stream_on_ready(struct wb_stream *stream, wb_stream_ready_fn ready, void *user)
{
    struct wbi_lane *lane = stream->lane;
    if (lane == NULL || wbi_engine_is_inherited(lane->engine)) {
        return;
    }
    wbi_stream_use(stream); /* the next `ready` may drop it as soon as it is posted */
    pthread_mutex_lock(&stream->lock);
    stream->posts_ready = true;
    stream->posted_ready = ready;
    stream->posted_user = user;
    pthread_mutex_unlock(&stream->lock);
    enum wbi_entry_kind entry = wbi_lane_enter_in_turn(lane);
    if (entry == WBI_LANE_BUSY) {
        wbi_stream_make_hungry(stream);
    } else {
        take_ready(stream);
        wbi_stream_make_due(stream);
    }
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    wbi_stream_leave(stream);
}
