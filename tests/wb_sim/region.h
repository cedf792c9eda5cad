/* How many regions of memory the pools of all hosts have now. */
#ifndef WAYBILL_TESTS_WB_SIM_REGION_H
#define WAYBILL_TESTS_WB_SIM_REGION_H

unsigned region_count(void);

#endif
