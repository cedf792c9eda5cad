/*
 * What the processes of wb_soak share, in a memory file: a board with orders, and a record of each
 * call. A client that is killed leaves what it wrote. The server maps the board only, and reads and
 * writes its part of the records through the file, so that they do not count as its memory.
 *
 *   | board | client 0: marks of the caller, executions | client 1: ... |
 *
 * A call's mark is written by its client alone: 0 before it begins, MARK_BEGUN, and then how it
 * ended; its executions by the server alone.
 */
#ifndef WAYBILL_PERF_SOAK_BOARD_H
#define WAYBILL_PERF_SOAK_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <waybill/status.h>

enum { SOAK_CLIENTS_MAX = 512, SOAK_CALLS_MAX = 1 << 20, BOARD_BYTES = 65536 };

enum soak_mark {
    MARK_NONE,
    MARK_BEGUN,
    MARK_CORRUPT, /* it ended, and not with what it should have */
    MARK_TWICE,   /* it ended a second time */
    MARK_LOST,    /* it did not end within its deadline and the grace */
    MARK_KILLED,  /* its client was killed first */
    MARK_ENDED    /* and from here on: minus the status that it ended with */
};

/* How the server stands. */
struct soak_sample {
    uint64_t rss, rss_anonymous, rss_shared;
    uint64_t pool_bytes, used_bytes, leased_bytes, leases_open;
    uint64_t filtered; /* parcels that came so */
    uint64_t deferred; /* calls whose handlers answered later */
};

enum soak_order { ORDER_NOTHING, ORDER_SAMPLE, ORDER_SETTLE /* when all is quiet, and trimmed */ };

struct soak_client_state {
    _Atomic uint32_t next;     /* number of the next call; numbers are never used again */
    _Atomic uint32_t connects; /* that succeeded */
};

struct soak_board {
    _Atomic uint32_t stop;  /* no more calls */
    _Atomic uint32_t gate;  /* clients begin calls below this number */
    _Atomic uint32_t order; /* one more than answered: an order stands, of this kind: */
    _Atomic uint32_t kind;
    _Atomic uint32_t answered;
    struct soak_sample sample; /* the answer */
    struct soak_client_state clients[SOAK_CLIENTS_MAX];
};

/* A mapping. All zero (but fd) maps nothing. */
struct soak_shared {
    struct soak_board *board;
    _Atomic uint8_t *records; /* NULL at the server */
    uint32_t clients;
    int fd;
};

/* Makes the file, for so many clients. Returns 0, or EXIT_FAILURE with a line said. */
int board_create(struct soak_shared *shared, uint32_t clients);
/* Maps what the parent has made, with the records if `records`; keeps fd. */
int board_open(struct soak_shared *shared, int fd, uint32_t clients, bool records);
/* Closes fd, too. */
void board_close(struct soak_shared *shared);

/* The caller's mark of a call, which must be within bounds. */
_Atomic uint8_t *board_mark(const struct soak_shared *shared, uint32_t client, uint32_t number);
/* How often the server has executed it; 255 is more. */
uint8_t board_executions(const struct soak_shared *shared, uint32_t client, uint32_t number);

/* At the server: counts an execution. Returns false for a call that cannot be. */
bool board_executed(const struct soak_shared *shared, uint32_t client, uint32_t number);

static inline uint8_t mark_of(int status)
{
    return (uint8_t)(MARK_ENDED - status);
}
static inline int status_of(uint8_t mark)
{
    return MARK_ENDED - (int)mark;
}

#endif
