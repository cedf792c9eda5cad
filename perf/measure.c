#include "perf/measure.h"

#include <stdlib.h>

#include "perf/both.h"
#include "perf/common_say.h"
#include "perf/compared.h"
#include "perf/crowd.h"
#include "perf/setup.h"
#include "perf/slices.h"
#include "perf/team.h"

enum { SLICE_NS = 5000000, LONG_SLICE_NS = 50000000, RAW_LAT_BURST = 16, WARM_UP_NS = 50000000 };

/* One measurement under way. */
struct run {
    const struct session *session;
    struct result *result;
    struct calls_wanted wanted;
    struct hands *hands; /* the threads, of the team and of the baseline */
    struct team *team;
    struct slices slices;
    uint32_t burst;          /* calls a thread in a burst */
    uint64_t calls_left;     /* of --iters; else UINT64_MAX */
    struct figures *scratch; /* of the slice under way */
};

/* The calls that the next burst makes on each thread. */
static uint32_t next_burst(const struct run *run)
{
    uint64_t each = run->calls_left / hands_count(run->hands);
    each = each == 0 ? 1 : each;
    return each < run->burst ? (uint32_t)each : run->burst;
}

/* One burst of the test, added to *figures. */
static int burst(struct run *run, uint32_t calls, struct figures *figures)
{
    const struct session *session = run->session;
    const char *words = "";
    int status = session->options->test == TEST_BIBW
                     ? both_burst(team_caller(run->team), session->service, calls, figures, &words)
                     : team_burst(run->team, calls, figures, &words);
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "a call with %zu bytes failed: %s (%s)", run->result->size, words,
                   wb_status_name(status));
    }
    return 0;
}

/* Bursts for at least `ns`, or until no calls are left. */
static int burst_for(struct run *run, uint64_t ns, struct figures *figures)
{
    uint64_t start = clock_ns();
    do {
        uint32_t calls = next_burst(run);
        uint64_t all = (uint64_t)calls * hands_count(run->hands);
        if (burst(run, calls, figures) != 0) {
            return EXIT_FAILURE;
        }
        run->calls_left -= run->calls_left < all ? run->calls_left : all;
    } while (run->calls_left > 0 && clock_ns() - start < ns);
    return 0;
}

/* The first calls connect, map and register; they are nobody's measure. */
static int warm_up(struct run *run)
{
    uint64_t start = clock_ns();
    uint64_t limit = WARM_UP_NS;
    do {
        if (burst(run, next_burst(run), run->scratch) != 0) {
            return EXIT_FAILURE;
        }
    } while (run->session->options->iters == 0 && clock_ns() - start < limit);
    *run->scratch = (struct figures){0};
    return 0;
}

static void tear_down(struct run *run)
{
    team_close(run->team);
    hands_close(run->hands);
    run->team = NULL;
    run->hands = NULL;
}

/* Sets up a team in the place of the one before. */
static int set_up(struct run *run, uint32_t threads)
{
    const struct session *session = run->session;
    tear_down(run);
    int status = hands_open(&run->hands, threads);
    if (status == WB_OK) {
        status = team_open(&run->team, run->hands, session->engine, session->peers, &run->wanted,
                           run->burst);
    }
    if (status != WB_OK) {
        say(EXIT_FAILURE, "cannot set up calls of %zu bytes: %s", run->wanted.size,
            status_words(status));
        return EXIT_FAILURE;
    }
    return 0;
}

/* One slice of several threads or of one; the latter's calls are not those of --iters. */
static int team_slice(struct run *run, bool ours)
{
    uint64_t left = run->calls_left;
    int wrong = set_up(run, ours ? run->session->options->threads : 1);
    if (wrong == 0) {
        wrong = burst(run, next_burst(run), run->scratch);
        *run->scratch = (struct figures){0};
    }
    if (wrong == 0) {
        wrong = burst_for(run, LONG_SLICE_NS, run->scratch);
    }
    run->calls_left = ours ? run->calls_left : left;
    return wrong;
}

static bool makes_trips(const struct options *o)
{
    return o->test == TEST_LAT || o->test == TEST_RATE;
}

/* One burst of bare verbs. */
static int raw_burst(const struct run *run, uint32_t calls, struct figures *figures)
{
    struct raw *raw = run->session->raw;
    size_t size = run->result->size;
    return makes_trips(run->session->options) ? raw_trips(raw, run->hands, size, calls, figures)
                                              : raw_stream(raw, run->hands, size, calls, figures);
}

/* One burst of the floor. */
static int floor_burst(const struct run *run, uint32_t calls, struct figures *figures)
{
    struct floor *floor = run->session->floor;
    size_t size = run->result->size;
    return makes_trips(run->session->options)
               ? floor_trips(floor, run->hands, size, calls, figures)
               : floor_stream(floor, run->hands, size, calls, figures);
}

