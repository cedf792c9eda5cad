/* Threads that do everything together. Thread 0 is the one that calls. */
#ifndef WAYBILL_PERF_HANDS_H
#define WAYBILL_PERF_HANDS_H

#include <stdint.h>

struct hands;

/* Starts the threads. Returns WB_OK, WB_ERR_NO_MEMORY, or WB_ERR_SYSTEM; sets *hands on success
 * only. */
int hands_open(struct hands **hands, uint32_t threads);
/* Ends them. Accepts NULL. */
void hands_close(struct hands *hands);

uint32_t hands_count(const struct hands *hands);

/* Has all threads call work(user, number) at once, as far as they are on CPUs; returns when all
 * have. */
void hands_do(struct hands *hands, void (*work)(void *user, uint32_t number), void *user);

#endif
