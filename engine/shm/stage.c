#include "engine/shm/stage.h"

#include <string.h>

#include "engine/clock.h"
#include "engine/shm/lane.h"

enum {
    PART = 8,           /* a piece of what is alone is such a part of what is left, */
    PART_LEAST = 16384, /* and so many bytes at least, */
    PART_ALIGN = 4096   /* a multiple of so many */
};

/* ---- the owner ---- */

int wbi_shm_stage_wish(struct wbi_shm_server *server, const uint8_t *payload, uint32_t len,
                       const char **why)
{
    uint64_t words[WBI_SHM_REQUEST_BYTES / sizeof(uint64_t)]; /* lease, value, offset, len */
    if (len != sizeof words) {
        *why = "sent a staging request of the wrong length";
        return WB_ERR_PROTOCOL;
    }
    if (server->received - server->served == WBI_SHM_REQUESTS) {
        *why = "sent more staging requests than are allowed";
        return WB_ERR_PROTOCOL;
    }
    memcpy(words, payload, sizeof words);
    if (words[0] >= WBI_SHM_LEASES || words[1] == 0 || words[3] == 0 ||
        words[2] > UINT64_MAX - words[3]) {
        *why = "sent a staging request for a range that cannot be";
        return WB_ERR_PROTOCOL;
    }
    server->wishes[server->received++ % WBI_SHM_REQUESTS] =
        (struct wbi_shm_wish){(uint32_t)words[0], words[1], words[2], words[3]};
    return WB_OK;
}

/* Whether a piece can be published; looks at the reader's counter only if it seems not. */
static bool piece_room(struct wbi_channel *channel)
{
    struct wbi_shm_server *server = &channel->server;
    if (server->pieces - server->consumed < WBI_SHM_PIECES) {
        return true;
    }
    uint64_t consumed = atomic_load(&channel->theirs.head->pieces_consumed.word);
    if (consumed < server->consumed || consumed > server->pieces) {
        wbi_shm_doom(channel, WB_ERR_PROTOCOL, false, "the peer consumed pieces that are none");
        return false;
    }
    server->consumed = consumed;
    return server->pieces - consumed < WBI_SHM_PIECES;
}

static void publish_piece(struct wbi_channel *channel, uint32_t status, uint32_t bytes)
{
    uint64_t number = channel->server.pieces++;
    atomic_store(&channel->mine.head->pieces[number % WBI_SHM_PIECES].word,
                 wbi_shm_piece_word(number, status, bytes));
    wbi_shm_notify(channel);
}

/* Owner and reader copy at the same time, but for the first piece, for which the reader waits, and
 * the last: where a wish is alone, with no other one's pieces to copy meanwhile, they are small. */
static uint32_t piece_bytes(const struct wbi_shm_server *server, const struct wbi_shm_wish *wish)
{
    uint64_t most = WBI_SHM_PIECE_BYTES;
    if (server->received - server->served == 1) {
        uint64_t part = wish->len / PART / PART_ALIGN * PART_ALIGN;
        part = part > PART_LEAST ? part : PART_LEAST;
        most = part < most ? part : most;
    }
    return (uint32_t)(wish->len < most ? wish->len : most);
}

/* Publishes the next piece of the oldest wish; false if the wish is forbidden, which dooms the
 * channel. */
static bool serve_piece(struct wbi_channel *channel, uint64_t *budget)
{
    struct wbi_shm_server *server = &channel->server;
    struct wbi_shm_wish *wish = &server->wishes[server->served % WBI_SHM_REQUESTS];
    const struct wbi_shm_lease *lease = &channel->leases.of[wish->lease];
    if (!lease->offer || lease->value != wish->value) {
        server->served++;
        publish_piece(channel, WBI_SHM_PIECE_REVOKED, 0);
        return true;
    }
    if (!lease->user_memory || wish->offset > lease->len || wish->len > lease->len - wish->offset) {
        wbi_shm_doom(channel, WB_ERR_PROTOCOL, false,
                     "the peer wanted bytes staged that were not offered to it");
        return false;
    }
    uint32_t bytes = piece_bytes(server, wish);
    memcpy(channel->mine.pieces + server->pieces % WBI_SHM_PIECES * WBI_SHM_PIECE_BYTES,
           lease->data + wish->offset, bytes);
    wish->offset += bytes;
    wish->len -= bytes;
    *budget -= bytes < *budget ? bytes : *budget;
    if (wish->len == 0) {
        server->served++;
    }
    publish_piece(channel, WBI_SHM_PIECE_BYTES_HERE, bytes);
    return true;
}

