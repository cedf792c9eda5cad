/* Calls that the host makes to the stranger, and how that answers them. */
#ifndef WAYBILL_TESTS_ENGINE_GUEST_H
#define WAYBILL_TESTS_ENGINE_GUEST_H

#include "tests/engine/forge.h"
#include "tests/engine/scene.h"

/* A call for 1 + 2, whose request has been heard; and its end. */
struct wb_call *test_guest_begin_sum(struct test_scene *scene);
int test_guest_finish_sum(struct test_scene *scene, struct wb_call *call);

/* A call with a vector of 3000 bytes in it and room for one in its result, which has been heard;
 * and its end. */
struct wb_call *test_guest_begin_echo(struct test_scene *scene, uint64_t reply_bytes);
int test_guest_finish_echo(struct test_scene *scene, struct wb_call *call);

/* The id of the call whose request was heard last. */
uint64_t test_guest_heard_call(struct test_scene *scene);

/* The stranger says it as soon as there is room. */
void test_guest_say(struct test_scene *scene, const struct test_forgery *forgery);

/* Answers the call heard last with a status and `len` bytes of archive. */
void test_guest_answer(struct test_scene *scene, int status, const void *archive, size_t len);

/* The other way round: the stranger asks the host to echo a vector of 3000 bytes, which comes back
 * as a chunk, and gives it so long. */
void test_guest_ask_echo(struct test_scene *scene, uint32_t deadline_us);

#endif
