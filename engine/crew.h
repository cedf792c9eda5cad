/* Threads of the engine's own, that make its progress: wb_engine_run and wb_engine_halt. */
#ifndef WBI_ENGINE_CREW_H
#define WBI_ENGINE_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wb_engine;

enum { WBI_CREW_MOST = 64 };

struct wbi_crew {
    pthread_mutex_t lock; /* guards `count` and `threads`: any thread may run and halt */
    unsigned count;
    pthread_t threads[WBI_CREW_MOST];
    _Atomic uint32_t places; /* given to threads that have begun */
    int node;                /* NUMA node that they keep to, or -1 */
    _Atomic bool halting;    /* they are to end */
};

/* For an engine without threads. Nothing that fails. */
void wbi_crew_open(struct wbi_crew *crew);

/* Ends the threads that there are, and waits for them. The engine is this process's, and the
 * calling thread outside of it. */
void wbi_crew_close(struct wb_engine *engine);

#endif
