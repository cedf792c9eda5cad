/* Pinned user memory on the simulated device: what is registered and when, what a pin's end waits
 * for, and what devices must have for it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { BYTES = 100000, CALLS = 10 };

static struct sim_pair pair;
static _Alignas(4096) uint8_t memory[4 * BYTES];

static void open_pair(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
}

static struct wb_engine *engine(void)
{
    return pair.client.engine;
}

static struct wb_engine_stats stats(void)
{
    struct wb_engine_stats figures;
    wb_engine_stats(engine(), &figures);
    return figures;
}

/* How often the client's device has registered anything. */
static uint32_t registrations(void)
{
    return pair.client_device->last_key;
}

static int begin(const uint8_t *data, size_t bytes, uint64_t timeout_us, struct wb_call **call)
{
    struct digest_in in = {.seed = 1, .raw = {.data = data, .len = bytes}};
    struct wb_call_options options = {.timeout_us = timeout_us};
    return digest_async(pair.peer, &in, &options, call);
}

static int finish(struct wb_call *call, uint64_t right)
{
    struct digest_out out;
    int status = digest_finish(call, &out);
    if (status == WB_OK) {
        ck_assert_uint_eq(out.raw_right, right);
    }
    digest_out_drop(&out);
    return status;
}

/* A call with bytes that are filled somewhere with the pattern of seed 1. */
static int call(const uint8_t *data, size_t bytes)
{
    struct wb_call *one;
    int status = begin(data, bytes, 0, &one);
    return status == WB_OK ? finish(one, bytes) : status;
}

static void assert_call(uint8_t *data, size_t bytes)
{
    test_pattern_fill(data, bytes, 1);
    int status = call(data, bytes);
    ck_assert_msg(status == WB_OK, "%s", wb_last_error());
}

/* ---- registrations ---- */

START_TEST(test_one_registration_for_many_calls)
{
    open_pair(sim_profiles[_i]);
    assert_call(memory, BYTES);
    uint32_t before = registrations();
    ck_assert_int_eq(wb_mr_pin(engine(), memory, BYTES, 0), WB_OK);
    ck_assert_uint_eq(registrations(), before + 1);
    int there = pair.client_device->mr_count;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_call(memory + 4 * (size_t)i, BYTES - 1000);
    }
    ck_assert_uint_eq(registrations(), before + 1);
    ck_assert_int_eq(pair.client_device->mr_count, there);
    ck_assert_uint_eq(stats().registrations_avoided, CALLS);
    ck_assert_int_eq(wb_mr_unpin(engine(), memory, BYTES), WB_OK);
    ck_assert_int_eq(pair.client_device->mr_count, there - 1);
    assert_call(memory, BYTES);
    ck_assert_uint_eq(registrations(), before + 2);
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}
END_TEST

/* What lies across the end of a range is registered on the fly. */
START_TEST(test_chunks_that_are_not_inside)
{
    open_pair(&sim_profile_mlx5);
    ck_assert_int_eq(wb_mr_pin(engine(), memory, BYTES, 0), WB_OK);
    ck_assert_int_eq(wb_mr_pin(engine(), memory + BYTES, BYTES, 0), WB_OK);
    uint32_t before = registrations();
    assert_call(memory + BYTES - 10000, 20000);
    ck_assert_uint_eq(registrations(), before + 1);
    assert_call(memory + BYTES - 10000, 10000);
    assert_call(memory + BYTES, 10000);
    ck_assert_uint_eq(registrations(), before + 1);
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_the_least_recently_used_makes_room)
{
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    pair.config.pin_bytes = 2 * BYTES;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    ck_assert_int_eq(wb_mr_pin(engine(), memory, 2 * BYTES + 1, 0), WB_ERR_BUDGET);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "pin_bytes"));
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(wb_mr_pin(engine(), memory + i * (size_t)BYTES, BYTES, 0), WB_OK);
    }
    ck_assert_uint_eq(stats().pin_evictions, 1);
    uint32_t before = registrations();
    assert_call(memory + BYTES, BYTES);
    assert_call(memory + 2 * BYTES, BYTES);
    ck_assert_uint_eq(registrations(), before);
    assert_call(memory, BYTES);
    ck_assert_uint_eq(registrations(), before + 1);
    ck_assert_uint_eq(stats().pin_evictions, 2);
    assert_call(memory + 2 * BYTES, BYTES);
    ck_assert_uint_eq(registrations(), before + 1);
    ck_assert_uint_eq(stats().pinned_bytes, 3 * BYTES);
    ck_assert_uint_eq(stats().pin_registered_bytes, 2 * BYTES);
    sim_pair_close(&pair);
}
END_TEST

