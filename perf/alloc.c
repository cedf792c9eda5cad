#include "perf/alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "perf/alloc_churn.h"
#include "perf/alloc_crew.h"
#include "perf/alloc_report.h"
#include "perf/alloc_worker.h"
#include "perf/common_command.h"
#include "perf/common_say.h"
#include "perf/series.h"
#include "perf/ticks.h"

/* One case at one size under way. */
struct contest {
    const struct bench *bench;
    enum alloc_case which;
    struct crew *crew;
    enum allocator entrants[ALLOCATORS];
    unsigned count;
    struct series ns[ALLOCATORS], ratio[ALLOCATORS];
};

static void find_entrants(struct contest *contest)
{
    for (enum allocator i = 0; i < ALLOCATORS; i++) {
        if (contest->bench->absent[i][0] == '\0' && method_of(i, contest->which) != NULL) {
            contest->entrants[contest->count++] = i;
        }
    }
}

/* A slice of each; they begin in turn, so that nobody is always behind the same one. */
static int contest_round(struct contest *contest, unsigned first, double ns[ALLOCATORS])
{
    for (unsigned i = 0; i < contest->count; i++) {
        enum allocator who = contest->entrants[(first + i) % contest->count];
        if (crew_slice(contest->crew, who, &ns[who]) != 0) {
            return EXIT_FAILURE;
        }
    }
    return 0;
}

static int note_round(struct contest *contest, const double ns[ALLOCATORS])
{
    double base = ns[contest->which == CASE_VECTOR ? WAYBILL : MIMALLOC];
    for (unsigned i = 0; i < contest->count; i++) {
        enum allocator who = contest->entrants[i];
        if (series_add(&contest->ns[who], ns[who]) != 0 ||
            (base > 0 && series_add(&contest->ratio[who], ns[who] / base) != 0)) {
            return EXIT_FAILURE;
        }
    }
    return 0;
}

/* Rounds until the time of all lines is used up; the first is nobody's measure. */
static int contest_run(struct contest *contest)
{
    double ns[ALLOCATORS] = {0};
    double limit = contest->bench->options->seconds * contest->count * 1e9;
    int wrong = contest_round(contest, 0, ns);
    uint64_t start = clock_ns();
    unsigned round = 0;
    while (wrong == 0 && (round == 0 || (double)(clock_ns() - start) < limit)) {
        wrong = contest_round(contest, round++, ns);
        wrong = wrong == 0 ? note_round(contest, ns) : wrong;
    }
    return wrong;
}

static void contest_report(struct contest *contest, size_t size)
{
    for (unsigned i = 0; i < contest->count; i++) {
        enum allocator who = contest->entrants[i];
        struct alloc_result result = {.allocator = who,
                                      .which = contest->which,
                                      .size = size,
                                      .slices = contest->ns[who].used};
        series_sum_up(&contest->ns[who], &result.ns, &result.ns_min);
        series_sum_up(&contest->ratio[who], &result.ratio, &result.ratio_min);
        alloc_report_result(contest->bench->options, &result);
    }
}

static int run_size(const struct bench *bench, enum alloc_case which, size_t size)
{
    struct contest contest = {.bench = bench, .which = which};
    find_entrants(&contest);
    if (crew_open(&contest.crew, bench, which, size) != 0) {
        return EXIT_FAILURE;
    }
    int wrong = contest_run(&contest);
    crew_close(contest.crew);
    if (wrong == 0) {
        contest_report(&contest, size);
    }
    for (enum allocator i = 0; i < ALLOCATORS; i++) {
        series_drop(&contest.ns[i]);
        series_drop(&contest.ratio[i]);
    }
    return wrong;
}

static int run_case(const struct bench *bench, enum alloc_case which)
{
    const struct alloc_options *o = bench->options;
    size_t size = alloc_first_size(o, which);
    int wrong;
    do {
        wrong = run_size(bench, which, size);
        size = alloc_next_size(o, which, size);
    } while (wrong == 0 && size > 0);
    return wrong;
}

static int run_cases(const struct bench *bench)
{
    const struct alloc_options *o = bench->options;
    int wrong = 0;
    alloc_report_head(bench);
    for (enum alloc_case which = CASE_PAIR; which <= CASE_VECTOR && wrong == 0; which++) {
        if (o->which == CASE_ALL || o->which == which) {
            wrong = run_case(bench, which);
        }
    }
    return wrong;
}

int alloc_main(int argc, char **argv)
{
    struct alloc_options options;
    int ended = alloc_options_parse(&options, argc, argv);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    ticks_start();
    struct bench *bench = calloc(1, sizeof *bench);
    if (bench == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    int wrong = bench_open(bench, &options);
    if (wrong == 0) {
        wrong = options.which == CASE_FRAGMENTATION ? churn(bench) : run_cases(bench);
    }
    bench_close(bench);
    free(bench);
    return finish_output(wrong);
}
