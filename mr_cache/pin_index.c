#include "mr_cache/pin_index.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_ROOM = 16 };

bool wbi_pin_index_open(struct wbi_pin_index *index, uint32_t count)
{
    uint32_t room = LEAST_ROOM;
    while (room <= count) {
        room *= 2;
    }
    /* both in one: the ranges, then the tree */
    struct wbi_pin_range *ranges = calloc(room, sizeof *ranges + 2 * sizeof(uintptr_t));
    if (ranges == NULL) {
        return false;
    }
    *index = (struct wbi_pin_index){
        .room = room, .ranges = ranges, .most = (uintptr_t *)(void *)(ranges + room)};
    return true;
}

void wbi_pin_index_close(struct wbi_pin_index *index)
{
    free(index->ranges);
    *index = (struct wbi_pin_index){0};
}

bool wbi_pin_index_holds(const struct wbi_pin_index *index, uint32_t count)
{
    return count < index->room;
}

static bool comes_before(const struct wbi_pin_range *range, uintptr_t base, uintptr_t end)
{
    return range->base < base || (range->base == base && range->end > end);
}

/* How many ranges come before [base, end). */
static uint32_t rank(const struct wbi_pin_index *index, uintptr_t base, uintptr_t end)
{
    uint32_t low = 0, high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (comes_before(&index->ranges[middle], base, end)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uintptr_t larger(uintptr_t a, uintptr_t b)
{
    return a > b ? a : b;
}

static void reckon(struct wbi_pin_index *index)
{
    for (uint32_t i = 0; i < index->room; i++) {
        index->most[index->room + i] = i < index->count ? index->ranges[i].end : 0;
    }
    for (uint32_t i = index->room; i-- > 1;) {
        index->most[i] = larger(index->most[2 * i], index->most[2 * i + 1]);
    }
}

/* So many ranges, from one place to another. */
static void copy(struct wbi_pin_index *to, uint32_t at, const struct wbi_pin_index *from,
                 uint32_t first, uint32_t count)
{
    if (count > 0) {
        memcpy(to->ranges + at, from->ranges + first, count * sizeof *to->ranges);
    }
}

void wbi_pin_index_with(struct wbi_pin_index *to, const struct wbi_pin_index *from,
                        const struct wbi_pin_range *range)
{
    uint32_t at = rank(from, range->base, range->end);
    copy(to, 0, from, 0, at);
    to->ranges[at] = *range;
    copy(to, at + 1, from, at, from->count - at);
    to->count = from->count + 1;
    reckon(to);
}

void wbi_pin_index_without(struct wbi_pin_index *to, const struct wbi_pin_index *from,
                           uint32_t gone)
{
    copy(to, 0, from, 0, gone);
    copy(to, gone, from, gone + 1, from->count - gone - 1);
    to->count = from->count - 1;
    reckon(to);
}

/* The last leaf below `node` that reaches `end`; there is one. */
static uint32_t last_below(const struct wbi_pin_index *index, uint32_t node, uintptr_t end)
{
    while (node < index->room) {
        node = index->most[2 * node + 1] >= end ? 2 * node + 1 : 2 * node;
    }
    return node - index->room;
}

int64_t wbi_pin_index_find(const struct wbi_pin_index *index, uintptr_t base, uintptr_t end,
                           uint32_t before)
{
    if (index->count == 0) {
        return -1;
    }
    /* those that begin at base or earlier, whatever their end */
    uint32_t limit = rank(index, base, 0);
    limit = limit < before ? limit : before;
    /* whatever hangs to the left of the way from that leaf to the root comes before it */
    for (uint32_t node = index->room + limit; node > 1; node /= 2) {
        if (node % 2 == 1 && index->most[node - 1] >= end) {
            return last_below(index, node - 1, end);
        }
    }
    return -1;
}

int64_t wbi_pin_index_exact(const struct wbi_pin_index *index, uintptr_t base, uintptr_t end)
{
    uint32_t at = rank(index, base, end);
    bool is_there =
        at < index->count && index->ranges[at].base == base && index->ranges[at].end == end;
    return is_there ? (int64_t)at : -1;
}
