#include "perf/orders.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/common_clock.h"
#include "perf/common_patience.h"
#include "perf/common_say.h"
#include "perf/relax.h"

enum { ORDER_BITS = 4 };

bool orders_patience(uint64_t *since, const struct child *other, uint64_t bytes)
{
    uint64_t now = clock_ns();
    *since = *since == 0 ? now : *since;
    bool gone = other != NULL && child_is_gone(other);
    return !gone && (now - *since) / 1000 < patience_us(bytes);
}

void orders_close(struct orders *orders)
{
    area_close(&orders->area);
    *orders = ORDERS_NONE;
}

/* ---- the client ---- */

int orders_no_answer(const struct orders *orders)
{
    if (orders->server != NULL && child_is_gone(orders->server)) {
        return say(EXIT_FAILURE, "the server ended while measuring what --vs compares with");
    }
    return say(EXIT_FAILURE, "the server did not answer while measuring what --vs compares with");
}

uint32_t orders_give(struct orders *orders, enum order order)
{
    orders->given = ++orders->serial << ORDER_BITS | (uint32_t)order;
    atomic_store_explicit(&orders->area.head->order, orders->given, memory_order_release);
    return orders->given;
}

int orders_await(struct orders *orders, uint32_t word, uint64_t bytes)
{
    const _Atomic uint32_t *done = &orders->area.head->done;
    struct relax wait = {0};
    uint64_t since = 0;
    while (atomic_load_explicit(done, memory_order_acquire) != word) {
        if (relax(&wait) && !orders_patience(&since, orders->server, bytes)) {
            return orders_no_answer(orders);
        }
    }
    const char *why = orders->area.head->why;
    return why[0] == '\0' ? 0 : say(EXIT_FAILURE, "%.*s", AREA_WHY_ROOM, why);
}

bool orders_has_failed(const struct orders *orders)
{
    const struct area_head *head = orders->area.head;
    return atomic_load_explicit(&head->done, memory_order_acquire) == orders->given &&
           head->why[0] != '\0';
}

/* ---- the server ---- */

uint32_t orders_take(struct orders *orders)
{
    uint32_t word = atomic_load_explicit(&orders->area.head->order, memory_order_acquire);
    if (word == orders->obeyed) {
        return 0;
    }
    orders->obeyed = word;
    return word;
}

void orders_obeyed(struct orders *orders, uint32_t word)
{
    atomic_store_explicit(&orders->area.head->done, word, memory_order_release);
}

void orders_failed(struct orders *orders, uint32_t word, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(orders->area.head->why, AREA_WHY_ROOM, format, arguments);
    va_end(arguments);
    orders_obeyed(orders, word);
}
