#include "perf/serializers/race.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perf/common_say.h"
#include "perf/serializers/checksum.h"
#include "perf/series.h"

/* A row that runs. */
struct lane {
    const struct contestant *contestant;
    void *state;
    size_t bytes;
    uint64_t expected; /* what each decoding returns */
    size_t times[TASKS];
    struct series ns[TASKS];
};

static bool wanted(const struct race_filter *filter, const struct contestant *contestant)
{
    bool named = filter->libraries == 0;
    for (size_t i = 0; i < filter->libraries; i++) {
        named = named || strcmp(filter->library[i], contestant->library) == 0;
    }
    return named && (contestant->zero_copy ? filter->zero_copy : filter->copying) &&
           (filter->which == CASES || filter->which == contestant->which);
}

static void add_case(struct race *race, const struct race_filter *filter, enum serial_case which)
{
    for (const struct contestant *const *table = contestants; *table != NULL; table++) {
        for (const struct contestant *one = *table; one->library != NULL; one++) {
            if (one->which == which && wanted(filter, one) && race->rows < ROWS_MAX) {
                race->row[race->rows++].contestant = one;
            }
        }
    }
}

void race_add(struct race *race, const struct race_filter *filter)
{
    for (enum serial_case which = 0; which < CASES; which++) {
        add_case(race, filter, which);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int wrong_sum(const struct contestant *contestant)
{
    return say(EXIT_FAILURE, "%s decodes something else than was encoded", contestant->library);
}

/* Does the task so many times, and sets *seconds. */
static int run(struct lane *lane, enum task task, size_t times, double *seconds)
{
    const struct contestant *contestant = lane->contestant;
    void *state = lane->state;
    uint64_t sum = 0;
    double start = now();
    if (task == TASK_ENCODE) {
        for (size_t i = 0; i < times; i++) {
            sum += contestant->encode(state) - lane->bytes;
        }
    } else if (task == TASK_DECODE) {
        for (size_t i = 0; i < times; i++) {
            sum += contestant->decode(state) - lane->expected;
        }
    } else {
        for (size_t i = 0; i < times; i++) {
            sum += contestant->encode(state) - lane->bytes;
            sum += contestant->decode(state) - lane->expected;
        }
    }
    *seconds = now() - start;
    return sum == 0 ? 0 : wrong_sum(contestant);
}

/* Reads all there is once, the vector's values too, and finds how often each task is to be done. */
static int warm_up(struct lane *lane, const struct input *input, double seconds)
{
    const struct contestant *contestant = lane->contestant;
    checksum_whole = true;
    lane->bytes = contestant->encode(lane->state);
    bool right = contestant->decode(lane->state) == input_checksum(input, contestant->which);
    checksum_whole = false;
    if (!right) {
        return wrong_sum(contestant);
    }
    lane->expected = input_checksum(input, contestant->which);
    for (enum task task = 0; task < TASKS; task++) {
        double took = 0;
        size_t times = 1;
        int wrong = run(lane, task, times, &took);
        while (wrong == 0 && took < seconds) {
            times *= 2;
            wrong = run(lane, task, times, &took);
        }
        if (wrong != 0) {
            return wrong;
        }
        lane->times[task] = times;
    }
    return 0;
}

static int one_round(struct lane *lanes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (enum task task = 0; task < TASKS; task++) {
            struct lane *lane = &lanes[i];
            double took = 0;
            int wrong = run(lane, task, lane->times[task], &took);
            if (wrong == 0) {
                wrong = series_add(&lane->ns[task], 1e9 * took / (double)lane->times[task]);
            }
            if (wrong != 0) {
                return wrong;
            }
        }
    }
    return 0;
}

static void finish(struct lane *lane, struct figures *figures)
{
    figures->bytes = lane->bytes;
    for (enum task task = 0; task < TASKS; task++) {
        double least = 0;
        series_sum_up(&lane->ns[task], &figures->ns[task], &least);
        series_drop(&lane->ns[task]);
    }
    lane->contestant->close(lane->state);
}

/* Rows of one case. */
static int run_case(const struct race *race, struct row *row, size_t count,
                    const struct input *input)
{
    struct lane lanes[ROWS_MAX] = {{0}};
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        lanes[i].contestant = row[i].contestant;
        lanes[i].state = row[i].contestant->open(row[i].contestant, input);
    }
    for (size_t i = 0; i < count && wrong == 0; i++) {
        wrong = warm_up(&lanes[i], input, race->seconds);
    }
    for (size_t round = 0; round < race->rounds && wrong == 0; round++) {
        wrong = one_round(lanes, count);
    }
    for (size_t i = 0; i < count; i++) {
        finish(&lanes[i], &row[i].figures);
    }
    return wrong;
}

int race_run(struct race *race, const struct input *input)
{
    int wrong = 0;
    for (size_t begin = 0, end = 0; begin < race->rows && wrong == 0; begin = end) {
        enum serial_case which = race->row[begin].contestant->which;
        while (end < race->rows && race->row[end].contestant->which == which) {
            end++;
        }
        wrong = run_case(race, &race->row[begin], end - begin, input);
    }
    return wrong;
}
