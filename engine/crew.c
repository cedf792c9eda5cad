#include "engine/crew.h"

#include <signal.h>
#include <string.h>

#include "engine/engine.h"
#include "mr_cache/topology.h"

/* Sequentially consistent, as wbi_await_notified asks for. */
static bool is_halting(void *context)
{
    struct wbi_crew *crew = context;
    return atomic_load(&crew->halting);
}

static void *work(void *argument)
{
    struct wb_engine *engine = argument;
    wbi_topology_bind_thread(engine->crew.node);
    unsigned place = atomic_fetch_add(&engine->crew.places, 1);
    wbi_await_notified(engine, place, is_halting, &engine->crew);
    return NULL;
}

/* The node that the engine's devices are on, or -1. */
static int node_of_devices(const struct wb_engine *engine)
{
    for (unsigned i = 0; i < engine->network_count; i++) {
        const struct wbi_network *network = &engine->networks[i];
        const struct wbi_fabric *fabric = network->fabric;
        int node = fabric->numa_node != NULL ? fabric->numa_node(network->domain, 0) : -1;
        if (node >= 0) {
            return node;
        }
    }
    return -1;
}

/* The program's signals are for the program's threads. */
static int start(struct wb_engine *engine)
{
    struct wbi_crew *crew = &engine->crew;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&crew->threads[crew->count], NULL, work, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        (void)pthread_setname_np(crew->threads[crew->count], "waybill-engine");
        crew->count++;
    }
    return error;
}

/* The lock is held. */
static void halt(struct wb_engine *engine)
{
    struct wbi_crew *crew = &engine->crew;
    atomic_store(&crew->halting, true);
    wbi_engine_notify(engine);
    wbi_engine_rouse(engine);
    while (crew->count > 0) {
        pthread_join(crew->threads[--crew->count], NULL);
    }
}

void wbi_crew_open(struct wbi_crew *crew)
{
    pthread_mutex_init(&crew->lock, NULL);
}

static void take_and_halt(struct wb_engine *engine)
{
    pthread_mutex_lock(&engine->crew.lock);
    halt(engine);
    pthread_mutex_unlock(&engine->crew.lock);
}

void wbi_crew_close(struct wb_engine *engine)
{
    take_and_halt(engine);
    pthread_mutex_destroy(&engine->crew.lock);
}

/* The lock is held. */
static int run(struct wb_engine *engine, unsigned count)
{
    struct wbi_crew *crew = &engine->crew;
    if (crew->count > 0) {
        return wbi_error(WB_ERR_INVALID, "the engine has %u threads already; halt them first",
                         crew->count);
    }
    crew->node = node_of_devices(engine);
    atomic_store(&crew->halting, false);
    atomic_store(&crew->places, 0);
    for (unsigned i = 0; i < count; i++) {
        int error = start(engine);
        if (error != 0) {
            halt(engine);
            return wbi_error(WB_ERR_SYSTEM, "thread %u of %u cannot be made: %s", i + 1, count,
                             strerror(error));
        }
    }
    return WB_OK;
}

int wb_engine_run(struct wb_engine *engine, unsigned count)
{
    int status = wbi_engine_check_outside(engine);
    if (status != WB_OK) {
        return status;
    }
    if (count < 1 || count > WBI_CREW_MOST) {
        return wbi_error(WB_ERR_INVALID, "%u threads; 1 to %d can be had", count, WBI_CREW_MOST);
    }
    pthread_mutex_lock(&engine->crew.lock);
    status = run(engine, count);
    pthread_mutex_unlock(&engine->crew.lock);
    return status;
}

int wb_engine_halt(struct wb_engine *engine)
{
    int status = wbi_engine_check_outside(engine);
    if (status == WB_OK) {
        take_and_halt(engine);
    }
    return status;
}
