#include "mr_cache/cache.h"

#include <stdlib.h>

#include "mr_cache/blocks.h"
#include "mr_cache/caches.h"
#include "mr_cache/checks.h"
#include "mr_cache/loan.h"
#include "mr_cache/shrink.h"
#include "mr_cache/slab.h"

enum {
    BATCH_BYTES = 64 << 10, /* that one visit to the mutex brings, */
    BATCH_BLOCKS = 64,      /* or so many blocks, */
    BATCH_LEAST = 4,        /* and so many where the cache is large */
    CLASS_BLOCKS = 512      /* that a class can have at most */
};

static struct wbi_spare no_blocks[1]; /* of a class that was never used; nobody writes to it */

/* ---- inside a cache: by its owner, or by the holder of the mutex who has claimed it ---- */

static size_t bytes_of(const struct wbi_cache *cache, unsigned class_index)
{
    return cache->pool->classes[class_index].block_bytes;
}

/* Blocks that a class takes and gives back at once. */
static unsigned batch_of(const struct wbi_cache *cache, unsigned class_index)
{
    size_t bytes = bytes_of(cache, class_index), batch = BATCH_BYTES / bytes;
    size_t limit = atomic_load_explicit(&cache->bytes_limit, memory_order_relaxed);

    if (batch < BATCH_LEAST)
        batch = BATCH_LEAST * bytes <= limit / 4 ? BATCH_LEAST : 1;
    return batch < BATCH_BLOCKS ? (unsigned)batch : BATCH_BLOCKS;
}

static void put(struct wbi_cache *cache, unsigned class_index, struct wb_rma_block *block)
{
    *++cache->top[class_index] = (struct wbi_spare){.block = block, .data = block->data};
}

/* Takes the last `count` blocks of a class that has so many, as a chain. */
static struct wb_rma_block *take_chain(struct wbi_cache *cache, unsigned class_index, size_t count)
{
    struct wb_rma_block *chain = NULL;

    for (size_t i = 0; i < count; i++) {
        struct wb_rma_block *block = (cache->top[class_index]--)->block;
        block->next = chain;
        chain = block;
    }
    return chain;
}

static void count_large_bytes(struct wbi_cache *cache, size_t bytes)
{
    cache->large_bytes += bytes;
    cache->reserved += bytes;
}

static struct wb_rma_block *take_large_at(struct wbi_cache *cache, unsigned place)
{
    struct wb_rma_block *block = cache->large[place];
    unsigned count = cache->large_count;

    for (unsigned i = place + 1; i < count; i++)
        cache->large[i - 1] = cache->large[i];
    cache->large_count--;
    count_large_bytes(cache, -block->run->block_bytes);
    block->next = NULL;
    return block;
}

static bool has_room(const struct wbi_cache *cache, size_t bytes)
{
    return cache->reserved + bytes <=
           atomic_load_explicit(&cache->bytes_limit, memory_order_relaxed);
}

/* Gives an array to a class that has none. */
static bool make_array(struct wbi_cache *cache, unsigned class_index)
{
    struct wbi_spare *blocks = calloc(1 + CLASS_BLOCKS, sizeof(*blocks));

    if (!blocks)
        return false;
    cache->blocks[class_index] = cache->top[class_index] = cache->end[class_index] = blocks;
    return true;
}

/* Raises the limit of a class by a batch, if there is room. */
static bool raise_limit(struct wbi_cache *cache, unsigned class_index)
{
    unsigned batch = batch_of(cache, class_index);
    size_t bytes = batch * bytes_of(cache, class_index);

    if (!has_room(cache, bytes) || wbi_cache_limit(cache, class_index) + batch > CLASS_BLOCKS)
        return false;
    if (cache->blocks[class_index] == no_blocks && !make_array(cache, class_index))
        return false;
    cache->end[class_index] += batch;
    cache->reserved += bytes;
    return true;
}

/* ---- back to the pool ---- */

/* Without the mutex. */
static void push_returns(struct wb_rma_allocator *pool, struct wb_rma_block *chain)
{
    struct wb_rma_block *last = chain;
    struct wb_rma_block *head = atomic_load_explicit(&pool->returns, memory_order_relaxed);

    while (last->next)
        last = last->next;
    do
        last->next = head;
    while (!atomic_compare_exchange_weak_explicit(&pool->returns, &head, chain,
                                                  memory_order_release, memory_order_relaxed));
}

