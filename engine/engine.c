#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/home.h"

/* ---- fabrics ---- */

static const struct wbi_fabric *const fabrics[] = {&wbi_shm_fabric, &wbi_verbs_fabric};
enum { FABRIC_COUNT = sizeof fabrics / sizeof fabrics[0] };
_Static_assert((int)FABRIC_COUNT <= (int)WBI_MAX_FABRICS, "an engine has room for each");

const struct wbi_fabric *wbi_fabric_at(unsigned index)
{
    return index < FABRIC_COUNT ? fabrics[index] : NULL;
}

const char *wbi_url_address(const char *url, const char *scheme)
{
    size_t len = strlen(scheme);
    bool has = strncmp(url, scheme, len) == 0 && strncmp(url + len, "://", 3) == 0;
    return has ? url + len + 3 : NULL;
}

static const char *why_not_used(const struct wb_engine *engine, const char *url)
{
    for (unsigned i = 0; i < FABRIC_COUNT; i++) {
        if (wbi_url_address(url, fabrics[i]->scheme) != NULL) {
            return engine->why_not[i];
        }
    }
    return "there is no fabric of that scheme; wb_info lists those that are built in";
}

struct wbi_network *wbi_engine_route(struct wb_engine *engine, const char *url,
                                     const char **address, int *status)
{
    if (url == NULL || strstr(url, "://") == NULL) {
        *status = wbi_error(WB_ERR_BAD_URL, "%s: an address looks like shm://NAME",
                            url != NULL ? url : "(null)");
        return NULL;
    }
    if (atomic_load_explicit(&engine->closing, memory_order_relaxed)) {
        *status = wbi_error(WB_ERR_CLOSED, "%s: the engine is being destroyed", url);
        return NULL;
    }
    for (unsigned i = 0; i < engine->network_count; i++) {
        const struct wbi_fabric *fabric = engine->networks[i].fabric;
        const char *found = wbi_url_address(url, fabric->scheme);
        if (found != NULL) {
            *address = found;
            *status = fabric->check_address(found);
            return *status == WB_OK ? &engine->networks[i] : NULL;
        }
    }
    *status = wbi_error(WB_ERR_NO_FABRIC, "%s: %s", url, why_not_used(engine, url));
    return NULL;
}

int wb_listen(struct wb_engine *engine, const char *url)
{
    const char *address = NULL;
    int status = wbi_engine_check_process(engine);
    const struct wbi_network *network =
        status == WB_OK ? wbi_engine_route(engine, url, &address, &status) : NULL;
    if (network == NULL) {
        return status;
    }
    struct wbi_lane *lane = network->lanes[0];
    enum wbi_entry_kind entry = wbi_lane_enter_in_turn(lane);
    if (entry == WBI_LANE_BUSY) {
        return wbi_lane_say_busy(url);
    }
    status = atomic_load(&engine->draining)
                 ? wbi_error(WB_ERR_CLOSED, "%s: the engine is being drained", url)
                 : lane->fabric->listen(lane->port, address);
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    return status;
}

bool wbi_thread_is_inside_of(const struct wb_engine *engine)
{
    bool is = false;
    for (const struct wbi_lane *lane = wbi_lane_innermost(); lane != NULL; lane = lane->outer) {
        is |= lane->engine == engine;
    }
    return is;
}

/* ---- life ---- */

static void on_growth(void *context)
{
    struct wb_engine *engine = context;
    pthread_mutex_lock(&engine->waking);
    if (engine->open) {
        wbi_engine_wake(engine);
    }
    pthread_mutex_unlock(&engine->waking);
}

static void set_open(struct wb_engine *engine, bool open)
{
    pthread_mutex_lock(&engine->waking);
    engine->open = open;
    pthread_mutex_unlock(&engine->waking);
}

/* Every fabric that works here; none at all is an error, with the words of the last. */
static int open_networks(struct wb_engine *engine)
{
    for (unsigned i = 0; i < FABRIC_COUNT; i++) {
        struct wbi_network *network = &engine->networks[engine->network_count];
        int status = fabrics[i]->domain_open(&engine->config, &network->domain);
        if (status == WB_OK) {
            network->fabric = fabrics[i];
            engine->network_count++;
        } else if (status != WB_ERR_NO_FABRIC) {
            return status;
        } else {
            snprintf(engine->why_not[i], sizeof engine->why_not[i], "%s", wb_last_error());
        }
    }
    return engine->network_count > 0 ? WB_OK : WB_ERR_NO_FABRIC;
}

