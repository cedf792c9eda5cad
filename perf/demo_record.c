#include <stdlib.h>

#include "perf/common_clock.h"
#include "perf/common_say.h"
#include "perf/demo.h"
#include "perf/demo_actions.h"

enum { PROGRESS_CALLS = 256 };

/* Fills the argument: ids by path, and the same string a hundred times. The vector is the caller's
 * to drop. */
static int fill(const struct demo *demo, enum demo_path path, struct demo_record_in *in)
{
    const struct record *record = &demo->record;
    const wb_str string = {.data = record->string, .len = record->string_len};
#define SET_STRING(kind, type, name) in->name = string;
    DEMO_STRINGS(SET_STRING)
#undef SET_STRING
    if (path != DEMO_RMA) {
        in->bytes =
            (wb_bytes){.data = record->ids, .len = record->id_count * sizeof record->ids[0]};
        return 0;
    }
    int status = wb_rma_vector_create(wb_engine_allocator(demo->engine), sizeof record->ids[0],
                                      record->id_count, &in->vector);
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "no vector of %zu integers: %s", record->id_count,
                   status_words(status));
    }
    memcpy(in->vector.data, record->ids, wb_rma_vector_bytes(&in->vector));
    return 0;
}

/* What the server should answer. */
static struct demo_tally expect(const struct record *record)
{
    struct demo_tally tally = DEMO_TALLY_START;
    demo_tally_ids(
        &tally, (wb_bytes){.data = record->ids, .len = record->id_count * sizeof record->ids[0]});
    for (size_t i = 0; i < record->string_count; i++) {
        demo_tally_string(&tally, (wb_str){.data = record->string, .len = record->string_len});
    }
    return tally;
}

static int call(struct demo *demo, enum demo_path path, const struct demo_record_in *in,
                const struct demo_tally *expected, double *took_ms)
{
    struct demo_record_out out;
    struct wb_error error = {0};
    struct wb_call_options options = {.flags = path == DEMO_COPY ? WB_CALL_COPY : 0,
                                      .error = &error};
    uint64_t start = clock_ns();
    int status = demo_record_call(demo->peer, in, &out, &options);
    *took_ms = (double)(clock_ns() - start) / 1e6;
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "the record's call failed by the %s path: %s %s",
                   demo_path_name(path), wb_status_text(status), error.text);
    }
    bool right = out.id_sum == expected->id_sum && out.characters == expected->characters &&
                 out.hash == expected->hash;
    demo_record_out_drop(&out);
    return right ? 0
                 : say(EXIT_FAILURE, "the record arrived changed by the %s path",
                       demo_path_name(path));
}

int demo_record(struct demo *demo, enum demo_path path, struct demo_cost *cost)
{
    const struct record *record = &demo->record;
    struct demo_record_in in = {0};
    struct demo_tally expected = expect(record);
    double bytes = (double)(record->id_count * sizeof record->ids[0] + expected.characters);
    *cost = (struct demo_cost){.calls = demo->record_calls, .moved_bytes = bytes};
    int wrong = fill(demo, path, &in);
    bool last = false;
    for (unsigned i = 0; !last && wrong == 0; i++) {
        double took_ms = 0.0;
        if (i % PROGRESS_CALLS == 0) {
            demo_progress("record", path, i + 1, cost->calls + 1);
        }
        wrong = call(demo, path, &in, &expected, &took_ms);
        last = demo_count(demo, cost, i, took_ms, 0.0);
    }
    wb_rma_vector_drop(&in.vector);
    return wrong;
}
