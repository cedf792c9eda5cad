#include "tests/simverbs/scene_calls.h"

#include <string.h>

#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { CHUNK = 100000, RAW = 20000, CALLS = 4 };

static const uint64_t patience_us = 60000000; /* of the world's time */

/* ---- ends ---- */

static bool is_an_end(int status)
{
    return status == WB_OK || status == WB_ERR_PEER_LOST || status == WB_ERR_NOT_SENT ||
           status == WB_ERR_NO_MEMORY || status == WB_ERR_INVALID || status == WB_ERR_BUDGET ||
           status == WB_ERR_SYSTEM || status == WB_ERR_REVOKED || status == WB_ERR_TIMED_OUT;
}

static void note_end(int status, const char *when, struct sim_tally *tally)
{
    test_check(is_an_end(status), "%s: a call ends with %s: %s", when, wb_status_name(status),
               wb_last_error());
    tally->good += status == WB_OK;
    tally->failed += status != WB_OK;
    tally->timed_out += status == WB_ERR_TIMED_OUT;
}

/* ---- calls ---- */

/* Arguments that are offered for READ, of both kinds. */
int sim_calls_digest(struct sim_pair *pair, uint64_t seed)
{
    static uint8_t raw[RAW];
    struct wb_rma_allocator *pool = wb_engine_allocator(pair->client.engine);
    struct digest_in in = {.seed = seed, .raw = {.data = (char *)raw, .len = sizeof raw}};
    struct digest_out out;
    int status = wb_rma_vector_create(pool, 1, CHUNK, &in.data);
    if (status != WB_OK) {
        return status;
    }
    test_pattern_fill(raw, sizeof raw, seed);
    test_pattern_fill(in.data.data, CHUNK, seed + 1);
    status = digest_call(pair->peer, &in, &out, NULL);
    if (status == WB_OK) {
        ck_assert_uint_eq(out.raw_right, RAW);
        ck_assert_uint_eq(out.data_right, CHUNK);
    }
    memset(raw, 0xee, sizeof raw); /* nobody reads it any more */
    digest_out_drop(&out);
    digest_in_drop(&in);
    return status;
}

/* A result that is fetched. */
static int call_produce(struct sim_pair *pair, uint64_t seed)
{
    struct wb_call_options options = {.reply_bytes = CHUNK + RAW + 4096};
    struct produce_in in = {.seed = seed, .raw_bytes = RAW, .count = CHUNK, .elem_size = 1};
    struct produce_out out;
    int status = produce_call(pair->peer, &in, &out, &options);
    if (status == WB_OK) {
        ck_assert_uint_eq(test_pattern_check(out.raw.data, RAW, seed), RAW);
        ck_assert_uint_eq(test_pattern_check(out.data.data, CHUNK, seed + 1), CHUNK);
    }
    produce_out_drop(&out);
    return status;
}

/* The ends come in any order. */
static void call_some_at_once(struct sim_pair *pair, const char *when, struct sim_tally *tally)
{
    struct wb_call *calls[CALLS] = {NULL};
    struct add_out out;
    for (unsigned i = 0; i < CALLS; i++) {
        struct add_in in = {.a = i, .b = 1};
        int status = add_async(pair->peer, &in, NULL, &calls[i]);
        if (status != WB_OK) {
            calls[i] = NULL;
        }
        if (status != WB_OK && status != WB_AGAIN) {
            note_end(status, when, tally);
        }
    }
    for (unsigned i = 0; i < CALLS; i++) {
        if (calls[i] != NULL) {
            test_check(wb_call_wait(calls[i], patience_us) == WB_OK, "%s: a call does not end",
                       when);
            int status = add_finish(calls[i], &out);
            note_end(status, when, tally);
            ck_assert(status != WB_OK || out.sum == i + 1);
        }
    }
}

void sim_calls_make(struct sim_pair *pair, const char *when, struct sim_tally *tally)
{
    call_some_at_once(pair, when, tally);
    note_end(sim_calls_digest(pair, 3), when, tally);
    note_end(call_produce(pair, 5), when, tally);
    call_some_at_once(pair, when, tally);
}

/* ---- afterwards ---- */

void sim_calls_mend(struct sim_pair *pair, const char *when, struct sim_tally *tally)
{
    if (pair->peer != NULL && wb_peer_state(pair->peer) == WB_PEER_CONNECTED) {
        return;
    }
    sim_pair_end(pair);
    int status = sim_pair_begin(pair);
    test_check(status == WB_OK, "%s: not mended: %s", when, wb_last_error());
    tally->mended++;
}

static void assert_quiet(struct sim_pair *pair, struct wb_engine *engine, const char *when)
{
    struct test_figures figures;
    const char *unquiet = "";
    for (unsigned i = 0; i < 100 && unquiet != NULL; i++) {
        test_figures_take(engine, &figures);
        unquiet = test_figures_unquiet(&figures, 0);
        if (unquiet != NULL) {
            sim_pair_settle(pair, 100000);
        }
    }
    test_check(unquiet == NULL, "%s: the %s is not quiet: %s", when,
               engine == pair->client.engine ? "client" : "server", unquiet);
}

void sim_calls_assert_quiet(struct sim_pair *pair, const char *when)
{
    assert_quiet(pair, pair->client.engine, when);
    assert_quiet(pair, pair->server.engine, when);
}
