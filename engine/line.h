/*
 * Lines: how a peer that this engine connects to comes to its channels, one after the other. The
 * struct of a peer stays, so that handles and calls do; what was agreed on, credits, leases and ids
 * end with a channel (wbi_peer_bury), and the next begins with none (wbi_line_rest).
 *
 *   IDLE -> CONNECTING -> CONNECTED -> IDLE … -> LOST
 *
 * CONNECTING without a channel waits for its time: a pause is between two attempts.
 */
#ifndef WBI_ENGINE_LINE_H
#define WBI_ENGINE_LINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wb_peer;
struct wb_peer_options;
struct wbi_outgoing;

/* All zero: of one that connected to us, which never comes back. Lane thread, but for epoch and
 * waiters. */
struct wbi_line {
    _Atomic uint32_t epoch; /* which of its channels it is; what began under another may not fit */
    _Atomic uint32_t waiters; /* threads that wait for a channel */
    uint32_t uses, seen;      /* requests so far, both ways; and when it was last looked */
    bool again;               /* a lost channel is followed by another */
    bool closed;              /* by its owner, for good */
    bool stood;               /* the channel was connected */
    bool broke;               /* and was lost when the peer was being drained */
    char *address;            /* behind the scheme; NULL where it connected to us */
    uint64_t idle_us;         /* 0: never closed for that */
    uint64_t pause_us, least_pause_us, most_pause_us;
    uint64_t not_before; /* no attempt before; 0: at once */
    uint64_t stood_since, idle_since;
};

/* Makes peer's line as options say (NULL: one channel, at once). WB_ERR_NO_MEMORY with words. */
int wbi_line_open(struct wb_peer *peer, const char *address, const struct wb_peer_options *options);
void wbi_line_close(struct wb_peer *peer);

/* Lane thread: begins to connect. What fabrics and wbi_peer_place answer, with words: then nothing
 * has begun. */
int wbi_line_dial(struct wb_peer *peer);

/* Lane thread: somebody wants a channel. Where there is none under way, one is begun when its time
 * has come; where that fails the peer does (wbi_peer_fail). */
void wbi_line_want(struct wb_peer *peer);

/* Lane thread: it is being drained. Where it has no channel, none is made any more: calls that wait
 * for one end with WB_ERR_NOT_SENT. */
void wbi_line_give_up(struct wb_peer *peer);

/* Lane thread: both sides have agreed. */
void wbi_line_stands(struct wb_peer *peer);

/* Lane thread: whether a peer whose channel goes, for peer->status, gets another one. */
bool wbi_line_comes_back(const struct wb_peer *peer);

/* Lane thread: whether what hangs on it ends with its channel. What has only waited for one does
 * not, where another attempt follows; nor what has come since it was found to be unused. */
bool wbi_line_is_lost(const struct wb_peer *peer);

/* Lane thread: the channel is buried, and another one may come. */
void wbi_line_rest(struct wb_peer *peer);

/* Lane thread: whether a request may still go to the channel that there is, or will be: it was laid
 * out for that, or fits any; and the peer is not being drained. */
bool wbi_line_takes(const struct wbi_outgoing *out);

/* Lane thread: attempts whose time has come, channels that are not used. */
void wbi_line_expire(struct wb_peer *peer, uint64_t now);

#endif
