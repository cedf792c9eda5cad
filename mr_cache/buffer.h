/* What keeps a buffer's counted memory: one reference for each handle, and one for each lease. */
#ifndef WBI_MR_CACHE_BUFFER_H
#define WBI_MR_CACHE_BUFFER_H

#include <stdatomic.h>
#include <waybill/buffer.h>

/* Ended exactly once, after the last reference. At most one of release and free_memory is set. */
struct wb_buffer_owner {
    atomic_uint refs;
    wb_buffer_release release;
    void *context;
    void (*free_memory)(void *);
    void *memory;     /* for free_memory */
    const void *data; /* for release, as the program gave it */
    size_t len;
    struct wb_buffer_owner *next; /* of those whose end is put off; whoever ends it may use it */
};

/* Takes a reference. Any thread that knows of another. */
void wbi_buffer_owner_ref(struct wb_buffer_owner *owner);

/* Gives a reference back. True: it was the last, and the caller owes wbi_buffer_owner_end, now or
 * where a callback may run. Any thread. */
bool wbi_buffer_owner_unref(struct wb_buffer_owner *owner);

/* Calls the program back and frees the owner. */
void wbi_buffer_owner_end(struct wb_buffer_owner *owner);

#endif
