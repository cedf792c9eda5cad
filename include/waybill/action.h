/*
 * Actions: functions that can be called remotely, from two lists of fields each, the arguments and
 * the results; <waybill/field.h> says what a field can be.
 *
 *   #define SCALE_IN(F)   F(VALUE, f64, factor) F(STRING, wb_str, label) F(RMA, wb_rma_vector, x)
 *   #define SCALE_OUT(F)  F(VALUE, f64, sum)    F(RMA, wb_rma_vector, scaled)
 *   WB_ACTION(scale, SCALE_IN, SCALE_OUT)
 *
 * generates, all static:
 *
 *   struct scale_in, scale_out               the fields, and a last member `hold`, the library's
 *   scale_register(engine, handler, user)    serves it by handler(context, in, out, user)
 *   scale_register_on(engine, executor, handler, user)   serves it on threads of the program
 *   scale_reply(deferred, out)               answers a call that its handler has deferred
 *   scale_call(peer, in, out, options)       calls and waits
 *   scale_async(peer, in, options, &call)    calls; the end comes by scale_finish
 *   scale_apply(peer, in, options)           sends, and no answer comes: at most once, and nobody
 * is told whether it was executed; on_sent says when the arguments may be reused scale_finish(call,
 * out)                  waits for the end of a call, decodes its result and ends the handle (inside
 * a handler only where wb_call_done; else WB_ERR_DEADLOCK, handle kept) scale_in_drop(in),
 * scale_out_drop(out)   drop received vectors, objects, buffers and views; accept zeroed structs
 *
 * A result that was not received, for whatever reason, is all zero. Vectors and objects of one that
 * was lie in memory of the engine's (reply_bytes in the call's options), or in the caller's (into).
 */
#ifndef WAYBILL_ACTION_H
#define WAYBILL_ACTION_H

#include <stdatomic.h>
#include <waybill/call.h>
#include <waybill/custom.h>
#include <waybill/defer.h>
#include <waybill/field.h>

/*
 * An action's descriptor; WB_ACTION makes one per translation unit, which is fine: they agree.
 * id is the 64-bit FNV-1a hash of the name; signature that of both field lists (kinds, types,
 * names, in order), so that two programs that disagree get WB_ERR_SIGNATURE and no garbage. Both
 * are 0 until wb_action_prepare.
 */
struct wb_action {
    const char *name;
    const struct wb_field *in, *out;
    _Atomic uint64_t id, signature;
};

/* Fills id and signature if they are not yet; idempotent; any thread. */
WB_API void wb_action_prepare(struct wb_action *action);

/* A request's arguments, as the generated server stub gets them; valid while the handler runs.
 * archive: `bytes` of it, all that there is; NULL where there are chunks, or it has waited. reader:
 * wb_request_open's. */
struct wb_request {
    const uint8_t *archive;
    size_t bytes;
    struct wb_reader reader;
};

/* What the generated server stub looks like to the engine: decodes, runs the handler, replies.
 * Returns the handler's result, or a decode or reply error. */
typedef int (*wb_serve_fn)(struct wb_context *context, struct wb_request *request,
                           void (*handler)(void), void *user);

/* Starts reading the arguments; what then is wrong with them is told to the caller. Returns the
 * request's reader. */
WB_API struct wb_reader *wb_request_open(const struct wb_context *context,
                                         struct wb_request *request);

/* Registers an action; use the generated NAME_register or NAME_register_on. `user` and `executor`
 * are borrowed for the life of the engine; executor NULL: the handler runs on the lane. Errors:
 * WB_ERR_EXISTS (the name, or another name with the same id), WB_ERR_INVALID (a field behind an
 * added one that is none), WB_ERR_NO_MEMORY. Any thread. */
WB_API int wb_action_register(struct wb_engine *engine, struct wb_action *action, wb_serve_fn serve,
                              void (*handler)(void), void *user,
                              const struct wb_executor *executor);

/* ---- the steps of a call, for the generated stubs ---- */

/* Whether a call with these options has an end that its caller can finish: WB_ERR_INVALID
 * otherwise.
 */
WB_API int wb_call_refuse_one_way(void);
static inline int wb_call_may_return(const struct wb_call_options *options)
{
    return options != NULL && (options->flags & WB_CALL_ONE_WAY) != 0 ? wb_call_refuse_one_way()
                                                                      : WB_OK;
}

/* The options of NAME_apply. */
static inline struct wb_call_options wb_call_one_way(const struct wb_call_options *options)
{
    struct wb_call_options one_way = {0};
    if (options != NULL) {
        one_way = *options;
    }
    one_way.flags |= WB_CALL_ONE_WAY;
    return one_way;
}

