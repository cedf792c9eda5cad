#include "tests/conformance/verbs_url.h"

#include <stdio.h>

#include "tests/conformance/world.h"
#include "tests/support/rdma.h"

enum { FIRST_PORT = 20000 };

void test_verbs_url(char *url, size_t size, unsigned number)
{
    bool rails = test_world_rails_asked();
    snprintf(url, size, "verbs://%s%s%s:%u", test_rdma_address(0), rails ? "," : "",
             rails ? test_rdma_address(1) : "", FIRST_PORT + number);
}

const char *const test_verbs_bad_addresses[] = {"",
                                                ":",
                                                "host",
                                                "host:",
                                                ":1234",
                                                "host:0",
                                                "host:65536",
                                                "host:99999999999",
                                                "host:-1",
                                                "host:+1",
                                                "host: 1",
                                                "host:1 ",
                                                "host:12a",
                                                "host:0x10",
                                                "ho st:1",
                                                "host:1/x",
                                                "::1:1234",
                                                "[::1]",
                                                "[::1",
                                                "[::1]1234",
                                                "[::1]:",
                                                "[]:1234",
                                                "[host]:1234",
                                                "caf\n:1",
                                                "a,:1",
                                                ",a:1",
                                                "a,,b:1",
                                                "a,b",
                                                "*,a:1",
                                                "a,*:1",
                                                "a,[::1:1",
                                                "a,b c:1",
                                                "[1.2.3.45:1",
                                                "a,[1.2.3.45:1",
                                                "[1.2.3.45,a:1",
                                                "a,b,c,d,e:1",
                                                NULL};
