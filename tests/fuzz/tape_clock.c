/* engine/clock.h's functions: time passes where the target says so, and chance repeats. */
#include "engine/clock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <waybill/status.h>

#include "tests/fuzz/tape.h"

static _Atomic uint64_t now_us = 1000000;

uint64_t wbi_rough_ticks; /* the true clock is always looked at: that is what makes time pass */

void wbi_clock_prepare(void) {}

uint64_t wbi_now(void)
{
    return now_us;
}

uint64_t wbi_now_ns(void)
{
    return now_us * 1000;
}

void tape_pass_us(uint64_t us)
{
    now_us += us;
}

int wbi_random(void *bytes, size_t len)
{
    static uint64_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)bytes)[i] = (uint8_t)(state >> 56);
    }
    return WB_OK;
}

int wbi_wait(int fd, uint64_t timeout_us)
{
    (void)fd;
    tape_pass_us(timeout_us);
    return 0;
}

void wbi_park(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_us)
{
    struct timespec most = {.tv_nsec = timeout_us < 1000 ? (long)timeout_us * 1000 : 1000000};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &most, NULL, 0);
}

void wbi_unpark(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
