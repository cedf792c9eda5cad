/* A connected pair of queue pairs, straight on verbs, for tests of the device itself. Calls assert
 * that they succeed. */
#ifndef WAYBILL_TESTS_SIMVERBS_SCENE_RAW_H
#define WAYBILL_TESTS_SIMVERBS_SCENE_RAW_H

#include <infiniband/verbs.h>

#include "tests/simverbs/world.h"

enum { RAW_BYTES = 65536, RAW_DEPTH = 16, RAW_RECEIVES = 8 };

struct raw_end {
    struct sim_host *host;
    struct sim_device *device;
    struct ibv_context *context;
    struct ibv_pd *pd;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    struct ibv_srq *srq;
    struct ibv_qp *qp;
    struct ibv_mr *mr; /* of `bytes`, local write and remote read */
    uint8_t bytes[RAW_BYTES];
};

/* What a test may want otherwise; zeros: the usual. */
struct raw_wish {
    const struct sim_profile *profile; /* mlx5 */
    int cqe;                           /* 64 */
    uint8_t depth;                     /* READs in flight that the first end may have: 4 */
    uint8_t depth_there;               /* that the second end allows: depth */
    uint8_t rnr_retry;                 /* 2 */
};

extern struct raw_end raw_ends[2];

/* Opens a world of two hosts, 10.0.0.1 and 10.0.0.2, and connects a queue pair on each. */
void raw_open(const struct raw_wish *wish);

/* Everything is destroyed, which must succeed and leave nothing. */
void raw_close(void);

/* As a fixture: forgets what a failed test has left. */
void raw_clear(void);

/* Brings the queue pair of an end (made, in RESET) to RTS, connected to the other. */
void raw_connect(struct raw_end *end, const struct raw_end *other, const struct raw_wish *wish);

/* The two halves of that: to RTR, and on. */
void raw_to_rtr(struct raw_end *end, const struct raw_end *other, const struct raw_wish *wish);
void raw_to_rts(struct raw_end *end, const struct raw_wish *wish);

/* A work request on the first `len` bytes of the end's memory; rdma ones aim at the other end's. */
struct ibv_send_wr raw_work(struct raw_end *end, enum ibv_wr_opcode opcode, struct ibv_sge *sge,
                            uint32_t len);

/* Posts one: an errno. */
int raw_post(struct raw_end *end, struct ibv_send_wr *wr);

/* Posts a receive of `len` bytes at `offset`: an errno. */
int raw_receive(struct raw_end *end, uint64_t wr_id, uint32_t offset, uint32_t len);

/* The next completion, within a minute of the world's time. */
struct ibv_wc raw_await(struct raw_end *end);

/* That there is none, within `us` of the world's time. */
void raw_assert_none(struct raw_end *end, uint64_t us);

/* The next asynchronous event, acknowledged; -1: none. */
int raw_async(struct raw_end *end);

#endif
