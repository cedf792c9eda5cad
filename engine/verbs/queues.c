#include "engine/verbs/queues.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/verbs/lane.h"
#include "engine/verbs/receives.h"

/* ---- life ---- */

static int fail(const struct wbi_verbs_queues *queues, const char *what)
{
    return wbi_error(errno == ENOMEM ? WB_ERR_NO_MEMORY : WB_ERR_SYSTEM, "%s: %s: %s",
                     queues->device->name, what, strerror(errno));
}

static int make_cq(struct wbi_verbs_queues *queues)
{
    const struct wbi_fabric_lane *lane = queues->lane;
    queues->target = lane->domain->caps.own_receives ? 0 : lane->receives;
    queues->least = queues->target - wbi_verbs_least(queues->target / 16, WBI_VERBS_LATE_RECEIVES);
    queues->entries = lane->receives + lane->max_channels * queues->device->send_depth;
    queues->completions = ibv_create_comp_channel(queues->device->context);
    if (queues->completions == NULL) {
        return fail(queues, "no completion channel");
    }
    if (!wbi_verbs_unblock(queues->completions->fd)) {
        return fail(queues, "no completion channel that does not block");
    }
    queues->cq = ibv_create_cq(queues->device->context, (int)queues->entries, queues,
                               queues->completions, 0);
    if (queues->cq == NULL) {
        return fail(queues, "no completion queue; lower max_peers or max_calls");
    }
    size_t bytes = (size_t)queues->entries * sizeof *queues->stash;
    void *stash = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    queues->stash = stash != MAP_FAILED ? stash : NULL;
    return queues->stash != NULL ? WB_OK : fail(queues, "no memory for completions");
}

/* The record of who holds which receive, and a shared receive queue unless queue pairs have their
 * own. */
static int make_receives(struct wbi_verbs_queues *queues)
{
    queues->holders = calloc(queues->lane->slots.count, sizeof *queues->holders);
    if (queues->holders == NULL) {
        return fail(queues, "no memory for receives");
    }
    if (queues->target == 0) {
        return WB_OK;
    }
    struct ibv_srq_init_attr attr = {.srq_context = queues,
                                     .attr = {.max_wr = queues->target, .max_sge = 1}};
    queues->srq = ibv_create_srq(queues->device->pd, &attr);
    return queues->srq != NULL ? WB_OK : fail(queues, "no shared receive queue; lower max_calls");
}

/* Slots are for the device and us alone: no peer can address them. */
static int register_slots(struct wbi_verbs_queues *queues)
{
    const struct wbi_fabric_lane *lane = queues->lane;
    struct ibv_pd *pd = queues->device->pd;
    queues->receive_mr = ibv_reg_mr(pd, lane->slots.base, lane->slots.stride * lane->slots.count,
                                    IBV_ACCESS_LOCAL_WRITE);
    if (queues->receive_mr != NULL) {
        queues->send_mr = ibv_reg_mr(pd, lane->send_slots.base, lane->send_slots.mapped_bytes,
                                     IBV_ACCESS_LOCAL_WRITE);
    }
    if (queues->send_mr != NULL) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_NO_MEMORY, "%s: the message slots (%zu bytes) cannot be registered: %s",
                     queues->device->name,
                     lane->slots.stride * lane->slots.count + lane->send_slots.mapped_bytes,
                     wbi_verbs_register_words(errno));
}

static int open_queues(struct wbi_fabric_lane *lane, unsigned number)
{
    struct wbi_verbs_queues *queues = &lane->queues[number];
    *queues =
        (struct wbi_verbs_queues){.device = &lane->domain->devices[number],
                                  .lane = lane,
                                  .number = number,
                                  .deaths = atomic_load(&lane->domain->devices[number].deaths)};
    int status = make_cq(queues);
    status = status == WB_OK ? make_receives(queues) : status;
    status = status == WB_OK ? register_slots(queues) : status;
    if (status == WB_OK) {
        status =
            wbi_verbs_watch(lane, queues->completions->fd, WBI_VERBS_WATCH_COMPLETIONS + number);
    }
    if (status != WB_OK) {
        wbi_verbs_queues_close(queues);
        return status;
    }
    wbi_verbs_receives_open(queues);
    wbi_verbs_refill(queues);
    queues->next = lane->used;
    lane->used = queues;
    return WB_OK;
}

