/*
 * Plain memory for the parts of a reply that are offered by themselves (its long archive, its
 * list), where the pool has no room: a handler has run, and what it has done is not to be lost for
 * want of memory that others hold. Such a part is registered for the parcel, as the program's
 * memory is.
 */
#ifndef WBI_ENGINE_PLAIN_H
#define WBI_ENGINE_PLAIN_H

#include <stddef.h>

struct wb_buffer_owner;

struct wbi_plain {
    struct wb_buffer_owner *owner; /* one reference; NULL: there is none */
    void *data;                    /* as a block begins, and with zeros up to where one would end */
};

/* Gets `bytes` of it. WB_ERR_NO_MEMORY with words; *out is then empty. Any thread. */
int wbi_plain_get(size_t bytes, struct wbi_plain *out);

/* Gives it back and empties *plain; accepts an empty one. Any thread. */
void wbi_plain_give(struct wbi_plain *plain);

#endif
