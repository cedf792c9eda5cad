/* READs: of slabs and of staged user memory, every size, leases, revocation, closing, and slabs
 * that leave. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/shm/side.h"

enum { SLAB = 8 << 20 };

static struct test_side server, client;
static struct test_end *at_server, *at_client;
static struct wbi_region slab;
static struct wbi_mr *mr;
static uint8_t *landing;

static void meet(void)
{
    test_side_open(&server, 0);
    test_side_open(&client, 0);
    test_meet(&server, &client, &at_server, &at_client);
    slab = test_slab(SLAB);
    test_fill(slab.base, SLAB, 7);
    TEST_OK(server.registrar.reg(server.registrar.context, &slab, &mr));
    landing = malloc(SLAB);
    ck_assert_ptr_nonnull(landing);
}

static void on_confirmed(void *argument)
{
    *(bool *)argument = true;
}

static void leave(struct test_side *side, struct wbi_mr **registration)
{
    bool confirmed = false;
    side->registrar.dereg(side->registrar.context, *registration, on_confirmed, &confirmed);
    *registration = NULL;
    test_until_flag(&server, &client, &confirmed);
}

static void part(void)
{
    if (mr) {
        leave(&server, &mr);
    }
    test_side_close(&client);
    test_side_close(&server);
    test_slab_free(&slab);
    free(landing);
}

static struct wbi_offer offer_slab(size_t at, uint64_t len)
{
    struct wbi_offer offer = {
        .data = (uint8_t *)slab.base + at, .len = len, .mr = mr, .region_base = slab.base};
    return offer;
}

static void make_readable(struct wbi_offer *offer)
{
    int status;
    while ((status = wbi_shm_fabric.offer(at_server->channel, offer)) == WB_AGAIN) {
        wbi_shm_fabric.poll(server.lane);
        wbi_shm_fabric.poll(client.lane);
    }
    TEST_OK(status);
}

/* Reads all of an offer and checks it. */
static void read_all(struct wbi_offer *offer)
{
    struct test_read read;
    memset(landing, 0xee, offer->len);
    test_read_of(&read, offer, 0, offer->len, landing);
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
    test_until_flag(&client, &server, &read.ended);
    TEST_OK(read.status);
    ck_assert(memcmp(landing, offer->data, offer->len) == 0);
}

static const size_t lengths[] = {1,      2,      63,     64,      65,       4095,   4096,
                                 65535,  65536,  65537,  262143,  262144,   262145, 1000003,
                                 524288, 524289, 600000, 4000000, SLAB - 64};

START_TEST(slab_chunks_of_every_length)
{
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct wbi_offer offer = offer_slab(13, lengths[i]);
        make_readable(&offer);
        read_all(&offer);
        wbi_shm_fabric.retire(at_server->channel, &offer);
    }
}
END_TEST

START_TEST(user_memory_of_every_length)
{
    uint8_t *memory = malloc(SLAB);
    test_fill(memory, SLAB, 99);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct wbi_offer offer = {.data = memory + 5, .len = lengths[i]};
        make_readable(&offer);
        read_all(&offer);
        wbi_shm_fabric.retire(at_server->channel, &offer);
    }
    free(memory);
}
END_TEST

START_TEST(sixty_four_mebibytes)
{
    size_t bytes = (size_t)64 << 20;
    struct wbi_region big = test_slab(bytes);
    struct wbi_mr *big_mr;
    uint8_t *into = malloc(bytes);
    test_fill(big.base, bytes, 3);
    TEST_OK(server.registrar.reg(server.registrar.context, &big, &big_mr));
    for (int user = 0; user < 2; user++) {
        struct wbi_offer offer = {
            .data = big.base, .len = bytes, .mr = user ? NULL : big_mr, .region_base = big.base};
        struct test_read read;
        make_readable(&offer);
        memset(into, 0, bytes);
        test_read_of(&read, &offer, 0, bytes, into);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
        test_until_flag(&client, &server, &read.ended);
        TEST_OK(read.status);
        ck_assert(test_filled(into, bytes, 3));
        wbi_shm_fabric.retire(at_server->channel, &offer);
    }
    leave(&server, &big_mr);
    test_slab_free(&big);
    free(into);
}
END_TEST

