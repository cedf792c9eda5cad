/* The client's part of --vs raw. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"
#include "perf/raw.h"
#include "perf/relax.h"

/* From the first thread's start to the last one's end. Returns 0, or EXIT_FAILURE with a line said.
 */
static int sum_up(const struct raw *raw, uint64_t *start, uint64_t *end)
{
    for (uint32_t t = 0; t < raw->options->threads; t++) {
        const struct raw_end *one = raw->ends[t];
        if (one->error != 0) { /* the server's reason may be ours */
            return orders_has_failed(raw->orders) ? orders_await(raw->orders, raw->orders->given, 0)
                                                  : raw_failed(raw, t);
        }
        *start = one->start < *start ? one->start : *start;
        *end = one->end > *end ? one->end : *end;
    }
    return 0;
}

static void write_together(void *user, uint32_t t)
{
    const struct raw *raw = user;
    uint64_t stamp = raw->orders->area.head->stamp;
    cargo_write_there(&raw->cargo, raw->ends[t]->link.memory, stamp, t);
}

/* Has both sides lay out the cargo, and write what is moved. */
static int prepare(struct raw *raw, struct hands *hands, size_t size, uint32_t calls)
{
    struct orders *orders = raw->orders;
    struct area_head *head = orders->area.head;
    bool anew;
    head->size = size;
    head->calls = calls;
    if (raw_lay(raw, &anew) != 0) {
        return say(EXIT_FAILURE, "no memory for what --vs moves");
    }
    bool writes = anew || !raw->cargo.same;
    head->stamp += writes ? PAYLOAD_STRIDE * 0x10000U : 0;
    uint64_t bytes = cargo_bytes(&raw->cargo);
    if (anew && orders_await(orders, orders_give(orders, ORDER_RAW_LAY), bytes) != 0) {
        return EXIT_FAILURE;
    }
    for (uint32_t t = 0; t < raw->options->threads; t++) {
        raw->ends[t]->trips = (struct histogram){0};
        raw->ends[t]->error = 0;
    }
    if (!writes) {
        return 0;
    }
    uint32_t word = raw->cargo.rewritten ? orders_give(orders, ORDER_RAW_WRITE) : 0;
    hands_do(hands, write_together, raw);
    return word != 0 ? orders_await(orders, word, bytes) : 0;
}

/* ---- trips ---- */

/* What the last answer of a burst is stamped with. */
static uint64_t answer_stamp(const struct cargo *cargo)
{
    size_t at = raw_answer_at(cargo, cargo->there.calls - 1);
    return cargo_stamp_back(cargo, 0) + at / sizeof(uint64_t);
}

/* With --verify: makes the bytes wrong that it will land on; and sees that it has landed. */
static void spoil_answer(const struct raw *raw, struct raw_end *end)
{
    size_t bytes = raw_answer_bytes(&raw->cargo, raw->cargo.there.calls - 1);
    if (raw->options->verify) {
        pattern_spoil(raw_link_received_at(&end->link), bytes, answer_stamp(&raw->cargo));
    }
}

static int verify_answer(const struct raw *raw, const struct raw_end *end)
{
    size_t bytes = raw_answer_bytes(&raw->cargo, raw->cargo.there.calls - 1);
    const uint8_t *at = raw_link_received_at(&end->link);
    bool right =
        !raw->options->verify || pattern_check(at, bytes, answer_stamp(&raw->cargo)) == bytes;
    return right ? 0 : RAW_WRONG_BYTES;
}

/* Waits for the answer. Returns 0, or an enum raw_error. */
static int await_pong(const struct raw *raw, struct raw_link *link)
{
    struct relax wait = {0};
    uint64_t since = 0;
    for (;;) {
        int got = raw_link_received(link);
        if (got != 0) {
            return got > 0 ? 0 : RAW_LINK_FAILED;
        }
        if (relax(&wait) && (orders_has_failed(raw->orders) ||
                             !orders_patience(&since, raw->orders->server, link->bytes))) {
            return RAW_NO_ANSWER;
        }
    }
}

/* One round trip; posting the next receive is not on its way. */
static int trip(const struct raw *raw, struct raw_end *end, size_t i, uint64_t *took)
{
    struct raw_link *link = &end->link;
    const struct cargo *cargo = &raw->cargo;
    bool asks = raw_trips_read(raw->options);
    size_t offset = asks ? 0 : pieces_of(&cargo->there, i)->at;
    size_t bytes = asks ? RAW_ASK_BYTES : pieces_span(&cargo->there, i);
    uint64_t start = ticks_now();
    int error = raw_link_send(link, offset, bytes) == 0 ? await_pong(raw, link) : RAW_LINK_FAILED;
    *took = ticks_now() - start;
    if (error == 0 && (raw_link_post_receive(link) != 0 || raw_link_collect(link) != 0)) {
        error = RAW_LINK_FAILED;
    }
    return error;
}

