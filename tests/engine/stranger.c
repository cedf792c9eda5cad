#include "tests/engine/stranger.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/version.h>

#include "tests/support/program.h"

enum { STRIDE = TEST_STRANGER_EAGER + 64 };

/* ---- what the fabric tells it ---- */

static void note_hello(struct test_stranger *stranger, const void *hello, size_t len)
{
    stranger->hello_len = len;
    if (len > 0) {
        memcpy(stranger->hello, hello, len);
    }
}

static void on_request(void *owner, struct wbi_request *request, const void *hello, size_t len)
{
    struct test_stranger *stranger = owner;
    struct wbi_hello theirs, mine;
    note_hello(stranger, hello, len);
    if (stranger->repeats_token && wbi_hello_decode(hello, len, &theirs) == WB_OK) {
        int decoded = wbi_hello_decode(stranger->answer, stranger->answer_len, &mine);
        ck_assert(decoded == WB_OK || decoded == WB_ERR_VERSION);
        mine.token = theirs.token;
        wbi_hello_encode(&mine, stranger->answer);
    }
    if (stranger->welcome == TEST_REJECT || stranger->channel != NULL) {
        stranger->fabric->reject(request, stranger->answer, stranger->answer_len);
    } else {
        ck_assert_int_eq(stranger->fabric->accept(request, stranger->answer, stranger->answer_len,
                                                  stranger, &stranger->channel),
                         WB_OK);
        stranger->connected = true;
    }
}

static void on_connected(void *owner, const void *hello, size_t len)
{
    struct test_stranger *stranger = owner;
    note_hello(stranger, hello, len);
    stranger->connected = true;
}

static void on_lost(void *owner, int status, const char *reason, const void *hello, size_t len)
{
    struct test_stranger *stranger = owner;
    if (len > 0) {
        note_hello(stranger, hello, len);
    }
    stranger->lost = status;
    snprintf(stranger->reason, sizeof stranger->reason, "%s", reason);
}

static uint8_t *take_slot(void *owner)
{
    struct test_stranger *stranger = owner;
    return stranger->deaf || stranger->free_count == 0 ? NULL
                                                       : stranger->free[--stranger->free_count];
}

static void return_slot(void *owner, uint8_t *slot)
{
    struct test_stranger *stranger = owner;
    stranger->free[stranger->free_count++] = slot;
}

static bool on_message(void *owner, uint8_t *slot, size_t len)
{
    struct test_stranger *stranger = owner;
    struct test_heard *heard = &stranger->heard[stranger->heard_count++ % TEST_STRANGER_HEARD];
    heard->len = len;
    memcpy(heard->bytes, slot, len);
    return false;
}

static struct wbi_fabric_lane *home(void *lane_owner)
{
    return ((struct test_stranger *)lane_owner)->lane;
}

static const struct wbi_fabric_events events = {.home = home,
                                                .on_request = on_request,
                                                .on_connected = on_connected,
                                                .on_lost = on_lost,
                                                .take_slot = take_slot,
                                                .return_slot = return_slot,
                                                .on_message = on_message};

/* ---- what the test tells it ---- */

void test_stranger_open(struct test_stranger *stranger, const struct wbi_fabric *fabric,
                        const char *address)
{
    *stranger = (struct test_stranger){.fabric = fabric};
    stranger->slots = malloc((size_t)STRIDE * TEST_STRANGER_SLOTS);
    stranger->heard = malloc(sizeof *stranger->heard * TEST_STRANGER_HEARD);
    ck_assert(stranger->slots != NULL && stranger->heard != NULL);
    for (size_t i = 0; i < TEST_STRANGER_SLOTS; i++) {
        return_slot(stranger, stranger->slots + i * STRIDE);
    }
    struct wbi_lane_config config = {
        .slots = {.base = stranger->slots, .stride = STRIDE, .count = TEST_STRANGER_SLOTS},
        .eager_bytes = TEST_STRANGER_EAGER,
        .max_channels = 4};
    ck_assert_int_eq(fabric->domain_open(NULL, &stranger->domain), WB_OK);
    ck_assert_int_eq(
        fabric->lane_open(stranger->domain, &config, &events, stranger, &stranger->lane), WB_OK);
    if (address != NULL) {
        ck_assert_int_eq(fabric->listen(stranger->lane, address), WB_OK);
    }
}

void test_stranger_close(struct test_stranger *stranger)
{
    if (stranger->fabric != NULL) {
        stranger->fabric->lane_close(stranger->lane);
        stranger->fabric->domain_close(stranger->domain);
    }
    free(stranger->slots);
    free(stranger->heard);
    *stranger = (struct test_stranger){0};
}

struct wbi_hello test_stranger_hello(void)
{
    return (struct wbi_hello){.version_min = WB_WIRE_VERSION_MIN,
                              .version_max = WB_WIRE_VERSION_MAX,
                              .eager_bytes = TEST_STRANGER_EAGER,
                              .credits = 64,
                              .read_depth = 16,
                              .engine_id = 0x5757575757575757,
                              .token = 0x1234567890abcdef};
}

void test_stranger_answer(struct test_stranger *stranger, enum test_welcome welcome,
                          const struct wbi_hello *hello)
{
    stranger->welcome = welcome;
    stranger->answer_len = 0;
    if (hello != NULL) {
        wbi_hello_encode(hello, stranger->answer);
        stranger->answer_len = WBI_HELLO_BYTES;
    }
    stranger->repeats_token = hello != NULL;
}

void test_stranger_connect(struct test_stranger *stranger, const char *address, const void *hello,
                           size_t hello_len)
{
    test_stranger_hang_up(stranger);
    ck_assert_int_eq(stranger->fabric->connect(stranger->lane, address, hello, hello_len, stranger,
                                               &stranger->channel),
                     WB_OK);
}

void test_stranger_hang_up(struct test_stranger *stranger)
{
    stranger->fabric->close(stranger->channel);
    stranger->channel = NULL;
    stranger->connected = false;
    stranger->lost = 0;
    stranger->reason[0] = '\0';
    stranger->hello_len = 0;
    stranger->heard_count = 0;
}

bool test_stranger_say(struct test_stranger *stranger, const void *bytes, size_t len, bool control)
{
    uint8_t *slot;
    test_check(stranger->channel != NULL && stranger->lost == 0, "there is no channel");
    if (stranger->fabric->reserve(stranger->channel, len, control, &slot) != WB_OK) {
        return false;
    }
    memcpy(slot, bytes, len);
    stranger->fabric->send(stranger->channel, len);
    return true;
}

void test_stranger_turn(struct test_stranger *stranger)
{
    stranger->fabric->poll(stranger->lane);
}

const struct test_heard *test_stranger_last(const struct test_stranger *stranger)
{
    test_check(stranger->heard_count > 0, "nothing was heard");
    return &stranger->heard[(stranger->heard_count - 1) % TEST_STRANGER_HEARD];
}

bool test_stranger_heard_reply(const struct test_stranger *stranger, uint64_t call_id, int *status)
{
    struct wbi_header header;
    const char *what;
    for (unsigned i = 0; i < stranger->heard_count && i < TEST_STRANGER_HEARD; i++) {
        const struct test_heard *heard = &stranger->heard[i];
        if (wbi_header_decode(heard->bytes, heard->len, &header, &what) == WB_OK &&
            header.kind == WBI_REPLY && header.call_id == call_id) {
            *status = header.status;
            return true;
        }
    }
    return false;
}
