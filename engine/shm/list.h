/* An intrusive ring of nodes with a head. Locking is the caller's business. */
#ifndef WBI_SHM_LIST_H
#define WBI_SHM_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A node that is in no list, and the head of an empty one, points to itself. */
struct wbi_shm_list {
    struct wbi_shm_list *next, *prev;
};

/* The struct of `type` whose `member` is *node. */
#define WBI_SHM_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void wbi_shm_list_init(struct wbi_shm_list *node)
{
    node->next = node->prev = node;
}

static inline bool wbi_shm_list_empty(const struct wbi_shm_list *head)
{
    return head->next == head;
}

static inline void wbi_shm_list_append(struct wbi_shm_list *head, struct wbi_shm_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Takes the node out of its list; one that is in none stays so. */
static inline void wbi_shm_list_remove(struct wbi_shm_list *node)
{
    node->prev->next = node->next; // NOLINT(clang-analyzer-unix.Malloc): see drop_notices
    node->next->prev = node->prev;
    wbi_shm_list_init(node);
}

/* Takes out the first node, or returns NULL. */
static inline struct wbi_shm_list *wbi_shm_list_pop(struct wbi_shm_list *head)
{
    struct wbi_shm_list *first = head->next;
    if (first == head) {
        return NULL;
    }
    wbi_shm_list_remove(first);
    return first;
}

#endif
