/*
 * Rails: in a quarter of the runs each host has two devices, and READs go over both. A calm one of
 * these is calm for connections only: they are all of the first device, the second is struck, and
 * still no call may notice.
 */
#ifndef WAYBILL_TESTS_WB_SIM_RAILS_H
#define WAYBILL_TESTS_WB_SIM_RAILS_H

#include <stdbool.h>
#include <stdint.h>

struct play;
struct node;
struct link;

enum { RAILS_DEVICE = 1 }; /* where connections are all of the other */

/* Whether this run has rails: play->has_rails. */
void rails_open(struct play *play);

/* Whether rails, and nothing else, are disturbed in this run. */
bool rails_are_struck(const struct play *play);

/* In such a run: one of them is, now and then. */
void rails_step(struct play *play);

/* Adds what was lost to the run's summary. */
void rails_count(struct play *play);

/* All is well, and the link stands: so does its rail. */
void rails_check(const struct node *node, const struct link *link);

/* Of options->rails: below `limit`; limit 0: 0. */
uint64_t rails_below(struct play *play, uint64_t limit);

#endif
