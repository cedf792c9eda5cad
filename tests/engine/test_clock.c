/* The clock of whoever polls: whatever the processor's counter does, it is never far behind. */
#include <check.h>
#include <unistd.h>

#include "engine/clock.h"
#include "tests/support/program.h"

START_TEST(test_it_is_found_out)
{
    struct wbi_rough_clock clock = {0};
    wbi_clock_prepare();
    uint64_t before = wbi_now();
    ck_assert_uint_ge(wbi_rough_now(&clock), before);
    ck_assert_uint_le(wbi_rough_ticks, UINT32_MAX);
    usleep(10 * WBI_ROUGH_US);
    before = wbi_now();
    ck_assert_uint_ge(wbi_rough_now(&clock) + WBI_ROUGH_US, before);
}
END_TEST

START_TEST(test_without_a_counter_it_is_true)
{
    struct wbi_rough_clock clock = {0};
    wbi_rough_ticks = 0;
    for (unsigned i = 0; i < 3; i++) {
        usleep(10);
        uint64_t before = wbi_now();
        ck_assert_uint_ge(wbi_rough_now(&clock), before);
    }
}
END_TEST

/* As of a counter that was thought to be much faster than it is. */
START_TEST(test_it_is_looked_at_once_at_least)
{
    struct wbi_rough_clock clock = {0};
    wbi_rough_ticks = UINT64_MAX;
    uint64_t before = wbi_now(), first = wbi_rough_now(&clock);
    ck_assert_uint_ge(first, before);
    usleep(100);
    ck_assert_uint_eq(wbi_rough_now(&clock), first);
    ck_assert_uint_gt(wbi_true_now(&clock), first);
    ck_assert_uint_gt(wbi_rough_now(&clock), first);
}
END_TEST

/* On another CPU, whose counter is behind. */
START_TEST(test_a_counter_that_goes_back)
{
    struct wbi_rough_clock clock = {0};
    wbi_rough_ticks = UINT32_MAX;
    uint64_t first = wbi_rough_now(&clock);
    clock.ticks += UINT32_MAX;
    usleep(10);
    ck_assert_uint_gt(wbi_rough_now(&clock), first);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: the rough clock");
    TCase *tcase = tcase_create("clock");
    tcase_add_test(tcase, test_it_is_found_out);
    tcase_add_test(tcase, test_without_a_counter_it_is_true);
    tcase_add_test(tcase, test_it_is_looked_at_once_at_least);
    tcase_add_test(tcase, test_a_counter_that_goes_back);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
