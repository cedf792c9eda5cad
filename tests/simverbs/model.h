/*
 * What the simulated world consists of: the structs behind the ones that programs see. Everything
 * here is called with the world's lock held, unless it says otherwise.
 */
#ifndef WAYBILL_TESTS_SIMVERBS_MODEL_H
#define WAYBILL_TESTS_SIMVERBS_MODEL_H

#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <stddef.h>

#include "tests/simverbs/fault.h"
#include "tests/simverbs/world.h"

enum { SIM_BINS = 256, SIM_MAX_HOST_DEVICES = 4 };

/* ---- small things ---- */

/* Pointers in the order in which they came. */
struct sim_fifo {
    void **items;
    size_t count, room;
};

void sim_fifo_push(struct sim_fifo *fifo, void *item);
void *sim_fifo_pop(struct sim_fifo *fifo); /* NULL: empty */
void sim_fifo_close(struct sim_fifo *fifo);
void sim_fifo_remove(struct sim_fifo *fifo, size_t index);

/* A descriptor that is readable exactly while something is pending. */
struct sim_signal {
    int fd;
    bool raised;
    bool unblocked; /* it is known not to block: nobody turns that back */
};

void sim_signal_open(struct sim_signal *signal);
void sim_signal_set(struct sim_signal *signal, bool raised);
void sim_signal_close(struct sim_signal *signal);

/* Waits, as a descriptor that blocks does, until `signal` is raised; false: EAGAIN, it does not
 * block. Lets go of the lock meanwhile. */
bool sim_signal_wait(struct sim_signal *signal);

void *sim_new(size_t bytes); /* zeroed; never NULL */

/* errno as a call leaves it: `error`, or after success (0) something that means nothing, since
 * nobody may look at it then. */
void sim_set_errno(int error);

/* ---- memory ---- */

struct sim_qp;

struct sim_pd {
    struct ibv_pd ibv;
    unsigned users;
};

/* lkey is even, rkey is the next number: neither ever stands for the other. */
struct sim_mr {
    struct ibv_mr ibv;
    uint64_t address; /* by which its bytes are named */
    uint8_t *memory;  /* where they are */
    bool mapped;      /* a dma-buf, by the device itself */
    unsigned access;
    unsigned windows;    /* bound to it */
    struct sim_mr *next; /* in its bin of device->mrs */
};

/* A window of type 2B. Its key's upper 24 bits are its own for life and no region's; the lower 8
 * are the program's choice, anew at each binding. */
struct sim_mw {
    struct ibv_mw ibv; /* the program keeps its rkey up to date, the device does not */
    uint32_t key;      /* as of the last binding */
    struct sim_mr *mr; /* NULL: not bound */
    uint32_t qp_num;   /* bound: the only one that may use it */
    uint64_t address, bytes;
    unsigned access;
    struct sim_mw *next; /* in its bin of device->mws */
};

/* What a work request wants bound. By keys: whatever a pointer meant may be gone when it runs. */
struct sim_binding {
    uint32_t window, key; /* its key now, and from then on */
    uint32_t lkey;
    uint64_t address, bytes;
    unsigned access;
};

struct sim_span {
    uint8_t *at;
    size_t bytes;
};

/* A new region, with keys. The device is not full. symbols_memory.c */
struct sim_mr *sim_mr_new(struct ibv_pd *pd, void *address, size_t length, unsigned access);

/* The memory behind a local key, or NULL: unknown, another PD's, out of bounds, or not writable
 * although `write`. */
uint8_t *sim_mr_local(struct sim_device *device, const struct ibv_pd *pd, const struct ibv_sge *sge,
                      bool write);

/* The memory behind a remote key, a region's or a window's, for a request to this queue pair; or
 * NULL, likewise. */
uint8_t *sim_mr_remote(const struct sim_qp *to, uint32_t rkey, uint64_t address, uint64_t bytes,
                       unsigned access);

/* The region with this local key, or NULL: none of this PD. */
struct sim_mr *sim_mr_find(const struct sim_device *device, const struct ibv_pd *pd, uint32_t lkey);

/* Undoes what ibv_reg_dmabuf_mr did, for a region of its own. */
void sim_dmabuf_unmap(const struct sim_mr *mr);

/* Whether the second range lies within the first. */
bool sim_within(uint64_t base, uint64_t room, uint64_t address, uint64_t bytes);

/* ---- memory windows ---- */

bool sim_mw_has(const struct sim_device *device); /* whether it has any */
bool sim_mw_is_key(uint32_t rkey);
uint32_t sim_mw_new_key(struct sim_device *device);
struct sim_mw **sim_mw_bin(struct sim_device *device, uint32_t key);

/* The bound window of this queue pair with this key, or NULL. */
struct sim_mw *sim_mw_bound(const struct sim_qp *qp, uint32_t rkey);

