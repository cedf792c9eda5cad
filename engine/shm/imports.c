#include "engine/shm/imports.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/shm/lease.h"

static struct wbi_shm_import *import_of_job(struct wbi_shm_job *job)
{
    return WBI_SHM_OF(job, struct wbi_shm_import, job);
}

static void run_map(struct wbi_shm_job *job)
{
    struct wbi_shm_import *import = import_of_job(job);
    int status = wbi_shm_mapping_open(import->fd, false, true, &import->mapping);
    close(import->fd);
    import->fd = -1;
    atomic_store(&import->state, status == WB_OK ? WBI_SHM_MAPPED : WBI_SHM_FAILED);
}

static void run_unmap(struct wbi_shm_job *job)
{
    struct wbi_shm_import *import = import_of_job(job);
    wbi_shm_mapping_drop(import->mapping);
    import->mapping = NULL;
    atomic_store(&import->state, WBI_SHM_UNMAPPED);
}

static void finished(struct wbi_shm_job *job)
{
    eventfd_write(import_of_job(job)->wake_fd, 1);
}

/* Frees an import and what it holds. */
static void discard(struct wbi_shm_job *job)
{
    struct wbi_shm_import *import = import_of_job(job);
    wbi_shm_mapping_drop(import->mapping);
    if (import->fd >= 0) {
        close(import->fd);
    }
    free(import);
}

static void run_nothing(struct wbi_shm_job *job)
{
    (void)job;
}

void wbi_shm_imports_open(struct wbi_shm_imports *imports, struct wbi_shm_worker *worker,
                          int wake_fd)
{
    imports->worker = worker;
    imports->wake_fd = wake_fd;
    for (int i = 0; i < WBI_SHM_IMPORT_BUCKETS; i++) {
        wbi_shm_list_init(&imports->buckets[i]);
    }
}

void wbi_shm_imports_close(struct wbi_shm_imports *imports)
{
    for (int i = 0; imports->worker && i < WBI_SHM_IMPORT_BUCKETS; i++) {
        struct wbi_shm_list *node;
        while ((node = wbi_shm_list_pop(&imports->buckets[i])) != NULL) {
            struct wbi_shm_import *import = WBI_SHM_OF(node, struct wbi_shm_import, node);
            wbi_shm_worker_abandon(imports->worker, &import->job, run_nothing);
        }
    }
    *imports = (struct wbi_shm_imports){0};
}

static const char *check(const struct wbi_shm_imports *imports, const struct wbi_shm_slab *slab,
                         int fd)
{
    size_t bytes = 0;
    if (slab->id <= imports->last_id || slab->id >= WBI_SHM_SHELVED) {
        return "announced a slab under an id that it has used";
    }
    if (imports->count >= WBI_SHM_MAX_IMPORTS) {
        return "announced more slabs than anybody needs";
    }
    if (wbi_shm_mapping_check(fd, false, &bytes) || slab->bytes != bytes) {
        return "announced a slab that is no sealed memfd of the size it says";
    }
    return NULL;
}

int wbi_shm_imports_add(struct wbi_shm_imports *imports, const struct wbi_shm_slab *slab, int fd,
                        const char **why)
{
    *why = check(imports, slab, fd);
    if (*why) {
        close(fd);
        return WB_ERR_PROTOCOL;
    }
    struct wbi_shm_import *import = calloc(1, sizeof *import);
    if (!import) {
        close(fd);
        *why = "has a slab for which there is no memory here";
        return WB_ERR_NO_MEMORY;
    }
    import->id = slab->id;
    import->bytes = slab->bytes;
    import->fd = fd;
    import->wake_fd = imports->wake_fd;
    import->job = (struct wbi_shm_job){.run = run_map, .finished = finished, .discard = discard};
    wbi_shm_list_init(&import->job.node);
    imports->last_id = slab->id;
    imports->count++;
    imports->unsettled++;
    wbi_shm_list_append(&imports->buckets[slab->id % WBI_SHM_IMPORT_BUCKETS], &import->node);
    wbi_shm_worker_submit(imports->worker, &import->job);
    return WB_OK;
}

struct wbi_shm_import *wbi_shm_imports_find(struct wbi_shm_imports *imports, uint32_t id)
{
    struct wbi_shm_list *bucket = &imports->buckets[id % WBI_SHM_IMPORT_BUCKETS];
    for (struct wbi_shm_list *at = bucket->next; at != bucket; at = at->next) {
        struct wbi_shm_import *import = WBI_SHM_OF(at, struct wbi_shm_import, node);
        if (import->id == id) {
            return import;
        }
    }
    return NULL;
}

bool wbi_shm_imports_withdraw(struct wbi_shm_imports *imports, uint32_t id)
{
    struct wbi_shm_import *import = wbi_shm_imports_find(imports, id);
    if (!import || import->gone) {
        return false;
    }
    import->gone = true;
    imports->unsettled++;
    return true;
}

/* Moves one import on; sets *confirmed when its owner has been told. */
static int settle_one(struct wbi_shm_imports *imports, struct wbi_shm_import *import, int socket,
                      bool *confirmed)
{
    enum wbi_shm_import_state state = wbi_shm_import_state(import);
    if (state == WBI_SHM_FAILED) {
        return WB_ERR_NO_MEMORY;
    }
    if (!import->gone || state == WBI_SHM_MAPPING || state == WBI_SHM_UNMAPPING ||
        import->reads > 0) {
        return 0;
    }
    if (state == WBI_SHM_MAPPED) {
        atomic_store(&import->state, WBI_SHM_UNMAPPING);
        import->job.run = run_unmap;
        wbi_shm_worker_submit(imports->worker, &import->job);
        return 1;
    }
    struct wbi_shm_packet packet = wbi_shm_packet_of(WBI_SHM_CONFIRM);
    packet.slab.id = import->id;
    *confirmed = wbi_shm_packet_send(socket, &packet, NULL, 0) == WB_OK;
    return *confirmed ? 1 : 0;
}

int wbi_shm_imports_settle(struct wbi_shm_imports *imports, int socket)
{
    int done = 0;
    if (imports->unsettled == 0) {
        return 0;
    }
    imports->unsettled = 0;
    for (int i = 0; i < WBI_SHM_IMPORT_BUCKETS; i++) {
        struct wbi_shm_list *bucket = &imports->buckets[i];
        for (struct wbi_shm_list *at = bucket->next; at != bucket;) {
            struct wbi_shm_import *import = WBI_SHM_OF(at, struct wbi_shm_import, node);
            at = at->next;
            bool confirmed = false;
            int moved = settle_one(imports, import, socket, &confirmed);
            if (moved < 0) {
                return moved;
            }
            done += moved;
            if (confirmed) {
                wbi_shm_list_remove(&import->node);
                imports->count--;
                /* The worker may still be inside finished(). */
                wbi_shm_worker_abandon(imports->worker, &import->job, run_nothing);
            } else if (import->gone || wbi_shm_import_state(import) == WBI_SHM_MAPPING) {
                imports->unsettled++;
            }
        }
    }
    return done;
}
