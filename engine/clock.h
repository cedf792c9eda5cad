/*
 * The one door to time, chance, sleeping and waiting on descriptors. Nothing in engine reads the
 * clock past it, so a test that links its own clock.c owns all of them.
 */
#ifndef WBI_ENGINE_CLOCK_H
#define WBI_ENGINE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds; never 0. */
uint64_t wbi_now(void);

/* The same clock in nanoseconds: for measuring, not for deadlines. */
uint64_t wbi_now_ns(void);

/*
 * A clock for whoever looks at it again and again while he polls. Reading the true one takes 20 ns
 * where the kernel maps it, and microseconds where it is a system call (a virtual machine without a
 * usable counter), during which nothing is polled. So the processor's counter, which need not be
 * even nor the same on all CPUs, tells when it is worth while to look: at the latest when so many
 * of its ticks have passed, or it has gone backwards. One thread at a time.
 */
struct wbi_rough_clock {
    uint64_t now, ticks; /* when it was looked at last; all zero: never */
};

/* The ticks of WBI_ROUGH_US, found out once, before any clock is used: 20 microseconds. 0, the true
 * clock is always looked at: there is no such counter, or until it has been found out. */
enum { WBI_ROUGH_US = 16 };
extern uint64_t wbi_rough_ticks;
void wbi_clock_prepare(void);

static inline uint64_t wbi_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

/* The true time by wbi_now, from which wbi_rough_now never goes back. */
static inline uint64_t wbi_true_now(struct wbi_rough_clock *clock)
{
    clock->ticks = wbi_ticks();
    clock->now = wbi_now();
    return clock->now;
}

/* The time as it was WBI_ROUGH_US ago, or since: good to find out that something is not yet due. */
static inline uint64_t wbi_rough_now(struct wbi_rough_clock *clock)
{
    bool known = clock->now != 0 && wbi_ticks() - clock->ticks < wbi_rough_ticks;
    return known ? clock->now : wbi_true_now(clock);
}

/* After a sleep, in which the counter may have stood still: the next look is a true one. */
static inline void wbi_rough_forget(struct wbi_rough_clock *clock)
{
    clock->now = 0;
}

/* Fills bytes that nobody else can guess. Returns WB_OK or WB_ERR_SYSTEM. */
int wbi_random(void *bytes, size_t len);

/* Waits until descriptor `fd` (an epoll or event descriptor) is readable, timeout_us at most
 * (rounded up to the clock's grain; 0 looks and returns). Returns 1 readable, 0 not (time passed,
 * or a signal came), WB_ERR_SYSTEM. */
int wbi_wait(int fd, uint64_t timeout_us);

/* Sleeps while *word == expected, until wbi_unpark or timeout_us at most; may wake early. */
void wbi_park(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_us);
void wbi_unpark(_Atomic uint32_t *word);

/* When something ends that lasts so many microseconds, by a clock that was looked at before it
 * began and that leaves out the part of a microsecond: it may last that little longer, never
 * shorter. */
static inline uint64_t wbi_deadline(uint64_t now, uint64_t lasts_us)
{
    uint64_t next = now + 1;
    return lasts_us > UINT64_MAX - next ? UINT64_MAX : next + lasts_us;
}

/* Tells the processor that this thread is polling. */
static inline void wbi_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
