#include "perf/team.h"

#include <stdlib.h>

struct member {
    struct caller caller;
    struct histogram rtt;
    int status; /* of the last burst */
};

/* Invariant: members[0, members_open) have open callers. */
struct team {
    struct hands *hands;
    uint32_t members_open;
    uint32_t calls; /* of the burst to come */
    struct member members[];
};

static void write_payloads(void *user, uint32_t number)
{
    struct team *team = user;
    caller_write(&team->members[number].caller, team->calls);
}

static void make_calls(void *user, uint32_t number)
{
    struct team *team = user;
    struct member *member = &team->members[number];
    member->status = caller_burst(&member->caller, team->calls);
}

int team_open(struct team **team, struct hands *hands, struct wb_engine *engine,
              struct wb_peer *const *peers, const struct calls_wanted *wanted, uint32_t burst)
{
    uint32_t threads = hands_count(hands);
    struct team *t = calloc(1, sizeof *t + threads * sizeof t->members[0]);
    if (t == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    t->hands = hands;
    int status = WB_OK;
    while (t->members_open < threads && status == WB_OK) {
        struct member *member = &t->members[t->members_open];
        status = caller_open(&member->caller, engine, peers, wanted, burst);
        member->caller.rtt = &member->rtt;
        t->members_open += status == WB_OK;
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
    for (uint32_t i = 0; i < team->members_open; i++) {
        caller_close(&team->members[i].caller);
    }
    free(team);
}

void team_set_span(struct team *team, struct span span)
{
    for (uint32_t i = 0; i < team->members_open; i++) {
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
    for (uint32_t i = 0; i < team->members_open; i++) {
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
    uint64_t calls = (uint64_t)team->members_open * team->calls;
    figures_add_burst(figures, calls, carried, end - start > checking ? end - start - checking : 0);
    return WB_OK;
}

int team_burst(struct team *team, uint32_t calls, struct figures *figures, const char **words)
{
    team->members[0].caller.rtt = &figures->rtt;
    team->calls = calls;
    hands_do(team->hands, write_payloads, team);
    hands_do(team->hands, make_calls, team);
    return sum_up(team, figures, words);
}
