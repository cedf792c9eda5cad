#include "engine/shm/segment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/clock.h"
#include "engine/fabric.h"

#ifndef MADV_POPULATE_READ /* Linux 5.14; older headers and kernels go without */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

enum {
    PAGE = 4096,
    WARM = 2 * PAGE, /* of a ring */
    PIECES = WBI_SHM_PIECES * WBI_SHM_PIECE_BYTES
};

static size_t ring_at(void)
{
    return (sizeof(struct wbi_shm_head) + PAGE - 1) / PAGE * PAGE;
}

uint32_t wbi_shm_ring_bytes(uint32_t eager_bytes)
{
    uint32_t bytes = WBI_SHM_RING_MIN;
    while (bytes < WBI_SHM_RING_MAX && bytes / 16 < eager_bytes) {
        bytes *= 2;
    }
    return bytes;
}

size_t wbi_shm_segment_bytes(uint32_t ring_bytes)
{
    return ring_at() + ring_bytes + PIECES + WBI_SHM_SHELVES_BYTES;
}

static void lay_out(struct wbi_shm_segment *segment, struct wbi_shm_mapping *mapping,
                    uint32_t ring_bytes, int populate)
{
    *segment = (struct wbi_shm_segment){
        .mapping = mapping,
        .head = (struct wbi_shm_head *)(void *)mapping->base,
        .ring = mapping->base + ring_at(),
        .ring_bytes = ring_bytes,
        .pieces = mapping->base + ring_at() + ring_bytes,
        .shelves = mapping->base + ring_at() + ring_bytes + PIECES,
    };
    /* A courtesy: without it the first messages fault these pages in. The rest of the ring, and
     * what is behind it, cost nothing before they are used: a peer that is idle leaves them alone.
     */
    madvise(mapping->base, PAGE, populate);
    madvise(segment->ring, WARM, populate);
}

int wbi_shm_segment_create(uint32_t ring_bytes, struct wbi_shm_segment *segment, int *fd)
{
    struct wbi_shm_mapping *mapping;
    int file;
    int status = wbi_shm_mapping_create(
        "waybill-channel", wbi_shm_segment_bytes(ring_bytes),
        F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, &mapping, &file);
    if (status != WB_OK) {
        return status;
    }
    lay_out(segment, mapping, ring_bytes, MADV_POPULATE_WRITE);
    /* Where chance fails, the probe is 0 and tells nobody anything wrong: it is compared, not
     * trusted. */
    (void)wbi_random(&segment->head->probe, sizeof segment->head->probe);
    *fd = file;
    return WB_OK;
}

int wbi_shm_segment_open(int fd, uint32_t ring_bytes, struct wbi_shm_segment *segment,
                         const char **why)
{
    if (ring_bytes < WBI_SHM_RING_MIN || ring_bytes > WBI_SHM_RING_MAX ||
        (ring_bytes & (ring_bytes - 1)) != 0) {
        *why = "has a message ring of an impossible size";
        return WB_ERR_PROTOCOL;
    }
    size_t bytes = 0;
    *why = wbi_shm_mapping_check(fd, false, &bytes);
    if (!*why && bytes != wbi_shm_segment_bytes(ring_bytes)) {
        *why = "is not as large as its message ring asks for";
    }
    if (*why) {
        return WB_ERR_PROTOCOL;
    }
    struct wbi_shm_mapping *mapping;
    int status = wbi_shm_mapping_open(fd, false, false, &mapping);
    if (status == WB_OK) {
        lay_out(segment, mapping, ring_bytes, MADV_POPULATE_READ);
    }
    return status;
}

void wbi_shm_segment_close(struct wbi_shm_segment *segment)
{
    wbi_shm_mapping_drop(segment->mapping);
    *segment = (struct wbi_shm_segment){0};
}
