/* Chunks that the peer may READ. Memory of the pool has its key; user memory is registered for the
 * time of the offer, for remote reading alone, since it may be const. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/lane.h"

static void pin_link(struct wbi_channel *channel, struct wbi_verbs_pin *pin)
{
    pin->prev = NULL;
    pin->next = channel->pins;
    if (pin->next != NULL) {
        pin->next->prev = pin;
    }
    channel->pins = pin;
}

static void pin_drop(struct wbi_channel *channel, struct wbi_verbs_pin *pin)
{
    if (pin->next != NULL) {
        pin->next->prev = pin->prev;
    }
    if (pin->prev != NULL) {
        pin->prev->next = pin->next;
    } else {
        channel->pins = pin->next;
    }
    ibv_dereg_mr(pin->mr);
    free(pin); /* and it is in no list: the analyzer does not follow that */
}

static int pin_memory(struct wbi_channel *channel, struct wbi_offer *offer, struct ibv_mr **mr)
{
    struct wbi_verbs_pin *pin = malloc(sizeof *pin);
    if (pin == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory to offer a chunk");
    }
    /* no access but remote reading; the cast is ibv_reg_mr's, which writes nothing here */
    pin->mr = ibv_reg_mr(channel->queues->device->pd, (void *)(uintptr_t)offer->data, /* NOLINT */
                         (size_t)offer->len, IBV_ACCESS_REMOTE_READ);
    if (pin->mr == NULL) {
        int error = errno;
        free(pin);
        return wbi_error(error == EFAULT ? WB_ERR_INVALID : WB_ERR_NO_MEMORY,
                         "a chunk of %llu bytes cannot be registered: %s",
                         (unsigned long long)offer->len, wbi_verbs_register_words(error));
    }
    pin_link(channel, pin);
    offer->lease = (uintptr_t)pin;
    *mr = pin->mr;
    return WB_OK;
}

static int find_registered(struct wbi_channel *channel, struct wbi_offer *offer, struct ibv_mr **mr)
{
    struct ibv_mr *region = offer->mr->on[channel->queues->number];
    uint64_t address = (uintptr_t)offer->data, base = (uintptr_t)region->addr;
    offer->lease = 0;
    if (address < base || address - base > region->length ||
        offer->len > region->length - (address - base)) {
        return wbi_error(WB_ERR_INVALID, "a chunk of %llu bytes lies outside its region",
                         (unsigned long long)offer->len);
    }
    *mr = region;
    return WB_OK;
}

int wbi_verbs_offer(struct wbi_channel *channel, struct wbi_offer *offer)
{
    struct ibv_mr *mr = NULL;
    if (channel->state != WBI_VERBS_OPEN || channel->offers == WBI_VERBS_MAX_OFFERS) {
        return WB_AGAIN;
    }
    int status =
        offer->mr != NULL ? find_registered(channel, offer, &mr) : pin_memory(channel, offer, &mr);
    if (mr == NULL) {
        return status;
    }
    uint32_t key = htole32(mr->rkey);
    memcpy(offer->key, &key, sizeof key);
    offer->key_len = sizeof key;
    offer->address = (uintptr_t)offer->data;
    channel->offers++;
    return WB_OK;
}

void wbi_verbs_retire(struct wbi_channel *channel, struct wbi_offer *offer)
{
    if (offer->lease != 0) {
        pin_drop(channel, (struct wbi_verbs_pin *)(uintptr_t)offer->lease); /* NOLINT */
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
        pin_drop(channel, channel->pins); // NOLINT(clang-analyzer-unix.Malloc): pin_drop unlinks
    }
    channel->offers = 0;
}
