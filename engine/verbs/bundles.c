/*
 * Bundles: a parcel joins the message before it, as long as that waits for its post. What is posted
 * at once, as most is, is never joined; so nothing waits for a bundle.
 */
#include "engine/bundle.h"

#include "engine/verbs/lane.h"

void wbi_verbs_bundle(struct wbi_channel *channel, size_t most)
{
    channel->bundle_bytes = (uint32_t)most;
}

/* Where the message ends, counted from its slot. */
static size_t end_of(const struct wbi_verbs_work *work)
{
    return (size_t)(work->sge.addr + work->sge.length - (uintptr_t)work->slot);
}

bool wbi_verbs_bundle_reserve(struct wbi_channel *channel, size_t bytes)
{
    struct wbi_verbs_work *work = wbi_verbs_work_last(&channel->sends, WBI_VERBS_SEND);
    if (work == NULL || work->parcels == WBI_BUNDLE_MOST) {
        return false;
    }
    size_t at = wbi_bundle_next(end_of(work)) + WBI_BUNDLE_FRAME;
    if (at + bytes > channel->bundle_bytes) {
        return false;
    }
    channel->reserved = work->slot + at;
    channel->reserved_as = WBI_VERBS_AS_PART;
    return true;
}

struct wbi_verbs_work *wbi_verbs_bundle_add(struct wbi_channel *channel, size_t bytes)
{
    struct wbi_fabric_lane *lane = channel->lane;
    struct wbi_verbs_work *work = wbi_verbs_work_last(&channel->sends, WBI_VERBS_SEND);
    uint8_t *frame = channel->reserved - WBI_BUNDLE_FRAME, *end = work->slot + end_of(work);
    if (work->parcels == 1) {
        wbi_bundle_put_frame(work->slot, work->sge.length);
        work->sge.addr = (uintptr_t)work->slot;
        wbi_count(&lane->bundles, 1);
        wbi_count(&lane->bundled, 1);
    }
    memset(end, 0, (size_t)(frame - end));
    wbi_bundle_put_frame(frame, bytes);
    work->sge.length = (uint32_t)(channel->reserved + bytes - work->slot);
    work->parcels++;
    wbi_count(&lane->bundled, 1);
    return work;
}
