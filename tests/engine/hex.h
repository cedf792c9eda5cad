/* Bytes as a reader of docs/wire-format.md would write them down. */
#ifndef WAYBILL_TESTS_ENGINE_HEX_H
#define WAYBILL_TESTS_ENGINE_HEX_H

#include <stddef.h>
#include <stdint.h>

enum { TEST_HEX_MOST = 1024 };

/* Reads pairs of hex digits, blanks between them, into `bytes` (room for TEST_HEX_MOST); returns
 * how many there were. A pair of dots is a byte that differs from run to run, and reads as 0. */
size_t test_hex_read(const char *hex, uint8_t *bytes);

/* Asserts that `bytes` are what `hex` says (dots are anything), and shows both if not. */
void test_assert_hex(const uint8_t *bytes, size_t len, const char *hex);

#endif
