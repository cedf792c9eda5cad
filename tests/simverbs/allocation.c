#include "tests/simverbs/allocation.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/simverbs/model.h"

static bool fails(const char *what)
{
    if (!sim_is_simulated()) {
        return false;
    }
    sim_enter(0);
    bool failed = sim_allocation_fails(what);
    sim_leave();
    if (failed) {
        errno = ENOMEM;
    }
    return failed;
}

void *sim_malloc(size_t bytes)
{
    return fails("malloc") ? NULL : malloc(bytes);
}

void *sim_calloc(size_t count, size_t bytes)
{
    return fails("calloc") ? NULL : calloc(count, bytes);
}

void *sim_realloc(void *memory, size_t bytes)
{
    return fails("realloc") ? NULL : realloc(memory, bytes);
}

void *sim_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return fails("mmap") ? MAP_FAILED : mmap(address, bytes, protection, flags, fd, offset);
}
