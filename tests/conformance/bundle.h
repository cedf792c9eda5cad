/* An action whose list of fields is not known to the compiler: any number of vectors, and bytes
 * between them. It makes chunk lists and archives of any length. Written by hand from the steps
 * that generated stubs use. */
#ifndef WAYBILL_TESTS_CONFORMANCE_BUNDLE_H
#define WAYBILL_TESTS_CONFORMANCE_BUNDLE_H

#include <waybill/waybill.h>

enum { TEST_BUNDLE_MOST = 3000 };

struct test_bundle {
    wb_bytes filler; /* borrowed; in a result: a view that ends with drop */
    uint32_t count;
    wb_rma_vector *vectors;
    struct wb_hold hold;
};

/* A bundle of `count` vectors of 16 * (its number + 1) mod 4096, at least 1, bytes with a pattern
 * of their own. */
int test_bundle_make(struct wb_rma_allocator *pool, uint32_t count, struct test_bundle *bundle);

/* How many vectors are as test_bundle_make made them. */
uint32_t test_bundle_right(const struct test_bundle *bundle);

void test_bundle_drop(struct test_bundle *bundle); /* accepts a zeroed struct */

/* Serves the action: answers the same bundle. */
int test_bundle_register(struct wb_engine *engine);

/* As a generated NAME_call. */
int test_bundle_call(struct wb_peer *peer, const struct test_bundle *in, struct test_bundle *out,
                     const struct wb_call_options *options);

#endif
