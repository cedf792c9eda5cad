#include "engine/sleepers.h"

#include <sched.h>

#include "engine/clock.h"
#include "engine/engine.h"

/* The CPUs that this process may use. */
static unsigned count_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 64;
}

void wbi_sleepers_open(struct wbi_sleepers *sleepers)
{
    pthread_mutex_init(&sleepers->lock, NULL);
    sleepers->last = &sleepers->first;
    atomic_init(&sleepers->most, 1);
    atomic_init(&sleepers->needed, 1);
    sleepers->cpus = count_cpus();
}

void wbi_sleepers_close(struct wbi_sleepers *sleepers)
{
    pthread_mutex_destroy(&sleepers->lock);
}

/* ---- the list; the lock is held ---- */

static void enlist(struct wbi_sleepers *sleepers, struct wbi_sleeper *sleeper)
{
    sleeper->next = NULL;
    sleeper->at = sleepers->last;
    *sleepers->last = sleeper;
    sleepers->last = &sleeper->next;
    atomic_fetch_add(&sleepers->count, 1);
}

static void unlist(struct wbi_sleepers *sleepers, struct wbi_sleeper *sleeper)
{
    *sleeper->at = sleeper->next;
    if (sleeper->next != NULL) {
        sleeper->next->at = sleeper->at;
    } else {
        sleepers->last = sleeper->at;
    }
    sleeper->at = NULL;
    atomic_fetch_sub(&sleepers->count, 1);
}

/* Moves one into a chain of those that are to be woken, who count as awake from now on. */
static void call(struct wbi_sleepers *sleepers, struct wbi_sleeper *sleeper,
                 struct wbi_sleeper **chain)
{
    unlist(sleepers, sleeper);
    sleeper->next = *chain;
    *chain = sleeper;
    atomic_fetch_add(&sleepers->awake, 1);
    sleeper->rises = !sleeper->looks;
    sleepers->rising += sleeper->rises;
}

static struct wbi_sleeper *find_one(const struct wbi_sleepers *sleepers)
{
    struct wbi_sleeper *sleeper = sleepers->first;
    while (sleeper != NULL && sleeper->network) {
        sleeper = sleeper->next;
    }
    return sleeper;
}

/* ---- waking; the lock is not held ---- */

/* What it lies on is its own again once it sees `woken`: only the address is used after that. */
static void rouse(struct wbi_sleeper *chain)
{
    while (chain != NULL) {
        struct wbi_sleeper *next = chain->next;
        _Atomic uint32_t *woken = &chain->woken;
        atomic_store(woken, 1);
        wbi_unpark(woken);
        chain = next;
    }
}

static bool is_met(const struct wbi_sleeper *sleeper)
{
    const struct wbi_vigil *vigil = sleeper->vigil;
    return vigil->wake == WBI_WAKE_MET ? vigil->met(vigil->context) : vigil->wake == WBI_WAKE_END;
}

/* Those who are due, up to `most` at a time: each calls the next when it is up, so that they do not
 * take the CPUs from one another, and from the peer, before they have one themselves. */
static void call_due(struct wbi_sleepers *sleepers, struct wbi_sleeper **chain)
{
    struct wbi_sleeper *next;
    for (struct wbi_sleeper *sleeper = sleepers->first;
         sleeper != NULL && sleepers->rising < sleepers->most; sleeper = next) {
        next = sleeper->next;
        if (sleeper->due) {
            call(sleepers, sleeper, chain);
        }
    }
}

void wbi_sleepers_wake_met(struct wb_engine *engine)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    struct wbi_sleeper *chain = NULL;
    bool network = false;
    pthread_mutex_lock(&sleepers->lock);
    for (struct wbi_sleeper *sleeper = sleepers->first; sleeper != NULL; sleeper = sleeper->next) {
        bool met = is_met(sleeper);
        network = network || (met && sleeper->network);
        sleeper->due = met && !sleeper->network;
    }
    call_due(sleepers, &chain);
    pthread_mutex_unlock(&sleepers->lock);
    rouse(chain);
    if (network) {
        wbi_engine_rouse(engine);
    }
}

void wbi_sleepers_wake_all(struct wb_engine *engine)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    struct wbi_sleeper *chain = NULL, *sleeper;
    pthread_mutex_lock(&sleepers->lock);
    while ((sleeper = find_one(sleepers)) != NULL) {
        call(sleepers, sleeper, &chain);
    }
    pthread_mutex_unlock(&sleepers->lock);
    rouse(chain);
}

void wbi_sleepers_wake_this(struct wb_engine *engine, struct wbi_sleeper *sleeper)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    struct wbi_sleeper *chain = NULL;
    pthread_mutex_lock(&sleepers->lock);
    bool network = sleeper->at != NULL && sleeper->network;
    if (sleeper->at != NULL && !network) {
        call(sleepers, sleeper, &chain);
    }
    pthread_mutex_unlock(&sleepers->lock);
    rouse(chain);
    if (network) {
        wbi_engine_rouse(engine);
    }
}

/* ---- who stays awake ---- */

bool wbi_sleepers_join(struct wb_engine *engine)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    pthread_mutex_lock(&sleepers->lock);
    bool joined = atomic_load(&sleepers->awake) < sleepers->most;
    if (joined) {
        atomic_fetch_add(&sleepers->awake, 1);
    }
    pthread_mutex_unlock(&sleepers->lock);
    return joined;
}

/* Whether `awake` will do; under the lock, as the one on the network says that it sleeps there no
 * more. */
