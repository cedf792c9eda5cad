/* Reading the peer's process (process_vm_readv), where that is allowed and the peer stages nothing
 * in time. */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/shm/lane.h"

/* Copies from the peer's process; returns the bytes copied, 0 if that did not work. */
static size_t take(const struct wbi_channel *channel, void *into, uint64_t address, size_t len)
{
    struct iovec here = {.iov_base = into, .iov_len = len};
    struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
    ssize_t got;
    do {
        got = process_vm_readv(channel->pid, &here, 1, &there, 1, 0);
    } while (got < 0 && errno == EINTR);
    return got > 0 ? (size_t)got : 0;
}

void wbi_shm_take_probe(struct wbi_channel *channel, uint64_t address, uint64_t expected)
{
    uint64_t seen = 0;
    /* Without a pidfd, another process could have come to the number. */
    channel->can_take = channel->pid > 0 && channel->process >= 0 && expected != 0 &&
                        take(channel, &seen, address, sizeof seen) == sizeof seen &&
                        seen == expected;
}

int wbi_shm_take_direct(struct wbi_channel *channel, uint32_t number)
{
    struct wbi_shm_reader *reader = &channel->reader;
    struct wbi_shm_ask *ask = &reader->asks[number % WBI_SHM_REQUESTS];
    if (number == reader->asked) {
        reader->direct = false;
        return 0;
    }
    struct wbi_read *read = ask->read;
    _Atomic uint64_t *lease = &channel->theirs.head->leases[ask->key.lease];
    if (!wbi_shm_lease_stands(lease, ask->key.value)) {
        wbi_shm_stage_detach(channel, number, WB_ERR_REVOKED);
        return 1;
    }
    uint64_t rest = read->len - read->progress;
    size_t got = take(channel, (uint8_t *)read->into + read->progress,
                      read->address + read->progress, rest < WBI_SHM_SLICE ? rest : WBI_SHM_SLICE);
    /* Alive afterwards means that the bytes were its own, and not those of a process that got its
     * number. */
    if (got == 0 || wbi_wait(channel->process, 0) != 0) {
        channel->can_take = false;
        reader->direct = false;
        return 0;
    }
    if (!wbi_shm_lease_stood(lease, ask->key.value)) {
        wbi_shm_stage_detach(channel, number, WB_ERR_REVOKED);
        return 1;
    }
    read->progress += got;
    if (read->progress == read->len) {
        wbi_shm_stage_detach(channel, number, WB_OK);
    }
    return 1;
}
