/* The engine's allocators: its own, and those that the program makes. They share one budget. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "mr_cache/room.h"
#include "mr_cache/topology.h"

/* What an allocator is to be, in the words of its user or of the engine's configuration. */
struct order {
    struct wb_rma_config config; /* without zeros that stand for defaults */
    bool own;
    uint64_t reserve_bytes;
    const char *name; /* of the config, for words */
    void (*on_growth)(void *engine);
};

static const uint64_t largest_slab = (uint64_t)1 << 30;

void wb_rma_config_default(struct wb_rma_config *config)
{
    *config = (struct wb_rma_config){.numa_node = WB_NUMA_OF_DEVICE, .pages = WB_PAGES_TRANSPARENT};
}

/* The largest region that every fabric can register; 0 is no limit. */
static uint64_t largest_region(const struct wb_engine *engine)
{
    uint64_t largest = 0;
    for (unsigned i = 0; i < engine->network_count; i++) {
        uint64_t bytes =
            engine->networks[i].fabric->caps(engine->networks[i].domain)->max_region_bytes;
        if (bytes != 0 && (largest == 0 || bytes < largest)) {
            largest = bytes;
        }
    }
    return largest;
}

/* ---- devices ---- */

/* Finds the devices, and the node that they are on where the order leaves that to them. */
static int choose_devices(const struct wb_engine *engine, const struct order *order,
                          struct wbi_rma_config *pool)
{
    bool any = false;
    pool->numa_node = order->config.numa_node == WB_NUMA_OF_DEVICE ? -1 : order->config.numa_node;
    for (unsigned i = 0; i < engine->network_count; i++) {
        const struct wbi_fabric *fabric = engine->networks[i].fabric;
        const struct wbi_domain *domain = engine->networks[i].domain;
        if (fabric->devices == NULL) {
            continue;
        }
        any = true;
        int status = fabric->devices(domain, order->config.devices, &pool->devices);
        if (status != WB_OK) {
            return status;
        }
        if (order->config.numa_node == WB_NUMA_OF_DEVICE) {
            pool->numa_node = fabric->numa_node(domain, pool->devices);
        }
    }
    if (pool->numa_node < 0) {
        pool->numa_node = -1; /* WB_NUMA_ANY */
    }
    return any || order->config.devices == NULL
               ? WB_OK
               : wbi_error(WB_ERR_INVALID,
                           "%s.devices is '%s', and this engine uses no RDMA device; wb_info says "
                           "which are here",
                           order->name, order->config.devices);
}

/* ---- what is asked for ---- */

static int check_slab(const struct order *order)
{
    uint64_t slab = order->config.slab_bytes;
    if (slab < 2 << 20 || slab > largest_slab || (slab & (slab - 1)) != 0) {
        return wbi_error(WB_ERR_INVALID,
                         "%s.slab_bytes is %" PRIu64 "; it is a power of two from 2 MiB to 1 GiB",
                         order->name, slab);
    }
    return WB_OK;
}

static int check_budget(const struct wb_engine *engine, const struct order *order)
{
    const struct wb_rma_config *config = &order->config;
    uint64_t largest = largest_region(engine);
    if (config->budget_bytes > engine->config.budget_bytes) {
        return wbi_error(WB_ERR_BUDGET,
                         "%s.budget_bytes is %" PRIu64 ", more than the engine's, %" PRIu64
                         ": raise that",
                         order->name, config->budget_bytes, engine->config.budget_bytes);
    }
    if (config->regions_only) {
        return WB_OK;
    }
    if (config->budget_bytes < config->slab_bytes) {
        return wbi_error(WB_ERR_BUDGET,
                         "%s.budget_bytes is %" PRIu64 ", less than one slab of %" PRIu64
                         " bytes; raise it or lower slab_bytes",
                         order->name, config->budget_bytes, config->slab_bytes);
    }
    if (largest != 0 && config->slab_bytes > largest) {
        return wbi_error(WB_ERR_BUDGET,
                         "%s.slab_bytes is %" PRIu64 ", and a device registers %" PRIu64
                         " bytes at once (max_mr_size in wb_info); lower it",
                         order->name, config->slab_bytes, largest);
    }
    return WB_OK;
}

static int check_node(const struct order *order)
{
    char nodes[128];
    int node = order->config.numa_node;
    if (node == WB_NUMA_OF_DEVICE || node == WB_NUMA_ANY || wbi_topology_has_node(node)) {
        return WB_OK;
    }
    wbi_topology_nodes(nodes, sizeof nodes);
    return wbi_error(WB_ERR_INVALID,
                     "%s.numa_node is %d, and the NUMA nodes here are %s; or see WB_NUMA_ANY",
                     order->name, node, nodes);
}

