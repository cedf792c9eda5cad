/*
 * Wire version 1: what stands at the head of each eager message and in the handshake, as values;
 * the bytes are in docs/wire-format.md. Encoding cannot fail; decoding checks everything that can
 * be checked without knowing any state.
 *
 * A message:  header · [lease id] · [release ids] · [record of a long archive] · [record of a long
 * list] · [chunk list] · [archive]
 */
#ifndef WBI_ENGINE_WIRE_H
#define WBI_ENGINE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum wbi_kind { WBI_REQUEST = 1, WBI_REPLY = 2, WBI_CONTROL = 3 };

enum wbi_flag {
    WBI_FLAG_LEASED =
        1, /* a lease id follows the header: chunks are offered, and to be released by it */
    WBI_FLAG_LONG_ARCHIVE = 2, /* the archive is not on board: its record is, to be READ */
    WBI_FLAG_LONG_LIST = 4,    /* the chunk list is not on board: its record is, to be READ */
    WBI_FLAG_COPY = 8,         /* REQUEST: the caller wants no chunks, in the reply neither */
    WBI_FLAG_ONE_WAY = 16,     /* REQUEST: it is not answered, whatever becomes of it */
    WBI_FLAG_FILTERED = 32,    /* the archive went through a filter, which the receiver undoes */
    WBI_FLAGS_KNOWN = 63
};

/* Bits of a hello's features. Those that are unknown mean nothing. */
enum wbi_feature {
    WBI_FEATURE_LZ4 = 1,     /* undoes archives that are filtered by lz4 */
    WBI_FEATURE_BUNDLES = 2, /* takes bundles (bundle.h) */
    WBI_FEATURE_RAILS = 4    /* its chunks can be READ over several devices, and READs so */
};

enum {
    WBI_REQUEST_BYTES = 48,
    WBI_REPLY_BYTES = 32,
    WBI_CONTROL_BYTES = 16,
    WBI_HELLO_BYTES = 56,
    WBI_ID_BYTES = 8,
    WBI_EAGER_MIN = 512 /* every peer takes messages of that size; what is sent before the handshake
                           has ended keeps to it */
};

/* The head of any message. Fields that a kind does not have are zero. It begins as a request's does
 * on the wire, so that the head of a request is taken by one copy. */
struct wbi_header {
    uint8_t kind;
    uint8_t flags;
    uint16_t
        credits; /* requests that the receiver of this message may send beyond those it could */
    uint32_t chunk_count; /* records in the chunk list */
    uint64_t call_id;     /* slot index in the low, generation in the high half: the caller's */
    uint64_t action, signature; /* REQUEST */
    uint32_t deadline_us;       /* REQUEST: time left when it was sent, 0 none */
    uint32_t
        release_count; /* ids of leases whose chunks the sender of this message will read no more */
    uint64_t reply_room; /* REQUEST: bytes reserved at the caller for fetched parts of the reply */
    uint32_t cancel_count; /* CONTROL: ids of calls to stop, behind the releases */
    int32_t status, code;  /* REPLY: enum wb_status, and the handler's own code */
};
_Static_assert(offsetof(struct wbi_header, call_id) == 8 &&
                   offsetof(struct wbi_header, action) == 16 &&
                   offsetof(struct wbi_header, deadline_us) == 32 &&
                   offsetof(struct wbi_header, release_count) == 36 &&
                   offsetof(struct wbi_header, reply_room) == 40 &&
                   offsetof(struct wbi_header, cancel_count) == WBI_REQUEST_BYTES,
               "a request's head is taken by one copy");

/* Bytes of the header of a kind; 0 for an unknown kind. */
static inline size_t wbi_header_bytes(uint8_t kind)
{
    switch (kind) {
    case WBI_REQUEST:
        return WBI_REQUEST_BYTES;
    case WBI_REPLY:
        return WBI_REPLY_BYTES;
    case WBI_CONTROL:
        return WBI_CONTROL_BYTES;
    default:
        return 0;
    }
}

static inline uint16_t wbi_get16(const uint8_t *in)
{
    uint16_t v;
    memcpy(&v, in, sizeof v);
    return v;
}
static inline uint32_t wbi_get32(const uint8_t *in)
{
    uint32_t v;
    memcpy(&v, in, sizeof v);
    return v;
}
static inline uint64_t wbi_get64(const uint8_t *in)
{
    uint64_t v;
    memcpy(&v, in, sizeof v);
    return v;
}
static inline void wbi_put16(uint8_t *out, uint16_t v)
{
    memcpy(out, &v, sizeof v);
}
static inline void wbi_put32(uint8_t *out, uint32_t v)
{
    memcpy(out, &v, sizeof v);
}
static inline void wbi_put64(uint8_t *out, uint64_t v)
{
    memcpy(out, &v, sizeof v);
}