/* Starts the sizing pass with the thresholds that hold for this peer and these options. */
WB_API void wb_call_size(struct wb_sizer *sizer, struct wb_peer *peer,
                         const struct wb_call_options *options);

/* Takes a call, a slot and room for the chunk list, and points the writer into the slot. Between
 * begin and commit the caller does nothing but put the fields. Errors: those of NAME_async; on
 * failure commit is not called. */
WB_API int wb_call_begin(struct wb_peer *peer, struct wb_action *action,
                         const struct wb_sizer *sizer, const struct wb_call_options *options,
                         struct wb_writer *writer);

/* Makes the leases and sends, or gives everything back. Sets *call on success only. */
WB_API int wb_call_commit(struct wb_writer *writer, struct wb_call **call);

/* What a thread waits for inside of another engine's handler or callback; the library's. */
struct wb_wait {
    const struct wbi_lane *within, *lane;
    struct wb_call *const *calls;
    size_t count;
    bool any, stuck;
    struct wb_wait *next;
};

/* Around a call that is waited for: whether the calling thread may wait for this peer. *wait is
 * zero at first, and borrowed in between where `within` is not NULL. WB_ERR_DEADLOCK: inside a
 * handler of this engine's, or inside another's while one of this engine's waits, maybe through
 * others, for what the calling thread keeps; has_waited is then not needed. */
WB_API int wb_call_may_wait(struct wb_peer *peer, struct wb_wait *wait);
WB_API void wb_call_has_waited(struct wb_wait *wait);

/* Makes progress until there may be room for a call to this peer. *left is zero at first; it
 * becomes a copy of the options whose timeout_us shrinks by the time spent here. Returns WB_OK (try
 * again, with left) or WB_ERR_TIMED_OUT. */
WB_API int wb_call_await_room(struct wb_peer *peer, const struct wb_call_options *options,
                              struct wb_call_options *left);

/* Waits for the end of the call and opens its result. Returns WB_OK, or how the call ended. */
WB_API int wb_call_open(struct wb_call *call, struct wb_reader *reader);

/* The result does not decode: what was wrong with it and where, for wb_last_error. */
WB_API void wb_action_explain_result(const struct wb_action *action,
                                     const struct wb_reader *reader);

/* Ends the handle, or leaves it to `hold` where the result has views into it (keep). */
WB_API void wb_call_close(struct wb_call *call, struct wb_hold *hold, bool keep);

/* Gives back what a result's views point into; accepts a zeroed hold, as most are. */
WB_API void wb_hold_release(struct wb_hold *hold);
static inline void wbi_drop_hold(struct wb_hold *hold)
{
    if (hold->call != NULL || hold->item != NULL || hold->arena.blocks != NULL) {
        wb_hold_release(hold);
    }
}

/* The reply's steps, as the call's. wanted: whether there is one; after it the handler is never run
 * again. */
WB_API bool wb_reply_wanted(struct wb_context *context);
WB_API void wb_reply_size(struct wb_sizer *sizer, const struct wb_context *context);
WB_API int wb_reply_begin(struct wb_context *context, const struct wb_sizer *sizer,
                          struct wb_writer *writer);
WB_API int wb_reply_commit(struct wb_context *context, struct wb_writer *writer);

/* The same of arguments and results whose archives are short and of fixed length (T_packed): all
 * the steps as one, with the archive packed already, which is borrowed for the call. take: waits
 * for the end; true where it was well, with just so many bytes: they are copied, and the handle
 * ends; else all is as it was, and wb_call_open says more. */
WB_API int wb_call_packed(struct wb_peer *peer, struct wb_action *action, const void *archive,
                          size_t bytes, const struct wb_call_options *options,
                          struct wb_call **call);
WB_API bool wb_call_take_packed(struct wb_call *call, void *archive, size_t bytes);
WB_API int wb_reply_packed(struct wb_context *context, const void *archive, size_t bytes);

/* Around the steps of a deferred reply, for NAME_reply. open: WB_OK, or why nobody waits any more;
 * close follows in any case, takes the handle and returns its status. */
WB_API int wb_deferred_open(struct wb_deferred *deferred, struct wb_context **context);
WB_API int wb_deferred_close(struct wb_deferred *deferred, int status);

