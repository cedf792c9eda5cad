/* Deaths that no rule foresees: signals, and what sanitizers find. */
#ifndef WAYBILL_TESTS_WB_SIM_CRASH_H
#define WAYBILL_TESTS_WB_SIM_CRASH_H

/* From now on a death of this process prints the last events, `lines` of them, and then calls
 * `also`; NULL: nothing else. */
void crash_on_death(unsigned lines, void (*also)(void));

#endif
