#include "tests/mr_cache/model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/pattern.h"
#include "tests/support/program.h"

uint64_t model_draw(struct model *model, uint64_t bound)
{
    return test_random(&model->random) % bound;
}

struct model_place *model_empty_place(struct model *model)
{
    for (unsigned i = 0; i < MODEL_PLACES; i++)
        if (model->places[i].kind == MODEL_NOTHING)
            return &model->places[i];
    return NULL;
}

static const void *anchor_of(const struct model_place *place)
{
    switch (place->kind) {
    case MODEL_HEAP:
        return wbi_rma_find(place->memory);
    case MODEL_VECTOR:
    case MODEL_OBJECT:
        return place->vector.block;
    case MODEL_BUFFER:
        return place->buffer.block ? (const void *)place->buffer.block : place->buffer.owner;
    default:
        return NULL;
    }
}

static void *data_of(const struct model_place *place)
{
    switch (place->kind) {
    case MODEL_HEAP:
        return place->memory;
    case MODEL_VECTOR:
    case MODEL_OBJECT:
        return place->vector.data;
    default:
        return (void *)(uintptr_t)place->buffer.data;
    }
}

/* ---- bodies ---- */

static struct model_body *enter_body(struct model *model, const void *anchor,
                                     struct model_pool *pool)
{
    struct model_body *free_body = NULL;

    test_check(anchor != NULL, "a handle of nothing");
    for (unsigned i = 0; i < MODEL_PLACES; i++) {
        struct model_body *body = &model->bodies[i];
        test_check(body->anchor != anchor, "block %p is somebody's already", anchor);
        if (!body->anchor)
            free_body = body;
    }
    uint64_t bytes = pool ? wbi_rma_block_bytes(anchor) : 0;
    *free_body = (struct model_body){.anchor = anchor, .pool = pool, .bytes = bytes, .handles = 1};
    if (pool) {
        pool->used_bytes += bytes;
        pool->blocks++;
    }
    return free_body;
}

static void leave_body(struct model *model, struct model_body *body)
{
    if (--body->handles > 0)
        return;
    if (body->pool) {
        body->pool->used_bytes -= body->bytes;
        body->pool->blocks--;
    }
    model->ends += body->tells;
    body->anchor = NULL;
}

/* ---- places ---- */

static void expect_room(struct model_place *place, size_t bytes)
{
    place->expected = realloc(place->expected, bytes + 1);
    ck_assert_ptr_nonnull(place->expected);
}

void model_write(struct model *model, struct model_place *place)
{
    if (place->body->handles > 1)
        return;
    test_pattern_fill(place->expected, place->bytes, test_random(&model->random));
    memcpy(data_of(place), place->expected, place->bytes);
}

void model_enter(struct model *model, struct model_place *place, struct model_pool *pool,
                 size_t bytes)
{
    place->body = enter_body(model, anchor_of(place), pool);
    place->bytes = bytes;
    expect_room(place, bytes);
    model_write(model, place);
}

void model_enter_part(struct model_place *place, const struct model_place *of, size_t first,
                      size_t bytes)
{
    test_check(anchor_of(place) == of->body->anchor, "a part of another block");
    place->body = of->body;
    place->body->handles++;
    place->bytes = bytes;
    expect_room(place, bytes);
    memcpy(place->expected, of->expected + first, bytes);
}

void model_follow(struct model *model, struct model_place *place, size_t bytes)
{
    struct model_body *former = place->body;

    if (former->anchor != anchor_of(place)) {
        struct model_pool *pool = former->pool;
        leave_body(model, former);
        test_check(former->anchor == NULL, "a block moved that others have");
        place->body = enter_body(model, anchor_of(place), pool);
    }
    expect_room(place, bytes);
}

void model_leave(struct model *model, struct model_place *place)
{
    leave_body(model, place->body);
    free(place->expected);
    *place = (struct model_place){.kind = MODEL_NOTHING};
}

/* ---- checks ---- */

static bool says_exclusive(const struct model_place *place)
{
    return place->kind == MODEL_BUFFER ? wb_buffer_is_exclusive(&place->buffer)
                                       : wb_rma_vector_is_exclusive(&place->vector);
}

void model_check_place(const struct model_place *place)
{
    const unsigned char *data = data_of(place);

    test_check(anchor_of(place) == place->body->anchor, "the handle is of another block");
    if (place->bytes > 0 && memcmp(data, place->expected, place->bytes) != 0) {
        size_t at = 0;
        while (data[at] == place->expected[at])
            at++;
        ck_abort_msg("kind %d: byte %zu of %zu is not what was written", place->kind, at,
                     place->bytes);
    }
    if (place->kind != MODEL_HEAP)
        test_check(says_exclusive(place) == (place->body->handles == 1),
                   "kind %d: says that it is %s, and there are %u handles", place->kind,
                   says_exclusive(place) ? "alone" : "shared", place->body->handles);
    size_t usable = place->kind == MODEL_HEAP || place->kind == MODEL_BUFFER
                        ? place->bytes
                        : place->vector.capacity;
    test_check(usable >= place->bytes, "there is more in it than room");
    if (place->body->pool && usable > 0)
        test_check(wbi_rma_find(data + usable - 1) == place->body->anchor,
                   "the last byte is another block's");
}

static void check_pool(const struct model *model, const struct model_pool *pool)
{
    struct wb_rma_stats stats = test_stats(pool->handle);
    const char *wrong = wbi_rma_validate(pool->handle);

    test_check(!wrong, "not true: %s", wrong);
    test_check(stats.blocks == pool->blocks, "%" PRIu64 " blocks are held, not %" PRIu64,
               stats.blocks, pool->blocks);
    test_check(pool->has_checks ? stats.used_bytes >= pool->used_bytes
                                : stats.used_bytes == pool->used_bytes,
               "%" PRIu64 " bytes are used, not %" PRIu64, stats.used_bytes, pool->used_bytes);
    test_check((stats.used_bytes == 0) == (pool->blocks == 0), "bytes are used by no block");
    test_check(stats.peak_used_bytes >= stats.used_bytes, "less than the peak is a peak");
    test_check(stats.slab_bytes <= pool->budget_bytes, "the pool is over its budget");
    test_check(stats.leased_bytes == 0 && stats.quarantined_bytes == 0, "who leased?");
    test_check(stats.engine_slab_bytes <= stats.engine_peak_bytes &&
                   stats.engine_peak_bytes <= model->limit_bytes,
               "all pools together are over their budget");
}

void model_check_books(struct model *model)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < model->pool_count; i++) {
        if (model->pools[i].handle)
            check_pool(model, &model->pools[i]);
        bytes += model->pools[i].used_bytes;
    }
    test_check(bytes <= model->limit_bytes, "more is held than there can be");
}
