/* How lanes meet, and how they refuse each other. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/shm/raw.h"

static struct test_side server, client;
static char name[64];
static unsigned fds_before, maps_before;

static void open_sides(void)
{
    fds_before = test_open_fds();
    maps_before = test_mapped_memfds();
    test_side_open(&server, 0);
    test_side_open(&client, 0);
    snprintf(name, sizeof name, "%s", test_name());
}

/* Every test of this program ends with nothing left behind. */
static void close_sides(void)
{
    test_side_close(&client);
    test_side_close(&server);
    ck_assert_uint_eq(test_open_fds(), fds_before);
    ck_assert_uint_eq(test_mapped_memfds(), maps_before);
}

START_TEST(names)
{
    static const char *const good[] = {
        "a", "A-z_0.9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const bad[] = {
        "",    "a/b", "a b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "a:1", "ä",   "a\n", "%s%s%s"};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        TEST_OK(wbi_shm_fabric.check_address(good[i]));
    }
    struct test_end *end;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(wbi_shm_fabric.check_address(bad[i]), WB_ERR_BAD_URL);
        ck_assert_int_eq(wbi_shm_fabric.listen(server.lane, bad[i]), WB_ERR_BAD_URL);
        ck_assert_int_eq(test_connect(&client, bad[i], NULL, 0, &end), WB_ERR_BAD_URL);
    }
}
END_TEST

START_TEST(nobody_listens)
{
    struct test_end *end;
    ck_assert_int_eq(test_connect(&client, name, NULL, 0, &end), WB_ERR_REFUSED);
}
END_TEST

START_TEST(the_name_is_in_use_until_the_lane_closes)
{
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    ck_assert_int_eq(wbi_shm_fabric.listen(server.lane, name), WB_ERR_IN_USE);
    ck_assert_int_eq(wbi_shm_fabric.listen(client.lane, name), WB_ERR_IN_USE);
    test_side_close(&server);
    TEST_OK(wbi_shm_fabric.listen(client.lane, name));
    test_side_open(&server, 0);
}
END_TEST

START_TEST(a_rejection_brings_its_reason)
{
    struct test_end *end;
    server.verdict = WB_ERR_VERSION;
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    TEST_OK(test_connect(&client, name, "hi", 2, &end));
    test_until_lost(&client, &server, end);
    ck_assert_int_eq(end->lost, WB_ERR_REFUSED);
    ck_assert_uint_eq(end->hello_len, 7);
    ck_assert_mem_eq(end->hello, "no room", 7);
    ck_assert(!end->connected);
    uint8_t *slot;
    ck_assert_int_eq(wbi_shm_fabric.reserve(end->channel, 8, false, &slot), WB_AGAIN);
}
END_TEST

START_TEST(the_listener_closes_before_it_answers)
{
    struct test_end *end;
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    TEST_OK(test_connect(&client, name, "hi", 2, &end));
    test_side_close(&server);
    test_until_lost(&client, NULL, end);
    ck_assert_int_eq(end->lost, WB_ERR_REFUSED);
    test_side_open(&server, 0);
}
END_TEST

START_TEST(the_connector_closes_before_it_is_answered)
{
    struct test_end *end;
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    TEST_OK(test_connect(&client, name, "hi", 2, &end));
    test_end_close(end);
    for (uint64_t limit = wbi_now() + 50000; wbi_now() < limit;) {
        wbi_shm_fabric.poll(server.lane);
    }
    ck_assert_uint_le(server.requests, 1);
    if (server.end_count > 0) {
        test_until_lost(&server, NULL, server.ends[0]);
    }
}
END_TEST

START_TEST(more_than_max_channels_say_again)
{
    struct test_end *end;
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    for (int i = 0; i < TEST_MAX_CHANNELS - 1; i++) {
        TEST_OK(test_connect(&client, name, NULL, 0, &end));
    }
    struct wbi_channel *one;
    struct wbi_channel *more;
    struct test_end last = {.side = &client};
    TEST_OK(wbi_shm_fabric.connect(client.lane, name, NULL, 0, &last, &one));
    ck_assert_int_eq(wbi_shm_fabric.connect(client.lane, name, NULL, 0, &last, &more), WB_AGAIN);
    test_until_flag(&client, &server, &last.connected);
    wbi_shm_fabric.close(one);
}
END_TEST

