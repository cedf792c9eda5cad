#include "perf/pieces.h"

#include <stdlib.h>
#include <waybill/status.h>

enum { LINE = 64 };

size_t piece_bytes(const struct calls_wanted *wanted, size_t j)
{
    size_t bytes = argument_of(wanted, j / wanted->chunks);
    return bytes / wanted->chunks + (j % wanted->chunks < bytes % wanted->chunks);
}

size_t piece_shift(const struct calls_wanted *wanted, size_t j)
{
    return wanted->same && wanted->verify ? j / wanted->chunks % PIECES_PARTS * PIECES_SHIFT : 0;
}

size_t piece_room(const struct calls_wanted *wanted, size_t j)
{
    if (!wanted->same) {
        return piece_bytes(wanted, j);
    }
    size_t bytes = wanted->trace != NULL ? wanted->trace->largest.argument : piece_bytes(wanted, j);
    return bytes + (wanted->verify ? (PIECES_PARTS - 1) * PIECES_SHIFT : 0);
}

uint64_t piece_stamp(const struct calls_wanted *wanted, size_t j)
{
    size_t buffer = wanted->same ? j % wanted->chunks : j;
    return buffer * PAYLOAD_STRIDE + piece_shift(wanted, j) / sizeof(uint64_t);
}

/* How far it is to the next one. */
static size_t pitch(uint32_t chunks, size_t bytes)
{
    return chunks == 1 ? bytes : ((bytes + LINE - 1) & ~(size_t)(LINE - 1)) + LINE;
}

static int make(struct pieces *pieces, size_t calls, uint32_t chunks)
{
    *pieces = (struct pieces){.calls = calls, .chunks = chunks};
    pieces->piece = calloc(calls * chunks, sizeof *pieces->piece);
    if (pieces->piece == NULL) {
        *pieces = (struct pieces){0};
        return WB_ERR_NO_MEMORY;
    }
    return WB_OK;
}

/* Lays out piece j, the c-th of its call. */
static void lay_argument(struct pieces *pieces, const struct calls_wanted *wanted, size_t j,
                         uint32_t c)
{
    bool first = !wanted->same || j == c; /* in its buffer */
    size_t buffer = first ? pieces->room : pieces->piece[c].at;
    pieces->piece[j] = (struct piece){.at = buffer + piece_shift(wanted, j),
                                      .bytes = piece_bytes(wanted, j),
                                      .stamp = piece_stamp(wanted, j)};
    pieces->room += first ? pitch(wanted->chunks, piece_room(wanted, j)) : 0;
}

int pieces_lay_arguments(struct pieces *pieces, const struct calls_wanted *wanted, size_t calls)
{
    int status = make(pieces, calls, wanted->chunks);
    for (size_t i = 0; status == WB_OK && i < calls; i++) {
        for (uint32_t c = 0; c < wanted->chunks; c++) {
            lay_argument(pieces, wanted, i * wanted->chunks + c, c);
        }
    }
    return status;
}

int pieces_lay_replies(struct pieces *pieces, const struct calls_wanted *wanted, size_t calls)
{
    int status = make(pieces, calls, 1);
    for (size_t i = 0; status == WB_OK && i < calls; i++) {
        size_t bytes = reply_of(wanted, i);
        size_t at = i + 1 < calls ? 0 : PIECES_SHIFT;
        pieces->piece[i] = (struct piece){.at = at, .bytes = bytes, .stamp = at / sizeof(uint64_t)};
        pieces->room = at + bytes > pieces->room ? at + bytes : pieces->room;
    }
    return status;
}

void pieces_drop(struct pieces *pieces)
{
    free(pieces->piece);
    *pieces = (struct pieces){0};
}

size_t pieces_span(const struct pieces *pieces, size_t i)
{
    const struct piece *first = pieces_of(pieces, i), *last = first + pieces->chunks - 1;
    return last->at + last->bytes - first->at;
}

size_t pieces_longest(const struct pieces *pieces)
{
    size_t longest = 0;
    for (size_t i = 0; i < pieces->calls; i++) {
        size_t span = pieces_span(pieces, i);
        longest = span > longest ? span : longest;
    }
    return longest;
}

uint64_t pieces_bytes(const struct pieces *pieces)
{
    uint64_t bytes = 0;
    for (size_t j = 0; j < pieces->calls * pieces->chunks; j++) {
        bytes += pieces->piece[j].bytes;
    }
    return bytes;
}

void pieces_fill(const struct pieces *pieces, uint8_t *memory, uint64_t stamp)
{
    for (size_t j = 0; j < pieces->calls * pieces->chunks; j++) {
        const struct piece *piece = &pieces->piece[j];
        pattern_fill(memory + piece->at, piece->bytes, stamp + piece->stamp);
    }
}

void pieces_spoil(const struct pieces *pieces, size_t i, uint8_t *landing, uint64_t stamp)
{
    size_t base = pieces_of(pieces, i)->at;
    for (size_t j = i * pieces->chunks; j < (i + 1) * pieces->chunks; j++) {
        const struct piece *piece = &pieces->piece[j];
        pattern_spoil(landing + (piece->at - base), piece->bytes, stamp + piece->stamp);
    }
}

bool pieces_check(const struct pieces *pieces, size_t i, const uint8_t *landing, uint64_t stamp)
{
    size_t base = pieces_of(pieces, i)->at;
    for (size_t j = i * pieces->chunks; j < (i + 1) * pieces->chunks; j++) {
        const struct piece *piece = &pieces->piece[j];
        const uint8_t *at = landing + (piece->at - base);
        if (pattern_check(at, piece->bytes, stamp + piece->stamp) != piece->bytes) {
            return false;
        }
    }
    return true;
}