/* The end of a work request that binds; and whether there was a window to make unreadable. */
enum ibv_wc_status sim_mw_bind(struct sim_qp *qp, const struct sim_binding *binding);
bool sim_mw_invalidate(const struct sim_qp *qp, uint32_t rkey);
void sim_mw_unbind(struct sim_mw *mw);

/* ---- spans ---- */

/* Copies `bytes` from spans to spans, which have them. */
void sim_spans_copy(const struct sim_span *to, const struct sim_span *from, uint64_t bytes);

/* ---- completions ---- */

struct sim_channel {
    struct ibv_comp_channel ibv;
    struct sim_signal signal;
    struct sim_fifo pending; /* CQs, once for each event */
};

struct sim_cqe {
    struct ibv_wc wc;
    bool is_send;
    uint64_t number; /* of the send queue */
};

/* Invariant: count <= ibv.cqe; the oldest is ring[first]. */
struct sim_cq {
    struct ibv_cq ibv;
    struct sim_cqe *ring;
    unsigned first, count;
    bool armed, solicited_only;
    bool overrun;
    unsigned users;
    unsigned unacknowledged;       /* completion events taken */
    unsigned async_unacknowledged; /* asynchronous ones */
};

void sim_cq_push(struct sim_cq *cq, const struct sim_cqe *cqe, bool solicited);

/* ---- receives ---- */

struct sim_receive {
    uint64_t wr_id;
    int sge_count;
    struct ibv_sge sges[SIM_MAX_SGE];
};

struct sim_receive_queue {
    struct sim_receive *ring;
    uint32_t depth, max_sge, first, count;
};

struct sim_srq {
    struct ibv_srq ibv;
    struct sim_receive_queue queue;
    unsigned users;
    unsigned async_unacknowledged;
    bool broken;
};

/* 0 or an errno. */
int sim_receives_post(struct sim_receive_queue *queue, struct ibv_recv_wr *wr,
                      struct ibv_recv_wr **bad);

/* ---- queue pairs ---- */

struct sim_work {
    uint64_t wr_id;
    enum ibv_wr_opcode opcode;
    unsigned flags;
    uint32_t immediate;
    uint32_t invalidates; /* a window's key */
    struct sim_binding binding;
    uint64_t sequence;      /* among what travels: what the device does by itself has none */
    bool executed;          /* by the device itself, */
    enum ibv_wc_status end; /* with this end */
    uint64_t remote;
    uint32_t rkey;
    uint64_t bytes;
    bool late; /* a fault: its end comes late */
    uint8_t *in_line;
    int sge_count;
    struct ibv_sge sges[SIM_MAX_SGE];
};

/*
 * The requester numbers its work from 0. Invariant: freed <= done <= issued <= posted <= freed +
 * depth. [done, issued) is on its way, a place is freed when a completion of it or of a later one
 * is polled. The responder expects work with sequence `expected` of its peer; what comes earlier is
 * a repetition, what comes later is dropped.
 */
struct sim_qp {
    struct ibv_qp ibv;
    struct sim_device *device;
    struct ibv_qp_cap cap;
    bool signal_all;
    struct ibv_qp_attr attr; /* as modified so far */
    struct sim_device *peer; /* from RTR on */

    struct sim_work *works;
    uint64_t posted, issued, done, freed;
    uint64_t sequence;   /* of the next that travels */
    uint32_t reads_out;  /* READs on their way */
    uint32_t epoch;      /* counts repetitions: what was under way before is void */
    uint64_t arrives_at; /* the last thing sent, ns: nothing overtakes */
    uint64_t returns_at; /* the last answer */
    unsigned tries, rnr_tries;
    bool timing;   /* a repetition is due */
    bool flushing; /* a flush is due */
    bool last_wqe_told;
    bool comm_est_told;

    uint64_t expected;
    uint32_t reads_in;       /* READs that are being answered, */
    uint32_t reads_in_epoch; /* as asked for in this epoch of the peer's: others are void */
    bool refusing;           /* it has refused a request, and breaks when the refusal leaves */
    struct sim_receive_queue receives; /* without an SRQ */

    unsigned async_unacknowledged;
    struct sim_qp *next;       /* in its bin of device->qps */
    struct sim_qp *older_live; /* of all of the device's, newest first */
};

