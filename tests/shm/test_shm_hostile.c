/* What a peer can write into shared memory or send after a handshake that was right: its channel
 * ends with a reason, and no other channel notices. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/shm/ring.h"
#include "engine/shm/stage.h"
#include "tests/shm/raw.h"

static struct test_side server, client;
static struct test_end *honest_server, *honest_client;
static struct test_end *victim; /* the server's end of the raw channel */
static struct test_raw raw;
static unsigned fds_before, maps_before;

static void meet(void)
{
    fds_before = test_open_fds();
    maps_before = test_mapped_memfds();
    test_side_open(&server, 0);
    test_side_open(&client, 0);
    test_meet(&server, &client, &honest_server, &honest_client);
    char name[64];
    snprintf(name, sizeof name, "%s", test_name());
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    test_raw_open(&raw, name);
    ck_assert_int_eq(test_raw_meet(&raw, &server), WBI_SHM_ACK);
    victim = server.ends[1];
}

static void part(void)
{
    uint64_t before = honest_server->messages;
    test_send(honest_client, NULL, "still here", 10);
    test_until_count(&server, NULL, &honest_server->messages, before + 1);
    test_raw_close(&raw);
    test_side_close(&client);
    test_side_close(&server);
    ck_assert_uint_eq(test_open_fds(), fds_before);
    ck_assert_uint_eq(test_mapped_memfds(), maps_before);
}

static void lost_for_protocol(const char *words)
{
    test_until_lost(&server, &client, victim);
    ck_assert_int_eq(victim->lost, WB_ERR_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(victim->reason, words));
}

static _Atomic uint64_t *ring_word(uint64_t at)
{
    return wbi_shm_ring_word(test_raw_ring(&raw), TEST_RAW_RING, at);
}

/* As a producer begins a message there. */
static void begin(uint64_t at, uint32_t len, uint8_t kind)
{
    atomic_store(ring_word(at), (uint64_t)len << 32 | wbi_shm_ring_number(at) | kind);
}

START_TEST(the_raw_peer_can_send_a_message)
{
    memcpy(test_raw_ring(&raw) + 8, "hello", 5);
    begin(0, 5, WBI_SHM_DATA);
    test_until_count(&server, NULL, &victim->messages, 1);
    ck_assert_uint_eq(victim->last_len, 5);
}
END_TEST

START_TEST(rubbish_in_the_ring)
{
    static const uint32_t wrong[][2] = {
        {TEST_EAGER + 1, WBI_SHM_DATA}, {UINT32_MAX, WBI_SHM_DATA}, {8, 9}, {8, WBI_SHM_PAD}};
    begin(0, wrong[_i][0], (uint8_t)wrong[_i][1]);
    lost_for_protocol("rubbish");
    ck_assert_uint_eq(victim->messages, 0);
}
END_TEST

START_TEST(messages_before_the_rubbish_are_delivered)
{
    begin(64, 1, 100);
    begin(0, 5, WBI_SHM_DATA);
    lost_for_protocol("rubbish");
    ck_assert_uint_eq(victim->messages, 1);
}
END_TEST

static void ask_for_staging(uint64_t at, uint64_t lease, uint64_t value, uint64_t offset,
                            uint64_t len)
{
    uint64_t words[4] = {lease, value, offset, len};
    memcpy(test_raw_ring(&raw) + at + 8, words, sizeof words);
    begin(at, sizeof words, WBI_SHM_STAGE_REQUEST);
}

START_TEST(staging_requests_that_cannot_be)
{
    static const uint64_t wrong[][4] = {{WBI_SHM_LEASES, 1, 0, 1},
                                        {UINT64_MAX, 1, 0, 1},
                                        {0, 0, 0, 1},
                                        {0, 1, 0, 0},
                                        {0, 1, UINT64_MAX, 2}};
    ask_for_staging(0, wrong[_i][0], wrong[_i][1], wrong[_i][2], wrong[_i][3]);
    lost_for_protocol("staging request");
}
END_TEST

