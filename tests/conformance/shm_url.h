/* The addresses of the shm programs. */
#ifndef WAYBILL_TESTS_CONFORMANCE_SHM_URL_H
#define WAYBILL_TESTS_CONFORMANCE_SHM_URL_H

#include <stddef.h>

void test_shm_url(char *url, size_t size, unsigned number);

extern const char *const test_shm_bad_addresses[];

#endif
