/* What --vs divides by what. */
#include <check.h>
#include <stdlib.h>

#include "perf/compared.h"

enum { TRIP = 100000, CALLS = 1000 };

static struct figures figures;

/* A burst in which each thread makes CALLS trips, one after the other, beside all others. */
static void burst(uint32_t threads)
{
    figures = (struct figures){0};
    histogram_add(&figures.rtt, TRIP, (uint64_t)threads * CALLS);
    figures_add_burst(&figures, (uint64_t)threads * CALLS, 0, (uint64_t)TRIP * CALLS);
}

/* Of two sides that do the very same. */
static double ratio(enum test test, enum vs vs, uint32_t threads)
{
    const struct options options = {.test = test, .vs = vs, .threads = threads};
    burst(threads);
    return compared_of(&options, true, &figures) / compared_of(&options, false, &figures);
}

START_TEST(test_the_same_is_as_good)
{
    const enum test tests[] = {TEST_LAT, TEST_RATE};
    const enum vs baselines[] = {VS_FLOOR, VS_VMREADV, VS_RAW, VS_ONE};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        for (size_t j = 0; j < sizeof baselines / sizeof baselines[0]; j++) {
            ck_assert_double_eq_tol(ratio(tests[i], baselines[j], 1), 1.0, 0.02);
            ck_assert_double_eq_tol(ratio(tests[i], baselines[j], 4), 1.0, 0.02);
        }
    }
}
END_TEST

/* A trip that is interrupted now and then is still the same limit for one thread's calls. */
START_TEST(test_one_thread_has_the_median_trip)
{
    const struct options options = {.test = TEST_RATE, .vs = VS_FLOOR, .threads = 1};
    burst(1);
    figures.pace = (struct histogram){0};
    histogram_add(&figures.pace, 3 * TRIP, 1);
    ck_assert_double_eq_tol(compared_of(&options, false, &figures), ticks_to_us(TRIP),
                            ticks_to_us(TRIP) / 50);
}
END_TEST

int main(void)
{
    ticks_start();
    Suite *suite = suite_create("perf: what is compared");
    TCase *tcase = tcase_create("compared");
    tcase_add_test(tcase, test_the_same_is_as_good);
    tcase_add_test(tcase, test_one_thread_has_the_median_trip);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
