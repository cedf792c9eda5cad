#include "perf/measure.h"

#include <stdlib.h>

#include "perf/both.h"
#include "perf/common_say.h"
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
    struct team *team;
    uint32_t threads; /* of the team */
    struct slices slices;
    uint32_t burst;          /* calls a thread in a burst */
    uint64_t calls_left;     /* of --iters; else UINT64_MAX */
    struct figures *scratch; /* of the slice under way */
};

double measure_of(enum test test, const struct figures *figures)
{
    switch (test) {
    case TEST_LAT:
        return figures_rtt(figures, 0.5);
    case TEST_RATE:
        return figures_pace(figures);
    default:
        return figures_pace(figures) > 0
                   ? (double)figures->bytes / (double)figures->calls / figures_pace(figures)
                   : 0.0;
    }
}

/* The calls that the next burst makes on each thread. */
static uint32_t next_burst(const struct run *run)
{
    uint64_t each = run->calls_left / run->threads;
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
        uint64_t all = (uint64_t)calls * run->threads;
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

/* Sets up a team in the place of the one before. */
static int set_up(struct run *run, uint32_t threads)
{
    team_close(run->team);
    run->team = NULL;
    run->threads = threads;
    int status = team_open(&run->team, run->session->engine, run->session->peers, &run->wanted,
                           run->burst, threads);
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

/* One slice of bare verbs. */
static int raw_slice(const struct run *run, struct figures *figures)
{
    const struct session *session = run->session;
    size_t size = run->result->size;
    if (session->options->test == TEST_LAT) {
        return raw_ping(session->raw, size, ticks_from_ns(LONG_SLICE_NS), figures);
    }
    uint64_t start = clock_ns();
    do {
        if (raw_read(session->raw, size, floor_copies(size, run->burst), figures) != 0) {
            return EXIT_FAILURE;
        }
    } while (clock_ns() - start < LONG_SLICE_NS);
    return 0;
}

/* One slice of the floor. */
static int floor_slice(const struct run *run, struct figures *figures)
{
    const struct session *session = run->session;
    enum test test = session->options->test;
    if (test == TEST_LAT || test == TEST_RATE) {
        return floor_ping(session->floor, ticks_from_ns(SLICE_NS), figures);
    }
    size_t size = run->result->size;
    uint64_t start = clock_ns();
    do {
        if (floor_copy(session->floor, size, floor_copies(size, run->burst), test == TEST_BIBW,
                       figures) != 0) {
            return EXIT_FAILURE;
        }
    } while (clock_ns() - start < SLICE_NS);
    return 0;
}

/* One slice of ours or of the baseline. */
static int any_slice(struct run *run, bool ours)
{
    bool raw = run->session->options->vs == VS_RAW;
    if (run->session->options->vs == VS_ONE) {
        return team_slice(run, ours);
    }
    if (ours) {
        return burst_for(run, raw ? LONG_SLICE_NS : SLICE_NS, run->scratch);
    }
    return raw ? raw_slice(run, run->scratch) : floor_slice(run, run->scratch);
}

/* Leaves *median_us at 0 where there are no probes. */
static int probe(const struct run *run, double *median_us)
{
    return run->session->options->vs == VS_FLOOR ? floor_probe(run->session->floor, median_us) : 0;
}

static struct side *side_of(struct run *run, bool near)
{
    return near ? &run->result->near : &run->result->far;
}

/* What the slice that has just ended is compared by. */
static double value_of(const struct run *run, bool ours)
{
    const struct options *o = run->session->options;
    if (o->vs == VS_ONE) {
        return figures_calls_per_s(run->scratch); /* waiting for a CPU is part of it */
    }
    return measure_of(o->test == TEST_RATE && !ours ? TEST_LAT : o->test, run->scratch);
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
    double value = value_of(run, ours);
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
    if (o->vs == VS_RAW && o->test == TEST_LAT && run.burst > RAW_LAT_BURST) {
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
    team_close(run.team);
    slices_drop(&run.slices);
    free(run.scratch);
    return wrong;
}
