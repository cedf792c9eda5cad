#include <stdlib.h>

#include "perf/common_clock.h"
#include "perf/common_say.h"
#include "perf/demo.h"
#include "perf/demo_actions.h"

enum { REPLY_SPARE = 65536 }; /* for the result's other members */

static const double factor = 0.75;
static const char label[] = "temperature";

/* The field's memory: a vector for the rma path, plain memory for the others. */
struct field {
    wb_rma_vector vector;
    double *plain;
    const double *data;
    double sum; /* of the scaled elements, in the server's order */
};

static double element(size_t i)
{
    return (double)(i % 65521) - 20000.25;
}

static void field_drop(struct field *field)
{
    wb_rma_vector_drop(&field->vector);
    free(field->plain);
}

/* Makes the field; the caller drops it whatever this returns. */
static int field_create(struct demo *demo, enum demo_path path, struct field *field)
{
    double *data = NULL;
    if (path == DEMO_RMA) {
        int status = wb_rma_vector_create(wb_engine_allocator(demo->engine), sizeof(double),
                                          demo->doubles, &field->vector);
        if (status != WB_OK) {
            return say(EXIT_FAILURE, "no vector of %zu doubles: %s", demo->doubles,
                       status_words(status));
        }
        data = field->vector.data;
    } else {
        data = field->plain = malloc(demo->doubles * sizeof(double));
        if (data == NULL) {
            say(EXIT_FAILURE, "no memory for %zu doubles", demo->doubles);
            return EXIT_FAILURE;
        }
    }
    for (size_t i = 0; i < demo->doubles; i++) {
        data[i] = element(i);
        field->sum += data[i] * factor;
    }
    field->data = data;
    return 0;
}

/* Whether the result is right in every part. */
static int check(const struct demo *demo, const struct field *field,
                 const struct demo_scale_out *out)
{
    if (out->label.len != sizeof label - 1 || memcmp(out->label.data, label, out->label.len) != 0) {
        return say(EXIT_FAILURE, "the label came back as \"%.*s\"", WB_STR_ARG(out->label));
    }
    if (out->scaled.count != demo->doubles || out->scaled.elem_size != sizeof(double)) {
        return say(EXIT_FAILURE, "%zu elements came back for %zu", out->scaled.count,
                   demo->doubles);
    }
    const double *scaled = out->scaled.data;
    for (size_t i = 0; i < demo->doubles; i++) {
        if (scaled[i] != field->data[i] * factor) {
            return say(EXIT_FAILURE, "element %zu came back as %g", i, scaled[i]);
        }
    }
    if (out->sum != field->sum) {
        return say(EXIT_FAILURE, "the sum came back as %g for %g", out->sum, field->sum);
    }
    return 0;
}

/* One call, checked; its time (without the check) and its handler's, in milliseconds. */
static int call(struct demo *demo, enum demo_path path, const struct field *field, double *took_ms,
                double *handler_ms)
{
    size_t bytes = demo->doubles * sizeof(double);
    struct demo_scale_in in = {.factor = factor, .label = wb_str_of(label)};
    struct demo_scale_out out;
    struct wb_error error = {0};
    struct wb_call_options options = {.reply_bytes = bytes + REPLY_SPARE,
                                      .flags = path == DEMO_COPY ? WB_CALL_COPY : 0,
                                      .error = &error};
    if (path == DEMO_RMA) {
        in.vector = field->vector;
    } else {
        in.bytes = (wb_bytes){.data = field->data, .len = bytes};
    }
    uint64_t start = clock_ns();
    int status = demo_scale_call(demo->peer, &in, &out, &options);
    *took_ms = (double)(clock_ns() - start) / 1e6;
    *handler_ms = (double)out.handler_ns / 1e6;
    int wrong = status == WB_OK ? check(demo, field, &out)
                                : say(EXIT_FAILURE, "the field's call failed by the %s path: %s %s",
                                      demo_path_name(path), wb_status_text(status), error.text);
    demo_scale_out_drop(&out);
    return wrong;
}

int demo_field(struct demo *demo, enum demo_path path, struct demo_cost *cost)
{
    struct field field = {0};
    *cost = (struct demo_cost){.calls = demo->field_calls,
                               .moved_bytes = 2.0 * (double)(demo->doubles * sizeof(double))};
    int wrong = field_create(demo, path, &field);
    bool last = false;
    for (unsigned i = 0; !last && wrong == 0; i++) {
        double took_ms = 0.0, handler_ms = 0.0;
        demo_progress("field", path, i + 1, cost->calls + 1);
        wrong = call(demo, path, &field, &took_ms, &handler_ms);
        last = demo_count(demo, cost, i, took_ms, handler_ms);
    }
    field_drop(&field);
    return wrong;
}
