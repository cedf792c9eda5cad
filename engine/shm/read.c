#include "engine/shm/read.h"

#include <string.h>

#include "engine/shm/lane.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

#ifdef UNDER_TSAN
/* A revoked chunk may be written while it is read: that is what the lease word is for, and what
 * TSan must not see. */
__attribute__((no_sanitize("thread"))) static void peek(volatile uint8_t *into,
                                                        const volatile uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        into[i] = from[i];
    }
}

void wbi_shm_copy(void *into, const uint8_t *from, size_t len)
{
    uint8_t part[4096];
    for (size_t at = 0; at < len;) {
        size_t bytes = len - at < sizeof part ? len - at : sizeof part;
        peek(part, from + at, bytes);
        memcpy((uint8_t *)into + at, part, bytes);
        at += bytes;
    }
}
#else
void wbi_shm_copy(void *into, const uint8_t *from, size_t len)
{
    memcpy(into, from, len);
}
#endif

static struct wbi_channel *channel_of(const struct wbi_read *read)
{
    return read->private[0];
}

static struct wbi_shm_import *import_of(const struct wbi_read *read)
{
    return read->private[1];
}

static const uint8_t *shelves_of(const struct wbi_read *read)
{
    return read->private[2];
}

static void push(struct wbi_shm_reads *reads, struct wbi_read *read)
{
    read->next = NULL;
    if (reads->last) {
        reads->last->next = read;
    } else {
        reads->first = read;
    }
    reads->last = read;
    reads->count++;
}

static struct wbi_read *pop(struct wbi_shm_reads *reads)
{
    struct wbi_read *read = reads->first;
    if (read) {
        reads->first = read->next;
        if (!reads->first) {
            reads->last = NULL;
        }
        reads->count--;
    }
    return read;
}

/* The READ is in no queue any more. */
static void finish(struct wbi_read *read, int status)
{
    channel_of(read)->mapped_reads--;
    if (import_of(read)) {
        import_of(read)->reads--;
    }
    read->done(read, status);
}

static int begin(struct wbi_channel *channel, struct wbi_read *read, struct wbi_shm_import *import,
                 uint8_t *shelves)
{
    read->progress = 0;
    read->private[0] = channel;
    read->private[1] = import;
    read->private[2] = shelves;
    channel->mapped_reads++;
    if (import) {
        import->reads++;
    }
    push(&channel->lane->reads, read);
    return WB_OK;
}

/* Whether all of the READ lies in the `bytes` that the peer has there. */
static bool lies_within(const struct wbi_read *read, uint64_t bytes)
{
    return read->address <= bytes && read->len <= bytes - read->address;
}

static int read_shelf(struct wbi_channel *channel, struct wbi_read *read)
{
    if (!lies_within(read, WBI_SHM_SHELVES_BYTES)) {
        return wbi_error(WB_ERR_PROTOCOL, "the peer offered a chunk beyond the end of its shelves");
    }
    return begin(channel, read, NULL, channel->theirs.shelves);
}

static int read_slab(struct wbi_channel *channel, struct wbi_read *read, uint32_t id)
{
    struct wbi_shm_import *import = wbi_shm_imports_find(&channel->imports, id);
    if (!import) {
        /* Its announcement was sent before the message that names it: it is in the socket, or there
         * is none. */
        wbi_shm_channel_drain(channel);
        if (channel->doom != WB_OK) {
            return begin(channel, read, NULL, NULL);
        }
        import = wbi_shm_imports_find(&channel->imports, id);
    }
    if (!import) {
        return wbi_error(WB_ERR_PROTOCOL, "the peer offered a chunk of slab %u, which it has not",
                         id);
    }
    if (!lies_within(read, import->bytes)) {
        return wbi_error(WB_ERR_PROTOCOL, "the peer offered a chunk beyond the end of its slab");
    }
    return begin(channel, read, import, NULL);
}

