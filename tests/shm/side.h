/* Sides on shm, and what only shm's tests need. */
#ifndef TEST_SHM_SIDE_H
#define TEST_SHM_SIDE_H

#include "tests/fabric/side.h"

enum { TEST_EAGER = 8192 };

/* Opens a side on shm; eager 0 means TEST_EAGER. */
void test_side_open(struct test_side *side, uint32_t eager);

/* A name that no other test run uses at the same time. */
const char *test_name(void);

/* Listens on `server`, connects from `client`, and polls both until both have a channel. */
void test_meet(struct test_side *server, struct test_side *client, struct test_end **server_end,
               struct test_end **client_end);

/* Counts of this process, for leaks. */
unsigned test_open_fds(void);
unsigned test_mapped_memfds(void);

/* Whether this is built for ThreadSanitizer, which forks badly and runs slowly. */
bool test_under_tsan(void);

#endif
