/*
 * One side of a channel for the tests: a domain, a lane, slots, and a book of everything that the
 * fabric said. It does what an engine would do, with none of an engine's insides.
 */
#ifndef WAYBILL_TESTS_FABRIC_SIDE_H
#define WAYBILL_TESTS_FABRIC_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/clock.h"
#include "engine/fabric.h"

enum { TEST_SLOTS = 64, TEST_MAX_CHANNELS = 64 };

struct test_side;

/* A channel as its owner keeps it. */
struct test_end {
    struct test_side *side;
    struct wbi_channel *channel;
    bool connected;
    int lost; /* WB_OK: not */
    char reason[200];
    uint8_t hello[WBI_HELLO_MAX];
    size_t hello_len;
    uint64_t messages;
    uint64_t bytes;
    uint64_t bundles; /* whose parcels count as messages each */
    size_t longest;   /* of these, in bytes */
    size_t last_len;
    uint8_t last[65536];
    void *extra; /* the test's own */
};

struct test_side {
    const struct wbi_fabric *fabric;
    struct wbi_domain *domain;
    struct wbi_fabric_lane *lane;
    struct wbi_registrar registrar;
    uint32_t eager;
    uint8_t *arena;
    uint8_t *free[TEST_SLOTS];
    unsigned free_count;
    unsigned requests;
    int verdict;     /* WB_OK: accept, else reject */
    int accept_said; /* what accept() returned last */
    unsigned end_count;
    struct test_end
        *ends[TEST_MAX_CHANNELS]; /* accepted ones first come first served, connected ones too */
    void (*on_message)(struct test_end *end, const uint8_t *bytes, size_t len); /* or NULL */
};

/*
 * Like ck_assert, but silent while all is well: fit for tight loops, and for child processes, whose
 * words would mix with their parent's in Check's own channel.
 */
#define TEST_THAT(condition) ((condition) ? (void)0 : test_failed(__FILE__, __LINE__, #condition))
#define TEST_OK(expression) TEST_THAT((expression) == WB_OK)

void test_failed(const char *file, int line, const char *what);

/* This process is a test's child: a failure ends it. */
void test_become_child(void);

/* Opens domain and lane, with the configuration's eager_bytes, liveness_us and verbs. */
void test_side_open_on(struct test_side *side, const struct wbi_fabric *fabric,
                       const struct wb_engine_config *config);

/* Closes channels, lane and domain. Accepts a zeroed side. */
void test_side_close(struct test_side *side);

/* Polls both sides until the word is true, or fails after ten seconds. `b` may be NULL. */
void test_until_flag(struct test_side *a, struct test_side *b, const bool *flag);
void test_until_count(struct test_side *a, struct test_side *b, const uint64_t *count,
                      uint64_t least);
void test_until_lost(struct test_side *a, struct test_side *b, const struct test_end *end);

/* Polls both sides once. `b` may be NULL. */
void test_poll_both(struct test_side *a, struct test_side *b);

/* Connects `client` to `address`, where `server` listens, and polls both until both have a channel.
 */
void test_join(struct test_side *server, const char *address, struct test_side *client,
               struct test_end **server_end, struct test_end **client_end);

/* Begins to connect; the end is the side's. Returns connect()'s status, *end only with WB_OK. */
int test_connect(struct test_side *side, const char *name, const void *hello, size_t hello_len,
                 struct test_end **end);

/* Closes the end's channel and frees it. */
void test_end_close(struct test_end *end);

/* Sends one message, polling both sides while there is no room. `other` may be NULL. */
void test_send(struct test_end *end, struct test_side *other, const void *bytes, size_t len);

/* Fills with a pattern that depends on seed and place; checks it. */
void test_fill(void *bytes, size_t len, uint64_t seed);
bool test_filled(const void *bytes, size_t len, uint64_t seed);

/* A sealed, mapped memfd, as the pool makes them. */
struct wbi_region test_slab(size_t bytes);
void test_slab_free(struct wbi_region *slab);

/* A READ with its outcome. */
struct test_read {
    struct wbi_read read;
    bool ended;
    int status;
    uint8_t key[WBI_REMOTE_KEY_MAX];
};

/* Prepares a READ of [offset, offset + len) of an offered chunk. */
void test_read_of(struct test_read *read, const struct wbi_offer *offer, uint64_t offset,
                  uint64_t len, void *into);

#endif
