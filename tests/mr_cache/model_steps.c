#include "tests/mr_cache/model_steps.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/pattern.h"
#include "tests/support/program.h"

struct cells {
    double values[700];
    uint64_t step;
};
WB_RMA_OBJECT_OF(struct cells, cells_object)

/* ---- the other thread ---- */

static void *follow_orders(void *argument)
{
    struct model_hand *hand = argument;

    for (;;) {
        sem_wait(&hand->go);
        if (!hand->act)
            return NULL;
        hand->act(hand->argument);
        sem_post(&hand->done);
    }
}

void model_hand_start(struct model_hand *hand)
{
    sem_init(&hand->go, 0, 0);
    sem_init(&hand->done, 0, 0);
    ck_assert_int_eq(pthread_create(&hand->thread, NULL, follow_orders, hand), 0);
}

void model_hand_stop(struct model_hand *hand)
{
    hand->act = NULL;
    sem_post(&hand->go);
    pthread_join(hand->thread, NULL);
    sem_destroy(&hand->go);
    sem_destroy(&hand->done);
}

/* Acts on one of the two threads. */
static void act_somewhere(struct model *model, struct model_hand *hand, void (*act)(void *argument),
                          void *argument)
{
    if (model_draw(model, 3) > 0) {
        act(argument);
        return;
    }
    hand->act = act;
    hand->argument = argument;
    sem_post(&hand->go);
    sem_wait(&hand->done);
}

/* ---- memory of pools ---- */

static bool was_served(struct model *model, int status)
{
    test_check(status == WB_OK || status == WB_AGAIN, "%s", wb_status_name(status));
    model->served += status == WB_OK;
    model->refused += status == WB_AGAIN;
    return status == WB_OK;
}

struct ask {
    struct wb_rma_allocator *pool;
    size_t bytes, alignment;
    void *memory;
    int status;
};

static void ask(void *argument)
{
    struct ask *ask = argument;

    ask->status = wb_rma_alloc(ask->pool, ask->bytes, ask->alignment, &ask->memory);
}

static void create_heap(struct model *model, struct model_hand *hand, struct model_pool *pool,
                        struct model_place *place)
{
    size_t alignment = model_draw(model, 3) ? 0 : (size_t)1 << model_draw(model, 22);
    struct ask want = {.pool = pool->handle,
                       .bytes = test_random_bytes(&model->random, MODEL_MOST_BYTES - alignment),
                       .alignment = alignment};

    act_somewhere(model, hand, ask, &want);
    test_check((want.status == WB_OK) == (want.memory != NULL), "a status without its memory");
    if (!was_served(model, want.status))
        return;
    test_check(want.alignment == 0 || (uintptr_t)want.memory % want.alignment == 0, "unaligned");
    test_check((uintptr_t)want.memory % 64 == 0, "not on a cache line");
    test_check(wb_rma_usable_bytes(want.memory) >= want.bytes, "too small");
    place->kind = MODEL_HEAP;
    place->memory = want.memory;
    model_enter(model, place, pool, want.bytes);
}

static void create_vector(struct model *model, struct model_pool *pool, struct model_place *place)
{
    size_t elem_size = test_random_bytes(&model->random, 200);
    size_t count = test_random_bytes(&model->random, MODEL_MOST_BYTES / elem_size) - 1;
    int status = wb_rma_vector_create(pool->handle, elem_size, count, &place->vector);

    if (!was_served(model, status))
        return;
    test_check(place->vector.count == count && place->vector.elem_size == elem_size, "another");
    place->kind = MODEL_VECTOR;
    model_enter(model, place, pool, count * elem_size);
}

static void create_object(struct model *model, struct model_pool *pool, struct model_place *place)
{
    cells_object object;

    if (!was_served(model, cells_object_create(pool->handle, &object)))
        return;
    test_check((void *)cells_object_get(&object) == object.vector.data, "it is elsewhere");
    place->kind = MODEL_OBJECT;
    place->vector = object.vector;
    model_enter(model, place, pool, sizeof(struct cells));
}

