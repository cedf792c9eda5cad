#include "engine/lease.h"

#include <stdlib.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "mr_cache/buffer.h"

static const uint64_t grace_us =
    1000000; /* how long a peer may take to release what it was told to stop reading */

void wbi_lease_table_close(struct wbi_lease_table *table)
{
    free(table->rows);
    *table = (struct wbi_lease_table){0};
}

static int table_grow(struct wbi_lease_table *table)
{
    uint32_t count = table->count == 0 ? 64 : table->count * 2;
    struct wbi_lease_row *rows = realloc(table->rows, count * sizeof *rows);
    if (rows == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for %u leases", count);
    }
    for (uint32_t i = table->count; i < count; i++) {
        rows[i] = (struct wbi_lease_row){.generation = 1, .next_free = i + 1 < count ? i + 2 : 0};
    }
    table->free = table->count + 1;
    table->rows = rows;
    table->count = count;
    return WB_OK;
}

static int table_enter(struct wbi_lease_table *table, struct wbi_lease_set *set)
{
    if (table->free == 0) {
        int status = table_grow(table);
        if (status != WB_OK) {
            return status;
        }
    }
    uint32_t index = table->free - 1;
    struct wbi_lease_row *row = &table->rows[index];
    table->free = row->next_free;
    row->set = set;
    set->id = (uint64_t)row->generation << 32 | index;
    return WB_OK;
}

static void table_leave(struct wbi_lease_table *table, struct wbi_lease_set *set)
{
    uint32_t index = (uint32_t)set->id;
    struct wbi_lease_row *row = &table->rows[index];
    row->set = NULL;
    row->generation++;
    row->next_free = table->free;
    table->free = index + 1;
    set->id = 0;
}

static struct wbi_lease_set *table_find(struct wbi_lease_table *table, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    return index < table->count && table->rows[index].generation == id >> 32
               ? table->rows[index].set
               : NULL;
}

struct wbi_lease_set *wbi_lease_set_new(struct wbi_lane *lane, uint32_t chunks)
{
    uint32_t capacity = chunks + 2;
    struct wbi_lease_set *set =
        calloc(1, sizeof *set + capacity * (sizeof(struct wbi_offer) + sizeof(struct wb_chunk)));
    if (set != NULL) {
        set->lane = lane;
        set->capacity = capacity;
        set->offers = (struct wbi_offer *)(set + 1);
        set->chunks = (struct wb_chunk *)(set->offers + capacity);
    }
    return set;
}

/* Whether a block is of this engine's allocators: another engine's has no key here. */
static bool is_ours(const struct wbi_lane *lane, const struct wb_rma_block *block)
{
    return wbi_rma_allocator_context(wbi_rma_block_allocator(block)) == lane->engine;
}

/* The block of this engine's allocators in which all of a range lies, or NULL. The program holds
 * what it passes. */
static struct wb_rma_block *find_block(const struct wbi_lane *lane, const void *data, uint64_t len)
{
    struct wb_rma_block *block = wbi_rma_find(data);
    if (block == NULL || !is_ours(lane, block)) {
        return NULL;
    }
    uint64_t offset = (uintptr_t)data - (uintptr_t)wbi_rma_block_data(block);
    uint64_t bytes = wbi_rma_block_bytes(block);
    return offset <= bytes && len <= bytes - offset ? block : NULL;
}

void wbi_lease_set_hold(struct wbi_lease_set *set)
{
    for (; set->held < set->chunk_count; set->held++) {
        struct wb_chunk *chunk = &set->chunks[set->held];
        if (chunk->kind == WB_CHUNK_POINTER && chunk->block == NULL) {
            chunk->block = find_block(set->lane, chunk->data, chunk->len);
        }
        if (chunk->block != NULL) {
            wbi_rma_block_lease(chunk->block);
        }
        if (chunk->owner != NULL) {
            wbi_buffer_owner_ref(chunk->owner);
        }
    }
}

void wbi_lease_set_add_own(struct wbi_lease_set *set, struct wb_rma_block *block, size_t bytes)
{
    set->chunks[set->chunk_count++] = (struct wb_chunk){
        .kind = WB_CHUNK_RMA, .data = wbi_rma_block_data(block), .len = bytes, .block = block};
    wbi_lease_set_hold(set);
    wbi_rma_block_unref(block); /* the lease is the reference from here on */
}

