#include "mr_cache/pin_cache.h"

#include <sched.h>
#include <stdlib.h>
#include <waybill/status.h>

#include "mr_cache/pin_room.h"

enum {
    MOST_NESTED = 8, /* ranges around a chunk that are looked at, from the inside */
    SPINS = 100      /* a searcher is gone within some hundred instructions, if it has a CPU */
};

/* ---- ranges ---- */

static uintptr_t base_of(const struct wbi_pin_source *source)
{
    return (uintptr_t)source->address;
}

static uintptr_t end_of(const struct wbi_pin_source *source)
{
    return base_of(source) + source->bytes; /* all of the address space ends at UINTPTR_MAX */
}

static bool is_all(const struct wbi_pin_source *source)
{
    return source->bytes == SIZE_MAX;
}

/* Whether a second pin of the same range is no more than one more. */
static bool is_same(const struct wbi_pin_source *a, const struct wbi_pin_source *b)
{
    return a->flags == b->flags && !wbi_pin_is_dmabuf(a) && !wbi_pin_is_dmabuf(b);
}

/* ---- the index that searchers see ---- */

static struct wbi_pin_index *spare_of(struct wbi_pin_cache *cache)
{
    return wbi_pin_live(cache) == &cache->indexes[0] ? &cache->indexes[1] : &cache->indexes[0];
}

/* Shows the spare index; when this returns nobody is in the other any more: it is the spare. */
static void show_spare(struct wbi_pin_cache *cache)
{
    const struct wbi_pin_index *fresh = spare_of(cache);
    atomic_store_explicit(&cache->live, fresh, memory_order_seq_cst);
    atomic_store_explicit(&cache->ranges, fresh->count, memory_order_relaxed);
    /* Who enters after `entered` was read sees the fresh one. `left` is read first: if both are
     * equal, nobody was inside at the moment of that first reading. */
    for (unsigned spins = 0;; spins++) {
        uint64_t left = atomic_load_explicit(&cache->left, memory_order_seq_cst);
        if (left == atomic_load_explicit(&cache->entered, memory_order_seq_cst)) {
            return;
        }
        if (spins >= SPINS) {
            sched_yield();
        }
    }
}

static bool insert(struct wbi_pin_cache *cache, struct wbi_pin *pin)
{
    const struct wbi_pin_index *live = wbi_pin_live(cache);
    struct wbi_pin_index *spare = spare_of(cache), larger;
    if (!wbi_pin_index_holds(spare, live->count + 1)) {
        if (!wbi_pin_index_open(&larger, live->count + 1)) {
            return false;
        }
        wbi_pin_index_close(spare);
        *spare = larger;
    }
    struct wbi_pin_range range = {
        .base = base_of(&pin->source), .end = end_of(&pin->source), .owner = pin};
    wbi_pin_index_with(spare, live, &range);
    show_spare(cache);
    cache->stats.pinned_bytes += is_all(&pin->source) ? 0 : pin->source.bytes;
    return true;
}

/* Needs no memory: the spare index held as many before. */
static void take_out(struct wbi_pin_cache *cache, const struct wbi_pin *pin, uint32_t number)
{
    wbi_pin_index_without(spare_of(cache), wbi_pin_live(cache), number);
    show_spare(cache);
    cache->stats.pinned_bytes -= is_all(&pin->source) ? 0 : pin->source.bytes;
}

/* The pin of exactly this range, and its number; or NULL. */
static struct wbi_pin *find_exact(struct wbi_pin_cache *cache, uintptr_t base, uintptr_t end,
                                  uint32_t *number)
{
    const struct wbi_pin_index *live = wbi_pin_live(cache);
    int64_t found = wbi_pin_index_exact(live, base, end);
    if (found < 0) {
        return NULL;
    }
    *number = (uint32_t)found;
    return live->ranges[found].owner;
}

/* ---- users ---- */

