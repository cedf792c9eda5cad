/* What is done to hosts, devices and the network. */
#ifndef WAYBILL_TESTS_WB_SIM_CHAOS_H
#define WAYBILL_TESTS_WB_SIM_CHAOS_H

#include <stdbool.h>

struct play;
struct node;

/* Faults of some kinds from now on, or of none. Not in a calm run. */
void chaos_rates(struct play *play);
void chaos_no_faults(void);

/* The host's process ends: destroyed in order; or its devices die first, and nobody hears of it. */
void chaos_restart(struct node *node);
void chaos_kill(struct node *node);

/* One of its links goes down, or comes back. Not in a calm run. */
void chaos_link(struct node *node);

/* One of its devices neither sends nor receives for a while, and nobody is told; or one finds a
 * queue pair broken. Not in a calm run. */
void chaos_silence(struct node *node);
void chaos_speak(struct node *node);
void chaos_upset(struct node *node);

/* The device that is no connection's has one of these, in a calm run too; or its link comes back.
 */
void chaos_strike_rail(struct node *node);

/* A fault has stopped one of its devices, or it was lost: sooner or later the host's process ends,
 * in order, and starts again. */
bool chaos_has_lost(const struct node *node);
void chaos_bury(struct node *node);

/* It takes no turn for a while. */
void chaos_stall(struct node *node);

/* Everything works again, and every host that is down comes up. */
void chaos_end(struct play *play);

#endif
