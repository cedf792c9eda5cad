/* Records written, landed and printed. */
#ifndef WAYBILL_TESTS_SERIAL_PRINTING_H
#define WAYBILL_TESTS_SERIAL_PRINTING_H

#include <check.h>
#include <waybill/print.h>

#include "tests/serial/parcel.h"

/* Writes a record into a parcel of the arena and lands it. */
#define TEST_SEND(arena, record, value, thresholds, parcel)                                        \
    do {                                                                                           \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        wb_sizer_start(&sizer, thresholds);                                                        \
        record##_size(&sizer, value);                                                              \
        test_parcel_open(arena, parcel, &sizer, &writer);                                          \
        record##_put(&writer, value);                                                              \
        ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);                                        \
        test_parcel_land(arena, parcel);                                                           \
    } while (0)

/* Prints the parcel; *text is the caller's to free. */
int test_print(const struct wb_field *fields, const struct test_parcel *parcel, char **text);

#endif