bool wbi_lease_set_may_add_plain(const struct wbi_lease_set *set)
{
    const struct wbi_lane *lane = set->lane;
    return lane->caps->max_pins == 0 || lane->pinned < lane->caps->max_pins;
}

void wbi_lease_set_add_plain(struct wbi_lease_set *set, struct wbi_plain *plain, size_t bytes)
{
    set->chunks[set->chunk_count++] = (struct wb_chunk){
        .kind = WB_CHUNK_RMA, .data = plain->data, .len = bytes, .owner = plain->owner};
    wbi_lease_set_hold(set);
    wbi_plain_give(plain); /* the lease is the reference from here on */
    if (set->admitted) {   /* otherwise it is counted with the others */
        set->strangers++;
        set->pinned++;
        set->lane->pinned++;
    }
}

static int enter(struct wbi_lease_set *set, struct wb_peer *peer)
{
    int status = table_enter(&peer->lane->leases, set);
    if (status == WB_OK) {
        set->peer = peer;
        set->next = peer->sets;
        if (peer->sets != NULL) {
            peer->sets->prev = set;
        }
        peer->sets = set;
    }
    return status;
}

/* What this channel knows a chunk's memory by already: its block's registration; or NULL. */
static struct wbi_mr *find_key(const struct wbi_lease_set *set, const struct wb_chunk *chunk)
{
    const struct wbi_lane *lane = set->peer->lane;
    if (chunk->block == NULL || !is_ours(lane, chunk->block)) {
        return NULL;
    }
    struct wbi_mr *mr = wbi_rma_block_mr(chunk->block, lane->registrar);
    bool knows = lane->fabric->knows == NULL || lane->fabric->knows(set->peer->channel, mr);
    return knows ? mr : NULL;
}

/* Memory that this channel has no key for: the program's own, blocks of allocators that the
 * channel's device does not know, and of other engines' allocators. */
static bool is_stranger(const struct wbi_lease_set *set, const struct wb_chunk *chunk)
{
    return chunk->kind != WB_CHUNK_INDEX && find_key(set, chunk) == NULL;
}

/* Counted when the set is offered first: these are registered for the parcel. */
static void count_strangers(struct wbi_lease_set *set)
{
    for (uint32_t i = 0; i < set->chunk_count; i++) {
        set->strangers += is_stranger(set, &set->chunks[i]);
    }
}

/* Lets go what keeps the memory of an offer registered: it has ended, or was not made. */
static void release_pins(struct wbi_lease_set *set)
{
    for (uint32_t i = 0; i < set->held; i++) {
        struct wbi_offer *offer = &set->offers[i]; /* of what is no user memory: there is none */
        if (offer->pin != NULL) {
            wbi_pin_release(offer->pin);
            offer->pin = NULL;
        }
    }
}

/* Looks for pinned ranges around the set's strangers. Returns how many chunks have none. */
static uint32_t find_pins(struct wbi_lease_set *set, struct wbi_lane *lane)
{
    uint32_t missing = set->strangers, align = lane->caps->read_align;
    for (uint32_t i = 0; i < set->held && missing > 0 && lane->fabric->pinner != NULL; i++) {
        const struct wb_chunk *chunk = &set->chunks[i];
        if (is_stranger(set, chunk)) {
            uint8_t head = wbi_chunk_head(chunk, align), tail = wbi_chunk_tail(chunk, align);
            set->offers[i].pin = wbi_pin_cache_acquire(
                &lane->engine->pins, (const uint8_t *)chunk->data - head, head + chunk->len + tail);
            missing -= set->offers[i].pin != NULL;
        }
    }
    return missing;
}

/* All registrations that the set needs at once: parcels that each hold a part would wait for one
 * another. One that waits for those holds none. */
static int admit(struct wbi_lease_set *set, struct wbi_lane *lane)
{
    if (set->admitted) {
        return WB_OK;
    }
    uint32_t most = lane->caps->max_pins, wanted = find_pins(set, lane);
    if (most != 0 && wanted > most - lane->pinned) {
        release_pins(set);
        return wanted <= most ? WB_AGAIN
                              : wbi_error(WB_ERR_INVALID,
                                          "%s: %u ranges in one parcel that this engine's "
                                          "allocators do not hold; this fabric registers %u at "
                                          "once: pin them, use rma_vectors, or WB_CALL_COPY",
                                          set->peer->url, wanted, most);
    }
    lane->pinned += wanted;
    set->pinned = wanted;
    set->admitted = true;
    return WB_OK;
}

