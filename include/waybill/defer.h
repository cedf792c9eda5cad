/*
 * Calls whose handlers answer later: from another thread, when something else has happened, or when
 * a call that they make in turn has ended.
 *
 *   static int fetch(struct wb_context *context, struct fetch_in *in, struct fetch_out *out, void
 * *u)
 *   {
 *       struct job *job = …;
 *       int status = wb_context_defer(context, &job->call);
 *       if (status == WB_OK) {
 *           job->in = *in;                 // the arguments are the job's from here on,
 *           *in = (struct fetch_in){0};    // and stay as they are until it has answered
 *           start(job);
 *       }
 *       return status;
 *   }
 *   … any thread:  fetch_reply(job->call, &out);   or   wb_deferred_fail(job->call, 7, "no disk");
 *
 * And executors: a program's own threads, on which handlers are to run.
 */
#ifndef WAYBILL_DEFER_H
#define WAYBILL_DEFER_H

#include <waybill/engine.h>

struct wb_deferred; /* a call that is being served and whose handler may have returned */

/*
 * In a handler: it returns without an answer, and the answer comes by NAME_reply or
 * wb_deferred_fail, once, which ends the handle. On success what the handler returns is of no
 * matter and *out is not looked at; the arguments' views and vectors stay valid until the answer
 * where the handler has moved them out of *in. Until then the call holds its message, its landings,
 * and a credit of its peer's, so that a peer has at most as many calls deferred here as it has
 * credits; where receives are few, it gives the credit back. Its deadline, a cancellation or the
 * loss of its peer end the call for its caller at once; the answer then goes nowhere. Sets
 * *deferred on success only. Errors: WB_ERR_NO_MEMORY, WB_ERR_INVALID (it was deferred already).
 * The handler's thread.
 */
WB_API int wb_context_defer(struct wb_context *context, struct wb_deferred **deferred);

/* Answers with an error of the handler's own: code above 0, and words. Takes the handle. Any
 * thread; never waits. */
WB_API void wb_deferred_fail(struct wb_deferred *deferred, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether somebody still waits for the answer: WB_OK, or why nobody does (WB_ERR_TIMED_OUT,
 * WB_ERR_CANCELLED, WB_ERR_PEER_LOST). Borrows the handle. Any thread. */
WB_API int wb_deferred_status(const struct wb_deferred *deferred);

/*
 * NAME_reply(deferred, out), generated: answers with *out, which is borrowed and not dropped, and
 * may have parts of the arguments. Takes the handle, whatever it returns. Any thread, handlers and
 * callbacks too; never waits. Returns WB_OK: the answer is on its way, or will be soon. Else the
 * caller was told of it: WB_ERR_REPLY_TOO_LARGE, WB_ERR_BUDGET, WB_ERR_INVALID (as from a handler),
 * WB_ERR_NO_MEMORY; or nobody waits any more, as wb_deferred_status says.
 *
 * wb_engine_destroy ends all handles that are left: answer them before.
 */

/*
 * Where handlers run that are registered by NAME_register_on: on threads of the program. Arguments
 * are decoded there, too, and memory for results may be grown there.
 */
struct wb_executor {
    /* Has wb_deferred_run(work) called, once and soon, on another thread or at least not before
     * this has returned; or fails it at once by wb_deferred_fail. Called by a thread that makes
     * progress: does not wait. Takes the work. */
    void (*run)(void *self, struct wb_deferred *work);
    /* Called again and again by a thread that waits for a call (wb_call_wait*, NAME_call,
     * NAME_finish) on which wb_executor_adopt was called: does a piece of other work, and returns
     * whether there was some. NULL: such a thread just waits. */
    bool (*help)(void *self);
    void *self;
};

/* Runs the handler of a call and answers, unless that defers. Takes the work. Any thread that is
 * not inside a handler of a lane. */
WB_API void wb_deferred_run(struct wb_deferred *work);

/* The calling thread is one of the executor's, or (NULL) of none any more: what waits on it helps.
 * The executor is borrowed until then. */
WB_API void wb_executor_adopt(const struct wb_executor *executor);

/*
 * There is a piece of work for the executor: called after it was given to it, wherever it comes
 * from. Wakes one of its threads that waits for a call and sleeps in an engine, whichever; that one
 * calls `help`. No piece is missed: a thread that is about to sleep there has `help` called once
 * more before it does. A load where none sleeps. For what `run` hands on it is called by the
 * engine. The executor is the one that was adopted: compared by its address, not looked at. Any
 * thread, handlers and callbacks too; never waits. A signal handler may not.
 */
WB_API void wb_executor_wake(const struct wb_executor *executor);

#endif
