#include "tests/serial/random_type.h"

#include <check.h>
#include <string.h>

/* True once in `n` times. */
static bool once_in(struct test_source *s, uint64_t n)
{
    return test_random_below(&s->state, n) == 0;
}

size_t test_draw_count(struct test_source *s, size_t weight)
{
    size_t most = s->left / weight;
    size_t bound = once_in(s, 8) || most < 4 ? most : 4;
    size_t count = (size_t)test_random_below(&s->state, bound + 1);
    s->left -= count * weight;
    return count;
}

size_t test_draw_length(struct test_source *s)
{
    static const struct {
        size_t first, span, weight;
    } ranges[] = {{0, 24, 0},  {0, 24, 0},  {0, 24, 0},       {0, 24, 0},     {0, 300, 4},
                  {248, 8, 4}, {512, 8, 8}, {1000, 3000, 60}, {4090, 12, 60}, {65530, 12, 900}};
    size_t range = (size_t)test_random_below(&s->state, sizeof ranges / sizeof *ranges);
    if (ranges[range].weight > s->left) {
        range = 0;
    }
    s->left -= ranges[range].weight;
    return ranges[range].first + (size_t)test_random_below(&s->state, ranges[range].span);
}

void *test_draw_items(struct test_source *s, size_t count, size_t elem_bytes)
{
    return count == 0 && once_in(s, 2) ? NULL : test_arena_alloc(s->arena, count * elem_bytes);
}

void test_fill_raw(struct test_source *s, void *data, size_t bytes)
{
    uint8_t *at = data;
    uint64_t word = 0;
    uint64_t plain = test_random_below(&s->state, 4); /* often what is small, or 255 */
    for (size_t i = 0; i < bytes; i++) {
        if (i % 8 == 0) {
            word = plain == 0 ? test_random_below(&s->state, 256) : test_random(&s->state);
        }
        at[i] = plain == 1 && word % 4 == 0 ? 255 : (uint8_t)word;
        word >>= 8;
    }
}

void test_fill_wb_bool(struct test_source *s, wb_bool *v)
{
    *v = once_in(s, 2);
}

void test_fill_wb_bytes(struct test_source *s, wb_bytes *v)
{
    size_t len = test_draw_length(s);
    void *data = test_draw_items(s, len, 1);
    test_fill_raw(s, data, len);
    *v = (wb_bytes){.data = data, .len = len};
}

void test_fill_wb_str(struct test_source *s, wb_str *v)
{
    wb_bytes bytes;
    test_fill_wb_bytes(s, &bytes);
    *v = (wb_str){.data = bytes.data, .len = bytes.len};
}

static void fill_vector(struct test_source *s, wb_rma_vector *v, size_t elem_size, size_t count)
{
    ck_assert_int_eq(wb_rma_vector_create(s->pool, elem_size, count, v), WB_OK);
    test_fill_raw(s, v->data, count * elem_size);
}

/* A part of it takes its place. */
static void slice_vector(struct test_source *s, wb_rma_vector *v)
{
    size_t first = (size_t)test_random_below(&s->state, v->count + 1);
    wb_rma_vector slice = wb_rma_vector_slice(v, first, v->count - first);
    wb_rma_vector_drop(v);
    *v = slice;
}

void test_fill_wb_rma_vector(struct test_source *s, wb_rma_vector *v)
{
    static const size_t elem_sizes[] = {1, 2, 3, 8, 24, 300, 70000};
    *v = (wb_rma_vector){0};
    if (once_in(s, 5)) {
        return;
    }
    size_t elem_size = elem_sizes[test_random_below(&s->state, once_in(s, 8) ? 7 : 5)];
    fill_vector(s, v, elem_size, test_draw_length(s) / elem_size);
    if (once_in(s, 4)) {
        slice_vector(s, v);
    }
}

void test_fill_object(struct test_source *s, wb_rma_vector *v, size_t bytes)
{
    *v = (wb_rma_vector){0};
    if (!once_in(s, 4)) {
        fill_vector(s, v, bytes, 1);
    }
}

static void count_end(void *context, const void *data, size_t len)
{
    (void)data;
    (void)len;
    struct test_source *s = context;
    s->counted--;
}

void test_fill_wb_buffer(struct test_source *s, wb_buffer *v)
{
    wb_bytes bytes;
    wb_rma_vector vector;
    switch (test_random_below(&s->state, 4)) {
    case 0:
        *v = (wb_buffer){0};
        break;
    case 1:
        test_fill_wb_bytes(s, &bytes);
        *v = wb_buffer_view(bytes.data, bytes.len);
        break;
    case 2:
        test_fill_wb_bytes(s, &bytes);
        ck_assert_int_eq(wb_buffer_reference(bytes.data, bytes.len, count_end, s, v), WB_OK);
        s->counted++;
        break;
    default:
        fill_vector(s, &vector, 1, test_draw_length(s));
        slice_vector(s, &vector);
        *v = wb_buffer_of_vector(&vector);
        break;
    }
}

bool test_same_raw(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    return a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

bool test_same_wb_rma_vector(const wb_rma_vector *a, const wb_rma_vector *b)
{
    return a->elem_size == b->elem_size &&
           test_same_raw(a->data, wb_rma_vector_bytes(a), b->data, wb_rma_vector_bytes(b));
}
