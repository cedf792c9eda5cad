/* Two sides that have met. */
#ifndef TEST_SHM_PAIR_H
#define TEST_SHM_PAIR_H

#include "tests/shm/side.h"

extern struct test_side server, client;
extern struct test_end *at_server, *at_client;

/* The fixture. */
void meet_pair(void);
void part_pair(void);

#endif