/* A device with 64 regions lends pins a quarter of them; and where it is full, those that nobody
 * uses make room for what is registered on the fly. */
START_TEST(test_pins_on_a_device_with_few_regions)
{
    struct ibv_mr *others[64];
    unsigned count = 0;
    open_pair(&sim_profile_tiny);
    for (unsigned i = 0; i < 40; i++) {
        ck_assert_int_eq(wb_mr_pin(engine(), memory + 5000 * (size_t)i, 5000, 0), WB_OK);
    }
    ck_assert_uint_eq(stats().pin_registered_bytes, 16 * 5000);
    for (unsigned i = 0; i < 40; i++) {
        assert_call(memory + 5000 * (size_t)i, 5000);
    }
    ck_assert_uint_eq(stats().pin_registered_bytes, 16 * 5000);
    struct ibv_device **list = ibv_get_device_list(NULL);
    struct ibv_context *context = ibv_open_device(list[0]);
    struct ibv_pd *pd = ibv_alloc_pd(context);
    while (count < 64 && (others[count] = ibv_reg_mr(pd, memory, 100, 0)) != NULL) {
        count++;
    }
    assert_call(memory + 4900, 10000);
    ck_assert_uint_eq(stats().pin_registered_bytes, 15 * 5000);
    while (count > 0) {
        ibv_dereg_mr(others[--count]);
    }
    ibv_dealloc_pd(pd);
    ibv_close_device(context);
    ibv_free_device_list(list);
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_memory_that_is_not_there)
{
    open_pair(&sim_profile_mlx5);
    void *hole = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(wb_mr_pin(engine(), hole, 8192, 0), WB_ERR_INVALID);
    ck_assert_int_eq(wb_mr_unpin(engine(), hole, 8192), WB_ERR_INVALID);
    munmap(hole, 8192);
    ck_assert_uint_eq(stats().pins, 0);
    sim_pair_close(&pair);
}
END_TEST

/* ---- the end of a pin ---- */

/* The server does not move before unpin does: all that the calls offer is in use. */
START_TEST(test_unpin_waits_for_what_is_in_use)
{
    struct wb_call *calls[CALLS];
    open_pair(sim_profiles[_i]);
    int before = pair.client_device->mr_count;
    ck_assert_int_eq(wb_mr_pin(engine(), memory, BYTES, 0), WB_OK);
    test_pattern_fill(memory, BYTES, 1);
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(begin(memory, BYTES, 0, &calls[i]), WB_OK);
    }
    ck_assert_uint_gt(stats().leases_open, 0);
    ck_assert_int_eq(wb_mr_unpin(engine(), memory, BYTES), WB_OK);
    ck_assert_uint_eq(stats().pins, 0);
    ck_assert_uint_eq(stats().pin_registered_bytes, 0);
    /* what is registered now is registered on the fly, by calls that had not begun to travel */
    ck_assert_int_le(pair.client_device->mr_count - before, (int)stats().leases_open);
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(finish(calls[i], BYTES), WB_OK);
    }
    ck_assert_int_eq(pair.client_device->mr_count, before);
    sim_pair_close(&pair);
}
END_TEST

/*
 * The key of a pinned range outlives its calls. A call whose peer does not release ends all the
 * same only when that peer cannot read any more: its queue pair is destroyed, key or no key.
 */
