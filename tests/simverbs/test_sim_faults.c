/*
 * The fault walk: a scenario that connects, calls with everything in it, and closes passes some
 * hundred places where something can fail, the product's allocations among them; each fails in
 * turn, a call with each of its errors. From each place on there is no memory at all. And storms:
 * faults of all kinds by chance. Whatever it was: every call ends, in time and once; nothing is
 * kept, nothing is leaked; what arrives is right; and afterwards the two can talk to each other as
 * if nothing had been.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

static struct sim_pair pair;
static struct sim_tally tally;
static char when[200];

static void open_pair(uint64_t seed, const struct sim_profile *profile, bool rails)
{
    sim_pair_open(&pair, seed, profile);
    if (rails) {
        sim_pair_add_rails(&pair, profile);
    }
}

static void clear(void)
{
    sim_pair_clear(&pair);
}

/* A host whose device has died or was lost is closed in order, in silence, and starts again. */
static void revive(void)
{
    struct sim_device *devices[] = {pair.client_device, pair.server_device, pair.client_rail,
                                    pair.server_rail};
    unsigned count = pair.server_rail != NULL ? 4 : 2;
    bool lost = false;
    for (unsigned i = 0; i < count; i++) {
        lost |= sim_device_is_lost(devices[i]);
    }
    if (lost) {
        sim_pair_end(&pair);
    }
    for (unsigned i = 0; i < count; i++) {
        sim_device_revive(devices[i]);
        if (!sim_link_is_up(devices[i])) {
            sim_link_set(devices[i], true);
        }
    }
    if (lost) {
        int status = sim_pair_begin(&pair);
        test_check(status == WB_OK, "%s: not revived: %s", when, wb_last_error());
        tally.mended++;
    }
}

/* After all faults: everything works, and everything is quiet. */
static void assert_recovers(void)
{
    struct sim_tally after = {.good = 0};
    revive();
    sim_calls_mend(&pair, when, &tally);
    sim_calls_make(&pair, when, &after); /* what was left on the way may still cost something */
    sim_calls_mend(&pair, when, &tally);
    int status = sim_calls_digest(&pair, 7);
    test_check(status == WB_OK, "%s: does not recover: %s", when, wb_last_error());
    sim_calls_assert_quiet(&pair, when);
}

/* ---- the walk ---- */

static bool is_allocation(const char *hit)
{
    static const char *const all[] = {"malloc", "calloc", "realloc", "mmap"};
    bool found = false;
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        found |= hit != NULL && strcmp(hit, all[i]) == 0;
    }
    return found;
}

/* Where memory is missing that is said, at once, and nothing else is blamed. */
static void assert_told(int begun)
{
    test_check(tally.timed_out == 0, "%s: a call timed out", when);
    test_check(begun == WB_OK || begun == WB_ERR_NO_MEMORY || begun == WB_ERR_REFUSED, "%s: %s: %s",
               when, wb_status_name(begun), wb_last_error());
    test_check(begun == WB_OK || strstr(wb_last_error(), "(max_peers)") == NULL, "%s: %s", when,
               wb_last_error());
}

/* The worse kinds of fault, and how often the walk has met each. */
static const char *const worse[] = {"device stops", "device fatal", "link down",
                                    "disconnect crosses connect", "SRQ error"};
enum { WORSE = sizeof worse / sizeof worse[0] };
static unsigned met[WORSE];

static void note_hit(const char *hit)
{
    for (unsigned i = 0; i < WORSE; i++) {
        met[i] += hit != NULL && strcmp(hit, worse[i]) == 0;
    }
}

/* All of them; but devices without shared receive queues have none to break. */
static void assert_met(const struct sim_profile *profile)
{
    for (unsigned i = 0; i < WORSE; i++) {
        bool has = profile->attr.max_srq > 0 || strcmp(worse[i], "SRQ error") != 0;
        test_check((met[i] > 0) == has, "%s: %s: %u times", profile->name, worse[i], met[i]);
        met[i] = 0;
    }
}

/* How many errors the place of the last walk has. */
static unsigned errors;

/* Runs the scenario with one place failing in one way; 0: none. Returns how many places there are.
 */
static uint64_t walk(const struct sim_profile *profile, bool rails, uint64_t fail, unsigned error)
{
    snprintf(when, sizeof when, "%s%s, place %" PRIu64, profile->name, rails ? " with rails" : "",
             fail);
    open_pair(1, profile, rails);
    sim_fault_arm_error(fail, error);
    int status = sim_pair_begin(&pair);
    if (status == WB_OK) {
        sim_calls_make(&pair, when, &tally);
    } else {
        test_check(fail != 0, "%s", wb_last_error());
    }
    uint64_t points = sim_fault_points();
    const char *hit = sim_fault_hit();
    test_check(fail == 0 || hit != NULL, "%s was not reached", when);
    errors = sim_fault_errors();
    note_hit(hit);
    snprintf(when, sizeof when, "%s%s, place %" PRIu64 " (%s), error %u", profile->name,
             rails ? " with rails" : "", fail, hit, error);
    if (is_allocation(hit)) {
        assert_told(status);
    }
    tally.timed_out = 0;
    sim_fault_arm(0);
    assert_recovers();
    sim_pair_close(&pair);
    return points;
}

