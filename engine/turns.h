/* A thread's turns on the lanes of an engine. It is in none of them. */
#ifndef WBI_ENGINE_TURNS_H
#define WBI_ENGINE_TURNS_H

#include <stdbool.h>

struct wb_engine;
struct wbi_lane;

/* Once in so many turns of a thread, over all that it does and waits for; and whenever it comes
 * from another engine, since it does not count for each. */
struct wbi_pace {
    const struct wb_engine *last;
    unsigned turns;
};

static inline bool wbi_pace_is_due(struct wbi_pace *pace, const struct wb_engine *engine,
                                   unsigned every)
{
    bool due = ++pace->turns % every == 0 || pace->last != engine;
    pace->last = engine;
    return due;
}

/* Turns on all lanes that have something to do, `own` before the others if it is not NULL; where
 * one alone has peers it is polled `polls` times at most. Returns the number of things done. */
int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls);

/* The same on one lane alone. */
int wbi_turn_own(struct wb_engine *engine, struct wbi_lane *own, unsigned polls);

#endif
