/* A peer that speaks the socket's packets by hand, to say what no honest peer says. */
#ifndef TEST_SHM_RAW_H
#define TEST_SHM_RAW_H

#include "engine/shm/packet.h"
#include "engine/shm/segment.h"
#include "tests/shm/side.h"

struct test_raw {
    int socket;
    int segment_fd;
    int page_fd;
    uint8_t *segment; /* of test_raw_segment_bytes() */
    struct wbi_shm_head *head;
    struct wbi_shm_lane_page *page;
    struct wbi_shm_packet hello; /* what test_raw_meet sends; change it before */
    struct wbi_shm_mail answer;
};

enum { TEST_RAW_RING = WBI_SHM_RING_MIN };

/* Connects a raw socket to the side's listener `name`. */
int test_raw_socket(const char *name);

/* Makes a connected socket, an honest segment, lane page and hello. */
void test_raw_open(struct test_raw *raw, const char *name);

/* Sends the hello and polls `side` until it has answered; the answer's kind is returned. */
int test_raw_meet(struct test_raw *raw, struct test_side *side);

void test_raw_close(struct test_raw *raw);

/* The places of the peer's ring and shelves in the raw segment. */
uint8_t *test_raw_ring(struct test_raw *raw);
uint8_t *test_raw_shelves(struct test_raw *raw);

/* A memfd of `bytes` with `seals`. */
int test_raw_memfd(size_t bytes, int seals);

/* Whether the other end has closed the socket; polls `side` for up to two seconds. */
bool test_raw_hung_up(int socket, struct test_side *side);

#endif
