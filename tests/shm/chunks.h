/* The pair, where the server has a slab and the client a landing. */
#ifndef TEST_SHM_CHUNKS_H
#define TEST_SHM_CHUNKS_H

#include "tests/shm/pair.h"

enum { SLAB = 8 << 20 };

extern struct wbi_region slab; /* filled with seed 7 */
extern struct wbi_mr *mr;      /* of the slab; a test that deregisters it sets it to NULL */
extern uint8_t *landing;       /* SLAB bytes */

/* The fixture. */
void meet(void);
void part(void);

/* For dereg: sets the bool that the argument points to. */
void on_confirmed(void *argument);

/* Deregisters and waits for the confirmation. */
void leave(struct test_side *side, struct wbi_mr **registration);

/* A chunk of the slab, not offered yet. */
struct wbi_offer offer_slab(size_t at, uint64_t len);

/* Offers it to the client, waiting until the client knows the slab. */
void make_readable(struct wbi_offer *offer);

/* Reads all of an offer into the landing and compares. */
void read_all(struct wbi_offer *offer);

#endif