START_TEST(different_eager_sizes_meet_at_the_smaller)
{
    test_side_close(&client);
    test_side_open(&client, 1024);
    struct test_end *at_server, *at_client;
    test_meet(&server, &client, &at_server, &at_client);
    uint8_t *slot;
    ck_assert_int_eq(wbi_shm_fabric.reserve(at_server->channel, 1025, false, &slot),
                     WB_ERR_INVALID);
    TEST_OK(wbi_shm_fabric.reserve(at_server->channel, 1024, false, &slot));
    wbi_shm_fabric.send(at_server->channel, 1024);
    test_until_count(&client, NULL, &at_client->messages, 1);
}
END_TEST

/* ---- hellos that no honest peer sends ---- */

static void an_honest_peer_still_gets_in(void)
{
    struct test_end *end;
    TEST_OK(test_connect(&client, name, NULL, 0, &end));
    test_until_flag(&client, &server, &end->connected);
}

START_TEST(a_raw_hello_that_is_right_is_accepted)
{
    struct test_raw raw;
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    test_raw_open(&raw, name);
    ck_assert_int_eq(test_raw_meet(&raw, &server), WBI_SHM_ACK);
    ck_assert_uint_eq(raw.answer.packet.hello.hello_len, 7);
    ck_assert_uint_eq(raw.answer.fd_count, 2);
    test_raw_close(&raw);
    test_until_lost(&server, NULL, server.ends[0]);
}
END_TEST

START_TEST(short_and_foreign_packets_are_dropped)
{
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    static const char rubbish[300] = "GET / HTTP/1.0";
    static const size_t lengths[] = {1, 7, 8, 40, 95, 96, 97, 300};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int fd = test_raw_socket(name);
        ck_assert_int_eq(send(fd, rubbish, lengths[i], 0), (ssize_t)lengths[i]);
        ck_assert(test_raw_hung_up(fd, &server));
        close(fd);
    }
    struct wbi_shm_packet packet = wbi_shm_packet_of(WBI_SHM_HELLO);
    int fd = test_raw_socket(name);
    ck_assert_int_eq(send(fd, &packet, sizeof packet, 0), sizeof packet); /* without descriptors */
    ck_assert(test_raw_hung_up(fd, &server));
    close(fd);
    ck_assert_uint_eq(server.requests, 0);
    an_honest_peer_still_gets_in();
}
END_TEST

START_TEST(another_version_is_told_ours)
{
    struct test_raw raw;
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    test_raw_open(&raw, name);
    raw.hello.version = WBI_SHM_VERSION + 1;
    ck_assert_int_eq(test_raw_meet(&raw, &server), WBI_SHM_REJECT);
    ck_assert_uint_eq(raw.answer.packet.version, WBI_SHM_VERSION);
    test_raw_close(&raw);
}
END_TEST

/* A hello with something wrong in it ends in a refusal. */
static void refused(struct test_raw *raw)
{
    ck_assert_int_ne(test_raw_meet(raw, &server), WBI_SHM_ACK);
    test_raw_close(raw);
    ck_assert_uint_eq(server.end_count, 0);
}

static void replace_fd(int *fd, int with)
{
    close(*fd);
    *fd = with;
}

START_TEST(wrong_numbers_are_refused)
{
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    for (int i = 0; i < 9; i++) {
        struct test_raw raw;
        test_raw_open(&raw, name);
        struct wbi_shm_hello *hello = &raw.hello.hello;
        switch (i) {
        case 0:
            hello->ring_bytes = 0;
            break;
        case 1:
            hello->ring_bytes = 3 * 65536;
            break;
        case 2:
            hello->ring_bytes = 1u << 31;
            break;
        case 3:
            hello->ring_bytes = 2 * TEST_RAW_RING; /* more than the file has */
            break;
        case 4:
            hello->doorbell = WBI_SHM_MAX_CHANNELS;
            break;
        case 5:
            hello->doorbell = UINT32_MAX;
            break;
        case 6:
            hello->eager_bytes = 0;
            break;
        case 7:
            hello->eager_bytes = UINT32_MAX;
            break;
        default:
            hello->hello_len = WBI_HELLO_MAX + 1;
        }
        refused(&raw);
    }
    an_honest_peer_still_gets_in();
}
END_TEST

