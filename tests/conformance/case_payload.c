/* Payloads of 0 bytes to 256 MiB, and of 5 GiB, by every path in both directions; every byte is
 * checked. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/conformance/world.h"

static const uint64_t gib = (uint64_t)1 << 30;

/* Pools for the largest vector as argument, its copy in an archive, and the same as a result. */
static void open_roomy_world(void)
{
    test_world.client_config.budget_bytes = test_world.server_config.budget_bytes = 4 * gib;
    test_world.client_config.call_timeout_us = test_patience_us;
    test_world_open(1);
}

/* The largest of what is copied: a slow machine copies the largest of all by RDMA alone. */
static uint64_t largest_copy(void)
{
    return test_slower() > 1 ? test_largest_vector() / 4 : test_largest_vector();
}

/* Calls visit for each size: 0, powers of two and their neighbours, then fewer up to the largest.
 */
static void visit_sizes(void (*visit)(uint64_t bytes), uint64_t largest)
{
    uint64_t step = test_slower() > 1 ? 16 : 4;
    visit(0);
    for (uint64_t bytes = 1; bytes <= 1 << 17; bytes *= 2) {
        visit(bytes - 1);
        visit(bytes);
        visit(bytes + 1);
    }
    for (uint64_t bytes = 1 << 18; bytes < largest / 4; bytes *= step) {
        visit(bytes);
    }
    visit(largest / 4 - 1);
    visit(largest);
}

static void assert_arrives(const struct digest_in *in, uint32_t flags)
{
    struct wb_call_options options = {.flags = flags};
    struct digest_out out;
    size_t data_bytes = wb_rma_vector_bytes(&in->data);
    test_assert_status(digest_call(test_world.peer, in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.raw_bytes, in->raw.len);
    ck_assert_uint_eq(out.raw_right, in->raw.len);
    ck_assert_uint_eq(out.data_bytes, data_bytes);
    ck_assert_uint_eq(out.data_right, data_bytes);
    digest_out_drop(&out);
}

static void send_vector(uint64_t bytes)
{
    struct digest_in in = {.seed = bytes, .data = test_world_vector(1, bytes, bytes + 1)};
    assert_arrives(&in, 0);
    digest_in_drop(&in);
}

START_TEST(test_arguments_by_rma)
{
    open_roomy_world();
    visit_sizes(send_vector, test_largest_vector());
    test_world_close();
}
END_TEST

/* User memory of the largest size, mapped while a test runs. */
static void *user_memory;

static void map_user_memory(void)
{
    user_memory = mmap(NULL, test_largest_vector(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(user_memory, MAP_FAILED);
}

static void send_pointer(uint64_t bytes)
{
    /* the last bytes of the mapping: what reads beyond them faults */
    uint8_t *raw = (uint8_t *)user_memory + (test_largest_vector() - bytes);
    struct digest_in in = {.seed = bytes, .raw = {.data = raw, .len = bytes}};
    test_pattern_fill(raw, bytes, bytes);
    assert_arrives(&in, 0);
}

START_TEST(test_arguments_by_pointer)
{
    open_roomy_world();
    map_user_memory();
    visit_sizes(send_pointer, test_largest_vector());
    munmap(user_memory, test_largest_vector());
    test_world_close();
}
END_TEST

static void send_copy(uint64_t bytes)
{
    struct digest_in in = {.seed = bytes,
                           .raw = {.data = user_memory, .len = bytes},
                           .data = test_world_vector(1, bytes / 2, bytes + 1)};
    test_pattern_fill(user_memory, bytes, bytes);
    assert_arrives(&in, WB_CALL_COPY);
    digest_in_drop(&in);
}

START_TEST(test_arguments_by_copy)
{
    open_roomy_world();
    map_user_memory();
    visit_sizes(send_copy, largest_copy());
    munmap(user_memory, test_largest_vector());
    test_world_close();
}
END_TEST

/* ---- results ---- */

static void assert_comes(const struct produce_in *in, uint32_t flags)
{
    uint64_t bytes = in->count * in->elem_size;
    struct wb_call_options options = {.reply_bytes = bytes + in->raw_bytes + 4096, .flags = flags};
    struct produce_out out;
    test_assert_status(produce_call(test_world.peer, in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.raw.len, in->raw_bytes);
    ck_assert_uint_eq(test_pattern_check(out.raw.data, out.raw.len, in->seed), in->raw_bytes);
    ck_assert_uint_eq(wb_rma_vector_bytes(&out.data), bytes);
    ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, in->seed + 1), bytes);
    produce_out_drop(&out);
}

static void receive_vector(uint64_t bytes)
{
    struct produce_in in = {.seed = bytes, .count = bytes, .elem_size = 1};
    assert_comes(&in, 0);
}

static void receive_bytes(uint64_t bytes)
{
    struct produce_in in = {.seed = bytes, .raw_bytes = bytes};
    assert_comes(&in, 0);
}

static void receive_copy(uint64_t bytes)
{
    struct produce_in in = {.seed = bytes, .raw_bytes = bytes / 2, .count = bytes, .elem_size = 1};
    assert_comes(&in, WB_CALL_COPY);
}

START_TEST(test_results_by_rma)
{
    open_roomy_world();
    visit_sizes(receive_vector, test_largest_vector());
    test_world_close();
}
END_TEST

START_TEST(test_results_of_bytes)
{
    open_roomy_world();
    visit_sizes(receive_bytes, largest_copy());
    test_world_close();
}
END_TEST

START_TEST(test_results_by_copy)
{
    open_roomy_world();
    visit_sizes(receive_copy, largest_copy());
    test_world_close();
}
END_TEST

START_TEST(test_reply_room_of_just_the_result)
{
    test_world_open(1);
    for (uint64_t bytes = 16384; bytes <= 1 << 22; bytes *= 4) {
        struct produce_in in = {.seed = bytes, .count = bytes, .elem_size = 1};
        struct wb_call_options options = {.reply_bytes = bytes};
        struct produce_out out;
        test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, bytes + 1), bytes);
        produce_out_drop(&out);
    }
    test_world_close();
}
END_TEST

/* ---- lengths beyond 32 bits ---- */

static uint64_t memory_available(void)
{
    uint64_t kib = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) != 1) {
            kib = 0;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

START_TEST(test_five_gib_in_one_vector)
{
    const uint64_t needed = 14 * gib, bytes = 5 * gib + 24;
    uint64_t available = memory_available();
    if (!test_world.fabric->has_time) {
        return;
    }
    if (test_is_watched() || available < needed) {
        printf("not run: one vector of 5 GiB, which takes %" PRIu64
               " GiB of free memory (here %" PRIu64 ") and no sanitizer or valgrind\n",
               needed / gib, available / gib);
        return;
    }
    test_world.client_config.budget_bytes = test_world.server_config.budget_bytes = 6 * gib;
    test_world.client_config.call_timeout_us = 2 * test_patience_us;
    test_world_open(1);
    struct digest_in in = {.seed = 1, .data = test_world_vector(24, bytes / 24, 2)};
    assert_arrives(&in, 0);
    digest_in_drop(&in);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

TCase *test_payload_case(void)
{
    const TTest *const tests[] = {test_arguments_by_rma,
                                  test_arguments_by_pointer,
                                  test_arguments_by_copy,
                                  test_results_by_rma,
                                  test_results_of_bytes,
                                  test_results_by_copy,
                                  test_reply_room_of_just_the_result,
                                  test_five_gib_in_one_vector};
    return test_world_case("payload", tests, sizeof tests / sizeof tests[0]);
}
