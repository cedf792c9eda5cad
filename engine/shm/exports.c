#include "engine/shm/exports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/shm/lease.h"
#include "engine/shm/packet.h"

struct notice {
    struct wbi_mr *mr;
    struct wbi_shm_link *link;
    enum { TO_ANNOUNCE, ANNOUNCED, TO_WITHDRAW, WITHDRAWN } state;
    struct wbi_shm_list on_mr;
    struct wbi_shm_list on_link; /* queue: TO_x; sent: the others */
};

/* All below: under the domain's lock. */

static struct notice *add_notice(struct wbi_mr *mr, struct wbi_shm_link *link)
{
    struct notice *notice = calloc(1, sizeof *notice);
    if (notice) {
        notice->mr = mr;
        notice->link = link;
        wbi_shm_list_append(&mr->notices, &notice->on_mr);
        wbi_shm_list_append(&link->queue, &notice->on_link);
    }
    return notice;
}

static void end_notice(struct notice *notice)
{
    wbi_shm_list_remove(&notice->on_mr);
    wbi_shm_list_remove(&notice->on_link);
    free(notice);
}

static int send_notice(const struct notice *notice)
{
    bool announce = notice->state == TO_ANNOUNCE;
    struct wbi_shm_packet packet = wbi_shm_packet_of(announce ? WBI_SHM_ANNOUNCE : WBI_SHM_GONE);
    packet.slab = (struct wbi_shm_slab){.id = notice->mr->id, .bytes = notice->mr->bytes};
    return wbi_shm_packet_send(notice->link->socket, &packet, &notice->mr->fd, announce ? 1 : 0);
}

/* Sends until the socket is full. A dead socket is left to the lane, which sees its end. */
static void pump(struct wbi_shm_link *link)
{
    while (!wbi_shm_list_empty(&link->queue)) {
        struct notice *notice = WBI_SHM_OF(link->queue.next, struct notice, on_link);
        if (send_notice(notice) != WB_OK) {
            break;
        }
        wbi_shm_list_remove(&notice->on_link);
        wbi_shm_list_append(&link->sent, &notice->on_link);
        if (notice->state == TO_ANNOUNCE) {
            notice->state = ANNOUNCED;
            atomic_store_explicit(&link->announced, notice->mr->id, memory_order_release);
        } else {
            notice->state = WITHDRAWN;
        }
    }
    atomic_store(&link->backlog, !wbi_shm_list_empty(&link->queue));
}

/* If nobody can read the slab any more, moves it to `done`. */
static void settle(struct wbi_mr *mr, struct wbi_shm_list *done)
{
    if (mr->leaving && wbi_shm_list_empty(&mr->notices)) {
        wbi_shm_list_remove(&mr->in_domain);
        wbi_shm_list_append(done, &mr->in_domain);
    }
}

/* Without the lock: tells the owners. */
static void confirm(struct wbi_shm_list *done)
{
    struct wbi_shm_list *node;
    while ((node = wbi_shm_list_pop(done)) != NULL) {
        struct wbi_mr *mr = WBI_SHM_OF(node, struct wbi_mr, in_domain);
        wbi_shm_mapping_disown(mr->mapping);
        mr->confirmed(mr->argument);
        close(mr->fd);
        free(mr);
    }
}

static void free_notices(struct wbi_shm_list *notices)
{
    while (!wbi_shm_list_empty(notices)) {
        end_notice(WBI_SHM_OF(notices->next, struct notice, on_mr));
    }
}

static int announce(struct wbi_domain *domain, struct wbi_mr *mr)
{
    if (domain->segments == WBI_SHM_SHELVED - 1) {
        return wbi_error(WB_ERR_NO_MEMORY, "this engine has registered 2^32 slabs: start anew");
    }
    for (struct wbi_shm_list *at = domain->links.next; at != &domain->links; at = at->next) {
        if (!add_notice(mr, WBI_SHM_OF(at, struct wbi_shm_link, in_domain))) {
            free_notices(&mr->notices);
            return wbi_error(WB_ERR_NO_MEMORY, "no memory to announce a slab");
        }
    }
    mr->id = ++domain->segments;
    wbi_shm_list_append(&domain->exports, &mr->in_domain);
    for (struct wbi_shm_list *at = domain->links.next; at != &domain->links; at = at->next) {
        pump(WBI_SHM_OF(at, struct wbi_shm_link, in_domain));
    }
    return WB_OK;
}

