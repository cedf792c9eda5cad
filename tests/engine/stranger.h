/*
 * A stranger: the other side of a channel, by hand. It speaks to an engine through the fabric's own
 * interface, so every byte that it sends and every byte that it gets is the test's. All on the
 * test's thread.
 */
#ifndef WAYBILL_TESTS_ENGINE_STRANGER_H
#define WAYBILL_TESTS_ENGINE_STRANGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/fabric.h"
#include "engine/wire.h"

enum { TEST_STRANGER_EAGER = 8192, TEST_STRANGER_HEARD = 64, TEST_STRANGER_SLOTS = 128 };

struct test_heard {
    size_t len;
    uint8_t bytes[TEST_STRANGER_EAGER];
};

/* How it answers those who ask to connect. */
enum test_welcome { TEST_REJECT, TEST_ACCEPT };

struct test_stranger {
    const struct wbi_fabric *fabric;
    struct wbi_domain *domain;
    struct wbi_fabric_lane *lane;
    struct wbi_channel *channel;

    enum test_welcome welcome;
    uint8_t answer[WBI_HELLO_MAX];
    size_t answer_len;
    bool repeats_token; /* puts the asker's token into the answer */

    bool connected;
    int lost;                     /* why the channel is lost, or 0 */
    char reason[200];             /* in the fabric's words */
    uint8_t hello[WBI_HELLO_MAX]; /* that the other side sent, last */
    size_t hello_len;

    bool deaf; /* has no slot to receive into: nothing more is taken out of the channel */
    struct test_heard *heard; /* the last messages, number n at n % TEST_STRANGER_HEARD */
    unsigned heard_count;

    uint8_t *slots;
    uint8_t *free[TEST_STRANGER_SLOTS];
    unsigned free_count;
};

/* Opens the fabric for it; `address` is where it listens, or NULL. Asserts success. */
void test_stranger_open(struct test_stranger *stranger, const struct wbi_fabric *fabric,
                        const char *address);

/* Ends it and all that it holds. Accepts a zeroed struct. */
void test_stranger_close(struct test_stranger *stranger);

/* A hello as this library would send it. */
struct wbi_hello test_stranger_hello(void);

/* Sets the answer to whoever asks. */
void test_stranger_answer(struct test_stranger *stranger, enum test_welcome welcome,
                          const struct wbi_hello *hello);

/* Begins to connect with these bytes for a hello. Asserts that it begins. */
void test_stranger_connect(struct test_stranger *stranger, const char *address, const void *hello,
                           size_t hello_len);

/* Closes its channel, if it has one, and forgets what it heard. */
void test_stranger_hang_up(struct test_stranger *stranger);

/* Sends a message as it is, `control` in the room for control messages; false: there is no room. */
bool test_stranger_say(struct test_stranger *stranger, const void *bytes, size_t len, bool control);

/* Polls its lane once. */
void test_stranger_turn(struct test_stranger *stranger);

/* The last message heard; asserts that there is one. */
const struct test_heard *test_stranger_last(const struct test_stranger *stranger);

/* The status with which its request of that number was answered; false: it is not yet. */
bool test_stranger_heard_reply(const struct test_stranger *stranger, uint64_t call_id, int *status);

#endif
