/* What became of each call, by both sides' records. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/common_say.h"
#include "perf/soak.h"

enum { WORDS_MAX = 20 }; /* calls that are named on stderr */

struct verdict {
    uint64_t calls, ended, executed, lost, doubled, corrupt, killed, timed_out, cancelled, busy,
        reconnects;
    unsigned words;
};

static void name_call(struct verdict *verdict, uint32_t client, uint32_t number, const char *what,
                      uint8_t mark, uint8_t executions)
{
    if (verdict->words++ < WORDS_MAX) {
        say(EXIT_FAILURE, "client %u, call %u: %s (mark %u, %s, executed %u times)", client, number,
            what, (unsigned)mark,
            mark >= MARK_ENDED ? wb_status_name(status_of(mark)) : "no status",
            (unsigned)executions);
    }
}

/* Whether its caller was told that it was not executed. */
static bool is_denied(uint8_t mark)
{
    return mark == mark_of(WB_ERR_NOT_SENT) || mark == mark_of(WB_ERR_BUSY) ||
           mark == mark_of(WB_AGAIN);
}

static void judge_call(struct verdict *v, const struct soak_shared *shared, uint32_t client,
                       uint32_t number)
{
    uint8_t mark = atomic_load(board_mark(shared, client, number));
    uint8_t executions = board_executions(shared, client, number);
    bool ended = mark >= MARK_ENDED || mark == MARK_CORRUPT || mark == MARK_TWICE;
    bool lost =
        mark == MARK_LOST || mark == MARK_BEGUN || (mark == mark_of(WB_OK) && executions == 0);
    bool doubled = executions > 1 || mark == MARK_TWICE || (is_denied(mark) && executions > 0);
    bool corrupt = mark == MARK_CORRUPT || (mark == MARK_NONE && executions > 0);
    v->calls += mark != MARK_NONE;
    v->ended += ended;
    v->executed += executions > 0;
    v->lost += lost;
    v->doubled += doubled;
    v->corrupt += corrupt;
    v->killed += mark == MARK_KILLED;
    v->timed_out += mark == mark_of(WB_ERR_TIMED_OUT);
    v->cancelled += mark == mark_of(WB_ERR_CANCELLED);
    v->busy += mark == mark_of(WB_ERR_BUSY);
    if (lost || doubled || corrupt) {
        name_call(v, client, number,
                  lost      ? "lost"
                  : doubled ? "doubled"
                            : "corrupt",
                  mark, executions);
    }
}

static uint64_t leaked(const struct soak_outcome *outcome)
{
    const struct soak_sample *start = &outcome->start, *after = &outcome->after;
    uint64_t used =
        after->used_bytes > start->used_bytes ? after->used_bytes - start->used_bytes : 0;
    return used > after->leased_bytes ? used : after->leased_bytes;
}

static void print(const struct soak_options *o, const struct verdict *v,
                  const struct soak_outcome *outcome)
{
    printf("{\"fabric\":\"%s\",\"clients\":%" PRIu64 ",\"seed\":%" PRIu64 ",\"calls\":%" PRIu64
           ",\"ended\":%" PRIu64 ",\"executed\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"doubled\":%" PRIu64 ",\"corrupt\":%" PRIu64,
           o->fabric, o->clients, o->seed, v->calls, v->ended, v->executed, v->lost, v->doubled,
           v->corrupt);
    printf(",\"killed\":%" PRIu64 ",\"timed_out\":%" PRIu64 ",\"cancelled\":%" PRIu64
           ",\"deferred\":%" PRIu64 ",\"busy\":%" PRIu64 ",\"kills\":%" PRIu64
           ",\"reconnects\":%" PRIu64,
           v->killed, v->timed_out, v->cancelled, outcome->after.deferred, v->busy, outcome->kills,
           v->reconnects);
    printf(",\"server_rss_start\":%" PRIu64 ",\"server_rss_before\":%" PRIu64
           ",\"server_rss_after\":%" PRIu64 ",\"server_anonymous_after\":%" PRIu64
           ",\"server_pool_after\":%" PRIu64 ",\"pool_leaked\":%" PRIu64 ",\"filtered\":%" PRIu64
           "}\n",
           outcome->start.rss, outcome->before.rss, outcome->after.rss,
           outcome->after.rss_anonymous, outcome->after.pool_bytes, leaked(outcome),
           outcome->after.filtered);
}

int soak_judge(const struct soak_options *options, const struct soak_shared *shared,
               const struct soak_outcome *outcome)
{
    struct verdict v = {0};
    for (uint32_t client = 0; client < shared->clients; client++) {
        const struct soak_client_state *state = &shared->board->clients[client];
        uint32_t next = atomic_load(&state->next), connects = atomic_load(&state->connects);
        for (uint32_t i = 0; i < next && i < SOAK_CALLS_MAX; i++) {
            judge_call(&v, shared, client, i);
        }
        v.reconnects += connects > 0 ? connects - 1 : 0;
    }
    print(options, &v, outcome);
    if (v.executed == 0) {
        return say(EXIT_FAILURE, "no call was executed");
    }
    if (outcome->after.deferred == 0) {
        return say(EXIT_FAILURE, "no call was deferred");
    }
    if (options->filter != WB_FILTER_NONE && outcome->after.filtered == 0) {
        return say(EXIT_FAILURE, "nothing came filtered");
    }
    bool good = v.lost + v.doubled + v.corrupt + leaked(outcome) + outcome->broken == 0;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
