#include "perf/demo_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_child.h"
#include "perf/common_clock.h"
#include "perf/common_listen.h"
#include "perf/common_say.h"
#include "perf/demo.h"
#include "perf/demo_actions.h"

enum { WAIT_US = 100000 };
enum { NO_DOUBLES = 1, NO_ROOM = 2 }; /* our handlers' own codes */

/* Writes to[i] = from[i] * factor and returns the sum. `from` may be `to`, and needs no alignment,
 * since byte ranges have none in an archive. */
static double scale(double *to, const void *from, size_t count, double factor)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, (const char *)from + i * sizeof value, sizeof value);
        to[i] = value * factor;
        sum += to[i];
    }
    return sum;
}

/*
 * A vector has landed in our pool and is ours: it is scaled where it is, and goes back from there.
 * A byte range can only be looked at, so its result needs a vector of its own.
 */
static int take_field(struct wb_context *context, struct demo_scale_in *in, wb_rma_vector *field)
{
    if (in->vector.count > 0) {
        *field = wb_rma_vector_take(&in->vector);
        return field->elem_size == sizeof(double)
                   ? WB_OK
                   : wb_context_fail(context, NO_DOUBLES, "elements of %u bytes are no doubles",
                                     field->elem_size);
    }
    if (in->bytes.len % sizeof(double) != 0) {
        return wb_context_fail(context, NO_DOUBLES, "%zu bytes are no doubles", in->bytes.len);
    }
    size_t count = in->bytes.len / sizeof(double);
    struct wb_rma_allocator *pool = wb_engine_allocator(wb_context_engine(context));
    int status = wb_rma_vector_create(pool, sizeof(double), count, field);
    if (status == WB_OK || status == WB_AGAIN) {
        return status; /* WB_AGAIN: the engine runs us again when the pool has grown */
    }
    return wb_context_fail(context, NO_ROOM, "no room for %zu doubles: %s", count,
                           wb_status_text(status));
}

static int serve_scale(struct wb_context *context, struct demo_scale_in *in,
                       struct demo_scale_out *out, void *user)
{
    (void)user;
    bool in_place = in->vector.count > 0;
    int status = take_field(context, in, &out->scaled);
    if (status != WB_OK) {
        return status;
    }
    uint64_t start = clock_ns();
    const void *from = in_place ? out->scaled.data : in->bytes.data;
    out->sum = scale(out->scaled.data, from, out->scaled.count, in->factor);
    out->handler_ns = clock_ns() - start;
    out->label = in->label;
    return WB_OK;
}

#define TALLY_STRING(kind, type, name) demo_tally_string(&tally, in->name);

static int serve_record(struct wb_context *context, struct demo_record_in *in,
                        struct demo_record_out *out, void *user)
{
    (void)context;
    (void)user;
    struct demo_tally tally = DEMO_TALLY_START;
    demo_tally_ids(&tally, in->bytes);
    demo_tally_ids(&tally,
                   (wb_bytes){.data = in->vector.data, .len = wb_rma_vector_bytes(&in->vector)});
    DEMO_STRINGS(TALLY_STRING)
    out->id_sum = tally.id_sum;
    out->characters = tally.characters;
    out->hash = tally.hash;
    return WB_OK;
}

/* Over shm in any case; what verbs lacks, if it lacks something, the parent says. */
static int listen_over_all(struct wb_engine *engine, char urls[2 * LISTEN_URL_ROOM])
{
    char verbs_url[LISTEN_URL_ROOM];
    int status = listen_anywhere(engine, "shm", NULL, urls);
    if (status == WB_OK && listen_anywhere(engine, "verbs", NULL, verbs_url) == WB_OK) {
        size_t used = strlen(urls);
        snprintf(urls + used, 2 * LISTEN_URL_ROOM - used, " %s", verbs_url);
    }
    return status;
}

int demo_serve(uint64_t budget_bytes, int link)
{
    struct wb_engine *engine = demo_engine(budget_bytes);
    if (engine == NULL) {
        return EXIT_FAILURE;
    }
    char urls[2 * LISTEN_URL_ROOM];
    int wrong = 0;
    int status = demo_scale_register(engine, serve_scale, NULL);
    if (status == WB_OK) {
        status = demo_record_register(engine, serve_record, NULL);
    }
    if (status == WB_OK) {
        status = listen_over_all(engine, urls);
    }
    if (status != WB_OK) {
        wrong = say(EXIT_FAILURE, "cannot serve: %s", status_words(status));
    } else {
        parent_tell_ready(link, urls);
        while (wb_wait(engine, WAIT_US) != 0 || !parent_is_gone(link)) {
        }
    }
    wb_engine_destroy(engine);
    return wrong;
}