/* One slice of what is measured past the library. */
static int bare_slice(const struct run *run, uint64_t ns, struct figures *figures)
{
    const struct options *o = run->session->options;
    struct floor *floor = run->session->floor;
    uint32_t calls = cargo_calls(o, run->result->size, run->burst);
    bool raw = o->vs == VS_RAW;
    if (!raw && o->threads == 1 && makes_trips(o) && floor_choose(floor) != 0) {
        return EXIT_FAILURE;
    }
    if (vs_is_words(o)) {
        return floor_ping(floor, run->hands, ticks_from_ns(ns), figures);
    }
    uint64_t start = clock_ns();
    do {
        int wrong = raw ? raw_burst(run, calls, figures) : floor_burst(run, calls, figures);
        if (wrong != 0) {
            return wrong;
        }
    } while (clock_ns() - start < ns);
    return 0;
}

/* One slice of ours or of the baseline. */
static int any_slice(struct run *run, bool ours)
{
    const struct options *o = run->session->options;
    if (o->vs == VS_ONE) {
        return team_slice(run, ours);
    }
    uint64_t ns = o->vs == VS_RAW ? LONG_SLICE_NS : SLICE_NS;
    return ours ? burst_for(run, ns, run->scratch) : bare_slice(run, ns, run->scratch);
}

/* Leaves *median_us at 0 where there are no probes. */
static int probe(const struct run *run, double *median_us)
{
    const struct options *o = run->session->options;
    bool probes = (o->vs == VS_FLOOR || o->vs == VS_VMREADV) && o->threads == 1;
    return probes ? floor_probe(run->session->floor, median_us) : 0;
}

static struct side *side_of(struct run *run, bool near)
{
    return near ? &run->result->near : &run->result->far;
}

/* One slice with the probe behind it; *before_us is the probe before it, and becomes the one
 * behind. */
static int slice(struct run *run, bool ours, double *before_us)
{
    double after_us = 0.0;
    int wrong = any_slice(run, ours);
    if (wrong == 0) {
        wrong = probe(run, &after_us);
    }
    if (wrong != 0) {
        return wrong;
    }
    bool near = *before_us <= FLOOR_FAR_US && after_us <= FLOOR_FAR_US;
    struct side *side = side_of(run, near);
    double value = compared_of(run->session->options, ours, run->scratch);
    figures_merge(ours ? &side->ours : &side->baseline, run->scratch);
    side->slices += ours;
    *before_us = after_us;
    *run->scratch = (struct figures){0};
    return slices_add(&run->slices, value, near);
}

/* Alternates slices until time or calls are used up; begins and ends with one of the baseline. */
static int compare(struct run *run, double seconds)
{
    double probe_us = 0.0;
    double spent_ns = 0.0;
    int wrong = probe(run, &probe_us); /* warms the lines */
    if (wrong == 0) {
        wrong = probe(run, &probe_us);
    }
    if (wrong == 0) {
        wrong = slice(run, false, &probe_us);
    }
    while (wrong == 0 && run->calls_left > 0 && spent_ns < seconds * 1e9) {
        uint64_t start = clock_ns();
        wrong = slice(run, true, &probe_us);
        spent_ns += (double)(clock_ns() - start);
        if (wrong == 0) {
            wrong = slice(run, false, &probe_us);
        }
    }
    if (wrong == 0) {
        run->result->near.ratio = slices_ratio(&run->slices, true);
        run->result->far.ratio = slices_ratio(&run->slices, false);
    }
    return wrong;
}

/* As a client of many: calls without a pause until the span that the parent gives is over. */
static int measure_span(struct run *run)
{
    struct figures *ours = &run->result->near.ours;
    struct span span;
    int wrong = crowd_await_span(run->session->options->parent_fd, &span);
    team_set_span(run->team, span);
    while (wrong == 0 && ticks_now() < span.to) {
        wrong = burst(run, run->burst, ours);
    }
    ours->calls = ours->rtt.total;
    ours->ticks = span.to - span.from;
    return wrong;
}

/* Everything after the team stands. */
static int run_all(struct run *run)
{
    const struct options *o = run->session->options;
    run->calls_left = o->iters > 0 ? o->iters : UINT64_MAX;
    double seconds = o->iters > 0 ? 1e9 : o->seconds;
    int wrong = warm_up(run);
    if (wrong == 0 && is_client_of_many(o)) {
        wrong = measure_span(run);
    } else if (wrong == 0) {
        wrong = o->vs != VS_NONE
                    ? compare(run, seconds)
                    : burst_for(run, (uint64_t)(seconds * 1e9), &run->result->near.ours);
    }
    return wrong;
}

int measure(const struct session *session, size_t size, uint32_t window, struct result *result)
{
    const struct options *o = session->options;
    struct run run = {
        .session = session, .result = result, .wanted = wanted_calls(o, size, window)};
    run.burst = burst_calls(&run.wanted);
    if (o->vs == VS_RAW && o->test == TEST_LAT && o->trace_path == NULL &&
        run.burst > RAW_LAT_BURST) {
        run.burst = RAW_LAT_BURST; /* a slice has whole bursts, and slow devices need short ones */
    }
    *result = (struct result){.size = size, .window = window};
    run.scratch = calloc(1, sizeof *run.scratch);
    if (run.scratch == NULL) {
        return say(EXIT_FAILURE, "no memory for the figures of %zu bytes", size);
    }
    int wrong = set_up(&run, o->threads);
    if (wrong == 0) {
        wrong = run_all(&run);
    }
    tear_down(&run);
    slices_drop(&run.slices);
    free(run.scratch);
    return wrong;
}
