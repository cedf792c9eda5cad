/* What test programs share: their main, and time. */
#ifndef WAYBILL_TESTS_SUPPORT_PROGRAM_H
#define WAYBILL_TESTS_SUPPORT_PROGRAM_H

#include <check.h>
#include <stdint.h>

/* A case of these tests. */
TCase *test_program_case(const char *name, const TTest *const *tests, unsigned count);

/* Runs the suite (takes it) and returns main's result. With the name of a case in argv[1] only
 * that one runs. */
int test_program_run(Suite *suite, int argc, char **argv);

/* As ck_assert_msg, for loops: Check's own macros write to a file each time. */
#define test_check(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ck_abort_msg(__VA_ARGS__);                                                             \
        }                                                                                          \
    } while (0)

/* Microseconds of a clock that only goes forward. */
uint64_t test_clock_us(void);

void test_sleep_us(uint64_t us);

/* What no test waits longer for, whatever the machine does meanwhile: microseconds. */
static const uint64_t test_patience_us = 60000000;

#endif
