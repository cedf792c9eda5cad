/* From what size on wb_perf tune takes the way above a threshold. */
#include <check.h>
#include <stddef.h>
#include <stdlib.h>

#include "perf/tune.h"

/* The row that is chosen where the ratios are these. */
static size_t chosen(const double *ratio, size_t rows)
{
    struct tune_race race = {.rows = rows};
    for (size_t i = 0; i < rows; i++) {
        race.row[i].ratio = ratio[i];
    }
    return tune_choose(&race);
}

START_TEST(test_where_the_way_above_becomes_faster)
{
    const double ratio[] = {2.0, 1.2, 0.9, 0.5};
    ck_assert_uint_eq(chosen(ratio, 4), 2);
}
END_TEST

START_TEST(test_always_and_never)
{
    const double faster[] = {0.9, 0.8, 0.7};
    const double slower[] = {1.5, 1.1, 1.01};
    const double same[] = {1.0, 1.0};
    ck_assert_uint_eq(chosen(faster, 3), 0);
    ck_assert_uint_eq(chosen(slower, 3), 3);
    ck_assert_uint_eq(chosen(same, 2), 2);
    ck_assert_uint_eq(chosen(NULL, 0), 0);
}
END_TEST

START_TEST(test_a_disturbed_row_does_not_decide)
{
    const double among_faster[] = {2.0, 0.6, 0.5, 1.1, 0.4};
    const double among_slower[] = {2.0, 0.95, 1.8, 1.5, 0.7};
    ck_assert_uint_eq(chosen(among_faster, 5), 1);
    ck_assert_uint_eq(chosen(among_slower, 5), 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wb_perf tune");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_where_the_way_above_becomes_faster);
    tcase_add_test(tcase, test_always_and_never);
    tcase_add_test(tcase, test_a_disturbed_row_does_not_decide);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
