/* Handlers on a program's own threads: from the lane to the executor, and there to the handler; and
 * threads of executors that wait and sleep. */
#include <pthread.h>
#include <string.h>

#include "engine/defer.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"

static _Thread_local const struct wb_executor *executor_here;

int wbi_execute(struct wb_context *context, const struct wbi_entry *entry)
{
    struct wb_deferred *work;
    int status = wbi_defer(context, 1, &work);
    if (status == WB_OK) {
        work->entry = entry;
        entry->executor->run(entry->executor->self, work);
        wb_executor_wake(entry->executor);
    }
    return status;
}

/* The handler has answered, or failed, on this thread: what is left of the answer is the lane's. */
static void finish(struct wb_deferred *work, const struct wb_context *context, int status)
{
    work->context.out = context->out;
    work->context.replied = context->replied;
    memcpy(work->context.text, context->text, sizeof context->text);
    wb_deferred_close(work, status);
}

void wb_deferred_run(struct wb_deferred *work)
{
    const struct wbi_entry *entry = work->entry;
    struct wb_context context = {.peer = work->context.peer,
                                 .header = &work->header,
                                 .in = work->in,
                                 .reply_block = &work->reply_block,
                                 .out.peer = work->context.peer,
                                 .later = work};
    struct wb_request request = {.archive = NULL};
    int status = wb_deferred_status(work);
    if (status != WB_OK) { /* past its deadline, cancelled, or of a peer that is lost */
        wb_deferred_close(work, status);
        return;
    }
    status = entry->serve(&context, &request, entry->handler, entry->user);
    if (context.deferred != NULL) { /* by the handler, and maybe answered meanwhile */
        wbi_deferred_part(work);
        return;
    }
    wbi_serve_explain(&context, &request.reader, entry);
    finish(work, &context, status);
}

void wb_executor_adopt(const struct wb_executor *executor)
{
    executor_here = executor;
}

bool wbi_executor_helps(void)
{
    const struct wb_executor *executor = executor_here;
    return executor != NULL && executor->help != NULL && !wbi_thread_is_inside();
}

bool wbi_executor_help(void)
{
    const struct wb_executor *executor = executor_here;
    return executor != NULL && executor->help != NULL && !wbi_thread_is_inside() &&
           executor->help(executor->self);
}

/* ---- those that sleep ----
 *
 * No work is missed. Who is going to sleep is in the list first, and looks for work after that; who
 * brings work calls someone in the list after that. Whoever sleeps already is called alone. If
 * nobody does, all that are about to look again before they sleep.
 */

static struct {
    pthread_mutex_t lock;
    struct wbi_helper *first; /* of all engines */
    _Atomic unsigned count;
    unsigned generation; /* of the process: how often it was forked */
} helpers = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void unlist(struct wbi_helper *helper)
{
    *helper->at = helper->next;
    if (helper->next != NULL) {
        helper->next->at = helper->at;
    }
    helper->at = NULL;
    atomic_fetch_sub(&helpers.count, 1);
}

void wbi_helper_open(struct wbi_helper *helper, struct wb_engine *engine)
{
    *helper =
        (struct wbi_helper){.executor = executor_here, .engine = engine, .at = &helpers.first};
    pthread_mutex_lock(&helpers.lock);
    helper->generation = helpers.generation;
    helper->next = helpers.first;
    if (helper->next != NULL) {
        helper->next->at = &helper->next;
    }
    helpers.first = helper;
    atomic_fetch_add(&helpers.count, 1);
    pthread_mutex_unlock(&helpers.lock);
}

bool wbi_helper_close(struct wbi_helper *helper)
{
    pthread_mutex_lock(&helpers.lock);
    if (helper->at != NULL && helper->generation == helpers.generation) {
        unlist(helper); /* else its work has forked: this is the child, whose list is another */
    }
    pthread_mutex_unlock(&helpers.lock);
    return helper->called;
}

bool wbi_helper_sleeps(struct wbi_helper *helper, struct wbi_sleeper *sleeper)
{
    if (helper == NULL) {
        return true;
    }
    pthread_mutex_lock(&helpers.lock);
    helper->sleeper = sleeper;
    pthread_mutex_unlock(&helpers.lock);
    return !helper->called;
}

void wbi_helper_wakes(struct wbi_helper *helper)
{
    if (helper != NULL) {
        pthread_mutex_lock(&helpers.lock);
        helper->sleeper = NULL;
        pthread_mutex_unlock(&helpers.lock);
    }
}

/* One of the executor's that sleeps; and if there is none, tells those that are about to. */
static struct wbi_helper *call_one(const struct wb_executor *executor)
{
    for (struct wbi_helper *helper = helpers.first; helper != NULL; helper = helper->next) {
        if (helper->executor == executor && helper->sleeper != NULL) {
            helper->called = true;
            unlist(helper);
            return helper;
        }
    }
    for (struct wbi_helper *helper = helpers.first; helper != NULL; helper = helper->next) {
        helper->called = helper->called || helper->executor == executor;
    }
    return NULL;
}

void wb_executor_wake(const struct wb_executor *executor)
{
    /* a full fence: who is in the list after this sees the work that was brought before */
    if (atomic_fetch_add(&helpers.count, 0) == 0) {
        return;
    }
    pthread_mutex_lock(&helpers.lock);
    struct wbi_helper *helper = call_one(executor);
    if (helper != NULL) { /* it stays asleep, or waits for the lock, until it was woken */
        wbi_sleepers_wake_this(helper->engine, helper->sleeper);
    }
    pthread_mutex_unlock(&helpers.lock);
}

void wbi_helpers_forget(void)
{
    helpers.generation++;
    helpers.first = NULL;
    atomic_store(&helpers.count, 0);
    pthread_mutex_init(&helpers.lock, NULL);
}
