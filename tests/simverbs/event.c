/* What will happen: a heap by (time, order of scheduling). And chance. */
#include <stdlib.h>

#include "tests/simverbs/cm.h"
#include "tests/simverbs/model.h"

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void exchange(size_t a, size_t b)
{
    struct sim_event event = sim_world.heap[a];
    sim_world.heap[a] = sim_world.heap[b];
    sim_world.heap[b] = event;
}

void sim_schedule(struct sim_event event, uint64_t at_ns)
{
    struct sim_world *world = &sim_world;
    if (world->event_count == world->event_room) {
        world->event_room = world->event_room * 2 + 64;
        world->heap = realloc(world->heap, world->event_room * sizeof *world->heap);
        if (world->heap == NULL) {
            abort();
        }
    }
    event.at = at_ns;
    event.order = world->events_scheduled++;
    size_t place = world->event_count++;
    world->heap[place] = event;
    while (place > 0 && before(&world->heap[place], &world->heap[(place - 1) / 2])) {
        exchange(place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static struct sim_event take_first(void)
{
    struct sim_world *world = &sim_world;
    struct sim_event first = world->heap[0];
    world->heap[0] = world->heap[--world->event_count];
    for (size_t place = 0, child = 1; child < world->event_count; child = 2 * place + 1) {
        if (child + 1 < world->event_count &&
            before(&world->heap[child + 1], &world->heap[child])) {
            child++;
        }
        if (!before(&world->heap[child], &world->heap[place])) {
            break;
        }
        exchange(place, child);
        place = child;
    }
    return first;
}

uint64_t sim_next_event_ns(void)
{
    return sim_world.event_count > 0 ? sim_world.heap[0].at : UINT64_MAX;
}

void sim_run_due(void)
{
    uint64_t now = sim_now_ns();
    while (sim_world.event_count > 0 && sim_world.heap[0].at <= now) {
        struct sim_event event = take_first();
        sim_world.events_run++;
        event.run(&event);
    }
}

void sim_events_close(void)
{
    struct sim_world *world = &sim_world;
    for (size_t i = 0; i < world->event_count; i++) {
        free(world->heap[i].message);
    }
    free(world->heap);
    world->heap = NULL;
    world->event_count = world->event_room = 0;
}

/* ---- chance: splitmix64 ---- */

uint64_t sim_random_of(uint64_t *stream)
{
    uint64_t z = *stream += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t sim_random(void)
{
    return sim_random_of(&sim_world.random);
}

uint64_t sim_random_below(uint64_t limit)
{
    return limit != 0 ? sim_random() % limit : 0;
}