static bool has_channels(const struct wbi_verbs_queues *queues)
{
    const struct wbi_channel *channel = queues->lane != NULL ? queues->lane->channels : NULL;
    while (channel != NULL && (channel->queues != queues || channel->qp == NULL)) {
        channel = channel->next;
    }
    return channel != NULL;
}

int wbi_verbs_queues_open(struct wbi_fabric_lane *lane, unsigned number)
{
    struct wbi_verbs_queues *queues = &lane->queues[number];
    wbi_verbs_take_queue_reports(queues); /* a lane without peers has had no turn since */
    if (queues->device != NULL && !queues->broken) {
        return WB_OK;
    }
    if (has_channels(queues)) {
        return wbi_error(WB_ERR_SYSTEM,
                         "%s: its queues have broken, and what was on them is still to "
                         "be closed; connect again",
                         queues->device->name);
    }
    if (queues->broken) {
        wbi_verbs_queues_close(queues);
    }
    return open_queues(lane, number);
}

static void unlist(struct wbi_verbs_queues *queues)
{
    struct wbi_verbs_queues **at = &queues->lane->used;
    while (*at != NULL && *at != queues) {
        at = &(*at)->next;
    }
    if (*at == queues) {
        *at = queues->next;
    }
}

void wbi_verbs_queues_close(struct wbi_verbs_queues *queues)
{
    if (queues->lane != NULL) {
        unlist(queues);
    }
    if (queues->srq != NULL) {
        ibv_destroy_srq(queues->srq);
    }
    if (queues->cq != NULL) {
        ibv_destroy_cq(queues->cq);
    }
    if (queues->completions != NULL) {
        ibv_destroy_comp_channel(queues->completions);
    }
    if (queues->send_mr != NULL) {
        ibv_dereg_mr(queues->send_mr);
    }
    if (queues->receive_mr != NULL) {
        ibv_dereg_mr(queues->receive_mr);
    }
    if (queues->stash != NULL) {
        munmap(queues->stash, (size_t)queues->entries * sizeof *queues->stash);
    }
    if (queues->holders != NULL) {
        wbi_verbs_shared_reclaim(queues);
    }
    free(queues->holders);
    *queues = (struct wbi_verbs_queues){0};
}

/* ---- completions ---- */

int wbi_verbs_unstash(struct wbi_verbs_queues *queues, struct ibv_wc *wcs, int most)
{
    int count = 0;
    while (count < most && queues->stash_next < queues->stash_end) {
        wcs[count++] = queues->stash[queues->stash_next++];
    }
    if (queues->stash_next == queues->stash_end) {
        queues->stash_next = queues->stash_end = 0;
    }
    return count;
}

void wbi_verbs_stash(struct wbi_verbs_queues *queues, const struct ibv_wc *wc)
{
    /* room for all that the CQ can hold: nothing is posted while a close collects; what was stashed
     * and taken before makes way */
    if (queues->stash_end == queues->entries && queues->stash_next > 0) {
        queues->stash_end -= queues->stash_next;
        memmove(queues->stash, queues->stash + queues->stash_next,
                queues->stash_end * sizeof *queues->stash);
        queues->stash_next = 0;
    }
    if (queues->stash_end < queues->entries) {
        queues->stash[queues->stash_end++] = *wc;
    }
}

/* ---- channels by queue pair ---- */

static struct wbi_channel **bin_of(struct wbi_verbs_queues *queues, uint32_t qp_num)
{
    return &queues->by_qp[qp_num % WBI_VERBS_QP_BINS];
}

void wbi_verbs_map_add(struct wbi_channel *channel)
{
    struct wbi_channel **bin = bin_of(channel->queues, channel->qp_num);
    channel->next_by_qp = *bin;
    *bin = channel;
}

void wbi_verbs_map_remove(struct wbi_channel *channel)
{
    struct wbi_channel **at = bin_of(channel->queues, channel->qp_num);
    while (*at != NULL && *at != channel) {
        at = &(*at)->next_by_qp;
    }
    if (*at == channel) {
        *at = channel->next_by_qp;
    }
}

struct wbi_channel *wbi_verbs_map_find(const struct wbi_verbs_queues *queues, uint32_t qp_num)
{
    struct wbi_channel *channel = queues->by_qp[qp_num % WBI_VERBS_QP_BINS];
    while (channel != NULL && channel->qp_num != qp_num) {
        channel = channel->next_by_qp;
    }
    return channel;
}
