#include "tests/fuzz/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mr_cache/allocator.h"
#include "mr_cache/poison.h"

void fuzz_die(void)
{
    (void)fputc('\n', stderr);
    abort();
}

/* Made at its first use, and there to the end of the process. */
static struct wb_rma_allocator *pool(void)
{
    static struct wb_rma_allocator *made;
    static const struct wbi_rma_config config = {.budget_bytes = 64 << 20,
                                                 .slab_bytes = 2 << 20,
                                                 .cache_bytes = WBI_RMA_NO_CACHES,
                                                 .numa_node = -1};
    if (made == NULL) {
        fuzz_check(wbi_rma_allocator_create(&config, &made) == WB_OK, "there is no pool");
    }
    return made;
}

struct wb_landing fuzz_land(uint32_t kind, const void *data, size_t len, uint64_t archive_offset)
{
    struct wb_landing landing = {.len = len, .archive_offset = archive_offset, .kind = kind};
    fuzz_check(wbi_rma_alloc(pool(), len, true, &landing.block) == WB_OK, "the pool is full");
    landing.data = wbi_rma_block_data(landing.block);
    if (data != NULL) {
        memcpy(landing.data, data, len);
    } else {
        memset(landing.data, 0x5a, len);
    }
    wbi_poison((uint8_t *)landing.data + len, wbi_rma_block_bytes(landing.block) - len);
    return landing;
}

void fuzz_unland(struct wb_landing *landing)
{
    wbi_unpoison(landing->data, wbi_rma_block_bytes(landing->block));
    wbi_rma_block_unref(landing->block);
}

int fuzz_make_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                     uint32_t elem_size, wb_rma_vector *out)
{
    struct fuzz_maker *maker = context;
    size_t count = (size_t)bytes / elem_size;
    if (++maker->made == maker->fails_at) {
        return maker->status;
    }
    if (block == NULL) {
        return wbi_rma_vector_copy(pool(), data, elem_size, count, out);
    }
    size_t offset = (size_t)((const uint8_t *)data - (const uint8_t *)wbi_rma_block_data(block));
    *out = wbi_rma_vector_slice(block, offset, elem_size, count);
    return WB_OK;
}

void fuzz_store_check_empty(void)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(pool(), &stats);
    fuzz_check(stats.blocks == 0, "%" PRIu64 " blocks were not given back", stats.blocks);
}
