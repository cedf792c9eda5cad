/* What happens to devices as a whole: links that go, devices that stop or are lost, receive queues
 * that break; as the test says, or by a fault. */
#include "tests/simverbs/model.h"

static void tell_all(struct sim_device *device, enum ibv_event_type type)
{
    for (struct sim_context *at = device->contexts; at != NULL; at = at->next) {
        sim_async(&at->verbs.context,
                  (struct ibv_async_event){.element.port_num = 1, .event_type = type});
    }
}

/* ---- links ---- */

static void set_link(struct sim_device *device, bool up)
{
    device->link_down = !up;
    device->link_changes++;
    tell_all(device, up ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR);
}

void sim_link_set(struct sim_device *device, bool up)
{
    sim_enter(0);
    set_link(device, up);
    sim_leave();
}

bool sim_link_is_up(const struct sim_device *device)
{
    sim_enter(0);
    bool up = !device->link_down;
    sim_leave();
    return up;
}

/* Unless somebody has set it since. */
static void link_returns(const struct sim_event *event)
{
    if (event->device->link_changes == event->number) {
        set_link(event->device, true);
    }
}

static void link_goes(struct sim_device *device, uint64_t ms)
{
    set_link(device, false);
    sim_schedule(
        (struct sim_event){.run = link_returns, .device = device, .number = device->link_changes},
        sim_now_ns() + ms * 1000000);
}

/* ---- devices ---- */

/* Its queue pairs break, and flush what they have, as drivers do it for a device that is gone. What
 * was opened before is of no use any more; who opens it anew finds it as after a reset. */
static void device_is_lost(struct sim_device *device)
{
    for (struct sim_context *at = device->contexts; at != NULL; at = at->next) {
        at->dead = true;
    }
    tell_all(device, IBV_EVENT_DEVICE_FATAL);
    for (struct sim_qp *qp = device->newest_qp; qp != NULL; qp = qp->older_live) {
        sim_qp_break(qp);
    }
}

bool sim_device_is_lost(const struct sim_device *device)
{
    sim_enter(0);
    bool lost = device->died;
    for (const struct sim_context *at = device->contexts; at != NULL; at = at->next) {
        lost |= at->dead;
    }
    sim_leave();
    return lost;
}

/* Shorter than any retry; longer than some; longer than all. */
static const int down_ms[] = {1, 300, 5000, 0};

void sim_device_is_reached(struct sim_device *device)
{
    const struct sim_rates *rates = &sim_world.faults.rates;
    if (device->stopped) {
        return;
    }
    if (sim_breaks("device stops", rates->device_stops)) {
        device->stopped = device->died = true;
    }
    if (sim_breaks("device fatal", rates->device_fatal)) {
        device_is_lost(device);
    }
    int ms = sim_breaks_as("link down", rates->link_down, down_ms);
    if (ms != 0) {
        link_goes(device, (uint64_t)ms);
    }
}

/* ---- shared receive queues ---- */

/* It gives and takes nothing any more, and queue pairs are lost without it. */
void sim_srq_is_reached(struct sim_qp *to)
{
    struct ibv_srq *srq = to->ibv.srq;
    if (srq == NULL || !sim_breaks("SRQ error", sim_world.faults.rates.srq_error)) {
        return;
    }
    ((struct sim_srq *)srq)->broken = true;
    sim_async(srq->context,
              (struct ibv_async_event){.element.srq = srq, .event_type = IBV_EVENT_SRQ_ERR});
    for (struct sim_qp *qp = to->device->newest_qp; qp != NULL; qp = qp->older_live) {
        if (qp->ibv.srq == srq) {
            sim_qp_break(qp);
        }
    }
}
