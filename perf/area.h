/*
 * The memory that the two processes of --local --vs floor share besides what the library shares:
 * two lines for the ping-pong, a word by which the client orders the server about, and buffers to
 * copy from. The client writes the order word; the server sees it in its main loop, obeys, and sets
 * done to the same word.
 *
 * Order words are serial numbers times 4 plus an enum area_order, so that each differs from the
 * last.
 */
#ifndef WAYBILL_PERF_AREA_H
#define WAYBILL_PERF_AREA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/common_child.h"

enum area_order {
    ORDER_ECHO = 1, /* answer pings until ECHO_END; done says begun, its complement ended */
    ORDER_WRITE,    /* write the server's buffers */
    ORDER_COPY      /* copy the client's buffers one by one to a private buffer */
};

#define ECHO_END UINT32_MAX

enum { AREA_PATIENCE_S = 20 };

/* Each word that one side writes has a line of its own, and a neighbour line that the prefetcher
 * may take along. */
#define AREA_LINE _Alignas(128)

struct area_head {
    AREA_LINE _Atomic uint32_t order;
    AREA_LINE _Atomic uint32_t done;
    AREA_LINE _Atomic uint32_t ping; /* the client's line */
    AREA_LINE _Atomic uint32_t pong; /* the server's line */
    /* set with order, read after done */
    AREA_LINE uint64_t size;
    uint64_t count;
    bool pauses;
    uint64_t copy_start, copy_end; /* of ORDER_COPY, in ticks */
};

/* A mapping. Invariant: bytes >= sizeof *head + 2 * part_bytes, all populated. All zero maps
 * nothing. */
struct area {
    struct area_head *head;
    size_t bytes, part_bytes;
    int fd; /* of the creator's, to hand on; else -1 */
};

/* Makes a shared area with two parts of part_bytes each. Returns 0, or EXIT_FAILURE with a line
 * said. */
int area_create(struct area *area, size_t part_bytes);
/* Maps what another process has created; takes fd. */
int area_open(struct area *area, int fd);
/* Accepts all zero. */
void area_close(struct area *area);

/* The buffers that the client (0) or the server (1) writes. */
uint8_t *area_part(const struct area *area, int side);

/*
 * Whether to go on waiting for the other side. *since is 0 at the first call, then the call's own.
 * Says no after some seconds, or once `other` (NULL: nobody to ask) has ended.
 */
bool area_patience(uint64_t *since, const struct child *other);

#endif
