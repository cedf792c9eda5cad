#include "engine/verbs/device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/fabric.h"
#include "engine/verbs/send_queue.h"

bool wbi_verbs_unblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

struct rdma_event_channel *wbi_verbs_cm_open(void)
{
    struct rdma_event_channel *cm = rdma_create_event_channel();
    if (cm == NULL) {
        wbi_error(WB_ERR_SYSTEM,
                  "no connection manager: %s; load the module rdma_ucm, and see the permissions of "
                  "/dev/infiniband/rdma_cm",
                  strerror(errno));
    }
    return cm;
}

bool wbi_verbs_fork_is_safe(void)
{
    return ibv_is_fork_initialized() == IBV_FORK_UNNEEDED;
}

const char *wbi_verbs_no_device(int count)
{
    if (count > 0) {
        return NULL;
    }
    if (access("/sys/class/infiniband_verbs", F_OK) != 0) {
        return "the kernel has no RDMA support loaded (no /sys/class/infiniband_verbs): load "
               "ib_uverbs and the device's driver; without a card, try scripts/vm";
    }
    return "there is no RDMA device (ibv_devices lists none): load its driver, or make a software "
           "device with `rdma link add rxe0 type rxe netdev IF`";
}

/* The least message size of the ports that are active; 0: none is. */
static uint64_t active_message_bytes(struct wbi_verbs_device *device)
{
    uint64_t bytes = 0;
    for (uint8_t port = 1; port <= device->attr.phys_port_cnt; port++) {
        struct ibv_port_attr attr;
        if (ibv_query_port(device->context, port, &attr) == 0 && attr.state == IBV_PORT_ACTIVE &&
            (bytes == 0 || attr.max_msg_sz < bytes)) {
            bytes = attr.max_msg_sz;
        }
    }
    return bytes;
}

/* What verbs has no word for, by the vendor: its IEEE number. */
static const struct {
    uint32_t vendor_id, read_align;
} peculiar[] = {
    {0x0040a6, 4}, /* Cray: a GET of Aries */
};

static uint32_t read_align_of(const struct ibv_device_attr *attr)
{
    for (size_t i = 0; i < sizeof peculiar / sizeof peculiar[0]; i++) {
        if (peculiar[i].vendor_id == attr->vendor_id) {
            return peculiar[i].read_align;
        }
    }
    return 1;
}

bool wbi_verbs_on_demand(const struct ibv_device_attr_ex *attr, bool all)
{
    uint64_t needed = IBV_ODP_SUPPORT | (all ? IBV_ODP_SUPPORT_IMPLICIT : 0U);
    return (attr->odp_caps.general_caps & needed) == needed &&
           (attr->odp_caps.per_transport_caps.rc_odp_caps & IBV_ODP_SUPPORT_READ) != 0;
}

static int learn(struct wbi_verbs_device *device)
{
    struct ibv_device_attr_ex extended;
    int error = ibv_query_device_ex(device->context, NULL, &extended);
    if (error != 0) {
        return wbi_error(WB_ERR_SYSTEM, "%s: ibv_query_device: %s", device->name, strerror(error));
    }
    device->attr = extended.orig_attr;
    device->on_demand = wbi_verbs_on_demand(&extended, false);
    device->on_demand_all = wbi_verbs_on_demand(&extended, true);
    const struct ibv_device_attr *attr = &device->attr;
    device->max_message_bytes = active_message_bytes(device);
    if (device->max_message_bytes == 0) {
        return wbi_error(WB_ERR_NO_FABRIC,
                         "%s: no port is active: bring its cable or its network interface up",
                         device->name);
    }
    if (attr->max_qp_wr < WBI_VERBS_LEAST_SENDS) {
        return wbi_error(WB_ERR_NO_FABRIC, "%s: a queue pair has %d work requests; %d are needed",
                         device->name, attr->max_qp_wr, WBI_VERBS_LEAST_SENDS);
    }
    if (attr->max_qp_rd_atom <= 0 || attr->max_qp_init_rd_atom <= 0) {
        return wbi_error(WB_ERR_NO_FABRIC, "%s: the device has no RDMA READ", device->name);
    }
    device->read_depth_out =
        wbi_verbs_least((uint32_t)attr->max_qp_init_rd_atom, WBI_VERBS_READ_DEPTH);
    device->read_depth_in = wbi_verbs_least((uint32_t)attr->max_qp_rd_atom, WBI_VERBS_READ_DEPTH);
    device->read_sges = wbi_verbs_least(
        wbi_verbs_least((uint32_t)attr->max_sge, (uint32_t)attr->max_sge_rd), WBI_VERBS_READ_SGES);
    device->read_sges = device->read_sges == 0 ? 1 : device->read_sges;
    device->send_depth = wbi_verbs_least((uint32_t)attr->max_qp_wr, WBI_VERBS_SEND_DEPTH);
    device->read_align = read_align_of(attr);
    device->inline_bytes = WBI_VERBS_INLINE;
    device->tells_last_wqe = true;
    return WB_OK;
}

int wbi_verbs_device_open(struct ibv_device *which, struct wbi_verbs_device *device)
{
    *device = (struct wbi_verbs_device){0};
    strncpy(device->name, ibv_get_device_name(which), sizeof device->name - 1);
    if (which->transport_type != IBV_TRANSPORT_IB) {
        return wbi_error(WB_ERR_NO_FABRIC,
                         "%s: not InfiniBand or RoCE (iWARP sends no immediate data)",
                         device->name);
    }
    device->context = ibv_open_device(which);
    if (device->context == NULL) {
        return wbi_error(WB_ERR_SYSTEM,
                         "%s: cannot be opened: %s; see the permissions of /dev/infiniband",
                         device->name, strerror(errno));
    }
    int status = learn(device);
    if (status == WB_OK) {
        device->pd = ibv_alloc_pd(device->context);
        if (device->pd == NULL || !wbi_verbs_unblock(device->context->async_fd)) {
            status = wbi_error(WB_ERR_SYSTEM, "%s: no protection domain: %s", device->name,
                               strerror(errno));
        }
    }
    if (status != WB_OK) {
        wbi_verbs_device_close(device);
    }
    return status;
}

void wbi_verbs_device_close(struct wbi_verbs_device *device)
{
    if (device->pd != NULL) {
        ibv_dealloc_pd(device->pd);
    }
    if (device->context != NULL) {
        ibv_close_device(device->context);
    }
    *device = (struct wbi_verbs_device){0};
}
