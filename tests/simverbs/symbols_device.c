/* libibverbs: devices, contexts, what they say. */
#include "tests/simverbs/symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simverbs/model.h"

#undef ibv_query_port

struct ibv_device **ibv_get_device_list(int *count)
{
    sim_enter(0);
    const struct sim_host *host = sim_world.here;
    int devices = host != NULL ? host->device_count : 0;
    struct ibv_device **list = sim_new(((size_t)devices + 1) * sizeof(struct ibv_device *));
    for (int i = 0; i < devices; i++) {
        list[i] = &host->devices[i]->ibv;
    }
    sim_leave();
    if (count != NULL) {
        *count = devices;
    }
    return list;
}

void ibv_free_device_list(struct ibv_device **list)
{
    free(list);
}

const char *ibv_get_device_name(struct ibv_device *device)
{
    return device->name;
}

struct ibv_context *ibv_open_device(struct ibv_device *device)
{
    static const int errors[] = {EACCES, ENOMEM, EMFILE, 0};
    sim_enter(0);
    int error = sim_call_fails("ibv_open_device", errors);
    struct sim_context *context = error == 0 ? sim_context_open((struct sim_device *)device) : NULL;
    sim_leave();
    sim_set_errno(error);
    return context != NULL ? &context->verbs.context : NULL;
}

int ibv_close_device(struct ibv_context *ibv)
{
    struct sim_context *context = sim_context_of(ibv);
    sim_enter(0);
    if (context->users > 0) {
        sim_bug("ibv_close_device: %s still has %u objects of this context",
                context->device->ibv.name, context->users);
    }
    sim_context_close(context);
    sim_leave();
    return 0;
}

int ibv_query_device(struct ibv_context *ibv, struct ibv_device_attr *attr)
{
    static const int errors[] = {EIO, 0};
    sim_enter(0);
    int error = sim_call_fails("ibv_query_device", errors);
    if (error == 0) {
        *attr = sim_device_of(ibv)->profile->attr;
    }
    sim_leave();
    return error;
}

int sim_symbol_query_port(struct ibv_context *ibv, uint8_t number, struct ibv_port_attr *out,
                          size_t size)
{
    static const int errors[] = {EIO, 0};
    sim_enter(0);
    const struct sim_device *device = sim_device_of(ibv);
    int error = number != 1 ? EINVAL : sim_call_fails("ibv_query_port", errors);
    struct ibv_port_attr attr = {.state = device->link_down ? IBV_PORT_DOWN : IBV_PORT_ACTIVE,
                                 .max_mtu = device->profile->max_mtu,
                                 .active_mtu = device->profile->active_mtu,
                                 .gid_tbl_len = 1,
                                 .max_msg_sz = device->profile->max_message,
                                 .pkey_tbl_len = 1,
                                 .link_layer = IBV_LINK_LAYER_ETHERNET};
    sim_leave();
    if (error == 0) {
        memset(out, 0, size);
        memcpy(out, &attr, size < sizeof attr ? size : sizeof attr);
    }
    return error;
}

/* For programs that are older than the context's own. */
int ibv_query_port(struct ibv_context *ibv, uint8_t number, struct _compat_ibv_port_attr *attr)
{
    return sim_symbol_query_port(ibv, number, (struct ibv_port_attr *)(void *)attr,
                                 offsetof(struct ibv_port_attr, port_cap_flags2));
}

int _ibv_query_gid_ex(struct ibv_context *ibv, uint32_t port, uint32_t index,
                      struct ibv_gid_entry *entry, uint32_t flags, size_t size)
{
    if (port != 1 || index != 0 || flags != 0 || size < sizeof *entry) {
        return EINVAL;
    }
    uint32_t address = sim_device_of(ibv)->address;
    *entry = (struct ibv_gid_entry){.port_num = port, .gid_type = IBV_GID_TYPE_ROCE_V2};
    memset(entry->gid.raw + 10, 0xff, 2);
    for (unsigned i = 0; i < 4; i++) {
        entry->gid.raw[12 + i] = (uint8_t)(address >> (24 - 8 * i));
    }
    return 0;
}

/* ---- asynchronous events ---- */

/* Where an object counts the events of it that were taken and not acknowledged. */
static unsigned *counter_of(const struct ibv_async_event *event)
{
    switch (event->event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED:
    case IBV_EVENT_QP_LAST_WQE_REACHED:
        return &((struct sim_qp *)event->element.qp)->async_unacknowledged;
    case IBV_EVENT_CQ_ERR:
        return &((struct sim_cq *)event->element.cq)->async_unacknowledged;
    case IBV_EVENT_SRQ_ERR:
    case IBV_EVENT_SRQ_LIMIT_REACHED:
        return &((struct sim_srq *)event->element.srq)->async_unacknowledged;
    default:
        return NULL;
    }
}

int ibv_get_async_event(struct ibv_context *ibv, struct ibv_async_event *event)
{
    struct sim_context *context = sim_context_of(ibv);
    sim_enter(sim_world.options.poll_ns);
    struct ibv_async_event *first =
        sim_signal_wait(&context->signal) ? sim_fifo_pop(&context->events) : NULL;
    if (first != NULL) {
        *event = *first;
        free(first);
        sim_signal_set(&context->signal, context->events.count > 0);
        unsigned *counter = counter_of(event);
        if (counter != NULL) {
            ++*counter;
        }
    }
    sim_leave();
    sim_set_errno(first != NULL ? 0 : EAGAIN);
    return first != NULL ? 0 : -1;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
    sim_enter(0);
    unsigned *counter = counter_of(event);
    if (counter != NULL && (*counter)-- == 0) {
        sim_bug("ibv_ack_async_event: an event that was acknowledged already");
    }
    sim_leave();
}

/* ---- words ---- */

enum ibv_fork_status ibv_is_fork_initialized(void)
{
    return IBV_FORK_UNNEEDED;
}

const char *ibv_port_state_str(enum ibv_port_state state)
{
    return state == IBV_PORT_ACTIVE ? "PORT_ACTIVE" : "PORT_DOWN";
}

const char *ibv_wc_status_str(enum ibv_wc_status status)
{
    static const char *const words[] = {[IBV_WC_SUCCESS] = "success",
                                        [IBV_WC_LOC_LEN_ERR] = "local length error",
                                        [IBV_WC_LOC_QP_OP_ERR] = "local QP operation error",
                                        [IBV_WC_LOC_PROT_ERR] = "local protection error",
                                        [IBV_WC_WR_FLUSH_ERR] = "Work Request Flushed Error",
                                        [IBV_WC_MW_BIND_ERR] = "memory bind operation error",
                                        [IBV_WC_REM_INV_REQ_ERR] = "remote invalid request error",
                                        [IBV_WC_REM_ACCESS_ERR] = "remote access error",
                                        [IBV_WC_REM_OP_ERR] = "remote operation error",
                                        [IBV_WC_RETRY_EXC_ERR] = "transport retry counter exceeded",
                                        [IBV_WC_RNR_RETRY_EXC_ERR] = "RNR retry counter exceeded",
                                        [IBV_WC_FATAL_ERR] = "fatal error"};
    bool known = (unsigned)status < sizeof words / sizeof words[0] && words[status] != NULL;
    return known ? words[status] : "another error";
}
