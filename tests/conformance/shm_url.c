#include "tests/conformance/shm_url.h"

#include <stdio.h>
#include <unistd.h>

void test_shm_url(char *url, size_t size, unsigned number)
{
    snprintf(url, size, "shm://conformance-%ld-%u", (long)getpid(), number);
}

#define TEN "0123456789"

const char *const test_shm_bad_addresses[] = {
    "", "a b", "a/b", "../a", "a:1", "caf\xc3\xa9", "a\n", TEN TEN TEN TEN TEN TEN "12345", NULL};