/* A struct of fields, which holds on to what its views point into. */
#define WBI_RECORD(record, FIELDS)                                                                 \
    struct record {                                                                                \
        FIELDS(WBI_MEMBER)                                                                         \
        struct wb_hold hold;                                                                       \
    };                                                                                             \
    WBI_PASSES(record, FIELDS)                                                                     \
    WBI_GENERATED void record##_drop(struct record *v)                                             \
    {                                                                                              \
        FIELDS(WBI_DROP)                                                                           \
        wbi_drop_hold(&v->hold);                                                                   \
    }                                                                                              \
    WBI_ARCHIVE(record)                                                                            \
    WBI_PACK(record)                                                                               \
    WBI_GENERATED int record##_get(struct wb_reader *r, struct record *v)                          \
    {                                                                                              \
        v->hold = (struct wb_hold){.arena = {.limit = r->arena_limit}};                            \
        r->arena = &v->hold.arena;                                                                 \
        record##_get_values(r, v);                                                                 \
        if (r->at != r->end) {                                                                     \
            wb_reader_pass_added(r);                                                               \
        }                                                                                          \
        int status = wb_reader_finish(r);                                                          \
        r->arena = NULL; /* it may outlive *v */                                                   \
        if (status != WB_OK) {                                                                     \
            record##_drop(v);                                                                      \
            *v = (struct record){0};                                                               \
        }                                                                                          \
        return status;                                                                             \
    }                                                                                              \
    WBI_KEEP(record)

