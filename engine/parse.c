/* What a message says of its parts: where they lie, and how much must be fetched. */
#include "engine/admission.h"
#include "engine/inbound.h"
#include "engine/lane.h"

/* Bytes that are fetched for a chunk: a record's do not wrap. */
static uint64_t fetched_bytes(const struct wbi_lane *lane, const struct wbi_chunk_record *record)
{
    return lane->caps->read_align > 1 ? record->len + record->head + record->tail : record->len;
}

int wbi_part_set_range(const struct wbi_lane *lane, struct wbi_part *part)
{
    const struct wbi_chunk_record *record = &part->record;
    uint64_t mask = lane->caps->read_align - 1;
    part->from = record->address - (mask != 0 ? record->head : 0);
    part->bytes = fetched_bytes(lane, record);
    return ((part->from | part->bytes) & mask) == 0 ? WB_OK : WB_ERR_PROTOCOL;
}

static int parse_long(struct wbi_inbound *in, uint8_t flag, struct wbi_part *part, size_t *at)
{
    if ((in->header.flags & flag) == 0) {
        return WB_OK;
    }
    int status = wbi_chunk_record_decode(in->slot, in->len, at, &part->record);
    return status != WB_OK || part->record.kind != WB_CHUNK_RMA
               ? WB_ERR_PROTOCOL
               : wbi_part_set_range(in->lane, part);
}

/* Moves *at over the list, and adds up what it will have fetched. */
static int skip_list(struct wbi_inbound *in, size_t *at)
{
    struct wbi_chunk_record record;
    int status = WB_OK;
    for (uint32_t i = 0; i < in->header.chunk_count && status == WB_OK; i++) {
        status = wbi_chunk_record_decode(in->slot, in->len, at, &record);
        if (status == WB_OK && record.kind != WB_CHUNK_INDEX) {
            wbi_load_add(&in->listed, in->lane, fetched_bytes(in->lane, &record));
        }
    }
    return status;
}

/* A long list of `count` records has a length that is possible. */
static bool list_fits(uint64_t bytes, uint32_t count)
{
    return bytes >= (uint64_t)count * WBI_CHUNK_RECORD_MIN &&
           bytes <= (uint64_t)count * WBI_CHUNK_RECORD_MAX;
}

int wbi_inbound_parse(struct wbi_inbound *in)
{
    const struct wbi_header *header = &in->header;
    size_t at = wbi_header_bytes(header->kind);
    if ((header->flags & WBI_FLAG_LEASED) != 0) {
        in->lease_id = wbi_id_decode(in->slot + at);
        at += WBI_ID_BYTES;
    }
    at += (size_t)header->release_count * WBI_ID_BYTES;
    int status = header->chunk_count > WBI_MAX_CHUNKS ? WB_ERR_PROTOCOL : WB_OK;
    status =
        status == WB_OK ? parse_long(in, WBI_FLAG_LONG_ARCHIVE, &in->archive_part, &at) : status;
    status = status == WB_OK ? parse_long(in, WBI_FLAG_LONG_LIST, &in->list_part, &at) : status;
    in->archive_len = in->archive_part.record.len;
    if (status == WB_OK && (header->flags & WBI_FLAG_LONG_LIST) != 0) {
        in->list_len = in->list_part.record.len;
        status = list_fits(in->list_len, header->chunk_count) ? WB_OK : WB_ERR_PROTOCOL;
    } else if (status == WB_OK) {
        size_t list_at = at;
        status = skip_list(in, &at);
        in->list = in->slot + list_at;
        in->list_len = at - list_at;
    }
    if (status == WB_OK && (header->flags & WBI_FLAG_LONG_ARCHIVE) == 0) {
        in->archive = in->slot + at;
        in->archive_len = in->len - at;
    } else if (status == WB_OK && at != in->len) {
        status = WB_ERR_PROTOCOL; /* bytes behind the last part */
    }
    return status;
}