int wbi_shm_stage_serve(struct wbi_channel *channel, uint64_t *budget)
{
    int pieces = 0;
    while (channel->server.served != channel->server.received && *budget > 0 &&
           piece_room(channel) && serve_piece(channel, budget)) {
        pieces++;
    }
    return pieces;
}

/* ---- the reader ---- */

static struct wbi_shm_ask *ask_at(struct wbi_shm_reader *reader, uint32_t number)
{
    return &reader->asks[number % WBI_SHM_REQUESTS];
}

/* The number of the oldest request whose READ has not ended, or reader->asked. */
static uint32_t oldest(struct wbi_shm_reader *reader)
{
    uint32_t number = reader->ended;
    while (number != reader->asked && !ask_at(reader, number)->read) {
        number++;
    }
    return number;
}

int wbi_shm_stage_read(struct wbi_channel *channel, struct wbi_read *read,
                       const struct wbi_shm_key *key)
{
    struct wbi_shm_reader *reader = &channel->reader;
    if (reader->asked - reader->ended == WBI_SHM_REQUESTS) {
        return WB_AGAIN;
    }
    if (read->offset > UINT64_MAX - read->len || read->address > UINTPTR_MAX - read->len) {
        return wbi_error(WB_ERR_PROTOCOL, "the peer offered a chunk beyond the end of memory");
    }
    if (channel->staged_reads == 0) {
        reader->quiet_since = wbi_now();
    }
    *ask_at(reader, reader->asked++) =
        (struct wbi_shm_ask){.read = read, .key = *key, .len = read->len};
    read->progress = 0;
    channel->staged_reads++;
    wbi_shm_stage_begin(channel);
    return WB_OK;
}

static int send_requests(struct wbi_channel *channel)
{
    struct wbi_shm_reader *reader = &channel->reader;
    int sent = 0;
    uint8_t *slot;
    while (reader->sent != reader->asked &&
           wbi_shm_reserve(channel, WBI_SHM_REQUEST_BYTES, false, &slot) == WB_OK) {
        const struct wbi_shm_ask *ask = ask_at(reader, reader->sent++);
        uint64_t words[WBI_SHM_REQUEST_BYTES / sizeof(uint64_t)] = {ask->key.lease, ask->key.value,
                                                                    ask->read->offset, ask->len};
        memcpy(slot, words, sizeof words);
        wbi_shm_ring_publish_fenced(&channel->out, WBI_SHM_STAGE_REQUEST, sizeof words);
        wbi_shm_notify(channel);
        sent++;
    }
    return sent;
}

/* The request at the head has got its last piece. */
static void end_ask(struct wbi_channel *channel, int status)
{
    struct wbi_shm_reader *reader = &channel->reader;
    struct wbi_read *read = ask_at(reader, reader->ended)->read;
    reader->ended++;
    if (read) {
        reader->direct = false;
        channel->staged_reads--;
        read->done(read, status);
    }
}

/* Takes `bytes` of the piece that is there into the request at the head. */
static void take_bytes(struct wbi_channel *channel, struct wbi_shm_ask *ask, uint32_t bytes)
{
    struct wbi_shm_reader *reader = &channel->reader;
    if (ask->read) {
        memcpy((uint8_t *)ask->read->into + ask->pieces_at,
               channel->theirs.pieces + reader->pieces % WBI_SHM_PIECES * WBI_SHM_PIECE_BYTES,
               bytes);
        /* Pieces come again: they go on from where they were, over what was taken meanwhile. */
        reader->direct = false;
        ask->read->progress = ask->pieces_at + bytes;
    }
    ask->pieces_at += bytes;
}

