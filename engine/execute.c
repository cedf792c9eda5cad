/* Handlers on a program's own threads: from the lane to the executor, and there to the handler. */
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
        struct wb_engine *engine = context->peer->lane->engine;
        work->entry = entry;
        entry->executor->run(entry->executor->self, work);
        wbi_engine_notify(engine); /* its threads may be waiting for calls, and could help */
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
                                 .reply_block = &work->reply_block,
                                 .out.peer = work->context.peer,
                                 .later = work};
    struct wb_reader reader;
    int status = wb_deferred_status(work);
    if (status != WB_OK) { /* past its deadline, cancelled, or of a peer that is lost */
        wb_deferred_close(work, status);
        return;
    }
    wbi_serve_reader(work->in, &reader);
    status = entry->serve(&context, &reader, entry->handler, entry->user);
    if (context.deferred != NULL) { /* by the handler, and maybe answered meanwhile */
        wbi_deferred_part(work);
        return;
    }
    wbi_serve_explain(&context, &reader, entry);
    finish(work, &context, status);
}

void wb_executor_adopt(const struct wb_executor *executor)
{
    executor_here = executor;
}

bool wbi_executor_help(void)
{
    const struct wb_executor *executor = executor_here;
    return executor != NULL && executor->help != NULL && !wbi_thread_is_inside() &&
           executor->help(executor->self);
}
