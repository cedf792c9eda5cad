#include "engine/shm/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/fabric.h"

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wbi_shm_list table = {.next = &table, .prev = &table};

/* Under the lock. */
static struct wbi_shm_mapping *find(dev_t dev, ino_t ino)
{
    for (struct wbi_shm_list *at = table.next; at != &table; at = at->next) {
        struct wbi_shm_mapping *mapping = WBI_SHM_OF(at, struct wbi_shm_mapping, in_table);
        if (mapping->dev == dev && mapping->ino == ino) {
            return mapping;
        }
    }
    return NULL;
}

static struct wbi_shm_mapping *new_mapping(const struct stat *file, void *base, bool writable)
{
    struct wbi_shm_mapping *mapping = calloc(1, sizeof *mapping);
    if (mapping) {
        mapping->base = base;
        mapping->bytes = (size_t)file->st_size;
        mapping->writable = writable;
        mapping->dev = file->st_dev;
        mapping->ino = file->st_ino;
        mapping->refs = 1;
        wbi_shm_list_init(&mapping->in_table);
    }
    return mapping;
}

/* Whether all of the file has pages: to populate a sparse one would be to allocate what its maker
 * only claims. */
static bool is_full(int fd, size_t bytes)
{
    struct stat seen;
    return fstat(fd, &seen) == 0 && (uint64_t)seen.st_blocks * 512 >= bytes;
}

static int map_file(int fd, size_t bytes, bool writable, bool populate, void **base)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    int flags = MAP_SHARED | (populate && is_full(fd, bytes) ? MAP_POPULATE : 0);
    void *at = mmap(NULL, bytes, protection, flags, fd, 0);
    if (at == MAP_FAILED) {
        return wbi_error(errno == ENOMEM ? WB_ERR_NO_MEMORY : WB_ERR_SYSTEM,
                         "mmap of %zu bytes of shared memory: %s", bytes, strerror(errno));
    }
    madvise(at, bytes, MADV_DONTFORK);
    *base = at;
    return WB_OK;
}

int wbi_shm_mapping_create(const char *name, size_t bytes, int seals, struct wbi_shm_mapping **out,
                           int *fd)
{
    int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) {
        return wbi_error(WB_ERR_SYSTEM, "memfd_create: %s", strerror(errno));
    }
    int status;
    void *base = NULL;
    struct stat stat;
    if (ftruncate(file, (off_t)bytes) != 0 || fstat(file, &stat) != 0) {
        status = wbi_error(WB_ERR_SYSTEM, "ftruncate of a memfd to %zu bytes: %s", bytes,
                           strerror(errno));
        goto close_file;
    }
    status = map_file(file, bytes, true, false, &base);
    if (status != WB_OK) {
        goto close_file;
    }
    if (fcntl(file, F_ADD_SEALS, seals) != 0) {
        status = wbi_error(WB_ERR_SYSTEM, "sealing a memfd: %s", strerror(errno));
        goto unmap;
    }
    struct wbi_shm_mapping *mapping = new_mapping(&stat, base, true);
    if (!mapping) {
        status = wbi_error(WB_ERR_NO_MEMORY, "no memory for a mapping");
        goto unmap;
    }
    pthread_mutex_lock(&table_lock);
    wbi_shm_list_append(&table, &mapping->in_table);
    pthread_mutex_unlock(&table_lock);
    *out = mapping;
    *fd = file;
    return WB_OK;

unmap:
    munmap(base, bytes);
close_file:
    close(file);
    return status;
}

const char *wbi_shm_mapping_check(int fd, bool writable, size_t *bytes)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat stat;
    if (seals < 0 || fstat(fd, &stat) != 0) {
        return "is no memfd";
    }
    if (!(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_GROW)) {
        return "is not sealed against shrinking and growing";
    }
    /* What we are to write to must be no slab of ours that comes back to us. */
    if (writable && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
        return "is sealed against writing";
    }
    if (stat.st_size <= 0) {
        return "is empty";
    }
    *bytes = (size_t)stat.st_size;
    return NULL;
}

