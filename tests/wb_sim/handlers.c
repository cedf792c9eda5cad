/* Calls as they are served: held against the ledger, and what they wish is done. */
#include <stdlib.h>

#include "tests/simverbs/model.h"
#include "tests/wb_sim/actions.h"
#include "tests/wb_sim/bytes.h"
#include "tests/wb_sim/calls.h"
#include "tests/wb_sim/handlers.h"
#include "tests/wb_sim/later.h"
#include "tests/wb_sim/play.h"

/* The entry of a call that has come; it must be for this host, and new. */
static struct entry *recognise(struct node *node, uint64_t number, enum call_kind kind)
{
    struct entry *entry = ledger_find(&node->play->ledger, number);
    if (entry == NULL || entry->kind != kind || entry->callee != node->number) {
        play_fail(node->play, "host %u is asked for call %llu, which nobody made so", node->number,
                  (unsigned long long)number);
    }
    if (entry->executed > 0) {
        play_fail(node->play, "call %llu is executed twice", (unsigned long long)number);
    }
    if (entry->state == CALL_ENDED && entry->status == WB_ERR_NOT_SENT) {
        play_fail(node->play, "call %llu is executed, and its caller was told that it was not sent",
                  (unsigned long long)number);
    }
    return entry;
}

static void check_arguments(const struct play *play, const struct entry *entry, wb_str text,
                            wb_bytes raw, const wb_rma_vector *data)
{
    bytes_must_be(play, entry, "the text", text.data, text.len, entry->text_bytes,
                  entry_seed(entry, PART_TEXT));
    bytes_must_be(play, entry, "the raw bytes", raw.data, raw.len, entry->raw_bytes,
                  entry_seed(entry, PART_RAW));
    bytes_must_be(play, entry, "the vector", data->data, wb_rma_vector_bytes(data),
                  (size_t)entry->elem_size * entry->elem_count, entry_seed(entry, PART_DATA));
}

void handlers_check_work(const struct play *play, const struct entry *entry,
                         const struct work_in *in)
{
    check_arguments(play, entry, in->text, in->raw, &in->data);
}

/* ---- wishes ---- */

/* True: not this time. */
static bool says_again(struct node *node, struct entry *entry)
{
    if (entry->said_again == entry->again) {
        return false;
    }
    entry->said_again++;
    node->play->summary.said_again++;
    return true;
}

static int make(struct node *node, const struct entry *entry, wb_rma_vector *out)
{
    int status =
        wb_rma_vector_create(wb_engine_allocator(node->engine), 1, entry->reply_bytes, out);
    if (status == WB_OK) {
        bytes_fill(node->play, out->data, entry->reply_bytes, entry_seed(entry, PART_MADE));
    }
    return status;
}

static void keep(struct node *node, const struct entry *entry, const wb_rma_vector *data)
{
    unsigned index = (unsigned)play_below(node->play, NODE_KEPT);
    node_drop_kept(node, index);
    node->kept[index] = (struct kept){.data = wb_rma_vector_share(data),
                                      .number = entry->number,
                                      .seed = entry_seed(entry, PART_DATA)};
}

static void call_back(struct node *node, struct wb_context *context, unsigned caller)
{
    struct wb_peer *peer = wb_context_peer(context);
    call_begin(node, caller, peer, true);
    node->play->summary.called_back++;
    if (node->back.peer == NULL && play_chance(node->play, 300)) {
        node->back =
            (struct link){.peer = wb_peer_keep(peer), .target = caller, .begun_ns = sim_now_ns()};
    }
}

/* The bytes are copied before the handler's stub returns. */
wb_bytes handlers_raw(struct node *node, const struct entry *entry)
{
    free(node->answer);
    node->answer = sim_new(entry->raw_bytes);
    bytes_fill(node->play, node->answer, entry->raw_bytes, entry_seed(entry, PART_RAW));
    return (wb_bytes){.data = node->answer, .len = entry->raw_bytes};
}

int handlers_code(const struct entry *entry)
{
    return (int)(entry->number % 90) + 1;
}

