#include "engine/admission.h"

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/lane.h"
#include "mr_cache/region.h"

/* For peers to let slabs go, as for all that they are to give back. */
static const uint64_t grace_us = 1000000;

enum { KEEPS_AT_MOST = 8 }; /* grace periods, though it has more now and then */

/* a + b, or more than any budget. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

void wbi_load_add(struct wbi_load *load, const struct wbi_lane *lane, uint64_t bytes)
{
    static const uint64_t unit = WBI_REGION_ALIGN;
    uint64_t slab = lane->engine->config.slab_bytes;
    load->bytes = sum(load->bytes, bytes);
    if (bytes > slab) {
        load->alone = sum(load->alone, sum(bytes, unit - 1) / unit * unit);
    } else {
        load->shared = sum(load->shared, bytes);
        load->halves += bytes > slab / 2;
    }
}

/* What the request has landed at once while the filter is undone, and when all is here; as far as
 * it is known: a long list says what only when that is here, a long filtered archive likewise. */
struct needs {
    struct wbi_load undoing, whole;
};

static struct needs needs_of(const struct wbi_inbound *in)
{
    const struct wbi_lane *lane = in->lane;
    uint64_t archive = in->archive_part.bytes, plain = in->plain_part.bytes;
    uint64_t list = wbi_inbound_lacks_list(in) ? in->list_part.bytes : 0;
    struct needs needs = {.whole = in->listed};
    if (plain > 0) {
        wbi_load_add(&needs.undoing, lane, archive);
        wbi_load_add(&needs.undoing, lane, plain);
        wbi_load_add(&needs.undoing, lane, list);
    }
    wbi_load_add(&needs.whole, lane, plain > 0 ? plain : archive);
    wbi_load_add(&needs.whole, lane, list);
    return needs;
}

static uint64_t most_bytes(const struct needs *needs)
{
    uint64_t undoing = needs->undoing.bytes, whole = needs->whole.bytes;
    return undoing > whole ? undoing : whole;
}

/* Whether a pool with nothing else in it could not hold the load: not by its bytes, nor by the
 * slabs that these take at least. What the program has lent to the pool may be of any size. */
static bool is_too_much(const struct wb_engine *engine, const struct wbi_load *load)
{
    uint64_t budget = engine->config.budget_bytes, slab = engine->config.slab_bytes;
    if (load->bytes > budget) {
        return true;
    }
    uint64_t slabs = (load->shared + slab - 1) / slab;
    slabs = slabs > load->halves ? slabs : load->halves;
    if (load->alone <= budget && slabs <= (budget - load->alone) / slab) {
        return false;
    }
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(engine->allocator, &stats);
    return stats.lent_bytes == 0;
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
 * already, as long as there are others whose end may help. One that is in already comes back when
 * it has learned that it takes more.
 */
static bool count(struct wbi_inbound *in, uint64_t bytes)
{
    struct wb_engine *engine = in->lane->engine;
    bool waits = in->admitted == 0 && (in->lane->queueing > 0 || others_wait(in));
    uint64_t all = atomic_load_explicit(&engine->admission.bytes, memory_order_relaxed), others;
    do {
        others = all - in->admitted;
        if (others != 0 && (waits || !fits(engine, others, bytes))) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&engine->admission.bytes, &all, others + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    in->admitted = bytes;
    return true;
}

int wbi_admit(struct wbi_inbound *in)
{
    struct wb_engine *engine = in->lane->engine;
    if (in->header.kind != WBI_REQUEST) {
        return WB_OK;
    }
    struct needs needs = needs_of(in);
    uint64_t bytes = most_bytes(&needs);
    if (is_too_much(engine, &needs.undoing) || is_too_much(engine, &needs.whole)) {
        return WB_ERR_BUDGET;
    }
    if (bytes <= in->admitted && in->admitted != 0) {
        return WB_OK;
    }
    return count(in, bytes) ? WB_OK : WB_AGAIN;
}

void wbi_admit_undone(struct wbi_inbound *in)
{
    struct needs needs = needs_of(in);
    uint64_t bytes = most_bytes(&needs);
    if (bytes < in->admitted) {
        wbi_admit_less(in, bytes);
    }
}

static _Atomic uint64_t *kept_at_of(const struct wbi_inbound *in)
{
    return &in->lane->engine->admission.kept_at;
}

/* Whether the one that keeps has had no landing more for too long. */
static bool is_overdue(uint64_t kept_at, uint64_t now)
{
    return now >= kept_at + grace_us;
}

bool wbi_admission_another_keeps(const struct wbi_inbound *in)
{
    uint64_t kept_at = atomic_load_explicit(kept_at_of(in), memory_order_relaxed);
    return in->kept == 0 && kept_at != 0 && !is_overdue(kept_at, in->lane->now);
}

/* The engine's stamp becomes this one's, if it is `former`: a new one, which no other has had. */
static bool stamp(struct wbi_inbound *in, uint64_t former, uint64_t now)
{
    uint64_t mine = now > former ? now : former + 1;
    bool stamps = atomic_compare_exchange_strong_explicit(
        kept_at_of(in), &former, mine, memory_order_relaxed, memory_order_relaxed);
    in->kept_at = stamps ? mine : in->kept_at;
    return stamps;
}

/* Takes the turn, also from one that is overdue: its lane may stand still. */
static bool begins_to_keep(struct wbi_inbound *in, uint64_t now)
{
    uint64_t former = atomic_load_explicit(kept_at_of(in), memory_order_relaxed);
    bool may = in->admitted != 0 && now >= in->keeps_again;
    in->kept_since = now;
    return may && (former == 0 || is_overdue(former, now)) && stamp(in, former, now);
}

bool wbi_admission_keep(struct wbi_inbound *in, uint32_t landed)
{
    uint64_t now = wbi_now(); /* the lane may have looked long ago */
    if (in->kept == 0) {
        in->kept = begins_to_keep(in, now) ? landed : 0;
        return in->kept > 0;
    }
    bool more = landed > in->kept && now - in->kept_since < KEEPS_AT_MOST * grace_us;
    if (more ? !stamp(in, in->kept_at, now) : is_overdue(in->kept_at, now)) {
        in->keeps_again = now + grace_us;
        wbi_admission_keep_not(in);
    }
    in->kept = in->kept > 0 ? landed : 0;
    return in->kept > 0;
}

void wbi_admission_keep_not(struct wbi_inbound *in)
{
    if (in->kept > 0) {
        uint64_t mine = in->kept_at;
        in->kept = 0;
        atomic_compare_exchange_strong_explicit(kept_at_of(in), &mine, 0, memory_order_relaxed,
                                                memory_order_relaxed);
    }
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
    uint64_t all = atomic_load_explicit(&engine->admission.bytes, memory_order_relaxed);
    uint64_t others = all - in->admitted;
    struct needs needs = needs_of(in);
    return others > 0 && !fits(engine, others, most_bytes(&needs));
}

uint64_t wbi_admission_ticket(struct wbi_lane *lane)
{
    return atomic_fetch_add_explicit(&lane->engine->admission.tickets, 1, memory_order_relaxed) + 1;
}
