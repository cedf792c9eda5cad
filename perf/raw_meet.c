/* The connection manager's part of --vs raw: how the two ends of a thread find each other. */
#include "perf/raw_meet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"

enum { INLINE = 256, RETRIES = 4, RNR_RETRIES = 7, RESOLVE_MS = 5000, HOST_ROOM = 64 };

/* Makes an id, with blocking calls. */
static int make_id(struct raw_link *link, struct rdma_cm_id **id)
{
    return rdma_create_id(NULL, id, NULL, RDMA_PS_TCP) == 0
               ? 0
               : raw_link_fail(link, "cannot make an rdma_cm id");
}

/* Asks for inline room, and for less where the device has less. */
static int create_qp(struct raw_link *link)
{
    uint32_t inline_bytes = INLINE;
    for (;;) {
        struct ibv_qp_init_attr attr = {.qp_type = IBV_QPT_RC,
                                        .cap = {.max_send_wr = RAW_LINK_SENDS + link->window,
                                                .max_recv_wr = RAW_LINK_RECEIVES,
                                                .max_send_sge = 1,
                                                .max_recv_sge = 1,
                                                .max_inline_data = inline_bytes}};
        if (rdma_create_qp(link->id, NULL, &attr) == 0) {
            link->inline_bytes = attr.cap.max_inline_data;
            return 0;
        }
        if (errno != EINVAL || inline_bytes == 0) {
            return raw_link_fail(link, "cannot make a queue pair");
        }
        inline_bytes = inline_bytes > 64 ? inline_bytes / 2 : 0;
    }
}

static int equip(struct raw_link *link, const struct raw_link_wish *wish)
{
    return raw_link_learn(link, wish->list) == 0 && create_qp(link) == 0
               ? raw_link_equip(link, wish)
               : -1;
}

/* What the two sides tell the connection manager. */
static struct rdma_conn_param conn_param(const struct raw_link *link)
{
    return (struct rdma_conn_param){.initiator_depth = (uint8_t)link->depth,
                                    .responder_resources = (uint8_t)link->depth,
                                    .retry_count = RETRIES,
                                    .rnr_retry_count = RNR_RETRIES};
}

void raw_link_close(struct raw_link *link)
{
    if (link->id != NULL) {
        if (link->id->qp != NULL) {
            rdma_destroy_qp(link->id);
        }
        if (link->mr != NULL) {
            ibv_dereg_mr(link->mr);
        }
        rdma_destroy_id(link->id);
    }
    if (link->listener != NULL) {
        rdma_destroy_id(link->listener);
    }
    raw_link_free(link);
}

/* ---- the client ---- */

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
    if (make_id(link, &link->id) != 0) {
        return -1;
    }
    if (rdma_resolve_addr(link->id, NULL, (struct sockaddr *)server, RESOLVE_MS) != 0 ||
        rdma_resolve_route(link->id, RESOLVE_MS) != 0) {
        return raw_link_fail(link, "cannot find the way to the server");
    }
    return 0;
}

/* Connects thread t with the server's end for it. */
static int open_end(struct raw *raw, const char *url, uint32_t t)
{
    struct orders *orders = raw->orders;
    struct area_head *head = orders->area.head;
    struct area_raw *about = &head->raw[t];
    const struct raw_link_wish wish = raw_wish_of(raw->options);
    struct raw_end *end = raw_end_make(raw, t);
    if (end == NULL) {
        return say(EXIT_FAILURE, "no memory for raw verbs");
    }
    struct raw_link *link = &end->link;
    if (!read_host(url, &about->server)) {
        return say(EXIT_FAILURE, "%s: no numeric address for raw verbs", url);
    }
    head->thread = t;
    if (orders_await(orders, orders_give(orders, ORDER_RAW_LISTEN), wish.bytes) != 0) {
        return EXIT_FAILURE;
    }
    struct sockaddr_storage server = about->server;
    if (resolve(link, &server) != 0 || equip(link, &wish) != 0) {
        return raw_failed(raw, t);
    }
    about->address[0] = (uintptr_t)link->memory;
    about->rkey[0] = link->mr->rkey;
    struct rdma_conn_param param = conn_param(link);
    uint32_t word = orders_give(orders, ORDER_RAW_ACCEPT);
    if (rdma_connect(link->id, &param) != 0) {
        raw_link_fail(link, "cannot connect to the server");
        return orders_has_failed(orders) ? orders_await(orders, word, wish.bytes)
                                         : raw_failed(raw, t);
    }
    return orders_await(orders, word, wish.bytes);
}

int raw_join(struct raw *raw, const char *url)
{
    int wrong = 0;
    for (uint32_t t = 0; wrong == 0 && t < raw->options->threads; t++) {
        wrong = open_end(raw, url, t);
    }
    return wrong;
}

/* ---- the server ---- */

static int listen_at(struct raw_link *link, struct area_raw *about)
{
    if (make_id(link, &link->listener) != 0) {
        return -1;
    }
    if (rdma_bind_addr(link->listener, (struct sockaddr *)&about->server) != 0 ||
        rdma_listen(link->listener, 1) != 0) {
        return raw_link_fail(link, "cannot listen");
    }
    uint16_t port = rdma_get_src_port(link->listener); /* in the network's order, as below */
    if (about->server.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&about->server)->sin6_port = port;
    } else {
        ((struct sockaddr_in *)&about->server)->sin_port = port;
    }
    return 0;
}

static int accept_client(struct raw_link *link, struct area_raw *about,
                         const struct raw_link_wish *wish)
{
    if (rdma_get_request(link->listener, &link->id) != 0) {
        return raw_link_fail(link, "nobody comes");
    }
    if (equip(link, wish) != 0) {
        rdma_reject(link->id, NULL, 0);
        return -1;
    }
    about->address[1] = (uintptr_t)link->memory;
    about->rkey[1] = link->mr->rkey;
    struct rdma_conn_param param = conn_param(link);
    return rdma_accept(link->id, &param) == 0 ? 0 : raw_link_fail(link, "cannot accept");
}

int raw_meet(struct raw *raw, uint32_t t, bool accepts)
{
    struct area_raw *about = &raw->orders->area.head->raw[t];
    const struct raw_link_wish wish = raw_wish_of(raw->options);
    struct raw_link *link = &raw->ends[t]->link;
    int status = accepts ? accept_client(link, about, &wish) : listen_at(link, about);
    raw->ends[t]->error = status == 0 ? 0 : RAW_LINK_FAILED;
    return status;
}
