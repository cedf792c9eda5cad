/* Ranges of bytes that may be chunks only where they are aligned: what is packed is what was
 * measured so. */
#include <check.h>
#include <string.h>
#include <waybill/serial.h>

#include "tests/serial/run.h"

/* Sizes and writes one range; returns whether it became a chunk. */
static bool is_chunk(wb_bytes bytes, struct wb_thresholds thresholds)
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    struct wb_chunk chunks[2];
    uint8_t archive[64];
    wb_sizer_start(&sizer, thresholds);
    wb_size_bytes(&sizer, bytes);
    wb_sizer_finish(&sizer);
    ck_assert_uint_le(sizer.bytes, sizeof archive);
    wb_writer_start(&writer, thresholds, archive, sizer.bytes, chunks, sizer.records);
    wb_put_bytes(&writer, bytes);
    ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);
    ck_assert_uint_eq(sizer.records, 2 * sizer.offered);
    ck_assert_uint_eq(sizer.bytes, sizer.offered > 0 ? 1 : 1 + bytes.len);
    if (sizer.offered > 0) {
        ck_assert_ptr_eq(chunks[1].data, bytes.data);
        ck_assert_uint_eq(chunks[1].len, bytes.len);
    }
    return sizer.offered > 0;
}

START_TEST(test_every_address_and_length)
{
    static _Alignas(64) uint8_t memory[64];
    memset(memory, 7, sizeof memory);
    for (size_t align = 1; align <= 16; align *= 2) {
        for (size_t threshold = 0; threshold <= 9; threshold++) {
            struct wb_thresholds thresholds = {
                .pointer = threshold, .rma = 1, .pointer_mask = align - 1};
            for (size_t at = 0; at < 16; at++) {
                for (size_t len = 0; len < 33; len++) {
                    bool wanted =
                        len > 0 && len >= threshold && at % align == 0 && len % align == 0;
                    wb_bytes bytes = {.data = memory + at, .len = len};
                    ck_assert_int_eq(is_chunk(bytes, thresholds), wanted);
                }
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aligned chunks");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_every_address_and_length);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
