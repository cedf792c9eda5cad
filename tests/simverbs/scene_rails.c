#include "tests/simverbs/scene_rails.h"

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/verbs/lane.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { LARGE = SIM_RAILS_LARGE, PATIENCE_US = SIM_RAILS_PATIENCE_US };

struct sim_pair sim_rails_pair;

void sim_rails_clear(void)
{
    sim_pair_clear(&sim_rails_pair);
}

/* What a side has of channels and rails, the newest first; its last lane is of verbs. */
const struct wbi_channel *sim_rails_channels(const struct test_service *side)
{
    return side->engine->lanes[side->engine->lane_count - 1]->port->channels;
}

uint32_t sim_rails_of(struct wb_peer *peer)
{
    struct wb_peer_info info;
    ck_assert_int_eq(wb_peer_describe(peer, &info), WB_OK);
    return info.rails;
}

/* Lets both go on until the peer has so many. */
void sim_rails_await(uint32_t wanted)
{
    for (unsigned i = 0; i < 400 && sim_rails_of(sim_rails_pair.peer) != wanted; i++) {
        sim_pair_settle(&sim_rails_pair, 50000);
    }
    ck_assert_uint_eq(sim_rails_of(sim_rails_pair.peer), wanted);
}

void sim_rails_begin(const struct sim_profile *profile)
{
    sim_pair_open(&sim_rails_pair, 1, profile);
    sim_pair_add_rails(&sim_rails_pair, profile);
    sim_rails_pair.config.max_calls = sim_rails_pair.config.credits = 32;
    ck_assert_int_eq(sim_pair_begin(&sim_rails_pair), WB_OK);
    sim_rails_await(1);
}

struct wb_call *sim_rails_send(struct wb_rma_allocator *allocator, struct digest_in *in)
{
    struct wb_call *call = NULL;
    *in = (struct digest_in){.seed = 8};
    ck_assert_int_eq(wb_rma_vector_create(allocator, 1, LARGE, &in->data), WB_OK);
    test_pattern_fill(in->data.data, LARGE, 9);
    ck_assert_int_eq(digest_async(sim_rails_pair.peer, in, NULL, &call), WB_OK);
    return call;
}

void sim_rails_assert_arrives(struct wb_call *call, struct digest_in *in)
{
    struct digest_out out;
    ck_assert_int_eq(wb_call_wait(call, PATIENCE_US), WB_OK);
    int status = digest_finish(call, &out);
    test_check(status == WB_OK, "%s", wb_last_error());
    ck_assert_uint_eq(out.data_right, LARGE);
    digest_out_drop(&out);
    digest_in_drop(in);
}

void sim_rails_call(struct wb_rma_allocator *allocator)
{
    struct digest_in in;
    sim_rails_assert_arrives(sim_rails_send(allocator, &in), &in);
}
