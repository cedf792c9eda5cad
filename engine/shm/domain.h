/*
 * A domain: what an engine's lanes share. Its lock guards the cold books (slabs, links, notices)
 * and is taken by registration, connecting, closing and the descriptors' packets; no message and no
 * READ takes it.
 */
#ifndef WBI_SHM_DOMAIN_H
#define WBI_SHM_DOMAIN_H

#include <pthread.h>

#include "engine/fabric.h"
#include "engine/shm/list.h"
#include "engine/shm/worker.h"

struct wbi_domain {
    pthread_mutex_t lock;
    struct wbi_shm_list exports; /* of wbi_mr */
    struct wbi_shm_list links;   /* of wbi_shm_link */
    uint32_t segments;           /* ids given so far; they never come again */
    struct wbi_shm_worker worker;
};

int wbi_shm_domain_open(const struct wb_engine_config *config, struct wbi_domain **out);
void wbi_shm_domain_close(struct wbi_domain *domain);
const struct wbi_fabric_caps *wbi_shm_domain_caps(const struct wbi_domain *domain);
void wbi_shm_describe(struct wb_fabric_info *info);

#endif
