/* Chunks that the peer may READ. Memory of the pool has its key, and so has user memory that is
 * pinned; other user memory is registered for the time of the offer, for remote reading alone,
 * since it may be const. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "engine/verbs/rails.h"

/* offer->lease of user memory is its ibv_mr. */
static struct ibv_mr *registration(const struct wbi_offer *offer)
{
    return (struct ibv_mr *)(uintptr_t)offer->lease; // NOLINT(performance-no-int-to-ptr)
}

static void pin_link(struct wbi_channel *channel, struct wbi_offer *offer)
{
    offer->prev = NULL;
    offer->next = channel->pins;
    if (offer->next != NULL) {
        offer->next->prev = offer;
    }
    channel->pins = offer;
}

static void unpin(struct wbi_channel *channel, struct wbi_offer *offer)
{
    if (offer->next != NULL) {
        offer->next->prev = offer->prev;
    }
    if (offer->prev != NULL) {
        offer->prev->next = offer->next;
    } else {
        channel->pins = offer->next;
    }
    ibv_dereg_mr(registration(offer));
    offer->lease = 0;
}

/* With the bytes around that an aligned READ fetches: a block's, or none. */
static int register_memory(const struct wbi_channel *channel, const struct wbi_offer *offer,
                           struct ibv_mr **mr)
{
    uint64_t mask = channel->lane->domain->caps.read_align - 1;
    uintptr_t data = (uintptr_t)offer->data;
    uint64_t head = data & mask, tail = -(data + offer->len) & mask;
    /* no access but remote reading; the cast is for ibv_reg_mr, which writes nothing then */
    void *from = (void *)(data - head); // NOLINT(performance-no-int-to-ptr)
    *mr = ibv_reg_mr(channel->queues->device->pd, from, (size_t)(head + offer->len + tail),
                     IBV_ACCESS_REMOTE_READ);
    if (*mr == NULL) {
        return wbi_error(errno == ENOMEM || errno == EAGAIN ? WB_ERR_NO_MEMORY : WB_ERR_INVALID,
                         "a chunk of %llu bytes cannot be registered: %s",
                         (unsigned long long)offer->len, wbi_verbs_register_words(errno));
    }
    return WB_OK;
}

static int pin_memory(struct wbi_channel *channel, struct wbi_offer *offer, struct ibv_mr **mr)
{
    int status = register_memory(channel, offer, mr);
    if (status == WB_OK) {
        offer->lease = (uintptr_t)*mr;
        pin_link(channel, offer);
    }
    return status;
}

static int find_registered(struct wbi_channel *channel, struct wbi_offer *offer, struct ibv_mr **mr)
{
    const struct wbi_mr *region = offer->mr;
    uint64_t address = (uintptr_t)offer->data;
    offer->lease = 0;
    if (address < region->base || address - region->base > region->bytes ||
        offer->len > region->bytes - (address - region->base)) {
        return wbi_error(WB_ERR_INVALID, "a chunk of %llu bytes lies outside its region",
                         (unsigned long long)offer->len);
    }
    *mr = region->on[channel->queues->number];
    return WB_OK;
}

bool wbi_verbs_knows(const struct wbi_channel *channel, const struct wbi_mr *mr)
{
    return mr != NULL && mr->on[channel->queues->number] != NULL;
}

static void put_key(struct wbi_offer *offer, uint32_t place, const struct ibv_mr *mr)
{
    uint32_t key = mr != NULL ? htole32(mr->rkey) : 0;
    memcpy(offer->key + place * sizeof key, &key, sizeof key);
}

/* Those by which rails READ it. What is registered for the offer alone has none but the channel's.
 */
static void put_further_keys(const struct wbi_channel *channel, struct wbi_offer *offer)
{
    const struct wbi_domain *domain = channel->lane->domain;
    uint32_t own = channel->queues->number;
    for (uint32_t i = 0; i < domain->device_count; i++) {
        if (i != own) {
            put_key(offer, wbi_verbs_key_place(own, i),
                    offer->lease == 0 ? offer->mr->on[i] : NULL);
        }
    }
    offer->key_len = domain->caps.rail_key_bytes;
}

int wbi_verbs_offer(struct wbi_channel *channel, struct wbi_offer *offer)
{
    struct ibv_mr *mr = NULL;
    if (channel->state != WBI_VERBS_OPEN || channel->offers == WBI_VERBS_MAX_OFFERS) {
        return WB_AGAIN;
    }
    int status = wbi_verbs_knows(channel, offer->mr) ? find_registered(channel, offer, &mr)
                                                     : pin_memory(channel, offer, &mr);
    if (mr == NULL) {
        return status;
    }
    put_key(offer, 0, mr);
    offer->key_len = sizeof mr->rkey;
    if (channel->lane->domain->caps.rail_key_bytes != 0) {
        put_further_keys(channel, offer);
    }
    offer->address = (uintptr_t)offer->data;
    channel->offers++;
    return WB_OK;
}

void wbi_verbs_retire(struct wbi_channel *channel, struct wbi_offer *offer)
{
    if (offer->lease != 0) {
        unpin(channel, offer);
    }
    channel->offers--;
}

/* A key that is withdrawn under a READ ends the queue pair, so only closing can do it. */
int wbi_verbs_revoke(struct wbi_channel *channel, struct wbi_offer *offer)
{
    (void)channel;
    (void)offer;
    return WB_AGAIN;
}

void wbi_verbs_offers_close(struct wbi_channel *channel)
{
    while (channel->pins != NULL) {
        unpin(channel, channel->pins);
    }
    channel->offers = 0;
}