#define WB_ACTION(action, IN, OUT)                                                                 \
    WBI_RECORD(action##_in, IN)                                                                    \
    WBI_RECORD(action##_out, OUT)                                                                  \
    WBI_UNUSED static struct wb_action action##_action = {                                         \
        .name = #action, .in = action##_in_fields, .out = action##_out_fields};                    \
    typedef int (*action##_handler)(struct wb_context * context, struct action##_in * in,          \
                                    struct action##_out * out, void *user);                        \
    WBI_GENERATED int wbi_##action##_answer_sized(struct wb_context *context,                      \
                                                  const struct action##_out *out)                  \
    {                                                                                              \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        if (!wb_reply_wanted(context)) {                                                           \
            return WB_OK;                                                                          \
        }                                                                                          \
        wb_reply_size(&sizer, context);                                                            \
        action##_out_size(&sizer, out);                                                            \
        if (wb_sizer_gathers(&sizer)) {                                                            \
            action##_out_size(&sizer, out);                                                        \
        }                                                                                          \
        int status = wb_reply_begin(context, &sizer, &writer);                                     \
        if (status == WB_OK) {                                                                     \
            action##_out_put(&writer, out);                                                        \
            status = wb_reply_commit(context, &writer);                                            \
        }                                                                                          \
        return status;                                                                             \
    }                                                                                              \
    WBI_GENERATED int wbi_##action##_answer(struct wb_context *context,                            \
                                            const struct action##_out *out)                        \
    {                                                                                              \
        uint8_t archive[WB_PACKED_MOST];                                                           \
        return action##_out_packed && action##_out_pack(archive, out)                              \
                   ? wb_reply_packed(context, archive, action##_out_wire_min)                      \
                   : wbi_##action##_answer_sized(context, out);                                    \
    }                                                                                              \
    WBI_GENERATED int action##_reply(struct wb_deferred *deferred, const struct action##_out *out) \
    {                                                                                              \
        struct wb_context *context;                                                                \
        int status = wb_deferred_open(deferred, &context);                                         \
        if (status == WB_OK) {                                                                     \
            status = wbi_##action##_answer(context, out);                                          \
        }                                                                                          \
        return wb_deferred_close(deferred, status);                                                \
    }                                                                                              \
    WBI_GENERATED int action##_serve(struct wb_context *context, struct wb_request *request,       \
                                     void (*handler)(void), void *user)                            \
    {                                                                                              \
        struct action##_in in = {0};                                                               \
        struct action##_out out = {0};                                                             \
        int status = WB_OK;                                                                        \
        if (!action##_in_packed || request->archive == NULL ||                                     \
            !action##_in_unpack(request->archive, request->bytes, &in)) {                          \
            status = action##_in_get(wb_request_open(context, request), &in);                      \
        }                                                                                          \
        if (status == WB_OK) {                                                                     \
            status = ((action##_handler)handler)(context, &in, &out, user);                        \
        }                                                                                          \
        if (status == WB_OK) {                                                                     \
            status = wbi_##action##_answer(context, &out);                                         \
        }                                                                                          \
        if (!action##_out_packed) { /* first: it may have parts of the arguments */                \
            action##_out_drop(&out);                                                               \
        }                                                                                          \
        if (!action##_in_packed) {                                                                 \
            action##_in_drop(&in);                                                                 \
        }                                                                                          \
        return status;                                                                             \
    }                                                                                              \
    WBI_GENERATED int action##_register(struct wb_engine *engine, action##_handler handler,        \
                                        void *user)                                                \
    {                                                                                              \
        return wb_action_register(engine, &action##_action, action##_serve,                        \
                                  (void (*)(void))handler, user, NULL);                            \
    }                                                                                              \
    WBI_GENERATED int action##_register_on(struct wb_engine *engine,                               \
                                           const struct wb_executor *executor,                     \
                                           action##_handler handler, void *user)                   \
    {                                                                                              \
        return wb_action_register(engine, &action##_action, action##_serve,                        \
                                  (void (*)(void))handler, user, executor);                        \
    }                                                                                              \
    WBI_GENERATED int wbi_##action##_begin_sized(                                                  \
        struct wb_peer *peer, const struct action##_in *in, const struct wb_call_options *options, \
        struct wb_call **call)                                                                     \
    {                                                                                              \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        wb_call_size(&sizer, peer, options);                                                       \
        action##_in_size(&sizer, in);                                                              \
        if (wb_sizer_gathers(&sizer)) {                                                            \
            action##_in_size(&sizer, in);                                                          \
        }                                                                                          \
        int status = wb_call_begin(peer, &action##_action, &sizer, options, &writer);              \
        if (status == WB_OK) {                                                                     \
            action##_in_put(&writer, in);                                                          \
            status = wb_call_commit(&writer, call);                                                \
        }                                                                                          \
        return status;                                                                             \
    }                                                                                              \
    WBI_GENERATED int wbi_##action##_begin(struct wb_peer *peer, const struct action##_in *in,     \
                                           const struct wb_call_options *options,                  \
                                           struct wb_call **call)                                  \
    {                                                                                              \
        uint8_t archive[WB_PACKED_MOST];                                                           \
        return action##_in_packed && action##_in_pack(archive, in)                                 \
                   ? wb_call_packed(peer, &action##_action, archive, action##_in_wire_min,         \
                                    options, call)                                                 \
                   : wbi_##action##_begin_sized(peer, in, options, call);                          \
    }                                                                                              \
    WBI_GENERATED int action##_async(struct wb_peer *peer, const struct action##_in *in,           \
                                     const struct wb_call_options *options, struct wb_call **call) \
    {                                                                                              \
        int status = wb_call_may_return(options);                                                  \
        return status == WB_OK ? wbi_##action##_begin(peer, in, options, call) : status;           \
    }                                                                                              \
    WBI_GENERATED int action##_apply(struct wb_peer *peer, const struct action##_in *in,           \
                                     const struct wb_call_options *options)                        \
    {                                                                                              \
        struct wb_call_options one_way = wb_call_one_way(options);                                 \
        struct wb_call *call;                                                                      \
        return wbi_##action##_begin(peer, in, &one_way, &call);                                    \
    }                                                                                              \
    WBI_GENERATED int action##_finish(struct wb_call *call, struct action##_out *out)              \
    {                                                                                              \
        struct wb_reader reader;                                                                   \
        uint8_t archive[WB_PACKED_MOST];                                                           \
        *out = (struct action##_out){0};                                                           \
        if (action##_out_packed && wb_call_take_packed(call, archive, action##_out_wire_min)) {    \
            if (action##_out_unpack(archive, action##_out_wire_min, out)) {                        \
                return WB_OK;                                                                      \
            }                                                                                      \
            wb_reader_start(&reader, archive, action##_out_wire_min);                              \
            int wrong = action##_out_get(&reader, out);                                            \
            wb_action_explain_result(&action##_action, &reader);                                   \
            return wrong;                                                                          \
        }                                                                                          \
        int status = wb_call_open(call, &reader);                                                  \
        if (status == WB_OK) {                                                                     \
            status = action##_out_get(&reader, out);                                               \
            if (status != WB_OK) {                                                                 \
                wb_action_explain_result(&action##_action, &reader);                               \
            }                                                                                      \
        }                                                                                          \
        wb_call_close(call, &out->hold, status == WB_OK && action##_out_views);                    \
        return status;                                                                             \
    }                                                                                              \
    WBI_GENERATED int action##_call(struct wb_peer *peer, const struct action##_in *in,            \
                                    struct action##_out *out,                                      \
                                    const struct wb_call_options *options)                         \
    {                                                                                              \
        struct wb_call *call = NULL;                                                               \
        struct wb_call_options left = {0};                                                         \
        struct wb_wait wait = {0};                                                                 \
        *out = (struct action##_out){0};                                                           \
        int status = wb_call_may_wait(peer, &wait);                                                \
        if (status == WB_OK) {                                                                     \
            status = action##_async(peer, in, options, &call);                                     \
        }                                                                                          \
        while (status == WB_AGAIN) {                                                               \
            status = wb_call_await_room(peer, options, &left);                                     \
            if (status == WB_OK) {                                                                 \
                status = action##_async(peer, in, &left, &call);                                   \
            }                                                                                      \
        }                                                                                          \
        status = status == WB_OK ? action##_finish(call, out) : status;                            \
        if (wait.within != NULL) {                                                                 \
            wb_call_has_waited(&wait);                                                             \
        }                                                                                          \
        return status;                                                                             \
    }

#endif
