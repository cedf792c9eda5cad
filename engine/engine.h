/* The engine: configuration, pool, registered actions, lanes. */
#ifndef WBI_ENGINE_ENGINE_H
#define WBI_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <waybill/engine.h>

#include "engine/admission.h"
#include "engine/crew.h"
#include "engine/lane.h"
#include "engine/registry.h"
#include "engine/sleepers.h"
#include "mr_cache/allocator.h"
#include "mr_cache/budget.h"
#include "mr_cache/pin_cache.h"

enum {
    WBI_MAX_FABRICS = 2,
    WBI_MAX_LANES = WBI_MAX_FABRICS * WB_LANES_MOST,
    WBI_WHY_NOT_BYTES = 200
};
_Static_assert((int)WBI_MAX_LANES <= 32, "each lane has a bit in `peopled`");
_Static_assert((int)WBI_MAX_FABRICS <= (int)WBI_PINNERS, "a pin has a registration for each");

/* A fabric that the engine uses. Its number is its registrar's in the pool, its pinner's in the
 * cache of pins, and its lanes'. */
struct wbi_network {
    const struct wbi_fabric *fabric;
    struct wbi_domain *domain;
    struct wbi_lane **lanes; /* of the engine's: config.lanes of them; the first one listens */
    unsigned lane_count;
    uint32_t placed; /* peers with places, of all its lanes; `homes` guards it */
};

struct wb_engine {
    struct wb_engine_config config;
    struct wbi_budget *budget;          /* of all its allocators */
    struct wb_rma_allocator *allocator; /* its own: what it receives lands there */
    void (*on_growth)(void *engine);    /* of every allocator */
    struct wbi_pin_cache pins;          /* user memory; by the lanes' numbers */
    struct wbi_admission admission;     /* of what arrives on all lanes */
    struct wbi_registry registry;
    struct wbi_network networks[WBI_MAX_FABRICS];
    unsigned network_count;
    struct wbi_lane *lanes[WBI_MAX_LANES]; /* of all of them, one after the other */
    unsigned lane_count;
    pthread_mutex_t homes;    /* guards who lives where: see home.h */
    _Atomic uint32_t peopled; /* the lanes that have something to do, a bit each; likewise */
    _Atomic uint32_t bare; /* of those, lanes where nobody lives or is coming, and that are awake. A
                              hint: written where that changes, by any thread */
    char why_not[WBI_MAX_FABRICS][WBI_WHY_NOT_BYTES]; /* by fabric: why it is not used, or "" */
    pthread_mutex_t waking;        /* guards `open` against the pool's growing thread */
    bool open;                     /* the lanes can be woken */
    int epoll;                     /* of the lanes' descriptors */
    _Atomic uint64_t stream_bytes; /* that streams of all lanes may hold */
    _Atomic bool closing;          /* it is being destroyed: no new channels */
    _Atomic bool draining;         /* it ends in order: nothing new begins */
    uint64_t id;
    uint32_t forks;            /* as they were when it was made: see fork.c */
    _Atomic uint32_t idle;     /* wb_progress that found nothing */
    _Atomic uint32_t disarmed; /* a turn took the alarm from the lanes while somebody may sleep */
    _Atomic uint32_t sleeper;  /* 1: a thread sleeps on epoll */
    _Atomic(const void *) watcher; /* whose loop waits for epoll, armed; or NULL */
    struct wbi_sleepers sleepers;  /* the waiting threads */
    struct wbi_crew crew;          /* threads of its own */
};

/* WB_OK, or WB_ERR_INVALID or WB_ERR_BUDGET with words. */
int wbi_config_check(const struct wb_engine_config *config);

/* What a reader of what peers send may use. */
static inline void wbi_config_limit(const struct wb_engine_config *config, struct wb_reader *reader)
{
    reader->depth_limit = config->max_depth;
    reader->arena_limit = (uint32_t)config->arena_bytes;
}

/* Opens the cache of pins; the fabrics' pinners (reg NULL: needs none) and their bounds on regions
 * (0: none), by the lanes' numbers. It takes nothing that fails. */