/* All devices without rails, and the first of them with. */
START_TEST(test_each_place_fails_in_turn)
{
    bool rails = _i == SIM_PROFILES;
    const struct sim_profile *profile = sim_profiles[rails ? 0 : _i];
    tally = (struct sim_tally){.good = 0};
    uint64_t points = walk(profile, rails, 0, 0), walks = 0;
    ck_assert_uint_eq(walk(profile, rails, 0, 0), points);
    ck_assert_uint_gt(points, 50);
    for (uint64_t fail = 1; fail <= points; fail++) {
        unsigned error = 0;
        do { /* where each takes longer, one error of each place */
            walk(profile, rails, fail, test_slower() > 1 ? (unsigned)fail : error);
            walks++;
        } while (++error < errors && test_slower() == 1);
    }
    printf("%s: %" PRIu64 " places, %" PRIu64
           " ways to fail; %u calls were well, %u not; %u connections made anew\n",
           profile->name, points, walks, tally.good, tally.failed, tally.mended);
    ck_assert_uint_gt(tally.failed, 0);
    ck_assert(walks > points || test_slower() > 1);
    assert_met(profile);
}
END_TEST

/* ---- without memory ---- */

/* From one place on nothing is allocated, until all has ended; nor when all is closed. */
static void starve(const struct sim_profile *profile, uint64_t from)
{
    snprintf(when, sizeof when, "%s, no memory from place %" PRIu64 " on", profile->name, from);
    sim_pair_open(&pair, 1, profile);
    sim_fault_memory_ends(from);
    int status = sim_pair_begin(&pair);
    if (status == WB_OK) {
        sim_calls_make(&pair, when, &tally);
        sim_pair_settle(&pair, 3000000);
    }
    assert_told(status);
    sim_fault_memory_ends(0);
    assert_recovers();
    sim_fault_memory_ends(1);
    sim_pair_close(&pair);
}

START_TEST(test_memory_ends_at_each_place)
{
    const struct sim_profile *profile = sim_profiles[_i];
    tally = (struct sim_tally){.good = 0};
    uint64_t points = walk(profile, false, 0, 0);
    for (uint64_t from = 1; from <= points; from += test_slower() > 1 ? 3 : 1) {
        starve(profile, from);
    }
    printf("%s without memory: %u calls were well, %u not; %u connections made anew\n",
           profile->name, tally.good, tally.failed, tally.mended);
    ck_assert_uint_gt(tally.failed, 0);
}
END_TEST

/* ---- storms ---- */

/* Some kinds of fault, some times, by what the seed says. */
static struct sim_rates some_rates(uint64_t *state)
{
    uint32_t rates[8];
    for (unsigned i = 0; i < 8; i++) {
        uint64_t random = test_pattern_random(state);
        rates[i] = random % 2 == 0 ? 0 : (uint32_t)(random >> 8) % 20000;
    }
    return (struct sim_rates){.call_fails = rates[0],
                              .work_fails = rates[1],
                              .work_late = 10 * rates[2],
                              .packet_lost = rates[3],
                              .answer_lost = rates[4],
                              .message_late = 10 * rates[5],
                              .message_lost = rates[6],
                              .allocation_fails = rates[7],
                              .late_ns = 20000000};
}

/* In every second storm, some of the worse kinds. */
static void add_worse(struct sim_rates *rates, uint64_t seed)
{
    uint64_t state = ~seed;
    uint32_t *const chances[] = {&rates->device_fatal, &rates->device_stops, &rates->link_down,
                                 &rates->srq_error, &rates->connect_crossed};
    for (unsigned i = 0; i < sizeof chances / sizeof chances[0] && seed % 2 == 0; i++) {
        uint64_t random = test_pattern_random(&state);
        *chances[i] = random % 2 == 0 ? 0 : (uint32_t)(random >> 8) % 5000;
    }
    rates->connect_crossed *= 10;
}

static uint64_t storm(uint64_t seed)
{
    uint64_t state = seed;
    struct sim_rates rates = some_rates(&state), none = {.late_ns = 0};
    add_worse(&rates, seed);
    snprintf(when, sizeof when, "seed %" PRIu64, seed);
    open_pair(seed, sim_profiles[test_pattern_random(&state) % SIM_PROFILES], seed % 3 == 0);
    for (unsigned round = 0; round < 5; round++) {
        sim_fault_rates(&none);
        revive();
        sim_calls_mend(&pair, when, &tally);
        sim_fault_rates(&rates);
        sim_calls_make(&pair, when, &tally);
        if (test_pattern_random(&state) % 8 == 0) {
            sim_link_set(pair.server_device, false);
            sim_pair_settle(&pair, test_pattern_random(&state) % 4000000);
            sim_link_set(pair.server_device, true);
            sim_pair_settle(&pair, 3000000);
        }
    }
    sim_fault_rates(&none);
    sim_pair_settle(&pair, 3000000);
    assert_recovers();
    uint64_t hash = sim_trace_hash();
    sim_pair_close(&pair);
    return hash;
}

START_TEST(test_storms)
{
    tally = (struct sim_tally){.good = 0};
    for (uint64_t seed = 1; seed <= test_scaled(400); seed++) {
        storm(seed);
    }
    printf("storms: %u calls were well, %u not; %u connections made anew\n", tally.good,
           tally.failed, tally.mended);
    ck_assert_uint_gt(tally.failed, 0);
}
END_TEST

START_TEST(test_a_storm_comes_again)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t hash = storm(seed);
        ck_assert_uint_eq(storm(seed), hash);
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: faults");
    TCase *tcase = tcase_create("faults");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_each_place_fails_in_turn, 0, SIM_PROFILES + 1);
    tcase_add_loop_test(tcase, test_memory_ends_at_each_place, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_storms);
    tcase_add_test(tcase, test_a_storm_comes_again);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
