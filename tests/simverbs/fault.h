/*
 * Faults. Every place where something can fail has a number: the first that a run passes is 1, and
 * so on; in a deterministic world a scenario passes the same ones each time. A test counts them,
 * and then fails each in turn; or it sets rates and lets chance decide.
 */
#ifndef WAYBILL_TESTS_SIMVERBS_FAULT_H
#define WAYBILL_TESTS_SIMVERBS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* Chances in a million, at each place of the kind. */
struct sim_rates {
    uint32_t call_fails;       /* a function fails with one of its errors */
    uint32_t allocation_fails; /* the product gets no memory */
    uint32_t work_fails;   /* a work request ends with an error that its queue pair survives not */
    uint32_t work_late;    /* ... comes late, by late_ns at most */
    uint32_t packet_lost;  /* and is repeated after the queue pair's timeout */
    uint32_t answer_lost;  /* the peer has done it, the requester does not know */
    uint32_t cq_overrun;   /* a completion finds no place: the CQ and its queue pairs break */
    uint32_t message_late; /* of the connection manager, by late_ns at most */
    uint32_t message_lost;
    uint64_t late_ns; /* 0: a millisecond */

    /* Worse ones, when something arrives at a device. They are drawn from a stream of their own:
     * what the others do is the same with them as without. */
    uint32_t device_fatal; /* it is lost to all that have opened it (IBV_EVENT_DEVICE_FATAL) */
    uint32_t
        device_stops; /* as sim_device_stop: whoever drives the host has to destroy what is there */
    uint32_t link_down; /* for a while; it comes back by itself */
    uint32_t srq_error; /* the receive queue that the message needs breaks (IBV_EVENT_SRQ_ERR) */
    uint32_t connect_crossed; /* who has just answered, or is just ready, says goodbye */
};

/* How often something has failed. */
struct sim_fault_kind {
    const char *what; /* static; NULL: no more kinds */
    uint64_t count;
};

enum { SIM_FAULT_KINDS = 48 };

struct sim_faults {
    struct sim_rates rates;
    uint64_t points, armed; /* passed so far; to fail, 0 is none */
    unsigned armed_error;   /* with which of its errors */
    unsigned errors;        /* how many the place had that has failed because it was armed */
    uint64_t memory_ends;   /* the place from which on there is none; 0: there is */
    const char *hit;        /* what has failed last because it was armed */
    uint64_t happened;      /* faults of all kinds */
    uint64_t random;        /* the worse ones' own */
    struct sim_fault_kind kinds[SIM_FAULT_KINDS];
};

/* How many places were passed since the world was opened. */
uint64_t sim_fault_points(void);

/* Fails place number `point` (counted from the world's opening), with its first error; 0: none. */
void sim_fault_arm(uint64_t point);

/* The same with error number `error`, from 0, of those that the place has. */
void sim_fault_arm_error(uint64_t point, unsigned error);

/* How many errors the place has that failed because it was armed; 0: not reached. */
unsigned sim_fault_errors(void);

/* From place number `point` on, every allocation of the product fails; 0: there is memory. */
void sim_fault_memory_ends(uint64_t point);

/* What failed because it was armed; NULL: not reached. Static. */
const char *sim_fault_hit(void);

uint64_t sim_faults_happened(void);

/* The same by kind: SIM_FAULT_KINDS of them, the world's. */
const struct sim_fault_kind *sim_fault_kinds(void);
void sim_fault_rates(const struct sim_rates *rates);

/* ---- for the devices, with the lock held ---- */

/* A function that may fail: 0, or one of its errors, which ends with 0. */
int sim_call_fails(const char *what, const int *errors);

/* The same at another rate than call_fails, and with whatever numbers. */
int sim_fails_as(const char *what, uint32_t rate, const int *errors);

/* The same, and the next, for the worse ones. */
int sim_breaks_as(const char *what, uint32_t rate, const int *errors);
bool sim_breaks(const char *what, uint32_t rate);

/* Something else that may go wrong: whether it does, at this rate or because it is armed. */
bool sim_goes_wrong(const char *what, uint32_t rate);

/* The product asks for memory: whether it gets none. */
bool sim_allocation_fails(const char *what);

/* By how much what is late comes late. */
uint64_t sim_lateness_ns(void);

#endif
