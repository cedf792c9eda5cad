/* The connection manager's messages: they take their time, get lost, are sent again, some times. */
#include <stdlib.h>
#include <string.h>

#include "tests/simverbs/cm.h"

enum { TRIES = 8 };

uint8_t sim_cm_room(const struct sim_device *device, enum sim_message_kind kind)
{
    const struct sim_profile *profile = device->profile;
    if (kind == SIM_REPLY) {
        return profile->reply_bytes != 0 ? profile->reply_bytes : SIM_REPLY_BYTES;
    }
    if (kind == SIM_REFUSAL) {
        return profile->refusal_bytes != 0 ? profile->refusal_bytes : SIM_REFUSAL_BYTES;
    }
    return SIM_REQUEST_BYTES;
}

static void arrive(const struct sim_event *event);

static void put_on_the_way(struct sim_message *message)
{
    uint64_t most = sim_world.options.cm_latency_ns;
    uint64_t at = sim_now_ns() + most + sim_random_below(most);
    if (sim_goes_wrong("late connection message", sim_world.faults.rates.message_late)) {
        at += sim_lateness_ns();
    }
    sim_schedule((struct sim_event){.run = arrive, .message = message}, at);
}

static void try_again(const struct sim_event *event)
{
    put_on_the_way(event->message);
}

/* Who has just answered, or is just ready, changes its mind: its goodbye crosses what the other end
 * makes of the news. */
static void cross(const struct sim_message *message)
{
    bool connects = message->kind == SIM_REPLY || message->kind == SIM_READY;
    struct sim_id *id = sim_id_find(message->from_id);
    bool open = id != NULL && (id->state == SIM_ANSWERED || id->state == SIM_OPEN);
    if (connects && open &&
        sim_breaks("disconnect crosses connect", sim_world.faults.rates.connect_crossed)) {
        id->state = SIM_CLOSING;
        sim_cm_send(id, SIM_GOODBYE, 0, NULL, 0);
    }
}

static void arrive(const struct sim_event *event)
{
    struct sim_message *message = event->message;
    bool dead = message->unheard || message->from->stopped;
    if (dead && sim_id_find(message->from_id) == NULL) {
        free(message); /* its host died with it: nobody sends it again */
        return;
    }
    sim_device_is_reached(message->to);
    if (!sim_path_is_up(message->from, message->to) ||
        sim_goes_wrong("lost connection message", sim_world.faults.rates.message_lost)) {
        sim_trace(message->from, "connection message lost", message->from_id, message->to_id,
                  (uint64_t)message->kind);
        if (++message->tries < TRIES) {
            sim_schedule((struct sim_event){.run = try_again, .message = message},
                         sim_now_ns() + sim_world.options.cm_timeout_us * 1000);
            return;
        }
        sim_cm_gave_up(message);
    } else {
        sim_trace(message->to, "connection message", message->from_id, message->to_id,
                  (uint64_t)message->kind);
        cross(message);
        sim_cm_receive(message);
    }
    free(message);
}

void sim_cm_send(struct sim_id *id, enum sim_message_kind kind, int code, const void *data,
                 uint8_t data_len)
{
    struct sim_message *message = sim_new(sizeof *message);
    *message = (struct sim_message){.kind = kind,
                                    .from = id->device,
                                    .to = id->peer_device,
                                    .unheard = id->device->stopped,
                                    .from_id = id->number,
                                    .to_id = id->peer,
                                    .from_port = id->local_port,
                                    .to_port = id->remote_port,
                                    .incoming = id->incoming,
                                    .outgoing = id->outgoing,
                                    .qp_num = id->qp_num,
                                    .code = code};
    if (data_len > 0) {
        memcpy(message->data, data, data_len);
    }
    put_on_the_way(message);
}