/* Under the lock: one more reference to a mapping of this file, where there is one. */
static int take_existing(const struct stat *file, bool writable, struct wbi_shm_mapping **out)
{
    struct wbi_shm_mapping *mapping = find(file->st_dev, file->st_ino);
    if (!mapping) {
        return WB_AGAIN;
    }
    if (writable && !mapping->writable) {
        return WB_ERR_PROTOCOL;
    }
    mapping->refs++;
    *out = mapping;
    return WB_OK;
}

int wbi_shm_mapping_open(int fd, bool writable, bool populate, struct wbi_shm_mapping **out)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return wbi_error(WB_ERR_SYSTEM, "fstat of a memfd: %s", strerror(errno));
    }
    pthread_mutex_lock(&table_lock);
    int status = take_existing(&stat, writable, out);
    pthread_mutex_unlock(&table_lock);
    if (status != WB_AGAIN) {
        return status;
    }
    /* Mapping may take long, so it is done without the lock; who comes second gives its own up. */
    void *base = NULL;
    status = map_file(fd, (size_t)stat.st_size, writable, populate, &base);
    if (status != WB_OK) {
        return status;
    }
    struct wbi_shm_mapping *mapping = new_mapping(&stat, base, writable);
    if (!mapping) {
        munmap(base, (size_t)stat.st_size);
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a mapping");
    }
    pthread_mutex_lock(&table_lock);
    status = take_existing(&stat, writable, out);
    if (status == WB_AGAIN) {
        wbi_shm_list_append(&table, &mapping->in_table);
        *out = mapping;
        mapping = NULL;
        status = WB_OK;
    }
    pthread_mutex_unlock(&table_lock);
    if (mapping) {
        munmap(base, (size_t)stat.st_size);
        free(mapping);
    }
    return status;
}

int wbi_shm_mapping_adopt(int fd, void *base, size_t bytes, struct wbi_shm_mapping **out)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return wbi_error(WB_ERR_SYSTEM, "fstat of a slab: %s", strerror(errno));
    }
    struct wbi_shm_mapping *fresh = new_mapping(&stat, base, true);
    if (!fresh) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a mapping");
    }
    fresh->adopted = true;
    fresh->bytes = bytes;
    pthread_mutex_lock(&table_lock);
    struct wbi_shm_mapping *mapping = find(stat.st_dev, stat.st_ino);
    if (mapping) {
        mapping->refs++;
    } else {
        mapping = fresh;
        fresh = NULL;
        wbi_shm_list_append(&table, &mapping->in_table);
    }
    mapping->adopters++;
    pthread_mutex_unlock(&table_lock);
    free(fresh);
    *out = mapping;
    return WB_OK;
}

void wbi_shm_mapping_disown(struct wbi_shm_mapping *mapping)
{
    if (!mapping) {
        return;
    }
    pthread_mutex_lock(&table_lock);
    bool last = --mapping->adopters == 0 && mapping->adopted;
    if (last) {
        /* Out of the table at once: the file's number may come round again. */
        wbi_shm_list_remove(&mapping->in_table);
        atomic_store(&mapping->gone, 1);
    }
    pthread_mutex_unlock(&table_lock);
    if (last) {
        uint32_t visitors;
        while ((visitors = atomic_load(&mapping->visitors)) != 0) {
            wbi_park(&mapping->visitors, visitors, 20);
        }
    }
    wbi_shm_mapping_drop(mapping);
}

void wbi_shm_mapping_drop(struct wbi_shm_mapping *mapping)
{
    if (!mapping) {
        return;
    }
    pthread_mutex_lock(&table_lock);
    bool last = --mapping->refs == 0;
    if (last) {
        wbi_shm_list_remove(&mapping->in_table);
    }
    pthread_mutex_unlock(&table_lock);
    if (last) {
        if (!mapping->adopted) {
            munmap(mapping->base, mapping->bytes);
        }
        free(mapping);
    }
}
