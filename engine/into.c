#include "engine/into.h"

#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/inbound.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "serial/find.h"

enum { FEW = 3, PREFIX = 16 }; /* chunks whose records go into any message; before a packed one */

static const uint64_t grace_us = 1000000; /* of READs into the vectors of a call that has ended */

struct place {
    uint8_t *data;
    uint64_t bytes;
    struct wb_rma_block *block; /* a reference; NULL: this vector lands as if there were no into */
    const void *from;           /* reading: where it arrived; NULL: nowhere */
};

struct wbi_into {
    const struct wb_field *fields; /* of the result */
    uint64_t offered;              /* their bytes, for chunks */
    uint64_t packed; /* what of them may come packed, at most, from servers that are like us */
    bool sought;     /* what is found is known */
    uint32_t count, found;    /* vectors passed; of these, in the archive */
    uint32_t next;            /* to be looked at, landing and reading */
    struct wbi_vector_at *at; /* in the archive; as many as places */
    struct place places[];
};

/* ---- begin and end ---- */

/* Whether READs of this engine's channels may write there. */
static bool is_usable(const struct wb_call *call, const wb_rma_vector *vector)
{
    const struct wb_rma_block *block = vector->block;
    uint64_t offset = (uintptr_t)vector->data - (uintptr_t)wbi_rma_block_data(block);
    uint64_t bytes = wbi_rma_block_bytes(block);
    return wbi_rma_allocator_context(wbi_rma_block_allocator(block)) == call->lane->engine &&
           offset <= bytes && vector->capacity <= bytes - offset;
}

/* Takes a reference. most_packed: a longer one comes as a chunk. */
static int add(struct wb_call *call, const wb_rma_vector *vector, uint64_t most_packed)
{
    struct wbi_into *into = call->into;
    struct place *place = &into->places[into->count];
    *place = (struct place){.block = NULL};
    if (vector->block != NULL && !is_usable(call, vector)) {
        return wbi_error(WB_ERR_INVALID,
                         "%s: vector %u of `into` is not memory of this engine's allocators",
                         call->peer->url, into->count);
    }
    if (vector->block != NULL) {
        place->block = wbi_rma_block_ref(vector->block);
        place->data = vector->data;
        place->bytes = vector->capacity;
        /* a READ may take bytes before and behind, where it has to be aligned */
        into->offered += wbi_landing_bytes(vector->capacity) + WBI_RMA_ALIGN;
        into->packed += vector->capacity < most_packed ? vector->capacity : most_packed;
        into->packed += PREFIX;
    }
    into->count++;
    return WB_OK;
}

/* What of a result may have to land beside the vectors. */
static uint64_t besides(const struct wb_call *call, uint64_t reply_bytes)
{
    const struct wbi_into *into = call->into;
    const struct wb_engine_config *config = &call->lane->engine->config;
    uint64_t more = 0, eager = atomic_load_explicit(&call->peer->eager_bytes, memory_order_relaxed);
    if (into->count > FEW) {
        more += 2 * WBI_CHUNK_RECORD_MAX * (uint64_t)into->count;
    }
    if (into->packed > eager / 2) { /* too many small ones for a message in which there is more */
        more += into->packed + eager;
    }
    if (wbi_filter_features(config) != 0) { /* the plain archive, and the filtered one */
        more += reply_bytes + 2 * (uint64_t)config->eager_bytes;
    }
    return more;
}

int wbi_into_open(struct wb_call *call, const struct wb_action *action,
                  const struct wb_call_options *options, uint64_t *reply_bytes)
{
    uint32_t count = options->into_count;
    if (options->into == NULL) {
        return wbi_error(WB_ERR_INVALID, "%s: into_count %u, and no vectors", call->peer->url,
                         count);
    }
    struct wbi_into *into =
        malloc(sizeof *into + count * (sizeof *into->places + sizeof *into->at));
    if (into == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "%s: no memory for %u vectors of `into`",
                         call->peer->url, count);
    }
    *into = (struct wbi_into){.fields = action->out,
                              .at = (struct wbi_vector_at *)(into->places + count)};
    call->into = into;
    int status = WB_OK;
    uint64_t most_packed = call->lane->engine->config.rma_threshold;
    if (count >= WB_GATHER_FROM && most_packed < WB_GATHER_RMA) {
        most_packed = WB_GATHER_RMA;
    }
    for (uint32_t i = 0; i < count && status == WB_OK; i++) {
        status = add(call, &options->into[i], most_packed);
    }
    if (status != WB_OK) {
        wbi_into_close(call);
    } else if ((options->flags & WB_CALL_COPY) == 0) { /* else all comes by the archive */
        uint64_t more = besides(call, *reply_bytes);
        *reply_bytes = more > UINT64_MAX - *reply_bytes ? UINT64_MAX : *reply_bytes + more;
        call->out.header.reply_room = into->offered;
    }
    return status;
}

