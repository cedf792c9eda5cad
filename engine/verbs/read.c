/*
 * READs. Those of one turn are posted as one list, and consecutive ones whose remote ranges follow
 * each other under one key become one request with several landings: 64 READs of 4 KiB cost 1.46
 * times one of the bytes when posted singly, 1.16 as a list (measured on rxe).
 */
#include <endian.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/verbs/rails.h"

static struct ibv_sge sge_of(const struct wbi_channel *channel, const struct wbi_read *read)
{
    return (struct ibv_sge){.addr = (uintptr_t)read->into,
                            .length = (uint32_t)read->len,
                            .lkey = read->into_mr->on[channel->queues->number]->lkey};
}

/* Puts the landing behind the last one of the request; false: it does not fit. */
static bool extend(struct wbi_channel *channel, struct wbi_verbs_work *work,
                   const struct wbi_read *read)
{
    struct ibv_sge sge = sge_of(channel, read);
    struct ibv_sge *last = &work->sges[work->sge_count - 1];
    if (last->addr + last->length == sge.addr && last->lkey == sge.lkey) {
        last->length += sge.length;
        return true;
    }
    if (work->sge_count == channel->queues->device->read_sges) {
        return false;
    }
    work->sges[work->sge_count++] = sge;
    return true;
}

static bool merge(struct wbi_channel *channel, struct wbi_read *read, uint32_t rkey)
{
    struct wbi_verbs_work *work = wbi_verbs_work_last(&channel->sends, WBI_VERBS_READ);
    if (work == NULL || work->rkey != rkey || work->remote + work->bytes != read->address ||
        work->bytes + read->len > channel->lane->domain->caps.max_read_bytes ||
        !extend(channel, work, read)) {
        return false;
    }
    work->bytes += read->len;
    channel->sends.read_bytes += read->len;
    work->last_read->next = read;
    work->last_read = read;
    return true;
}

static void count(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    uint64_t peak = wbi_counted(&lane->reads_peak);
    wbi_count(&lane->read_requests, 1);
    if (channel->main != NULL) {
        wbi_count(&lane->rail_reads, 1);
    }
    if (channel->sends.reads_in_flight > peak) {
        wbi_count(&lane->reads_peak, channel->sends.reads_in_flight - peak);
    }
}

/* The key of the chunk for the device at the way's other end; 0: there is none. */
static uint32_t key_of(const struct wbi_channel *way, const struct wbi_read *read)
{
    uint32_t rkey = 0, at = way->key_place * (uint32_t)sizeof rkey;
    if (at + sizeof rkey <= read->key_len) {
        memcpy(&rkey, read->key + at, sizeof rkey);
    }
    return le32toh(rkey);
}

bool wbi_verbs_leads_to(const struct wbi_channel *way, const struct wbi_read *read)
{
    return way->main == NULL ||
           (key_of(way, read) != 0 && read->into_mr->on[way->queues->number] != NULL);
}

int wbi_verbs_read(struct wbi_channel *channel, struct wbi_read *read)
{
    if (read->key_len == 0 || read->key_len % sizeof(uint32_t) != 0) {
        return wbi_error(WB_ERR_PROTOCOL, "a key of %u bytes is no key of verbs", read->key_len);
    }
    return channel->rails != NULL ? wbi_verbs_rails_read(channel, read)
                                  : wbi_verbs_read_over(channel, read);
}

int wbi_verbs_read_over(struct wbi_channel *channel, struct wbi_read *read)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    uint32_t rkey = key_of(channel, read);
    if (!channel->stands) {
        return WB_AGAIN;
    }
    read->next = NULL;
    if (merge(channel, read, rkey)) {
        return WB_OK;
    }
    struct wbi_verbs_work *work = queue->reads_in_flight < queue->read_depth
                                      ? wbi_verbs_work_add(queue, WBI_VERBS_READ)
                                      : NULL;
    if (work == NULL) {
        return WB_AGAIN;
    }
    work->sges = queue->read_sges[queue->read_number++ % WBI_VERBS_READ_DEPTH];
    work->sges[0] = sge_of(channel, read);
    work->sge_count = 1;
    work->rkey = rkey;
    work->remote = read->address;
    work->bytes = read->len;
    work->reads = work->last_read = read;
    if (channel->main != NULL && queue->reads_in_flight == 0) {
        queue->read_moved = wbi_now();
    }
    queue->reads_in_flight++;
    queue->read_bytes += read->len;
    count(channel);
    wbi_verbs_ready_soon(channel);
    return WB_OK;
}
