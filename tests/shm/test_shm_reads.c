/* READs: of slabs and of staged user memory, every size, leases, revocation, closing, and slabs
 * that leave. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/shm/chunks.h"

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
    for (int user = 0; user < 3; user++) { /* shelved, and too long for that */
        struct wbi_offer offer = offer_slab(0, user == 2 ? 100000 : 4096);
        if (user) {
            offer.mr = NULL;
        }
        make_readable(&offer);
        wbi_shm_fabric.retire(at_server->channel, &offer);
        wbi_shm_fabric.retire(at_server->channel, &offer); /* twice harms nobody */
        struct wbi_offer next = offer_slab(4096, 4096);
        make_readable(&next); /* the same lease, with another value */
        struct test_read read;
        test_read_of(&read, &offer, 0, offer.len, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
        test_until_flag(&client, &server, &read.ended);
        ck_assert_int_eq(read.status, WB_ERR_REVOKED);
        wbi_shm_fabric.retire(at_server->channel, &next);
    }
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
    tcase_add_test(tests, keys_and_ranges_that_cannot_be);
    tcase_add_test(tests, more_offers_than_leases_wait);
    tcase_add_test(tests, two_threads_staged_and_slab);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