static bool hold(struct wbi_pin *pin)
{
    uint32_t users = atomic_load_explicit(&pin->users, memory_order_relaxed);
    while ((users & WBI_PIN_ABSENT) == 0) {
        if (atomic_compare_exchange_weak_explicit(&pin->users, &users, users + 1,
                                                  memory_order_acquire, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void wbi_pin_release(struct wbi_pin *pin)
{
    atomic_fetch_sub_explicit(&pin->users, 1, memory_order_release);
}

/* ---- acquiring ---- */

/* The innermost pin that is registered, held; *covered: there is one at all. */
static struct wbi_pin *search(const struct wbi_pin_index *index, uintptr_t base, uintptr_t end,
                              bool *covered)
{
    uint32_t before = index->count;
    for (unsigned tries = 0; tries < MOST_NESTED; tries++) {
        int64_t found = wbi_pin_index_find(index, base, end, before);
        if (found < 0) {
            return NULL;
        }
        struct wbi_pin *pin = index->ranges[found].owner;
        *covered = true;
        if (hold(pin)) {
            return pin;
        }
        before = (uint32_t)found;
    }
    return NULL;
}

/* Nothing that contains it is registered: registers the innermost, if there is room. */
static struct wbi_pin *acquire_absent(struct wbi_pin_cache *cache, uintptr_t base, uintptr_t end)
{
    bool covered = false;
    pthread_mutex_lock(&cache->mutex);
    const struct wbi_pin_index *live = wbi_pin_live(cache);
    struct wbi_pin *pin = search(live, base, end, &covered);
    int64_t found = pin == NULL ? wbi_pin_index_find(live, base, end, live->count) : -1;
    if (found >= 0) {
        struct wbi_pin *absent = live->ranges[found].owner;
        if (!atomic_load_explicit(&absent->busy, memory_order_relaxed)) {
            wbi_pin_set_busy(absent, true); /* it is ours, in the index or not, until that ends */
            if (!wbi_pin_make_room(cache, wbi_pin_weight(cache, &absent->source))) {
                wbi_pin_set_busy(absent, false);
            } else if (wbi_pin_settle(cache, absent, 1) == WB_OK) {
                pin = absent;
            }
        }
    }
    pthread_mutex_unlock(&cache->mutex);
    return pin;
}

struct wbi_pin *wbi_pin_cache_acquire(struct wbi_pin_cache *cache, const void *data, uint64_t bytes)
{
    uintptr_t base = (uintptr_t)data;
    bool covered = false;
    if (atomic_load_explicit(&cache->ranges, memory_order_relaxed) == 0 ||
        bytes > UINTPTR_MAX - base) {
        return NULL;
    }
    uint64_t ticket = atomic_fetch_add_explicit(&cache->entered, 1, memory_order_seq_cst);
    const struct wbi_pin_index *live = atomic_load_explicit(&cache->live, memory_order_seq_cst);
    struct wbi_pin *pin = search(live, base, base + bytes, &covered);
    atomic_fetch_add_explicit(&cache->left, 1, memory_order_seq_cst);
    if (pin == NULL && covered) {
        pin = acquire_absent(cache, base, base + bytes);
    }
    if (pin != NULL) {
        atomic_store_explicit(&pin->used_at, ticket + 1, memory_order_relaxed);
    }
    return pin;
}

/* ---- pinning ---- */

/* Whether what it would be registered for is registered already: by a range around it, in the same
 * way. With the mutex. */
static bool is_covered(struct wbi_pin_cache *cache, const struct wbi_pin_source *source)
{
    const struct wbi_pin_index *live = wbi_pin_live(cache);
    int64_t found = wbi_pin_index_find(live, base_of(source), end_of(source), live->count);
    const struct wbi_pin *around = found >= 0 ? live->ranges[found].owner : NULL;
    return around != NULL && around->registered && is_same(&around->source, source);
}

/* Registers a new pin, or leaves that to its first use. With the mutex. */
static int prepare(struct wbi_pin_cache *cache, struct wbi_pin *pin, bool *refused)
{
    if (is_covered(cache, &pin->source)) {
        return WB_OK;
    }
    wbi_pin_set_busy(pin, true);
    if (!wbi_pin_make_room(cache, wbi_pin_weight(cache, &pin->source))) {
        wbi_pin_set_busy(pin, false);
        return wbi_pin_is_dmabuf(&pin->source) ? WB_AGAIN : WB_OK;
    }
    /* new registrations are no older than those that were used */
    uint64_t now = atomic_load_explicit(&cache->entered, memory_order_relaxed);
    atomic_store_explicit(&pin->used_at, now, memory_order_relaxed);
    int status = wbi_pin_settle(cache, pin, 0);
    *refused = status != WB_OK;
    return status;
}

/* Counts one more pin of a range that is pinned: 1; 0: it is not; or WB_ERR_EXISTS. */
static int pin_again(struct wbi_pin_cache *cache, const struct wbi_pin_source *source)
{
    uint32_t number;
    struct wbi_pin *pin = find_exact(cache, base_of(source), end_of(source), &number);
    if (pin == NULL) {
        return 0;
    }
    if (!is_same(&pin->source, source)) {
        return WB_ERR_EXISTS;
    }
    pin->count++;
    return 1;
}

/* Enters a new pin, unless another thread did so meanwhile. *pin NULL: it is taken. */
static int enter(struct wbi_pin_cache *cache, struct wbi_pin **pin)
{
    int again = pin_again(cache, &(*pin)->source);
    if (again != 0) {
        return again < 0 ? again : WB_OK;
    }
    if (!insert(cache, *pin)) {
        return WB_ERR_NO_MEMORY;
    }
    *pin = NULL;
    return WB_OK;
}

int wbi_pin_cache_pin(struct wbi_pin_cache *cache, const struct wbi_pin_source *source,
                      bool *refused)
{
    *refused = false;
    if (wbi_pin_weight(cache, source) > cache->config.bytes) {
        return WB_ERR_BUDGET;
    }
    struct wbi_pin *pin = calloc(1, sizeof *pin);
    if (pin == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    pin->source = *source;
    pin->count = 1;
    atomic_init(&pin->users, WBI_PIN_ABSENT);
    pthread_mutex_lock(&cache->mutex);
    int status = pin_again(cache, source);
    if (status == 0) {
        status = prepare(cache, pin, refused);
        status = status == WB_OK ? enter(cache, &pin) : status;
    }
    pthread_mutex_unlock(&cache->mutex);
    if (pin != NULL) {
        wbi_pin_cache_forget(cache, pin); /* one more of one that was there, or not to be had */
    }
    return status > 0 ? WB_OK : status;
}

/* ---- unpinning ---- */

void wbi_pin_cache_forget(struct wbi_pin_cache *cache, struct wbi_pin *pin)
{
    wbi_pin_dereg(cache, pin);
    pthread_mutex_lock(&cache->mutex);
    if (pin->registered) {
        wbi_pin_give_room(cache, wbi_pin_weight(cache, &pin->source));
    }
    pthread_mutex_unlock(&cache->mutex);
    free(pin);
}

int wbi_pin_cache_unpin(struct wbi_pin_cache *cache, const void *address, size_t bytes,
                        bool may_wait, struct wbi_pin **rest)
{
    int status = WB_OK;
    uint32_t number;
    struct wbi_pin *pin, *idle = NULL;
    *rest = NULL;
    pthread_mutex_lock(&cache->mutex);
    pin = find_exact(cache, (uintptr_t)address, (uintptr_t)address + bytes, &number);
    if (pin == NULL) {
        status = WB_ERR_INVALID;
    } else if (pin->count > 1) {
        pin->count--;
    } else if (wbi_pin_claim(pin)) {
        take_out(cache, pin, number);
        idle = pin;
    } else if (may_wait) {
        take_out(cache, pin, number);
        *rest = pin;
    } else {
        status = WB_ERR_DEADLOCK;
    }
    pthread_mutex_unlock(&cache->mutex);
    if (idle != NULL) {
        wbi_pin_cache_forget(cache, idle);
    }
    return status;
}

/* ---- life ---- */

void wbi_pin_cache_open(struct wbi_pin_cache *cache, const struct wbi_pin_cache_config *config)
{
    *cache = (struct wbi_pin_cache){.config = *config};
    for (unsigned i = 0; i < config->pinner_count; i++) {
        cache->registers |= config->pinners[i].reg != NULL;
    }
    atomic_init(&cache->live, &cache->indexes[0]);
    pthread_mutex_init(&cache->mutex, NULL);
}

void wbi_pin_cache_close(struct wbi_pin_cache *cache)
{
    const struct wbi_pin_index *live = wbi_pin_live(cache);
    if (live == NULL) {
        return;
    }
    for (uint32_t i = 0; i < live->count; i++) {
        wbi_pin_cache_forget(cache, live->ranges[i].owner);
    }
    wbi_pin_index_close(&cache->indexes[0]);
    wbi_pin_index_close(&cache->indexes[1]);
    pthread_mutex_destroy(&cache->mutex);
    *cache = (struct wbi_pin_cache){.registered = 0};
}

void wbi_pin_cache_stats(struct wbi_pin_cache *cache, struct wbi_pin_stats *stats)
{
    pthread_mutex_lock(&cache->mutex);
    *stats = cache->stats;
    stats->ranges = wbi_pin_live(cache)->count;
    pthread_mutex_unlock(&cache->mutex);
}
