#include "perf/raw_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SEND_DEPTH = RAW_LINK_SENDS, SIGNAL = 16 };

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

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Room in the send queue is for SENDs too. */
static void choose_window(struct raw_link *link, uint32_t list,
                          const struct ibv_device_attr *device)
{
    uint32_t most = (uint32_t)device->max_qp_wr;
    link->window = list > 1
                       ? least(2 * list, most > 2 * SEND_DEPTH ? most - SEND_DEPTH : SEND_DEPTH)
                       : link->depth;
    link->window = link->window < link->depth ? link->depth : link->window;
}

int raw_link_learn(struct raw_link *link, uint32_t list)
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
    choose_window(link, list, &device);
    return 0;
}

int raw_link_post_receive(struct raw_link *link)
{
    struct ibv_sge sge = {.addr = (uintptr_t)raw_link_received_at(link),
                          .length = (uint32_t)link->receive_bytes,
                          .lkey = link->mr->lkey};
    struct ibv_recv_wr wr = {.sg_list = &sge, .num_sge = 1}, *bad;
    errno = ibv_post_recv(link->id->qp, &wr, &bad);
    return errno == 0 ? 0 : raw_link_fail(link, "cannot post a receive");
}

/* Memory that has been touched, and room for lists. */
static int make_memory(struct raw_link *link, const struct raw_link_wish *wish)
{
    link->works = calloc(link->window, sizeof *link->works);
    link->ranges = calloc(link->window, sizeof *link->ranges);
    void *at = mmap(NULL, wish->bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at != MAP_FAILED) {
        link->memory = at;
        link->bytes = wish->bytes;
        link->landing = wish->landing;
        link->receive_bytes = wish->receive_bytes;
    }
    return at != MAP_FAILED && link->works != NULL && link->ranges != NULL
               ? 0
               : raw_link_fail(link, "no memory for buffers");
}

int raw_link_equip(struct raw_link *link, const struct raw_link_wish *wish)
{
    if (make_memory(link, wish) != 0) {
        return -1;
    }
    link->mr = ibv_reg_mr(link->id->pd, link->memory, link->bytes,
                          IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
    int status = link->mr != NULL
                     ? 0
                     : raw_link_fail(link, "cannot register buffers (see memlock in wb_info)");
    for (int i = 0; i < RAW_LINK_RECEIVES && status == 0 && link->receive_bytes > 0; i++) {
        status = raw_link_post_receive(link);
    }
    return status;
}

void raw_link_free(struct raw_link *link)
{
    if (link->memory != NULL) {
        munmap(link->memory, link->bytes);
    }
    free(link->works);
    free(link->ranges);
    *link = (struct raw_link){0};
}

/* ---- messages ---- */

/* Work has the number of READs up to it as its id, and a SEND 0. */
int raw_link_poll_sends(struct raw_link *link)
{
    struct ibv_wc wcs[RAW_READS];
    int count = ibv_poll_cq(link->id->send_cq, RAW_READS, wcs);
    for (int i = 0; i < count; i++) {
        if (wcs[i].status != IBV_WC_SUCCESS) {
            return fail_completion(link, "the work failed", wcs[i].status);
        }
        if (wcs[i].wr_id == 0) {
            link->acknowledged += SIGNAL;
        } else {
            link->done = wcs[i].wr_id;
        }
    }
    return count;
}

int raw_link_collect(struct raw_link *link)
{
    do {
        if (link->sent - link->acknowledged >= SIGNAL && raw_link_poll_sends(link) < 0) {
            return -1;
        }
    } while (link->sent - link->acknowledged >= SEND_DEPTH - 1);
    return 0;
}

int raw_link_send(struct raw_link *link, size_t offset, size_t bytes)
{
    struct ibv_sge sge = {.addr = (uintptr_t)link->memory + offset,
                          .length = (uint32_t)bytes,
                          .lkey = link->mr->lkey};
    struct ibv_send_wr wr = {.sg_list = &sge, .num_sge = bytes > 0, .opcode = IBV_WR_SEND}, *bad;
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