START_TEST(ranges_of_a_chunk_in_any_order)
{
    for (int user = 0; user < 2; user++) {
        struct wbi_offer offer = offer_slab(100, 1 << 20);
        if (user) {
            offer.mr = NULL;
        }
        make_readable(&offer);
        struct test_read reads[16];
        for (int i = 0; i < 16; i++) {
            uint64_t at = (uint64_t)(15 - i) * 65536;
            test_read_of(&reads[i], &offer, at, 65536, landing + at);
            TEST_OK(wbi_shm_fabric.read(at_client->channel, &reads[i].read));
        }
        struct test_read more;
        test_read_of(&more, &offer, 0, 1, landing);
        ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &more.read), WB_AGAIN);
        for (int i = 0; i < 16; i++) {
            test_until_flag(&client, &server, &reads[i].ended);
            TEST_OK(reads[i].status);
        }
        ck_assert(memcmp(landing, offer.data, 1 << 20) == 0);
        wbi_shm_fabric.retire(at_server->channel, &offer);
    }
}
END_TEST

START_TEST(a_retired_chunk_is_unreadable)
{
    for (int user = 0; user < 2; user++) {
        struct wbi_offer offer = offer_slab(0, 4096);
        if (user) {
            offer.mr = NULL;
        }
        make_readable(&offer);
        wbi_shm_fabric.retire(at_server->channel, &offer);
        wbi_shm_fabric.retire(at_server->channel, &offer); /* twice harms nobody */
        struct wbi_offer next = offer_slab(4096, 4096);
        make_readable(&next); /* the same lease, with another value */
        struct test_read read;
        test_read_of(&read, &offer, 0, 4096, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
        test_until_flag(&client, &server, &read.ended);
        ck_assert_int_eq(read.status, WB_ERR_REVOKED);
        wbi_shm_fabric.retire(at_server->channel, &next);
    }
}
END_TEST

START_TEST(revocation_in_mid_read)
{
    for (int user = 0; user < 2; user++) {
        struct wbi_offer offer = offer_slab(0, 8000000);
        if (user) {
            offer.mr = NULL;
        }
        make_readable(&offer);
        struct test_read read;
        test_read_of(&read, &offer, 0, offer.len, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
        for (int i = 0; i < 1000 && read.read.progress == 0; i++) {
            wbi_shm_fabric.poll(client.lane);
            wbi_shm_fabric.poll(server.lane);
        }
        ck_assert(!read.ended);
        TEST_OK(wbi_shm_fabric.revoke(at_server->channel, &offer));
        memset(slab.base, 0, 8000000);
        test_until_flag(&client, &server, &read.ended);
        ck_assert_int_eq(read.status, WB_ERR_REVOKED);
        test_fill(slab.base, SLAB, 7);
    }
    struct wbi_offer after = offer_slab(0, 100000);
    make_readable(&after);
    read_all(&after);
}
END_TEST

START_TEST(the_reader_closes_in_mid_read)
{
    struct wbi_offer offers[2] = {offer_slab(0, 8000000), {.data = slab.base, .len = 8000000}};
    struct test_read reads[2];
    for (int i = 0; i < 2; i++) {
        make_readable(&offers[i]);
        test_read_of(&reads[i], &offers[i], 0, 8000000, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &reads[i].read));
    }
    for (int i = 0; i < 3; i++) {
        wbi_shm_fabric.poll(client.lane);
        wbi_shm_fabric.poll(server.lane);
    }
    test_end_close(at_client);
    for (int i = 0; i < 2; i++) {
        ck_assert(reads[i].ended);
        ck_assert_int_eq(reads[i].status, WB_ERR_PEER_LOST);
    }
    test_until_lost(&server, &client, at_server);
    ck_assert_int_eq(at_server->lost, WB_ERR_PEER_LOST);
    ck_assert_str_eq(at_server->reason, "the peer closed the channel");
    test_end_close(at_server);
}
END_TEST

START_TEST(the_owner_closes_in_mid_read)
{
    struct wbi_offer offers[2] = {offer_slab(0, 8000000), {.data = slab.base, .len = 8000000}};
    struct test_read reads[2];
    for (int i = 0; i < 2; i++) {
        make_readable(&offers[i]);
        test_read_of(&reads[i], &offers[i], 0, 8000000, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &reads[i].read));
    }
    for (int i = 0; i < 3; i++) {
        wbi_shm_fabric.poll(client.lane);
        wbi_shm_fabric.poll(server.lane);
    }
    test_end_close(at_server);
    memset(slab.base, 0, SLAB);
    test_until_lost(&client, &server, at_client);
    test_end_close(at_client);
    for (int i = 0; i < 2; i++) {
        ck_assert(reads[i].ended);
        ck_assert_int_ne(reads[i].status, WB_OK);
    }
}
END_TEST

