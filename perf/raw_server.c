/* The server's part of --vs raw: answers pings, and READs the client's memory. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "perf/raw.h"
#include "perf/relax.h"
#include "perf/ticks.h"

/* ---- meeting ---- */

static int listen_at(struct raw_link *link, struct area_raw *about)
{
    if (raw_link_begin(link, &link->listener) != 0) {
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

static int accept_client(struct raw_link *link, const struct area_raw *about)
{
    if (rdma_get_request(link->listener, &link->id) != 0) {
        return raw_link_fail(link, "nobody comes");
    }
    if (raw_link_equip(link, about->bytes, about->receive_bytes) != 0) {
        rdma_reject(link->id, NULL, 0);
        return -1;
    }
    struct rdma_conn_param param = raw_link_conn_param(link);
    return rdma_accept(link->id, &param) == 0 ? 0 : raw_link_fail(link, "cannot accept");
}

/* ---- pings ---- */

/* Waits for a message; -1 also where none comes for long. */
static int await_ping(struct raw_link *link)
{
    struct relax wait = {0};
    uint64_t since = 0;
    for (;;) {
        int got = raw_link_received(link);
        if (got != 0) {
            return got > 0 ? 0 : -1;
        }
        if (relax(&wait) && !orders_patience(&since, NULL, link->receive_bytes)) {
            errno = ETIMEDOUT;
            return raw_link_fail(link, "no ping came");
        }
    }
}

static int echo(struct raw_link *link, size_t size)
{
    const uint8_t *landing = link->memory + link->bytes - link->receive_bytes;
    size_t answer = size < RAW_ANSWER_BYTES ? size : RAW_ANSWER_BYTES;
    for (bool last = false; !last;) {
        if (await_ping(link) != 0) {
            return -1;
        }
        last = landing[0] == RAW_LAST;
        if (raw_link_send(link, answer) != 0 || raw_link_post_receive(link) != 0 ||
            raw_link_collect(link) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- READs ---- */

/* The READs of a burst: `each` for every one of `count` buffers of `size` bytes, since a device
 * takes no more than so many bytes at once. */
struct reads {
    struct raw_link *link;
    const struct area_head *head;
    uint64_t size, piece, each, total;
    uint64_t landings;
    uint64_t posted, done;
};

static void describe(const struct reads *reads, uint64_t number, struct ibv_send_wr *wr,
                     struct ibv_sge *sge)
{
    const struct area_raw *about = &reads->head->raw;
    uint64_t buffer = number / reads->each, offset = number % reads->each * reads->piece;
    uint64_t left = reads->size - offset;
    uint64_t landing = (buffer % reads->landings) * reads->size + offset;
    *sge = (struct ibv_sge){.addr = (uintptr_t)reads->link->memory + landing,
                            .length = (uint32_t)(left < reads->piece ? left : reads->piece),
                            .lkey = reads->link->mr->lkey};
    *wr = (struct ibv_send_wr){
        .sg_list = sge, .num_sge = 1, .opcode = IBV_WR_RDMA_READ, .send_flags = IBV_SEND_SIGNALED};
    wr->wr.rdma.remote_addr = about->address + buffer * reads->size + offset;
    wr->wr.rdma.rkey = about->rkey;
}

/* Posts what the depth allows, as one list. */
static int post(struct reads *reads)
{
    struct ibv_send_wr wrs[RAW_READS], *bad;
    struct ibv_sge sges[RAW_READS];
    uint32_t count = 0;
    while (reads->posted < reads->total && reads->posted - reads->done < reads->link->depth) {
        describe(reads, reads->posted++, &wrs[count], &sges[count]);
        if (count > 0) {
            wrs[count - 1].next = &wrs[count];
        }
        count++;
    }
    errno = count > 0 ? ibv_post_send(reads->link->id->qp, wrs, &bad) : 0;
    return errno == 0 ? 0 : raw_link_fail(reads->link, "cannot post READs");
}

static int read_buffers(struct raw_link *link, struct area_head *head)
{
    struct reads reads = {.link = link, .head = head, .size = head->size};
    reads.piece = head->size < link->max_message ? head->size : link->max_message;
    reads.each = (head->size + reads.piece - 1) / reads.piece;
    reads.total = reads.each * head->count;
    reads.landings = link->bytes / head->size < RAW_READS ? link->bytes / head->size : RAW_READS;
    uint64_t start = ticks_now(), since = 0;
    struct relax wait = {0};
    while (reads.done < reads.total) {
        if (post(&reads) != 0) {
            return -1;
        }
        int got = raw_link_poll_sends(link, RAW_READS);
        if (got < 0) {
            return -1;
        }
        since = got > 0 ? 0 : since;
        reads.done += (uint64_t)got;
        if (got == 0 && relax(&wait) && !orders_patience(&since, NULL, reads.piece * RAW_READS)) {
            errno = ETIMEDOUT;
            return raw_link_fail(link, "the READs do not end");
        }
    }
    head->copy_start = start;
    head->copy_end = ticks_now();
    return 0;
}

void raw_obey(struct raw *raw, uint32_t order)
{
    struct raw_link *link = &raw->link;
    struct area_head *head = raw->orders->area.head;
    int status;
    switch (orders_kind(order)) {
    case ORDER_RAW_LISTEN:
        status = listen_at(link, &head->raw);
        break;
    case ORDER_RAW_ACCEPT:
        status = accept_client(link, &head->raw);
        break;
    case ORDER_RAW_ECHO:
        orders_obeyed(raw->orders, ~order); /* begun: what comes from now on is echoed */
        status = echo(link, head->size);
        break;
    default:
        status = read_buffers(link, head);
        break;
    }
    if (status == 0) {
        orders_obeyed(raw->orders, order);
        return;
    }
    char words[AREA_WHY_ROOM];
    raw_link_words(link, words, sizeof words);
    orders_failed(raw->orders, order, "%s", words);
}
