/* The domain: the devices that one engine uses, and memory that is known to all of them. */
#ifndef WBI_VERBS_DOMAIN_H
#define WBI_VERBS_DOMAIN_H

#include <netinet/in.h>
#include <pthread.h>

#include "engine/fabric.h"
#include "engine/verbs/address.h"
#include "engine/verbs/device.h"

enum {
    WBI_VERBS_MAX_DEVICES = 4,
    WBI_VERBS_MAX_EAGER = 65536,
    WBI_VERBS_MAX_OFFERS = 4096,
    WBI_VERBS_KEPT_SLOTS = 3 /* receives a channel: two control messages, one receipt */
};

/* What the configuration asks of queue pairs, with the defaults filled in. */
struct wbi_verbs_choice {
    enum ibv_mtu mtu; /* 0: the port's active one */
    uint8_t ack_timeout, retries;
    bool rails;
    uint32_t source_count;
    struct sockaddr_storage sources[WBI_VERBS_HOSTS]; /* for each host of an address */
};

struct wbi_domain {
    struct wbi_verbs_device devices[WBI_VERBS_MAX_DEVICES];
    unsigned device_count;
    struct wbi_verbs_choice choice;
    struct wbi_fabric_caps caps;

    /* which lane has the channel of a token: rails.h */
    pthread_mutex_t lock;
    struct wbi_verbs_rails *accepted;
};

/* Where connections to host number `host` of an address leave from; NULL: by route. */
static inline const struct sockaddr_storage *wbi_verbs_source(const struct wbi_verbs_choice *choice,
                                                              uint32_t host)
{
    return host < choice->source_count ? &choice->sources[host] : NULL;
}

/* A region, registered with every device of the domain, by the device's number. Its place is kept
 * here: what ibv_mr says is not where its READs go, for a dma-buf. */
struct wbi_mr {
    uint64_t base, bytes;
    struct ibv_mr *on[WBI_VERBS_MAX_DEVICES];
};

int wbi_verbs_domain_open(const struct wb_engine_config *config, struct wbi_domain **out);
void wbi_verbs_domain_close(struct wbi_domain *domain);
const struct wbi_fabric_caps *wbi_verbs_domain_caps(const struct wbi_domain *domain);

/* The number of the device behind a connection or a listener, or -1: none of ours, or all. */
int wbi_verbs_device_of(const struct wbi_domain *domain, const struct rdma_cm_id *id);

/* choice.c: which of its devices a list names, as bits; and the NUMA node that those are on: see
 * fabric.h. */
int wbi_verbs_devices(const struct wbi_domain *domain, const char *names, uint32_t *devices);
int wbi_verbs_numa_node(const struct wbi_domain *domain, uint32_t devices);

/* registrar.c */
struct wbi_registrar wbi_verbs_registrar(struct wbi_domain *domain);

/* Takes a region: deregisters it where it is registered. */
void wbi_verbs_forget(const struct wbi_domain *domain, struct wbi_mr *mr);

/* Why registering memory failed, and what to do: for an errno. Static. */
const char *wbi_verbs_register_words(int error);

/* pin.c */
struct wbi_pinner wbi_verbs_pinner(struct wbi_domain *domain);

/* describe.c */
void wbi_verbs_describe(struct wb_fabric_info *info);

/* preflight.c */
void wbi_verbs_check(const struct wb_engine_config *config, const char *address, wb_check_say say,
                     void *context);

#endif