static int reg(void *context, const struct wbi_region *region, struct wbi_mr **out)
{
    size_t bytes = 0;
    const char *wrong =
        region->fd >= 0 ? wbi_shm_mapping_check(region->fd, false, &bytes) : "is none";
    if (region->lent && (wrong || bytes != region->bytes)) {
        *out = NULL; /* no peer can map it: its chunks are staged, as plain memory is */
        return WB_OK;
    }
    if (wrong || bytes != region->bytes) {
        return wbi_error(WB_ERR_INVALID, "the slab's memfd %s",
                         wrong ? wrong : "is not as large as the region");
    }
    struct wbi_mr *mr = calloc(1, sizeof *mr);
    if (!mr) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a registration");
    }
    mr->domain = context;
    mr->bytes = region->bytes;
    wbi_shm_list_init(&mr->in_domain);
    wbi_shm_list_init(&mr->notices);
    int status = WB_OK;
    mr->fd = fcntl(region->fd, F_DUPFD_CLOEXEC, 3);
    if (mr->fd < 0) {
        status = wbi_error(WB_ERR_NO_MEMORY, "no descriptor for a slab: %s", strerror(errno));
        goto free_mr;
    }
    status = wbi_shm_mapping_adopt(mr->fd, region->base, region->bytes, &mr->mapping);
    if (status != WB_OK) {
        goto close_fd;
    }
    pthread_mutex_lock(&mr->domain->lock);
    status = announce(mr->domain, mr);
    pthread_mutex_unlock(&mr->domain->lock);
    if (status != WB_OK) {
        goto disown;
    }
    *out = mr;
    return WB_OK;

disown:
    wbi_shm_mapping_disown(mr->mapping);
close_fd:
    close(mr->fd);
free_mr:
    free(mr);
    return status;
}

static void withdraw(struct wbi_mr *mr)
{
    for (struct wbi_shm_list *at = mr->notices.next; at != &mr->notices;) {
        struct notice *notice = WBI_SHM_OF(at, struct notice, on_mr);
        at = at->next;
        if (notice->state == TO_ANNOUNCE) {
            end_notice(notice);
            continue;
        }
        notice->state = TO_WITHDRAW;
        wbi_shm_list_remove(&notice->on_link);
        wbi_shm_list_append(&notice->link->queue, &notice->on_link);
        pump(notice->link);
    }
}

static void dereg(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                  void *argument)
{
    struct wbi_domain *domain = context;
    struct wbi_shm_list done;
    wbi_shm_list_init(&done);
    pthread_mutex_lock(&domain->lock);
    mr->leaving = true;
    mr->confirmed = confirmed;
    mr->argument = argument;
    withdraw(mr);
    settle(mr, &done);
    pthread_mutex_unlock(&domain->lock);
    confirm(&done);
}

struct wbi_registrar wbi_shm_registrar(struct wbi_domain *domain)
{
    return (struct wbi_registrar){.context = domain, .reg = reg, .dereg = dereg};
}

int wbi_shm_link_open(struct wbi_shm_link *link, struct wbi_domain *domain, int socket)
{
    int status = WB_OK;
    link->socket = socket;
    link->domain = domain;
    wbi_shm_list_init(&link->in_domain);
    wbi_shm_list_init(&link->queue);
    wbi_shm_list_init(&link->sent);
    pthread_mutex_lock(&domain->lock);
    wbi_shm_list_append(&domain->links, &link->in_domain);
    for (struct wbi_shm_list *at = domain->exports.next; at != &domain->exports; at = at->next) {
        struct wbi_mr *mr = WBI_SHM_OF(at, struct wbi_mr, in_domain);
        if (!mr->leaving && !add_notice(mr, link)) {
            status = WB_ERR_NO_MEMORY;
            break;
        }
    }
    if (status == WB_OK) {
        pump(link);
    }
    pthread_mutex_unlock(&domain->lock);
    if (status != WB_OK) {
        wbi_shm_link_close(link);
        return wbi_error(status, "no memory to announce the slabs to a peer");
    }
    return WB_OK;
}

/* Ends all notices of one of the link's lists. */
static void drop_notices(struct wbi_shm_list *notices, struct wbi_shm_list *done)
{
    while (!wbi_shm_list_empty(notices)) {
        struct notice *notice = WBI_SHM_OF(notices->next, struct notice, on_link);
        /* end_notice unlinks before it frees, which the analyzer does not follow */
        struct wbi_mr *mr = notice->mr; // NOLINT(clang-analyzer-unix.Malloc)
        end_notice(notice);
        settle(mr, done);
    }
}

void wbi_shm_link_close(struct wbi_shm_link *link)
{
    if (!link->domain) {
        return;
    }
    struct wbi_shm_list done;
    wbi_shm_list_init(&done);
    pthread_mutex_lock(&link->domain->lock);
    wbi_shm_list_remove(&link->in_domain);
    drop_notices(&link->queue, &done);
    drop_notices(&link->sent, &done);
    pthread_mutex_unlock(&link->domain->lock);
    link->domain = NULL;
    confirm(&done);
}

void wbi_shm_link_flush(struct wbi_shm_link *link)
{
    if (link->domain && atomic_load(&link->backlog)) {
        pthread_mutex_lock(&link->domain->lock);
        pump(link);
        pthread_mutex_unlock(&link->domain->lock);
    }
}

bool wbi_shm_link_confirmed(struct wbi_shm_link *link, uint32_t id)
{
    struct wbi_shm_list done;
    wbi_shm_list_init(&done);
    bool found = false;
    pthread_mutex_lock(&link->domain->lock);
    for (struct wbi_shm_list *at = link->sent.next; at != &link->sent; at = at->next) {
        struct notice *notice = WBI_SHM_OF(at, struct notice, on_link);
        if (notice->mr->id == id && notice->state == WITHDRAWN) {
            struct wbi_mr *mr = notice->mr;
            end_notice(notice);
            settle(mr, &done);
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&link->domain->lock);
    confirm(&done);
    return found;
}