/* Registers on the fly: what the cache has and nobody uses then gives way. */
static int offer_user_memory(struct wb_peer *peer, struct wbi_offer *offer)
{
    struct wbi_lane *lane = peer->lane;
    int status = lane->fabric->offer(peer->channel, offer);
    while (status == WB_ERR_NO_MEMORY && wbi_pin_cache_shed(&lane->engine->pins)) {
        status = lane->fabric->offer(peer->channel, offer);
    }
    wbi_count(&lane->counters.registrations, status == WB_OK && lane->fabric->pinner != NULL);
    return status;
}

/* Whether what the chunk is offered by has saved a registration on the fly. */
static bool is_saved(const struct wbi_lane *lane, const struct wb_chunk *chunk,
                     const struct wbi_offer *offer)
{
    return lane->fabric->pinner != NULL && offer->mr != NULL &&
           (offer->pin != NULL || chunk->kind == WB_CHUNK_POINTER);
}

static int offer_one(struct wbi_lease_set *set, struct wbi_lane *lane, uint32_t i)
{
    const struct wb_chunk *chunk = &set->chunks[i];
    struct wbi_offer *offer = &set->offers[i];
    *offer = (struct wbi_offer){
        .data = chunk->data, .len = chunk->len, .mr = find_key(set, chunk), .pin = offer->pin};
    if (offer->mr != NULL) {
        offer->region_base = wbi_rma_block_region_base(chunk->block);
    } else if (offer->pin != NULL) {
        offer->mr = offer->pin->mrs[lane->registrar];
    }
    int status = offer->mr != NULL ? lane->fabric->offer(set->peer->channel, offer)
                                   : offer_user_memory(set->peer, offer);
    if (status == WB_OK) {
        wbi_count(&lane->counters.leases_open, 1);
        wbi_count(&lane->counters.registrations_avoided, is_saved(lane, chunk, offer));
    }
    return status;
}

/* A set that was not sent gives back what it has been offered of: others may need it. */
static void take_back(struct wbi_lease_set *set, struct wbi_lane *lane)
{
    while (set->offered > 0) {
        uint32_t i = --set->offered;
        if (set->chunks[i].kind != WB_CHUNK_INDEX) {
            lane->fabric->retire(set->peer->channel, &set->offers[i]);
            wbi_count(&lane->counters.leases_open, -(uint64_t)1);
        }
    }
    release_pins(set);
    lane->pinned -= set->pinned;
    set->pinned = 0;
    set->admitted = false;
}

static int offer_up_to(struct wbi_lease_set *set, struct wbi_lane *lane, uint32_t count)
{
    int status = WB_OK;
    while (status == WB_OK && set->offered < count) {
        if (set->chunks[set->offered].kind != WB_CHUNK_INDEX) {
            status = offer_one(set, lane, set->offered);
        }
        set->offered += status == WB_OK;
    }
    return status;
}

int wbi_lease_set_offer(struct wbi_lease_set *set, struct wb_peer *peer, uint32_t count)
{
    struct wbi_lane *lane = peer->lane;
    bool first = set->peer == NULL;
    int status = first ? enter(set, peer) : WB_OK;
    if (first && status == WB_OK) {
        count_strangers(set);
    }
    status = status == WB_OK ? admit(set, lane) : status;
    if (status != WB_OK) {
        return status;
    }
    status = offer_up_to(set, lane, count);
    if (status == WB_ERR_NO_MEMORY && lane->pinned > set->pinned) {
        take_back(set, lane);
        return WB_AGAIN; /* what other sets have registered will come back */
    }
    return status;
}

static void leave(struct wbi_lease_set *set)
{
    struct wb_peer *peer = set->peer;
    if (set->next != NULL) {
        set->next->prev = set->prev;
    }
    if (set->prev != NULL) {
        set->prev->next = set->next;
    } else {
        peer->sets = set->next;
    }
    table_leave(&peer->lane->leases, set);
}

