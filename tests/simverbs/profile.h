/* Kinds of RDMA device, as far as a program can tell them apart. */
#ifndef WAYBILL_TESTS_SIMVERBS_PROFILE_H
#define WAYBILL_TESTS_SIMVERBS_PROFILE_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum { SIM_MAX_SGE = 32 }; /* no profile has more */

struct sim_profile {
    const char *name; /* of its kind; devices are NAME_0, NAME_1 ... */
    struct ibv_device_attr attr;
    uint32_t max_inline;                /* bytes */
    uint32_t max_message;               /* bytes, of a message or a READ */
    uint32_t read_align;                /* of a READ's addresses and length; 0: none */
    uint8_t reply_bytes, refusal_bytes; /* of private data; 0: as much as rdma_cm has */
    bool on_demand; /* pages when they are needed, for READs, of ranges and of all memory */
    bool dmabufs;   /* registers memory of other devices */
    enum ibv_mtu max_mtu, active_mtu;
    bool tells_last_wqe; /* LAST_WQE_REACHED when a queue pair in ERR holds no receive any more */
    bool tells_access_error; /* QP_ACCESS_ERR and QP_REQ_ERR at the responder */
    bool tells_comm_est;     /* COMM_EST when the first message meets a queue pair in RTR */
    bool cleans_cq;          /* destroying a queue pair takes its completions out of the CQ */
    bool retry_7_is_forever; /* retry_cnt 7 never ends */
    bool flags_with_inv;     /* a receive says IBV_WC_WITH_INV, and not the key alone */
};

extern const struct sim_profile sim_profile_mlx5; /* much of everything */
extern const struct sim_profile sim_profile_rxe;  /* Soft-RoCE of Linux 6.1 */

/* The least of everything, shared by as many connections as the suite makes. */
extern const struct sim_profile sim_profile_tiny;

/* As on Aries: few registrations, shallow queues, none of them shared, small private data, READs
 * that are aligned to 4 bytes. */
extern const struct sim_profile sim_profile_aries;

/* All of them. */
enum { SIM_PROFILES = 4 };
extern const struct sim_profile *const sim_profiles[SIM_PROFILES];

/* By its kind's name; NULL: there is none. */
const struct sim_profile *sim_profile_named(const char *name);

#endif
