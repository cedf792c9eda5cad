#include "perf/alloc_crew.h"

#include <pthread.h>
#include <string.h>

#include "perf/alloc_cross.h"
#include "perf/common_say.h"
#include "perf/meeting.h"
#include "perf/ticks.h"

enum { SLICE_NS = 4000000, ARENA_ALIGNMENT = 4096 };

struct member {
    struct crew *crew;
    pthread_t thread;
    struct worker worker;
    bool serves; /* gives back what the member before it takes */
    uint64_t ticks;
};

/* Invariant: members[0, started) are ready, and all of these but members[0] have threads. */
struct crew {
    struct meeting meeting;
    enum alloc_case which;
    uint64_t slice_ticks;
    const struct method *method; /* of the slice to come; NULL ends the threads */
    enum allocator allocator;
    uint32_t count, started;
    struct member members[];
};

/* One member's slice; it holds nothing before and after. */
static void take_part(struct member *member)
{
    struct crew *crew = member->crew;
    struct worker *worker = &member->worker;
    const struct method *method = crew->method;
    worker->allocator = crew->allocator;
    worker->ops = 0;
    if (method->prepare != NULL) {
        method->prepare(worker);
    }
    meet(&crew->meeting);
    uint64_t start = ticks_now();
    if (member->serves) {
        lane_serve(worker);
    } else {
        while (worker->failed == NULL && method->round(worker) &&
               ticks_now() - start < crew->slice_ticks) {
        }
        if (method->settle != NULL) {
            method->settle(worker);
        }
    }
    member->ticks = ticks_now() - start;
    if (method->finish != NULL) {
        method->finish(worker);
    }
    meet(&crew->meeting);
}

static void *run(void *argument)
{
    struct member *member = argument;
    struct crew *crew = member->crew;
    for (;;) {
        meet(&crew->meeting);
        if (crew->method == NULL) {
            return NULL;
        }
        take_part(member);
    }
}

/* Touched memory for REGISTER; true where none is needed. */
static bool equip_arena(struct worker *worker, enum alloc_case which)
{
    size_t bytes = worker->size * (which == CASE_BATCH ? BATCH : 1);
    void *arena = NULL;
    if (worker->bench->device.pd == NULL || method_of(REGISTER, which) == NULL) {
        return true;
    }
    if (posix_memalign(&arena, ARENA_ALIGNMENT, bytes) != 0) {
        return false;
    }
    worker->arena = memset(arena, 1, bytes);
    return true;
}

static bool member_start(struct crew *crew, const struct bench *bench, size_t size)
{
    uint32_t index = crew->started;
    struct member *member = &crew->members[index];
    struct worker *worker = &member->worker;
    member->crew = crew;
    member->serves = crew->which == CASE_CROSS && index % 2 == 1;
    worker->bench = bench;
    worker->size = size;
    worker->random = bench->options->seed + index * UINT64_C(0x9e3779b97f4a7c15);
    worker->random += worker->random == 0; /* where xorshift would stay */
    if (crew->which == CASE_CROSS) {
        worker->lane = member->serves ? member[-1].worker.lane : lane_create();
    }
    if (!equip_arena(worker, crew->which) || (crew->which == CASE_CROSS && worker->lane == NULL)) {
        return false;
    }
    return index == 0 || pthread_create(&member->thread, NULL, run, member) == 0;
}

int crew_open(struct crew **crew, const struct bench *bench, enum alloc_case which, size_t size)
{
    uint32_t count = bench->options->threads * (which == CASE_CROSS ? 2 : 1);
    struct crew *c = calloc(1, sizeof *c + count * sizeof c->members[0]);
    if (c == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    c->which = which;
    c->count = count;
    c->meeting.size = count;
    c->slice_ticks = ticks_from_ns(SLICE_NS);
    while (c->started < count && member_start(c, bench, size)) {
        c->started++;
    }
    if (c->started < count) {
        crew_close(c);
        return say(EXIT_FAILURE, "cannot start %u threads", count);
    }
    *crew = c;
    return 0;
}

void crew_close(struct crew *crew)
{
    crew->method = NULL;
    crew->meeting.size = crew->started;
    if (crew->started > 1) {
        meet(&crew->meeting);
    }
    for (uint32_t i = 0; i < crew->count; i++) {
        struct member *member = &crew->members[i];
        if (i > 0 && i < crew->started) {
            pthread_join(member->thread, NULL);
        }
        free(member->worker.arena);
        if (!member->serves) {
            free(member->worker.lane);
        }
    }
    free(crew);
}

int crew_slice(struct crew *crew, enum allocator allocator, double *ns)
{
    uint64_t ops = 0, ticks = 0;
    crew->allocator = allocator;
    crew->method = method_of(allocator, crew->which);
    if (crew->count > 1) {
        meet(&crew->meeting);
    }
    take_part(&crew->members[0]);
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct member *member = &crew->members[i];
        if (member->worker.failed != NULL) {
            return say(EXIT_FAILURE, "%s, %s: %s", allocator_name(allocator),
                       alloc_case_name(crew->which), member->worker.failed);
        }
        ops += member->serves ? 0 : member->worker.ops;
        ticks += member->serves ? 0 : member->ticks;
    }
    *ns = ticks_to_us((double)ticks) * 1000.0 / (double)ops;
    return 0;
}
