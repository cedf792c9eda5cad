/* The handlers that do more than answer: they fail, wait, keep, try what is forbidden, call back.
 */
#include <pthread.h>
#include <string.h>

#include "tests/conformance/actions.h"
#include "tests/conformance/service.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static int on_fail(struct wb_context *context, struct fail_in *in, struct fail_out *out, void *user)
{
    (void)out;
    (void)user;
    return in->text.len == 0 ? in->code
                             : wb_context_fail(context, in->code, "%.*s", WB_STR_ARG(in->text));
}

static int on_give_status(struct wb_context *context, struct give_status_in *in,
                          struct give_status_out *out, void *user)
{
    (void)context;
    (void)out;
    (void)user;
    return in->status;
}

static int on_again(struct wb_context *context, struct again_in *in, struct again_out *out,
                    void *user)
{
    struct test_service *service = user;
    (void)context;
    service->again_runs++;
    if (service->again_runs <= in->times) {
        return WB_AGAIN;
    }
    out->runs = service->again_runs;
    out->data_right = test_pattern_check(in->data.data, in->data.count, in->seed);
    out->text = in->text;
    out->data = wb_rma_vector_take(&in->data);
    service->again_runs = 0;
    return WB_OK;
}

static int on_wait_at_gate(struct wb_context *context, struct wait_at_gate_in *in,
                           struct wait_at_gate_out *out, void *user)
{
    const struct test_service *service = user;
    (void)context;
    (void)in;
    (void)out;
    return service->gate_open ? WB_OK : WB_AGAIN;
}

static int on_open_gate(struct wb_context *context, struct open_gate_in *in,
                        struct open_gate_out *out, void *user)
{
    struct test_service *service = user;
    (void)context;
    (void)out;
    service->gate_open = in->open != 0;
    return WB_OK;
}

static int on_keep(struct wb_context *context, struct keep_in *in, struct keep_out *out, void *user)
{
    struct test_service *service = user;
    (void)out;
    if (service->kept_count == TEST_KEPT_MOST) {
        return wb_context_fail(context, 1, "%d vectors are kept already", TEST_KEPT_MOST);
    }
    service->kept[service->kept_count++] =
        (struct test_kept){.data = wb_rma_vector_take(&in->data), .seed = in->seed};
    return WB_OK;
}

struct freeing {
    struct test_kept *kept;
    uint32_t count, spoilt;
};

static void *free_kept(void *context)
{
    struct freeing *freeing = context;
    for (uint32_t i = 0; i < freeing->count; i++) {
        struct test_kept *kept = &freeing->kept[i];
        size_t bytes = wb_rma_vector_bytes(&kept->data);
        freeing->spoilt += test_pattern_check(kept->data.data, bytes, kept->seed) != bytes;
        wb_rma_vector_drop(&kept->data);
    }
    return NULL;
}

static int on_let_go(struct wb_context *context, struct let_go_in *in, struct let_go_out *out,
                     void *user)
{
    struct test_service *service = user;
    struct freeing freeing = {.kept = service->kept, .count = service->kept_count};
    pthread_t thread;
    (void)in;
    if (pthread_create(&thread, NULL, free_kept, &freeing) != 0) {
        return wb_context_fail(context, 1, "no thread to be had");
    }
    pthread_join(thread, NULL);
    out->kept = service->kept_count;
    out->spoilt = freeing.spoilt;
    service->kept_count = 0;
    return WB_OK;
}

static int on_stall(struct wb_context *context, struct stall_in *in, struct stall_out *out,
                    void *user)
{
    (void)context;
    (void)out;
    (void)user;
    test_sleep_us((uint64_t)in->ms * 1000);
    return WB_OK;
}

static int on_inside(struct wb_context *context, struct inside_in *in, struct inside_out *out,
                     void *user)
{
    struct test_service *service = user;
    struct wb_engine *engine = wb_context_engine(context);
    struct wb_peer *peer = wb_context_peer(context);
    struct add_in numbers = {.a = 1, .b = 2};
    struct add_out sum;
    (void)in;
    if (service->inside != NULL) {
        return wb_context_fail(context, 1, "the last call from inside has not ended");
    }
    out->progress = wb_progress(engine);
    out->wait = wb_wait(engine, 1000);
    out->peer_wait = wb_peer_wait(peer, 1000);
    out->call = add_call(peer, &numbers, &sum, NULL);
    out->call_wait = out->finish = add_async(peer, &numbers, NULL, &service->inside);
    if (out->finish == WB_OK) {
        out->call_wait = wb_call_wait(service->inside, 1000);
        out->finish = add_finish(service->inside, &sum);
    }
    return WB_OK; /* the tick finishes it */
}

