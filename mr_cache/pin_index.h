/*
 * Which ranges are pinned: an index of intervals that may nest, overlap and touch, each there once.
 * A pure data structure: it neither allocates on changing nor locks. A change is a copy: from one
 * index into another that has room, so that others may go on searching the old one meanwhile.
 *
 *   ranges[0 .. count)   by base, then the larger first: those that contain a range come before it
 *   most[1 .. 2 * room)  a tree of maxima over the ends: most[room + i] is the end of range i (0:
 *                        none), most[n] the larger of most[2n] and most[2n + 1]
 */
#ifndef WBI_MR_CACHE_PIN_INDEX_H
#define WBI_MR_CACHE_PIN_INDEX_H

#include <stdbool.h>
#include <stdint.h>

/* [base, end), not empty. */
struct wbi_pin_range {
    uintptr_t base, end;
    void *owner;
};

/* Invariant: count < room, a power of two; or room is 0. */
struct wbi_pin_index {
    uint32_t count, room;
    struct wbi_pin_range *ranges;
    uintptr_t *most;
};

/* Makes an empty index that can hold `count` ranges, at most 2^30. False: no memory, and nothing
 * has changed. The caller ends it with wbi_pin_index_close, which accepts a zeroed one. */
bool wbi_pin_index_open(struct wbi_pin_index *index, uint32_t count);
void wbi_pin_index_close(struct wbi_pin_index *index);

/* Whether the index has room for so many. */
bool wbi_pin_index_holds(const struct wbi_pin_index *index, uint32_t count);

/* Makes `to` hold what `from` does and `range`, or all but range number `gone`. `to` has the room,
 * and is not `from`. O(room). */
void wbi_pin_index_with(struct wbi_pin_index *to, const struct wbi_pin_index *from,
                        const struct wbi_pin_range *range);
void wbi_pin_index_without(struct wbi_pin_index *to, const struct wbi_pin_index *from,
                           uint32_t gone);

/*
 * The last range before number `before` that contains [base, end): its number, or -1. With before
 * == count the innermost of those that nest; from one's number on, the next further out. O(log
 * room).
 */
int64_t wbi_pin_index_find(const struct wbi_pin_index *index, uintptr_t base, uintptr_t end,
                           uint32_t before);

/* The range that is exactly [base, end): its number, or -1. O(log room). */
int64_t wbi_pin_index_exact(const struct wbi_pin_index *index, uintptr_t base, uintptr_t end);

#endif
