/* What a call of the simulation asks for, drawn from its seed. */
#ifndef WAYBILL_TESTS_WB_SIM_WISHES_H
#define WAYBILL_TESTS_WB_SIM_WISHES_H

#include <stdint.h>

struct entry;
struct play;

/* The deadline of a call that should not need one. */
extern const uint64_t wishes_patient_us;

/* Draws the kind, wishes, sizes and ends of a call whose number is set. */
void wishes_draw(struct play *play, struct entry *entry);

#endif
