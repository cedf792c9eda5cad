/* The pool's figures, and its text. */
#include <inttypes.h>
#include <stdio.h>

#include "mr_cache/caches.h"

static const char *const kinds[WB_PAGES_KINDS] = {"small", "transparent", "2m", "1g"};

/* The mutex is held. */
static struct wb_rma_stats figures_of(struct wb_rma_allocator *pool)
{
    wbi_caches_take_returns(pool);
    struct wbi_cached cached = wbi_caches_sum(pool);
    struct wb_rma_stats stats = {
        .budget_bytes = pool->budget_bytes,
        .slab_bytes = pool->charged - pool->growing,
        .used_bytes = pool->used_bytes - cached.bytes,
        .cached_bytes = cached.bytes,
        .leaving_bytes = pool->leaving,
        .idle_bytes = pool->idle,
        .leased_bytes = atomic_load_explicit(&pool->leased_bytes, memory_order_relaxed),
        .quarantined_bytes = atomic_load_explicit(&pool->quarantined_bytes, memory_order_relaxed),
        .pinned_bytes = pool->pinned_bytes,
        .lent_bytes = pool->lent_bytes,
        .peak_used_bytes = pool->peak_used_bytes,
        .slabs = pool->slab_count,
        .registrations = pool->registrations,
        .blocks = pool->blocks - cached.blocks,
        .waits = pool->waits,
        .engine_budget_bytes = pool->budget->limit_bytes,
    };
    for (unsigned i = 0; i < WB_PAGES_KINDS; i++)
        stats.page_bytes[i] = pool->page_bytes[i];
    stats.huge_page_bytes = stats.page_bytes[WB_PAGES_TRANSPARENT] + stats.page_bytes[WB_PAGES_2M] +
                            stats.page_bytes[WB_PAGES_1G];
    uint64_t taken = stats.used_bytes + stats.cached_bytes + stats.leaving_bytes;
    stats.free_bytes = stats.slab_bytes > taken ? stats.slab_bytes - taken : 0;
    stats.registrations_avoided =
        pool->allocations > pool->registrations ? pool->allocations - pool->registrations : 0;
    return stats;
}

static void add_shared(struct wbi_budget *budget, struct wb_rma_stats *stats)
{
    pthread_mutex_lock(&budget->mutex);
    stats->engine_slab_bytes = budget->charged;
    stats->engine_peak_bytes = budget->peak_charged;
    pthread_mutex_unlock(&budget->mutex);
}

void wb_rma_allocator_stats(struct wb_rma_allocator *pool, struct wb_rma_stats *stats)
{
    pthread_mutex_lock(&pool->mutex);
    *stats = figures_of(pool);
    pthread_mutex_unlock(&pool->mutex);
    add_shared(pool->budget, stats);
}

/* ---- the text ---- */

/* How the blocks of one size, or runs of pages, stand. */
struct occupancy {
    uint64_t runs, capacity, held;
};

struct survey {
    struct occupancy classes[WBI_CLASSES + 1]; /* the last: blocks above the classes */
    uint64_t large_bytes;
    uint64_t free_pages_bytes, free_pieces, largest_piece;
};

static void survey_slab(const struct wbi_slab *slab, struct survey *survey)
{
    for (uint32_t page = 0; page < slab->page_count;) {
        const struct wbi_run *run = &slab->runs[page];
        if (run->state == WBI_RUN_FREE) {
            uint64_t bytes =
                slab->dedicated ? slab->region.bytes : (uint64_t)run->pages << slab->page_shift;
            survey->free_pages_bytes += bytes;
            survey->free_pieces++;
            if (bytes > survey->largest_piece)
                survey->largest_piece = bytes;
        } else if (run->state == WBI_RUN_CARVED) {
            struct occupancy *of = &survey->classes[run->class_index];
            of->runs++;
            of->capacity += run->capacity;
            of->held += run->used;
            survey->large_bytes += run->class_index == WBI_NO_CLASS ? run->block_bytes : 0;
        }
        page += run->pages;
    }
}

/* What has been written, and what would have been. */
struct writing {
    char *text;
    size_t size;
    int needed; /* negative: an encoding error, which cannot be */
};

