#include "perf/floor.h"

#include <float.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"
#include "perf/payload.h"
#include "perf/relax.h"

enum { PROBE_TRIPS = 300, INTERRUPTION_NS = 1000, CHOICE_TURNS = 4 };
enum { PATIENCE_TURNS = 1 << 16 };

static const uint64_t copies_bytes = (uint64_t)64 << 20;

uint64_t floor_copies(size_t size, uint32_t calls)
{
    uint64_t fits = copies_bytes / size;
    return fits == 0 ? 1 : fits < calls ? fits : calls;
}

void floor_close(struct floor *floor)
{
    free(floor->copied);
    *floor = (struct floor){0};
}

/*
 * Waits until *word is no longer `old`. Whether a pause between two looks makes the line travel
 * faster (fewer looks disturb the writer) or slower depends on the processor. Returns the new
 * value, or `old` if nobody answers.
 */
static inline uint32_t await_change(const _Atomic uint32_t *word, uint32_t old, bool pauses,
                                    const struct child *other)
{
    uint64_t since = 0;
    for (uint32_t turn = 1;; turn++) {
        uint32_t value = atomic_load_explicit(word, memory_order_acquire);
        if (value != old) {
            return value;
        }
        if (pauses) {
            relax_pause();
        }
        if (turn % PATIENCE_TURNS == 0) {
            if (!orders_patience(&since, other, 0)) {
                return old;
            }
            sched_yield();
        }
    }
}

/* ---- the client ---- */

static int echo_begin(struct floor *floor, bool pauses)
{
    struct area_head *head = floor->orders->area.head;
    uint32_t last = atomic_load_explicit(&head->pong, memory_order_relaxed);
    atomic_store_explicit(&head->ping, last, memory_order_relaxed);
    head->pauses = pauses;
    return orders_await(floor->orders, orders_give(floor->orders, ORDER_ECHO), 0);
}

/* Waits until the server has left the echo, so that the line is ours again. */
static int echo_end(struct floor *floor)
{
    atomic_store_explicit(&floor->orders->area.head->ping, ECHO_END, memory_order_release);
    return orders_await(floor->orders, ~floor->orders->given, 0);
}

/*
 * Makes `trips` round trips and adds them to the histogram. The next ping leaves before the last
 * one is counted, so that counting costs no time: it happens while the line travels. If something
 * else runs just then, the trip's start is stamped late; so a short trip that follows an
 * interruption is not counted.
 */
static int make_trips(struct floor *floor, uint32_t trips, struct histogram *histogram)
{
    struct area_head *head = floor->orders->area.head;
    const uint64_t interruption = ticks_from_ns(INTERRUPTION_NS);
    const bool pauses = head->pauses;
    uint32_t value = atomic_load_explicit(&head->pong, memory_order_relaxed);
    uint64_t sent = 0, last = 0;
    for (uint32_t trip = 0; trip <= trips; trip++) {
        uint32_t next = value + 1 == ECHO_END ? 0 : value + 1;
        atomic_store_explicit(&head->ping, next, memory_order_release);
        uint64_t now = ticks_now(), took = now - sent;
        if (trip > 0 && (last < interruption || took >= interruption)) {
            histogram_add(histogram, took, 1);
        }
        last = trip > 0 ? took : 0;
        sent = now;
        if (await_change(&head->pong, value, pauses, floor->orders->server) == value) {
            return orders_no_answer(floor->orders);
        }
        value = next;
    }
    return 0;
}

/* The median of PROBE_TRIPS round trips. */
static int median_trip(struct floor *floor, bool pauses, double *median_us)
{
    floor->probe = (struct histogram){0};
    int wrong = echo_begin(floor, pauses);
    if (wrong == 0) {
        wrong = make_trips(floor, PROBE_TRIPS, &floor->probe);
    }
    if (wrong == 0) {
        wrong = echo_end(floor);
    }
    *median_us = ticks_to_us(histogram_quantile(&floor->probe, 0.5, ticks_grain()));
    return wrong;
}

int floor_probe(struct floor *floor, double *median_us)
{
    return median_trip(floor, false, median_us);
}

/* Finds out which way of polling makes round trips fastest just now. */
static int choose_pauses(struct floor *floor)
{
    double best_us[2] = {DBL_MAX, DBL_MAX};
    for (int turn = 0; turn < CHOICE_TURNS; turn++) {
        double median_us;
        if (median_trip(floor, turn % 2 != 0, &median_us) != 0) {
            return EXIT_FAILURE;
        }
        best_us[turn % 2] = fmin(best_us[turn % 2], median_us);
    }
    floor->pauses = best_us[1] < best_us[0];
    return 0;
}

