/* Small chunks of user memory, which lie copied on shelves: the reader needs no help of the
 * owner's, and what fits on no shelf is staged. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/shm/lease.h"
#include "tests/shm/chunks.h"
#include "tests/support/program.h"

enum { SMALL = 4096, ROUNDS = 1000 };

static uint8_t memory[(WBI_SHM_SHELVES + 1) * SMALL];
static struct wbi_offer offers[WBI_SHM_SHELVES + 1];

static uint32_t segment_of(const struct wbi_offer *offer)
{
    struct wbi_shm_key key;
    ck_assert(wbi_shm_key_decode(offer->key, offer->key_len, &key));
    return key.segment;
}

static void offer_memory(struct wbi_offer *offer, const void *data, uint64_t len)
{
    *offer = (struct wbi_offer){.data = data, .len = len};
    TEST_OK(wbi_shm_fabric.offer(at_server->channel, offer));
}

/* One more than there are shelves, each of its own bytes. */
static void offer_too_many(void)
{
    for (unsigned i = 0; i <= WBI_SHM_SHELVES; i++) {
        test_fill(memory + (size_t)i * SMALL, SMALL, i);
        offer_memory(&offers[i], memory + (size_t)i * SMALL, SMALL);
    }
}

START_TEST(the_owner_is_not_asked)
{
    struct wbi_offer offer;
    struct test_read read;
    test_fill(memory, WBI_SHM_SHELF_BYTES, 1);
    offer_memory(&offer, memory, WBI_SHM_SHELF_BYTES);
    memset(memory, 0, WBI_SHM_SHELF_BYTES); /* which who asks for it would get */
    test_read_of(&read, &offer, 0, WBI_SHM_SHELF_BYTES, landing);
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
    test_until_flag(&client, NULL, &read.ended);
    TEST_OK(read.status);
    ck_assert(test_filled(landing, WBI_SHM_SHELF_BYTES, 1));
    test_read_of(&read, &offer, 1000, 7, landing + 5); /* a part of it */
    memset(landing, 0xee, WBI_SHM_SHELF_BYTES);
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
    test_until_flag(&client, NULL, &read.ended);
    test_fill(memory, WBI_SHM_SHELF_BYTES, 1);
    ck_assert_mem_eq(landing + 5, memory + 1000, 7);
    ck_assert_uint_eq(landing[4], 0xee);
    ck_assert_uint_eq(landing[12], 0xee);
}
END_TEST

START_TEST(a_chunk_longer_than_a_shelf_is_staged)
{
    struct wbi_offer offer;
    test_fill(memory, sizeof memory, 2);
    offer_memory(&offer, memory, WBI_SHM_SHELF_BYTES + 1);
    ck_assert_uint_eq(segment_of(&offer), WBI_SHM_USER_MEMORY);
    read_all(&offer);
}
END_TEST

START_TEST(what_finds_no_shelf_is_staged)
{
    offer_too_many();
    for (unsigned i = 0; i <= WBI_SHM_SHELVES; i++) {
        ck_assert_uint_eq(segment_of(&offers[i]),
                          i < WBI_SHM_SHELVES ? WBI_SHM_SHELVED : WBI_SHM_USER_MEMORY);
        read_all(&offers[i]);
    }
    wbi_shm_fabric.retire(at_server->channel, &offers[WBI_SHM_SHELVES]); /* which had none */
    offer_memory(&offers[WBI_SHM_SHELVES], memory, SMALL);
    ck_assert_uint_eq(segment_of(&offers[WBI_SHM_SHELVES]), WBI_SHM_USER_MEMORY);
    wbi_shm_fabric.retire(at_server->channel, &offers[WBI_SHM_SHELVES]);
    wbi_shm_fabric.retire(at_server->channel, &offers[7]);
    wbi_shm_fabric.retire(at_server->channel, &offers[7]); /* twice gives no shelf twice */
    TEST_OK(wbi_shm_fabric.revoke(at_server->channel, &offers[20]));
    uint64_t given[2] = {offers[7].address, offers[20].address};
    offer_memory(&offers[20], memory, SMALL);
    offer_memory(&offers[7], memory + 1, SMALL);
    offer_memory(&offers[WBI_SHM_SHELVES], memory, SMALL);
    ck_assert_uint_eq(offers[20].address, given[1]); /* the last one given back first */
    ck_assert_uint_eq(offers[7].address, given[0]);
    ck_assert_uint_eq(segment_of(&offers[WBI_SHM_SHELVES]), WBI_SHM_USER_MEMORY);
    for (unsigned i = 0; i <= WBI_SHM_SHELVES; i++) {
        read_all(&offers[i]); /* nobody has lost what lay on his */
    }
}
END_TEST

