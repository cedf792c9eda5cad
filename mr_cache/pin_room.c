#include "mr_cache/pin_room.h"

#include <waybill/pin.h>
#include <waybill/status.h>

/* What a registration of it takes of the bound: what is paged on demand is not pinned. */
uint64_t wbi_pin_weight(const struct wbi_pin_cache *cache, const struct wbi_pin_source *source)
{
    return cache->registers && (source->flags & WB_MR_ON_DEMAND) == 0 ? source->bytes : 0;
}

/* ---- users ---- */

bool wbi_pin_is_idle(const struct wbi_pin *pin)
{
    /* busy first: it ends when users says what has come of it */
    if (atomic_load_explicit(&pin->busy, memory_order_acquire)) {
        return false;
    }
    uint32_t users = atomic_load_explicit(&pin->users, memory_order_acquire);
    return users == 0 || users == WBI_PIN_ABSENT;
}

/* With the mutex: nobody uses it, nor will. */
bool wbi_pin_claim(struct wbi_pin *pin)
{
    uint32_t idle = 0;
    if (atomic_load_explicit(&pin->busy, memory_order_relaxed)) {
        return false;
    }
    return atomic_compare_exchange_strong_explicit(&pin->users, &idle, WBI_PIN_ABSENT,
                                                   memory_order_acquire, memory_order_relaxed) ||
           idle == WBI_PIN_ABSENT;
}

void wbi_pin_set_busy(struct wbi_pin *pin, bool busy)
{
    atomic_store_explicit(&pin->busy, busy, memory_order_release);
}

/* ---- registrations: without the mutex, on a pin that is busy or nobody else's ---- */

void wbi_pin_dereg(const struct wbi_pin_cache *cache, struct wbi_pin *pin)
{
    for (unsigned i = 0; i < cache->config.pinner_count; i++) {
        if (pin->mrs[i] != NULL) {
            cache->config.pinners[i].dereg(cache->config.pinners[i].context, pin->mrs[i]);
            pin->mrs[i] = NULL;
        }
    }
}

static int reg_all(const struct wbi_pin_cache *cache, struct wbi_pin *pin)
{
    for (unsigned i = 0; i < cache->config.pinner_count; i++) {
        const struct wbi_pinner *pinner = &cache->config.pinners[i];
        int status =
            pinner->reg != NULL ? pinner->reg(pinner->context, &pin->source, &pin->mrs[i]) : WB_OK;
        if (status != WB_OK) {
            wbi_pin_dereg(cache, pin);
            return status;
        }
    }
    return WB_OK;
}

/* ---- room: with the mutex ---- */

static bool has_room(const struct wbi_pin_cache *cache, uint64_t bytes)
{
    const struct wbi_pin_cache_config *config = &cache->config;
    return bytes <= config->bytes - cache->stats.registered_bytes &&
           (config->registrations == 0 || cache->registered < config->registrations);
}

static void take_room(struct wbi_pin_cache *cache, uint64_t bytes)
{
    cache->registered++;
    cache->stats.registered_bytes += bytes;
}

void wbi_pin_give_room(struct wbi_pin_cache *cache, uint64_t bytes)
{
    cache->registered--;
    cache->stats.registered_bytes -= bytes;
}

/* The registration that nobody uses and that was used least recently, claimed; or NULL. */
static struct wbi_pin *claim_oldest(struct wbi_pin_cache *cache)
{
    const struct wbi_pin_index *live = wbi_pin_live(cache);
    struct wbi_pin *oldest;
    do {
        oldest = NULL;
        uint64_t since = UINT64_MAX;
        for (uint32_t i = 0; i < live->count; i++) {
            struct wbi_pin *pin = live->ranges[i].owner;
            uint64_t used_at = atomic_load_explicit(&pin->used_at, memory_order_relaxed);
            if (pin->registered && !wbi_pin_is_dmabuf(&pin->source) && wbi_pin_is_idle(pin) &&
                used_at < since) {
                oldest = pin;
                since = used_at;
            }
        }
    } while (oldest != NULL && !wbi_pin_claim(oldest)); /* somebody was faster: it is in use */
    return oldest;
}

/* Drops one; lets the mutex go meanwhile. False: all are in use. */
static bool evict(struct wbi_pin_cache *cache)
{
    struct wbi_pin *pin = claim_oldest(cache);
    if (pin == NULL) {
        return false;
    }
    wbi_pin_set_busy(pin, true);
    pin->registered = false;
    pthread_mutex_unlock(&cache->mutex);
    wbi_pin_dereg(cache, pin);
    pthread_mutex_lock(&cache->mutex);
    wbi_pin_give_room(cache, wbi_pin_weight(cache, &pin->source));
    cache->stats.evictions++;
    wbi_pin_set_busy(pin, false); /* whoever waits to forget it may do so now */
    return true;
}

/* Takes so much of the room, making it if need be; lets the mutex go meanwhile. */
bool wbi_pin_make_room(struct wbi_pin_cache *cache, uint64_t bytes)
{
    while (!has_room(cache, bytes)) {
        if (!evict(cache)) {
            return false;
        }
    }
    take_room(cache, bytes);
    return true;
}

bool wbi_pin_cache_shed(struct wbi_pin_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    bool shed = evict(cache);
    pthread_mutex_unlock(&cache->mutex);
    return shed;
}

/* Registers a pin that is busy and for which room was taken; with the mutex, which it lets go
 * meanwhile. `users`: how many it has then. */
int wbi_pin_settle(struct wbi_pin_cache *cache, struct wbi_pin *pin, uint32_t users)
{
    int status;
    pthread_mutex_unlock(&cache->mutex);
    do {
        status = reg_all(cache, pin);
    } while (status == WB_ERR_NO_MEMORY && wbi_pin_cache_shed(cache));
    pthread_mutex_lock(&cache->mutex);
    if (status == WB_OK) {
        cache->stats.registrations += cache->registers;
        pin->registered = true;
        atomic_store_explicit(&pin->users, users, memory_order_release);
    } else {
        wbi_pin_give_room(cache, wbi_pin_weight(cache, &pin->source));
    }
    wbi_pin_set_busy(pin, false);
    return status;
}
