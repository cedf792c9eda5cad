/* rma_vectors: sizes, growth, sharing, slices, for elements of any size. */
#include <stdlib.h>
#include <string.h>

#include "tests/mr_cache/rma.h"

static const size_t elem_sizes[] = {1, 3, 8, 24, 4096};
enum { ELEM_SIZES = sizeof(elem_sizes) / sizeof(*elem_sizes) };

static void check_invariant(const wb_rma_vector *vector)
{
    ck_assert_int_eq(vector->block == NULL, vector->data == NULL);
    ck_assert_uint_le(wb_rma_vector_bytes(vector), vector->capacity);
    if (!vector->block)
        return;
    unsigned char *begin = wbi_rma_block_data(vector->block), *data = vector->data;
    ck_assert_uint_ge((uintptr_t)data, (uintptr_t)begin);
    ck_assert_uint_le((uintptr_t)data + vector->capacity,
                      (uintptr_t)begin + wbi_rma_block_bytes(vector->block));
}

static bool is_same(const wb_rma_vector *a, const wb_rma_vector *b)
{
    return a->data == b->data && a->count == b->count && a->capacity == b->capacity &&
           a->elem_size == b->elem_size && a->block == b->block;
}

/* An element's bytes are all derived from its index. */
static void make_element(unsigned char *element, size_t elem_size, size_t index)
{
    for (size_t i = 0; i < elem_size; i++)
        element[i] = (unsigned char)(index * 7 + i + 1);
}

static void check_element(const wb_rma_vector *vector, size_t at, size_t index)
{
    unsigned char wanted[4096];

    make_element(wanted, vector->elem_size, index);
    /* No ck_assert where it would run thousands of times: each writes to a file. */
    if (memcmp((unsigned char *)vector->data + at * vector->elem_size, wanted, vector->elem_size) !=
        0)
        ck_abort_msg("element %zu is not as it was made", at);
}

static wb_rma_vector made(struct wb_rma_allocator *pool, size_t elem_size, size_t count)
{
    wb_rma_vector vector;

    ck_assert_int_eq(wb_rma_vector_create(pool, elem_size, count, &vector), WB_OK);
    for (size_t i = 0; i < count; i++)
        make_element((unsigned char *)vector.data + i * elem_size, elem_size, i);
    check_invariant(&vector);
    return vector;
}