START_TEST(staging_requests_beyond_the_chunk)
{
    enum { BYTES = WBI_SHM_SHELF_BYTES + 1000 }; /* more than is shelved */
    static uint8_t memory[BYTES];
    static const uint64_t wrong[][2] = {
        {0, BYTES + 1}, {BYTES, 1}, {BYTES + 1, 1}, {BYTES - 1, UINT64_MAX / 2}};
    struct wbi_offer offer = {.data = memory, .len = sizeof memory};
    TEST_OK(wbi_shm_fabric.offer(victim->channel, &offer));
    ask_for_staging(0, offer.lease, 1, wrong[_i][0], wrong[_i][1]);
    lost_for_protocol("not offered");
}
END_TEST

static void on_confirmed(void *argument)
{
    *(bool *)argument = true;
}

START_TEST(a_slab_chunk_is_not_staged)
{
    struct wbi_region slab = test_slab(65536);
    struct wbi_mr *mr;
    bool confirmed = false;
    TEST_OK(server.registrar.reg(server.registrar.context, &slab, &mr));
    struct wbi_offer offer = {.data = slab.base, .len = 100, .mr = mr, .region_base = slab.base};
    TEST_OK(wbi_shm_fabric.offer(victim->channel, &offer));
    ask_for_staging(0, offer.lease, 1, 0, 100);
    lost_for_protocol("not offered");
    test_end_close(victim);
    server.registrar.dereg(server.registrar.context, mr, on_confirmed, &confirmed);
    test_until_flag(&server, &client, &confirmed);
    test_slab_free(&slab);
}
END_TEST

START_TEST(a_shelved_chunk_is_not_staged)
{
    static uint8_t memory[1000];
    struct wbi_offer offer = {.data = memory, .len = sizeof memory};
    TEST_OK(wbi_shm_fabric.offer(victim->channel, &offer));
    ask_for_staging(0, offer.lease, 1, 0, sizeof memory);
    lost_for_protocol("not offered");
}
END_TEST

START_TEST(too_many_staging_requests)
{
    static uint8_t memory[1 << 20];
    struct wbi_offer offer = {.data = memory, .len = sizeof memory};
    TEST_OK(wbi_shm_fabric.offer(victim->channel, &offer));
    for (uint64_t i = WBI_SHM_REQUESTS + 10; i-- > 0;) {
        ask_for_staging(i * 64, offer.lease, 1, 0, sizeof memory); /* the first one last */
    }
    lost_for_protocol("more staging requests");
}
END_TEST

START_TEST(pieces_that_were_never_published_are_consumed)
{
    static uint8_t memory[1 << 20];
    struct wbi_offer offer = {.data = memory, .len = sizeof memory};
    TEST_OK(wbi_shm_fabric.offer(victim->channel, &offer));
    atomic_store(&raw.head->pieces_consumed.word, 100);
    ask_for_staging(0, offer.lease, 1, 0, sizeof memory);
    lost_for_protocol("consumed pieces");
}
END_TEST

START_TEST(pieces_that_nobody_wants)
{
    static uint8_t landing[1000];
    static const uint64_t wrong[][2] = {{0, 0}, {0, 1001}, {0, 0xffffff}, {1, 5}, {7, 10}};
    struct test_read read;
    struct wbi_offer offer = {.key_len = 16, .address = 4096};
    memset(offer.key, 0xff, 4);
    memset(offer.key + 4, 0, sizeof offer.key - 4);
    offer.key[8] = 1;
    test_read_of(&read, &offer, 0, sizeof landing, landing);
    TEST_OK(wbi_shm_fabric.read(victim->channel, &read.read));
    atomic_store(&raw.head->pieces[0].word,
                 wbi_shm_piece_word(0, (uint32_t)wrong[_i][0], (uint32_t)wrong[_i][1]));
    lost_for_protocol("piece");
    ck_assert(!read.ended);
    test_end_close(victim);
    ck_assert(read.ended);
    ck_assert_int_eq(read.status, WB_ERR_PEER_LOST);
}
END_TEST

/* `len` bytes at `address` of the raw peer's shelves, under its lease 0. */
static void read_shelves(struct test_read *read, uint64_t address, uint64_t len, void *into)
{
    struct wbi_offer offer = {.address = address, .key_len = WBI_SHM_KEY_BYTES};
    wbi_shm_key_encode(&(struct wbi_shm_key){WBI_SHM_SHELVED, 0, 1}, offer.key);
    atomic_store(&raw.head->leases[0], 1);
    test_read_of(read, &offer, 0, len, into);
    TEST_OK(wbi_shm_fabric.read(victim->channel, &read->read));
}

