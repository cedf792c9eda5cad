/* The actions of an engine, by id. Written under a mutex, read without one: entries are never moved
 * or removed while the engine lives. */
#ifndef WBI_ENGINE_REGISTRY_H
#define WBI_ENGINE_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <waybill/action.h>

struct wbi_entry {
    uint64_t id, signature;
    wb_serve_fn serve;
    void (*handler)(void);
    void *user;
    const char *name;
    const struct wb_field *in;          /* of its arguments; static storage */
    const struct wb_executor *executor; /* on which the handler runs, borrowed; NULL: on the lane */
    struct wbi_entry *next;             /* in its bucket; set before the entry is published */
};

enum { WBI_REGISTRY_BUCKETS = 256 };

struct wbi_registry {
    pthread_mutex_t writing;
    _Atomic(struct wbi_entry *) buckets[WBI_REGISTRY_BUCKETS];
};

void wbi_registry_open(struct wbi_registry *registry);
void wbi_registry_close(struct wbi_registry *registry);

/* The entry of an action, or NULL. Any thread, no lock. */
static inline const struct wbi_entry *wbi_registry_find(struct wbi_registry *registry, uint64_t id)
{
    const struct wbi_entry *entry =
        atomic_load_explicit(&registry->buckets[id % WBI_REGISTRY_BUCKETS], memory_order_acquire);
    while (entry != NULL && entry->id != id) {
        entry = entry->next;
    }
    return entry;
}

#endif
