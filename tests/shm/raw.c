#include "tests/shm/raw.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HONEST_SEALS = F_SEAL_SHRINK | F_SEAL_GROW };

int test_raw_memfd(size_t bytes, int seals)
{
    int fd = memfd_create("raw", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    if (seals) {
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    }
    return fd;
}

int test_raw_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "waybill/%u/%s",
                       (unsigned)geteuid(), name);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, size), 0);
    return fd;
}

void test_raw_open(struct test_raw *raw, const char *name)
{
    memset(raw, 0, sizeof *raw);
    size_t bytes = wbi_shm_segment_bytes(TEST_RAW_RING);
    raw->socket = test_raw_socket(name);
    raw->segment_fd = test_raw_memfd(bytes, HONEST_SEALS);
    raw->page_fd = test_raw_memfd(WBI_SHM_LANE_PAGE, HONEST_SEALS);
    raw->segment = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, raw->segment_fd, 0);
    ck_assert_ptr_ne(raw->segment, MAP_FAILED);
    raw->head = (struct wbi_shm_head *)(void *)raw->segment;
    raw->page = mmap(NULL, WBI_SHM_LANE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, raw->page_fd, 0);
    ck_assert_ptr_ne(raw->page, MAP_FAILED);
    raw->hello = wbi_shm_packet_of(WBI_SHM_HELLO);
    raw->hello.hello.ring_bytes = TEST_RAW_RING;
    raw->hello.hello.eager_bytes = TEST_EAGER;
}

int test_raw_meet(struct test_raw *raw, struct test_side *side)
{
    const char *why = "";
    int fds[2] = {raw->segment_fd, raw->page_fd};
    ck_assert_int_eq(wbi_shm_packet_send(raw->socket, &raw->hello, fds, 2), WB_OK);
    for (uint64_t limit = wbi_now() + 5000000; wbi_now() < limit;) {
        wbi_shm_fabric.poll(side->lane);
        int status = wbi_shm_packet_receive(raw->socket, &raw->answer, &why);
        if (status != WB_AGAIN) {
            return status == WB_OK ? raw->answer.packet.kind : status;
        }
    }
    return WB_ERR_TIMED_OUT;
}

void test_raw_close(struct test_raw *raw)
{
    wbi_shm_mail_discard(&raw->answer);
    munmap(raw->segment, wbi_shm_segment_bytes(TEST_RAW_RING));
    munmap(raw->page, WBI_SHM_LANE_PAGE);
    close(raw->segment_fd);
    close(raw->page_fd);
    close(raw->socket);
}

uint8_t *test_raw_shelves(struct test_raw *raw)
{
    return raw->segment + wbi_shm_segment_bytes(TEST_RAW_RING) - WBI_SHM_SHELVES_BYTES;
}

uint8_t *test_raw_ring(struct test_raw *raw)
{
    return test_raw_shelves(raw) - (size_t)WBI_SHM_PIECES * WBI_SHM_PIECE_BYTES - TEST_RAW_RING;
}

bool test_raw_hung_up(int socket, struct test_side *side)
{
    for (uint64_t limit = wbi_now() + 2000000; wbi_now() < limit;) {
        wbi_shm_fabric.poll(side->lane);
        struct pollfd end = {.fd = socket, .events = POLLRDHUP};
        if (poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLRDHUP))) {
            return true;
        }
    }
    return false;
}
