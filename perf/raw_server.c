/* The server's part of --vs raw: answers pings, and READs the client's memory. */
#include <errno.h>
#include <string.h>

#include "perf/raw.h"
#include "perf/raw_meet.h"
#include "perf/relax.h"
#include "perf/ticks.h"

/* ---- pings and READs ---- */

/* What is going on for each of the client's threads; `left` have not ended. */
struct serving {
    struct raw *raw;
    uint32_t left;
    bool reading[THREADS_MAX]; /* whether a ping waits for its READs */
};

static int fail(struct raw_end *end, int error)
{
    end->error = error;
    return -1;
}

/* Answers the ping that has come last. */
static int answer(struct serving *serving, uint32_t t)
{
    const struct cargo *cargo = &serving->raw->cargo;
    struct raw_end *end = serving->raw->ends[t];
    struct raw_link *link = &end->link;
    size_t bytes = raw_answer_bytes(cargo, end->count), at = raw_answer_at(cargo, end->count);
    end->count++;
    serving->left -= end->count == cargo->there.calls;
    return raw_link_send(link, at, bytes) == 0 && raw_link_post_receive(link) == 0 &&
                   raw_link_collect(link) == 0
               ? 1
               : fail(end, RAW_LINK_FAILED);
}

/* Looks for what there is to do for thread t's ping. Returns whether there was anything, or -1. */
static int ping_step(struct serving *serving, uint32_t t)
{
    struct raw *raw = serving->raw;
    struct raw_end *end = raw->ends[t];
    if (serving->reading[t]) {
        int done = raw_reads_step(&end->reads);
        if (done < 0) {
            return fail(end, RAW_LINK_FAILED);
        }
        serving->reading[t] = !raw_reads_ended(&end->reads);
        return serving->reading[t] ? done : answer(serving, t);
    }
    int got = raw_link_received(&end->link);
    if (got <= 0) {
        return got == 0 ? 0 : fail(end, RAW_LINK_FAILED);
    }
    if (raw_trips_read(raw->options)) {
        raw_begin_reads(raw, t, end->count, end->count + 1);
        serving->reading[t] = true;
        return 1;
    }
    return answer(serving, t);
}

/* Carries thread t's READs on. */
static int read_step(struct serving *serving, uint32_t t)
{
    struct raw_end *end = serving->raw->ends[t];
    if (end->count == 0) {
        return 0;
    }
    int done = raw_reads_step(&end->reads);
    if (done < 0) {
        return fail(end, RAW_LINK_FAILED);
    }
    if (raw_reads_ended(&end->reads)) {
        end->count = 0;
        serving->left--;
    }
    return done;
}

/* Serves the threads in turn until all have had what they want. */
static int serve(struct serving *serving, int (*step)(struct serving *serving, uint32_t t))
{
    struct raw *raw = serving->raw;
    struct relax wait = {0};
    uint64_t since = 0;
    while (serving->left > 0) {
        int busy = 0;
        for (uint32_t t = 0; t < raw->options->threads; t++) {
            int done = step(serving, t);
            if (done < 0) {
                return -1;
            }
            busy += done;
        }
        if (busy > 0) {
            wait = (struct relax){0};
            since = 0;
        } else if (relax(&wait) && !orders_patience(&since, NULL, cargo_bytes(&raw->cargo))) {
            return fail(raw->ends[0], RAW_NO_ANSWER);
        }
    }
    return 0;
}

/* Where thread t's last payload comes. */
static uint8_t *last_landing(const struct raw *raw, uint32_t t, bool sent)
{
    const struct raw_link *link = &raw->ends[t]->link;
    return sent ? raw_link_received_at(link)
                : raw_plan_landing(&raw->plan, link, raw->cargo.there.calls - 1);
}

/* With --verify: makes the bytes wrong that it will land on, which the burst before may have left
 * there where it is the same. */
static void spoil(const struct raw *raw, bool sent)
{
    const struct pieces *there = &raw->cargo.there;
    for (uint32_t t = 0; raw->options->verify && t < raw->options->threads; t++) {
        uint64_t stamp = cargo_stamp_there(raw->orders->area.head->stamp, t);
        pieces_spoil(there, there->calls - 1, last_landing(raw, t, sent), stamp);
    }
}

