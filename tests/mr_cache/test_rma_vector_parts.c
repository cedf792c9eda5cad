/* rma_vectors: appending, taking off, slices, memory that becomes a vector, types. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mr_cache/rma.h"

struct point {
    double x, y, z;
};
WB_RMA_VECTOR_OF(double, dvec)
WB_RMA_VECTOR_OF(struct point, point_vec)
WB_RMA_VECTOR_OF(uint8_t, bvec)

static dvec counted(struct wb_rma_allocator *pool, size_t count)
{
    dvec v;

    ck_assert_int_eq(dvec_create(pool, count, &v), WB_OK);
    for (size_t i = 0; i < count; i++)
        *dvec_at(&v, i) = (double)i;
    return v;
}

static void check_run(const dvec *v, size_t first, size_t count, double value)
{
    for (size_t i = 0; i < count; i++)
        if (*dvec_at(v, first + i) != value + (double)i)
            ck_abort_msg("element %zu is %g", first + i, *dvec_at(v, first + i));
}

START_TEST(test_append)
{
    struct wb_rma_allocator *pool = test_pool(32 * MIB, NULL);
    dvec v = counted(pool, 0), source = counted(pool, 1000);
    size_t total = 0;
    unsigned moves = 0;

    for (size_t n = 0; n <= 1000; n += 50) {
        const void *former = dvec_data(&v);
        ck_assert_int_eq(dvec_append(&v, dvec_data(&source), n), WB_OK);
        total += n;
        moves += dvec_data(&v) != former;
        ck_assert_uint_eq(dvec_count(&v), total);
    }
    ck_assert_uint_le(moves, 20);
    for (size_t n = 0, at = 0; n <= 1000; at += n, n += 50)
        check_run(&v, at, n, 0);
    dvec before = v;
    ck_assert_int_eq(dvec_append(&v, NULL, 0), WB_OK);
    ck_assert_int_eq(dvec_append(&v, dvec_data(&source), SIZE_MAX), WB_ERR_INVALID);
    ck_assert_int_eq(dvec_append(&v, dvec_data(&source), SIZE_MAX / 8), WB_ERR_INVALID);
    ck_assert_int_eq(dvec_append(&v, dvec_data(&source), 32 * MIB / 8), WB_ERR_BUDGET);
    ck_assert_mem_eq(&v, &before, sizeof(v));
    dvec_drop(&v);
    dvec_drop(&source);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_append_of_own_elements)
{
    struct wb_rma_allocator *pool = test_pool(32 * MIB, NULL);
    dvec v = counted(pool, 10);

    for (unsigned i = 0; i < 12; i++) { /* doubles; often with a move in between */
        size_t count = dvec_count(&v);
        ck_assert_int_eq(dvec_append(&v, dvec_data(&v), count), WB_OK);
        ck_assert_uint_eq(dvec_count(&v), 2 * count);
    }
    for (size_t at = 0; at < dvec_count(&v); at += 10)
        check_run(&v, at, 10, 0);
    size_t count = dvec_count(&v);
    ck_assert_int_eq(dvec_append(&v, dvec_at(&v, 13), 7), WB_OK);
    check_run(&v, count, 7, 3);
    dvec_drop(&v);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_pop_and_clear)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    dvec v = counted(pool, 3), none = {0};
    double last = -1;

    ck_assert_int_eq(dvec_pop(&v, &last), WB_OK);
    ck_assert_double_eq(last, 2);
    ck_assert_int_eq(dvec_pop(&v, NULL), WB_OK);
    ck_assert_uint_eq(dvec_count(&v), 1);
    dvec second = dvec_share(&v);
    ck_assert_int_eq(dvec_pop(&v, &last), WB_ERR_SHARED);
    ck_assert_int_eq(dvec_clear(&v), WB_ERR_SHARED);
    ck_assert_double_eq(last, 2);
    dvec_drop(&second);
    size_t capacity = v.vector.capacity;
    ck_assert_int_eq(dvec_clear(&v), WB_OK);
    ck_assert_uint_eq(dvec_count(&v), 0);
    ck_assert_uint_eq(v.vector.capacity, capacity);
    ck_assert_int_eq(dvec_pop(&v, &last), WB_ERR_INVALID);
    ck_assert_int_eq(dvec_pop(&none, &last), WB_ERR_INVALID);
    ck_assert_int_eq(dvec_clear(&none), WB_ERR_INVALID);
    dvec_drop(&v);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_shrink)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    dvec v = counted(pool, 100000), none = {0};
    const double *data = dvec_data(&v);

    ck_assert_int_eq(dvec_shrink(&v), WB_OK); /* nothing to gain */
    ck_assert_ptr_eq(dvec_data(&v), data);
    ck_assert_int_eq(dvec_resize(&v, 100), WB_OK);
    dvec second = dvec_share(&v);
    ck_assert_int_eq(dvec_shrink(&v), WB_ERR_SHARED);
    dvec_drop(&second);
    ck_assert_int_eq(dvec_shrink(&v), WB_OK);
    ck_assert_uint_lt(v.vector.capacity, 2000);
    check_run(&v, 0, 100, 0);
    ck_assert_int_eq(dvec_clear(&v), WB_OK);
    ck_assert_int_eq(dvec_shrink(&v), WB_OK);
    ck_assert_int_eq(dvec_shrink(&v), WB_OK); /* there is no smaller block */
    ck_assert_int_eq(dvec_push(&v, 7), WB_OK);
    ck_assert_int_eq(dvec_shrink(&none), WB_ERR_INVALID);
    dvec_drop(&v);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_slices)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    dvec v = counted(pool, 1000), none = {0};

    dvec middle = dvec_slice(&v, 100, 300);
    ck_assert_ptr_eq(dvec_data(&middle), dvec_at(&v, 100));
    ck_assert(!dvec_is_exclusive(&v) && !dvec_is_exclusive(&middle));
    dvec inner = dvec_slice(&middle, 50, 250);
    check_run(&inner, 0, 250, 150);
    ck_assert_uint_eq(inner.vector.capacity, 250 * sizeof(double));
    dvec end = dvec_slice(&middle, 300, 0);
    ck_assert_ptr_nonnull(end.vector.block);
    ck_assert_uint_eq(dvec_count(&end), 0);

    const struct {
        size_t first, count;
    } outside[] = {{301, 0}, {300, 1}, {0, 301}, {SIZE_MAX, 1}, {1, SIZE_MAX}, {299, 2}};
    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++) {
        dvec slice = dvec_slice(&middle, outside[i].first, outside[i].count);
        ck_assert_ptr_null(slice.vector.block);
    }
    ck_assert_ptr_null(dvec_slice(&none, 0, 0).vector.block);

    dvec_drop(&v);
    dvec_drop(&middle);
    dvec_drop(&end);
    ck_assert(dvec_is_exclusive(&inner));
    check_run(&inner, 0, 250, 150);
    ck_assert_int_eq(dvec_append(&inner, dvec_data(&inner), 2), WB_OK);
    check_run(&inner, 250, 2, 150);
    ck_assert_int_eq(dvec_pop(&inner, NULL), WB_OK);
    ck_assert_int_eq(dvec_shrink(&inner), WB_OK);
    dvec_drop(&inner);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