/* Takes one piece. False: there is none, or it is rubbish, which dooms the channel. */
static bool take_piece(struct wbi_channel *channel, uint64_t *budget)
{
    struct wbi_shm_reader *reader = &channel->reader;
    uint64_t word =
        atomic_load(&channel->theirs.head->pieces[reader->pieces % WBI_SHM_PIECES].word);
    if ((uint32_t)(word >> 32) != (uint32_t)(reader->pieces + 1)) {
        return false;
    }
    uint32_t bytes = (uint32_t)word & 0xffffff;
    uint32_t status = (uint32_t)word >> 24;
    struct wbi_shm_ask *ask = ask_at(reader, reader->ended);
    bool revoked = status == WBI_SHM_PIECE_REVOKED && bytes == 0;
    if (!revoked && (status != WBI_SHM_PIECE_BYTES_HERE || bytes == 0 ||
                     bytes > WBI_SHM_PIECE_BYTES || bytes > ask->len - ask->pieces_at)) {
        wbi_shm_doom(channel, WB_ERR_PROTOCOL, false, "the peer staged a piece that nobody wants");
        return false;
    }
    take_bytes(channel, ask, bytes);
    *budget -= bytes < *budget ? bytes : *budget;
    reader->quiet_since = channel->lane->now;
    atomic_store(&channel->mine.head->pieces_consumed.word, ++reader->pieces);
    wbi_shm_notify(channel);
    if (revoked || ask->pieces_at == ask->len) {
        end_ask(channel, revoked ? WB_ERR_REVOKED : WB_OK);
    }
    return true;
}

int wbi_shm_stage_receive(struct wbi_channel *channel, uint64_t *budget)
{
    struct wbi_shm_reader *reader = &channel->reader;
    int done = send_requests(channel);
    while (channel->state == WBI_SHM_OPEN && reader->ended != reader->sent && *budget > 0 &&
           take_piece(channel, budget)) {
        done++;
    }
    if (channel->state == WBI_SHM_OPEN && reader->direct) {
        done += wbi_shm_take_direct(channel, oldest(reader));
    }
    return done;
}

void wbi_shm_stage_detach(struct wbi_channel *channel, uint32_t number, int status)
{
    struct wbi_shm_reader *reader = &channel->reader;
    struct wbi_read *read = ask_at(reader, number)->read;
    ask_at(reader, number)->read = NULL;
    reader->direct = false;
    channel->staged_reads--;
    if (number - reader->ended >= reader->sent - reader->ended) {
        /* The owner was never asked: no piece will come. */
        for (uint32_t at = number; at + 1 != reader->asked; at++) {
            *ask_at(reader, at) = *ask_at(reader, at + 1);
        }
        reader->asked--;
    }
    read->done(read, status);
}

void wbi_shm_stage_check_stall(struct wbi_channel *channel, uint64_t now)
{
    struct wbi_shm_reader *reader = &channel->reader;
    if (channel->can_take && channel->staged_reads > 0 &&
        now > reader->quiet_since + WBI_SHM_STALL_US) {
        reader->direct = true;
    }
}

void wbi_shm_stage_end(struct wbi_channel *channel, int status)
{
    uint32_t number;
    while ((number = oldest(&channel->reader)) != channel->reader.asked) {
        wbi_shm_stage_detach(channel, number, status);
    }
}

/* ---- both ---- */

bool wbi_shm_stage_busy(const struct wbi_channel *channel)
{
    return channel->reader.ended != channel->reader.asked ||
           channel->server.served != channel->server.received;
}

bool wbi_shm_stage_ready(struct wbi_channel *channel)
{
    const struct wbi_shm_reader *reader = &channel->reader;
    const struct wbi_shm_server *server = &channel->server;
    if (reader->sent != reader->asked && !channel->starved) {
        return true;
    }
    if (channel->staged_reads > 0 && channel->can_take) {
        return true; /* it waits a millisecond at most for pieces */
    }
    if (reader->ended != reader->sent) {
        uint64_t word =
            atomic_load(&channel->theirs.head->pieces[reader->pieces % WBI_SHM_PIECES].word);
        if ((uint32_t)(word >> 32) == (uint32_t)(reader->pieces + 1)) {
            return true;
        }
    }
    return server->served != server->received &&
           (server->pieces - server->consumed < WBI_SHM_PIECES ||
            atomic_load(&channel->theirs.head->pieces_consumed.word) != server->consumed);
}