static void open_pins(struct wb_engine *engine)
{
    struct wbi_pinner pinners[WBI_MAX_FABRICS] = {{0}};
    uint32_t max_regions[WBI_MAX_FABRICS] = {0};
    for (unsigned i = 0; i < engine->network_count; i++) {
        const struct wbi_network *network = &engine->networks[i];
        if (network->fabric->pinner != NULL) {
            pinners[i] = network->fabric->pinner(network->domain);
            max_regions[i] = network->fabric->caps(network->domain)->max_regions;
        }
    }
    wbi_engine_pins_open(engine, pinners, max_regions, engine->network_count);
}

static int open_lane(struct wb_engine *engine, unsigned number)
{
    struct wbi_network *network = &engine->networks[number];
    struct wbi_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a lane");
    }
    engine->lanes[engine->lane_count++] = lane;
    int status = wbi_lane_open(lane, engine, number, network->lane_count++);
    return status == WB_OK ? wbi_home_open(lane) : status;
}

static int open_lanes(struct wb_engine *engine, unsigned number)
{
    int status = WB_OK;
    engine->networks[number].lanes = &engine->lanes[engine->lane_count];
    for (unsigned i = 0; i < wbi_config_lanes(&engine->config) && status == WB_OK; i++) {
        status = open_lane(engine, number);
    }
    return status;
}

static int open_parts(struct wb_engine *engine)
{
    open_pins(engine);
    engine->epoll = epoll_create1(EPOLL_CLOEXEC);
    int status =
        engine->epoll >= 0 ? WB_OK : wbi_error(WB_ERR_SYSTEM, "epoll_create1: %s", strerror(errno));
    status = status == WB_OK ? wbi_random(&engine->id, sizeof engine->id) : status;
    for (unsigned i = 0; i < engine->network_count && status == WB_OK; i++) {
        status = open_lanes(engine, i);
    }
    return status == WB_OK ? wbi_pools_open(engine, on_growth) : status;
}

/* Accepts an engine that is open in part. */
static void close_parts(struct wb_engine *engine)
{
    wbi_crew_close(engine);
    set_open(engine, false);
    for (unsigned i = 0; i < engine->lane_count; i++) {
        wbi_lane_end(engine->lanes[i]); /* all of them: callbacks may have calls on another */
    }
    for (unsigned i = 0; i < engine->lane_count; i++) {
        wbi_lane_close(engine->lanes[i]);
    }
    wbi_pools_close(engine);            /* which asks pins to give way as long as it may grow */
    wbi_pin_cache_close(&engine->pins); /* with the lanes the last offers have ended */
    for (unsigned i = 0; i < engine->network_count; i++) {
        engine->networks[i].fabric->domain_close(engine->networks[i].domain);
    }
    for (unsigned i = 0; i < engine->lane_count; i++) {
        free(engine->lanes[i]);
    }
    if (engine->epoll >= 0) {
        close(engine->epoll);
    }
    wbi_registry_close(&engine->registry);
    wbi_sleepers_close(&engine->sleepers);
    pthread_mutex_destroy(&engine->homes);
    pthread_mutex_destroy(&engine->waking);
    free(engine);
}

int wb_engine_create(const struct wb_engine_config *config, struct wb_engine **out)
{
    struct wb_engine_config chosen;
    wb_engine_config_default(&chosen);
    chosen = config != NULL ? *config : chosen;
    int status = wbi_config_check(&chosen);
    if (status != WB_OK) {
        return status;
    }
    struct wb_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for an engine");
    }
    engine->config = chosen;
    engine->epoll = -1;
    wbi_registry_open(&engine->registry);
    pthread_mutex_init(&engine->waking, NULL);
    pthread_mutex_init(&engine->homes, NULL);
    wbi_crew_open(&engine->crew);
    wbi_sleepers_open(&engine->sleepers);
    wbi_hold_prepare();
    wbi_clock_prepare();
    status = wbi_engine_adopt(engine);
    status = status == WB_OK ? open_networks(engine) : status;
    engine->config.verbs.devices = engine->config.verbs.source = NULL; /* the caller's */
    status = status == WB_OK ? open_parts(engine) : status;
    status = status == WB_OK ? wbi_streams_register(engine) : status;
    if (status != WB_OK) {
        close_parts(engine);
        return status;
    }
    set_open(engine, true);
    *out = engine;
    return WB_OK;
}

void wb_engine_destroy(struct wb_engine *engine)
{
    if (engine == NULL || wbi_engine_is_inherited(engine)) {
        return;
    }
    atomic_store(&engine->closing, true);
    close_parts(engine);
}

struct wb_rma_allocator *wb_engine_allocator(struct wb_engine *engine)
{
    return engine->allocator;
}
