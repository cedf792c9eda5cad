/* The client's part of the floor. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>

#include "perf/common_say.h"
#include "perf/floor.h"
#include "perf/relax.h"

enum { PROBE_TRIPS = 300, INTERRUPTION_NS = 1000, CHOICE_TURNS = 4 };
enum { PATIENCE_TURNS = 1 << 16 };

/* What all threads do at once. */
struct together {
    struct floor *floor;
    uint64_t ticks; /* of trips of words */
    bool writes;    /* whether the burst's payloads are to be written */
};

/* ---- lines ---- */

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

/* The same where others may be waiting for the CPU. */
static uint32_t await_change_among_many(const _Atomic uint32_t *word, uint32_t old,
                                        const struct child *other)
{
    struct relax wait = {0};
    uint64_t since = 0;
    for (;;) {
        uint32_t value = atomic_load_explicit(word, memory_order_acquire);
        if (value != old || (relax(&wait) && !orders_patience(&since, other, 0))) {
            return value;
        }
    }
}

/* The word that follows `value` on a line. */
static inline uint32_t next_word(uint32_t value)
{
    return value + 1 == ECHO_END ? 0 : value + 1;
}

static int echo_begin(struct floor *floor, uint32_t lines, bool carries, bool pauses)
{
    struct area_head *head = floor->orders->area.head;
    for (uint32_t t = 0; t < lines; t++) {
        uint32_t last = atomic_load_explicit(&head->line[t].pong, memory_order_relaxed);
        atomic_store_explicit(&head->line[t].ping, last, memory_order_relaxed);
    }
    head->lines = lines;
    head->carries = carries;
    head->pauses = pauses;
    return orders_await(floor->orders, orders_give(floor->orders, ORDER_ECHO), 0);
}

/* Lets the server leave the echo. */
static void echo_stop(struct floor *floor)
{
    struct area_head *head = floor->orders->area.head;
    for (uint32_t t = 0; t < head->lines; t++) {
        atomic_store_explicit(&head->line[t].ping, ECHO_END, memory_order_release);
    }
}

/* Waits until it has, so that the lines are ours again. */
static int echo_end(struct floor *floor)
{
    echo_stop(floor);
    return orders_await(floor->orders, ~floor->orders->given, 0);
}

/* ---- trips of words ---- */

/*
 * Makes `trips` round trips on line t and adds them to the histogram. The next ping leaves before
 * the last one is counted, so that counting costs no time: it happens while the line travels. If
 * something else runs just then, the trip's start is stamped late; so a short trip that follows an
 * interruption is not counted. Returns 0, or ETIMEDOUT.
 */
static int make_trips(struct floor *floor, uint32_t t, uint32_t trips, struct histogram *histogram)
{
    struct area_head *head = floor->orders->area.head;
    struct area_lines *line = &head->line[t];
    const uint64_t interruption = ticks_from_ns(INTERRUPTION_NS);
    const bool pauses = head->pauses, alone = head->lines == 1;
    const struct child *server = floor->orders->server;
    uint32_t value = atomic_load_explicit(&line->pong, memory_order_relaxed);
    uint64_t sent = 0, last = 0;
    for (uint32_t trip = 0; trip <= trips; trip++) {
        uint32_t next = next_word(value);
        atomic_store_explicit(&line->ping, next, memory_order_release);
        uint64_t now = ticks_now(), took = now - sent;
        if (trip > 0 && (last < interruption || took >= interruption)) {
            histogram_add(histogram, took, 1);
        }
        last = trip > 0 ? took : 0;
        sent = now;
        uint32_t got = alone ? await_change(&line->pong, value, pauses, server)
                             : await_change_among_many(&line->pong, value, server);
        if (got == value) {
            return ETIMEDOUT;
        }
        value = next;
    }
    return 0;
}