/* Any alignment, so that some do not begin where their block does. */
START_TEST(test_adopt)
{
    struct wb_rma_allocator *pool = test_pool(32 * MIB, NULL);
    int elsewhere;

    for (size_t alignment = 64; alignment <= 2 * MIB; alignment *= 2) {
        void *memory;
        ck_assert_int_eq(wb_rma_alloc(pool, 8000, alignment, &memory), WB_OK);
        dvec v;
        ck_assert_int_eq(dvec_adopt(memory, 1000, &v), WB_OK);
        ck_assert_ptr_eq(dvec_data(&v), memory);
        ck_assert_uint_eq(dvec_count(&v), 1000);
        ck_assert_uint_eq(v.vector.capacity, wb_rma_usable_bytes(memory));
        ck_assert(dvec_is_exclusive(&v));
        for (size_t i = 0; i < 1000; i++)
            *dvec_at(&v, i) = (double)i;
        for (size_t i = 1000; i < 3000; i++)
            ck_assert_int_eq(dvec_push(&v, (double)i), WB_OK);
        check_run(&v, 0, 3000, 0);
        dvec_drop(&v);
        ck_assert_uint_eq(test_stats(pool).blocks, 0);
    }
    void *memory;
    wb_rma_vector v;
    ck_assert_int_eq(wb_rma_alloc(pool, 64, 0, &memory), WB_OK);
    size_t usable = wb_rma_usable_bytes(memory);
    ck_assert_int_eq(wb_rma_vector_adopt(memory, 0, 1, &v), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_adopt(memory, 1, usable + 1, &v), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_adopt(memory, 2, SIZE_MAX, &v), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_adopt(memory, (size_t)UINT32_MAX + 1, 0, &v), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_adopt(NULL, 1, 0, &v), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_adopt(&elsewhere, 1, 0, &v), WB_ERR_INVALID);
    ck_assert_ptr_null(v.block);
    wb_rma_free(memory);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_types)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    point_vec points, others;
    dvec numbers;
    bvec bytes;

    ck_assert_int_eq(point_vec_create(pool, 0, &points), WB_OK);
    ck_assert_int_eq(point_vec_push(&points, (struct point){1, 2, 3}), WB_OK);
    ck_assert_int_eq(point_vec_reserve(&points, 10), WB_OK);
    ck_assert_double_eq(point_vec_at(&points, 0)->z, 3);

    wb_rma_vector any = point_vec_to(&points);
    ck_assert_ptr_null(points.vector.block);
    ck_assert_uint_eq(any.elem_size, sizeof(struct point));
    ck_assert_int_eq(dvec_from(&any, &numbers), WB_ERR_INVALID);
    ck_assert_ptr_null(numbers.vector.block);
    ck_assert_ptr_nonnull(any.block);
    ck_assert_int_eq(point_vec_from(&any, &others), WB_OK);
    ck_assert_ptr_null(any.block);
    points = point_vec_take(&others);
    ck_assert_uint_eq(point_vec_count(&points), 1);
    ck_assert_int_eq(point_vec_from(&any, &others), WB_OK); /* the empty handle */
    ck_assert_ptr_null(point_vec_data(&others));

    any = wbi_rma_vector_slice(points.vector.block, 4, sizeof(struct point), 1);
    ck_assert_int_eq(point_vec_from(&any, &others), WB_ERR_INVALID); /* it lies unaligned */
    wb_rma_vector_drop(&any);
    point_vec_drop(&points);
    ck_assert_int_eq(bvec_create(pool, 3, &bytes), WB_OK);
    ck_assert_uint_eq(bytes.vector.elem_size, 1);
    bvec_drop(&bytes);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_what_is_asserted)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    dvec v = counted(pool, 3);

    wb_rma_vector_assert_exclusive(&v.vector);
    dvec second = dvec_share(&v);
    wb_rma_vector_assert_shared(&v.vector);
    if (_i == 0)
        wb_rma_vector_assert_exclusive(&v.vector); /* ends the program */
    dvec_drop(&second);
    wb_rma_vector_assert_shared(&v.vector); /* ends the program */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_append,        test_append_of_own_elements,
                                  test_pop_and_clear, test_shrink,
                                  test_slices,        test_adopt,
                                  test_types};
    Suite *suite = test_suite("rma vector's parts", tests, sizeof(tests) / sizeof(*tests), 60);
    TCase *ends = tcase_create("ends of the program");
    const char *fork_mode = getenv("CK_FORK");

    if (!fork_mode || strcmp(fork_mode, "no") != 0)
        tcase_add_loop_test_raise_signal(ends, test_what_is_asserted, SIGABRT, 0, 2);
    suite_add_tcase(suite, ends);
    return test_run(suite);
}
