#include "tests/wb_sim/later.h"

#include <stdlib.h>

#include "engine/clock.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "tests/simverbs/model.h"
#include "tests/support/pattern.h"
#include "tests/wb_sim/chaos.h"
#include "tests/wb_sim/handlers.h"
#include "tests/wb_sim/play.h"

enum {
    MOST_NEVER = 2,            /* of a host at once: each holds a credit of its peer's */
    CREDITS_FOR_NEVER = 8,     /* with fewer nobody else would have one */
    MOST_LATE_US = 2000000,    /* later than most deadlines that are short */
    SHORT_TIMEOUT_US = 1000000 /* a call that is never answered ends soon by itself */
};

/* What the executor was given. */
struct later_work {
    struct later_work *next;
    struct wb_deferred *call;
};

/* ---- chance: what is drawn besides stays as it was ---- */

static uint64_t below(struct play *play, uint64_t limit)
{
    return test_pattern_random(&play->later) % limit;
}

void later_open(struct play *play)
{
    play->later = play->seed ^ (uint64_t)0x1a7e << 32;
    play->defers = play->options->defers && below(play, 2) == 0;
    play->summary.deferring_seeds = play->defers;
}

void later_draw(const struct play *play, struct entry *entry)
{
    uint64_t random = ~play->seed ^ entry->number << 32;
    uint64_t kind = test_pattern_random(&random) % 32;
    bool ends_soon = entry->timeout_us <= SHORT_TIMEOUT_US || entry->patience_us > 0;
    if (!play->defers || entry->kind == CALL_ABSENT || kind >= 12) {
        return;
    }
    entry->later = kind < 2 ? LATER_INSIDE : LATER_SOON;
    entry->later = kind >= 8 && ends_soon ? LATER_NEVER : entry->later;
    uint64_t bits = 1 + test_pattern_random(&random) % 21;
    entry->later_us =
        (uint32_t)(test_pattern_random(&random) % ((uint64_t)1 << bits)) % MOST_LATE_US;
}

void later_await(struct entry *entry)
{
    entry->later = entry->later == LATER_NEVER ? LATER_SOON : entry->later;
}

/* ---- an executor ---- */

/* Called by the lane, which is in the middle of its turn. */
static void run_later(void *self, struct wb_deferred *call)
{
    struct node *node = self;
    struct later_work *work = sim_new(sizeof *work);
    *work = (struct later_work){.next = node->works, .call = call};
    node->works = work;
    node->play->summary.executor_runs++;
}

static bool turn(struct node *node);

static bool help(void *self)
{
    return turn(self);
}

void later_open_node(struct node *node)
{
    node->executor = (struct wb_executor){.run = run_later, .help = help, .self = node};
}

const struct wb_executor *later_executor(struct node *node)
{
    return node->play->defers && below(node->play, 3) == 0 ? &node->executor : NULL;
}

void later_adopt(struct node *node, bool adopts)
{
    if (node->play->defers) {
        wb_executor_adopt(adopts ? &node->executor : NULL);
    }
}

/* ---- jobs ---- */

struct later_job *later_defer(struct node *node, struct wb_context *context,
                              const struct entry *entry)
{
    struct wb_deferred *call, *again;
    if (wb_context_defer(context, &call) != WB_OK) {
        return NULL;
    }
    if (wb_context_defer(context, &again) != WB_ERR_INVALID) {
        play_fail(node->play, "call %llu could be deferred twice",
                  (unsigned long long)entry->number);
    }
    struct later_job *job = sim_new(sizeof *job);
    *job = (struct later_job){.call = call,
                              .number = entry->number,
                              .due_ns = sim_now_ns() + (uint64_t)entry->later_us * 1000};
    node->play->summary.deferred++;
    return job;
}

static void end_job(struct later_job *job)
{
    wb_rma_vector_drop(&job->made);
    work_in_drop(&job->work);
    many_in_drop(&job->many);
    free(job);
}

/* What may have become of a call when its answer goes, as its server knows it. */
static void check_status(const struct play *play, const struct entry *entry, int status)
{
    bool over = (sim_now_ns() - entry->begun_ns) / 1000 >= entry->timeout_us;
    bool allowed = status == WB_OK || (status == WB_ERR_TIMED_OUT && over) ||
                   (status == WB_ERR_CANCELLED && (over || entry->given_up)) ||
                   (status == WB_ERR_PEER_LOST &&
                    play_may_be_lost(play, entry->caller, entry->callee, entry->begun_ns));
    if (!allowed) {
        play_fail(play, "the deferred call %llu is said to have ended with %s",
                  (unsigned long long)entry->number, wb_status_name(status));
    }
}

/* What NAME_reply may return for a call that was awaited before. */
static void check_reply(const struct play *play, const struct entry *entry, int status)
{
    bool allowed =
        status == WB_OK || (status == WB_ERR_REPLY_TOO_LARGE && entry->tight) ||
        (status == WB_ERR_BUDGET && (play->tight || !play->calm)) ||
        ((status == WB_ERR_NO_MEMORY || status == WB_ERR_SYSTEM || status == WB_ERR_INVALID) &&
         !play->calm);
    if (!allowed) {
        check_status(play, entry, status);
    }
}