/* The vector of the result, if one is wished for. */
static int give(struct node *node, const struct entry *entry, const wb_rma_vector *data,
                wb_rma_vector *out)
{
    if ((entry->wish & (WISH_FAIL | WISH_MAKE)) == WISH_MAKE) {
        return make(node, entry, out);
    }
    if ((entry->wish & WISH_ECHO) != 0) {
        *out = wb_rma_vector_share(data);
    }
    return WB_OK;
}

static void count_execution(struct node *node, struct entry *entry)
{
    entry->executed++;
    node->play->summary.executed++;
    sim_trace(node->devices[0], "wb_sim: call executed", entry->number, entry->caller, 0);
}

/* ---- handlers ---- */

static int on_work(struct wb_context *context, struct work_in *in, struct work_out *out, void *user)
{
    struct node *node = user;
    uint64_t number = in->number;
    struct entry *entry = recognise(node, number, CALL_WORK);
    handlers_check_work(node->play, entry, in);
    if (says_again(node, entry)) {
        return WB_AGAIN;
    }
    int status = give(node, entry, &in->data, &out->data);
    bool later = status == WB_OK && entry->later != LATER_NOT;
    struct later_job *job = later ? later_defer(node, context, entry) : NULL;
    status = later && job == NULL ? WB_ERR_NO_MEMORY : status;
    if (status != WB_OK) {
        return status;
    }
    count_execution(node, entry);
    if ((entry->wish & WISH_KEEP) != 0) {
        keep(node, entry, &in->data);
    }
    if ((entry->wish & WISH_STALL) != 0) {
        play_pass(play_below(node->play, 2000));
    }
    if ((entry->wish & WISH_CALL_BACK) != 0) {
        call_back(node, context, entry->caller);
        entry = ledger_find(&node->play->ledger, number);
    }
    if (job != NULL) {
        job->made = wb_rma_vector_take(&out->data);
        job->work = *in;
        *in = (struct work_in){0};
        later_take(node, job);
        return WB_ERR_INVALID; /* which is of no matter */
    }
    if ((entry->wish & WISH_FAIL) != 0) {
        return wb_context_fail(context, handlers_code(entry), HANDLERS_WORDS,
                               (unsigned long long)number);
    }
    out->number = number;
    out->text = in->text;
    out->raw = handlers_raw(node, entry);
    return WB_OK;
}

void handlers_check_many(const struct play *play, const struct entry *entry,
                         const struct many_in *in)
{
    check_arguments(play, entry, in->text, in->raw, &in->data);
    const wb_bytes ranges[] = {
#define RANGE(kind, type, name) in->name,
        SIM_RANGES(RANGE)
#undef RANGE
    };
    for (unsigned i = 0; i < SIM_RANGE_COUNT; i++) {
        bytes_must_be(play, entry, "a range", ranges[i].data, ranges[i].len,
                      entry_range_bytes(entry, i), entry_range_seed(entry, i));
    }
}

static int on_many(struct wb_context *context, struct many_in *in, struct many_out *out, void *user)
{
    struct node *node = user;
    struct entry *entry = recognise(node, in->number, CALL_MANY);
    handlers_check_many(node->play, entry, in);
    if (says_again(node, entry)) {
        return WB_AGAIN;
    }
    bool later = entry->later != LATER_NOT;
    struct later_job *job = later ? later_defer(node, context, entry) : NULL;
    if (later && job == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    entry->executed++;
    node->play->summary.executed++;
    if (job != NULL) {
        job->many = *in;
        *in = (struct many_in){0};
        later_take(node, job);
        return WB_OK;
    }
    out->number = in->number;
    return WB_OK;
}

int node_serve(struct node *node)
{
    const struct wb_executor *executor = later_executor(node);
    int status = executor != NULL ? work_register_on(node->engine, executor, on_work, node)
                                  : work_register(node->engine, on_work, node);
    if (status != WB_OK) {
        return status;
    }
    executor = later_executor(node);
    return executor != NULL ? many_register_on(node->engine, executor, on_many, node)
                            : many_register(node->engine, on_many, node);
}
