/* Buffers: what keeps their bytes, and when it is told that it need no longer. */
#include <stdlib.h>
#include <string.h>

#include "mr_cache/buffer.h"
#include "tests/mr_cache/rma.h"

struct ending {
    atomic_uint calls;
    const void *data;
    size_t len;
};

static void on_release(void *context, const void *data, size_t len)
{
    struct ending *ending = context;

    ending->data = data;
    ending->len = len;
    atomic_fetch_add(&ending->calls, 1);
}

static unsigned freed;

static void free_and_count(void *memory)
{
    free(memory);
    freed++;
}

START_TEST(test_views)
{
    wb_buffer view = wb_buffer_view("abc", 3), empty = {0};

    ck_assert(wb_buffer_is_view(&view) && !wb_buffer_is_view(&empty));
    ck_assert(!wb_buffer_is_exclusive(&view) && wb_buffer_is_exclusive(&empty));
    wb_buffer second = wb_buffer_share(&view);
    ck_assert_ptr_eq(second.data, view.data);
    wb_buffer_drop(&second);
    wb_buffer_drop(&second);
    wb_buffer_drop(&empty);
    ck_assert_ptr_null(second.data);
    wb_buffer slice = wb_buffer_slice(&view, 1, 2);
    ck_assert_mem_eq(slice.data, "bc", 2);
    ck_assert_uint_eq(wb_buffer_slice(&view, 2, 2).len, 0);
    ck_assert_uint_eq(wb_buffer_slice(&view, SIZE_MAX, 2).len, 0);
    ck_assert_uint_eq(wb_buffer_slice(&view, 1, SIZE_MAX).len, 0);
}
END_TEST

START_TEST(test_copies)
{
    char text[] = "text";
    wb_buffer copy;

    ck_assert_int_eq(wb_buffer_copy(text, 4, &copy), WB_OK);
    text[0] = 'n';
    ck_assert_mem_eq(copy.data, "text", 4);
    ck_assert(wb_buffer_is_exclusive(&copy) && !wb_buffer_is_view(&copy));
    wb_buffer slice = wb_buffer_slice(&copy, 1, 3);
    ck_assert(!wb_buffer_is_exclusive(&copy));
    wb_buffer_drop(&copy);
    ck_assert_mem_eq(slice.data, "ext", 3);
    wb_buffer_drop(&slice);
    ck_assert_int_eq(wb_buffer_copy(NULL, 0, &copy), WB_OK);
    wb_buffer_drop(&copy);
    ck_assert_int_eq(wb_buffer_copy(text, SIZE_MAX, &copy), WB_ERR_NO_MEMORY);
    ck_assert_ptr_null(copy.owner);
}
END_TEST

START_TEST(test_references)
{
    struct ending ending = {0};
    wb_buffer buffer, kept, forever;
    char bytes[100] = "";

    ck_assert_int_eq(wb_buffer_reference(bytes, 100, on_release, &ending, &buffer), WB_OK);
    ck_assert_ptr_eq(buffer.data, bytes);
    wb_buffer second = wb_buffer_share(&buffer), slice = wb_buffer_slice(&buffer, 10, 20);
    wb_buffer_drop(&buffer);
    ck_assert_int_eq(wb_buffer_keep(&second, &kept), WB_OK);
    ck_assert_ptr_null(second.owner);
    wb_buffer_drop(&second);
    wb_buffer moved = wb_buffer_take(&kept);
    wb_buffer_drop(&kept);
    wb_buffer_drop(&moved);
    ck_assert_uint_eq(ending.calls, 0);
    wb_buffer_drop(&slice);
    ck_assert_uint_eq(ending.calls, 1);
    ck_assert_ptr_eq(ending.data, bytes); /* as it was given, not as it was cut */
    ck_assert_uint_eq(ending.len, 100);
    wb_buffer_drop(&slice);
    ck_assert_uint_eq(ending.calls, 1);

    ck_assert_int_eq(wb_buffer_reference(NULL, 0, on_release, &ending, &buffer), WB_OK);
    ck_assert(!wb_buffer_is_view(&buffer));
    wb_buffer_drop(&buffer);
    ck_assert_uint_eq(ending.calls, 2);
    ck_assert_int_eq(wb_buffer_reference("for ever", 8, NULL, NULL, &forever), WB_OK);
    wb_buffer_drop(&forever);
}
END_TEST

