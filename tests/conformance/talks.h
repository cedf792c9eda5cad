/* The client's side of `talk`, as the cases of streams share it; with test_world.peer. */
#ifndef WAYBILL_TESTS_CONFORMANCE_TALKS_H
#define WAYBILL_TESTS_CONFORMANCE_TALKS_H

#include "tests/conformance/actions_streams.h"

/* Begins to open one, which must succeed; and until it is open, or has ended. */
struct wb_stream *test_talk_open(enum test_talk_how how, uint32_t count);
void test_talk_await_opened(struct wb_stream *stream);

/* Sends item `number` with so many bytes, or, mixed: some small, some long, some with chunks. */
int test_talk_send(struct wb_stream *stream, uint64_t number, size_t raw_bytes, size_t data_bytes,
                   uint64_t timeout_us);
int test_talk_send_mixed(struct wb_stream *stream, uint64_t number, uint64_t timeout_us);

/* Fills the window with mixed ones, from number `from` on; returns the number that found no room.
 */
unsigned test_talk_fill(struct wb_stream *stream, unsigned from);

/* Takes the next item, which must be `number`. */
int test_talk_next(struct wb_stream *stream, uint64_t number, uint64_t timeout_us);

/* As `ready`: counts the unsigned at `count`. */
void test_talk_count_ready(struct wb_stream *stream, void *count);

/* What the server says of its streams; and once so many are open, and so many have ended. */
struct talks_out test_talk_ask(bool let_go);
struct talks_out test_talk_await(uint32_t open, uint32_t ended);

#endif
