/* What the main of each test program of this room does. */
#ifndef WAYBILL_TESTS_SERIAL_RUN_H
#define WAYBILL_TESTS_SERIAL_RUN_H

#include <check.h>

/* Runs the suite (takes it) and returns main's result. */
int test_run(Suite *suite);

#endif
