/* Memory that the pool makes known to the devices: readable for peers, writable for us. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/domain.h"

const char *wbi_verbs_register_words(int error)
{
    switch (error) {
    case ENOMEM:
        return "not enough memory may be pinned (`ulimit -l`): add '* - memlock unlimited' to "
               "/etc/security/limits.conf and log in anew; or the device has all regions that it "
               "can have (max_mr in wb_info)";
    case EFAULT:
        return "the memory is not all there, or not ours to read";
    case EOPNOTSUPP:
        return "this kind of memory cannot be pinned";
    default:
        return strerror(error);
    }
}

void wbi_verbs_forget(const struct wbi_domain *domain, struct wbi_mr *mr)
{
    for (unsigned i = 0; i < domain->device_count; i++) {
        if (mr->on[i] != NULL) {
            /* it can fail only where the device is gone, and its keys with it */
            ibv_dereg_mr(mr->on[i]);
        }
    }
    free(mr);
}

static int reg(void *context, const struct wbi_region *region, struct wbi_mr **out)
{
    struct wbi_domain *domain = context;
    struct wbi_mr *mr = calloc(1, sizeof *mr);
    if (mr == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a registration");
    }
    mr->base = (uintptr_t)region->base;
    mr->bytes = region->bytes;
    for (unsigned i = 0; i < domain->device_count; i++) {
        if (region->devices != 0 && (region->devices >> i & 1) == 0) {
            continue; /* over this device its chunks travel as plain memory does */
        }
        mr->on[i] = ibv_reg_mr(domain->devices[i].pd, region->base, region->bytes,
                               IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
        if (mr->on[i] == NULL) {
            int error = errno;
            wbi_verbs_forget(domain, mr);
            return wbi_error(WB_ERR_NO_MEMORY, "%s: a slab of %zu bytes cannot be registered: %s",
                             domain->devices[i].name, region->bytes,
                             wbi_verbs_register_words(error));
        }
    }
    *out = mr;
    return WB_OK;
}

/* When ibv_dereg_mr has returned, no READ with the key can follow. */
static void dereg(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                  void *argument)
{
    wbi_verbs_forget(context, mr);
    confirmed(argument);
}

struct wbi_registrar wbi_verbs_registrar(struct wbi_domain *domain)
{
    return (struct wbi_registrar){.context = domain, .pins = true, .reg = reg, .dereg = dereg};
}
