/* A thread's turns on the lanes of an engine. It is in none of them. */
#ifndef WBI_ENGINE_TURNS_H
#define WBI_ENGINE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct wb_engine;
struct wbi_lane;

/* Turns on all lanes that have something to do, `own` before the others if it is not NULL; where
 * one alone has peers it is polled `polls` times at most. Returns the number of things done. */
int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls);

/* The same on one lane alone. *round is set once in so many of its turns that the others are to
 * have one, too. */
int wbi_turn_own(struct wbi_lane *own, unsigned polls, bool *round);

#endif
