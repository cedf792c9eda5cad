#include "engine/verbs/explain.h"

#include <errno.h>

#include "engine/fabric.h"

const char *wbi_verbs_wc_words(enum ibv_wc_status status)
{
    switch (status) {
    case IBV_WC_RETRY_EXC_ERR:
        return "the peer's device did not acknowledge it after all retries: its host is down or "
               "the network between is cut; check the link, and that both ends' GID and MTU fit";
    case IBV_WC_RNR_RETRY_EXC_ERR:
        return "the peer had no receive posted for it: it is overrun by others; lower credits";
    case IBV_WC_REM_ACCESS_ERR:
        return "the peer's device refused access: the chunk was withdrawn by its owner, or its key "
               "or range is none that was offered";
    case IBV_WC_REM_INV_REQ_ERR:
        return "the peer's device found it longer than the receive that was posted: the two sides "
               "disagree on eager_bytes";
    case IBV_WC_REM_OP_ERR:
        return "the peer's device could not complete it";
    case IBV_WC_LOC_PROT_ERR:
        return "our own memory is not registered for it: this is a bug of Waybill";
    case IBV_WC_LOC_ACCESS_ERR:
        return "our memory was not writable for it";
    case IBV_WC_WR_FLUSH_ERR:
        return "the queue pair had failed or was closed before";
    case IBV_WC_FATAL_ERR:
        return "the device failed: see dmesg";
    case IBV_WC_RESP_TIMEOUT_ERR:
        return "the peer's device did not answer in time";
    default:
        return "the device could not complete it";
    }
}

/* Reasons of a refusal, by the InfiniBand specification's table of REJ reasons. */
static const char *refusal_words(int code)
{
    switch (code) {
    case 1:
    case 3:
        return "the peer's host has no queue pairs or memory left for a connection";
    case 4:
        return "the peer's host gave the connection up: it was answered too late; try again";
    case 8:
    case -ECONNREFUSED:
        return "nobody listens at that port";
    case 10:
        return "the peer's host still has remains of a former connection; try again";
    default:
        return "refused the connection";
    }
}

const char *wbi_verbs_cm_words(enum rdma_cm_event_type event, int code)
{
    switch (event) {
    case RDMA_CM_EVENT_ADDR_ERROR:
        return code == -ENODEV ? "no RDMA device has a route to that address"
                               : "the address does not resolve: no such host on the network, or "
                                 "no RDMA device on the interface that leads to it";
    case RDMA_CM_EVENT_ROUTE_ERROR:
        return "there is no route to that address from an RDMA device here";
    case RDMA_CM_EVENT_UNREACHABLE:
        return "the host does not answer the connection request: it is down, or has no RDMA device "
               "at that address";
    case RDMA_CM_EVENT_CONNECT_ERROR:
        return "the connection could not be made";
    case RDMA_CM_EVENT_REJECTED:
        return refusal_words(code);
    case RDMA_CM_EVENT_DISCONNECTED:
        return "the peer closed the channel, or its process ended";
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
        return "the RDMA device was removed";
    default:
        return "the connection manager gave it up";
    }
}

int wbi_verbs_cm_status(enum rdma_cm_event_type event)
{
    switch (event) {
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_REJECTED:
        return WB_ERR_REFUSED;
    default:
        return WB_ERR_PEER_LOST;
    }
}

const char *wbi_verbs_device_words(enum ibv_event_type event)
{
    switch (event) {
    case IBV_EVENT_QP_FATAL:
        return "the device failed on this queue pair: see dmesg";
    case IBV_EVENT_QP_REQ_ERR:
        return "the peer sent a request that the device cannot take";
    case IBV_EVENT_QP_ACCESS_ERR:
        return "the peer asked for memory that it may not read";
    case IBV_EVENT_PATH_MIG_ERR:
        return "the device lost its path";
    case IBV_EVENT_CQ_ERR:
        return "the completion queue overflowed: this is a bug of Waybill";
    case IBV_EVENT_SRQ_ERR:
        return "the shared receive queue failed: see dmesg";
    case IBV_EVENT_DEVICE_FATAL:
        return "the device failed: see dmesg";
    default:
        return NULL;
    }
}