static bool is_enough(struct wb_engine *engine, unsigned awake)
{
    return awake >=
           (atomic_load(&engine->sleeper) != 0 ? 1 : atomic_load(&engine->sleepers.needed));
}

/* Those that are needed beside who is awake; likewise. */
static void call_needed(struct wb_engine *engine, struct wbi_sleeper **chain)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    struct wbi_sleeper *sleeper;
    while (!is_enough(engine, atomic_load(&sleepers->awake)) &&
           (sleeper = find_one(sleepers)) != NULL) {
        call(sleepers, sleeper, chain);
    }
}

void wbi_sleepers_resign(struct wb_engine *engine)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    struct wbi_sleeper *chain = NULL;
    pthread_mutex_lock(&sleepers->lock);
    atomic_fetch_sub(&sleepers->awake, 1);
    call_needed(engine, &chain);
    pthread_mutex_unlock(&sleepers->lock);
    rouse(chain);
}

bool wbi_sleepers_crowd(struct wb_engine *engine)
{
    return atomic_load_explicit(&engine->sleepers.awake, memory_order_relaxed) >
           atomic_load_explicit(&engine->sleepers.most, memory_order_relaxed);
}

/* Half of the CPUs: the peer may need the others. And one for each lane, so that a long handler on
 * one does not stop another; but no more than there are CPUs, for that alone. */
void wbi_sleepers_limit(struct wb_engine *engine, unsigned fabrics, unsigned lanes)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    struct wbi_sleeper *chain = NULL;
    unsigned half = sleepers->cpus / 2, needed = lanes < sleepers->cpus ? lanes : sleepers->cpus;
    needed = needed > fabrics ? needed : fabrics;
    pthread_mutex_lock(&sleepers->lock);
    atomic_store_explicit(&sleepers->needed, needed, memory_order_relaxed);
    atomic_store_explicit(&sleepers->most, half > needed ? half : needed, memory_order_relaxed);
    call_needed(engine, &chain);
    pthread_mutex_unlock(&sleepers->lock);
    rouse(chain);
}

/* ---- lying down and getting up ---- */

bool wbi_sleepers_lie_down(struct wb_engine *engine, struct wbi_sleeper *sleeper, bool awake)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    pthread_mutex_lock(&sleepers->lock);
    bool lies = is_enough(engine, atomic_load(&sleepers->awake) - (awake ? 1U : 0U));
    if (lies) {
        enlist(sleepers, sleeper);
        atomic_fetch_sub(&sleepers->awake, awake ? 1 : 0);
    } else {
        atomic_fetch_add(&sleepers->awake, awake ? 0 : 1);
    }
    pthread_mutex_unlock(&sleepers->lock);
    return lies;
}

void wbi_sleepers_look(struct wb_engine *engine, struct wbi_sleeper *sleeper)
{
    for (unsigned i = 0; i < engine->lane_count; i++) {
        wbi_lane_ask(engine->lanes[i], WBI_ASKED_TO_WAKE);
    }
    pthread_mutex_lock(&engine->sleepers.lock);
    sleeper->looks = false;
    pthread_mutex_unlock(&engine->sleepers.lock);
}

bool wbi_sleepers_met(struct wb_engine *engine, const struct wbi_vigil *vigil)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    if (vigil->wake != WBI_WAKE_MET) {
        return vigil->met(vigil->context);
    }
    pthread_mutex_lock(&sleepers->lock); /* others ask as well */
    bool met = vigil->met(vigil->context);
    pthread_mutex_unlock(&sleepers->lock);
    return met;
}

void wbi_sleepers_get_up(struct wb_engine *engine, struct wbi_sleeper *sleeper)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    pthread_mutex_lock(&sleepers->lock);
    struct wbi_sleeper *chain = NULL;
    bool called = sleeper->at == NULL;
    if (called) {
        sleepers->rising -= sleeper->rises;
        call_due(sleepers, &chain);
    } else {
        unlist(sleepers, sleeper);
        atomic_fetch_add(&sleepers->awake, 1);
    }
    pthread_mutex_unlock(&sleepers->lock);
    rouse(chain);
    while (called && atomic_load(&sleeper->woken) == 0) { /* whoever calls it is about to say so */
        wbi_park(&sleeper->woken, 0, 1000);
    }
}

void wbi_sleepers_watch(struct wb_engine *engine, struct wbi_sleeper *sleeper)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    sleeper->network = true;
    pthread_mutex_lock(&sleepers->lock);
    sleepers->watched = true;
    enlist(sleepers, sleeper);
    pthread_mutex_unlock(&sleepers->lock);
}

bool wbi_sleepers_called(struct wb_engine *engine, struct wbi_sleeper *sleeper)
{
    return wbi_sleepers_met(engine, sleeper->vigil) || atomic_load(&engine->sleepers.called);
}

void wbi_sleepers_unwatch(struct wb_engine *engine, struct wbi_sleeper *sleeper)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    struct wbi_sleeper *chain = NULL;
    pthread_mutex_lock(&sleepers->lock);
    unlist(sleepers, sleeper);
    sleepers->watched = false;
    atomic_store(&sleepers->called, false);
    atomic_store(&engine->sleeper, 0);
    call_needed(engine, &chain); /* this one may be long in a handler of one lane */
    pthread_mutex_unlock(&sleepers->lock);
    rouse(chain);
}

void wbi_sleepers_call_watch(struct wb_engine *engine)
{
    struct wbi_sleepers *sleepers = &engine->sleepers;
    pthread_mutex_lock(&sleepers->lock);
    if (sleepers->watched) {
        atomic_store(&sleepers->called, true);
    }
    pthread_mutex_unlock(&sleepers->lock);
}
