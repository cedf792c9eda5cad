/* What must hold at every step, whatever happens; found by looking into devices and engines. */
#ifndef WAYBILL_TESTS_WB_SIM_RULES_H
#define WAYBILL_TESTS_WB_SIM_RULES_H

struct play;

/* No READ that may still be served reaches memory that its owner has back. */
void rules_check_reads(const struct play *play);

/* Credits are conserved, and nobody has broken the protocol. */
void rules_check_credits(const struct play *play);

/* Budgets are held, the pools' books are right. */
void rules_check_pools(const struct play *play);

/* Nothing is under way any more: nothing is lent, held, parked or owed. */
void rules_check_quiet(const struct play *play);

#endif