START_TEST(test_create_and_drop)
{
    struct wb_rma_allocator *pool = test_pool(16 * MIB, NULL);

    for (unsigned i = 0; i < ELEM_SIZES; i++) {
        for (size_t count = 0; count < 700; count = count * 3 + 1) {
            wb_rma_vector vector = made(pool, elem_sizes[i], count);
            ck_assert_uint_eq(vector.count, count);
            ck_assert_uint_eq(vector.elem_size, elem_sizes[i]);
            ck_assert_uint_eq((uintptr_t)vector.data % 64, 0);
            ck_assert(wb_rma_vector_is_exclusive(&vector));
            wb_rma_vector_drop(&vector);
            ck_assert_ptr_null(vector.data);
            ck_assert_uint_eq(vector.count, 0);
            wb_rma_vector_drop(&vector);
        }
    }
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

static int try_create(struct wb_rma_allocator *pool, size_t elem_size, size_t count)
{
    wb_rma_vector vector;

    memset(&vector, 0xff, sizeof(vector));
    int rc = wb_rma_vector_create(pool, elem_size, count, &vector);
    ck_assert_ptr_null(vector.data);
    ck_assert_ptr_null(vector.block);
    ck_assert_uint_eq(vector.count + vector.capacity + vector.elem_size, 0);
    return rc;
}

START_TEST(test_impossible_sizes_are_refused)
{
    struct wb_rma_allocator *pool = test_pool(4 * MIB, NULL);

    ck_assert_int_eq(try_create(pool, 0, 1), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(pool, (size_t)UINT32_MAX + 1, 1), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(pool, 2, SIZE_MAX / 2 + 1), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(pool, UINT32_MAX, SIZE_MAX / 2), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(pool, 1, SIZE_MAX), WB_ERR_BUDGET);
    ck_assert_int_eq(try_create(pool, 8, MIB), WB_ERR_BUDGET);

    wb_rma_vector vector = made(pool, 8, 10), before = vector;
    ck_assert_int_eq(wb_rma_vector_resize(&vector, SIZE_MAX / 8 + 1), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_reserve(&vector, SIZE_MAX), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_reserve(&vector, SIZE_MAX / 8), WB_ERR_BUDGET);
    ck_assert_int_eq(wb_rma_vector_resize(&vector, MIB), WB_ERR_BUDGET);
    ck_assert(is_same(&vector, &before));
    wb_rma_vector_drop(&vector);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_the_empty_handle)
{
    wb_rma_vector vector = {0}, shared = wb_rma_vector_share(&vector);

    ck_assert_ptr_null(shared.block);
    ck_assert(wb_rma_vector_is_exclusive(&vector));
    ck_assert_int_eq(wb_rma_vector_reserve(&vector, 1), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_resize(&vector, 0), WB_ERR_INVALID);
    ck_assert_int_eq(wb_rma_vector_push(&vector, "x"), WB_ERR_INVALID);
    ck_assert_uint_eq(wb_rma_vector_bytes(&vector), 0);
}
END_TEST

START_TEST(test_push_keeps_values_and_is_amortised)
{
    struct wb_rma_allocator *pool = test_pool(64 * MIB, NULL);
    unsigned char element[4096];

    for (unsigned i = 0; i < ELEM_SIZES; i++) {
        wb_rma_vector vector = made(pool, elem_sizes[i], 0);
        size_t count = elem_sizes[i] > 100 ? 1000 : 5000;
        unsigned moves = 0;
        for (size_t k = 0; k < count; k++) {
            void *former = vector.data;
            make_element(element, elem_sizes[i], k);
            if (wb_rma_vector_push(&vector, element) != WB_OK)
                ck_abort_msg("push %zu failed", k);
            moves += vector.data != former;
        }
        ck_assert_uint_le(moves, 30);
        ck_assert_uint_eq(vector.count, count);
        check_invariant(&vector);
        for (size_t k = 0; k < count; k++)
            check_element(&vector, k, k);
        wb_rma_vector_drop(&vector);
    }
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_push_of_an_own_element)
{
    struct wb_rma_allocator *pool = test_pool(16 * MIB, NULL);

    for (unsigned i = 0; i < ELEM_SIZES; i++) {
        wb_rma_vector vector = made(pool, elem_sizes[i], 2);
        for (size_t k = 2; k < 300; k++) { /* often with a move in between */
            unsigned char *first = vector.data;
            ck_assert_int_eq(wb_rma_vector_push(&vector, first + (k % 2) * elem_sizes[i]), WB_OK);
        }
        for (size_t k = 0; k < 300; k++)
            check_element(&vector, k, k % 2);
        wb_rma_vector_drop(&vector);
    }
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_resize_zeroes_what_is_new)
{
    struct wb_rma_allocator *pool = test_pool(16 * MIB, NULL);

    for (unsigned i = 0; i < ELEM_SIZES; i++) {
        wb_rma_vector vector = made(pool, elem_sizes[i], 100);
        ck_assert_int_eq(wb_rma_vector_resize(&vector, 10), WB_OK);
        for (size_t count = 11; count < 400; count += count) {
            size_t former = wb_rma_vector_bytes(&vector);
            ck_assert_int_eq(wb_rma_vector_resize(&vector, count), WB_OK);
            ck_assert_uint_eq(vector.count, count);
            check_invariant(&vector);
            const unsigned char *bytes = vector.data;
            for (size_t k = former; k < wb_rma_vector_bytes(&vector); k++)
                if (bytes[k] != 0)
                    ck_abort_msg("new byte %zu is not zero", k);
            memset((unsigned char *)vector.data + former, 0xee,
                   wb_rma_vector_bytes(&vector) - former);
        }
        for (size_t k = 0; k < 10; k++)
            check_element(&vector, k, k);
        wb_rma_vector_drop(&vector);
    }
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_reserve_makes_pushes_stay)
{
    struct wb_rma_allocator *pool = test_pool(16 * MIB, NULL);

    for (unsigned i = 0; i < ELEM_SIZES; i++) {
        wb_rma_vector vector = made(pool, elem_sizes[i], 5);
        unsigned char element[4096];
        ck_assert_int_eq(wb_rma_vector_reserve(&vector, 200), WB_OK);
        ck_assert_uint_ge(vector.capacity, 200 * elem_sizes[i]);
        ck_assert_uint_eq(vector.count, 5);
        void *data = vector.data;
        ck_assert_int_eq(wb_rma_vector_reserve(&vector, 1), WB_OK);
        for (size_t k = 5; k < 200; k++) {
            make_element(element, elem_sizes[i], k);
            ck_assert_int_eq(wb_rma_vector_push(&vector, element), WB_OK);
        }
        ck_assert_ptr_eq(vector.data, data);
        for (size_t k = 0; k < 200; k++)
            check_element(&vector, k, k);
        wb_rma_vector_drop(&vector);
    }
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_shared_vectors_keep_their_size)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    wb_rma_vector vector = made(pool, 24, 50);
    wb_rma_vector second = wb_rma_vector_share(&vector);
    unsigned char element[24] = {0};

    ck_assert(is_same(&vector, &second));
    ck_assert(!wb_rma_vector_is_exclusive(&vector));
    ck_assert_int_eq(wb_rma_vector_push(&vector, element), WB_ERR_SHARED);
    ck_assert_int_eq(wb_rma_vector_resize(&second, 1), WB_ERR_SHARED);
    ck_assert_int_eq(wb_rma_vector_reserve(&second, 1000), WB_ERR_SHARED);
    ck_assert(is_same(&vector, &second));

    wb_rma_vector_drop(&vector);
    ck_assert(wb_rma_vector_is_exclusive(&second));
    check_element(&second, 49, 49);
    wbi_rma_block_lease(second.block);
    ck_assert(!wb_rma_vector_is_exclusive(&second));
    ck_assert_int_eq(wb_rma_vector_push(&second, element), WB_ERR_SHARED);
    wbi_rma_block_unlease(second.block);
    ck_assert_int_eq(wb_rma_vector_push(&second, element), WB_OK);

    wb_rma_vector taken = wb_rma_vector_take(&second);
    ck_assert_ptr_null(second.block);
    ck_assert_uint_eq(taken.count, 51);
    ck_assert_uint_eq(test_stats(pool).blocks, 1);
    wb_rma_vector_drop(&second);
    wb_rma_vector_drop(&taken);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_slices_hold_their_block)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    wb_rma_vector whole = made(pool, 3, 100);
    struct wb_rma_block *block = whole.block;
    wb_rma_vector slice = wbi_rma_vector_slice(block, 30, 3, 20);
    unsigned char element[3];

    check_invariant(&slice);
    ck_assert_uint_eq(slice.count, 20);
    ck_assert_uint_eq(slice.capacity, 60);
    check_element(&slice, 0, 10);
    ck_assert_int_eq(wb_rma_vector_resize(&slice, 5), WB_ERR_SHARED);
    wb_rma_vector_drop(&whole);
    check_element(&slice, 19, 29);

    make_element(element, 3, 30); /* the byte behind the slice is not its own: it moves */
    void *former = slice.data;
    ck_assert_int_eq(wb_rma_vector_push(&slice, element), WB_OK);
    ck_assert_ptr_ne(slice.data, former);
    for (size_t k = 0; k < 21; k++)
        check_element(&slice, k, k + 10);
    wb_rma_vector_drop(&slice);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_slices_outside_are_empty)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    struct wb_rma_block *block = test_alloc(pool, 1024);
    const struct {
        size_t offset, count;
        uint32_t elem_size;
    } outside[] = {{0, 1025, 1},     {1024, 1, 1}, {1025, 0, 1},         {0, SIZE_MAX, 8},
                   {SIZE_MAX, 1, 1}, {0, 1, 0},    {0, SIZE_MAX / 8, 8}, {1020, 2, 4}};

    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++) {
        wb_rma_vector slice =
            wbi_rma_vector_slice(block, outside[i].offset, outside[i].elem_size, outside[i].count);
        ck_assert_ptr_null(slice.block);
        ck_assert_ptr_null(slice.data);
    }
    wb_rma_vector end = wbi_rma_vector_slice(block, 1024, 4, 0);
    ck_assert_ptr_eq(end.block, block);
    wb_rma_vector_drop(&end);
    wbi_rma_block_unref(block);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_growth_without_slack_where_there_is_none)
{
    struct wb_rma_allocator *pool = test_pool(20 * MIB, NULL);
    wb_rma_vector vector = made(pool, 1, 8 * MIB);

    /* 8 MiB held and 12 MiB with slack would be over the budget once the first slab is counted. */
    struct wb_rma_block *held = test_alloc(pool, 64);
    ck_assert_uint_eq(vector.capacity, 8 * MIB);
    ck_assert_int_eq(wb_rma_vector_resize(&vector, 10 * MIB), WB_OK);
    ck_assert_uint_eq(vector.capacity, 10 * MIB);
    check_element(&vector, 8 * MIB - 1, 8 * MIB - 1);
    wbi_rma_block_unref(held);
    wb_rma_vector_drop(&vector);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_create_and_drop,
                                  test_impossible_sizes_are_refused,
                                  test_the_empty_handle,
                                  test_push_keeps_values_and_is_amortised,
                                  test_push_of_an_own_element,
                                  test_resize_zeroes_what_is_new,
                                  test_reserve_makes_pushes_stay,
                                  test_shared_vectors_keep_their_size,
                                  test_slices_hold_their_block,
                                  test_slices_outside_are_empty,
                                  test_growth_without_slack_where_there_is_none};

    return test_run(test_suite("rma vector", tests, sizeof(tests) / sizeof(*tests), 60));
}
