/* The client's part of --vs raw: pings, and memory to READ. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"
#include "perf/payload.h"
#include "perf/raw.h"
#include "perf/relax.h"

enum { RESOLVE_MS = 5000, HOST_ROOM = 64 };

static int failed(const struct raw *raw)
{
    char words[AREA_WHY_ROOM];
    raw_link_words(&raw->link, words, sizeof words);
    return say(EXIT_FAILURE, "%s", words);
}

/* The numeric host of a URL as an address without a port. */
static bool read_host(const char *url, struct sockaddr_storage *where)
{
    char host[HOST_ROOM];
    const char *at = strstr(url, "://");
    at = at == NULL ? url : at + 3;
    bool brackets = *at == '[';
    at += brackets;
    size_t len = strcspn(at, brackets ? "]" : ":");
    if (len >= sizeof host) {
        return false;
    }
    memcpy(host, at, len);
    host[len] = '\0';
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memset(where, 0, sizeof *where);
    if (brackets ? inet_pton(AF_INET6, host, &v6.sin6_addr) == 1
                 : inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(where, brackets ? (const void *)&v6 : (const void *)&v4,
               brackets ? sizeof v6 : sizeof v4);
        return true;
    }
    return false;
}

/* Finds the device that leads to the server. */
static int resolve(struct raw_link *link, struct sockaddr_storage *server)
{
    if (raw_link_begin(link, &link->id) != 0) {
        return -1;
    }
    if (rdma_resolve_addr(link->id, NULL, (struct sockaddr *)server, RESOLVE_MS) != 0 ||
        rdma_resolve_route(link->id, RESOLVE_MS) != 0) {
        return raw_link_fail(link, "cannot find the way to the server");
    }
    return 0;
}

int raw_open(struct raw *raw, const char *url, size_t bytes, size_t receive_bytes)
{
    struct orders *orders = raw->orders;
    struct area_head *head = orders->area.head;
    struct raw_link *link = &raw->link;
    if (!read_host(url, &head->raw.server)) {
        return say(EXIT_FAILURE, "%s: no numeric address for raw verbs", url);
    }
    head->raw.bytes = bytes;
    head->raw.receive_bytes = receive_bytes;
    if (orders_await(orders, orders_give(orders, ORDER_RAW_LISTEN), bytes) != 0) {
        return EXIT_FAILURE;
    }
    struct sockaddr_storage server = head->raw.server;
    if (resolve(link, &server) != 0 || raw_link_equip(link, bytes, receive_bytes) != 0) {
        return failed(raw);
    }
    head->raw.address = (uintptr_t)link->memory;
    head->raw.rkey = link->mr->rkey;
    struct rdma_conn_param param = raw_link_conn_param(link);
    uint32_t word = orders_give(orders, ORDER_RAW_ACCEPT);
    if (rdma_connect(link->id, &param) != 0) {
        raw_link_fail(link, "cannot connect to the server");
        return head->why[0] != '\0' ? orders_await(orders, word, bytes) : failed(raw);
    }
    return orders_await(orders, word, bytes);
}

/* Waits for the answer. */
static int await_pong(struct raw *raw)
{
    struct relax wait = {0};
    uint64_t since = 0;
    for (;;) {
        int got = raw_link_received(&raw->link);
        if (got != 0) {
            return got > 0 ? 0 : failed(raw);
        }
        if (relax(&wait) &&
            !orders_patience(&since, raw->orders->server, raw->link.receive_bytes)) {
            return orders_no_answer(raw->orders);
        }
    }
}

/* One round trip; posting the next receive is not on its way. */
static int ping(struct raw *raw, size_t size, uint64_t *took)
{
    uint64_t start = ticks_now();
    if (raw_link_send(&raw->link, size) != 0) {
        return failed(raw);
    }
    if (await_pong(raw) != 0) {
        return EXIT_FAILURE;
    }
    *took = ticks_now() - start;
    return raw_link_post_receive(&raw->link) == 0 && raw_link_collect(&raw->link) == 0
               ? 0
               : failed(raw);
}

int raw_ping(struct raw *raw, size_t size, uint64_t ticks, struct figures *figures)
{
    struct orders *orders = raw->orders;
    if (size > raw->link.max_message) {
        return say(EXIT_FAILURE,
                   "the device SENDs %" PRIu64
                   " bytes at most; choose a smaller --size for --vs raw",
                   raw->link.max_message);
    }
    orders->area.head->size = size;
    uint32_t word = orders_give(orders, ORDER_RAW_ECHO);
    if (orders_await(orders, ~word, 0) != 0) {
        return EXIT_FAILURE;
    }
    uint64_t start = ticks_now(), trips = 0;
    raw->link.memory[0] = 0;
    while (raw->link.memory[0] != RAW_LAST) {
        uint64_t took = 0;
        raw->link.memory[0] = (uint8_t)(ticks_now() - start < ticks ? 0 : RAW_LAST);
        if (ping(raw, size, &took) != 0) {
            return EXIT_FAILURE;
        }
        histogram_add(&figures->rtt, took, 1);
        trips++;
    }
    figures_add_burst(figures, trips, trips * size, ticks_now() - start);
    return orders_await(orders, word, 0);
}

int raw_read(struct raw *raw, size_t size, uint64_t count, struct figures *figures)
{
    struct orders *orders = raw->orders;
    struct area_head *head = orders->area.head;
    head->size = size;
    head->count = count;
    pattern_fill(raw->link.memory, size * count, orders->given);
    if (orders_await(orders, orders_give(orders, ORDER_RAW_READ), size * count) != 0) {
        return EXIT_FAILURE;
    }
    uint64_t took = head->copy_end - head->copy_start;
    histogram_add(&figures->rtt, took / count, count);
    figures_add_burst(figures, count, count * size, took);
    return 0;
}

void raw_close(struct raw *raw)
{
    raw_link_close(&raw->link);
    *raw = (struct raw){0};
}
