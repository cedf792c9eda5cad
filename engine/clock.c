#include "engine/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <waybill/status.h>

static struct timespec timespec_of(uint64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
}

uint64_t wbi_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 + 1;
}

uint64_t wbi_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t wbi_rough_ticks;

/* The ticks are read inside of the time: whatever interrupts this, they come out too few. */
static void find_rough_ticks(void)
{
    uint64_t start = wbi_now(), began = wbi_ticks(), ended, passed;
    do {
        ended = wbi_ticks();
        passed = wbi_now() - start;
    } while (passed < 20);
    bool sound = ended > began && ended - began <= UINT32_MAX;
    wbi_rough_ticks = sound ? (ended - began) * WBI_ROUGH_US / passed : 0;
}

void wbi_clock_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_rough_ticks);
}

int wbi_random(void *bytes, size_t len)
{
    uint8_t *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR) {
            return WB_ERR_SYSTEM;
        }
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
    return WB_OK;
}

int wbi_wait(int fd, uint64_t timeout_us)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    struct timespec timeout = timespec_of(timeout_us);
    int ready = ppoll(&wanted, 1, &timeout, NULL);
    if (ready < 0) {
        return errno == EINTR ? 0 : WB_ERR_SYSTEM;
    }
    return ready > 0;
}

void wbi_park(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_us)
{
    struct timespec timeout = timespec_of(timeout_us);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, NULL, 0);
}

void wbi_unpark(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
