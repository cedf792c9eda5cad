#include "perf/raw_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { SEND_DEPTH = 64, SIGNAL = 16, INLINE = 256, RETRIES = 4, RNR_RETRIES = 7 };

int raw_link_fail(struct raw_link *link, const char *step)
{
    link->step = step;
    link->error = errno;
    return -1;
}

static int fail_completion(struct raw_link *link, const char *step, enum ibv_wc_status status)
{
    link->step = step;
    link->error = -(int)status;
    return -1;
}

void raw_link_words(const struct raw_link *link, char *text, size_t size)
{
    snprintf(text, size, "raw verbs: %s: %s", link->step,
             link->error < 0 ? ibv_wc_status_str((enum ibv_wc_status) - link->error)
                             : strerror(link->error));
}

/* ---- making ---- */

int raw_link_begin(struct raw_link *link, struct rdma_cm_id **id)
{
    return rdma_create_id(NULL, id, NULL, RDMA_PS_TCP) == 0
               ? 0
               : raw_link_fail(link, "cannot make an rdma_cm id");
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int learn_limits(struct raw_link *link)
{
    struct ibv_device_attr device;
    struct ibv_port_attr port;
    if (ibv_query_device(link->id->verbs, &device) != 0 ||
        ibv_query_port(link->id->verbs, link->id->port_num, &port) != 0) {
        return raw_link_fail(link, "cannot query the device");
    }
    uint32_t out = (uint32_t)device.max_qp_init_rd_atom, in = (uint32_t)device.max_qp_rd_atom;
    link->depth = least(RAW_READS, least(out, in));
    link->max_message = port.max_msg_sz;
    return 0;
}

/* Asks for inline room, and for less where the device has less. */
static int create_qp(struct raw_link *link)
{
    uint32_t inline_bytes = INLINE;
    for (;;) {
        struct ibv_qp_init_attr attr = {.qp_type = IBV_QPT_RC,
                                        .cap = {.max_send_wr = SEND_DEPTH,
                                                .max_recv_wr = RAW_RECEIVES,
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

int raw_link_post_receive(struct raw_link *link)
{
    struct ibv_sge sge = {.addr = (uintptr_t)link->memory + link->bytes - link->receive_bytes,
                          .length = (uint32_t)link->receive_bytes,
                          .lkey = link->mr->lkey};
    struct ibv_recv_wr wr = {.sg_list = &sge, .num_sge = 1}, *bad;
    errno = ibv_post_recv(link->id->qp, &wr, &bad);
    return errno == 0 ? 0 : raw_link_fail(link, "cannot post a receive");
}

int raw_link_equip(struct raw_link *link, size_t bytes, size_t receive_bytes)
{
    if (learn_limits(link) != 0 || create_qp(link) != 0) {
        return -1;
    }
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                    -1, 0);
    if (at == MAP_FAILED) {
        return raw_link_fail(link, "no memory for buffers");
    }
    link->memory = at;
    link->bytes = bytes;
    link->receive_bytes = receive_bytes;
    link->mr = ibv_reg_mr(link->id->pd, at, bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
    int status = link->mr != NULL
                     ? 0
                     : raw_link_fail(link, "cannot register buffers (see memlock in wb_info)");
    for (int i = 0; i < RAW_RECEIVES && status == 0 && receive_bytes > 0; i++) {
        status = raw_link_post_receive(link);
    }
    return status;
}

struct rdma_conn_param raw_link_conn_param(const struct raw_link *link)
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
    if (link->memory != NULL) {
        munmap(link->memory, link->bytes);
    }
    *link = (struct raw_link){0};
}

/* ---- messages ---- */

int raw_link_poll_sends(struct raw_link *link, int most)
{
    struct ibv_wc wcs[RAW_READS];
    int count = ibv_poll_cq(link->id->send_cq, most < RAW_READS ? most : RAW_READS, wcs);
    for (int i = 0; i < count; i++) {
        if (wcs[i].status != IBV_WC_SUCCESS) {
            return fail_completion(link, "the work failed", wcs[i].status);
        }
    }
    return count;
}

int raw_link_collect(struct raw_link *link)
{
    do {
        int count = link->sent - link->acknowledged >= SIGNAL ? raw_link_poll_sends(link, 1) : 0;
        if (count < 0) {
            return -1;
        }
        link->acknowledged += (uint64_t)count * SIGNAL;
    } while (link->sent - link->acknowledged >= SEND_DEPTH - 1);
    return 0;
}

int raw_link_send(struct raw_link *link, size_t bytes)
{
    struct ibv_sge sge = {
        .addr = (uintptr_t)link->memory, .length = (uint32_t)bytes, .lkey = link->mr->lkey};
    struct ibv_send_wr wr = {.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND}, *bad;
    link->sent++;
    wr.send_flags = (link->sent % SIGNAL == 0 ? IBV_SEND_SIGNALED : 0U) |
                    (bytes <= link->inline_bytes ? IBV_SEND_INLINE : 0U);
    errno = ibv_post_send(link->id->qp, &wr, &bad);
    return errno == 0 ? 0 : raw_link_fail(link, "cannot post a SEND");
}

int raw_link_received(struct raw_link *link)
{
    struct ibv_wc wc;
    int count = ibv_poll_cq(link->id->recv_cq, 1, &wc);
    if (count > 0 && wc.status != IBV_WC_SUCCESS) {
        return fail_completion(link, "a receive failed", wc.status);
    }
    return count;
}
