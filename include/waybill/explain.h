/*
 * What the planner makes of a call, for debugging: WB_EXPLAIN(scale_in) makes
 *
 *   scale_in_explain(out, limits, value)
 *
 * for the arguments of an action, its results (scale_out) or a type of WB_STRUCT. It writes *value
 * into an archive as a call would and prints, to the FILE `out`, which parts become chunks and by
 * which threshold, what the filter leaves of the archive, how the message is laid out, what is on
 * board and what is READ, and the archive (<waybill/print.h>). Nothing is sent. Returns WB_OK,
 * WB_ERR_INVALID (a value that cannot be packed, or a message that cannot be made that small),
 * WB_ERR_NO_MEMORY, WB_ERR_SYSTEM (`out` has an error). What could be printed has been. Any thread,
 * one at a time for an `out`.
 */
#ifndef WAYBILL_EXPLAIN_H
#define WAYBILL_EXPLAIN_H

#include <waybill/action.h>
#include <waybill/print.h>

/* What the planner knows of both sides. */
struct wb_limits {
    struct wb_thresholds thresholds;
    bool exact;              /* the call's own: many small chunks are not gathered */
    bool reply;              /* a result rather than arguments: what is borrowed is copied, whatever
                                the pointer threshold, and `exact` means nothing */
    size_t filter_from;      /* archives of so many bytes are filtered, those of a result where the
                                caller has room for both; SIZE_MAX: none */
    uint32_t eager_bytes;    /* the largest message; 512 or more */
    uint32_t key_bytes;      /* of the fabric's keys, 1 to 32: shm 16, verbs 4, or 4 a device */
    uint32_t max_offers;     /* chunks and long parts of one parcel */
    uint64_t max_read_bytes; /* a larger part is READ in several */
};

/* Those of a call by shm between two engines of this configuration (NULL: the default) with these
 * options (NULL: none). Whoever wants others changes them. */
WB_API void wb_limits_of_config(struct wb_limits *limits, const struct wb_engine_config *config,
                                const struct wb_call_options *options);

/* Those that hold now for a call to this peer with these options (NULL: none). Any thread. */
WB_API void wb_limits_of_peer(struct wb_limits *limits, struct wb_peer *peer,
                              const struct wb_call_options *options);

/* ---- the steps, for the generated function ---- */

/* Starts the sizing pass. */
WB_API void wb_explain_size(struct wb_sizer *sizer, const struct wb_limits *limits);

/* Takes memory for what was sized and points the writer there. On failure end is not called.
 * WB_ERR_NO_MEMORY, WB_ERR_INVALID (more bytes than memory can hold). */
WB_API int wb_explain_begin(const struct wb_sizer *sizer, struct wb_writer *writer);

/* Prints what was written, and frees it. */
WB_API int wb_explain_end(FILE *out, const struct wb_limits *limits, const struct wb_field *fields,
                          struct wb_writer *writer);

#define WB_EXPLAIN(T)                                                                              \
    WBI_GENERATED int T##_explain(FILE *out, const struct wb_limits *limits, const struct T *v)    \
    {                                                                                              \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        wb_explain_size(&sizer, limits);                                                           \
        T##_size(&sizer, v);                                                                       \
        if (wb_sizer_gathers(&sizer)) {                                                            \
            T##_size(&sizer, v);                                                                   \
        }                                                                                          \
        int status = wb_explain_begin(&sizer, &writer);                                            \
        if (status == WB_OK) {                                                                     \
            T##_put(&writer, v);                                                                   \
            status = wb_explain_end(out, limits, T##_fields, &writer);                             \
        }                                                                                          \
        return status;                                                                             \
    }

#endif
