/* Handlers that answer later: on workers, inside, by a call back, or when they are let go. The two
 * actions have the same lists, so their structs are each other's. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/actions.h"
#include "tests/conformance/actions_later.h"
#include "tests/conformance/service.h"
#include "tests/support/pattern.h"

_Static_assert(sizeof(struct later_in) == sizeof(struct on_workers_in), "the same lists");
_Static_assert(sizeof(struct later_out) == sizeof(struct on_workers_out), "the same lists");

/* A call that is to be answered, with its arguments. */
struct test_job {
    struct test_job *next;
    struct wb_deferred *call;
    struct test_later *owner;
    struct wb_peer *peer; /* to be called back; kept; or NULL */
    struct later_in in;
};

/* The answer is made of the arguments; what it owns is moved out of them. */
static struct later_out answer_of(struct later_in *in)
{
    uint64_t bytes = wb_rma_vector_bytes(&in->data);
    bool right = test_pattern_check(in->raw.data, in->raw.len, in->seed) == in->raw.len &&
                 test_pattern_check(in->data.data, bytes, in->seed + 1) == bytes;
    return (struct later_out){
        .right = right, .text = in->text, .raw = in->raw, .data = wb_rma_vector_take(&in->data)};
}

static void end_job(struct test_job *job)
{
    later_in_drop(&job->in);
    wb_peer_close(job->peer);
    free(job);
}

static void answer(void *context)
{
    struct test_job *job = context;
    if (job->in.how == TEST_BY_FAILURE) {
        wb_deferred_fail(job->call, 7, "%s", "later");
    } else {
        struct later_out out = answer_of(&job->in);
        later_reply(job->call, &out);
        later_out_drop(&out);
    }
    end_job(job);
}

static void called_back(struct wb_call *call, void *user)
{
    struct test_job *job = user;
    struct add_out sum;
    int status = add_finish(call, &sum);
    if (status != WB_OK || sum.sum != job->in.seed + 1) {
        wb_deferred_fail(job->call, 1, "the call back: %s", wb_status_text(status));
        end_job(job);
        return;
    }
    answer(job);
}

static void call_back(struct test_job *job)
{
    struct add_in in = {.a = job->in.seed, .b = 1};
    struct wb_call_options options = {.then = called_back, .user = job};
    struct wb_call *call;
    int status = add_async(job->peer, &in, &options, &call);
    if (status != WB_OK) {
        wb_deferred_fail(job->call, 1, "no call back: %s", wb_status_text(status));
        end_job(job);
    }
}

static void hold(struct test_job *job)
{
    pthread_mutex_lock(&job->owner->lock);
    job->next = job->owner->held;
    job->owner->held = job;
    pthread_mutex_unlock(&job->owner->lock);
}

static struct test_job *take_held(struct test_later *later)
{
    pthread_mutex_lock(&later->lock);
    struct test_job *job = later->held;
    later->held = NULL;
    pthread_mutex_unlock(&later->lock);
    return job;
}

static int on_later(struct wb_context *context, struct later_in *in, struct later_out *out,
                    void *user)
{
    struct test_service *service = user;
    struct wb_deferred *again;
    (void)out;
    struct test_job *job = calloc(1, sizeof *job);
    int status = job != NULL ? wb_context_defer(context, &job->call) : WB_ERR_NO_MEMORY;
    if (status != WB_OK) {
        free(job);
        return status;
    }
    if (wb_context_defer(context, &again) != WB_ERR_INVALID) {
        abort();
    }
    job->owner = &service->later;
    job->in = *in;
    *in = (struct later_in){0};
    switch (job->in.how) {
    case TEST_IN_HANDLER:
        answer(job);
        break;
    case TEST_BY_CALL_BACK:
        job->peer = wb_peer_keep(wb_context_peer(context));
        call_back(job);
        break;
    case TEST_WHEN_LET_GO:
        hold(job);
        break;
    default:
        test_workers_give(&service->later.workers, answer, job);
        break;
    }
    return WB_ERR_INVALID; /* which is of no matter */
}

/* On a worker, which may wait for a call. */
static int wait_for_call_back(struct wb_context *context, uint64_t seed)
{
    struct add_in in = {.a = seed, .b = 1};
    struct add_out out;
    int status = add_call(wb_context_peer(context), &in, &out, NULL);
    return status == WB_OK && out.sum != seed + 1 ? WB_ERR_MALFORMED : status;
}

static int on_on_workers(struct wb_context *context, struct on_workers_in *in,
                         struct on_workers_out *out, void *user)
{
    struct test_service *service = user;
    struct later_in args;
    switch (in->how) {
    case TEST_BY_WORKER: /* deferred once more: the work's own answer is another's */
    case TEST_WHEN_LET_GO:
        memcpy(&args, in, sizeof args);
        *in = (struct on_workers_in){0};
        return on_later(context, &args, NULL, service);
    case TEST_BY_FAILURE:
        return wb_context_fail(context, 7, "later");
    case TEST_AFTER_AGAIN:
        if (atomic_fetch_add(&service->later.agains, 1) % 3 != 2) {
            return WB_AGAIN;
        }
        break;
    case TEST_BY_CALL_BACK: {
        int status = wait_for_call_back(context, in->seed);
        if (status != WB_OK) {
            return status;
        }
        break;
    }
    default:
        break;
    }
    memcpy(&args, in, sizeof args);
    struct later_out answered = answer_of(&args);
    in->data = args.data; /* moved from there */
    memcpy(out, &answered, sizeof answered);
    return WB_OK;
}

static int on_let_later_go(struct wb_context *context, struct let_later_go_in *in,
                           struct let_later_go_out *out, void *user)
{
    struct test_service *service = user;
    (void)context;
    struct test_job *job = take_held(&service->later);
    while (job != NULL) {
        struct test_job *next = job->next;
        out->held++;
        out->unwanted += wb_deferred_status(job->call) != WB_OK;
        if (in->answer) {
            answer(job);
        } else {
            hold(job);
        }
        job = next;
    }
    return WB_OK;
}

int test_service_register_later(struct test_service *service)
{
    struct wb_engine *engine = service->engine;
    struct test_later *later = &service->later;
    pthread_mutex_init(&later->lock, NULL);
    int status = test_workers_start(&later->workers);
    status = status == WB_OK ? later_register(engine, on_later, service) : status;
    status = status == WB_OK
                 ? on_workers_register_on(engine, &later->workers.executor, on_on_workers, service)
                 : status;
    return status == WB_OK ? let_later_go_register(engine, on_let_later_go, service) : status;
}

void test_later_stop(struct test_later *later)
{
    test_workers_stop(&later->workers);
}

/* What was never answered: the engine has ended the calls, and what was moved out of their
 * arguments is ours. */
void test_later_close(struct test_later *later)
{
    struct test_job *job = take_held(later);
    while (job != NULL) {
        struct test_job *next = job->next;
        later_in_drop(&job->in);
        free(job);
        job = next;
    }
    pthread_mutex_destroy(&later->lock);
}