/* ---- counted memory ---- */

static void on_end(void *context, const void *data, size_t len)
{
    struct model *model = context;

    (void)len;
    free((void *)(uintptr_t)data);
    model->told++;
}

static void create_counted(struct model *model, struct model_place *place)
{
    size_t bytes = test_random_bytes(&model->random, 64 << 10);
    unsigned char *memory = calloc(1, bytes);
    wb_buffer view = wb_buffer_view(memory, bytes);
    uint64_t way = model_draw(model, 4);
    int status;

    ck_assert_ptr_nonnull(memory);
    if (way == 0)
        status = wb_buffer_reference(memory, bytes, on_end, model, &place->buffer);
    else if (way == 1)
        status = wb_buffer_adopt(memory, bytes, NULL, &place->buffer);
    else if (way == 2)
        status = wb_buffer_copy(memory, bytes, &place->buffer);
    else
        status = wb_buffer_keep(&view, &place->buffer);
    test_check(status == WB_OK, "%s", wb_status_name(status));
    test_check(way < 2 ? place->buffer.data == memory : place->buffer.data != memory,
               "a copy is one, and nothing else is");
    if (way > 1)
        free(memory);
    place->kind = MODEL_BUFFER;
    model_enter(model, place, NULL, bytes);
    place->body->tells = way == 0;
}

/* ---- parts of what there is ---- */

static void create_part(struct model *model, struct model_place *place)
{
    struct model_place *of = &model->places[model_draw(model, MODEL_PLACES)];
    bool whole = model_draw(model, 2);
    size_t first = 0, bytes = of->bytes;

    if (of->kind == MODEL_NOTHING || of->kind == MODEL_HEAP || of->bytes == 0)
        return;
    if (of->kind == MODEL_BUFFER) {
        first = whole ? 0 : model_draw(model, bytes);
        bytes = whole ? bytes : 1 + model_draw(model, bytes - first);
        place->buffer =
            whole ? wb_buffer_share(&of->buffer) : wb_buffer_slice(&of->buffer, first, bytes);
    } else if (of->kind == MODEL_OBJECT) {
        cells_object shared = cells_object_share(&(cells_object){of->vector});
        place->vector = shared.vector;
    } else {
        size_t size = of->vector.elem_size, from = model_draw(model, of->vector.count + 1),
               count = model_draw(model, of->vector.count - from + 1);
        place->vector = whole ? wb_rma_vector_share(&of->vector)
                              : wb_rma_vector_slice(&of->vector, from, count);
        first = whole ? 0 : from * size;
        bytes = whole ? bytes : count * size;
        test_check(whole || place->vector.capacity == bytes, "what follows a slice is not its");
    }
    place->kind = of->kind;
    model_enter_part(place, of, first, bytes);
}

void model_create(struct model *model, struct model_hand *hand, struct model_pool *pool,
                  struct model_place *place)
{
    switch (model_draw(model, 8)) {
    case 0:
        create_counted(model, place);
        return;
    case 1:
    case 2:
        create_part(model, place);
        return;
    case 3:
        if (pool)
            create_object(model, pool, place);
        return;
    case 4:
    case 5:
        if (pool)
            create_vector(model, pool, place);
        return;
    default:
        if (pool)
            create_heap(model, hand, pool, place);
    }
}

/* ---- the end ---- */

static void drop(void *argument)
{
    struct model_place *place = argument;
    cells_object object = {place->vector};

    switch (place->kind) {
    case MODEL_HEAP:
        wb_rma_free(place->memory);
        break;
    case MODEL_VECTOR:
        wb_rma_vector_drop(&place->vector);
        break;
    case MODEL_OBJECT:
        cells_object_drop(&object);
        break;
    default:
        wb_buffer_drop(&place->buffer);
    }
}