static void count_quarantine(const struct wbi_lease_set *set, bool begins)
{
    for (uint32_t i = 0; i < set->held; i++) {
        const struct wb_chunk *chunk = &set->chunks[i];
        if (chunk->block != NULL && begins) {
            wbi_rma_block_quarantine(chunk->block, chunk->len);
        } else if (chunk->block != NULL) {
            wbi_rma_block_unquarantine(chunk->block, chunk->len);
        }
    }
}

/* What holding took. */
static void let_go(const struct wbi_lease_set *set)
{
    for (uint32_t i = 0; i < set->held; i++) {
        const struct wb_chunk *chunk = &set->chunks[i];
        if (chunk->block != NULL) {
            wbi_rma_block_unlease(chunk->block);
        }
        if (chunk->owner != NULL && wbi_buffer_owner_unref(chunk->owner)) {
            wbi_lane_end_buffer(set->lane, chunk->owner);
        }
    }
}

void wbi_lease_set_drop(struct wbi_lease_set *set)
{
    if (set == NULL) {
        return;
    }
    if (set->peer != NULL) {
        uint32_t open = 0;
        for (uint32_t i = 0; i < set->offered; i++) {
            open += set->chunks[i].kind != WB_CHUNK_INDEX;
        }
        struct wbi_counters *counters = &set->peer->lane->counters;
        set->peer->lane->pinned -= set->pinned;
        wbi_count(&counters->leases_open, -(uint64_t)open);
        wbi_count(&counters->leases_quarantined, set->quarantined_until != 0 ? -(uint64_t)open : 0);
        leave(set);
    }
    release_pins(set);
    if (set->quarantined_until != 0) {
        count_quarantine(set, false);
    }
    let_go(set);
    if (set->call != NULL) {
        wbi_call_set_gone(set->call);
    }
    free(set);
}

void wbi_lease_release(struct wb_peer *peer, uint64_t id)
{
    struct wbi_lane *lane = peer->lane;
    struct wbi_lease_set *set = table_find(&lane->leases, id);
    if (set == NULL || set->peer != peer || !set->sent) {
        return;
    }
    for (uint32_t i = 0; i < set->offered; i++) {
        if (set->chunks[i].kind != WB_CHUNK_INDEX) {
            lane->fabric->retire(peer->channel, &set->offers[i]);
        }
    }
    wbi_count(&lane->counters.releases_received, 1);
    wbi_note(peer, (struct wbi_event){.kind = WB_EVENT_RELEASED, .bytes = id});
    wbi_lease_set_drop(set);
}

bool wbi_lease_set_expired(struct wbi_lease_set *set, uint64_t now)
{
    if (set->lifetime_us == 0 || !set->sent || set->quarantined_until != 0) {
        return false;
    }
    set->expires = set->expires != 0 ? set->expires : now + set->lifetime_us + grace_us;
    return now >= set->expires;
}

/* Makes the offers unreadable; returns how many still stand. One that was never sent needs no
 * revocation: nobody was told to read it. */
static uint32_t end_offers(struct wbi_lease_set *set)
{
    struct wb_peer *peer = set->peer;
    uint32_t standing = 0;
    for (uint32_t i = 0; i < set->offered && peer != NULL && peer->channel != NULL; i++) {
        if (set->chunks[i].kind == WB_CHUNK_INDEX) {
            continue;
        }
        if (!set->sent) {
            peer->lane->fabric->retire(peer->channel, &set->offers[i]);
        } else if (peer->lane->fabric->revoke(peer->channel, &set->offers[i]) != WB_OK) {
            standing++;
        }
    }
    return standing;
}

bool wbi_lease_set_withdraw(struct wbi_lease_set *set)
{
    struct wb_peer *peer = set->peer;
    uint32_t standing = end_offers(set);
    if (set->sent) {
        wbi_note(peer, (struct wbi_event){
                           .kind = WB_EVENT_WITHDRAWN, .bytes = set->id, .chunk = standing});
    }
    if (standing > 0) {
        count_quarantine(set, true);
        wbi_count(&peer->lane->counters.leases_quarantined, standing);
        set->quarantined_until = wbi_now() + grace_us; /* the lane may have looked long ago */
        return false;
    }
    wbi_lease_set_drop(set);
    return true;
}
