#include "perf/team.h"

#include <pthread.h>
#include <stdlib.h>

#include "perf/meeting.h"

struct member {
    struct team *team;
    pthread_t thread;
    struct caller caller;
    struct histogram rtt;
    int status; /* of the last burst */
};

/* Invariant: members[0, started) have open callers, and all of these but members[0] have threads.
 */
struct team {
    struct meeting meeting;
    uint32_t started;
    uint32_t calls; /* of the burst to come; 0 ends the threads */
    struct member members[];
};

static void take_part(struct member *member)
{
    caller_write(&member->caller, member->team->calls);
    meet(&member->team->meeting);
    member->status = caller_burst(&member->caller, member->team->calls);
    meet(&member->team->meeting);
}

static void *run(void *argument)
{
    struct member *member = argument;
    for (;;) {
        meet(&member->team->meeting);
        if (member->team->calls == 0) {
            return NULL;
        }
        take_part(member);
    }
}

int team_open(struct team **team, struct wb_engine *engine, struct wb_peer *const *peers,
              const struct calls_wanted *wanted, uint32_t burst, uint32_t threads)
{
    struct team *t = calloc(1, sizeof *t + threads * sizeof t->members[0]);
    if (t == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    t->meeting.size = threads;
    int status = WB_OK;
    while (t->started < threads && status == WB_OK) {
        struct member *member = &t->members[t->started];
        member->team = t;
        status = caller_open(&member->caller, engine, peers, wanted, burst);
        member->caller.rtt = &member->rtt;
        if (status == WB_OK && t->started > 0 &&
            pthread_create(&member->thread, NULL, run, member) != 0) {
            caller_close(&member->caller);
            status = WB_ERR_SYSTEM;
        }
        t->started += status == WB_OK;
    }
    if (status != WB_OK) {
        team_close(t);
        return status;
    }
    *team = t;
    return WB_OK;
}

void team_close(struct team *team)
{
    if (team == NULL) {
        return;
    }
    team->calls = 0;
    team->meeting.size = team->started;
    if (team->started > 1) {
        meet(&team->meeting);
    }
    for (uint32_t i = 0; i < team->started; i++) {
        if (i > 0) {
            pthread_join(team->members[i].thread, NULL);
        }
        caller_close(&team->members[i].caller);
    }
    free(team);
}

void team_set_span(struct team *team, struct span span)
{
    for (uint32_t i = 0; i < team->started; i++) {
        team->members[i].caller.span = span;
    }
}

struct caller *team_caller(struct team *team)
{
    return &team->members[0].caller;
}

/* Adds what the members have just done; returns the first failure. */
static int sum_up(struct team *team, struct figures *figures, const char **words)
{
    uint64_t start = UINT64_MAX, end = 0, checking = 0, carried = 0;
    for (uint32_t i = 0; i < team->meeting.size; i++) {
        struct member *member = &team->members[i];
        struct caller *caller = &member->caller;
        if (member->status != WB_OK) {
            *words = caller_words(caller, member->status);
            return member->status;
        }
        start = caller->start < start ? caller->start : start;
        end = caller->end > end ? caller->end : end;
        checking += caller->check_ticks;
        carried += caller->carried;
        if (i > 0) {
            histogram_merge(&figures->rtt, &member->rtt);
            member->rtt = (struct histogram){0};
        }
    }
    uint64_t calls = (uint64_t)team->meeting.size * team->calls;
    figures_add_burst(figures, calls, carried, end - start > checking ? end - start - checking : 0);
    return WB_OK;
}

int team_burst(struct team *team, uint32_t calls, struct figures *figures, const char **words)
{
    team->members[0].caller.rtt = &figures->rtt;
    team->calls = calls;
    if (team->meeting.size > 1) {
        meet(&team->meeting);
    }
    take_part(&team->members[0]);
    return sum_up(team, figures, words);
}
