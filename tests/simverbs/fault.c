#include "tests/simverbs/fault.h"

#include <string.h>

#include "tests/simverbs/model.h"

static void count_kind(const char *what)
{
    struct sim_fault_kind *kinds = sim_world.faults.kinds;
    for (unsigned i = 0; i < SIM_FAULT_KINDS; i++) {
        if (kinds[i].what == NULL || strcmp(kinds[i].what, what) == 0) {
            kinds[i].what = what;
            kinds[i].count++;
            return;
        }
    }
}

/* Whether a place that can fail in `errors` ways does. */
static bool chance(const char *what, uint32_t rate, unsigned errors, uint64_t *stream)
{
    struct sim_faults *faults = &sim_world.faults;
    faults->points++;
    bool armed = faults->points == faults->armed;
    if (!armed && (rate == 0 || sim_random_of(stream) % 1000000 >= rate)) {
        return false;
    }
    if (armed) {
        faults->hit = what;
        faults->errors = errors;
    }
    faults->happened++;
    count_kind(what);
    sim_trace(NULL, what, faults->points, 0, 0);
    return true;
}

/* Chance picks one, unless the place is armed. */
static int pick(const char *what, uint32_t rate, const int *errors, uint64_t *stream)
{
    const struct sim_faults *faults = &sim_world.faults;
    unsigned count = 1; /* no list is empty */
    while (errors[count] != 0) {
        count++;
    }
    if (!chance(what, rate, count, stream)) {
        return 0;
    }
    bool armed = faults->points == faults->armed;
    return errors[armed ? faults->armed_error % count : sim_random_of(stream) % count];
}

int sim_fails_as(const char *what, uint32_t rate, const int *errors)
{
    return pick(what, rate, errors, &sim_world.random);
}

int sim_breaks_as(const char *what, uint32_t rate, const int *errors)
{
    return pick(what, rate, errors, &sim_world.faults.random);
}

bool sim_breaks(const char *what, uint32_t rate)
{
    return chance(what, rate, 1, &sim_world.faults.random);
}

int sim_call_fails(const char *what, const int *errors)
{
    return sim_fails_as(what, sim_world.faults.rates.call_fails, errors);
}

bool sim_goes_wrong(const char *what, uint32_t rate)
{
    return chance(what, rate, 1, &sim_world.random);
}

bool sim_allocation_fails(const char *what)
{
    const struct sim_faults *faults = &sim_world.faults;
    bool failed = chance(what, faults->rates.allocation_fails, 1, &sim_world.random);
    return failed || (faults->memory_ends != 0 && faults->points >= faults->memory_ends);
}

uint64_t sim_lateness_ns(void)
{
    uint64_t most = sim_world.faults.rates.late_ns;
    return 1 + sim_random_below(most != 0 ? most : 1000000);
}

/* ---- for tests ---- */

uint64_t sim_fault_points(void)
{
    sim_enter(0);
    uint64_t points = sim_world.faults.points;
    sim_leave();
    return points;
}

void sim_fault_arm(uint64_t point)
{
    sim_fault_arm_error(point, 0);
}

void sim_fault_arm_error(uint64_t point, unsigned error)
{
    struct sim_faults *faults = &sim_world.faults;
    sim_enter(0);
    faults->armed = point;
    faults->armed_error = error;
    faults->errors = 0;
    faults->hit = NULL;
    sim_leave();
}

unsigned sim_fault_errors(void)
{
    sim_enter(0);
    unsigned errors = sim_world.faults.errors;
    sim_leave();
    return errors;
}

void sim_fault_memory_ends(uint64_t point)
{
    sim_enter(0);
    sim_world.faults.memory_ends = point;
    sim_leave();
}

const char *sim_fault_hit(void)
{
    sim_enter(0);
    const char *hit = sim_world.faults.hit;
    sim_leave();
    return hit;
}

uint64_t sim_faults_happened(void)
{
    sim_enter(0);
    uint64_t happened = sim_world.faults.happened;
    sim_leave();
    return happened;
}

const struct sim_fault_kind *sim_fault_kinds(void)
{
    return sim_world.faults.kinds;
}

void sim_fault_rates(const struct sim_rates *rates)
{
    sim_enter(0);
    sim_world.faults.rates = *rates;
    sim_leave();
}