START_TEST(test_a_call_that_times_out_is_unreadable)
{
    static const struct sim_rates late = {.work_late = 1000000, .late_ns = 20000000000},
                                  none = {.work_late = 0};
    struct wb_call *one;
    open_pair(&sim_profile_mlx5);
    ck_assert_int_eq(wb_mr_pin(engine(), memory, BYTES, 0), WB_OK);
    assert_call(memory, BYTES);
    int regions = pair.client_device->mr_count;
    ck_assert_int_gt(pair.client_device->qp_count, 0);
    ck_assert_int_eq(begin(memory, BYTES, 100000, &one), WB_OK);
    sim_fault_rates(&late); /* the READs are under way for long, */
    sim_pair_settle(&pair, 50000);
    uint64_t start = sim_now_ns();
    int status = finish(one, BYTES);
    uint64_t took_ms = (sim_now_ns() - start) / 1000000;
    sim_fault_rates(&none);
    ck_assert_msg(status == WB_ERR_TIMED_OUT || status == WB_ERR_PEER_LOST, "%s",
                  wb_status_name(status));
    ck_assert_uint_ge(took_ms, 1000);                        /* the grace period */
    ck_assert_int_eq(pair.client_device->qp_count, 0);       /* nobody can read it, */
    ck_assert_int_eq(pair.client_device->mr_count, regions); /* though the key is there */
    memset(memory, 0xee, BYTES);
    ck_assert_int_eq(wb_mr_unpin(engine(), memory, BYTES), WB_OK);
    ck_assert_int_eq(pair.client_device->mr_count, regions - 1);
    sim_pair_settle(&pair, 30000000);
    sim_pair_close(&pair);
}
END_TEST

/* A call that is over for its caller, and whose chunks are not: unpin waits for those. */
START_TEST(test_unpin_waits_for_the_quarantine)
{
    static const struct sim_rates late = {.work_late = 1000000, .late_ns = 20000000000},
                                  none = {.work_late = 0};
    struct wb_call *one;
    open_pair(&sim_profile_mlx5);
    ck_assert_int_eq(wb_mr_pin(engine(), memory, BYTES, 0), WB_OK);
    test_pattern_fill(memory, BYTES, 1);
    ck_assert_int_eq(begin(memory, BYTES, 100000, &one), WB_OK);
    sim_fault_rates(&late);
    sim_pair_settle(&pair, 300000);
    ck_assert_uint_eq(stats().leases_quarantined, 1);
    ck_assert_int_gt(pair.client_device->qp_count, 0);
    ck_assert_int_eq(wb_mr_unpin(engine(), memory, BYTES), WB_OK);
    ck_assert_int_eq(pair.client_device->qp_count, 0);
    ck_assert_uint_eq(stats().leases_open, 0);
    sim_fault_rates(&none);
    ck_assert_int_eq(finish(one, BYTES), WB_ERR_TIMED_OUT);
    sim_pair_settle(&pair, 30000000);
    sim_pair_close(&pair);
}
END_TEST

/* Unpin waits as long for a peer that is dead. */
START_TEST(test_unpin_ends_though_the_peer_is_dead)
{
    struct wb_call *one;
    open_pair(sim_profiles[_i]);
    ck_assert_int_eq(wb_mr_pin(engine(), memory, BYTES, 0), WB_OK);
    test_pattern_fill(memory, BYTES, 1);
    ck_assert_int_eq(begin(memory, BYTES, 0, &one), WB_OK);
    sim_device_stop(pair.server_device);
    uint64_t start = sim_now_ns();
    ck_assert_int_eq(wb_mr_unpin(engine(), memory, BYTES), WB_OK);
    ck_assert_uint_lt((sim_now_ns() - start) / 1000000, 3500);
    ck_assert_int_eq(pair.client_device->qp_count, 0);
    ck_assert_uint_eq(stats().pin_registered_bytes, 0);
    ck_assert_int_eq(finish(one, BYTES), WB_ERR_PEER_LOST);
    sim_pair_close(&pair);
}
END_TEST

/* ---- inside a handler ---- */

static struct wb_call *back;
static int idle_inside, busy_inside;

WB_ACTION(pin_inside, TEST_NONE, TEST_NONE)

