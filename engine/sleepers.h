/*
 * Threads that wait in an engine: which of them stay awake, and what wakes the others.
 *
 * Awake are those that have promised to make progress until they say otherwise: they poll, or sleep
 * on the network, or were woken a moment ago. As many as the CPUs have room for; whoever waits
 * beyond that lies down until what it waits for is there. Invariants, kept under the lock: while
 * one lies, enough are awake, since who goes and leaves too few wakes another: one where that
 * sleeps on the network, else one for each lane that has peers, as far as there are CPUs, and for
 * each fabric: any of them may keep its thread long in a handler. And while one is due, one is
 * rising, which calls the next when it is up. Who rises sleeps and has been woken: only the
 * scheduler stands between. Who is called before it sleeps does not count as one that rises: it may
 * run callbacks (wbi_sleepers_look).
 *
 * No end of a call is missed. Who lies down is in the list first, and then has every lane look at
 * the list once more: at once where nobody holds it, else when its holder leaves it
 * (WBI_ASKED_TO_WAKE) or runs the program's code, and looks itself, since that may be long.
 * Whatever ended before that look is found by it, and what ends later finds the list not empty.
 */
#ifndef WBI_ENGINE_SLEEPERS_H
#define WBI_ENGINE_SLEEPERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wb_engine;
struct wb_executor;
struct wbi_lane;

/* What wakes a thread that waits, beside wbi_engine_notify and its time. */
enum wbi_wake {
    WBI_WAKE_MET, /* the end of a call, if the condition is met then: others ask while it sleeps */
    WBI_WAKE_END, /* the end of any call */
    WBI_WAKE_NOT
};

/* What a thread waits for. */
struct wbi_vigil {
    bool (*met)(void *context);
    void *context;
    bool any; /* or until something was done */
    enum wbi_wake wake;
    uint64_t park_us; /* how long it sleeps at most, where another one looks after the network */
    struct wbi_lane *lane; /* where it is brought about, or NULL: on any */
    unsigned place;        /* else, from 1: which lane the thread looks after first; 0: none */
};

struct wbi_sleeper {
    const struct wbi_vigil *vigil;
    bool network; /* on the network; else on `woken` */
    bool due;     /* its condition has been met, and it is yet to be called */
    bool looks;   /* it is in wbi_sleepers_look, or about to be: may be long in callbacks there */
    bool rises;   /* it counts as rising */
    _Atomic uint32_t woken;
    struct wbi_sleeper *next, **at; /* at NULL: in no list */
};

struct wbi_sleepers {
    pthread_mutex_t lock; /* guards all that is not atomic, and what is in the list */
    struct wbi_sleeper *first, **last;
    _Atomic uint32_t most;   /* that stay awake; written under the lock */
    _Atomic uint32_t needed; /* awake, where none sleeps on the network; likewise */
    unsigned cpus;           /* that this process may use */
    unsigned rising;         /* that were called and are not yet up */
    _Atomic uint32_t awake;  /* written under the lock */
    _Atomic uint32_t count;  /* in the list; likewise */
    bool watched;            /* the one on the network is in the list */
    _Atomic bool called;     /* it is to get up, and has not yet; written under the lock */
};

/* Nothing that fails. */
void wbi_sleepers_open(struct wbi_sleepers *sleepers);
/* Any thread: so many of the engine's lanes, of so many fabrics, have something to do. */
void wbi_sleepers_limit(struct wb_engine *engine, unsigned fabrics, unsigned lanes);
void wbi_sleepers_close(struct wbi_sleepers *sleepers);

/* Any thread, outside of the engine: stays awake from now on, or (false) there are enough. */
bool wbi_sleepers_join(struct wb_engine *engine);
/* An awake thread: does not stay awake, and wakes another if too few do. */
void wbi_sleepers_resign(struct wb_engine *engine);
/* Whether there are more awake than need be. */
bool wbi_sleepers_crowd(struct wb_engine *engine);

/* Puts the thread into the list, which is then to sleep; `awake`: as it is. False: it is not,
 * since too few others would be awake, and is awake now. */
bool wbi_sleepers_lie_down(struct wb_engine *engine, struct wbi_sleeper *sleeper, bool awake);
/* Has what has ended looked at: the sleeper in the list (made with `looks`) may be woken by it. And
 * whether its condition is met, as far as it can see. */
void wbi_sleepers_look(struct wb_engine *engine, struct wbi_sleeper *sleeper);
bool wbi_sleepers_met(struct wb_engine *engine, const struct wbi_vigil *vigil);
/* It has slept, or need not: is awake, and out of the list. */
void wbi_sleepers_get_up(struct wb_engine *engine, struct wbi_sleeper *sleeper);

/* The same for the engine's `sleeper`, which sleeps on the network, and is and stays awake; and
 * whether it need not sleep, all lanes having been armed in between. When it is up it is `sleeper`
 * no more, and as many are awake as are needed then. */
void wbi_sleepers_watch(struct wb_engine *engine, struct wbi_sleeper *sleeper);
bool wbi_sleepers_called(struct wb_engine *engine, struct wbi_sleeper *sleeper);
void wbi_sleepers_unwatch(struct wb_engine *engine, struct wbi_sleeper *sleeper);
/* Any thread: it is to get up, if there is one: it need not sleep. */
void wbi_sleepers_call_watch(struct wb_engine *engine);

/* Any thread: wakes those for whom a call has ended. Who holds a lane does it before it runs what
 * may take long, and else after it has left that. */
void wbi_sleepers_wake_met(struct wb_engine *engine);
/* Any thread: wakes all but the one on the network; this one, if it still sleeps. */
void wbi_sleepers_wake_all(struct wb_engine *engine);
void wbi_sleepers_wake_this(struct wb_engine *engine, struct wbi_sleeper *sleeper);

#endif
