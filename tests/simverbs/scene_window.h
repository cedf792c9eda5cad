/* A memory window of the second end of a connected pair, through which the first end reads and
 * writes, for tests of the device itself. Calls assert that they succeed, where they do not return
 * how it ended. */
#ifndef WAYBILL_TESTS_SIMVERBS_SCENE_WINDOW_H
#define WAYBILL_TESTS_SIMVERBS_SCENE_WINDOW_H

#include "tests/simverbs/scene_raw.h"

/* What is bound, where nothing else is said. */
enum { WINDOW_AT = 1000, WINDOW_BYTES = 500 };
static const unsigned window_access = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;

/* The kinds of device that have windows. */
enum { WINDOW_PROFILES = 2 };
extern const struct sim_profile *const window_profiles[WINDOW_PROFILES];

extern struct ibv_mw *window;        /* closed with the rest, unless NULL */
extern struct ibv_mr *window_region; /* of all bytes there, for nothing but windows; likewise */

void window_open(const struct sim_profile *profile);
void window_close(void);
uint64_t window_base(void); /* the address of all bytes there */

/* ---- what the owner does ---- */

/* A work request that binds `length` bytes from WINDOW_AT on, under the next key. */
struct ibv_send_wr window_binding(uint64_t length, unsigned access);
struct ibv_send_wr window_invalidation(uint32_t rkey);

/* Posts one; how it ended. */
enum ibv_wc_status window_work(struct raw_end *end, struct ibv_send_wr *wr);

void window_bind(unsigned access);
void window_invalidate(void);

/* ---- what the peer does ---- */

struct ibv_send_wr window_reach(enum ibv_wr_opcode opcode, struct ibv_sge *sge, uint64_t address,
                                uint32_t len);
enum ibv_wc_status window_read(uint64_t address, uint32_t len);
enum ibv_wc_status window_write(uint64_t address, uint32_t len);

/* A message that takes the window with this key back. */
struct ibv_send_wr window_release(struct ibv_sge *sge, uint32_t rkey);

void window_assert_broken(const struct raw_end *end);

/* That it was the responder who refused, and both have broken. */
void window_assert_refused(enum ibv_wc_status status);

#endif
