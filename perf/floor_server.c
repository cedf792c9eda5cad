/* The server's part of the floor. */
#include <sched.h>

#include "perf/floor.h"
#include "perf/relax.h"

enum { PATIENCE_TURNS = 1 << 16 };

/* Whether to go on looking at lines that do not change. */
static inline bool look_again(uint32_t turn, bool alone, bool pauses, struct relax *wait,
                              uint64_t *since)
{
    if (!alone) {
        return !relax(wait) || orders_patience(since, NULL, 0);
    }
    if (pauses) {
        relax_pause();
    }
    if (turn % PATIENCE_TURNS == 0) {
        sched_yield();
        return orders_patience(since, NULL, 0);
    }
    return true;
}

/* An echo under way. */
struct echo {
    uint32_t last[THREADS_MAX]; /* what was answered on each line */
    uint64_t trips[THREADS_MAX];
    uint32_t open;   /* lines that have not ended */
    uint32_t latest; /* the line whose payload was taken last */
};

/* Takes the payload of the next call of thread t, if a burst has one for each ping. */
static void carry(struct floor *floor, struct echo *echo, uint32_t t)
{
    const struct cargo *cargo = &floor->cargo;
    struct taker *taker = floor->taker[0];
    if (taker->error == 0 && echo->trips[t] < cargo->there.calls) {
        taker->error =
            floor_take(floor, taker, &cargo->there, echo->trips[t]++, t * cargo->stretch);
        echo->latest = t;
    }
}

/* Answers line t, if there is a new ping; says whether there was. */
static inline bool answer(struct floor *floor, struct echo *echo, uint32_t t, bool carries)
{
    struct area_lines *line = &floor->orders->area.head->line[t];
    uint32_t value = atomic_load_explicit(&line->ping, memory_order_acquire);
    if (value == echo->last[t]) {
        return false;
    }
    echo->last[t] = value;
    if (value == ECHO_END) {
        echo->open--;
        return true;
    }
    if (carries) {
        carry(floor, echo, t);
    }
    atomic_store_explicit(&line->pong, value, memory_order_release);
    return true;
}

/* Until all have ended, or nothing comes for long. One line known at compile time is a short loop.
 */
static inline __attribute__((always_inline)) void answer_all(struct floor *floor, struct echo *echo,
                                                             uint32_t lines, bool carries)
{
    const bool pauses = floor->orders->area.head->pauses;
    uint64_t since = 0;
    struct relax wait = {0};
    for (uint32_t turn = 1; echo->open > 0; turn++) {
        bool busy = false;
        for (uint32_t t = 0; t < lines; t++) {
            busy |= answer(floor, echo, t, carries);
        }
        if (busy) {
            turn = 0;
            since = 0;
            wait = (struct relax){0};
        } else if (!look_again(turn, lines == 1, pauses, &wait, &since)) {
            return;
        }
    }
}

/* Says that the order is obeyed, or what went wrong with it: with the payload of thread t, which
 * was taken last, too. */
static void say_done(struct floor *floor, uint32_t word, uint32_t t)
{
    struct taker *taker = floor->taker[0];
    const struct pieces *there = &floor->cargo.there;
    uint64_t stamp = cargo_stamp_there(floor->orders->area.head->stamp, t);
    if (taker->error == 0) {
        taker->error = floor_verify(floor, taker, there, there->calls - 1, stamp);
    }
    if (taker->error == 0) {
        orders_obeyed(floor->orders, word);
        return;
    }
    char words[AREA_WHY_ROOM];
    floor_words(taker->error, words, sizeof words);
    orders_failed(floor->orders, word, "%s", words);
}

/* Before anything is taken. A burst of one call whose payload is the same has nothing else by which
 * it would show that it was not taken. */
static void make_ready(struct floor *floor)
{
    const struct pieces *there = &floor->cargo.there;
    uint64_t stamp = cargo_stamp_there(floor->orders->area.head->stamp, 0);
    floor_spoil(floor, floor->taker[0], there, there->calls - 1, stamp);
    floor->taker[0]->error = 0;
}

static void echo(struct floor *floor, uint32_t order)
{
    const struct area_head *head = floor->orders->area.head;
    struct echo echo = {.open = head->lines <= THREADS_MAX ? head->lines : 0};
    const uint32_t lines = echo.open;
    for (uint32_t t = 0; t < lines; t++) {
        echo.last[t] = atomic_load_explicit(&head->line[t].pong, memory_order_relaxed);
    }
    if (head->carries) {
        make_ready(floor);
    }
    orders_obeyed(floor->orders, order);
    if (!head->carries) {
        lines == 1 ? answer_all(floor, &echo, 1, false) : answer_all(floor, &echo, lines, false);
        orders_obeyed(floor->orders, ~order);
        return;
    }
    lines == 1 ? answer_all(floor, &echo, 1, true) : answer_all(floor, &echo, lines, true);
    say_done(floor, ~order, echo.latest);
}

/* Takes all that the client has written. */
static void copy(struct floor *floor, uint32_t order)
{
    struct area_head *head = floor->orders->area.head;
    const struct cargo *cargo = &floor->cargo;
    struct taker *taker = floor->taker[0];
    make_ready(floor);
    head->copy_start = ticks_now();
    for (size_t i = 0; i < cargo->there.calls; i++) {
        for (uint32_t t = 0; taker->error == 0 && t < cargo->threads; t++) {
            taker->error = floor_take(floor, taker, &cargo->there, i, t * cargo->stretch);
        }
    }
    head->copy_end = ticks_now();
    say_done(floor, order, cargo->threads - 1);
}

static void lay(struct floor *floor, uint32_t order)
{
    bool anew;
    if (floor_lay(floor, &anew) != 0) {
        orders_failed(floor->orders, order, "no memory for what --vs moves");
        return;
    }
    if (!floor->cargo.rewritten) {
        cargo_write_back(&floor->cargo, floor_memory(floor), 0);
    }
    orders_obeyed(floor->orders, order);
}

void floor_obey(struct floor *floor, uint32_t order)
{
    switch (orders_kind(order)) {
    case ORDER_ECHO:
        echo(floor, order);
        break;
    case ORDER_LAY:
        lay(floor, order);
        break;
    case ORDER_WRITE:
        cargo_write_back(&floor->cargo, floor_memory(floor), floor->orders->area.head->stamp);
        orders_obeyed(floor->orders, order);
        break;
    default:
        copy(floor, order);
        break;
    }
}
