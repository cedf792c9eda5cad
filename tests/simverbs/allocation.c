#include "tests/simverbs/allocation.h"

#include <errno.h>
#include <malloc.h>
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

/* ---- what is held ---- */

/* Counted at the host that the program is on; what is taken on one and given back on another evens
 * out in the sum, which sim_close looks at. */
static void *count(void *memory)
{
    if (memory != NULL && sim_is_simulated() && sim_world.here != NULL) {
        sim_world.here->held_bytes += (int64_t)malloc_usable_size(memory);
        sim_world.held_blocks++;
    }
    return memory;
}

static void discount(void *memory)
{
    if (memory != NULL && sim_is_simulated() && sim_world.here != NULL) {
        sim_world.here->held_bytes -= (int64_t)malloc_usable_size(memory);
        sim_world.held_blocks--;
    }
}

int64_t sim_held_bytes(const struct sim_host *host)
{
    return host->held_bytes;
}

/* ---- the product's calls ---- */

void *sim_malloc(size_t bytes)
{
    return fails("malloc") ? NULL : count(malloc(bytes));
}

void *sim_calloc(size_t count_of, size_t bytes)
{
    return fails("calloc") ? NULL : count(calloc(count_of, bytes));
}

void *sim_realloc(void *memory, size_t bytes)
{
    if (fails("realloc")) {
        return NULL;
    }
    discount(memory);
    return count(realloc(memory, bytes));
}

void sim_free(void *memory)
{
    discount(memory);
    free(memory);
}

void *sim_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return fails("mmap") ? MAP_FAILED : mmap(address, bytes, protection, flags, fd, offset);
}