/* Looks at each thread's last payload. */
static int verify(const struct raw *raw, bool sent)
{
    const struct pieces *there = &raw->cargo.there;
    size_t last = there->calls - 1;
    int status = 0;
    for (uint32_t t = 0; status == 0 && t < raw->options->threads; t++) {
        struct raw_end *end = raw->ends[t];
        const uint8_t *landing = last_landing(raw, t, sent);
        uint64_t stamp = cargo_stamp_there(raw->orders->area.head->stamp, t);
        end->error = raw_verify(raw, there, last, landing, stamp);
        status = end->error == 0 ? 0 : -1;
    }
    return status;
}

static int echo(struct raw *raw)
{
    struct serving serving = {.raw = raw, .left = raw->options->threads};
    for (uint32_t t = 0; t < raw->options->threads; t++) {
        raw->ends[t]->count = 0;
    }
    int status = serve(&serving, ping_step);
    return status == 0 ? verify(raw, !raw_trips_read(raw->options)) : status;
}

static int read_all(struct raw *raw)
{
    struct area_head *head = raw->orders->area.head;
    struct serving serving = {.raw = raw, .left = raw->options->threads};
    spoil(raw, false);
    head->copy_start = ticks_now();
    for (uint32_t t = 0; t < raw->options->threads; t++) {
        raw->ends[t]->count = 1;
        raw_begin_reads(raw, t, 0, raw->cargo.there.calls);
    }
    int status = serve(&serving, read_step);
    head->copy_end = ticks_now();
    return status == 0 ? verify(raw, false) : status;
}

/* ---- orders ---- */

/* Writes what the client takes, on each link, since any may be asked. */
static void write_back(struct raw *raw)
{
    const struct cargo *cargo = &raw->cargo;
    uint64_t stamp = raw->orders->area.head->stamp;
    for (uint32_t t = 0; t < raw->options->threads; t++) {
        uint8_t *memory = raw->ends[t]->link.memory;
        if (cargo->rewritten) {
            cargo_write_back(cargo, memory, stamp);
        } else {
            size_t room = cargo->back.room > 0 ? cargo->back.room : PIECES_SHIFT;
            pattern_fill(memory, room + RAW_ANSWER_BYTES, cargo_stamp_back(cargo, 0));
        }
    }
}

static int lay(struct raw *raw)
{
    bool anew;
    if (raw_lay(raw, &anew) != 0) {
        errno = ENOMEM;
        raw_link_fail(&raw->ends[0]->link, "no room for what --vs moves");
        return fail(raw->ends[0], RAW_LINK_FAILED);
    }
    if (!raw->cargo.rewritten) {
        write_back(raw);
    }
    return 0;
}

static int obey(struct raw *raw, uint32_t order)
{
    uint32_t t = raw->orders->area.head->thread;
    switch (orders_kind(order)) {
    case ORDER_RAW_LISTEN:
    case ORDER_RAW_ACCEPT:
        return raw_meet(raw, t, orders_kind(order) == ORDER_RAW_ACCEPT);
    case ORDER_RAW_LAY:
        return lay(raw);
    case ORDER_RAW_WRITE:
        write_back(raw);
        return 0;
    case ORDER_RAW_ECHO:
        spoil(raw, !raw_trips_read(raw->options));
        orders_obeyed(raw->orders, ~order); /* begun: what comes from now on is echoed */
        return echo(raw);
    default:
        return read_all(raw);
    }
}

void raw_obey(struct raw *raw, uint32_t order)
{
    uint32_t t = raw->orders->area.head->thread;
    if (t >= raw->options->threads || raw_end_make(raw, t) == NULL) {
        orders_failed(raw->orders, order, "raw verbs: no memory");
        return;
    }
    if (obey(raw, order) == 0) {
        orders_obeyed(raw->orders, order);
        return;
    }
    t = 0;
    while (t + 1 < raw->options->threads && (raw->ends[t] == NULL || raw->ends[t]->error == 0)) {
        t++;
    }
    char words[AREA_WHY_ROOM];
    raw_words(raw, t, words, sizeof words);
    orders_failed(raw->orders, order, "%s", words);
}
