#include "engine/admission.h"

#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/lane.h"

/* a + b, or more than any budget. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

/* All that the request lands, as far as it is known: a long list says what only when it is here. */
static uint64_t total_bytes(const struct wbi_inbound *in)
{
    uint64_t total = sum(in->archive_part.bytes, in->list_part.bytes);
    if (in->stage == WBI_STAGE_LONG) {
        return sum(total, in->listed_bytes);
    }
    for (uint32_t i = 0; i < in->part_count; i++) {
        total = sum(total, in->parts[i].bytes);
    }
    return total;
}

/* Whether one waits on another lane that came first. */
static bool others_wait(const struct wbi_inbound *in)
{
    const struct wb_engine *engine = in->lane->engine;
    bool waits = false;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        const struct wbi_lane *lane = engine->lanes[i];
        uint64_t first = atomic_load_explicit(&lane->first_waiting, memory_order_relaxed);
        waits |= lane != in->lane && first != 0 && (in->ticket == 0 || first < in->ticket);
    }
    return waits;
}

static bool fits(const struct wb_engine *engine, uint64_t admitted, uint64_t bytes)
{
    uint64_t half = engine->config.budget_bytes / 2;
    return admitted < half && bytes <= half - admitted;
}

/*
 * Requests together begin to land in half of the budget: what their handlers need to go on must not
 * be what others wait with. One alone may have all of it. New ones wait behind those that wait
 * already, as long as there are others whose end may help.
 */
static bool begin(struct wbi_inbound *in, uint64_t bytes)
{
    struct wb_engine *engine = in->lane->engine;
    bool waits = in->lane->queueing > 0 || others_wait(in);
    uint64_t admitted = atomic_load_explicit(&engine->admission.bytes, memory_order_relaxed);
    do {
        if (admitted != 0 && (waits || !fits(engine, admitted, bytes))) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&engine->admission.bytes, &admitted,
                                                    admitted + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    in->admitted = bytes;
    return true;
}

int wbi_admit(struct wbi_inbound *in)
{
    struct wb_engine *engine = in->lane->engine;
    uint64_t bytes = total_bytes(in);
    if (in->header.kind != WBI_REQUEST) {
        return WB_OK;
    }
    if (bytes > engine->config.budget_bytes) {
        return WB_ERR_BUDGET;
    }
    if (in->admitted == 0) {
        return begin(in, bytes) ? WB_OK : WB_AGAIN;
    }
    if (bytes > in->admitted) { /* it is in, and asks the pool alone */
        atomic_fetch_add_explicit(&engine->admission.bytes, bytes - in->admitted,
                                  memory_order_relaxed);
        in->admitted = bytes;
    }
    return WB_OK;
}

void wbi_admit_less(struct wbi_inbound *in, uint64_t bytes)
{
    if (in->admitted != bytes) {
        atomic_fetch_sub_explicit(&in->lane->engine->admission.bytes, in->admitted - bytes,
                                  memory_order_relaxed);
        in->admitted = bytes;
    }
}

bool wbi_admission_is_full(const struct wbi_inbound *in)
{
    const struct wb_engine *engine = in->lane->engine;
    uint64_t admitted = atomic_load_explicit(&engine->admission.bytes, memory_order_relaxed);
    return in->admitted == 0 && admitted > 0 && !fits(engine, admitted, total_bytes(in));
}

uint64_t wbi_admission_ticket(struct wbi_lane *lane)
{
    return atomic_fetch_add_explicit(&lane->engine->admission.tickets, 1, memory_order_relaxed) + 1;
}
