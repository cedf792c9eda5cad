/* A thread's turns on the lanes of an engine. It is in none of them. */
#ifndef WBI_ENGINE_TURNS_H
#define WBI_ENGINE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct wb_engine;
struct wbi_lane;

/* Whether it is time for what is done once in about so many of a thread's turns, over all engines
 * that it comes to: the multiples of the golden ratio lie evenly however many are left out. */
static inline bool wbi_once_in(unsigned every, uint32_t *phase)
{
    *phase += UINT32_C(2654435769);
    return *phase < UINT32_MAX / every;
}

/* Turns on all lanes that have something to do, `own` before the others if it is not NULL; where
 * one alone has peers it is polled `polls` times at most. Returns the number of things done. */
int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls);

/* The same on one lane alone. */
int wbi_turn_own(struct wb_engine *engine, struct wbi_lane *own, unsigned polls);

#endif