void model_drop(struct model *model, struct model_hand *hand, struct model_place *place)
{
    if (place->kind == MODEL_NOTHING)
        return;
    model_check_place(place);
    act_somewhere(model, hand, drop, place);
    model_leave(model, place);
    test_check(model->told == model->ends, "the program was told of %u ends, not %u", model->told,
               model->ends);
}

/* ---- changes of vectors ---- */

static bool is_same(const wb_rma_vector *a, const wb_rma_vector *b)
{
    return a->data == b->data && a->count == b->count && a->capacity == b->capacity &&
           a->elem_size == b->elem_size && a->block == b->block;
}

/* Whether the change to `bytes` bytes was made; if not, it was for a good reason and the handle is
 * as before. */
static bool was_changed(struct model *model, const struct model_place *place, int status,
                        size_t bytes, const wb_rma_vector *before)
{
    if (place->body->handles > 1) {
        test_check(status == WB_ERR_SHARED, "others' memory: %s", wb_status_name(status));
    } else if (bytes <= before->capacity) {
        test_check(status == WB_OK, "there was room: %s", wb_status_name(status));
    } else if (!place->body->pool->handle) {
        test_check(status == WB_ERR_CLOSED, "closed: %s", wb_status_name(status));
    } else {
        (void)was_served(model, status);
    }
    if (status == WB_OK) {
        test_check(place->vector.capacity >= bytes, "there is no room yet");
        return true;
    }
    test_check(is_same(&place->vector, before), "a change that failed changed something");
    return false;
}

static void resize(struct model *model, struct model_place *place)
{
    wb_rma_vector before = place->vector;
    size_t size = before.elem_size;
    size_t count = test_random_bytes(&model->random, MODEL_MOST_BYTES / size) - 1;
    int status = wb_rma_vector_resize(&place->vector, count);

    if (!was_changed(model, place, status, count * size, &before))
        return;
    test_check(place->vector.count == count, "of another length");
    model_follow(model, place, count * size);
    if (count * size > place->bytes)
        memset(place->expected + place->bytes, 0, count * size - place->bytes);
    place->bytes = count * size;
}

/* Of the vector's own elements, or of others; one is pushed. */
static void append(struct model *model, struct model_place *place)
{
    static unsigned char others[64 << 10];
    wb_rma_vector before = place->vector;
    size_t size = before.elem_size, count = model_draw(model, sizeof(others) / size) + 1;
    bool own = before.count > 0 && model_draw(model, 2);
    const unsigned char *from = others;
    int status;

    if (own) {
        size_t first = model_draw(model, before.count);
        count = model_draw(model, before.count - first) + 1;
        from = (const unsigned char *)before.data + first * size;
        memcpy(others, from, count * size < sizeof(others) ? count * size : sizeof(others));
    } else {
        test_pattern_fill(others, count * size, test_random(&model->random));
    }
    if (count * size > sizeof(others) || place->bytes + count * size > MODEL_MOST_BYTES)
        return;
    if (count == 1)
        status = wb_rma_vector_push(&place->vector, from);
    else
        status = wb_rma_vector_append(&place->vector, from, count);
    if (!was_changed(model, place, status, place->bytes + count * size, &before))
        return;
    test_check(place->vector.count == before.count + count, "of another length");
    model_follow(model, place, place->bytes + count * size);
    memcpy(place->expected + place->bytes, others, count * size);
    place->bytes += count * size;
}

static void pop(struct model *model, struct model_place *place)
{
    unsigned char element[256];
    wb_rma_vector before = place->vector;
    size_t size = before.elem_size;
    bool large = size > sizeof(element);

    if (before.count == 0) {
        ck_assert_int_eq(wb_rma_vector_pop(&place->vector, NULL), WB_ERR_INVALID);
        return;
    }
    int status = wb_rma_vector_pop(&place->vector, large ? NULL : element);
    if (!was_changed(model, place, status, place->bytes - size, &before))
        return;
    place->bytes -= size;
    test_check(large || memcmp(element, place->expected + place->bytes, size) == 0,
               "it is another element");
}

