/* A vector of more than 4 GiB, of more than 2^32 elements: no length is cut to 32 bits. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/mr_cache/rma.h"

#define GIB (1024 * MIB)

enum { SKIPPED = 77 };

static uint64_t available_bytes(void)
{
    FILE *meminfo = fopen("/proc/meminfo", "r");
    uint64_t kib = 0;
    char line[128];

    while (meminfo && !kib && fgets(line, sizeof(line), meminfo))
        (void)sscanf(line, "MemAvailable: %" SCNu64, &kib);
    if (meminfo)
        (void)fclose(meminfo);
    return kib * 1024;
}

/* Where the marks are: both sides of every GiB and of 2^32. */
static size_t mark_at(size_t bytes, size_t index)
{
    size_t at = index / 2 * GIB + index % 2;

    return at == 0 ? 0 : at <= bytes ? at - 1 : bytes - 1;
}

static void mark(wb_rma_vector *vector, size_t bytes, bool check)
{
    unsigned char *data = vector->data;

    for (size_t i = 0; i < 12; i++) {
        size_t at = mark_at(bytes, i);
        unsigned char value = (unsigned char)(at / 4096 + at + 1);
        if (check)
            ck_assert_uint_eq(data[at], value);
        else
            data[at] = value;
    }
}

START_TEST(test_more_than_4_gib)
{
    struct wb_rma_allocator *pool = test_pool(4 * GIB + 512 * MIB, NULL);
    size_t first = 64 * MIB, second = 4 * GIB + 256 * MIB;
    wb_rma_vector vector;

    ck_assert_int_eq(wb_rma_vector_create(pool, 1, first, &vector), WB_OK);
    mark(&vector, first, false);
    ck_assert_int_eq(wb_rma_vector_resize(&vector, second), WB_OK);
    ck_assert_uint_eq(vector.count, second);
    ck_assert_uint_ge(vector.capacity, second);
    mark(&vector, first, true);
    const unsigned char *data = vector.data;
    for (size_t at = first; at < second; at += 4093)
        if (data[at] != 0)
            ck_abort_msg("new element %zu is not zero", at);
    mark(&vector, second, false);

    ck_assert_int_eq(wb_rma_vector_resize(&vector, second - 1), WB_OK);
    ck_assert_int_eq(wb_rma_vector_push(&vector, data), WB_OK);
    ck_assert_uint_eq(data[second - 1], data[0]);
    ck_assert_ptr_eq(wbi_rma_find(data + second - 1), vector.block);
    wb_rma_vector slice = wbi_rma_vector_slice(vector.block, 4 * GIB + 8, 8, 16);
    ck_assert_ptr_eq(slice.data, (const void *)(data + 4 * GIB + 8));
    ck_assert_uint_ge(test_stats(pool).used_bytes, second);
    test_assert_valid(pool);
    wb_rma_vector_drop(&slice);
    wb_rma_vector_drop(&vector);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_more_than_4_gib};

    if (TEST_SANITIZED) {
        puts("SKIPPED: a vector above 4 GiB is too much memory under a sanitizer");
        return SKIPPED;
    }
    if (available_bytes() < 6 * GIB) {
        printf("SKIPPED: a vector above 4 GiB needs 6 GiB of free memory, there are %.1f\n",
               (double)available_bytes() / (double)GIB);
        return SKIPPED;
    }
    return test_run(test_suite("rma vector large", tests, 1, 110));
}