/* Where the next line goes: nowhere, once the text is full. */
static char *place(const struct writing *writing)
{
    return (size_t)writing->needed < writing->size ? writing->text + writing->needed : NULL;
}

static size_t room(const struct writing *writing)
{
    return place(writing) ? writing->size - (size_t)writing->needed : 0;
}

static void advance(struct writing *writing, int written)
{
    writing->needed += written > 0 ? written : 0;
}

static void put_stats(struct writing *writing, const struct wb_rma_stats *stats)
{
    const struct {
        const char *name;
        uint64_t value;
        const char *unit;
    } lines[] = {
        {"budget", stats->budget_bytes, "bytes"},
        {"slabs", stats->slabs, "slabs"},
        {"slab_bytes", stats->slab_bytes, "bytes"},
        {"used", stats->used_bytes, "bytes"},
        {"cached", stats->cached_bytes, "bytes"},
        {"free", stats->free_bytes, "bytes"},
        {"idle", stats->idle_bytes, "bytes"},
        {"leaving", stats->leaving_bytes, "bytes"},
        {"leased", stats->leased_bytes, "bytes"},
        {"quarantined", stats->quarantined_bytes, "bytes"},
        {"pinned", stats->pinned_bytes, "bytes"},
        {"lent", stats->lent_bytes, "bytes"},
        {"peak_used", stats->peak_used_bytes, "bytes"},
        {"blocks", stats->blocks, "blocks"},
        {"registrations", stats->registrations, "times"},
        {"registrations_avoided", stats->registrations_avoided, "times"},
        {"waits", stats->waits, "times"},
        {"engine_budget", stats->engine_budget_bytes, "bytes"},
        {"engine_slab_bytes", stats->engine_slab_bytes, "bytes"},
        {"engine_peak", stats->engine_peak_bytes, "bytes"},
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        advance(writing, snprintf(place(writing), room(writing), "%s %" PRIu64 " %s\n",
                                  lines[i].name, lines[i].value, lines[i].unit));
    for (unsigned i = 0; i < WB_PAGES_KINDS; i++)
        advance(writing, snprintf(place(writing), room(writing), "pages_%s %" PRIu64 " bytes\n",
                                  kinds[i], stats->page_bytes[i]));
}

static void put_survey(struct writing *writing, const struct survey *survey)
{
    uint64_t scattered = survey->free_pages_bytes - survey->largest_piece;
    uint64_t percent = survey->free_pages_bytes ? scattered * 100 / survey->free_pages_bytes : 0;

    advance(writing, snprintf(place(writing), room(writing),
                              "free_pieces %" PRIu64 " pieces, the largest of %" PRIu64 " bytes\n",
                              survey->free_pieces, survey->largest_piece));
    advance(writing,
            snprintf(place(writing), room(writing), "fragmentation %" PRIu64 " %%\n", percent));
    for (unsigned i = 0; i < WBI_CLASSES; i++) {
        const struct occupancy *of = &survey->classes[i];
        if (of->runs)
            advance(writing, snprintf(place(writing), room(writing),
                                      "class_%zu %" PRIu64 " of %" PRIu64
                                      " blocks held, in %" PRIu64 " runs of pages\n",
                                      wbi_class_bytes(i), of->held, of->capacity, of->runs));
    }
    if (survey->classes[WBI_NO_CLASS].runs)
        advance(writing, snprintf(place(writing), room(writing),
                                  "large %" PRIu64 " blocks held, of %" PRIu64 " bytes\n",
                                  survey->classes[WBI_NO_CLASS].held, survey->large_bytes));
}

int wb_rma_allocator_text(struct wb_rma_allocator *pool, char *text, size_t size)
{
    struct writing writing = {.text = text, .size = size};
    struct survey survey = {0};

    pthread_mutex_lock(&pool->mutex);
    struct wb_rma_stats stats = figures_of(pool);
    for (unsigned kind = 0; kind < 2; kind++)
        for (const struct wbi_slab *slab = pool->slabs[kind]; slab; slab = slab->next)
            survey_slab(slab, &survey);
    pthread_mutex_unlock(&pool->mutex);
    add_shared(pool->budget, &stats);
    put_stats(&writing, &stats);
    put_survey(&writing, &survey);
    return writing.needed;
}
