/* The addresses of the verbs programs. */
#ifndef WAYBILL_TESTS_CONFORMANCE_VERBS_URL_H
#define WAYBILL_TESTS_CONFORMANCE_VERBS_URL_H

#include <stddef.h>

/* A port of its own for each number, at the address of a guest's first device, or of this machine's
 * first RDMA device that has an IPv4 address. Ends the program where there is none. */
void test_verbs_url(char *url, size_t size, unsigned number);

extern const char *const test_verbs_bad_addresses[];

#endif