/* The median of PROBE_TRIPS round trips. */
static int median_trip(struct floor *floor, bool pauses, double *median_us)
{
    floor->probe = (struct histogram){0};
    int wrong = echo_begin(floor, 1, false, pauses);
    if (wrong == 0 && make_trips(floor, 0, PROBE_TRIPS, &floor->probe) != 0) {
        wrong = orders_no_answer(floor->orders);
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

int floor_choose(struct floor *floor)
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

/* ---- what the threads have done ---- */

static void forget(struct floor *floor)
{
    for (uint32_t t = 0; t < floor->takers; t++) {
        struct taker *taker = floor->taker[t];
        taker->trips = (struct histogram){0};
        taker->error = 0;
        taker->count = 0;
    }
}

/* From the first one's start to the last one's end. Returns 0, or EXIT_FAILURE with a line said. */
static int sum_up(const struct floor *floor, uint64_t *start, uint64_t *end, uint64_t *count)
{
    *start = UINT64_MAX;
    *end = *count = 0;
    for (uint32_t t = 0; t < floor->takers; t++) {
        const struct taker *taker = floor->taker[t];
        if (taker->error == ETIMEDOUT) {
            return orders_no_answer(floor->orders);
        }
        if (taker->error != 0) {
            char words[AREA_WHY_ROOM];
            floor_words(taker->error, words, sizeof words);
            return say(EXIT_FAILURE, "%s", words);
        }
        *start = taker->start < *start ? taker->start : *start;
        *end = taker->end > *end ? taker->end : *end;
        *count += taker->count;
    }
    return 0;
}

/* Adds the threads' trips, which have carried `bytes`, or a word each (0). */
static int count_trips(struct floor *floor, uint64_t bytes, struct figures *figures)
{
    uint64_t start, end, count;
    int wrong = sum_up(floor, &start, &end, &count);
    for (uint32_t t = 0; wrong == 0 && t < floor->takers; t++) {
        histogram_merge(&figures->rtt, &floor->taker[t]->trips);
    }
    if (wrong == 0) {
        bytes = bytes > 0 ? bytes : count * sizeof(uint64_t);
        figures_add_burst(figures, count, bytes, end - start);
    }
    return wrong;
}

static void ping_together(void *user, uint32_t t)
{
    const struct together *together = user;
    struct taker *taker = together->floor->taker[t];
    taker->start = ticks_now();
    do {
        taker->error = make_trips(together->floor, t, PROBE_TRIPS, &taker->trips);
        taker->count += PROBE_TRIPS + 1; /* the first of them is not in the histogram */
        taker->end = ticks_now();
    } while (taker->error == 0 && taker->end - taker->start < together->ticks);
}

/* ---- bursts ---- */

/* Has both sides lay out the cargo. */
static int lay(struct together *together, size_t size, uint32_t calls)
{
    struct floor *floor = together->floor;
    struct orders *orders = floor->orders;
    struct area_head *head = orders->area.head;
    bool anew;
    head->size = size;
    head->calls = calls;
    head->by_process = floor->options->vs == VS_VMREADV;
    if (floor_lay(floor, &anew) != 0) {
        return say(EXIT_FAILURE, "no memory for what --vs moves");
    }
    forget(floor);
    together->writes = anew || !floor->cargo.same;
    head->stamp += together->writes ? PAYLOAD_STRIDE * 0x10000U : 0;
    return anew ? orders_await(orders, orders_give(orders, ORDER_LAY), cargo_bytes(&floor->cargo))
                : 0;
}

int floor_ping(struct floor *floor, struct hands *hands, uint64_t ticks, struct figures *figures)
{
    struct together together = {.floor = floor, .ticks = ticks};
    int wrong = lay(&together, 1, 1);
    wrong = wrong == 0 ? echo_begin(floor, floor->takers, false, floor->pauses) : wrong;
    if (wrong != 0) {
        return wrong;
    }
    hands_do(hands, ping_together, &together);
    echo_stop(floor);
    wrong = count_trips(floor, 0, figures);
    return wrong == 0 ? echo_end(floor) : wrong;
}

static void write_together(void *user, uint32_t t)
{
    const struct together *together = user;
    const struct floor *floor = together->floor;
    const struct cargo *cargo = &floor->cargo;
    uint8_t *memory = floor_memory(floor) + t * cargo->stretch;
    uint64_t stamp = floor->orders->area.head->stamp;
    if (together->writes) {
        cargo_write_there(cargo, memory, stamp, t);
    }
    if (cargo->back.calls > 0) {
        floor_spoil(floor, floor->taker[t], &cargo->back, cargo->back.calls - 1,
                    cargo_stamp_back(cargo, stamp));
    }
}

/* Has all that is to be moved written, and what it is moved to last spoilt. */
static int write_all(struct together *together, struct hands *hands)
{
    struct floor *floor = together->floor;
    bool both = together->writes && floor->cargo.rewritten;
    uint32_t word = both ? orders_give(floor->orders, ORDER_WRITE) : 0;
    hands_do(hands, write_together, together);
    return word != 0 ? orders_await(floor->orders, word, cargo_bytes(&floor->cargo)) : 0;
}

/* Looks at the reply that was taken last. */
static void verify_reply(struct floor *floor, struct taker *taker)
{
    const struct cargo *cargo = &floor->cargo;
    uint64_t stamp = cargo_stamp_back(cargo, floor->orders->area.head->stamp);
    if (taker->error == 0 && cargo->back.calls > 0) {
        taker->error = floor_verify(floor, taker, &cargo->back, cargo->back.calls - 1, stamp);
    }
}

static void trip_together(void *user, uint32_t t)
{
    struct floor *floor = ((const struct together *)user)->floor;
    const struct area_head *head = floor->orders->area.head;
    struct area_lines *line = &floor->orders->area.head->line[t];
    const struct cargo *cargo = &floor->cargo;
    struct taker *taker = floor->taker[t];
    uint32_t value = atomic_load_explicit(&line->pong, memory_order_relaxed);
    uint64_t now = taker->start = ticks_now();
    while (taker->error == 0 && taker->count < cargo->there.calls) {
        uint32_t next = next_word(value);
        atomic_store_explicit(&line->ping, next, memory_order_release);
        uint32_t got = head->lines == 1
                           ? await_change(&line->pong, value, head->pauses, floor->orders->server)
                           : await_change_among_many(&line->pong, value, floor->orders->server);
        taker->error = got == value ? ETIMEDOUT : 0;
        if (taker->error == 0 && cargo->back.calls > 0) {
            taker->error = floor_take(floor, taker, &cargo->back, taker->count, 0);
        }
        uint64_t begun = now;
        now = ticks_now();
        histogram_add(&taker->trips, now - begun, 1);
        taker->count++;
        value = next;
    }
    taker->end = now;
    verify_reply(floor, taker);
}

int floor_trips(struct floor *floor, struct hands *hands, size_t size, uint32_t calls,
                struct figures *figures)
{
    struct together together = {.floor = floor};
    int wrong = lay(&together, size, calls);
    wrong = wrong == 0 ? write_all(&together, hands) : wrong;
    wrong = wrong == 0 ? echo_begin(floor, floor->takers, true, floor->pauses) : wrong;
    if (wrong != 0) {
        return wrong;
    }
    hands_do(hands, trip_together, &together);
    echo_stop(floor);
    wrong = count_trips(floor, cargo_bytes(&floor->cargo), figures);
    return wrong == 0 ? echo_end(floor) : wrong;
}

static void take_together(void *user, uint32_t t)
{
    struct floor *floor = ((const struct together *)user)->floor;
    const struct pieces *back = &floor->cargo.back;
    struct taker *taker = floor->taker[t];
    taker->start = ticks_now();
    for (; taker->error == 0 && taker->count < back->calls; taker->count++) {
        taker->error = floor_take(floor, taker, back, taker->count, 0);
    }
    taker->end = ticks_now();
    verify_reply(floor, taker);
}

int floor_stream(struct floor *floor, struct hands *hands, size_t size, uint32_t calls,
                 struct figures *figures)
{
    struct area_head *head = floor->orders->area.head;
    struct together together = {.floor = floor};
    int wrong = lay(&together, size, calls);
    wrong = wrong == 0 ? write_all(&together, hands) : wrong;
    if (wrong != 0) {
        return wrong;
    }
    uint64_t bytes = cargo_bytes(&floor->cargo), start = UINT64_MAX, end = 0, taken = 0;
    bool back = floor->cargo.back.calls > 0;
    uint32_t word = orders_give(floor->orders, ORDER_COPY);
    if (back) {
        hands_do(hands, take_together, &together);
        wrong = sum_up(floor, &start, &end, &taken);
    }
    if (wrong != 0 || orders_await(floor->orders, word, bytes) != 0) {
        return EXIT_FAILURE;
    }
    start = head->copy_start < start ? head->copy_start : start;
    end = head->copy_end > end ? head->copy_end : end;
    uint64_t all = (uint64_t)calls * floor->takers;
    histogram_add(&figures->rtt, (end - start) / calls, all);
    figures_add_burst(figures, floor->cargo.rewritten ? 2 * all : all, bytes, end - start);
    return 0;
}