struct sim_qp *sim_qp_find(struct sim_device *device, uint32_t number);
struct sim_receive_queue *sim_qp_receives(struct sim_qp *qp);
int sim_qp_post_send(struct sim_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
int sim_qp_modify(struct sim_qp *qp, const struct ibv_qp_attr *attr, int mask);

/* Sends what may be sent. */
void sim_qp_issue(struct sim_qp *qp);

/* To ERR, and what it has left will be flushed. */
void sim_qp_break(struct sim_qp *qp);
void sim_qp_flush_soon(struct sim_qp *qp);

/* Work number `number` (== done) has ended. */
void sim_qp_complete(struct sim_qp *qp, enum ibv_wc_status status);

/* Something was lost on the way: repeats after a time. */
void sim_qp_lose(struct sim_qp *qp);
void sim_qp_repeat_after(struct sim_qp *qp, uint64_t ns);

/* ---- devices ---- */

struct sim_context {
    struct sim_device *device;
    struct sim_signal signal;
    struct sim_fifo events; /* struct ibv_async_event */
    unsigned users;         /* PDs, CQs, completion channels */
    bool dead;              /* its device was lost: it makes nothing more */
    struct sim_context *next;
    struct verbs_context verbs; /* ends with the ibv_context: no field may follow */
};

struct sim_device {
    struct ibv_device ibv;
    struct sim_host *host;
    const struct sim_profile *profile;
    uint32_t number;  /* in the world, from 1 */
    uint32_t address; /* IPv4, host byte order */
    bool stopped, link_down;
    bool died;                      /* a fault has stopped it */
    uint32_t link_changes;          /* how often its link has gone or come */
    struct sim_context *cm_context; /* the connection manager's own */
    struct sim_context *contexts;
    uint32_t last_key, last_qp_num;
    uint32_t last_mw;
    struct sim_posts posts;
    uint64_t refused; /* the number of the work that it will not take; 0: it takes all */
    struct sim_mr *mrs[SIM_BINS];
    struct sim_mw *mws[SIM_BINS];
    struct sim_qp *qps[SIM_BINS], *newest_qp;
    int mr_count, mw_count, qp_count, cq_count, srq_count, pd_count;
};

struct sim_context *sim_context_of(struct ibv_context *context);
struct sim_device *sim_device_of(struct ibv_context *context);
struct sim_context *sim_context_open(struct sim_device *device);
void sim_context_close(struct sim_context *context);

/* Whether nothing new can be made with it: EIO is what making says. */
bool sim_context_is_dead(struct ibv_context *context);

/* Queues an asynchronous event, whose element is set. */
void sim_async(struct ibv_context *context, struct ibv_async_event event);

/* Forgets queued events of an object that is destroyed. */
void sim_async_forget(struct ibv_context *context, const void *element);

/* Waits, where there are threads, until events that another one has taken are acknowledged; a bug
 * of the program's where nobody does. The world is let go meanwhile. */
void sim_await_acknowledged(const char *call, const unsigned *unacknowledged);

/* Whether packets get from one to the other. */
bool sim_path_is_up(const struct sim_device *from, const struct sim_device *to);

/* ---- disaster.c ---- */

/* Something arrives at a device: what may happen to it by a fault. */
void sim_device_is_reached(struct sim_device *device);

/* The same for the shared receive queue of a queue pair that a message has reached. */
void sim_srq_is_reached(struct sim_qp *to);

/* ---- the world ---- */

struct sim_host {
    unsigned number; /* from 0 */
    struct sim_device *devices[SIM_MAX_HOST_DEVICES];
    int device_count;
    int64_t held_bytes; /* of the product's memory (allocation.c) */
    struct sim_host *next;
};

/* What will happen: run() does it. The queue pair or identifier is looked up then, since it may be
 * gone by that time. */
struct sim_event {
    uint64_t at, order;
    void (*run)(const struct sim_event *event);
    struct sim_device *device;
    uint32_t qp_num, epoch;
    uint64_t number;
    enum ibv_wc_status status;
    struct sim_message *message; /* the event's own */
    uint32_t id;
};

struct sim_world {
    bool open;
    pthread_t owner; /* of a deterministic world */
    struct sim_options options;
    uint64_t now_ns; /* of a deterministic world */
    uint64_t random;
    struct sim_event *heap;
    size_t event_count, event_room;
    uint64_t events_scheduled, events_run;
    uint64_t looked_at, idle_looks; /* the clock: events_run then, and looks since */
    uint64_t not_ready;             /* messages that found no receive */
    struct sim_host *hosts, *here;
    unsigned host_count;
    uint32_t device_count;
    struct sim_id *ids;
    uint32_t last_id;
    uint16_t last_port;
    unsigned cm_channels;
    int64_t held_blocks; /* of the product's memory, on all hosts */
    bool (*others)(void *context);
    void *others_context;
    bool others_run;
    struct sim_faults faults;
};

extern struct sim_world sim_world;

/* Takes the lock and lets happen what is due; in a deterministic world `ns` have passed. */
void sim_enter(uint64_t ns);
void sim_leave(void);

/* Whether this thread is the one that a deterministic world runs in. Needs no lock. */
bool sim_is_simulated(void);

void sim_schedule(struct sim_event event, uint64_t at_ns);
void sim_run_due(void);
uint64_t sim_next_event_ns(void); /* UINT64_MAX: none */
void sim_events_close(void);

uint64_t sim_random(void);
uint64_t sim_random_of(uint64_t *stream);
uint64_t sim_random_below(uint64_t limit); /* limit 0: 0 */

/* The program has made a mistake that hardware would punish in its own way. */
void sim_bug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- trace.c ---- */

void sim_trace(const struct sim_device *device, const char *what, uint64_t a, uint64_t b,
               uint64_t c);
void sim_trace_open(void);

#endif
