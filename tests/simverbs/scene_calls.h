/* Calls with everything in them, for worlds in which something goes wrong: they may fail, in the
 * ways that a call can fail, and what arrives is right. */
#ifndef WAYBILL_TESTS_SIMVERBS_SCENE_CALLS_H
#define WAYBILL_TESTS_SIMVERBS_SCENE_CALLS_H

#include "tests/simverbs/scene_pair.h"

/* What the calls of a run have come to. */
struct sim_tally {
    unsigned good, failed;
    unsigned timed_out; /* of those that failed: whoever could have told did not */
    unsigned mended;    /* connections that had to be made anew */
};

/* Small ones at once, chunks of both kinds there, and back. `when` is for people. */
void sim_calls_make(struct sim_pair *pair, const char *when, struct sim_tally *tally);

/* One call with chunks: how it ended. */
int sim_calls_digest(struct sim_pair *pair, uint64_t seed);

/* Connects anew, with new engines, where the connection is lost. Must succeed. */
void sim_calls_mend(struct sim_pair *pair, const char *when, struct sim_tally *tally);

/* That nothing is under way and nothing held, at both ends, in some seconds of the world's time. */
void sim_calls_assert_quiet(struct sim_pair *pair, const char *when);

#endif