int floor_ping(struct floor *floor, uint64_t ticks, struct figures *figures)
{
    int wrong = choose_pauses(floor);
    if (wrong == 0) {
        wrong = echo_begin(floor, floor->pauses);
    }
    if (wrong != 0) {
        return wrong;
    }
    uint64_t start = ticks_now(), end, trips = 0;
    do {
        wrong = make_trips(floor, PROBE_TRIPS, &figures->rtt);
        trips += PROBE_TRIPS + 1; /* the first of them is not in the histogram */
        end = ticks_now();
    } while (wrong == 0 && end - start < ticks);
    figures_add_burst(figures, trips, trips * sizeof(uint64_t), end - start);
    return wrong == 0 ? echo_end(floor) : wrong;
}

/* Copies `count` buffers of one part, one after the other, to the private buffer; says when.
 * Returns 0 or says why not. */
static int copy_part(struct floor *floor, int side, size_t size, uint64_t count, uint64_t *start,
                     uint64_t *end)
{
    if (floor->copied_bytes != size) {
        free(floor->copied);
        floor->copied = malloc(size);
        floor->copied_bytes = floor->copied != NULL ? size : 0;
        if (floor->copied == NULL) {
            return say(EXIT_FAILURE, "no memory for a buffer of %zu bytes", size);
        }
        memset(floor->copied, 1, size);
    }
    const uint8_t *from = area_part(&floor->orders->area, side);
    *start = ticks_now();
    for (uint64_t i = 0; i < count; i++) {
        memcpy(floor->copied, from + i * size, size);
        /* The compiler may not see that nobody reads what it copies. */
        __asm__ volatile("" : : "r"(floor->copied) : "memory");
    }
    *end = ticks_now();
    return 0;
}

int floor_copy(struct floor *floor, size_t size, uint64_t count, bool both, struct figures *figures)
{
    struct area_head *head = floor->orders->area.head;
    head->size = size;
    head->count = count;
    uint32_t word = both ? orders_give(floor->orders, ORDER_WRITE) : 0;
    pattern_fill(area_part(&floor->orders->area, 0), size * count, floor->orders->given);
    if (both && orders_await(floor->orders, word, size * count) != 0) {
        return EXIT_FAILURE;
    }
    uint64_t start = UINT64_MAX, end = 0;
    word = orders_give(floor->orders, ORDER_COPY);
    if (both && copy_part(floor, 1, size, count, &start, &end) != 0) {
        return EXIT_FAILURE;
    }
    if (orders_await(floor->orders, word, size * count) != 0) {
        return EXIT_FAILURE;
    }
    start = head->copy_start < start ? head->copy_start : start;
    end = head->copy_end > end ? head->copy_end : end;
    histogram_add(&figures->rtt, (end - start) / count, count);
    uint64_t copies = both ? 2 * count : count;
    figures_add_burst(figures, copies, copies * size, end - start);
    return 0;
}

/* ---- the server ---- */

static void echo(struct area_head *head, uint32_t order)
{
    const bool pauses = head->pauses;
    uint32_t last = atomic_load_explicit(&head->pong, memory_order_relaxed);
    atomic_store_explicit(&head->done, order, memory_order_release);
    for (;;) {
        uint32_t value = await_change(&head->ping, last, pauses, NULL);
        if (value == ECHO_END || value == last) {
            break;
        }
        atomic_store_explicit(&head->pong, value, memory_order_release);
        last = value;
    }
    atomic_store_explicit(&head->done, ~order, memory_order_release);
}

void floor_obey(struct floor *floor, uint32_t order)
{
    struct area_head *head = floor->orders->area.head;
    uint64_t start = 0, end = 0;
    switch (orders_kind(order)) {
    case ORDER_ECHO:
        echo(head, order);
        return;
    case ORDER_WRITE:
        pattern_fill(area_part(&floor->orders->area, 1), head->size * head->count, order);
        break;
    default:
        if (copy_part(floor, 0, head->size, head->count, &start, &end) != 0) {
            return; /* the client will miss our answer */
        }
        head->copy_start = start;
        head->copy_end = end;
        break;
    }
    orders_obeyed(floor->orders, order);
}
