/* Where the pieces of a burst's payloads lie in one stretch of memory. */
#ifndef WAYBILL_PERF_PIECES_H
#define WAYBILL_PERF_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/payload.h"

/* Holds the pattern of the burst's stamp + `stamp`. */
struct piece {
    size_t at, bytes;
    uint64_t stamp;
};

enum { PIECES_SHIFT = 64, PIECES_PARTS = 3 };

/* Invariant: call i has piece[i * chunks] and the chunks - 1 behind it, by rising `at`, and all end
 * within `room`. Arguments do not overlap, unless they are the same, and several of one call have a
 * line between them, lest they are moved as one. Replies are parts of one buffer: all begin at 0
 * but the last, which begins at PIECES_SHIFT, so that it differs from the one before, over which it
 * may land. All zero is none. */
struct pieces {
    struct piece *piece;
    size_t calls;
    uint32_t chunks;
    size_t room;
};

/* Bytes of piece j of a burst's arguments: those of its call in as equal parts as may be. */
size_t piece_bytes(const struct calls_wanted *wanted, size_t j);

/* How far piece j begins behind its buffer's first byte: 0, but where the calls' payload is the
 * same and looked at, PIECES_PARTS places in turn, so that what a call has left where the next one
 * lands is not what that carries. Landings mostly come round after powers of two, which that number
 * does not divide. */
size_t piece_shift(const struct calls_wanted *wanted, size_t j);

/* Bytes of the buffer that piece j is in: its own, or what all calls have in common. */
size_t piece_room(const struct calls_wanted *wanted, size_t j);

/* What the stamp of piece j is beyond the burst's. */
uint64_t piece_stamp(const struct calls_wanted *wanted, size_t j);

/* Lays out the arguments, or the replies, of so many calls. Returns WB_OK, or WB_ERR_NO_MEMORY;
 * then *pieces is all zero. */
int pieces_lay_arguments(struct pieces *pieces, const struct calls_wanted *wanted, size_t calls);
int pieces_lay_replies(struct pieces *pieces, const struct calls_wanted *wanted, size_t calls);
void pieces_drop(struct pieces *pieces);

/* The pieces of call i. */
static inline const struct piece *pieces_of(const struct pieces *pieces, size_t i)
{
    return pieces->piece + i * pieces->chunks;
}

/* From the first byte of call i's payload to behind its last; and the most of all calls. */
size_t pieces_span(const struct pieces *pieces, size_t i);
size_t pieces_longest(const struct pieces *pieces);

/* Bytes of all payloads. */
uint64_t pieces_bytes(const struct pieces *pieces);

/* Writes each piece; those that overlap agree. */
void pieces_fill(const struct pieces *pieces, uint8_t *memory, uint64_t stamp);

/* Makes bytes of `landing` wrong, which call i is about to be moved to, as pieces_check has it. */
void pieces_spoil(const struct pieces *pieces, size_t i, uint8_t *landing, uint64_t stamp);

/* Whether `landing`, where call i's first byte is first, holds what pieces_fill has written. */
bool pieces_check(const struct pieces *pieces, size_t i, const uint8_t *landing, uint64_t stamp);

#endif