/* The server's own memory, which its call back to the client offers. */
static int on_pin_inside(struct wb_context *context, struct pin_inside_in *in,
                         struct pin_inside_out *out, void *user)
{
    struct wb_engine *server = wb_context_engine(context);
    struct digest_in arguments = {.seed = 1, .raw = {.data = memory, .len = BYTES}};
    (void)in;
    (void)out;
    (void)user;
    int pinned = wb_mr_pin(server, memory, BYTES, 0);
    idle_inside = wb_mr_unpin(server, memory, BYTES);
    int pinned_again = wb_mr_pin(server, memory, BYTES, 0);
    int begun = digest_async(wb_context_peer(context), &arguments, NULL, &back);
    busy_inside = wb_mr_unpin(server, memory, BYTES);
    return pinned == WB_OK && pinned_again == WB_OK && begun == WB_OK ? WB_OK : 1;
}

START_TEST(test_unpin_inside_a_handler)
{
    struct pin_inside_in in = {.hold = {.call = NULL}};
    struct pin_inside_out out;
    open_pair(&sim_profile_mlx5);
    struct wb_engine *server = pair.server.engine;
    ck_assert_int_eq(pin_inside_register(server, on_pin_inside, NULL), WB_OK);
    test_pattern_fill(memory, BYTES, 1);
    ck_assert_int_eq(pin_inside_call(pair.peer, &in, &out, NULL), WB_OK);
    ck_assert_int_eq(idle_inside, WB_OK);
    ck_assert_int_eq(busy_inside, WB_ERR_DEADLOCK);
    sim_pair_settle(&pair, 100000);
    ck_assert_int_eq(finish(back, BYTES), WB_OK);
    ck_assert_int_eq(wb_mr_unpin(server, memory, BYTES), WB_OK); /* it had stayed pinned */
    ck_assert_int_eq(wb_mr_unpin(server, memory, BYTES), WB_ERR_INVALID);
    sim_pair_close(&pair);
}
END_TEST

/* ---- what devices have ---- */

START_TEST(test_paging_on_demand)
{
    open_pair(sim_profiles[_i]);
    uint8_t *bytes = memory + BYTES;
    if (!sim_profiles[_i]->on_demand) {
        ck_assert_int_eq(wb_mr_pin(engine(), bytes, BYTES, WB_MR_ON_DEMAND), WB_ERR_NO_FABRIC);
        ck_assert_int_eq(wb_mr_pin(engine(), NULL, SIZE_MAX, WB_MR_ON_DEMAND), WB_ERR_NO_FABRIC);
        ck_assert_ptr_nonnull(strstr(wb_last_error(), "on-demand"));
        ck_assert_uint_eq(stats().pins, 0);
        sim_pair_close(&pair);
        return;
    }
    ck_assert_int_eq(wb_mr_pin(engine(), bytes, BYTES, WB_MR_ON_DEMAND), WB_OK);
    ck_assert_int_eq(wb_mr_pin(engine(), bytes, BYTES, 0), WB_ERR_EXISTS);
    ck_assert_uint_eq(stats().pin_registered_bytes, 0); /* nothing is pinned */
    uint32_t before = registrations();
    assert_call(bytes, BYTES);
    ck_assert_uint_eq(registrations(), before);
    ck_assert_int_eq(wb_mr_pin(engine(), NULL, SIZE_MAX, WB_MR_ON_DEMAND), WB_OK);
    assert_call(memory, BYTES);
    assert_call(memory, sizeof memory);
    ck_assert_uint_eq(registrations(), before + 1);
    ck_assert_int_eq(wb_mr_unpin(engine(), NULL, SIZE_MAX), WB_OK);
    ck_assert_int_eq(wb_mr_unpin(engine(), bytes, BYTES), WB_OK);
    sim_pair_close(&pair);
}
END_TEST