/* Writes the header; returns its bytes. Inline: where the kind and most fields are known, little is
 * left of it. */
static inline size_t wbi_header_encode(const struct wbi_header *h, uint8_t *out)
{
    out[0] = h->kind;
    out[1] = h->flags;
    wbi_put16(out + 2, h->credits);
    if (h->kind == WBI_CONTROL) {
        wbi_put32(out + 4, h->release_count);
        wbi_put32(out + 8, h->cancel_count);
        wbi_put32(out + 12, 0);
        return WBI_CONTROL_BYTES;
    }
    wbi_put32(out + 4, h->chunk_count);
    wbi_put64(out + 8, h->call_id);
    if (h->kind == WBI_REPLY) {
        wbi_put32(out + 16, (uint32_t)h->status);
        wbi_put32(out + 20, (uint32_t)h->code);
        wbi_put32(out + 24, h->release_count);
        wbi_put32(out + 28, 0);
        return WBI_REPLY_BYTES;
    }
    wbi_put64(out + 16, h->action);
    wbi_put64(out + 24, h->signature);
    wbi_put32(out + 32, h->deadline_us);
    wbi_put32(out + 36, h->release_count);
    wbi_put64(out + 40, h->reply_room);
    return WBI_REQUEST_BYTES;
}

/* The head of a request, of which nothing has been checked yet. */
static inline void wbi_request_decode(const uint8_t *message, struct wbi_header *h)
{
    memcpy(h, message, WBI_REQUEST_BYTES);
    h->cancel_count = 0;
    h->status = h->code = 0;
}

/* Most messages have nothing on board but their archive, and of such no field but these is not
 * zero: their first 8 bytes, which are kind, flags, credits and the number of chunks, say nearly
 * all. Both ask for a message of the kind's header at least, and find it right in all that
 * wbi_header_decode checks. */
static inline bool wbi_request_is_plain(const uint8_t *message)
{
    const uint64_t any = (uint64_t)UINT16_MAX << 16 | (WBI_FLAG_COPY | WBI_FLAG_ONE_WAY) << 8;
    return (wbi_get64(message) & ~any) == WBI_REQUEST && wbi_get32(message + 36) == 0;
}
static inline bool wbi_reply_is_plain(const uint8_t *message)
{
    const uint64_t any = (uint64_t)UINT16_MAX << 16;
    return (wbi_get64(message) & ~any) == WBI_REPLY &&
           (wbi_get64(message + 16) | wbi_get64(message + 24)) == 0;
}

/* What is at the same place in requests and replies. */
static inline uint16_t wbi_message_credits(const uint8_t *message)
{
    return wbi_get16(message + 2);
}
static inline uint64_t wbi_message_call(const uint8_t *message)
{
    return wbi_get64(message + 8);
}

/* Reads the header of a message of `len` bytes, checks that the lengths it states fit in the
 * message as far as they are on board. Returns WB_OK, or WB_ERR_PROTOCOL with *what set to static
 * words. */
int wbi_header_decode(const uint8_t *message, size_t len, struct wbi_header *header,
                      const char **what);

/* Rewrites the credits of an encoded header. */
static inline void wbi_header_set_credits(uint8_t *message, uint16_t credits)
{
    wbi_put16(message + 2, credits);
}

/* Rewrites the deadline of an encoded request. */
static inline void wbi_header_set_deadline(uint8_t *message, uint32_t deadline_us)
{
    wbi_put32(message + 32, deadline_us);
}

static inline void wbi_id_encode(uint64_t id, uint8_t *out)
{
    wbi_put64(out, id);
}
static inline uint64_t wbi_id_decode(const uint8_t *bytes)
{
    return wbi_get64(bytes);
}

/* What both sides say of themselves when they connect. */
struct wbi_hello {
    uint8_t version_min, version_max;
    int8_t status;        /* in an answer: WB_OK, or why it is a refusal */
    uint32_t eager_bytes; /* largest message it receives */
    uint32_t credits;     /* requests that it may be sent at once */
    uint32_t read_depth;  /* READs that it serves at once */
    uint64_t features;    /* of enum wbi_feature */
    uint64_t engine_id;   /* random, of the engine */
    uint64_t token;       /* random, of the connection; an answer repeats it */
};

void wbi_hello_encode(const struct wbi_hello *hello, uint8_t out[WBI_HELLO_BYTES]);

/* WB_OK; WB_ERR_PROTOCOL (no Waybill, too short); WB_ERR_VERSION (no version in common; *hello is
 * set all the same). */
int wbi_hello_decode(const uint8_t *bytes, size_t len, struct wbi_hello *hello);

#endif
