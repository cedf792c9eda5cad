/* engine/clock.h's functions. In a deterministic world time is what the world says; otherwise it is
 * the machine's, and a thread that waits does the devices' work meanwhile. */
#include "engine/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <waybill/status.h>

#include "tests/simverbs/model.h"

enum {
    STEP_US = 1000, /* the others get a turn that often */
    LOOKS_A_DOUBLING = 32,
    MOST_DOUBLINGS = 7
};

static const uint64_t longest_us = 86400ULL * 1000000;

/* Threads that the product runs besides (shm has one) live in the machine's time. */
bool sim_is_simulated(void)
{
    return sim_world.open && !sim_world.options.threads &&
           pthread_equal(pthread_self(), sim_world.owner);
}

static uint64_t machine_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct timespec timespec_of(uint64_t us)
{
    us = us < longest_us ? us : longest_us;
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
}

uint64_t sim_now_ns(void)
{
    return sim_world.open && !sim_world.options.threads ? sim_world.now_ns : machine_ns();
}

/* Whoever looks at the clock again and again while nothing happens is waiting: time runs faster
 * then, 128 times at most, so that milliseconds are not thousands of looks. */
static unsigned impatience(void)
{
    struct sim_world *world = &sim_world;
    world->idle_looks = world->looked_at == world->events_run ? world->idle_looks + 1 : 0;
    world->looked_at = world->events_run;
    uint64_t doublings = world->idle_looks / LOOKS_A_DOUBLING;
    return doublings < MOST_DOUBLINGS ? (unsigned)doublings : MOST_DOUBLINGS;
}

uint64_t wbi_rough_ticks; /* the true clock is always looked at: that is what makes time pass */

void wbi_clock_prepare(void) {}

uint64_t wbi_now(void)
{
    if (!sim_is_simulated()) {
        return machine_ns() / 1000 + 1;
    }
    sim_enter(sim_world.options.clock_ns << impatience());
    uint64_t now = sim_world.now_ns / 1000 + 1;
    sim_leave();
    return now;
}

/* A look that costs nobody any time. */
uint64_t wbi_now_ns(void)
{
    return sim_is_simulated() ? sim_world.now_ns : machine_ns();
}

int wbi_random(void *bytes, size_t len)
{
    uint8_t *at = bytes;
    if (!sim_is_simulated()) {
        return getrandom(bytes, len, 0) == (ssize_t)len ? WB_OK : WB_ERR_SYSTEM;
    }
    sim_enter(0);
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)sim_random();
    }
    sim_leave();
    return WB_OK;
}

/* ---- waiting ---- */

static int look(int fd, uint64_t timeout_us)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    struct timespec timeout = timespec_of(timeout_us);
    int ready = ppoll(&wanted, 1, &timeout, NULL);
    if (ready < 0) {
        return errno == EINTR ? 0 : WB_ERR_SYSTEM;
    }
    return ready > 0;
}

bool sim_advance(uint64_t us)
{
    sim_enter(0);
    uint64_t end = sim_world.now_ns + (us < longest_us ? us : longest_us) * 1000;
    uint64_t next = sim_next_event_ns();
    bool there = next <= end;
    sim_world.now_ns = there ? (next > sim_world.now_ns ? next : sim_world.now_ns) : end;
    sim_run_due();
    sim_leave();
    sim_background();
    return there;
}

/* The engines of other hosts take a turn; not from inside one of their own waits. */
static bool let_others(void)
{
    struct sim_world *world = &sim_world;
    if (world->others == NULL || world->others_run) {
        return false;
    }
    world->others_run = true;
    bool done = world->others(world->others_context);
    world->others_run = false;
    return done;
}

static int wait_simulated(int fd, uint64_t timeout_us)
{
    uint64_t start = sim_world.now_ns;
    for (;;) {
        int ready = look(fd, 0);
        uint64_t passed = (sim_world.now_ns - start) / 1000;
        if (ready != 0 || passed >= timeout_us) {
            return ready;
        }
        if (!let_others()) {
            sim_advance(timeout_us - passed < STEP_US ? timeout_us - passed : STEP_US);
        }
    }
}

/* One that sleeps with threads wakes for what the devices have to do. */
static int wait_threaded(int fd, uint64_t timeout_us)
{
    uint64_t start = machine_ns();
    for (;;) {
        sim_enter(0);
        uint64_t next = sim_next_event_ns(), now = machine_ns();
        sim_leave();
        uint64_t passed = (now - start) / 1000;
        uint64_t left = timeout_us > passed ? timeout_us - passed : 0;
        uint64_t due = next > now ? (next - now) / 1000 + 1 : 0;
        int ready = look(fd, left < due ? left : due);
        if (ready != 0 || left == 0) {
            return ready;
        }
    }
}

int wbi_wait(int fd, uint64_t timeout_us)
{
    if (!sim_world.open) {
        return look(fd, timeout_us);
    }
    if (sim_is_simulated()) {
        return wait_simulated(fd, timeout_us);
    }
    return sim_world.options.threads ? wait_threaded(fd, timeout_us) : look(fd, timeout_us);
}

/* With one thread nobody else will change the word but what the other hosts do: time passes, not
 * much at once. */
void wbi_park(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_us)
{
    struct timespec timeout = timespec_of(timeout_us);
    if (sim_is_simulated()) {
        if (atomic_load(word) == expected && !let_others()) {
            sim_advance(timeout_us < STEP_US ? timeout_us : STEP_US);
        }
        return;
    }
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, NULL, 0);
}

void wbi_unpark(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