void wbi_into_close(struct wb_call *call)
{
    struct wbi_into *into = call->into;
    for (uint32_t i = 0; i < into->count; i++) {
        if (into->places[i].block != NULL) {
            wbi_rma_block_unref(into->places[i].block);
        }
    }
    free(into);
    call->into = NULL;
}

/* ---- on the lane ---- */

static int seek(struct wb_call *call, struct wb_reader *archive)
{
    struct wbi_into *into = call->into;
    wbi_config_limit(&call->lane->engine->config, archive);
    into->sought = true;
    return wbi_find_vectors(archive, into->fields, into->count, into->at, &into->found);
}

/* Of the chunk with that number, which are asked for in their order; or NULL. */
static const struct place *find_place(struct wbi_into *into, uint32_t landing)
{
    uint32_t *next = &into->next;
    while (*next < into->found &&
           (into->at[*next].landing == WBI_NO_LANDING || into->at[*next].landing < landing)) {
        ++*next;
    }
    bool found = *next < into->found && into->at[*next].landing == landing;
    return found ? &into->places[*next] : NULL;
}

/* Whether the channel's device can write there. */
static bool is_within_reach(const struct wbi_inbound *in, const struct place *place)
{
    const struct wbi_lane *lane = in->lane;
    struct wbi_mr *mr = wbi_rma_block_mr(place->block, lane->registrar);
    bool known = lane->fabric->knows == NULL || lane->fabric->knows(in->peer->channel, mr);
    return known && (uintptr_t)place->data % lane->caps->read_align == 0;
}

int wbi_into_land(struct wbi_inbound *in, struct wbi_part *part)
{
    struct wbi_into *into = in->call->into;
    int status = WB_OK;
    if (in->stage != WBI_STAGE_CHUNKS) {
        return WB_ERR_REPLY_TOO_LARGE;
    }
    if (!into->sought) {
        struct wb_reader archive;
        wb_reader_start(&archive, in->archive, in->archive_len);
        archive.landings = in->landings;
        archive.landing_count = in->part_count;
        status = seek(in->call, &archive);
    }
    const struct place *place = find_place(into, (uint32_t)(part - in->parts));
    if (status != WB_OK) {
        return status;
    }
    if (place == NULL || place->block == NULL || part->bytes > place->bytes ||
        !is_within_reach(in, place)) {
        return WB_ERR_REPLY_TOO_LARGE;
    }
    part->block = wbi_rma_block_ref(place->block);
    part->into = place->data;
    return WB_OK;
}

void wbi_into_quit(struct wb_call *call, struct wbi_inbound *in)
{
    if (in->stage != WBI_STAGE_CHUNKS) {
        return; /* what is READ now goes into the room */
    }
    if (in->in_flight > 0) {
        call->is_read = true;
        in->leaving = call;
        in->deadline = wbi_now() + grace_us; /* the lane may have looked long ago */
        return;
    }
    for (uint32_t i = 0; i < in->part_count; i++) { /* it may still queue behind others */
        wbi_part_drop(&in->parts[i]);
    }
}

void wbi_into_quiet(struct wb_call *call)
{
    call->is_read = false;
    if (call->set == NULL) { /* else its end waits for that */
        wbi_call_announce(call);
    }
}

/* ---- the result ---- */

int wbi_into_begin_reading(struct wb_call *call)
{
    struct wbi_into *into = call->into;
    int status = WB_OK;
    if (!into->sought) {
        struct wb_reader archive;
        wb_reader_start(&archive, call->archive, call->archive_len);
        status = seek(call, &archive);
    }
    for (uint32_t i = 0; i < into->found; i++) {
        uint32_t landing = into->at[i].landing;
        into->places[i].from =
            landing != WBI_NO_LANDING ? call->reply->landings[landing].data : into->at[i].packed;
    }
    into->next = 0;
    return status == WB_OK ? WB_OK
                           : wbi_error(status, "%s: %s: no memory to look through the result",
                                       call->peer->url, call->action);
}

bool wbi_into_take(struct wb_call *call, const void *data, uint64_t bytes, uint32_t elem_size,
                   wb_rma_vector *out)
{
    struct wbi_into *into = call->into;
    while (into->next < into->found && into->places[into->next].from == NULL) {
        into->next++;
    }
    struct place *place = &into->places[into->next];
    if (into->next == into->found || place->from != data) {
        return false; /* a buffer, or one behind those that were found */
    }
    into->next++;
    if (place->block == NULL || bytes > place->bytes) {
        return false;
    }
    if (data != place->data && bytes > 0) {
        memcpy(place->data, data, bytes);
    }
    uint64_t offset = (uintptr_t)place->data - (uintptr_t)wbi_rma_block_data(place->block);
    *out = wbi_rma_vector_slice(place->block, offset, elem_size, (size_t)(bytes / elem_size));
    return true;
}
