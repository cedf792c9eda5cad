/*
 * A fabric without a network: what arrives is what the target puts on the tape, and a READ gets
 * bytes that the target has laid out. Linked in place of shm and verbs; one engine, one thread, and
 * a clock that the target moves.
 */
#ifndef WAYBILL_TESTS_FUZZ_TAPE_H
#define WAYBILL_TESTS_FUZZ_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The channels: a stranger that connects, a stranger that is connected to, an honest peer. */
enum tape_end { TAPE_CALLER, TAPE_SERVER, TAPE_FRIEND, TAPE_ENDS };

enum { TAPE_EAGER = 4096, TAPE_KEY = 4 };

/* First bytes of keys that are not simply read. */
enum { TAPE_KEY_REVOKED = 0xed, TAPE_KEY_STUCK = 0xee, TAPE_KEY_FOREIGN = 0xef };

/* The peer's side of the fabric; each takes effect in a later poll. What belongs to no channel is
 * nothing. */
void tape_ask(enum tape_end end, const void *hello, size_t len);
void tape_answer(const void *hello, size_t len); /* the server's, to who has connected to it */
void tape_say(enum tape_end end, const void *bytes, size_t len);
void tape_say_bundle(enum tape_end end, const void *bytes, size_t len);
void tape_lose(enum tape_end end, int status, const void *hello, size_t len);

/* Whether the engine holds the channel. */
bool tape_is_open(enum tape_end end);

/* Whether the end takes messages: a new channel does. */
void tape_deafen(enum tape_end end, bool deaf);

/* What READs find, at every address; borrowed until the next call. */
void tape_lay(const uint8_t *bytes, size_t len);

/* The hello of the engine that has connected to the server, in 56 bytes. */
const uint8_t *tape_hello(void);

/* What the engine has sent to an end: the number of messages, the last one's bytes, and the ids of
 * the last request and the last lease. */
struct tape_heard {
    unsigned count;
    size_t len;
    uint8_t last[TAPE_EAGER];
    uint64_t call_id, lease_id;
};
struct tape_heard *tape_heard(enum tape_end end);

/* Moves the clock on: it is all that does. */
void tape_pass_us(uint64_t us);

#endif