static void reserve(struct model *model, struct model_place *place)
{
    wb_rma_vector before = place->vector;
    size_t size = before.elem_size;
    size_t count = test_random_bytes(&model->random, MODEL_MOST_BYTES / size) - 1;
    int status = wb_rma_vector_reserve(&place->vector, count);

    if (was_changed(model, place, status, count * size, &before)) {
        test_check(place->vector.count == before.count, "of another length");
        model_follow(model, place, place->bytes);
    }
}

static void shrink(struct model *model, struct model_place *place)
{
    wb_rma_vector before = place->vector;
    size_t block_bytes = wbi_rma_block_bytes(before.block);
    int status = wb_rma_vector_shrink(&place->vector);

    if (place->body->handles > 1)
        test_check(status == WB_ERR_SHARED, "others' memory: %s", wb_status_name(status));
    else if (place->body->pool->handle)
        (void)was_served(model, status);
    else
        test_check(status == WB_OK || status == WB_ERR_CLOSED, "%s", wb_status_name(status));
    if (status == WB_OK) {
        test_check(place->vector.count == before.count, "of another length");
        model_follow(model, place, place->bytes);
        test_check(wbi_rma_block_bytes(place->vector.block) <= block_bytes, "it grew");
    } else {
        test_check(is_same(&place->vector, &before), "a change that failed changed something");
    }
}

static void change_vector(struct model *model, struct model_place *place)
{
    switch (model_draw(model, 8)) {
    case 0:
        resize(model, place);
        break;
    case 1:
        pop(model, place);
        break;
    case 2:
        reserve(model, place);
        break;
    case 3:
        shrink(model, place);
        break;
    case 4:
        place->buffer = wb_buffer_of_vector(&place->vector);
        test_check(place->vector.block == NULL, "both have it");
        place->kind = MODEL_BUFFER;
        break;
    default:
        append(model, place);
    }
}

/* ---- other changes ---- */

static void change_heap(struct model *model, struct model_place *place)
{
    size_t elem_size = test_random_bytes(&model->random, 200);

    if (model_draw(model, 4) > 0)
        return;
    int status =
        wb_rma_vector_adopt(place->memory, elem_size, place->bytes / elem_size, &place->vector);
    test_check(status == WB_OK, "%s", wb_status_name(status));
    place->kind = MODEL_VECTOR;
    place->bytes -= place->bytes % elem_size;
}

static void change_buffer(struct model *model, struct model_place *place)
{
    wb_buffer former = wb_buffer_take(&place->buffer);

    test_check(place->buffer.data == NULL && place->buffer.owner == NULL, "both have it");
    if (model_draw(model, 2)) {
        ck_assert_int_eq(wb_buffer_keep(&former, &place->buffer), WB_OK);
        test_check(former.data == NULL, "both have it");
        return;
    }
    size_t first = model_draw(model, place->bytes + 1);
    if (first == place->bytes) {
        place->buffer = former;
        return;
    }
    place->buffer = wb_buffer_slice(&former, first, place->bytes - first);
    wb_buffer_drop(&former);
    place->bytes -= first;
    memmove(place->expected, place->expected + first, place->bytes);
}

/* To an empty place, as handles are passed on. */
static void move(struct model *model, struct model_place *place)
{
    struct model_place *to = model_empty_place(model);
    wb_rma_vector vector = wb_rma_vector_take(&place->vector);

    if (!to) {
        place->vector = vector;
        return;
    }
    *to = *place;
    to->vector = vector;
    *place = (struct model_place){.kind = MODEL_NOTHING};
}

void model_change(struct model *model, struct model_place *place)
{
    model_check_place(place);
    switch (model_draw(model, 6)) {
    case 0:
        model_write(model, place);
        break;
    case 1:
        move(model, place);
        return;
    default:
        if (place->kind == MODEL_VECTOR)
            change_vector(model, place);
        else if (place->kind == MODEL_HEAP)
            change_heap(model, place);
        else if (place->kind == MODEL_BUFFER)
            change_buffer(model, place);
    }
    model_check_place(place);
}
