/* An engine with two devices, and allocators that one of them does not know: their memory travels
 * all the same, registered for the time of the call; and what a device can register at once. */
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/verbs/domain.h"
#include "mr_cache/allocator.h"
#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { BYTES = 100003, SHORT = 3001 };

static struct sim_pair pair;
static const struct sim_profile *const profiles[] = {&sim_profile_mlx5, &sim_profile_rxe,
                                                     &sim_profile_aries};

static void open_pair(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    sim_device_add(pair.client_host, profile, "10.0.1.1");
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
}

/* The name of the client's device number `index`. */
static const char *name_of(int index)
{
    int count = 0;
    struct ibv_device **all = ibv_get_device_list(&count);
    const char *name = index < count ? ibv_get_device_name(all[index]) : "";
    ibv_free_device_list(all);
    return name; /* the world's */
}

static struct wb_rma_allocator *make(const char *devices)
{
    struct wb_rma_config config;
    struct wb_rma_allocator *allocator = NULL;
    wb_rma_config_default(&config);
    config.devices = devices;
    int status = wb_rma_allocator_create(pair.client.engine, &config, &allocator);
    test_check(status == WB_OK, "%s: %s", devices, wb_last_error());
    return allocator;
}

static bool knows(const wb_rma_vector *vector, unsigned lane, unsigned device)
{
    const struct wbi_mr *mr = wbi_rma_block_mr(vector->block, lane);
    return mr != NULL && mr->on[device] != NULL;
}

/* The number of the verbs fabric among the engine's registrars: shm may be here too. */
static unsigned verbs_lane(void)
{
    struct wb_fabric_info info;
    unsigned lane = 0;
    for (unsigned i = 0; wb_fabric_info(i, &info) == WB_OK && strcmp(info.scheme, "verbs") != 0;
         i++) {
        lane += info.usable;
    }
    return lane;
}

static void travel(struct wb_rma_allocator *allocator, size_t bytes)
{
    struct digest_in in = {.seed = 4};
    struct digest_out out;
    ck_assert_int_eq(wb_rma_vector_create(allocator, 1, bytes, &in.data), WB_OK);
    test_pattern_fill(in.data.data, bytes, 5);
    int status = digest_call(pair.peer, &in, &out, NULL);
    test_check(status == WB_OK, "%s", wb_last_error());
    ck_assert_uint_eq(out.data_right, bytes);
    digest_in_drop(&in);
}

/* Bytes inside a block, which is known to both devices, to the other one, or is pinned. Returns how
 * often that registered something. */
