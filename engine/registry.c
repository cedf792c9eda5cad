#include "engine/registry.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

void wbi_registry_open(struct wbi_registry *registry)
{
    pthread_mutex_init(&registry->writing, NULL);
}

void wbi_registry_close(struct wbi_registry *registry)
{
    for (unsigned i = 0; i < WBI_REGISTRY_BUCKETS; i++) {
        struct wbi_entry *entry = atomic_load(&registry->buckets[i]);
        while (entry != NULL) {
            struct wbi_entry *next = entry->next;
            free(entry);
            entry = next;
        }
    }
    pthread_mutex_destroy(&registry->writing);
}

/* Adds the entry, unless there is one with its id already, which is returned. */
static const struct wbi_entry *publish(struct wbi_registry *registry, struct wbi_entry *entry)
{
    _Atomic(struct wbi_entry *) *bucket = &registry->buckets[entry->id % WBI_REGISTRY_BUCKETS];
    pthread_mutex_lock(&registry->writing);
    const struct wbi_entry *present = wbi_registry_find(registry, entry->id);
    if (present == NULL) {
        entry->next = atomic_load_explicit(bucket, memory_order_relaxed);
        atomic_store_explicit(bucket, entry, memory_order_release);
    }
    pthread_mutex_unlock(&registry->writing);
    return present;
}

/* Behind an added field stand only added ones: what an older program does not know is the end. */
static bool is_in_order(const struct wb_field *field)
{
    bool added = false;
    for (; field->kind != NULL; field++) {
        bool is_added = strcmp(field->kind, "ADDED") == 0;
        if (added && !is_added) {
            return false;
        }
        added = is_added;
    }
    return true;
}

int wb_action_register(struct wb_engine *engine, struct wb_action *action, wb_serve_fn serve,
                       void (*handler)(void), void *user, const struct wb_executor *executor)
{
    if (engine == NULL || action == NULL || serve == NULL || handler == NULL) {
        return wbi_error(WB_ERR_INVALID, "registering an action needs an engine and a handler");
    }
    if (executor != NULL && executor->run == NULL) {
        return wbi_error(WB_ERR_INVALID, "action %s: an executor that runs nothing", action->name);
    }
    if (!is_in_order(action->in) || !is_in_order(action->out)) {
        return wbi_error(WB_ERR_INVALID, "action %s: a field stands behind one that was added",
                         action->name);
    }
    struct wbi_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory to register action %s", action->name);
    }
    wb_action_prepare(action);
    *entry = (struct wbi_entry){.id = atomic_load(&action->id),
                                .signature = atomic_load(&action->signature),
                                .serve = serve,
                                .handler = handler,
                                .user = user,
                                .name = action->name,
                                .in = action->in,
                                .executor = executor};
    const struct wbi_entry *present = publish(&engine->registry, entry);
    if (present != NULL) {
        free(entry);
        return wbi_error(WB_ERR_EXISTS, "action %s: %s is registered already", action->name,
                         present->name);
    }
    return WB_OK;
}
