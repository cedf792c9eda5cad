#include "mr_cache/checks.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mr_cache/poison.h"
#include "mr_cache/validate.h"

enum {
    FREED_BYTE = 0xDF,
    CANARY_BYTE = 0xCA,
    OPERATIONS_BETWEEN = 64, /* two looks at the books */
    SITE_TEXT = 200
};

static _Thread_local const void *site_here;

void wbi_checks_from(const struct wb_rma_allocator *pool, const void *site)
{
    if (pool->checks)
        site_here = site;
}

const char wbi_site_landing[] = "a landing", wbi_site_engine[] = "the engine itself";

void wbi_checks_default(const struct wb_rma_allocator *pool, const void *site)
{
    if (pool->checks && !site_here)
        site_here = site;
}

/* "function+0x12 (library)", or what can be had of it. */
static const char *site_text(const void *site, char *text)
{
    Dl_info info;

    if (site == wbi_site_landing || site == wbi_site_engine)
        return site;
    if (!site || !dladdr(site, &info) || !info.dli_fname)
        (void)snprintf(text, SITE_TEXT, "%p", site);
    else if (info.dli_sname)
        (void)snprintf(text, SITE_TEXT, "%s+0x%zx (%s)", info.dli_sname,
                       (size_t)((const char *)site - (const char *)info.dli_saddr), info.dli_fname);
    else
        (void)snprintf(text, SITE_TEXT, "%s+0x%zx", info.dli_fname,
                       (size_t)((const char *)site - (const char *)info.dli_fbase));
    return text;
}

static _Noreturn void die_of(const struct wb_rma_block *block, const struct wbi_note *note,
                             const char *what, size_t offset)
{
    char site[SITE_TEXT];

    (void)fprintf(stderr,
                  "waybill: the block of %zu bytes at %p, allocated at %s, was %s (byte %zu)\n",
                  note->asked, block->data, site_text(note->site, site), what, offset);
    abort();
}

/* Who gives it back does not hold it: it is a lease's. */
static _Noreturn void die_held(const struct wb_rma_block *block, const struct wbi_note *note)
{
    char site[SITE_TEXT];

    (void)fprintf(stderr,
                  "waybill: the block of %zu bytes at %p, allocated at %s, was freed already or is "
                  "not the program's to free, and a peer may read it yet\n",
                  note->asked, block->data, site_text(note->site, site));
    abort();
}

void wbi_checks_let_go(struct wb_rma_block *block)
{
    struct wbi_note *note = wbi_note_of(block);

    if (note && note->let_go)
        die_held(block, note);
    if (note)
        note->let_go = true;
}

/* The offset of the first byte of [from, to) that is not `byte`; `to` where there is none. */
static size_t first_other(const unsigned char *data, size_t from, size_t to, unsigned char byte)
{
    while (from < to && data[from] == byte)
        from++;
    return from;
}

void wbi_checks_begin(struct wb_rma_block *block, size_t asked)
{
    struct wbi_note *note = wbi_note_of(block);
    unsigned char *data = block->data;
    size_t bytes = block->run->block_bytes;

    if (note->was_freed) {
        size_t at = first_other(data, 0, bytes, FREED_BYTE);
        if (at < bytes)
            die_of(block, note, "written to after it was freed", at);
    }
    *note = (struct wbi_note){.asked = asked, .given = data, .site = site_here, .held = true};
    site_here = NULL;
    memset(data + asked, CANARY_BYTE, bytes - asked);
}

void wbi_checks_given(struct wb_rma_block *block, void *given, size_t bytes)
{
    struct wbi_note *note = wbi_note_of(block);
    size_t end = (size_t)((unsigned char *)given - (unsigned char *)block->data) + bytes;

    memset((unsigned char *)block->data + end, CANARY_BYTE, note->asked - end);
    note->asked = end;
    note->given = given;
}

void wbi_checks_end(struct wb_rma_block *block)
{
    struct wbi_note *note = wbi_note_of(block);
    unsigned char *data = block->data;
    size_t bytes = block->run->block_bytes;

    if (atomic_load_explicit(&block->leases, memory_order_relaxed))
        die_held(block, note);
    wbi_unpoison(data, bytes);
    size_t at = first_other(data, note->asked, bytes, CANARY_BYTE);
    if (at < bytes)
        die_of(block, note, "written past its end", at);
    memset(data, FREED_BYTE, bytes);
    wbi_poison(data, bytes);
    note->held = false;
    note->was_freed = true;
}