static bool give_chain(struct wb_rma_allocator *pool, struct wb_rma_block *chain)
{
    bool any = chain != NULL;

    while (chain) {
        struct wb_rma_block *block = chain;
        chain = block->next;
        wbi_blocks_give(pool, block);
    }
    return any;
}

/* Takes the whole list of returns, which is mostly empty. */
static struct wb_rma_block *pop_returns(struct wb_rma_allocator *pool)
{
    return atomic_load_explicit(&pool->returns, memory_order_relaxed)
               ? atomic_exchange_explicit(&pool->returns, NULL, memory_order_acquire)
               : NULL;
}

void wbi_caches_take_returns(struct wb_rma_allocator *pool)
{
    (void)give_chain(pool, pop_returns(pool));
}

static bool has_place(struct wbi_cache *cache, unsigned class_index)
{
    return cache->top[class_index] < cache->end[class_index] || raise_limit(cache, class_index);
}

struct wb_rma_block *wbi_cache_take_returned(struct wb_rma_allocator *pool, unsigned class_index)
{
    struct wb_rma_block *chain = pop_returns(pool), *found = NULL;

    if (!chain)
        return NULL;
    struct wbi_cache *cache = wbi_cache_last;
    if (class_index == WBI_NO_CLASS || !wbi_cache_enter(cache, pool->serial)) {
        (void)give_chain(pool, chain);
        return NULL;
    }
    while (chain) {
        struct wb_rma_block *block = chain;
        chain = block->next;
        if (block->run->class_index == class_index && !found)
            found = block;
        else if (block->run->class_index == class_index && has_place(cache, class_index))
            put(cache, class_index, block);
        else
            wbi_blocks_give(pool, block);
    }
    wbi_cache_leave(cache);
    return found;
}

bool wbi_cache_empty(struct wbi_cache *cache)
{
    bool any = false;

    for (unsigned i = 0; i < WBI_CLASSES; i++) {
        any |= give_chain(cache->pool, take_chain(cache, i, wbi_cache_count(cache, i)));
        cache->end[i] = cache->blocks[i];
    }
    while (cache->large_count)
        any |= give_chain(cache->pool, take_large_at(cache, 0));
    cache->reserved = 0;
    return any;
}

/* Halves the limit of a class, and gives back what exceeds it. */
static void lower_limit(struct wbi_cache *cache, unsigned class_index)
{
    size_t limit = wbi_cache_limit(cache, class_index), taken = limit - limit / 2;

    cache->end[class_index] -= taken;
    cache->reserved -= taken * bytes_of(cache, class_index);
    if (cache->top[class_index] > cache->end[class_index])
        push_returns(cache->pool,
                     take_chain(cache, class_index,
                                (size_t)(cache->top[class_index] - cache->end[class_index])));
}

/* The class whose turn it is to have its limit lowered for the sake of others. */
static unsigned next_victim(struct wbi_cache *cache)
{
    cache->victim = (cache->victim + 1) % WBI_CLASSES;
    return cache->victim;
}

/* Whether the limit of a class may still be raised, at the cost of others. */
static bool may_rise(const struct wbi_cache *cache, unsigned class_index)
{
    size_t wanted = wbi_cache_limit(cache, class_index) + batch_of(cache, class_index);

    return wanted <= CLASS_BLOCKS &&
           wanted * bytes_of(cache, class_index) + cache->large_bytes <=
               atomic_load_explicit(&cache->bytes_limit, memory_order_relaxed);
}

void wbi_cache_overflow(struct wbi_cache *cache, struct wb_rma_block *block)
{
    unsigned class_index = block->run->class_index;

    /* Each class that wants more lowers the others in turn: what is not used has soon no limit. */
    if (may_rise(cache, class_index)) {
        for (unsigned i = 0; i < WBI_CLASSES && !raise_limit(cache, class_index); i++) {
            unsigned victim = next_victim(cache);
            if (victim != class_index)
                lower_limit(cache, victim);
        }
    }
    size_t count = wbi_cache_count(cache, class_index), batch = batch_of(cache, class_index);
    if (count && count == wbi_cache_limit(cache, class_index))
        push_returns(cache->pool, take_chain(cache, class_index, count < batch ? count : batch));
    if (wbi_cache_limit(cache, class_index)) {
        put(cache, class_index, block);
    } else {
        block->next = NULL;
        push_returns(cache->pool, block);
    }
    wbi_cache_leave(cache);
}

struct wbi_cache *wbi_cache_create(void)
{
    struct wbi_cache *cache = calloc(1, sizeof(*cache));