static int check(const struct wb_engine *engine, const struct order *order)
{
    if ((unsigned)order->config.pages >= WB_PAGES_KINDS) {
        return wbi_error(WB_ERR_INVALID, "%s.pages is %d; see enum wb_pages", order->name,
                         (int)order->config.pages);
    }
    if ((unsigned)order->config.checks > WB_RMA_CHECKS_ALL) {
        return wbi_error(WB_ERR_INVALID, "%s.checks is %d; see enum wb_rma_checks", order->name,
                         (int)order->config.checks);
    }
    int status = check_node(order);
    status = status == WB_OK ? check_slab(order) : status;
    return status == WB_OK ? check_budget(engine, order) : status;
}

/* A slab of that size, or the largest that every device can register. */
static uint64_t clamp_slab(const struct wb_engine *engine, uint64_t bytes)
{
    uint64_t largest = largest_region(engine);
    while (largest != 0 && bytes > largest && bytes > 2 << 20) {
        bytes /= 2;
    }
    return bytes;
}

static int ask_fabrics(const struct wb_engine *engine, const struct wbi_memory_plan *plan)
{
    int status = WB_OK;
    for (unsigned i = 0; i < engine->network_count && status == WB_OK; i++) {
        const struct wbi_fabric *fabric = engine->networks[i].fabric;
        if (fabric->check_memory != NULL) {
            status = fabric->check_memory(engine->networks[i].domain, &engine->config, plan);
        }
    }
    return status;
}

/* Asks the fabrics beforehand: a limit is better met here, with words, than in a growth. */
static int check_limits(const struct wb_engine *engine, const struct order *order,
                        const struct wbi_rma_config *pool)
{
    struct wbi_memory_plan plan = {.slab_bytes = pool->lent_only ? 0 : pool->slab_bytes,
                                   .devices = pool->devices};
    if (!order->own) {
        wbi_budget_count(engine->budget, &plan.registered_bytes, &plan.regions);
    }
    return ask_fabrics(engine, &plan);
}

/* The same for memory that is lent: what is yet to be registered counts as if it were, but for the
 * last piece. */
static int check_region(void *context, uint32_t devices, uint64_t piece, uint64_t total)
{
    const struct wb_engine *engine = context;
    struct wbi_memory_plan plan = {.slab_bytes = piece, .devices = devices};
    char why[512];
    wbi_budget_count(engine->budget, &plan.registered_bytes, &plan.regions);
    plan.registered_bytes += total - piece;
    plan.regions += (total - 1) / piece;
    int status = ask_fabrics(engine, &plan);
    if (status == WB_OK) {
        return WB_OK;
    }
    snprintf(why, sizeof why, "%s", wb_last_error());
    return wbi_error(status, "%" PRIu64 " bytes cannot be lent: %s", total, why);
}

/* ---- making ---- */

static int fail(const struct wb_engine *engine, const struct order *order, int status)
{
    const struct wb_rma_config *config = &order->config;
    if (status == WB_AGAIN) {
        return wbi_error(status,
                         "a slab of %" PRIu64 " bytes is not to be had now: the engine's other "
                         "allocators hold its budget of %" PRIu64 " bytes",
                         config->slab_bytes, engine->config.budget_bytes);
    }
    if (wb_last_error()[0] != '\0') {
        return status; /* a registrar has said why */
    }
    struct wbi_room room;
    wbi_room_read("", &room);
    if (status == WB_ERR_NO_MEMORY && config->slab_bytes > room.bytes) {
        return wbi_error(status,
                         "the first slab of %" PRIu64 " bytes cannot be had: %" PRIu64
                         " are left, says %s; lower slab_bytes",
                         config->slab_bytes, room.bytes, room.limit);
    }
    return wbi_error(status,
                     "the first slab of %" PRIu64 " bytes cannot be had: %s; lower slab_bytes, or "
                     "see `df /dev/shm` and `ulimit -v`",
                     config->slab_bytes, wb_status_text(status));
}

/* What is pinned and idle can be registered anew, or on the fly. */
static bool shed_pin(void *context)
{
    struct wb_engine *engine = context;
    return wbi_pin_cache_shed(&engine->pins);
}