void wbi_checks_books(struct wb_rma_allocator *pool)
{
    if (pool->checks < WB_RMA_CHECKS_ALL || pool->closed ||
        atomic_fetch_add_explicit(&pool->operations, 1, memory_order_relaxed) % OPERATIONS_BETWEEN)
        return;
    const char *wrong = wbi_rma_validate(pool);
    if (!wrong || pool->closed) /* meanwhile: a closed pool keeps no books */
        return;
    (void)fprintf(stderr, "waybill: an allocator's books are wrong; what should hold: %s\n", wrong);
    abort();
}

/* ---- the report of what is held ---- */

struct site {
    const void *address;
    uint64_t blocks, bytes, leased;
};

struct sites {
    struct site *entries;
    size_t count, capacity;
    bool short_of_memory;
};

static struct site *site_of(struct sites *sites, const void *address)
{
    for (size_t i = 0; i < sites->count; i++)
        if (sites->entries[i].address == address)
            return &sites->entries[i];
    if (sites->count == sites->capacity) {
        size_t capacity = sites->capacity ? 2 * sites->capacity : 32;
        struct site *more = realloc(sites->entries, capacity * sizeof(*more));
        if (!more) {
            sites->short_of_memory = true;
            return NULL;
        }
        sites->entries = more;
        sites->capacity = capacity;
    }
    sites->entries[sites->count] = (struct site){.address = address};
    return &sites->entries[sites->count++];
}

static void add_run(struct sites *sites, const struct wbi_run *run)
{
    for (uint32_t i = 0; run->notes && i < run->fresh; i++) {
        const struct wbi_note *note = &run->notes[i];
        struct site *site = note->held ? site_of(sites, note->site) : NULL;
        if (site) {
            site->blocks++;
            site->bytes += note->asked;
            site->leased += atomic_load_explicit(&run->blocks[i].leases, memory_order_relaxed) > 0;
        }
    }
}

static void add_slab(struct sites *sites, const struct wbi_slab *slab)
{
    for (uint32_t page = 0; page < slab->page_count; page += slab->runs[page].pages)
        if (slab->runs[page].state == WBI_RUN_CARVED)
            add_run(sites, &slab->runs[page]);
}

static int by_bytes(const void *a, const void *b)
{
    const struct site *left = a, *right = b;

    return (left->bytes < right->bytes) - (left->bytes > right->bytes);
}

static void say_site(const struct site *site, wb_rma_say say, void *context)
{
    char text[SITE_TEXT], line[SITE_TEXT + 160];

    (void)snprintf(line, sizeof line,
                   "%" PRIu64 " blocks of %" PRIu64 " bytes together, %" PRIu64
                   " of them leased, allocated at %s",
                   site->blocks, site->bytes, site->leased, site_text(site->address, text));
    say(context, line);
}

int wb_rma_allocator_leaks(struct wb_rma_allocator *pool, wb_rma_say say, void *context)
{
    struct sites sites = {0};

    if (!pool->checks)
        return WB_ERR_INVALID;
    pthread_mutex_lock(&pool->mutex);
    for (unsigned kind = 0; kind < 2; kind++)
        for (const struct wbi_slab *slab = pool->slabs[kind]; slab; slab = slab->next)
            add_slab(&sites, slab);
    for (const struct wbi_slab *slab = pool->left; slab; slab = slab->left_next)
        add_slab(&sites, slab);
    pthread_mutex_unlock(&pool->mutex);
    if (sites.count)
        qsort(sites.entries, sites.count, sizeof(*sites.entries), by_bytes);
    for (size_t i = 0; i < sites.count; i++)
        say_site(&sites.entries[i], say, context);
    int count = sites.count > INT32_MAX ? INT32_MAX : (int)sites.count;
    free(sites.entries);
    return sites.short_of_memory ? WB_ERR_NO_MEMORY : count;
}