static void answer(struct node *node, struct later_job *job)
{
    const struct entry *entry = ledger_find(&node->play->ledger, job->number);
    int status = wb_deferred_status(job->call);
    check_status(node->play, entry, status);
    node->play->summary.unwanted += status != WB_OK;
    if (entry->kind == CALL_MANY) {
        struct many_out out = {.number = entry->number};
        handlers_check_many(node->play, entry, &job->many);
        check_reply(node->play, entry, many_reply(job->call, &out));
    } else {
        handlers_check_work(node->play, entry, &job->work);
        if ((entry->wish & WISH_FAIL) != 0) {
            wb_deferred_fail(job->call, handlers_code(entry), HANDLERS_WORDS,
                             (unsigned long long)entry->number);
        } else {
            struct work_out out = {.number = entry->number,
                                   .text = job->work.text,
                                   .raw = handlers_raw(node, entry),
                                   .data = job->made};
            check_reply(node->play, entry, work_reply(job->call, &out));
        }
    }
    sim_trace(node->devices[0], "wb_sim: call answered later", job->number, (uint64_t)-status, 0);
    end_job(job);
}

static unsigned count_never(const struct node *node)
{
    unsigned count = 0;
    for (const struct later_job *job = node->jobs; job != NULL; job = job->next) {
        count += job->due_ns == UINT64_MAX;
    }
    return count;
}

void later_take(struct node *node, struct later_job *job)
{
    const struct entry *entry = ledger_find(&node->play->ledger, job->number);
    if (entry->later == LATER_INSIDE) {
        answer(node, job);
        return;
    }
    if (entry->later == LATER_NEVER && !node->play->let_go &&
        node->config.credits >= CREDITS_FOR_NEVER && count_never(node) < MOST_NEVER) {
        job->due_ns = UINT64_MAX;
    }
    job->next = node->jobs;
    node->jobs = job;
}

/* ---- turns ---- */

/* One that is due, taken out; NULL: none. */
static struct later_job *take_due(struct node *node)
{
    struct later_job **found = NULL;
    unsigned count = 0;
    for (struct later_job **at = &node->jobs; *at != NULL; at = &(*at)->next) {
        if ((*at)->due_ns <= sim_now_ns() && below(node->play, ++count) == 0) {
            found = at;
        }
    }
    struct later_job *job = found != NULL ? *found : NULL;
    if (job != NULL) {
        *found = job->next;
    }
    return job;
}

static struct wb_deferred *take_work(struct node *node)
{
    struct later_work **found = &node->works;
    unsigned count = 0;
    for (struct later_work **at = &node->works; *at != NULL; at = &(*at)->next) {
        found = below(node->play, ++count) == 0 ? at : found;
    }
    struct later_work *work = *found;
    if (work == NULL) {
        return NULL;
    }
    struct wb_deferred *call = work->call;
    *found = work->next;
    free(work);
    return call;
}

/* Answers while another thread, as it seems, is in the lane: what is left for the lane is done when
 * that leaves. */
static void answer_beside(struct node *node, struct later_job *job)
{
    static const char other;
    struct wbi_lane *lane = job->call->context.peer->lane;
    if (wbi_lane_enter(lane) != WBI_LANE_ENTERED) {
        play_fail(node->play, "somebody is in the lane of host %u, which does nothing",
                  node->number);
    }
    struct wbi_hold *hold = &lane->hold;
    uintptr_t owner = atomic_exchange(&hold->owner, 0);
    bool taken = atomic_exchange(&hold->taken, true);
    atomic_store(&hold->inside, &other);
    answer(node, job);
    atomic_store(&hold->inside, wbi_thread_token());
    atomic_store(&hold->taken, taken);
    atomic_store(&hold->owner, owner);
    wbi_lane_leave(lane);
}

static bool turn(struct node *node)
{
    struct later_job *job = below(node->play, 2) == 0 ? take_due(node) : NULL;
    struct wb_deferred *work = job == NULL ? take_work(node) : NULL;
    job = job == NULL && work == NULL ? take_due(node) : job;
    if (job != NULL && below(node->play, 3) == 0) {
        answer_beside(node, job);
    } else if (job != NULL) {
        answer(node, job);
    } else if (work != NULL) {
        wb_deferred_run(work);
    }
    return job != NULL || work != NULL;
}

bool later_turn(struct node *node)
{
    struct sim_host *host = sim_world.here;
    bool turning = node->turning;
    if (!node->play->defers || node->engine == NULL || (turning && !node->sleeping) ||
        sim_now_ns() < node->stalled_until_ns) {
        return false;
    }
    sim_host_enter(node->host);
    node->turning = true; /* nobody else begins something on it meanwhile */
    bool sleeping = node->sleeping;
    node->sleeping = false;
    bool done = turn(node);
    node->turning = turning;
    node->sleeping = sleeping;
    sim_host_enter(host);
    return done;
}

bool later_turn_some(struct play *play)
{
    return play->defers && below(play, 4) == 0 &&
           later_turn(&play->nodes[below(play, play->host_count)]);
}

/* ---- ends ---- */

void later_let_go(struct play *play)
{
    play->let_go = true;
    for (unsigned i = 0; i < play->host_count; i++) {
        struct node *node = &play->nodes[i];
        if (node->engine != NULL && count_never(node) > 0 && below(play, 2) == 0) {
            chaos_restart(node);
        }
        for (struct later_job *job = node->jobs; job != NULL; job = job->next) {
            job->due_ns = job->due_ns == UINT64_MAX ? 0 : job->due_ns;
        }
    }
}

void later_forget(struct node *node)
{
    while (node->jobs != NULL) {
        struct later_job *job = node->jobs;
        node->jobs = job->next;
        node->play->summary.never_answered++;
        end_job(job);
    }
    while (node->works != NULL) {
        struct later_work *work = node->works;
        node->works = work->next;
        node->play->summary.never_run++;
        free(work);
    }
}
