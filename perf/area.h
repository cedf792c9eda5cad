/*
 * The memory that the two processes of --local --vs share besides what the library shares: a word
 * by which the client orders the server about (orders.h), two lines a thread for the floor's
 * ping-pong and buffers for it to copy from, and what the raw queue pairs need to know of each
 * other.
 */
#ifndef WAYBILL_PERF_AREA_H
#define WAYBILL_PERF_AREA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "perf/options.h"

#define ECHO_END UINT32_MAX

enum { AREA_WHY_ROOM = 200 };

/* How the raw queue pairs of a thread find each other, and each other's memory. */
struct area_raw {
    struct sockaddr_storage server; /* an address of the device; the server sets the port */
    uint64_t address[2];            /* of the client's memory, and of the server's */
    uint32_t rkey[2];
};

/* Where a side has its buffers with --vs vmreadv, in memory of its own. */
struct area_own {
    pid_t process;
    uint64_t address;
};

/* Each word that one side writes has a line of its own, and a neighbour line that the prefetcher
 * may take along. */
#define AREA_LINE _Alignas(128)

struct area_lines {
    AREA_LINE _Atomic uint32_t ping; /* the client's */
    AREA_LINE _Atomic uint32_t pong; /* the server's */
};

struct area_head {
    AREA_LINE _Atomic uint32_t order;
    AREA_LINE _Atomic uint32_t done;
    struct area_lines line[THREADS_MAX];
    /* set with order, read after done */
    AREA_LINE uint64_t size; /* of the cargo, and its calls a thread; of ORDER_LAY */
    uint64_t calls;
    uint64_t stamp;                /* of what is written, and to be checked */
    uint32_t lines;                /* of ORDER_ECHO */
    uint32_t thread;               /* of ORDER_RAW_LISTEN and _ACCEPT */
    bool pauses, carries;          /* of ORDER_ECHO: whether to take a call's payload each time */
    uint64_t copy_start, copy_end; /* of ORDER_COPY and ORDER_RAW_READ, in ticks */
    bool by_process;               /* whether the buffers are in `own`, and not in the area */
    struct area_own own[2];        /* the client's, the server's */
    struct area_raw raw[THREADS_MAX];
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
