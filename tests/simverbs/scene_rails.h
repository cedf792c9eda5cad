/* Two hosts with two devices each, and a rail over the second pair. */
#ifndef WAYBILL_TESTS_SIMVERBS_SCENE_RAILS_H
#define WAYBILL_TESTS_SIMVERBS_SCENE_RAILS_H

#include "tests/simverbs/scene_calls.h"

enum { SIM_RAILS_LARGE = 3 << 20, SIM_RAILS_PATIENCE_US = 20000000 };

extern struct sim_pair sim_rails_pair;

/* Opens the world, and begins; the rail is up then. As a fixture: clears what is left. */
void sim_rails_begin(const struct sim_profile *profile);
void sim_rails_clear(void);

/* What a side has of channels and rails, the newest first. */
const struct wbi_channel *sim_rails_channels(const struct test_service *side);

/* How many rails a peer has; and until the client's has so many. */
uint32_t sim_rails_of(struct wb_peer *peer);
void sim_rails_await(uint32_t wanted);

/* A call with a vector of SIM_RAILS_LARGE bytes of this allocator: begun; awaited, with success;
 * both. */
struct wb_call *sim_rails_send(struct wb_rma_allocator *allocator, struct digest_in *in);
void sim_rails_assert_arrives(struct wb_call *call, struct digest_in *in);
void sim_rails_call(struct wb_rma_allocator *allocator);

#endif
