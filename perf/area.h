/*
 * The memory that the two processes of --local --vs share besides what the library shares: a word
 * by which the client orders the server about (orders.h), two lines for the floor's ping-pong and
 * buffers for it to copy from, and what the raw queue pairs need to know of each other.
 */
#ifndef WAYBILL_PERF_AREA_H
#define WAYBILL_PERF_AREA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ECHO_END UINT32_MAX

enum { AREA_WHY_ROOM = 200 };

/* How the raw queue pairs find each other, and the client's memory. */
struct area_raw {
    struct sockaddr_storage server; /* an address of the device; the server sets the port */
    uint64_t bytes;                 /* that each side registers */
    uint64_t receive_bytes;         /* of these, where SENDs land; 0: none will come */
    uint64_t address;               /* of the client's memory */
    uint32_t rkey;
};

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
    uint64_t copy_start, copy_end; /* of ORDER_COPY and ORDER_RAW_READ, in ticks */
    struct area_raw raw;
    char why[AREA_WHY_ROOM]; /* what the server failed at, or "" */
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

#endif