/* All that a peer has of shelves, under one lease: it takes several turns to copy. */
START_TEST(shelves_that_change_in_mid_read)
{
    static uint8_t landing[WBI_SHM_SHELVES_BYTES];
    for (int revoked = 0; revoked < 2; revoked++) {
        struct test_read read;
        memset(test_raw_shelves(&raw), 9, sizeof landing);
        read_shelves(&read, 0, sizeof landing, landing);
        wbi_shm_fabric.poll(server.lane);
        ck_assert(!read.ended);
        ck_assert_uint_gt(read.read.progress, 0);
        atomic_store(&raw.head->leases[0], revoked ? 2 : 1);
        test_until_flag(&server, &client, &read.ended);
        ck_assert_int_eq(read.status, revoked ? WB_ERR_REVOKED : WB_OK);
        ck_assert_uint_eq(landing[0], 9);
        ck_assert_uint_eq(landing[sizeof landing - 1], 9);
    }
    ck_assert_int_eq(victim->lost, WB_OK);
}
END_TEST

START_TEST(a_consumed_position_that_cannot_be)
{
    uint8_t *slot;
    atomic_store(&raw.head->consumed.word, UINT64_MAX / 2);
    for (int i = 0; i < 10000; i++) {
        if (wbi_shm_fabric.reserve(victim->channel, 512, false, &slot) != WB_OK) {
            break;
        }
        wbi_shm_fabric.send(victim->channel, 512);
    }
    /* The channel's end is known, and not told yet: nothing is read, whatever it is. */
    struct test_read read;
    uint8_t landing[8];
    read_shelves(&read, UINT64_MAX / 2, sizeof landing, landing);
    lost_for_protocol("consumed messages");
    ck_assert(!read.ended);
    test_end_close(victim);
    ck_assert(read.ended);
    ck_assert_int_eq(read.status, WB_ERR_PEER_LOST);
}
END_TEST

/* ---- packets ---- */

static void send_slab(uint32_t id, uint64_t bytes, int fd)
{
    struct wbi_shm_packet packet = wbi_shm_packet_of(WBI_SHM_ANNOUNCE);
    packet.slab = (struct wbi_shm_slab){.id = id, .bytes = bytes};
    while (wbi_shm_packet_send(raw.socket, &packet, &fd, 1) != WB_OK) {
        wbi_shm_fabric.poll(server.lane);
    }
}

