/* What ends a READ before its end, and slabs that leave: revocation, closing, deregistration. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/shm/chunks.h"

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

enum { TAKEBACK = 200000 }; /* one slice, so that only the look afterwards can tell */

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
        memset(slab.base, (int)(++owner->offers & 0x7f), TAKEBACK);
        owner->offer = offer_slab(0, TAKEBACK);
        TEST_OK(wbi_shm_fabric.offer(at_server->channel, &owner->offer));
        uint8_t *slot;
        if (wbi_shm_fabric.reserve(at_server->channel, sizeof owner->offer, false, &slot) ==
            WB_OK) {
            memcpy(slot, &owner->offer, sizeof owner->offer);
            wbi_shm_fabric.send(at_server->channel, sizeof owner->offer);
        }
        for (uint64_t i = 0; i < owner->offers % 64; i++) {
            wbi_shm_fabric.poll(server.lane);
        }
        TEST_OK(wbi_shm_fabric.revoke(at_server->channel, &owner->offer));
        memset(slab.base, 0xff, TAKEBACK);
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
    for (uint64_t round = 1; round <= 1000; round++) {
        uint64_t before = at_client->messages;
        test_until_count(&client, NULL, &at_client->messages, before + 1);
        struct wbi_offer offer;
        memcpy(&offer, at_client->last, sizeof offer); /* the newest that has come */
        struct test_read read;
        test_read_of(&read, &offer, 0, offer.len, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
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

/* ---- done() closes another channel, whose READs wait in the same queues ---- */

static struct test_end *to_close;

static void close_other(struct wbi_read *read, int status)
{
    TEST_OK(status);
    test_end_close(to_close);
    ((struct test_read *)(void *)read)->ended = true;
}

START_TEST(done_may_close_another_channel)
{
    for (int user = 0; user < 2; user++) {
        struct test_end *other_server, *other_client;
        struct test_read reads[4];
        test_meet(&server, &client, &other_server, &other_client);
        struct wbi_offer here = offer_slab(0, 8000000);
        struct wbi_offer there = offer_slab(0, 8000000);
        if (user) {
            here.mr = there.mr = NULL;
        }
        make_readable(&here);
        while (wbi_shm_fabric.offer(other_server->channel, &there) == WB_AGAIN) {
            wbi_shm_fabric.poll(server.lane);
        }
        for (int i = 0; i < 4; i++) { /* the first and third here, the others there */
            test_read_of(&reads[i], i % 2 ? &there : &here, 0, i == 0 ? 1 : 8000000, landing);
            reads[i].read.done = i == 0 ? close_other : reads[i].read.done;
            TEST_OK(
                wbi_shm_fabric.read((i % 2 ? other_client : at_client)->channel, &reads[i].read));
        }
        to_close = other_client;
        for (int i = 0; i < 4; i++) {
            test_until_flag(&client, &server, &reads[i].ended);
        }
        TEST_OK(reads[2].status);
        ck_assert_int_eq(reads[3].status, WB_ERR_PEER_LOST);
        test_until_lost(&server, &client, other_server);
        test_end_close(other_server);
        wbi_shm_fabric.retire(at_server->channel, &here);
    }
}
END_TEST

/* ---- a slab that is unmapped while the reader, in the same process, copies from it ---- */

struct remover {
    struct wbi_region slab;
    struct wbi_mr *mr;
    struct test_end *end;
    _Atomic bool reading;
};

static void *run_remover(void *argument)
{
    struct remover *remover = argument;
    bool confirmed = false;
    while (!atomic_load(&remover->reading)) {
        wbi_relax();
    }
    test_end_close(remover->end);
    server.registrar.dereg(server.registrar.context, remover->mr, on_confirmed, &confirmed);
    TEST_THAT(confirmed);
    test_slab_free(&remover->slab);
    return NULL;
}

START_TEST(an_unmapped_slab_is_touched_no_more)
{
    test_end_close(at_client); /* no other channel is to be asked */
    test_end_close(at_server);
    for (int round = 0; round < 50; round++) {
        struct remover remover = {.slab = test_slab(1 << 20)};
        struct test_end *end;
        test_meet(&server, &client, &remover.end, &end);
        TEST_OK(server.registrar.reg(server.registrar.context, &remover.slab, &remover.mr));
        struct wbi_offer offer = {.data = remover.slab.base,
                                  .len = 1 << 20,
                                  .mr = remover.mr,
                                  .region_base = remover.slab.base};
        TEST_OK(wbi_shm_fabric.offer(remover.end->channel, &offer));
        struct test_read read;
        test_read_of(&read, &offer, 0, offer.len, landing);
        TEST_OK(wbi_shm_fabric.read(end->channel, &read.read));
        while (read.read.progress == 0) {
            wbi_shm_fabric.poll(client.lane);
        }
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, run_remover, &remover), 0);
        atomic_store(&remover.reading, true);
        for (;;) {
            test_until_flag(&client, NULL, &read.ended);
            if (read.status != WB_OK) {
                break; /* else once more, until the slab is gone */
            }
            test_read_of(&read, &offer, 0, offer.len, landing);
            TEST_OK(wbi_shm_fabric.read(end->channel, &read.read));
        }
        pthread_join(thread, NULL);
        test_end_close(end);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm withdrawal");
    TCase *tests = tcase_create("withdrawal");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, meet, part);
    tcase_add_test(tests, revocation_in_mid_read);
    tcase_add_test(tests, the_reader_closes_in_mid_read);
    tcase_add_test(tests, the_owner_closes_in_mid_read);
    tcase_add_test(tests, a_slab_that_leaves_is_confirmed_when_the_peer_has_unmapped_it);
    tcase_add_test(tests, a_slab_that_leaves_in_mid_read_waits_for_it);
    tcase_add_test(tests, a_slab_without_peers_is_confirmed_at_once);
    tcase_add_test(tests, closing_confirms_what_the_peer_was_told);
    tcase_add_test(tests, unsealed_memory_is_no_slab);
    tcase_add_test(tests, what_is_kept_is_never_torn);
    tcase_add_test(tests, done_may_close_another_channel);
    tcase_add_test(tests, an_unmapped_slab_is_touched_no_more);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
