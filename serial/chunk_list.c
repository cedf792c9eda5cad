#include "serial/chunk_list.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum { RESERVED_AT = 4, LEN_AT = 8, ADDRESS_AT = 16, KEY_AT = WBI_CHUNK_RECORD_MIN, PADDING = 8 };

size_t wbi_chunk_record_size(unsigned key_len)
{
    assert(key_len <= WBI_KEY_MAX);
    return KEY_AT + (key_len + PADDING - 1) / PADDING * PADDING;
}

size_t wbi_chunk_record_encode(const struct wbi_chunk_record *record, uint8_t *out)
{
    bool offered = record->kind != WB_CHUNK_INDEX;
    uint8_t key_len = offered ? record->key_len : 0;
    size_t size = wbi_chunk_record_size(key_len);
    out[0] = record->kind;
    out[1] = key_len;
    out[2] = offered ? record->head : 0;
    out[3] = offered ? record->tail : 0;
    memset(out + RESERVED_AT, 0, LEN_AT - RESERVED_AT);
    memcpy(out + LEN_AT, &record->len, sizeof record->len);
    memcpy(out + ADDRESS_AT, &record->address, sizeof record->address);
    memcpy(out + KEY_AT, record->key, key_len);
    memset(out + KEY_AT + key_len, 0, size - KEY_AT - key_len);
    return size;
}

/* Whether the bytes that no field has are zeros: those in front of `len`, and behind the key. */
static bool is_padded(const uint8_t *in, size_t key_len, size_t size)
{
    uint32_t reserved;
    memcpy(&reserved, in + RESERVED_AT, sizeof reserved);
    for (size_t at = KEY_AT + key_len; at < size; at++) {
        reserved |= in[at];
    }
    return reserved == 0;
}

/* Whether the fields of a record whose bytes are in order make sense together. */
static bool is_sound(const struct wbi_chunk_record *record)
{
    if (record->kind == WB_CHUNK_INDEX) {
        return record->key_len == 0 && record->head == 0 && record->tail == 0;
    }
    if (record->kind != WB_CHUNK_POINTER && record->kind != WB_CHUNK_RMA) {
        return false;
    }
    /* What is fetched is [address - head, address + len + tail), which must not wrap. */
    return record->key_len > 0 && record->len > 0 && record->address >= record->head &&
           record->len <= UINT64_MAX - record->tail &&
           record->address <= UINT64_MAX - record->tail - record->len;
}

int wbi_chunk_record_decode(const uint8_t *bytes, size_t len, size_t *at,
                            struct wbi_chunk_record *record)
{
    if (*at > len || len - *at < WBI_CHUNK_RECORD_MIN) {
        return WB_ERR_PROTOCOL;
    }
    const uint8_t *in = bytes + *at;
    struct wbi_chunk_record found = {.kind = in[0], .key_len = in[1], .head = in[2], .tail = in[3]};
    if (found.key_len > WBI_KEY_MAX) {
        return WB_ERR_PROTOCOL;
    }
    size_t size = wbi_chunk_record_size(found.key_len);
    if (len - *at < size || !is_padded(in, found.key_len, size)) {
        return WB_ERR_PROTOCOL;
    }
    memcpy(&found.len, in + LEN_AT, sizeof found.len);
    memcpy(&found.address, in + ADDRESS_AT, sizeof found.address);
    for (size_t key = 0; key < size - KEY_AT; key += PADDING) { /* with its padding, zeros */
        memcpy(found.key + key, in + KEY_AT + key, PADDING);
    }
    if (!is_sound(&found)) {
        return WB_ERR_PROTOCOL;
    }
    *record = found;
    *at += size;
    return WB_OK;
}

/* Where a walk is. Invariant: the index chunks so far tile [0, indexed). */
struct walk {
    uint64_t indexed;
    uint64_t fetched; /* bytes of the offered chunks so far, heads and tails included */
    bool after_index; /* the record before is an index chunk */
};

/* Checks the record against those before it. */
static bool step(struct walk *walk, const struct wbi_chunk_record *record, uint64_t archive_len)
{
    if (record->kind == WB_CHUNK_INDEX) {
        if (walk->after_index || record->address != walk->indexed || record->len == 0 ||
            record->len > archive_len - walk->indexed) {
            return false;
        }
        walk->indexed += record->len;
        walk->after_index = true;
        return true;
    }
    uint64_t bytes = record->head + record->len + record->tail; /* a sound record's do not wrap */
    if (!walk->after_index || bytes > UINT64_MAX - walk->fetched) {
        return false;
    }
    walk->fetched += bytes;
    walk->after_index = false;
    return true;
}

int wbi_chunk_list_walk(const uint8_t *bytes, size_t len, uint32_t count, uint64_t archive_len,
                        int (*visit)(void *context, const struct wbi_chunk_record *record,
                                     uint64_t archive_offset),
                        void *context)
{
    struct walk walk = {0};
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct wbi_chunk_record record;
        int status = wbi_chunk_record_decode(bytes, len, &at, &record);
        if (status != WB_OK) {
            return status;
        }
        if (!step(&walk, &record, archive_len)) {
            return WB_ERR_PROTOCOL;
        }
        if (record.kind != WB_CHUNK_INDEX && visit != NULL) {
            status = visit(context, &record, walk.indexed);
            if (status != WB_OK) {
                return status;
            }
        }
    }
    /* Without chunks there is nothing to list; a lone index chunk lists nothing. */
    bool complete = count == 0 || (count > 1 && walk.indexed == archive_len);
    return at == len && complete ? WB_OK : WB_ERR_PROTOCOL;
}