START_TEST(slabs_that_are_none)
{
    int honest = test_raw_memfd(65536, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
    int open_ended = test_raw_memfd(65536, 0);
    switch (_i) {
    case 0:
        send_slab(1, 65537, honest);
        break;
    case 1:
        send_slab(1, 65536, open_ended);
        break;
    case 2:
        send_slab(0, 65536, honest);
        break;
    case 3:
        send_slab(5, 65536, honest);
        send_slab(5, 65536, honest);
        break;
    default: /* what means that it lies in none */
        send_slab(_i == 4 ? UINT32_MAX : UINT32_MAX - 1, 65536, honest);
    }
    lost_for_protocol("slab");
    close(honest);
    close(open_ended);
}
END_TEST

START_TEST(more_slabs_than_anybody_needs)
{
    int honest = test_raw_memfd(4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
    for (uint32_t i = 1; i <= 4097 && victim->lost == WB_OK; i++) {
        send_slab(i, 4096, honest);
    }
    lost_for_protocol("more slabs");
    close(honest);
}
END_TEST

START_TEST(packets_out_of_place)
{
    struct wbi_shm_packet packet = wbi_shm_packet_of(_i == 0   ? WBI_SHM_GONE
                                                     : _i == 1 ? WBI_SHM_CONFIRM
                                                               : WBI_SHM_REJECT);
    packet.slab.id = 3;
    ck_assert_int_eq(wbi_shm_packet_send(raw.socket, &packet, NULL, 0), WB_OK);
    lost_for_protocol("the peer");
}
END_TEST

/* ---- the lane page, where every peer can write ---- */

START_TEST(scribbling_over_the_lane_page_delays_others_a_little)
{
    struct wbi_shm_mail *answer = &raw.answer;
    struct wbi_shm_mapping *page;
    TEST_OK(wbi_shm_mapping_open(answer->fds[1], true, false, &page));
    struct wbi_shm_lane_page *theirs = (struct wbi_shm_lane_page *)(void *)page->base;
    for (uint64_t round = 1; round <= 50; round++) {
        while (wbi_shm_fabric.arm(server.lane) == WB_AGAIN) {
            wbi_shm_fabric.poll(server.lane);
        }
        atomic_store(&theirs->armed.word, 0);
        test_send(honest_client, NULL, "x", 1);
        for (int i = 0; i < WBI_SHM_MAX_CHANNELS / 64; i++) {
            atomic_store(&theirs->doorbells[i], round % 2 ? 0 : UINT64_MAX);
        }
        test_until_count(&server, NULL, &honest_server->messages, round);
    }
    wbi_shm_mapping_drop(page);
}
END_TEST

START_TEST(doorbells_that_are_wiped_are_made_good)
{
    struct test_end *to[24], *from[24];
    struct wbi_shm_mapping *page;
    for (int i = 0; i < 24; i++) { /* more than can be polled directly */
        test_meet(&server, &client, &to[i], &from[i]);
    }
    TEST_OK(wbi_shm_mapping_open(raw.answer.fds[1], true, false, &page));
    struct wbi_shm_lane_page *theirs = (struct wbi_shm_lane_page *)(void *)page->base;
    for (int i = 0; i < 24; i++) {
        test_send(from[i], NULL, "x", 1);
    }
    for (int i = 0; i < WBI_SHM_MAX_CHANNELS / 64; i++) {
        atomic_store(&theirs->doorbells[i], 0);
    }
    for (int i = 0; i < 24; i++) {
        test_until_count(&server, NULL, &to[i]->messages, 1);
    }
    wbi_shm_mapping_drop(page);
}
END_TEST

START_TEST(wake_ups_without_end_are_only_that)
{
    struct wbi_shm_packet wake = wbi_shm_packet_of(WBI_SHM_WAKE);
    for (int i = 0; i < 5000; i++) {
        if (wbi_shm_packet_send(raw.socket, &wake, NULL, 0) != WB_OK) {
            wbi_shm_fabric.poll(server.lane);
        }
    }
    ck_assert_int_eq(victim->lost, WB_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm hostile");
    TCase *tests = tcase_create("hostile");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, meet, part);
    if (!test_under_tsan()) { /* the raw peer has a second mapping, which TSan takes for a race */
        tcase_add_test(tests, the_raw_peer_can_send_a_message);
        tcase_add_loop_test(tests, rubbish_in_the_ring, 0, 4);
        tcase_add_test(tests, messages_before_the_rubbish_are_delivered);
        tcase_add_loop_test(tests, staging_requests_that_cannot_be, 0, 5);
        tcase_add_loop_test(tests, staging_requests_beyond_the_chunk, 0, 4);
        tcase_add_test(tests, a_slab_chunk_is_not_staged);
        tcase_add_test(tests, a_shelved_chunk_is_not_staged);
        tcase_add_test(tests, shelves_that_change_in_mid_read);
        tcase_add_test(tests, too_many_staging_requests);
        tcase_add_test(tests, pieces_that_were_never_published_are_consumed);
        tcase_add_loop_test(tests, pieces_that_nobody_wants, 0, 5);
        tcase_add_test(tests, a_consumed_position_that_cannot_be);
    }
    tcase_add_loop_test(tests, slabs_that_are_none, 0, 6);
    tcase_add_test(tests, more_slabs_than_anybody_needs);
    tcase_add_loop_test(tests, packets_out_of_place, 0, 3);
    tcase_add_test(tests, scribbling_over_the_lane_page_delays_others_a_little);
    tcase_add_test(tests, doorbells_that_are_wiped_are_made_good);
    tcase_add_test(tests, wake_ups_without_end_are_only_that);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
