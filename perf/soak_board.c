#include "perf/soak_board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "perf/common_say.h"

enum { CLIENT_BYTES = 2 * SOAK_CALLS_MAX };

_Static_assert(sizeof(struct soak_board) <= BOARD_BYTES, "the board has its room");

static uint64_t offset_of(uint32_t client, uint32_t number)
{
    return BOARD_BYTES + (uint64_t)client * CLIENT_BYTES + number;
}

int board_open(struct soak_shared *shared, int fd, uint32_t clients, bool records)
{
    size_t bytes = records ? (size_t)offset_of(clients, 0) : BOARD_BYTES;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        return say(EXIT_FAILURE, "cannot map the board: %s", strerror(errno));
    }
    *shared = (struct soak_shared){.board = at, .clients = clients, .fd = fd};
    shared->records = records ? (_Atomic uint8_t *)at + BOARD_BYTES : NULL;
    return 0;
}

int board_create(struct soak_shared *shared, uint32_t clients)
{
    *shared = (struct soak_shared){.fd = -1};
    int fd = memfd_create("wb_soak", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)offset_of(clients, 0)) != 0) {
        int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        return say(EXIT_FAILURE, "cannot make the board: %s", strerror(why));
    }
    int wrong = board_open(shared, fd, clients, true);
    if (wrong != 0) {
        close(fd);
    }
    return wrong;
}

void board_close(struct soak_shared *shared)
{
    if (shared->board != NULL) {
        munmap(shared->board,
               shared->records != NULL ? (size_t)offset_of(shared->clients, 0) : BOARD_BYTES);
        close(shared->fd);
    }
    *shared = (struct soak_shared){.fd = -1};
}

_Atomic uint8_t *board_mark(const struct soak_shared *shared, uint32_t client, uint32_t number)
{
    return shared->records + (size_t)client * CLIENT_BYTES + number;
}

uint8_t board_executions(const struct soak_shared *shared, uint32_t client, uint32_t number)
{
    return atomic_load(board_mark(shared, client, number) + SOAK_CALLS_MAX);
}

bool board_executed(const struct soak_shared *shared, uint32_t client, uint32_t number)
{
    uint8_t count = 0;
    if (client >= shared->clients || number >= SOAK_CALLS_MAX) {
        return false;
    }
    off_t at = (off_t)offset_of(client, number) + SOAK_CALLS_MAX;
    if (pread(shared->fd, &count, 1, at) != 1) {
        return false;
    }
    count = count < UINT8_MAX ? (uint8_t)(count + 1) : count;
    return pwrite(shared->fd, &count, 1, at) == 1;
}
