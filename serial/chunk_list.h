/*
 * The chunk list on the wire: what encodes a parcel's chunks and checks them on arrival.
 *
 * A record is 24 bytes and its key, padded with zeros to a multiple of 8:
 *   0 u8 kind   1 u8 key_len (at most 32)   2 u8 head   3 u8 tail   4 u32 zero
 *   8 u64 len   16 u64 address   24 key
 * INDEX: address is the offset in the archive; key_len, head and tail are 0.
 * POINTER and RMA: address as the fabric means it with the key. head and tail: bytes to fetch
 * additionally before and after, for fabrics whose READs are aligned (0 elsewhere).
 *
 * A list is empty, or is pairs of an INDEX and an offered chunk, and at most one INDEX more. The
 * INDEX chunks tile the archive; each pair's ends with the mark that its offered chunk leaves.
 * Any thread may call these functions; none allocates or blocks.
 */
#ifndef WBI_SERIAL_CHUNK_LIST_H
#define WBI_SERIAL_CHUNK_LIST_H

#include <stddef.h>
#include <stdint.h>
#include <waybill/serial.h>

enum {
    WBI_KEY_MAX = 32,
    WBI_CHUNK_RECORD_MIN = 24,
    WBI_CHUNK_RECORD_MAX = WBI_CHUNK_RECORD_MIN + WBI_KEY_MAX
};

/* A chunk as it travels. For INDEX only kind, len and address (the offset) mean something. */
struct wbi_chunk_record {
    uint8_t kind, key_len, head, tail;
    uint64_t len;
    uint64_t address;
    uint8_t key[WBI_KEY_MAX]; /* decoded: zeros from key_len on */
};

/* Bytes that a record with a key of `key_len` bytes (at most WBI_KEY_MAX) takes; INDEX has none. */
size_t wbi_chunk_record_size(unsigned key_len);

/* Writes one record at `out` (room for wbi_chunk_record_size); returns the bytes written. */
size_t wbi_chunk_record_encode(const struct wbi_chunk_record *record, uint8_t *out);

/*
 * Reads the record at bytes[*at]; moves *at behind it. Each record has one form in bytes: what
 * decodes encodes to the same. On failure *at and *record are as they were.
 * Errors: WB_ERR_PROTOCOL (too short, unknown kind, key too long, padding or reserved bytes not
 * zero, an index chunk with key, head or tail, an offered chunk without bytes or key, or one whose
 * [address - head, address + len + tail) wraps around).
 */
int wbi_chunk_record_decode(const uint8_t *bytes, size_t len, size_t *at,
                            struct wbi_chunk_record *record);

/*
 * Walks a list of `count` records that takes all of [bytes, bytes + len): checks each, that they
 * alternate as described above, that the index chunks tile an archive of `archive_len` bytes in
 * order, none of them empty, and that the sum of the bytes to fetch does not overflow. An empty
 * list goes with any archive. Calls visit(context, record, archive_offset) for each offered chunk
 * in order, if visit is not NULL; archive_offset is the position after its mark. A list that turns
 * out bad has been visited up to there: to trust all of it before the first visit, walk it twice.
 * Returns WB_OK, the first other status that visit returns, or WB_ERR_PROTOCOL.
 */
int wbi_chunk_list_walk(const uint8_t *bytes, size_t len, uint32_t count, uint64_t archive_len,
                        int (*visit)(void *context, const struct wbi_chunk_record *record,
                                     uint64_t archive_offset),
                        void *context);

#endif