START_TEST(a_slab_that_leaves_is_confirmed_when_the_peer_has_unmapped_it)
{
    struct wbi_offer offer = offer_slab(0, 4096);
    make_readable(&offer);
    read_all(&offer);
    wbi_shm_fabric.retire(at_server->channel, &offer);
    bool confirmed = false;
    server.registrar.dereg(server.registrar.context, mr, on_confirmed, &confirmed);
    mr = NULL;
    for (int i = 0; i < 1000; i++) {
        wbi_shm_fabric.poll(server.lane);
    }
    ck_assert(!confirmed); /* the client has done nothing yet */
    test_until_flag(&server, &client, &confirmed);
    /* What comes in its place is another slab. */
    TEST_OK(server.registrar.reg(server.registrar.context, &slab, &mr));
    offer = offer_slab(4096, 4096);
    make_readable(&offer);
    read_all(&offer);
}
END_TEST

START_TEST(a_slab_that_leaves_in_mid_read_waits_for_it)
{
    struct wbi_offer offer = offer_slab(0, 8000000);
    make_readable(&offer);
    struct test_read read;
    test_read_of(&read, &offer, 0, offer.len, landing);
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
    while (read.read.progress == 0) {
        wbi_shm_fabric.poll(client.lane);
    }
    bool confirmed = false;
    server.registrar.dereg(server.registrar.context, mr, on_confirmed, &confirmed);
    mr = NULL;
    test_until_flag(&client, NULL, &read.ended);
    TEST_OK(read.status);
    ck_assert(test_filled(landing, 8000000, 7));
    ck_assert(!confirmed);
    test_until_flag(&server, &client, &confirmed);
}
END_TEST

START_TEST(a_slab_without_peers_is_confirmed_at_once)
{
    struct test_side alone;
    test_side_open(&alone, 0);
    struct wbi_region other = test_slab(65536);
    struct wbi_mr *registration;
    bool confirmed = false;
    TEST_OK(alone.registrar.reg(alone.registrar.context, &other, &registration));
    alone.registrar.dereg(alone.registrar.context, registration, on_confirmed, &confirmed);
    ck_assert(confirmed);
    test_slab_free(&other);
    test_side_close(&alone);
}
END_TEST

START_TEST(closing_confirms_what_the_peer_was_told)
{
    struct wbi_offer offer = offer_slab(0, 4096);
    make_readable(&offer);
    bool confirmed = false;
    server.registrar.dereg(server.registrar.context, mr, on_confirmed, &confirmed);
    mr = NULL;
    ck_assert(!confirmed);
    test_end_close(at_server);
    ck_assert(confirmed);
}
END_TEST

START_TEST(unsealed_memory_is_no_slab)
{
    struct wbi_region wrong = slab;
    struct wbi_mr *registration;
    wrong.bytes /= 2;
    ck_assert_int_eq(server.registrar.reg(server.registrar.context, &wrong, &registration),
                     WB_ERR_INVALID);
}
END_TEST

START_TEST(keys_and_ranges_that_cannot_be)
{
    struct wbi_offer offer = offer_slab(0, 4096);
    make_readable(&offer);
    struct test_read read;
    test_read_of(&read, &offer, 0, 4096, landing);
    read.read.key_len = 15;
    ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_ERR_PROTOCOL);
    test_read_of(&read, &offer, SLAB - 100, 101, landing);
    ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_ERR_PROTOCOL);
    test_read_of(&read, &offer, UINT64_MAX - 10, 100, landing);
    ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_ERR_PROTOCOL);
    test_read_of(&read, &offer, 1, UINT64_MAX, landing);
    ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_ERR_PROTOCOL);
    test_read_of(&read, &offer, 0, 4096, landing);
    read.key[0] = 77; /* a slab that is none */
    ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_ERR_PROTOCOL);
    test_read_of(&read, &offer, 0, 4096, landing);
    read.key[5] = 4; /* lease 1024 */
    ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_ERR_PROTOCOL);
    ck_assert(!read.ended);
    read_all(&offer);
}
END_TEST

START_TEST(more_offers_than_leases_wait)
{
    static struct wbi_offer offers[1025];
    offers[0] = offer_slab(0, 8);
    make_readable(&offers[0]);
    for (int i = 1; i < 1024; i++) {
        offers[i] = offer_slab((size_t)i * 8, 8);
        TEST_OK(wbi_shm_fabric.offer(at_server->channel, &offers[i]));
    }
    offers[1024] = offer_slab(0, 8);
    ck_assert_int_eq(wbi_shm_fabric.offer(at_server->channel, &offers[1024]), WB_AGAIN);
    wbi_shm_fabric.retire(at_server->channel, &offers[500]);
    TEST_OK(wbi_shm_fabric.offer(at_server->channel, &offers[1024]));
    read_all(&offers[1024]);
    read_all(&offers[1023]);
}
END_TEST

/* ---- two threads ---- */