void wbi_engine_pins_open(struct wb_engine *engine, const struct wbi_pinner *pinners,
                          const uint32_t *max_regions, unsigned count);

/* Fabric number `index` of those that were built in, or NULL. */
const struct wbi_fabric *wbi_fabric_at(unsigned index);

/* What stands behind "scheme://" in a URL, or NULL: it has another scheme. */
const char *wbi_url_address(const char *url, const char *scheme);

/* The network for a URL, with the address behind its scheme; or NULL, with *status WB_ERR_BAD_URL
 * or WB_ERR_NO_FABRIC and words. */
struct wbi_network *wbi_engine_route(struct wb_engine *engine, const char *url,
                                     const char **address, int *status);

/* Wakes the thread, or the program's loop, that sleeps on the descriptor: if there is one; or
 * whether or not there is. Any thread. */
void wbi_engine_rouse(struct wb_engine *engine);
void wbi_engine_wake(struct wb_engine *engine);

/* A thread that stops polling wakes the one that sleeps, if it took the lanes' alarm away: a turn
 * disarms; and if that one has been called, and is not yet up. Any thread. */
void wbi_engine_hand_over_now(struct wb_engine *engine);
static inline void wbi_engine_hand_over(struct wb_engine *engine)
{
    if (atomic_load_explicit(&engine->disarmed, memory_order_relaxed) != 0 ||
        atomic_load_explicit(&engine->sleepers.called, memory_order_relaxed)) {
        wbi_engine_hand_over_now(engine);
    }
}

/* Wakes threads that wait for something other than the descriptor. Any thread. */
void wbi_engine_notify(struct wb_engine *engine);

/* Waits for a condition while making progress: the one waiting loop. WB_OK, WB_ERR_TIMED_OUT,
 * WB_ERR_DEADLOCK. */
int wbi_await(struct wb_engine *engine, bool (*met)(void *context), void *context,
              uint64_t timeout_us);

/* The same for a condition that only ends of calls bring about, of calls on `lane` if that is not
 * NULL. While the thread sleeps others ask for it, one at a time: `met` just looks. */
int wbi_await_calls(struct wb_engine *engine, struct wbi_lane *lane, bool (*met)(void *context),
                    void *context, uint64_t timeout_us);

/* The same without a limit, for a condition of which wbi_engine_notify tells after each change,
 * both of them sequentially consistent; so that a thread which is not needed sleeps long. It
 * looks after lane number `place` first, of those that have peers. The calling thread is outside of
 * the engine, which is this process's. */
void wbi_await_notified(struct wb_engine *engine, unsigned place, bool (*met)(void *context),
                        void *context);

/* pools.c: opens the budget and the engine's own allocator, over the registrars of its lanes'
 * domains; on_growth is called as wbi_rma_config says, with the engine. Words on failure. And
 * closes them: no registrar is called any more. Accepts an engine without. */
int wbi_pools_open(struct wb_engine *engine, void (*on_growth)(void *engine));
void wbi_pools_close(struct wb_engine *engine);

/* fork.c: makes the engine this process's (WB_ERR_NO_MEMORY with words); whether it is a parent's
 * instead; and the same as a status: WB_OK, or WB_ERR_CLOSED with words. Any thread. */
int wbi_engine_adopt(struct wb_engine *engine);
bool wbi_engine_is_inherited(const struct wb_engine *engine);
int wbi_engine_check_process(const struct wb_engine *engine);

/* Whether the calling thread is inside a handler or callback of this engine; and whether it may
 * wait: WB_OK, or with words WB_ERR_DEADLOCK (inside), WB_ERR_CLOSED (the engine is a parent's). */
bool wbi_engine_inside(struct wb_engine *engine);
int wbi_engine_say_inside(struct wb_engine *engine);
static inline int wbi_engine_check_outside(struct wb_engine *engine)
{
    bool outside = !wbi_engine_is_inherited(engine) && !wbi_thread_is_inside();
    return outside ? WB_OK : wbi_engine_say_inside(engine);
}

#endif
