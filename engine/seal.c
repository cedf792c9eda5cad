/* The last step before a parcel goes: its chunks are offered, and their records and the header are
 * written. */
#include <string.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/parcel.h"
#include "engine/peer.h"
#include "serial/chunk_list.h"

static size_t encode_record(const struct wbi_outgoing *out, uint32_t i, uint8_t *at)
{
    const struct wbi_lease_set *set = out->set;
    uint32_t align = out->peer->lane->caps->read_align;
    const struct wb_chunk *chunk = &set->chunks[i];
    struct wbi_chunk_record record = {
        .kind = (uint8_t)chunk->kind, .len = chunk->len, .address = chunk->offset};
    if (chunk->kind != WB_CHUNK_INDEX) {
        const struct wbi_offer *offer = &set->offers[i];
        record.address = offer->address;
        record.head = wbi_chunk_head(chunk, align);
        record.tail = wbi_chunk_tail(chunk, align);
        uint32_t planned = out->plan.key_bytes; /* maybe before it was known what the peer takes */
        record.key_len = (uint8_t)(offer->key_len < planned ? offer->key_len : planned);
        memcpy(record.key, offer->key, record.key_len);
    }
    return wbi_chunk_record_encode(&record, at);
}

static void encode_list(struct wbi_outgoing *out, uint8_t *at)
{
    for (uint32_t i = 0; i < out->plan.chunk_count; i++) {
        at += encode_record(out, i, at);
    }
}

/* Room for the list, as the set's last chunk. A reply gets plain memory where the pool has none:
 * all of it may be in results whose replies wait for that. */
static int add_long_list(struct wbi_outgoing *out)
{
    size_t bytes = out->plan.list_bytes;
    struct wb_rma_block *block;
    int status = wbi_rma_alloc(out->peer->lane->engine->allocator, bytes, false, &block);
    if (status == WB_OK) {
        wbi_lease_set_add_own(out->set, block, bytes);
        return WB_OK;
    }
    if (status == WB_AGAIN && out->header.kind == WBI_REPLY) {
        struct wbi_plain plain = {0};
        if (!wbi_lease_set_may_add_plain(out->set)) {
            return WB_AGAIN; /* what others have registered will come back */
        }
        status = wbi_plain_get(bytes, &plain);
        if (status == WB_OK) {
            wbi_lease_set_add_plain(out->set, &plain, bytes);
        }
        return status;
    }
    return wbi_error(status, "%s: no %zu bytes of the pool for a list of %u chunks: %s",
                     out->peer->url, bytes, out->plan.chunk_count, wb_status_text(status));
}

/* A long list is written when all of its chunks have keys, and then offered like them: the fabric
 * may copy what it is offered. */
static int seal_long_list(struct wbi_outgoing *out, uint32_t list_chunk)
{
    struct wbi_lease_set *set = out->set;
    int status = set->chunk_count == list_chunk ? add_long_list(out) : WB_OK;
    if (status == WB_OK) {
        encode_list(out, (uint8_t *)(uintptr_t)set->chunks[list_chunk].data);
        status = wbi_lease_set_offer(set, out->peer, list_chunk + 1);
    }
    if (status == WB_OK) {
        encode_record(out, list_chunk, out->message + out->plan.list_record_at);
    }
    return status;
}

static int seal_chunks(struct wbi_outgoing *out)
{
    uint32_t list_chunk = out->plan.chunk_count + out->plan.long_archive;
    int status = wbi_lease_set_offer(out->set, out->peer, list_chunk);
    if (status == WB_OK && out->plan.long_list) {
        status = seal_long_list(out, list_chunk);
    } else if (status == WB_OK) {
        encode_list(out, out->message + out->plan.list_at);
    }
    if (status == WB_OK && out->plan.long_archive) {
        encode_record(out, out->plan.chunk_count, out->message + out->plan.archive_record_at);
    }
    if (status == WB_OK) {
        wbi_id_encode(out->set->id, out->message + out->plan.lease_at);
    }
    return status;
}

int wbi_outgoing_seal(struct wbi_outgoing *out)
{
    int status = out->set != NULL ? seal_chunks(out) : WB_OK;
    if (status != WB_OK) {
        return status;
    }
    const struct wbi_plan *plan = &out->plan;
    struct wbi_header *header = &out->header;
    header->flags =
        (uint8_t)((header->flags & (WBI_FLAG_COPY | WBI_FLAG_ONE_WAY | WBI_FLAG_FILTERED)) |
                  (plan->leased ? WBI_FLAG_LEASED : 0) |
                  (plan->long_archive ? WBI_FLAG_LONG_ARCHIVE : 0) |
                  (plan->long_list ? WBI_FLAG_LONG_LIST : 0));
    header->chunk_count = plan->chunk_count;
    header->release_count = plan->releases;
    if (plan->releases > 0) {
        wbi_control_board(out->peer, out->message + plan->releases_at, plan->releases);
    }
    header->credits = 0;
    wbi_header_encode(header, out->message);
    return WB_OK;
}
