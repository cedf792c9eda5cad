#include "tests/support/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

TCase *test_program_case(const char *name, const TTest *const *tests, unsigned count)
{
    TCase *tcase = tcase_create(name);
    for (unsigned i = 0; i < count; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    return tcase;
}

int test_program_run(Suite *suite, int argc, char **argv)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    /* a test that hangs shows its name in ctest's log */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (argc > 1) {
        srunner_run(runner, NULL, argv[1], CK_VERBOSE);
    } else {
        srunner_run_all(runner, CK_NORMAL);
    }
    int failed = srunner_ntests_failed(runner);
    int ran = srunner_ntests_run(runner);
    srunner_free(runner);
    if (ran == 0) {
        fprintf(stderr, "no case of the name %s\n", argc > 1 ? argv[1] : "");
    }
    return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

uint64_t test_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void test_sleep_us(uint64_t us)
{
    struct timespec left = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}