int wbi_shm_read(struct wbi_channel *channel, struct wbi_read *read)
{
    struct wbi_shm_key key;
    if (channel->mapped_reads + channel->staged_reads >= WBI_SHM_READ_DEPTH) {
        return WB_AGAIN;
    }
    if (!wbi_shm_key_decode(read->key, read->key_len, &key) || read->len == 0) {
        return wbi_error(WB_ERR_PROTOCOL, "the peer offered a chunk under a key that is none");
    }
    if (channel->state != WBI_SHM_OPEN || channel->doom != WB_OK) {
        return begin(channel, read, NULL, NULL); /* close() ends it */
    }
    if (key.segment == WBI_SHM_USER_MEMORY) {
        return wbi_shm_stage_read(channel, read, &key);
    }
    return key.segment == WBI_SHM_SHELVED ? read_shelf(channel, read)
                                          : read_slab(channel, read, key.segment);
}

static bool can_move(const struct wbi_read *read)
{
    struct wbi_shm_import *import = import_of(read);
    return channel_of(read)->state == WBI_SHM_OPEN &&
           (shelves_of(read) || (import && wbi_shm_import_state(import) == WBI_SHM_MAPPED));
}

/* What the READ copies from, until leave(); NULL: a slab of this process, which has gone. Shelves
 * stay as long as the channel does. */
static const uint8_t *enter(const struct wbi_read *read)
{
    const struct wbi_shm_import *import = import_of(read);
    if (!import) {
        return shelves_of(read);
    }
    return wbi_shm_mapping_enter(import->mapping) ? import->mapping->base : NULL;
}

static void leave(const struct wbi_read *read)
{
    if (import_of(read)) {
        wbi_shm_mapping_leave(import_of(read)->mapping);
    }
}

/* Copies one slice. Returns WB_AGAIN if the READ goes on, else how it ends. */
static int copy_slice(struct wbi_read *read, uint64_t *budget)
{
    struct wbi_shm_key key;
    wbi_shm_key_decode(read->key, read->key_len, &key);
    _Atomic uint64_t *lease = &channel_of(read)->theirs.head->leases[key.lease];
    uint64_t rest = read->len - read->progress;
    uint64_t bytes = rest < *budget ? rest : *budget;
    const uint8_t *base = wbi_shm_lease_stands(lease, key.value) ? enter(read) : NULL;
    if (!base) {
        return WB_ERR_REVOKED;
    }
    wbi_shm_copy((uint8_t *)read->into + read->progress, base + read->address + read->progress,
                 bytes);
    leave(read);
    if (!wbi_shm_lease_stood(lease, key.value)) {
        return WB_ERR_REVOKED;
    }
    *budget -= bytes;
    read->progress += bytes;
    return read->progress == read->len ? WB_OK : WB_AGAIN;
}

int wbi_shm_reads_move(struct wbi_fabric_lane *lane)
{
    int slices = 0;
    uint64_t budget = WBI_SHM_SLICE;
    struct wbi_read *read;
    unsigned turns = lane->reads.count; /* once round at most: done() may end any of them */
    while (turns-- > 0 && budget > 0 && (read = pop(&lane->reads)) != NULL) {
        int status = WB_AGAIN;
        if (can_move(read)) {
            status = copy_slice(read, &budget);
            slices++;
        }
        if (status == WB_AGAIN) {
            push(&lane->reads, read);
        } else {
            finish(read, status);
        }
    }
    return slices;
}

bool wbi_shm_reads_ready(const struct wbi_fabric_lane *lane)
{
    for (const struct wbi_read *read = lane->reads.first; read; read = read->next) {
        if (can_move(read)) {
            return true;
        }
    }
    return false;
}

void wbi_shm_reads_end(struct wbi_channel *channel, int status)
{
    struct wbi_shm_reads kept = {0};
    struct wbi_shm_reads ended = {0};
    struct wbi_read *read;
    while ((read = pop(&channel->lane->reads)) != NULL) {
        push(channel_of(read) == channel ? &ended : &kept, read);
    }
    channel->lane->reads = kept;
    while ((read = pop(&ended)) != NULL) {
        finish(read, status);
    }
}