static void *run_server(void *argument)
{
    const _Atomic bool *stop = argument;
    while (!atomic_load(stop)) {
        wbi_shm_fabric.poll(server.lane);
    }
    return NULL;
}

START_TEST(two_threads_staged_and_slab)
{
    _Atomic bool stop = false;
    struct wbi_offer offers[2] = {offer_slab(0, 3000000), {.data = slab.base, .len = 3000000}};
    make_readable(&offers[0]);
    make_readable(&offers[1]);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_server, &stop), 0);
    for (int i = 0; i < 20; i++) {
        struct test_read read;
        test_read_of(&read, &offers[i % 2], 0, 3000000, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
        test_until_flag(&client, NULL, &read.ended);
        TEST_OK(read.status);
        ck_assert(test_filled(landing, 3000000, 7));
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}
END_TEST

/*
 * The owner takes its chunk back and writes to it while the reader is at it. A READ that ends well
 * has bytes of one offer only.
 */
struct takeback {
    _Atomic bool stop;
    struct wbi_offer offer;
    uint64_t offers;
};

static void *run_takeback(void *argument)
{
    struct takeback *owner = argument;
    while (!atomic_load(&owner->stop)) {
        memset(slab.base, (int)(++owner->offers & 0x7f), 1 << 20);
        owner->offer = offer_slab(0, 1 << 20);
        ck_assert_int_eq(wbi_shm_fabric.offer(at_server->channel, &owner->offer), WB_OK);
        uint8_t *slot;
        if (wbi_shm_fabric.reserve(at_server->channel, sizeof owner->offer, false, &slot) ==
            WB_OK) {
            memcpy(slot, &owner->offer, sizeof owner->offer);
            wbi_shm_fabric.send(at_server->channel, sizeof owner->offer);
        }
        for (uint64_t i = 0; i < owner->offers % 64; i++) {
            wbi_shm_fabric.poll(server.lane);
        }
        ck_assert_int_eq(wbi_shm_fabric.revoke(at_server->channel, &owner->offer), WB_OK);
        memset(slab.base, 0xff, 1 << 20);
    }
    return NULL;
}

static bool one_value(const uint8_t *bytes, size_t len)
{
    return bytes[0] != 0xff && memcmp(bytes, bytes + 1, len - 1) == 0;
}

START_TEST(what_is_kept_is_never_torn)
{
    struct wbi_offer first = offer_slab(0, 8);
    make_readable(&first);
    struct takeback owner = {.stop = false};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_takeback, &owner), 0);
    unsigned revoked = 0;
    for (uint64_t round = 1; round <= 300; round++) {
        uint64_t before = at_client->messages;
        test_until_count(&client, NULL, &at_client->messages, before + 1);
        struct wbi_offer offer;
        memcpy(&offer, at_client->last, sizeof offer); /* the newest that has come */
        struct test_read read;
        test_read_of(&read, &offer, 0, offer.len, landing);
        ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_OK);
        test_until_flag(&client, NULL, &read.ended);
        ck_assert(read.status == WB_ERR_REVOKED || read.status == WB_OK);
        ck_assert(read.status == WB_ERR_REVOKED || one_value(landing, offer.len));
        revoked += read.status == WB_ERR_REVOKED;
    }
    atomic_store(&owner.stop, true);
    pthread_join(thread, NULL);
    ck_assert_uint_gt(revoked, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm reads");
    TCase *tests = tcase_create("reads");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, meet, part);
    tcase_add_test(tests, slab_chunks_of_every_length);
    tcase_add_test(tests, user_memory_of_every_length);
    tcase_add_test(tests, sixty_four_mebibytes);
    tcase_add_test(tests, ranges_of_a_chunk_in_any_order);
    tcase_add_test(tests, a_retired_chunk_is_unreadable);
    tcase_add_test(tests, revocation_in_mid_read);
    tcase_add_test(tests, the_reader_closes_in_mid_read);
    tcase_add_test(tests, the_owner_closes_in_mid_read);
    tcase_add_test(tests, a_slab_that_leaves_is_confirmed_when_the_peer_has_unmapped_it);
    tcase_add_test(tests, a_slab_that_leaves_in_mid_read_waits_for_it);
    tcase_add_test(tests, a_slab_without_peers_is_confirmed_at_once);
    tcase_add_test(tests, closing_confirms_what_the_peer_was_told);
    tcase_add_test(tests, unsealed_memory_is_no_slab);
    tcase_add_test(tests, keys_and_ranges_that_cannot_be);
    tcase_add_test(tests, more_offers_than_leases_wait);
    tcase_add_test(tests, two_threads_staged_and_slab);
    tcase_add_test(tests, what_is_kept_is_never_torn);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
