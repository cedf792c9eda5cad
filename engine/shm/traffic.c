/* What the engine does with an open channel: messages out, offers. (READs: read.c; messages in:
 * poll.c.) */
#include "engine/shm/lane.h"

void wbi_shm_ring_doorbell(struct wbi_channel *channel)
{
    struct wbi_shm_lane_page *page = (struct wbi_shm_lane_page *)(void *)channel->page->base;
    atomic_fetch_or(&page->doorbells[channel->doorbell / 64],
                    (uint64_t)1 << (channel->doorbell % 64));
    if (atomic_load(&page->armed.word) != 0 && atomic_exchange(&page->armed.word, 0) != 0) {
        /* A full socket wakes the peer as well. */
        struct wbi_shm_packet wake = wbi_shm_packet_of(WBI_SHM_WAKE);
        wbi_shm_packet_send(channel->socket, &wake, NULL, 0);
    }
}

/* The ring seems full: asks to be told of room, and looks once more, since room may have come
 * before the peer could see that. */
static int reserve_starved(struct wbi_channel *channel, uint32_t bytes, bool control,
                           uint8_t **slot)
{
    atomic_store(&channel->mine.head->starved.word, 1);
    int status = wbi_shm_ring_reserve(&channel->out, bytes, control, slot);
    channel->starved = status != WB_OK;
    if (status == WB_OK) {
        atomic_store(&channel->mine.head->starved.word, 0);
    }
    return status;
}

/* Whatever stands against it, or seems to. */
static __attribute__((noinline)) int reserve_otherwise(struct wbi_channel *channel, size_t bytes,
                                                       bool control, uint8_t **slot)
{
    if (channel->state != WBI_SHM_OPEN || channel->doom != WB_OK) {
        return WB_AGAIN; /* on_lost comes, or has come */
    }
    if (bytes > channel->max_send) {
        return wbi_error(WB_ERR_INVALID,
                         "a message of %zu bytes is longer than the %u of this channel", bytes,
                         channel->max_send);
    }
    int status = wbi_shm_ring_reserve(&channel->out, (uint32_t)bytes, control, slot);
    if (status != WB_OK || channel->starved) {
        status = reserve_starved(channel, (uint32_t)bytes, control, slot);
    }
    if (status == WB_ERR_PROTOCOL) {
        wbi_shm_doom(channel, status, false, "the peer consumed messages that were not sent");
        return WB_AGAIN;
    }
    return status;
}

int wbi_shm_reserve(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot)
{
    bool simple = channel->state == WBI_SHM_OPEN && channel->doom == WB_OK && !channel->starved &&
                  bytes <= channel->max_send;
    uint8_t *here =
        simple ? wbi_shm_ring_reserve_here(&channel->out, (uint32_t)bytes, control) : NULL;
    if (here == NULL) {
        return reserve_otherwise(channel, bytes, control, slot);
    }
    *slot = here;
    return WB_OK;
}

/* Where the peer's next message is there already, that is what comes next, and not to wait until
 * this one's line has come from the peer, as a fence would. */
void wbi_shm_send(struct wbi_channel *channel, size_t bytes)
{
    if (wbi_shm_ring_ready(&channel->in)) {
        wbi_shm_ring_publish(&channel->out, WBI_SHM_DATA, (uint32_t)bytes);
        wbi_shm_notify_sent(channel);
    } else {
        wbi_shm_ring_publish_fenced(&channel->out, WBI_SHM_DATA, (uint32_t)bytes);
        wbi_shm_notify(channel);
    }
}

void wbi_shm_cancel(struct wbi_channel *channel)
{
    (void)channel; /* the next reservation takes the same room */
}

int wbi_shm_offer(struct wbi_channel *channel, struct wbi_offer *offer)
{
    uint64_t address = (uintptr_t)offer->data;
    uint32_t segment = WBI_SHM_USER_MEMORY;
    if (channel->state != WBI_SHM_OPEN) {
        return WB_AGAIN;
    }
    if (offer->mr) {
        uint64_t base = (uintptr_t)offer->region_base;
        if (address < base || address - base > offer->mr->bytes ||
            offer->len > offer->mr->bytes - (address - base)) {
            return wbi_error(WB_ERR_INVALID, "a chunk of %llu bytes lies outside its region",
                             (unsigned long long)offer->len);
        }
        if (!wbi_shm_link_knows(&channel->link, offer->mr)) {
            return WB_AGAIN;
        }
        address -= base;
        segment = offer->mr->id;
    }
    return wbi_shm_lease_take(&channel->leases, offer, segment, address);
}

void wbi_shm_retire(struct wbi_channel *channel, struct wbi_offer *offer)
{
    wbi_shm_lease_end(&channel->leases, offer);
}

int wbi_shm_revoke(struct wbi_channel *channel, struct wbi_offer *offer)
{
    wbi_shm_lease_end(&channel->leases, offer);
    return WB_OK;
}