static void trip_together(void *user, uint32_t t)
{
    struct raw *raw = user;
    const struct cargo *cargo = &raw->cargo;
    struct raw_end *end = raw->ends[t];
    spoil_answer(raw, end);
    end->start = ticks_now();
    for (size_t i = 0; end->error == 0 && i < cargo->there.calls; i++) {
        uint64_t took = 0;
        end->error = trip(raw, end, i, &took);
        histogram_add(&end->trips, took, 1);
    }
    end->end = ticks_now();
    if (end->error == 0) {
        end->error = verify_answer(raw, end);
    }
}

/* What a device SENDs at once. */
static int check_message(const struct raw *raw)
{
    size_t longest = pieces_longest(&raw->cargo.there), back = 0;
    for (size_t i = 0; i < raw->cargo.back.calls; i++) {
        size_t bytes = raw_answer_bytes(&raw->cargo, i);
        back = bytes > back ? bytes : back;
    }
    uint64_t most = raw->ends[0]->link.max_message;
    return raw_trips_read(raw->options) || (longest <= most && back <= most)
               ? 0
               : say(EXIT_FAILURE,
                     "the device SENDs %" PRIu64 " bytes at most; choose smaller payloads for "
                     "--vs raw",
                     most);
}

int raw_trips(struct raw *raw, struct hands *hands, size_t size, uint32_t calls,
              struct figures *figures)
{
    struct orders *orders = raw->orders;
    uint64_t start = UINT64_MAX, end = 0;
    int wrong = prepare(raw, hands, size, calls);
    wrong = wrong == 0 ? check_message(raw) : wrong;
    if (wrong != 0) {
        return wrong;
    }
    uint32_t word = orders_give(orders, ORDER_RAW_ECHO);
    wrong = orders_await(orders, ~word, 0);
    if (wrong == 0) {
        hands_do(hands, trip_together, raw);
        wrong = sum_up(raw, &start, &end);
    }
    if (wrong != 0) {
        return wrong;
    }
    uint64_t trips = (uint64_t)calls * raw->options->threads;
    for (uint32_t t = 0; t < raw->options->threads; t++) {
        histogram_merge(&figures->rtt, &raw->ends[t]->trips);
    }
    figures_add_burst(figures, trips, cargo_bytes(&raw->cargo), end - start);
    return orders_await(orders, word, 0);
}

/* ---- READs ---- */

/* With --verify: makes the bytes wrong that the last READs will land on. */
static void spoil_landing(void *user, uint32_t t)
{
    const struct raw *raw = user;
    const struct pieces *back = &raw->cargo.back;
    uint64_t stamp = cargo_stamp_back(&raw->cargo, raw->orders->area.head->stamp);
    uint8_t *landing = raw_plan_landing(&raw->plan, &raw->ends[t]->link, back->calls - 1);
    pieces_spoil(back, back->calls - 1, landing, stamp);
}

/* READs what is the server's. */
static void read_together(void *user, uint32_t t)
{
    struct raw *raw = user;
    const struct pieces *back = &raw->cargo.back;
    struct raw_end *end = raw->ends[t];
    struct relax wait = {0};
    uint64_t since = 0;
    end->start = ticks_now();
    raw_begin_reads(raw, t, 0, back->calls);
    while (end->error == 0 && !raw_reads_ended(&end->reads)) {
        int done = raw_reads_step(&end->reads);
        end->error = done < 0 ? RAW_LINK_FAILED : 0;
        since = done != 0 ? 0 : since;
        if (done == 0 && relax(&wait) &&
            !orders_patience(&since, raw->orders->server, pieces_longest(back) * RAW_READS)) {
            end->error = RAW_NO_ANSWER;
        }
    }
    end->end = ticks_now();
    if (end->error == 0) {
        const uint8_t *landing = raw_plan_landing(&raw->plan, &end->link, back->calls - 1);
        uint64_t stamp = cargo_stamp_back(&raw->cargo, raw->orders->area.head->stamp);
        end->error = raw_verify(raw, back, back->calls - 1, landing, stamp);
    }
}

int raw_stream(struct raw *raw, struct hands *hands, size_t size, uint32_t calls,
               struct figures *figures)
{
    struct area_head *head = raw->orders->area.head;
    uint64_t start = UINT64_MAX, end = 0;
    int wrong = prepare(raw, hands, size, calls);
    if (wrong != 0) {
        return wrong;
    }
    if (raw->options->verify && raw->cargo.back.calls > 0) {
        hands_do(hands, spoil_landing, raw);
    }
    uint64_t bytes = cargo_bytes(&raw->cargo);
    uint32_t word = orders_give(raw->orders, ORDER_RAW_READ);
    if (raw->cargo.back.calls > 0) {
        hands_do(hands, read_together, raw);
        wrong = sum_up(raw, &start, &end);
    }
    if (wrong != 0 || orders_await(raw->orders, word, bytes) != 0) {
        return EXIT_FAILURE;
    }
    start = head->copy_start < start ? head->copy_start : start;
    end = head->copy_end > end ? head->copy_end : end;
    uint64_t all = (uint64_t)calls * raw->options->threads;
    histogram_add(&figures->rtt, (end - start) / calls, all);
    figures_add_burst(figures, raw->cargo.rewritten ? 2 * all : all, bytes, end - start);
    return 0;
}