START_TEST(no_part_of_the_shelves_but_their_own)
{
    static const uint64_t wrong[][2] = {
        {WBI_SHM_SHELVES_BYTES, 1},     {WBI_SHM_SHELVES_BYTES - 10, 11},
        {0, WBI_SHM_SHELVES_BYTES + 1}, {UINT64_MAX, 1},
        {UINT64_MAX - 10, 100},         {1, UINT64_MAX}};
    struct test_read read;
    struct wbi_offer offer;
    test_fill(memory, SMALL, 3);
    offer_memory(&offer, memory, SMALL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        test_read_of(&read, &offer, 0, wrong[i][1], landing);
        read.read.address = wrong[i][0];
        ck_assert_int_eq(wbi_shm_fabric.read(at_client->channel, &read.read), WB_ERR_PROTOCOL);
        ck_assert(!read.ended);
    }
    test_read_of(&read, &offer, 0, WBI_SHM_SHELVES_BYTES, landing); /* all of them there are */
    read.read.address = 0;
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
    test_until_flag(&client, NULL, &read.ended);
    TEST_OK(read.status);
    read_all(&offer);
}
END_TEST

START_TEST(a_read_that_was_begun_ends_revoked)
{
    struct wbi_offer offer, next;
    struct test_read read;
    offer_memory(&offer, memory, SMALL);
    memset(landing, 0xee, SMALL);
    test_read_of(&read, &offer, 0, SMALL, landing);
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
    TEST_OK(wbi_shm_fabric.revoke(at_server->channel, &offer));
    offer_memory(&next, memory, SMALL); /* the same shelf, and the same lease with another value */
    ck_assert_uint_eq(next.address, offer.address);
    test_until_flag(&client, NULL, &read.ended);
    ck_assert_int_eq(read.status, WB_ERR_REVOKED);
    ck_assert_uint_eq(landing[0], 0xee);
}
END_TEST

START_TEST(a_read_ends_with_its_channel)
{
    struct wbi_offer offer;
    struct test_read reads[2];
    offer_memory(&offer, memory, SMALL);
    test_read_of(&reads[0], &offer, 0, SMALL, landing);
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &reads[0].read));
    test_end_close(at_client);
    ck_assert(reads[0].ended);
    ck_assert_int_eq(reads[0].status, WB_ERR_PEER_LOST);
    test_until_lost(&server, &client, at_server);
    test_read_of(&reads[1], &offer, 0, SMALL, landing); /* begun on one that is lost */
    TEST_OK(wbi_shm_fabric.read(at_server->channel, &reads[1].read));
    test_poll_both(&server, &client);
    ck_assert(!reads[1].ended);
    test_end_close(at_server);
    ck_assert(reads[1].ended);
    ck_assert_int_eq(reads[1].status, WB_ERR_PEER_LOST);
}
END_TEST

/* ---- shelves that are given on while they are read ---- */

/* The owner offers one chunk after the other, and takes each back when it likes. */
struct owner {
    struct wbi_offer offer; /* number `number` */
    _Atomic unsigned number;
    _Atomic unsigned seen; /* the reader has begun to read that one */
};

static void *run_owner(void *argument)
{
    struct owner *owner = argument;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        /* filled before the last one is taken back, to be on its shelf soon after */
        uint8_t *next = memory + (size_t)(i % 2) * WBI_SHM_SHELF_BYTES;
        memset(next, (int)(i % 251), WBI_SHM_SHELF_BYTES);
        while (atomic_load(&owner->seen) != i - 1) {
            sched_yield();
        }
        for (unsigned turns = i % 64; turns > 0; turns--) {
            wbi_relax();
        }
        TEST_OK(wbi_shm_fabric.revoke(at_server->channel, &owner->offer));
        offer_memory(&owner->offer, next, WBI_SHM_SHELF_BYTES);
        atomic_store(&owner->number, i);
    }
    return NULL;
}

START_TEST(what_was_read_was_all_of_one_chunk)
{
    static struct owner owner;
    pthread_t thread;
    offer_memory(&owner.offer, memory, WBI_SHM_SHELF_BYTES);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_owner, &owner), 0);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        struct test_read read;
        while (atomic_load(&owner.number) != i) {
            sched_yield(); /* they may share a processor */
        }
        test_read_of(&read, &owner.offer, 0, WBI_SHM_SHELF_BYTES, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
        atomic_store(&owner.seen, i);
        test_until_flag(&client, NULL, &read.ended);
        TEST_THAT(read.status == WB_OK || read.status == WB_ERR_REVOKED);
        for (unsigned at = 0; at < WBI_SHM_SHELF_BYTES && read.status == WB_OK; at++) {
            TEST_THAT(landing[at] == i % 251);
        }
    }
    pthread_join(thread, NULL);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const cases[] = {the_owner_is_not_asked,
                                  a_chunk_longer_than_a_shelf_is_staged,
                                  what_finds_no_shelf_is_staged,
                                  no_part_of_the_shelves_but_their_own,
                                  a_read_that_was_begun_ends_revoked,
                                  a_read_ends_with_its_channel,
                                  what_was_read_was_all_of_one_chunk};
    Suite *suite = suite_create("shm shelves");
    TCase *tests = test_program_case("shelves", cases, sizeof cases / sizeof cases[0]);
    tcase_add_checked_fixture(tests, meet, part);
    suite_add_tcase(suite, tests);
    return test_program_run(suite, argc, argv);
}