static uint32_t travel_as_bytes(struct wb_rma_allocator *allocator, bool pinned)
{
    struct digest_in in = {.seed = 4};
    struct digest_out out;
    void *memory = NULL;
    ck_assert_int_eq(wb_rma_alloc(allocator, BYTES, 0, &memory), WB_OK);
    test_pattern_fill(memory, BYTES, 4);
    if (pinned) {
        ck_assert_int_eq(wb_mr_pin(pair.client.engine, memory, BYTES, 0), WB_OK);
    }
    uint32_t before = pair.client_device->last_key;
    in.raw = (wb_bytes){.data = memory, .len = 64 << 10};
    ck_assert_int_eq(digest_call(pair.peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.raw_right, 64 << 10);
    uint32_t registered = pair.client_device->last_key - before;
    if (pinned) {
        ck_assert_int_eq(wb_mr_unpin(pair.client.engine, memory, BYTES), WB_OK);
    }
    wb_rma_free(memory);
    return registered;
}

/* The call goes over the first device. */
START_TEST(test_bytes_of_another_devices_memory)
{
    open_pair(profiles[_i]);
    struct wb_rma_allocator *first = make(name_of(0)), *second = make(name_of(1));
    ck_assert_uint_eq(travel_as_bytes(first, false), 0);
    ck_assert_uint_eq(travel_as_bytes(first, true), 0);
    ck_assert_uint_eq(travel_as_bytes(second, false), 1);
    ck_assert_uint_eq(travel_as_bytes(second, true), 0);
    wb_rma_allocator_destroy(first);
    wb_rma_allocator_destroy(second);
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_memory_of_another_device_travels)
{
    open_pair(profiles[_i]);
    struct wb_rma_allocator *first = make(name_of(0)), *second = make(name_of(1)),
                            *both = make(NULL);
    unsigned lane = verbs_lane();
    wb_rma_vector on_first, on_second, on_both;
    ck_assert_int_eq(wb_rma_vector_create(first, 1, BYTES, &on_first), WB_OK);
    ck_assert_int_eq(wb_rma_vector_create(second, 1, BYTES, &on_second), WB_OK);
    ck_assert_int_eq(wb_rma_vector_create(both, 1, BYTES, &on_both), WB_OK);
    ck_assert(knows(&on_first, lane, 0) && !knows(&on_first, lane, 1));
    ck_assert(!knows(&on_second, lane, 0) && knows(&on_second, lane, 1));
    ck_assert(knows(&on_both, lane, 0) && knows(&on_both, lane, 1));
    wb_rma_vector_drop(&on_first);
    wb_rma_vector_drop(&on_second);
    wb_rma_vector_drop(&on_both);
    struct wb_rma_allocator *all[] = {first, second, both};
    for (unsigned i = 0; i < 3; i++) {
        travel(all[i], BYTES);
        travel(all[i], SHORT);
        wb_rma_allocator_destroy(all[i]);
    }
    sim_pair_close(&pair);
}
END_TEST

/* They count among what is registered for parcels: none is refused for want of registrations. */
START_TEST(test_many_parcels_of_strangers)
{
    enum { CALLS = 16 };
    struct wb_call *calls[CALLS];
    open_pair(&sim_profile_tiny);
    struct wb_rma_allocator *second = make(name_of(1));
    struct digest_in in = {.seed = 4};
    ck_assert_int_eq(wb_rma_vector_create(second, 1, BYTES, &in.data), WB_OK);
    test_pattern_fill(in.data.data, BYTES, 5);
    for (unsigned i = 0; i < CALLS; i++) {
        int status = digest_async(pair.peer, &in, NULL, &calls[i]);
        test_check(status == WB_OK, "%s", wb_last_error());
    }
    digest_in_drop(&in);
    wb_rma_allocator_destroy(second); /* the calls hold it */
    for (unsigned i = 0; i < CALLS; i++) {
        struct digest_out out;
        int status = digest_finish(calls[i], &out);
        test_check(status == WB_OK, "call %u: %s", i, wb_last_error());
        ck_assert_uint_eq(out.data_right, BYTES);
    }
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_names)
{
    struct wb_rma_config config;
    struct wb_rma_allocator *allocator = NULL;
    char both[64];
    open_pair(&sim_profile_mlx5);
    snprintf(both, sizeof both, "%s,%s", name_of(1), name_of(0));
    wb_rma_allocator_destroy(make(both));
    static const char *const bad[] = {"", "mlx5_0,", ",mlx5_0", "mlx5", "mlx5_0,mlx5_7"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        wb_rma_config_default(&config);
        config.devices = bad[i];
        ck_assert_int_eq(wb_rma_allocator_create(pair.client.engine, &config, &allocator),
                         WB_ERR_INVALID);
    }
    sim_pair_close(&pair);
}
END_TEST

/* ---- limits, in words, beforehand ---- */

static void assert_refused(const struct wb_rma_config *config, int wanted, const char *words)
{
    struct wb_rma_allocator *allocator = NULL;
    int status = wb_rma_allocator_create(pair.client.engine, config, &allocator);
    test_check(status == wanted, "%s: %s", wb_status_name(status), wb_last_error());
    test_check(strstr(wb_last_error(), words) != NULL, "no '%s' in: %s", words, wb_last_error());
    ck_assert_ptr_null(allocator);
}

static void count_release(void *context, void *base, size_t bytes)
{
    unsigned *releases = context;
    (*releases)++;
    ck_assert_int_eq(munmap(base, bytes), 0);
}

/* Lending memory to an allocator of regions alone is refused, too, and the memory comes back. */
static void assert_not_lent(size_t bytes, int wanted, const char *words)
{
    struct wb_rma_allocator *allocator = NULL;
    struct wb_rma_config config;
    unsigned releases = 0;
    wb_rma_config_default(&config);
    config.regions_only = true;
    int status = wb_rma_allocator_create(pair.client.engine, &config, &allocator);
    test_check(status == WB_OK, "%s", wb_last_error());
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(base, MAP_FAILED);
    status = wb_rma_allocator_add_region(allocator, base, bytes, -1, count_release, &releases);
    test_check(status == wanted, "%s: %s", wb_status_name(status), wb_last_error());
    test_check(strstr(wb_last_error(), words) != NULL, "no '%s' in: %s", words, wb_last_error());
    test_check(strstr(wb_last_error(), "cannot be lent") != NULL, "%s", wb_last_error());
    ck_assert_uint_eq(releases, 1);
    wb_rma_allocator_destroy(allocator);
}

/* A device of which a region is smaller than the default slab: the engine's are as large as can be,
 * larger ones are refused, and so is a block. */
START_TEST(test_a_device_of_small_regions)
{
    struct sim_profile profile = sim_profile_mlx5;
    struct wb_rma_config config;
    struct wb_rma_stats stats;
    wb_rma_vector vector;
    profile.attr.max_mr_size = 5 << 20;
    profile.attr.max_mr = 24;
    sim_pair_open(&pair, 1, &profile);
    pair.config.slab_bytes = 8 << 20;
    pair.config.budget_bytes = 256 << 20;
    int status = sim_pair_begin(&pair);
    test_check(status == WB_OK, "%s", wb_last_error());
    struct wb_rma_allocator *own = wb_engine_allocator(pair.client.engine);
    wb_rma_allocator_stats(own, &stats);
    ck_assert_uint_eq(stats.slab_bytes, 4 << 20);
    ck_assert_int_eq(wb_rma_vector_create(own, 1, 6 << 20, &vector), WB_ERR_BUDGET);
    ck_assert_int_eq(wb_rma_vector_create(own, 1, 4 << 20, &vector), WB_OK);
    wb_rma_vector_drop(&vector);
    wb_rma_config_default(&config);
    config.slab_bytes = 8 << 20;
    assert_refused(&config, WB_ERR_BUDGET, "max_mr_size");
    assert_not_lent(100 << 20, WB_ERR_NO_MEMORY, "max_mr"); /* in 25 pieces */
    struct wb_rma_allocator *other = make(NULL);
    travel(other, BYTES);
    wb_rma_allocator_destroy(other);
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_a_device_of_few_regions)
{
    struct sim_profile profile = sim_profile_mlx5;
    struct wb_rma_allocator *all[64];
    struct wb_rma_config config;
    unsigned count = 0;
    profile.attr.max_mr = 24;
    sim_pair_open(&pair, 1, &profile);
    int status = sim_pair_begin(&pair);
    test_check(status == WB_OK, "%s", wb_last_error());
    wb_rma_config_default(&config);
    while ((status = wb_rma_allocator_create(pair.client.engine, &config, &all[count])) == WB_OK) {
        count++;
    }
    ck_assert_int_eq(status, WB_ERR_NO_MEMORY);
    test_check(strstr(wb_last_error(), "max_mr") != NULL, "no reason in: %s", wb_last_error());
    while (count > 0) {
        wb_rma_allocator_destroy(all[--count]);
    }
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_a_node_that_there_is_not)
{
    struct wb_rma_allocator *allocator = NULL;
    struct wb_rma_config config;
    open_pair(&sim_profile_mlx5);
    wb_rma_config_default(&config);
    config.numa_node = 100000;
    assert_refused(&config, WB_ERR_INVALID, "numa_node is 100000, and the NUMA nodes here are ");
    config.numa_node = WB_NUMA_ANY - 1;
    assert_refused(&config, WB_ERR_INVALID, "numa_node is -3");
    config.numa_node = WB_NUMA_ANY;
    ck_assert_int_eq(wb_rma_allocator_create(pair.client.engine, &config, &allocator), WB_OK);
    wb_rma_allocator_destroy(allocator);
    sim_pair_close(&pair);
}
END_TEST

static void set_capabilities(const struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    ck_assert_int_eq((int)syscall(SYS_capset, &header, data), 0);
}

START_TEST(test_little_may_be_pinned)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct former[2], less[2];
    struct rlimit limit, little = {.rlim_max = RLIM_INFINITY};
    struct wb_rma_config config;
    open_pair(&sim_profile_mlx5);
    ck_assert_int_eq((int)syscall(SYS_capget, &header, former), 0);
    memcpy(less, former, sizeof less);
    less[0].effective &= ~(1U << CAP_IPC_LOCK);
    ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    little.rlim_max = limit.rlim_max;
    little.rlim_cur = limit.rlim_max < 16 << 20 ? limit.rlim_max : 16 << 20;
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &little), 0);
    set_capabilities(less);
    wb_rma_config_default(&config);
    config.slab_bytes = 32 << 20;
    assert_refused(&config, WB_ERR_NO_MEMORY, "memlock unlimited");
    assert_not_lent(32 << 20, WB_ERR_NO_MEMORY, "memlock unlimited");
    set_capabilities(former);
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    sim_pair_close(&pair);
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    TCase *tcase = tcase_create("devices");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_memory_of_another_device_travels, 0, 3);
    tcase_add_loop_test(tcase, test_bytes_of_another_devices_memory, 0, 3);
    tcase_add_test(tcase, test_many_parcels_of_strangers);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_a_device_of_small_regions);
    tcase_add_test(tcase, test_a_device_of_few_regions);
    tcase_add_test(tcase, test_a_node_that_there_is_not);
    tcase_add_test(tcase, test_little_may_be_pinned);
    Suite *suite = suite_create("simverbs: devices");
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
