/* Two sides on verbs, in one process, with a channel between them, and memory to READ. */
#ifndef WAYBILL_TESTS_VERBS_PAIR_H
#define WAYBILL_TESTS_VERBS_PAIR_H

#include "engine/verbs/lane.h"
#include "tests/fabric/side.h"

enum { TEST_AREA_BYTES = 4 << 20 };

/* Registered memory of a side. */
struct test_area {
    struct test_side *side;
    struct wbi_region slab;
    struct wbi_mr *mr;
};

struct test_pair {
    struct wb_engine_config config;
    struct test_side server, client;
    char address[64]; /* where the server listens */
    struct test_end *server_end, *client_end;
    struct test_area server_area, client_area;
};

/* The default configuration, but for tests that wait for deaths: tries of 17 ms. */
void test_pair_config(struct test_pair *pair);

/* Opens both sides with pair->config, at an address of device 0, and connects them. */
void test_pair_open(struct test_pair *pair);

/* Accepts a zeroed pair, and one without ends. */
void test_pair_close(struct test_pair *pair);

/* Writes an address of RDMA device `device` that nobody has used. */
void test_new_address(unsigned device, char address[64]);

/* Another channel between the two. */
void test_pair_join(struct test_pair *pair, struct test_end **server_end,
                    struct test_end **client_end);

/* Asserts that messages go both ways on this channel. */
void test_assert_talks(struct test_end *a, struct test_end *b);

void test_area_open(struct test_area *area, struct test_side *side);
void test_area_close(struct test_area *area);

/* Offers [at, at + len) of the area on the end's channel. */
void test_area_offer(const struct test_area *area, struct test_end *end, size_t at, size_t len,
                     struct wbi_offer *offer);

/* Prepares a READ of a range of an offer to place `at` in the area. */
void test_area_read(const struct test_area *area, size_t at, struct test_read *read,
                    const struct wbi_offer *offer, uint64_t offset, uint64_t len);

/* Polls both until the READ has ended. Returns its status. */
int test_pair_await(struct test_pair *pair, const struct test_read *read);

/* The figures of a side's lane. */
struct wbi_fabric_counters test_side_count(const struct test_side *side);

#endif
