#include <waybill/action.h>

#include "serial/hash.h"

void wb_action_prepare(struct wb_action *action)
{
    if (atomic_load_explicit(&action->id, memory_order_acquire) != 0) {
        return;
    }
    /* Threads that meet here store the same values. The id goes last: who sees it sees the
     * signature. */
    atomic_store_explicit(&action->signature, wbi_hash_signature(action->in, action->out),
                          memory_order_relaxed);
    atomic_store_explicit(&action->id, wbi_hash_name(action->name), memory_order_release);
}
