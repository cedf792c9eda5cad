/*
 * Chunks of user memory, which the peer cannot map, and of which no copy lies on a shelf (lease.h):
 * the reader asks for a range, the owner copies it in pieces through its segment, the reader copies
 * them on into the landing.
 *
 *   reader: asked = requests that wait for bytes, in order        owner: requests to serve, in the
 * same order
 *
 * Both queues are rings of WBI_SHM_REQUESTS, bounded by counters: ended <= sent <= asked, served <=
 * received. Pieces are numbered from 0 for the life of the channel; piece n lies in place n %
 * WBI_SHM_PIECES until the reader's pieces_consumed exceeds n.
 */
#ifndef WBI_SHM_STAGE_H
#define WBI_SHM_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/fabric.h"
#include "engine/shm/lease.h"
#include "engine/shm/ring.h"

enum {
    WBI_SHM_REQUESTS = 64,
    WBI_SHM_REQUEST_BYTES = 32,
    WBI_SHM_STALL_US = 1000 /* so long the reader waits for a piece before it helps itself */
};

struct wbi_channel;

/* What the reader keeps of a request. */
struct wbi_shm_ask {
    struct wbi_read *read; /* NULL: ended otherwise, its pieces are dropped */
    struct wbi_shm_key key;
    uint64_t pieces_at; /* bytes that have come in pieces */
    uint64_t len;       /* of the READ */
};

struct wbi_shm_reader {
    struct wbi_shm_ask asks[WBI_SHM_REQUESTS];
    uint32_t ended, sent, asked;
    uint64_t pieces;      /* consumed */
    uint64_t quiet_since; /* when the last piece came, or the first request went */
    bool direct;          /* the oldest READ is being taken by process_vm_readv */
};

/* What the owner keeps of a request. */
struct wbi_shm_wish {
    uint32_t lease;
    uint64_t value;
    uint64_t offset;
    uint64_t len;
};

struct wbi_shm_server {
    struct wbi_shm_wish wishes[WBI_SHM_REQUESTS];
    uint32_t served, received;
    uint64_t pieces;   /* published */
    uint64_t consumed; /* of those, by the reader, as last seen */
};

/* Reader: begins a staged READ. WB_AGAIN: too many requests are unanswered. */
int wbi_shm_stage_read(struct wbi_channel *channel, struct wbi_read *read,
                       const struct wbi_shm_key *key);

/* Reader: sends requests, takes pieces, at most about *budget bytes of them. Returns the number of
 * things done. READs end from inside, so the channel may be closed afterwards. */
int wbi_shm_stage_receive(struct wbi_channel *channel, uint64_t *budget);

/* Reader: helps itself to the oldest READ if no piece has come for too long. `now` as of wbi_now.
 */
void wbi_shm_stage_check_stall(struct wbi_channel *channel, uint64_t now);

/* Reader: ends all READs with `status`; requests that were sent stay, their pieces are dropped. */
void wbi_shm_stage_end(struct wbi_channel *channel, int status);

/* Reader: ends the READ of request `number`, whose pieces, if any come, are dropped. */
void wbi_shm_stage_detach(struct wbi_channel *channel, uint32_t number, int status);

/* ---- take.c: the peer's process is read, where that is allowed ---- */

/* Finds out whether it is: `expected` lies at `address` in the peer. Sets channel->can_take. */
void wbi_shm_take_probe(struct wbi_channel *channel, uint64_t address, uint64_t expected);

/* Takes a slice of the READ of request `number`. Returns the number of things done. */
int wbi_shm_take_direct(struct wbi_channel *channel, uint32_t number);

/* ---- the owner ---- */

/* Owner: takes a request out of the ring. WB_ERR_PROTOCOL with *why (static). */
int wbi_shm_stage_wish(struct wbi_shm_server *server, const uint8_t *payload, uint32_t len,
                       const char **why);

/* Owner: copies pieces while there is room, at most about *budget bytes. Returns the number of
 * pieces. */
int wbi_shm_stage_serve(struct wbi_channel *channel, uint64_t *budget);

/* Whether this side has staged work under way, and whether it can move on by itself now. */
bool wbi_shm_stage_busy(const struct wbi_channel *channel);
bool wbi_shm_stage_ready(struct wbi_channel *channel);

#endif