/* ---- calling back ---- */

enum { BACK_SEED = 5 };

static int on_call_me(struct wb_context *context, struct call_me_in *in, struct call_me_out *out,
                      void *user)
{
    struct test_back *back = &((struct test_service *)user)->back;
    if (back->peer != NULL) {
        return wb_context_fail(context, 1, "somebody is being called back already");
    }
    *back = (struct test_back){.peer = wb_peer_keep(wb_context_peer(context)),
                               .bytes = in->bytes,
                               .left = in->times < TEST_BACK_MOST ? in->times : TEST_BACK_MOST};
    out->begun = back->left;
    return WB_OK;
}

static int on_called_back(struct wb_context *context, struct called_back_in *in,
                          struct called_back_out *out, void *user)
{
    const struct test_back *back = &((struct test_service *)user)->back;
    (void)context;
    (void)in;
    out->open = back->left + back->open + (back->peer != NULL);
    out->right = back->right;
    out->wrong = back->wrong;
    return WB_OK;
}

static int call_back(struct test_service *service, struct wb_call **call)
{
    struct test_back *back = &service->back;
    struct wb_call_options options = {.reply_bytes = back->bytes};
    struct vector_in in = {.before = 7, .after = 77};
    int status =
        wb_rma_vector_create(wb_engine_allocator(service->engine), 1, back->bytes, &in.data);
    if (status == WB_OK) {
        test_pattern_fill(in.data.data, back->bytes, BACK_SEED);
        status = vector_async(back->peer, &in, &options, call);
    }
    vector_in_drop(&in);
    return status;
}

static bool finish_back(struct test_back *back, uint32_t i)
{
    struct vector_out out;
    int status = vector_finish(back->calls[i], &out);
    bool right = status == WB_OK && out.before == 7 && out.after == 77 &&
                 wb_rma_vector_bytes(&out.data) == back->bytes &&
                 test_pattern_check(out.data.data, back->bytes, BACK_SEED) == back->bytes;
    vector_out_drop(&out);
    back->calls[i] = back->calls[--back->open];
    return right;
}

void test_service_tick(void *context)
{
    struct test_service *service = context;
    struct test_back *back = &service->back;
    struct add_out sum;
    if (service->inside != NULL && wb_call_done(service->inside)) {
        add_finish(service->inside, &sum);
        service->inside = NULL;
    }
    while (back->left > 0) {
        int status = call_back(service, &back->calls[back->open]);
        if (status == WB_AGAIN) {
            break;
        }
        back->left--;
        back->open += status == WB_OK;
        back->wrong += status != WB_OK;
    }
    for (uint32_t i = 0; i < back->open;) {
        if (!wb_call_done(back->calls[i])) {
            i++;
        } else if (finish_back(back, i)) {
            back->right++;
        } else {
            back->wrong++;
        }
    }
    if (back->peer != NULL && back->left == 0 && back->open == 0) {
        wb_peer_close(back->peer);
        back->peer = NULL;
    }
}

int test_service_register_odd(struct test_service *service)
{
    struct wb_engine *engine = service->engine;
    int results[] = {fail_register(engine, on_fail, service),
                     give_status_register(engine, on_give_status, service),
                     again_register(engine, on_again, service),
                     wait_at_gate_register(engine, on_wait_at_gate, service),
                     open_gate_register(engine, on_open_gate, service),
                     keep_register(engine, on_keep, service),
                     let_go_register(engine, on_let_go, service),
                     stall_register(engine, on_stall, service),
                     inside_register(engine, on_inside, service),
                     call_me_register(engine, on_call_me, service),
                     called_back_register(engine, on_called_back, service)};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        if (results[i] != WB_OK) {
            return results[i];
        }
    }
    return WB_OK;
}
