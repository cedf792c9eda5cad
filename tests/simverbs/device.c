/* Devices and contexts: what can be asked of them, and what they say by themselves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/simverbs/model.h"
#include "tests/simverbs/symbols.h"

/* ---- contexts ---- */

struct sim_context *sim_context_of(struct ibv_context *context)
{
    uint8_t *verbs = (uint8_t *)context - offsetof(struct verbs_context, context);
    return (struct sim_context *)(void *)(verbs - offsetof(struct sim_context, verbs));
}

struct sim_device *sim_device_of(struct ibv_context *context)
{
    return sim_context_of(context)->device;
}

bool sim_context_is_dead(struct ibv_context *context)
{
    return sim_context_of(context)->dead;
}

struct sim_context *sim_context_open(struct sim_device *device)
{
    struct sim_context *context = sim_new(sizeof *context);
    context->device = device;
    sim_signal_open(&context->signal);
    context->verbs.sz = sizeof context->verbs;
    context->verbs.query_port = sim_symbol_query_port;
    context->verbs.query_device_ex = sim_symbol_query_device_ex;
    context->verbs.context = (struct ibv_context){.device = &device->ibv,
                                                  .ops = {.poll_cq = sim_symbol_poll_cq,
                                                          .req_notify_cq = sim_symbol_req_notify_cq,
                                                          .post_srq_recv = sim_symbol_post_srq_recv,
                                                          .post_send = sim_symbol_post_send,
                                                          .post_recv = sim_symbol_post_recv,
                                                          .alloc_mw = sim_symbol_alloc_mw,
                                                          .dealloc_mw = sim_symbol_dealloc_mw,
                                                          .bind_mw = sim_symbol_bind_mw},
                                                  .cmd_fd = -1,
                                                  .async_fd = context->signal.fd,
                                                  .num_comp_vectors = 1,
                                                  .abi_compat = __VERBS_ABI_IS_EXTENDED};
    context->next = device->contexts;
    device->contexts = context;
    return context;
}

void sim_context_close(struct sim_context *context)
{
    struct sim_context **at = &context->device->contexts;
    void *event;
    while (*at != NULL && *at != context) {
        at = &(*at)->next;
    }
    if (*at == context) {
        *at = context->next;
    }
    while ((event = sim_fifo_pop(&context->events)) != NULL) {
        free(event);
    }
    sim_fifo_close(&context->events);
    sim_signal_close(&context->signal);
    free(context);
}

/* ---- asynchronous events ---- */

void sim_async(struct ibv_context *ibv, struct ibv_async_event event)
{
    struct sim_context *context = sim_context_of(ibv);
    struct ibv_async_event *kept = sim_new(sizeof *kept);
    *kept = event;
    sim_trace(context->device, "async event", (uint64_t)event.event_type, 0, 0);
    sim_fifo_push(&context->events, kept);
    sim_signal_set(&context->signal, true);
}

void sim_async_forget(struct ibv_context *ibv, const void *element)
{
    struct sim_context *context = sim_context_of(ibv);
    for (size_t i = context->events.count; i-- > 0;) {
        struct ibv_async_event *event = context->events.items[i];
        if ((const void *)event->element.qp == element) {
            sim_fifo_remove(&context->events, i);
            free(event);
        }
    }
    sim_signal_set(&context->signal, context->events.count > 0);
}

void sim_await_acknowledged(const char *call, const unsigned *unacknowledged)
{
    enum { TRIES = 5000 };
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i<TRIES && * unacknowledged> 0 && sim_world.options.threads; i++) {
        sim_leave();
        nanosleep(&pause, NULL);
        sim_enter(0);
    }
    if (*unacknowledged > 0) {
        sim_bug("%s would block for ever: %u events are not acknowledged", call, *unacknowledged);
    }
}

/* ---- what happens to devices ---- */

bool sim_path_is_up(const struct sim_device *from, const struct sim_device *to)
{
    return !from->stopped && !to->stopped && !from->link_down && !to->link_down;
}

void sim_device_stop(struct sim_device *device)
{
    sim_enter(0);
    device->stopped = true;
    sim_trace(device, "stops", 0, 0, 0);
    sim_leave();
}

void sim_device_revive(struct sim_device *device)
{
    sim_enter(0);
    device->stopped = device->died = false;
    sim_trace(device, "is back", 0, 0, 0);
    sim_leave();
}

void sim_device_refuse(struct sim_device *device, uint64_t number)
{
    sim_enter(0);
    device->refused = number != 0 ? device->posts.works + number : 0;
    sim_leave();
}

struct sim_posts sim_device_posts(const struct sim_device *device)
{
    sim_enter(0);
    struct sim_posts posts = device->posts;
    sim_leave();
    return posts;
}

void sim_device_upset(struct sim_device *device, unsigned index)
{
    sim_enter(0);
    struct sim_qp *qp = device->newest_qp;
    for (; qp != NULL && index > 0; index--) {
        qp = qp->older_live;
    }
    if (qp != NULL) {
        sim_async(qp->ibv.context, (struct ibv_async_event){.element.qp = &qp->ibv,
                                                            .event_type = IBV_EVENT_QP_FATAL});
        sim_qp_break(qp);
    }
    sim_leave();
}