START_TEST(wrong_descriptors_are_refused)
{
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    size_t bytes = wbi_shm_segment_bytes(TEST_RAW_RING);
    int seals = F_SEAL_SHRINK | F_SEAL_GROW;
    for (int i = 0; i < 8; i++) {
        struct test_raw raw;
        test_raw_open(&raw, name);
        switch (i) {
        case 0:
            replace_fd(&raw.segment_fd, test_raw_memfd(bytes, 0));
            break;
        case 1:
            replace_fd(&raw.segment_fd, test_raw_memfd(bytes, F_SEAL_GROW));
            break;
        case 2:
            replace_fd(&raw.segment_fd, test_raw_memfd(bytes - 4096, seals));
            break;
        case 3:
            replace_fd(&raw.segment_fd, open("/dev/zero", O_RDWR | O_CLOEXEC));
            break;
        case 4:
            replace_fd(&raw.page_fd, test_raw_memfd(WBI_SHM_LANE_PAGE, 0));
            break;
        case 5:
            replace_fd(&raw.page_fd, test_raw_memfd(100, seals));
            break;
        case 6:
            replace_fd(&raw.page_fd,
                       test_raw_memfd(WBI_SHM_LANE_PAGE, seals | F_SEAL_FUTURE_WRITE));
            break;
        default:
            replace_fd(&raw.page_fd, open("/dev/null", O_RDWR | O_CLOEXEC));
        }
        refused(&raw);
    }
    an_honest_peer_still_gets_in();
}
END_TEST

START_TEST(surplus_descriptors_are_closed)
{
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    unsigned before = test_open_fds();
    struct test_raw raw;
    test_raw_open(&raw, name);
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 20)];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec bytes = {&raw.hello, sizeof raw.hello};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * 20);
    for (size_t i = 0; i < 20; i++) {
        memcpy(CMSG_DATA(rights) + i * sizeof(int), &raw.segment_fd, sizeof(int));
    }
    ck_assert_int_eq(sendmsg(raw.socket, &message, 0), sizeof raw.hello);
    ck_assert(test_raw_hung_up(raw.socket, &server));
    test_raw_close(&raw);
    ck_assert_uint_eq(test_open_fds(), before);
}
END_TEST

START_TEST(silent_visitors_are_shown_out)
{
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    int silent[100];
    for (int i = 0; i < 100; i++) {
        silent[i] = test_raw_socket(name);
    }
    an_honest_peer_still_gets_in(); /* past all of them */
    for (int i = 0; i < 100; i++) {
        ck_assert(test_raw_hung_up(silent[i], &server));
        close(silent[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm handshake");
    TCase *tests = tcase_create("handshake");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, open_sides, close_sides);
    tcase_add_test(tests, names);
    tcase_add_test(tests, nobody_listens);
    tcase_add_test(tests, the_name_is_in_use_until_the_lane_closes);
    tcase_add_test(tests, a_rejection_brings_its_reason);
    tcase_add_test(tests, the_listener_closes_before_it_answers);
    tcase_add_test(tests, the_connector_closes_before_it_is_answered);
    tcase_add_test(tests, more_than_max_channels_say_again);
    tcase_add_test(tests, different_eager_sizes_meet_at_the_smaller);
    tcase_add_test(tests, a_raw_hello_that_is_right_is_accepted);
    tcase_add_test(tests, short_and_foreign_packets_are_dropped);
    tcase_add_test(tests, another_version_is_told_ours);
    tcase_add_test(tests, wrong_numbers_are_refused);
    tcase_add_test(tests, wrong_descriptors_are_refused);
    tcase_add_test(tests, surplus_descriptors_are_closed);
    tcase_add_test(tests, silent_visitors_are_shown_out);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
