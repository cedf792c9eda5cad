/* A peer of the tests' own, straight on verbs and librdmacm, that can break every rule. While it
 * waits it lets a lane make progress. */
#ifndef WAYBILL_TESTS_VERBS_RAW_H
#define WAYBILL_TESTS_VERBS_RAW_H

#include <rdma/rdma_cma.h>

#include "tests/fabric/side.h"

struct test_raw {
    struct test_side *other; /* polled while we wait; or NULL: somebody else does */
    struct rdma_event_channel *events;
    struct rdma_cm_id *id;
    struct ibv_pd *pd;
    struct ibv_cq *cq;
    struct ibv_mr *mr;
    uint8_t memory[1 << 17];
    enum rdma_cm_event_type answer; /* ESTABLISHED, REJECTED, … */
    uint8_t words[256];             /* private data of the answer */
    size_t words_len;
};

/* What its connection request says. All zero but depths of 1: as test_raw_plain. */
struct test_raw_hello {
    const void *data;
    size_t len;
    uint8_t responder_resources, initiator_depth;
};

/* Dials "IP:PORT" and waits for the answer. */
void test_raw_dial(struct test_raw *raw, struct test_side *other, const char *address,
                   const struct test_raw_hello *hello);

/* Posts one work request on `len` bytes of its memory, and waits for its completion, whose status
 * it returns. */
enum ibv_wc_status test_raw_do(struct test_raw *raw, struct ibv_send_wr *wr, uint32_t len);

/* SEND of `len` bytes with these immediate data. */
enum ibv_wc_status test_raw_send(struct test_raw *raw, uint32_t immediate, uint32_t len);

/* Gives everything back, with or without a goodbye on the wire. */
void test_raw_close(struct test_raw *raw);

#endif