/* Memory of a device, whose addresses are nobody's here. */
START_TEST(test_memory_of_a_device)
{
    enum { OFFSET = 3 * 4096 + 100 };
    const uint8_t *named = (const uint8_t *)0x500000000064; // NOLINT(performance-no-int-to-ptr)
    open_pair(sim_profiles[_i]);
    int fd = memfd_create("device", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, OFFSET + BYTES), 0);
    test_pattern_fill(memory, BYTES, 1);
    ck_assert_int_eq(pwrite(fd, memory, BYTES, OFFSET), BYTES);
    int status = wb_mr_pin_dmabuf(engine(), fd, OFFSET, BYTES, named, 0);
    if (!sim_profiles[_i]->dmabufs) {
        ck_assert_int_eq(status, WB_ERR_NO_FABRIC);
        close(fd);
        sim_pair_close(&pair);
        return;
    }
    ck_assert_int_eq(status, WB_OK);
    ck_assert_int_eq(wb_mr_pin_dmabuf(engine(), fd, OFFSET, BYTES + 1, named, 0), WB_ERR_INVALID);
    ck_assert_int_eq(wb_mr_pin_dmabuf(engine(), fd, OFFSET, BYTES, named + 1, 0), WB_ERR_INVALID);
    ck_assert_int_eq(wb_mr_pin_dmabuf(engine(), 999, 0, BYTES, memory, 0), WB_ERR_INVALID);
    close(fd);
    uint32_t before = registrations();
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(call(named, BYTES - i), WB_OK);
    }
    ck_assert_uint_eq(registrations(), before);
    ck_assert_int_eq(wb_mr_unpin(engine(), named, BYTES), WB_OK);
    sim_pair_close(&pair);
}
END_TEST

/* ---- each place where something can fail ---- */

static bool is_an_end(int status)
{
    return status == WB_OK || status == WB_ERR_NO_MEMORY || status == WB_ERR_INVALID ||
           status == WB_ERR_PEER_LOST || status == WB_ERR_NOT_SENT || status == WB_ERR_REVOKED ||
           status == WB_ERR_TIMED_OUT || status == WB_AGAIN;
}

/* Pins, calls and unpins with one place failing, counted from here; 0: none. Returns how many there
 * were. Whatever it was, nothing stays registered. */
static uint64_t walk(uint64_t fail)
{
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    pair.config.pin_bytes = 2 * BYTES;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    test_pattern_fill(memory, BYTES, 1);
    uint64_t before = sim_fault_points();
    sim_fault_arm(fail != 0 ? before + fail : 0);
    unsigned pinned = 0;
    for (unsigned i = 0; i < 3; i++) {
        int status = wb_mr_pin(engine(), memory + i * (size_t)BYTES, BYTES, 0);
        ck_assert(is_an_end(status));
        pinned |= status == WB_OK ? 1U << i : 0;
    }
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(is_an_end(call(memory, BYTES)));
    }
    for (unsigned i = 0; i < 3; i++) {
        int wanted = (pinned >> i & 1) != 0 ? WB_OK : WB_ERR_INVALID;
        ck_assert_int_eq(wb_mr_unpin(engine(), memory + i * (size_t)BYTES, BYTES), wanted);
    }
    uint64_t points = sim_fault_points() - before;
    ck_assert_uint_eq(stats().pins, 0);
    ck_assert_uint_eq(stats().pin_registered_bytes, 0);
    sim_fault_arm(0);
    sim_pair_close(&pair);
    return points;
}

START_TEST(test_each_place_fails_in_turn)
{
    uint64_t points = walk(0);
    ck_assert_uint_gt(points, 10);
    for (uint64_t fail = 1; fail <= points; fail++) {
        walk(fail);
    }
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: pins");
    TCase *tcase = tcase_create("pins");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, test_one_registration_for_many_calls, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_chunks_that_are_not_inside);
    tcase_add_test(tcase, test_the_least_recently_used_makes_room);
    tcase_add_test(tcase, test_pins_on_a_device_with_few_regions);
    tcase_add_test(tcase, test_memory_that_is_not_there);
    tcase_add_loop_test(tcase, test_unpin_waits_for_what_is_in_use, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_a_call_that_times_out_is_unreadable);
    tcase_add_test(tcase, test_unpin_waits_for_the_quarantine);
    tcase_add_loop_test(tcase, test_unpin_ends_though_the_peer_is_dead, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_unpin_inside_a_handler);
    tcase_add_loop_test(tcase, test_paging_on_demand, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_memory_of_a_device, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_each_place_fails_in_turn);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
