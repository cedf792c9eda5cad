/*
 * The connection manager: identifiers, the events of their channels, the messages between hosts.
 *
 *   active    IDLE -> RESOLVING -> RESOLVED -> ROUTING -> ROUTED -> CALLING -> HEARD -> OPEN
 *   passive   ASKED -> ANSWERED -> OPEN
 *   both      OPEN, HEARD or ANSWERED -> CLOSING (we said it) or CLOSED (they did, or it failed)
 *   listening IDLE -> BOUND -> LISTENING
 */
#ifndef WAYBILL_TESTS_SIMVERBS_CM_H
#define WAYBILL_TESTS_SIMVERBS_CM_H

#include "tests/simverbs/model.h"

enum {
    SIM_REQUEST_BYTES = 56, /* private data, of whatever length it was: the receiver sees all */
    SIM_REPLY_BYTES = 196,
    SIM_REFUSAL_BYTES = 148,
    SIM_REFUSED_TIMEOUT = 4,
    SIM_REFUSED_NO_LISTENER = 8,
    SIM_REFUSED_BY_CONSUMER = 28
};

enum sim_id_state {
    SIM_IDLE,
    SIM_BOUND,
    SIM_LISTENING,
    SIM_RESOLVING,
    SIM_RESOLVED,
    SIM_ROUTING,
    SIM_ROUTED,
    SIM_CALLING,
    SIM_HEARD,
    SIM_ASKED,
    SIM_ANSWERED,
    SIM_OPEN,
    SIM_CLOSING,
    SIM_CLOSED
};

struct sim_cm_channel {
    struct rdma_event_channel rdma;
    struct sim_host *host;
    struct sim_signal signal;
    struct sim_fifo events; /* struct sim_cm_event */
    unsigned ids;
};

struct sim_cm_event {
    struct rdma_cm_event rdma;
    struct sim_id *owner; /* whose acknowledgement is awaited: the listener of a request */
    uint8_t data[SIM_REPLY_BYTES];
};

struct sim_id {
    struct rdma_cm_id rdma;
    uint32_t number;
    struct sim_cm_channel *channel;
    struct sim_device *device; /* NULL: none yet, or all of the host's */
    enum sim_id_state state;
    uint32_t local_address, remote_address; /* IPv4, host byte order; 0: any */
    uint16_t local_port, remote_port;
    bool reuses;
    struct sim_device *peer_device;
    uint32_t peer; /* the other side's number; 0: not known yet */
    uint32_t qp_num, peer_qp_num;
    uint8_t incoming, outgoing; /* READs in flight, as far as it was said */
    unsigned unacknowledged;
    struct sim_id *next;
};

enum sim_message_kind {
    SIM_REQUEST,
    SIM_REPLY,
    SIM_READY,
    SIM_REFUSAL,
    SIM_GOODBYE,
    SIM_GOODBYE_TOO
};

struct sim_message {
    enum sim_message_kind kind;
    struct sim_device *from, *to;
    uint32_t from_id, to_id; /* to_id 0: whoever listens at to_port, or answered from_id */
    uint16_t from_port, to_port;
    uint8_t incoming, outgoing; /* READs in flight: as the sender sees it */
    uint32_t qp_num;
    int code;
    unsigned tries;
    bool unheard; /* the device had stopped when it was sent */
    uint8_t data[SIM_REPLY_BYTES];
};

/* ---- cm_channel.c ---- */

/* Queues an event of an identifier. data_len bytes of `data` are copied. */
void sim_cm_tell(struct sim_id *id, enum rdma_cm_event_type type, int status,
                 const struct rdma_conn_param *param, const void *data, uint8_t data_len);
void sim_cm_tell_request(struct sim_id *listener, struct sim_id *id,
                         const struct rdma_conn_param *param, const void *data);

/* Forgets queued events of an identifier that goes. Requests of a listener are refused. */
void sim_cm_forget(struct sim_id *id);

/* ---- cm_id.c ---- */

struct sim_id *sim_id_new(struct sim_cm_channel *channel, void *context);
struct sim_id *sim_id_find(uint32_t number);
void sim_id_place(struct sim_id *id, struct sim_device *device); /* on a device of its host */
void sim_id_free(struct sim_id *id); /* tells the peer, if there is one */

/* ---- cm_message.c ---- */

/* Bytes of private data that a device's message of this kind carries, whatever it was given. */
uint8_t sim_cm_room(const struct sim_device *device, enum sim_message_kind kind);

/* A message to the peer of an identifier. `data` is copied. */
void sim_cm_send(struct sim_id *id, enum sim_message_kind kind, int code, const void *data,
                 uint8_t data_len);

/* ---- cm_receive.c ---- */

/* A message has arrived; it is the caller's. */
void sim_cm_receive(const struct sim_message *message);

/* A message was sent in vain, again and again. */
void sim_cm_gave_up(const struct sim_message *message);

#endif
