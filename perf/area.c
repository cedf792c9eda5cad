#include "perf/area.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "perf/common_say.h"

enum { PART_ALIGN = 4096 };

static size_t head_bytes(void)
{
    return (sizeof(struct area_head) + PART_ALIGN - 1) & ~(size_t)(PART_ALIGN - 1);
}

static int map(struct area *area, int fd, size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED) {
        return say(EXIT_FAILURE, "cannot map %zu bytes for --vs: %s", bytes, strerror(errno));
    }
    area->head = at;
    area->bytes = bytes;
    area->part_bytes = (bytes - head_bytes()) / 2;
    return 0;
}

int area_create(struct area *area, size_t part_bytes)
{
    *area = (struct area){.fd = -1};
    size_t part = (part_bytes + PART_ALIGN - 1) & ~(size_t)(PART_ALIGN - 1);
    size_t bytes = head_bytes() + 2 * part;
    int fd = memfd_create("wb_perf", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) {
        int wrong = say(EXIT_FAILURE, "cannot make %zu bytes of shared memory for --vs: %s", bytes,
                        strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return wrong;
    }
    if (map(area, fd, bytes) != 0) {
        close(fd);
        return EXIT_FAILURE;
    }
    area->fd = fd;
    return 0;
}

int area_open(struct area *area, int fd)
{
    struct stat about;
    *area = (struct area){.fd = -1};
    if (fstat(fd, &about) != 0 || (size_t)about.st_size < head_bytes()) {
        return say(EXIT_FAILURE, "--area %d: no memory of --local (which uses this option itself)",
                   fd);
    }
    int wrong = map(area, fd, (size_t)about.st_size);
    close(fd);
    return wrong;
}

void area_close(struct area *area)
{
    if (area->head != NULL) {
        munmap(area->head, area->bytes);
        if (area->fd >= 0) {
            close(area->fd);
        }
    }
    *area = (struct area){.fd = -1};
}

uint8_t *area_part(const struct area *area, int side)
{
    return (uint8_t *)area->head + head_bytes() + (size_t)side * area->part_bytes;
}