    for (unsigned i = 0; cache && i < WBI_CLASSES; i++)
        cache->blocks[i] = cache->top[i] = cache->end[i] = no_blocks;
    return cache;
}

void wbi_cache_free(struct wbi_cache *cache)
{
    for (unsigned i = 0; i < WBI_CLASSES; i++)
        if (cache->blocks[i] != no_blocks)
            free(cache->blocks[i]);
    free(cache);
}

/* ---- the owner's slower ways ---- */

struct wb_rma_block *wbi_cache_take_large(const struct wb_rma_allocator *pool, size_t block_bytes)
{
    struct wbi_cache *cache = wbi_cache_last;
    struct wb_rma_block *block = NULL;

    if (!wbi_cache_enter(cache, pool->serial))
        return NULL;
    for (unsigned i = cache->large_count; i-- > 0;) {
        if (cache->large[i]->run->block_bytes == block_bytes) {
            block = take_large_at(cache, i);
            break;
        }
    }
    wbi_cache_leave(cache);
    return block;
}

/* Puts a large block into a cache, in place of the oldest where large ones have their half, and of
 * what the classes have beyond theirs. Says whether it did. The owner is inside. */
static bool put_large(struct wbi_cache *cache, struct wb_rma_block *block)
{
    size_t half = atomic_load_explicit(&cache->bytes_limit, memory_order_relaxed) / 2;
    size_t bytes = block->run->block_bytes;

    if (bytes > half)
        return false;
    while (cache->large_count &&
           (cache->large_bytes + bytes > half || cache->large_count == WBI_CACHE_LARGE))
        push_returns(cache->pool, take_large_at(cache, 0));
    while (!has_room(cache, bytes)) {
        if (cache->reserved == cache->large_bytes) /* the limit has sunk meanwhile */
            return false;
        lower_limit(cache, next_victim(cache));
    }
    cache->large[cache->large_count++] = block;
    count_large_bytes(cache, bytes);
    return true;
}

/* Gives a block to the pool itself, and buries its slab if it was the last thing that kept it. */
static void give_to_pool(struct wb_rma_block *block)
{
    struct wbi_slab *slab = block->run->slab;
    struct wb_rma_allocator *pool = slab->pool;

    if (pool->checks) {
        wbi_checks_end(block);
        wbi_checks_books(pool);
    }
    pthread_mutex_lock(&pool->mutex);
    wbi_caches_take_returns(pool);
    wbi_shrink_watch(pool);
    wbi_blocks_give(pool, block);
    wbi_caches_relax(pool);
    bool over = wbi_slab_is_over(slab);
    pthread_mutex_unlock(&pool->mutex);
    if (over) {
        wbi_slab_bury(slab);
        wbi_loans_release();
    }
}

void wbi_cache_give_back_slowly(struct wb_rma_block *block)
{
    struct wbi_run *run = block->run;
    struct wb_rma_allocator *pool = run->slab->pool;
    struct wbi_cache *cache = wbi_caches_obtain(pool);

    if (!cache || !wbi_cache_enter(cache, pool->serial)) {
        give_to_pool(block);
        return;
    }
    if (run->class_index != WBI_NO_CLASS) {
        wbi_cache_put(cache, run->class_index, block, block->data);
        return;
    }
    bool taken = put_large(cache, block);
    wbi_cache_leave(cache);
    if (!taken)
        give_to_pool(block);
}

void wbi_cache_refill(struct wb_rma_allocator *pool, const struct wbi_need *need)
{
    unsigned class_index = need->class_index;
    struct wbi_cache *cache = wbi_cache_last;

    if (class_index == WBI_NO_CLASS || !wbi_cache_enter(cache, pool->serial))
        return;
    if (!wbi_cache_limit(cache, class_index))
        (void)raise_limit(cache, class_index);
    for (unsigned i = 1;
         i < batch_of(cache, class_index) && cache->top[class_index] < cache->end[class_index];
         i++) {
        struct wb_rma_block *block = wbi_blocks_take_carved(pool, need);
        if (!block)
            break;
        put(cache, class_index, block);
    }
    wbi_cache_leave(cache);
}

bool wbi_cache_empty_own(struct wb_rma_allocator *pool)
{
    struct wbi_cache *cache = wbi_cache_last;

    if (!wbi_cache_enter(cache, pool->serial))
        return false;
    bool any = wbi_cache_empty(cache);
    wbi_cache_leave(cache);
    return any;
}
