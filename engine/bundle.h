/*
 * Bundles: parcels that travel in one message, where what they would have cost as messages of their
 * own is saved at both ends (a send, a receive, a completion). What waits for the same post is
 * bundled; nothing waits for that. In memory, and on the wire:
 *
 *   frame · parcel · [zeros] · frame · parcel · [zeros] · … · frame · parcel
 *
 * A frame is the parcel's length, u32, and a zero, u32. It stands at a multiple of 16 bytes, so its
 * parcel begins 8 behind one, while a message that is a parcel begins at a multiple of 64 in its
 * slot: that is how one that is kept is told from a slot (slots.h).
 */
#ifndef WBI_ENGINE_BUNDLE_H
#define WBI_ENGINE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    WBI_BUNDLE_FRAME = 8,  /* bytes before each parcel */
    WBI_BUNDLE_ALIGN = 16, /* of a frame, in its message */
    WBI_BUNDLE_MOST = 16   /* parcels, and at least 2 */
};

/* Where the next frame stands, behind what ends at `end`. */
static inline size_t wbi_bundle_next(size_t end)
{
    return (end + WBI_BUNDLE_ALIGN - 1) & ~(size_t)(WBI_BUNDLE_ALIGN - 1);
}

/* Writes the frame of a parcel of `bytes` bytes. */
static inline void wbi_bundle_put_frame(uint8_t *frame, size_t bytes)
{
    uint64_t v = bytes; /* little-endian, below 2^32 */
    memcpy(frame, &v, sizeof v);
}

/* The length that a frame states. */
static inline uint32_t wbi_bundle_length(const uint8_t *frame)
{
    uint32_t length;
    memcpy(&length, frame, sizeof length);
    return length;
}

/* Whether a message is a bundle: whole frames and parcels, requests and replies alone, no byte
 * besides, 2 to WBI_BUNDLE_MOST of them. What is in the parcels is not looked at. WB_OK and *count;
 * or WB_ERR_PROTOCOL with *what set to static words. */
int wbi_bundle_check(const uint8_t *message, size_t len, uint32_t *count, const char **what);

#endif