START_TEST(test_adopted_memory)
{
    wb_buffer buffer;

    ck_assert_int_eq(wb_buffer_adopt(malloc(50), 50, NULL, &buffer), WB_OK);
    wb_buffer_drop(&buffer); /* leaks are found by others */
    ck_assert_int_eq(wb_buffer_adopt(malloc(50), 50, free_and_count, &buffer), WB_OK);
    wb_buffer second = wb_buffer_share(&buffer);
    wb_buffer_drop(&buffer);
    ck_assert_uint_eq(freed, 0);
    wb_buffer_drop(&second);
    ck_assert_uint_eq(freed, 1);
}
END_TEST

START_TEST(test_keeping_a_view)
{
    char text[] = "text";
    wb_buffer view = wb_buffer_view(text, 4), kept, empty = {0};

    ck_assert_int_eq(wb_buffer_keep(&view, &kept), WB_OK);
    ck_assert_ptr_null(view.data);
    text[0] = 'n';
    ck_assert_mem_eq(kept.data, "text", 4);
    wb_buffer_drop(&kept);
    view = wb_buffer_view(text, SIZE_MAX);
    ck_assert_int_eq(wb_buffer_keep(&view, &kept), WB_ERR_NO_MEMORY);
    ck_assert_ptr_eq(view.data, text);
    ck_assert_ptr_null(kept.data);
    ck_assert_int_eq(wb_buffer_keep(&empty, &kept), WB_OK);
    ck_assert_ptr_null(kept.owner);
}
END_TEST

START_TEST(test_registered_ones)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    wb_rma_vector vector;

    ck_assert_int_eq(wb_rma_vector_create(pool, 8, 100, &vector), WB_OK);
    memset(vector.data, 5, 800);
    struct wb_rma_block *block = vector.block;
    wb_buffer buffer = wb_buffer_of_vector(&vector), kept;
    ck_assert_ptr_null(vector.block);
    ck_assert_uint_eq(buffer.len, 800);
    ck_assert_ptr_eq(buffer.block, block);
    ck_assert(wb_buffer_is_exclusive(&buffer) && !wb_buffer_is_view(&buffer));
    wb_buffer slice = wb_buffer_slice(&buffer, 300, 5);
    ck_assert(!wb_buffer_is_exclusive(&buffer));
    ck_assert_int_eq(wb_buffer_keep(&slice, &kept), WB_OK);
    wb_buffer_drop(&buffer);
    ck_assert_uint_eq(test_stats(pool).blocks, 1);
    ck_assert_mem_eq(kept.data, "\5\5\5\5\5", 5);
    wb_buffer_drop(&kept);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

enum { THREADS = 8, ROUNDS = 2000 };

static void *share_and_drop(void *argument)
{
    wb_buffer buffer = *(wb_buffer *)argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        wb_buffer second = wb_buffer_share(&buffer);
        wb_buffer third = wb_buffer_slice(&second, i % 50, 10);
        wb_buffer_drop(&second);
        wb_buffer_drop(&third);
    }
    wb_buffer_drop(&buffer);
    return NULL;
}

START_TEST(test_threads)
{
    struct ending ending = {0};
    pthread_t threads[THREADS];
    wb_buffer buffer, handles[THREADS];
    char bytes[100] = "";

    ck_assert_int_eq(wb_buffer_reference(bytes, 100, on_release, &ending, &buffer), WB_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        handles[i] = wb_buffer_share(&buffer);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, share_and_drop, &handles[i]), 0);
    }
    wb_buffer_drop(&buffer);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(ending.calls, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_views,          test_copies,         test_references,
                                  test_adopted_memory, test_keeping_a_view, test_registered_ones,
                                  test_threads};

    return test_run(test_suite("buffer", tests, sizeof(tests) / sizeof(*tests), 60));
}
