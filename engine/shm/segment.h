/*
 * What lies in shared memory, by version WBI_SHM_VERSION of this fabric.
 *
 *   channel segment, one a side of a channel; its owner writes, its peer maps it read-only:
 *
 *   | head      | message ring | staging pieces | shelves |
 *   0           ring_at        ring_at + ring_bytes
 *
 *   head: attention, consumed, starved, pieces, leases
 *
 *   lane page, one a lane; every peer of the lane writes, so nothing in it is believed: doorbells
 * only.
 *
 * Every word here that both sides touch is atomic; what a word publishes is copied to private
 * memory before it is checked.
 */
#ifndef WBI_SHM_SEGMENT_H
#define WBI_SHM_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/shm/mapping.h"

enum {
    WBI_SHM_VERSION = 3,
    WBI_SHM_LINE = 64,
    WBI_SHM_LEASES = 1024, /* chunks offered at once on a channel */
    WBI_SHM_PIECES = 8,    /* staged pieces in flight */
    WBI_SHM_PIECE_BYTES = 65536,
    WBI_SHM_SHELVES = 64, /* small chunks of user memory that lie copied at once */
    WBI_SHM_SHELF_BYTES = 16384,
    WBI_SHM_SHELVES_BYTES = WBI_SHM_SHELVES * WBI_SHM_SHELF_BYTES,
    WBI_SHM_RING_MIN = 256 * 1024,
    WBI_SHM_RING_MAX = 4 * 1024 * 1024,
    WBI_SHM_MAX_CHANNELS = 1024, /* a lane; a doorbell bit each */
    WBI_SHM_LANE_PAGE = 4096,
    WBI_SHM_SLICE = 256 * 1024 /* bytes that one turn copies */
};

/* Whether the segment's owner looks at the channel by itself, or wants its doorbell rung. One that
 * has promised to stays awake for a while after it has said something else: the peer may load this
 * word before its own message is to be seen. */
enum wbi_shm_attention { WBI_SHM_COLD = 0, WBI_SHM_HOT = 1, WBI_SHM_PROMISED = 2 };

enum wbi_shm_piece_status { WBI_SHM_PIECE_BYTES_HERE = 0, WBI_SHM_PIECE_REVOKED = 1 };

/* A word that changes often has a line of its own. */
struct wbi_shm_word32 {
    _Alignas(WBI_SHM_LINE) _Atomic uint32_t word;
};

struct wbi_shm_word64 {
    _Alignas(WBI_SHM_LINE) _Atomic uint64_t word;
};

struct wbi_shm_head {
    uint64_t probe; /* a secret that shows whether the peer can read this process */
    struct wbi_shm_word32 attention; /* of wbi_shm_attention */
    struct wbi_shm_word64 consumed;  /* bytes of the peer's ring that are free again; only grows */
    struct wbi_shm_word32 starved;   /* 1: the owner waits for room in its own ring */
    struct wbi_shm_word64 pieces_consumed; /* pieces of the peer that are free again; only grows */
    struct wbi_shm_word64
        pieces[WBI_SHM_PIECES]; /* wbi_shm_piece_word of the piece in each place */
    _Alignas(WBI_SHM_LINE) _Atomic uint64_t leases[WBI_SHM_LEASES]; /* 0: none */
};

struct wbi_shm_lane_page {
    _Atomic uint64_t doorbells[WBI_SHM_MAX_CHANNELS / 64];
    struct wbi_shm_word32 armed; /* 1: the lane sleeps, or is about to; who sets it to 0 wakes it */
};

_Static_assert(sizeof(struct wbi_shm_head) == (5 + WBI_SHM_PIECES) * 64 + WBI_SHM_LEASES * 8,
               "the layout is version 3's");
_Static_assert(sizeof(struct wbi_shm_lane_page) <= WBI_SHM_LANE_PAGE, "the lane page is one page");

/* A mapped channel segment, ours or the peer's. */
struct wbi_shm_segment {
    struct wbi_shm_mapping *mapping;
    struct wbi_shm_head *head;
    uint8_t *ring;
    uint32_t ring_bytes;
    uint8_t *pieces;
    uint8_t *shelves;
};

/* Piece number n (from 0) is published by its word: number + 1 (32 bits), status (8), bytes (24).
 */
static inline uint64_t wbi_shm_piece_word(uint64_t number, uint32_t status, uint32_t bytes)
{
    return (uint64_t)(uint32_t)(number + 1) << 32 | (uint64_t)status << 24 | bytes;
}

/* The ring of a lane whose largest message is eager_bytes. */
uint32_t wbi_shm_ring_bytes(uint32_t eager_bytes);

size_t wbi_shm_segment_bytes(uint32_t ring_bytes);

/* Creates our side's segment, the beginnings of its head and ring faulted in. The caller owns the
 * segment and *fd. WB_ERR_NO_MEMORY, WB_ERR_SYSTEM. */
int wbi_shm_segment_create(uint32_t ring_bytes, struct wbi_shm_segment *segment, int *fd);

/* Maps a peer's segment after checking file and size. Borrows fd. *why (static) is set with
 * WB_ERR_PROTOCOL. */
int wbi_shm_segment_open(int fd, uint32_t ring_bytes, struct wbi_shm_segment *segment,
                         const char **why);

/* Gives up the mapping; accepts a zeroed segment. */
void wbi_shm_segment_close(struct wbi_shm_segment *segment);

#endif
