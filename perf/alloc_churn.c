#include "perf/alloc_churn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "perf/alloc_report.h"
#include "perf/common_clock.h"
#include "perf/common_say.h"

enum {
    HELD_PERCENT = 70, /* of the budget, asked for by the blocks held */
    LONG_EVERY = 10,   /* one block of so many lives LONG_TIMES as long */
    LONG_TIMES = 20,
    SAMPLE_OPS = 65536, /* between two looks at the pool */
    AGES = 2            /* short-lived and long-lived */
};

struct held {
    void *at;
    size_t bytes; /* asked for */
};

/* Blocks of one expected age. Any of them is as likely to go next, so a victim costs one index. */
struct group {
    struct held *blocks;
    uint32_t count, room;
};

struct churn {
    const struct bench *bench;
    struct group groups[AGES];
    uint64_t random;
    uint64_t live, limit; /* bytes asked for: held, and at most */
    struct churn_result result;
};

/* Twice the room, or the first. */
static int grow(struct group *group)
{
    uint32_t room = group->room == 0 ? 1024 : 2 * group->room;
    struct held *grown = calloc(room, sizeof *grown);
    if (grown == NULL) {
        return say(EXIT_FAILURE, "no memory for %u blocks", room);
    }
    if (group->count > 0) {
        memcpy(grown, group->blocks, group->count * sizeof *grown);
    }
    free(group->blocks);
    group->blocks = grown;
    group->room = room;
    return 0;
}

static int keep(struct group *group, void *at, size_t bytes)
{
    if (group->count == group->room && grow(group) != 0) {
        wb_rma_free(at);
        return EXIT_FAILURE;
    }
    assert(group->blocks != NULL);
    group->blocks[group->count++] = (struct held){.at = at, .bytes = bytes};
    return 0;
}

/* Gives back one block: a short-lived one is LONG_TIMES as likely as a long-lived one. Some block
 * must be held. */
static void give_victim(struct churn *churn)
{
    struct group *shorts = &churn->groups[0], *longs = &churn->groups[1];
    uint32_t chances = shorts->count * LONG_TIMES;
    uint32_t pick = random_below(random_next(&churn->random), chances + longs->count);
    struct group *group = pick < chances ? shorts : longs;
    uint32_t index = pick < chances ? pick / LONG_TIMES : pick - chances;
    assert(index < group->count);
    struct held victim = group->blocks[index];
    group->blocks[index] = group->blocks[--group->count];
    wb_rma_free(victim.at);
    churn->live -= victim.bytes;
    churn->result.ops++;
}

/* Takes one block, or counts a refusal. */
static int take_block(struct churn *churn, uint64_t random, size_t bytes)
{
    void *at = NULL;
    int status = wb_rma_alloc(churn->bench->pool, bytes, 0, &at);
    churn->result.ops++;
    if (status != WB_OK) {
        churn->result.refusals++;
        return status == WB_AGAIN || status == WB_ERR_BUDGET
                   ? 0
                   : say(EXIT_FAILURE, "cannot take %zu bytes: %s", bytes, wb_status_text(status));
    }
    churn->live += bytes;
    return keep(&churn->groups[random % LONG_EVERY == 0], at, bytes);
}

/* What the pool has registered now. */
static uint64_t pool_bytes(const struct churn *churn)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(churn->bench->pool, &stats);
    return stats.slab_bytes;
}

static void note_peak(struct churn *churn)
{
    churn->result.live_peak_bytes = churn->live;
    churn->result.pool_peak_bytes = pool_bytes(churn);
}

static void note_sample(struct churn *churn)
{
    double ratio = (double)pool_bytes(churn) / (double)churn->live;
    if (ratio > churn->result.fragmentation_max) {
        churn->result.fragmentation_max = ratio;
    }
}

static int run(struct churn *churn)
{
    uint64_t ops = churn->bench->options->ops, next_sample = 0;
    while (churn->result.ops < ops) {
        uint64_t random = random_next(&churn->random);
        size_t bytes = random_size(&churn->bench->fractions, random, MIXED_MIN, CHURN_OCTAVES);
        bool full = false;
        while (churn->live + bytes > churn->limit) {
            give_victim(churn);
            full = true;
        }
        if (take_block(churn, random, bytes) != 0) {
            return EXIT_FAILURE;
        }
        if (churn->live > churn->result.live_peak_bytes) {
            note_peak(churn);
        }
        if (full && churn->result.ops >= next_sample) {
            note_sample(churn);
            next_sample = churn->result.ops + SAMPLE_OPS;
        }
    }
    return 0;
}

static void note_end(struct churn *churn)
{
    note_sample(churn);
    churn->result.live_bytes = churn->live;
    churn->result.pool_bytes = pool_bytes(churn);
    churn->result.blocks = (uint64_t)churn->groups[0].count + churn->groups[1].count;
}

static void drop_groups(struct churn *churn)
{
    for (int age = 0; age < AGES; age++) {
        struct group *group = &churn->groups[age];
        for (uint32_t i = 0; i < group->count; i++) {
            wb_rma_free(group->blocks[i].at);
        }
        free(group->blocks);
    }
}

int churn(const struct bench *bench)
{
    struct churn churn = {.bench = bench,
                          .random = bench->options->seed * UINT64_C(0x9e3779b97f4a7c15),
                          .limit = (uint64_t)bench->options->budget / 100 * HELD_PERCENT};
    churn.random += churn.random == 0; /* where xorshift would stay */
    uint64_t start = clock_ns();
    int wrong = run(&churn);
    churn.result.seconds = (double)(clock_ns() - start) / 1e9;
    note_end(&churn);
    drop_groups(&churn);
    if (wrong == 0) {
        alloc_report_churn(bench->options, &churn.result);
    }
    return wrong;
}