static int make(struct wb_engine *engine, const struct order *order, struct wb_rma_allocator **out)
{
    struct wbi_registrar registrars[WBI_MAX_FABRICS];
    struct wbi_rma_config pool = {.budget_bytes = order->config.budget_bytes,
                                  .slab_bytes = order->config.slab_bytes,
                                  .registrars = registrars,
                                  .registrar_count = engine->network_count,
                                  .pages = order->config.pages,
                                  .checks = order->config.checks,
                                  .cache_bytes = order->config.cache_bytes,
                                  .on_growth = order->on_growth,
                                  .shed = shed_pin,
                                  .check_region = check_region,
                                  .context = engine,
                                  .budget = engine->budget,
                                  .largest_bytes = largest_region(engine),
                                  .lent_only = order->config.regions_only,
                                  .reserve_bytes = order->reserve_bytes,
                                  .borrowed = order->own};
    int status = check(engine, order);
    status = status == WB_OK ? choose_devices(engine, order, &pool) : status;
    status = status == WB_OK ? check_limits(engine, order, &pool) : status;
    if (status != WB_OK) {
        return status;
    }
    for (unsigned i = 0; i < engine->network_count; i++) {
        registrars[i] = engine->networks[i].fabric->registrar(engine->networks[i].domain);
    }
    wbi_error(WB_OK, "%s", ""); /* whatever is there afterwards is about this */
    status = wbi_rma_allocator_create(&pool, out);
    return status == WB_OK ? WB_OK : fail(engine, order, status);
}

int wb_rma_allocator_create(struct wb_engine *engine, const struct wb_rma_config *config,
                            struct wb_rma_allocator **allocator)
{
    struct order order = {.name = "wb_rma_config", .on_growth = engine->on_growth};
    if (wbi_engine_is_inherited(engine)) {
        return wbi_engine_check_process(engine);
    }
    if (wbi_engine_inside(engine)) {
        return wbi_error(WB_ERR_DEADLOCK, "an allocator is made outside of handlers");
    }
    wb_rma_config_default(&order.config);
    order.config = config != NULL ? *config : order.config;
    struct wb_rma_config *chosen = &order.config;
    if (chosen->budget_bytes == 0) {
        chosen->budget_bytes = engine->config.budget_bytes;
    }
    if (chosen->slab_bytes == 0) {
        bool large = chosen->regions_only || chosen->pages == WB_PAGES_1G;
        chosen->slab_bytes = clamp_slab(engine, large ? largest_slab : engine->config.slab_bytes);
    }
    return make(engine, &order, allocator);
}

int wb_rma_alloc_wait(struct wb_rma_allocator *allocator, size_t bytes, size_t alignment,
                      uint64_t timeout_us, void **out)
{
    static const uint64_t look_again_us =
        1000; /* memory that another thread frees is announced by nobody */
    struct wb_engine *engine = wbi_rma_allocator_context(allocator);
    uint64_t start = wbi_now(), waited = 0;
    int status = wb_rma_alloc(allocator, bytes, alignment, out);
    while (status == WB_AGAIN && waited < timeout_us) {
        uint64_t left = timeout_us - waited;
        int done = wb_wait(engine, left < look_again_us ? left : look_again_us);
        if (done < 0) {
            return done; /* inside a handler: WB_ERR_DEADLOCK */
        }
        waited = wbi_now() - start;
        status = wb_rma_alloc(allocator, bytes, alignment, out);
    }
    return status == WB_AGAIN
               ? wbi_error(WB_ERR_TIMED_OUT, "no %zu bytes of the pool within %" PRIu64 " us",
                           bytes, timeout_us)
               : status;
}

int wbi_pools_open(struct wb_engine *engine, void (*on_growth)(void *engine))
{
    struct order order = {.own = true, .name = "config", .on_growth = on_growth};
    wb_rma_config_default(&order.config);
    order.config.budget_bytes = engine->config.budget_bytes;
    engine->config.slab_bytes = clamp_slab(engine, engine->config.slab_bytes);
    order.config.slab_bytes = engine->config.slab_bytes;
    order.config.pages = engine->config.pages;
    order.config.checks = engine->config.checks;
    order.reserve_bytes = engine->config.budget_bytes / 100 * engine->config.reserve_percent;
    engine->on_growth = on_growth;
    int status = wbi_budget_create(engine->config.budget_bytes, &engine->budget);
    return status == WB_OK ? make(engine, &order, &engine->allocator)
                           : wbi_error(status, "no memory for a budget");
}

void wbi_pools_close(struct wb_engine *engine)
{
    wbi_budget_close(engine->budget);
    wbi_rma_allocator_destroy(engine->allocator);
    wbi_budget_drop(engine->budget);
}
