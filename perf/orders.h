/*
 * How the client of --local --vs orders the server about, past the library: the client writes a
 * word in the memory that both share; the server sees it in its main loop, obeys, and sets done to
 * the same word, or says why it failed.
 *
 * Order words are serial numbers times 16 plus an enum order, so that each differs from the last.
 */
#ifndef WAYBILL_PERF_ORDERS_H
#define WAYBILL_PERF_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/area.h"
#include "perf/common_child.h"

enum order {
    ORDER_ECHO = 1,   /* answer pings until ECHO_END; done says begun, its complement ended */
    ORDER_LAY,        /* lay out the cargo, and write the replies */
    ORDER_WRITE,      /* write the server's buffers */
    ORDER_COPY,       /* take the client's payloads one by one */
    ORDER_RAW_LISTEN, /* wait at raw.server, on a port of its own, for a raw queue pair */
    ORDER_RAW_ACCEPT, /* connect with the one that comes */
    ORDER_RAW_LAY,    /* as ORDER_LAY */
    ORDER_RAW_WRITE,  /* as ORDER_WRITE */
    ORDER_RAW_ECHO,   /* answer the pings of a burst; done as with ORDER_ECHO */
    ORDER_RAW_READ    /* READ the client's payloads */
};

/* One side's; start from ORDERS_NONE. */
struct orders {
    struct area area;
    const struct child *server; /* the client's, borrowed: not waited for once it has ended */
    uint32_t serial;            /* the client's: of the last order */
    uint32_t given;             /* the client's: the last order word */
    uint32_t obeyed;            /* the server's: the last order word */
};
#define ORDERS_NONE ((struct orders){.area = {.fd = -1}})

static inline enum order orders_kind(uint32_t word)
{
    return (enum order)(word & 15U);
}

/* Whether the order is one for raw.h. */
static inline bool orders_is_raw(uint32_t word)
{
    return orders_kind(word) >= ORDER_RAW_LISTEN;
}

/* ---- the client's ---- */

/* Returns the order's word. */
uint32_t orders_give(struct orders *orders, enum order order);

/* Waits until done is `word`, patiently if the server moves `bytes`. Returns 0, or EXIT_FAILURE
 * with a line said: no answer, or what the server failed at. */
int orders_await(struct orders *orders, uint32_t word, uint64_t bytes);

/* Whether the server has failed at the order that was given last, as far as it is done with it. */
bool orders_has_failed(const struct orders *orders);

/* Says that the server does not answer, or has ended; returns EXIT_FAILURE. */
int orders_no_answer(const struct orders *orders);

/* ---- the server's ---- */

/* Returns the order that is there, if it is new, or 0. Costs a look at a line that seldom changes.
 */
uint32_t orders_take(struct orders *orders);
void orders_obeyed(struct orders *orders, uint32_t word);
/* Instead of orders_obeyed: what went wrong. */
void orders_failed(struct orders *orders, uint32_t word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- either side's ---- */

/* Whether to go on waiting for the other side, which moves `bytes`. *since is 0 at the first call,
 * then the call's own. Says no after a while, or once `other` (NULL: nobody to ask) has ended. */
bool orders_patience(uint64_t *since, const struct child *other, uint64_t bytes);

/* Accepts ORDERS_NONE. */
void orders_close(struct orders *orders);

#endif
