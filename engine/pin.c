/* Pinned user memory: the public functions, on the cache of mr_cache. */
#include <inttypes.h>
#include <waybill/pin.h>

#include "engine/engine.h"

void wbi_engine_pins_open(struct wb_engine *engine, const struct wbi_pinner *pinners,
                          const uint32_t *max_regions, unsigned count)
{
    struct wbi_pin_cache_config config = {.bytes = engine->config.pin_bytes, .pinner_count = count};
    for (unsigned i = 0; i < count; i++) {
        config.pinners[i] = pinners[i];
        uint32_t part = (max_regions[i] + 3) / 4; /* of the rest, chunks may have two thirds */
        if (pinners[i].reg != NULL && part != 0 &&
            (config.registrations == 0 || part < config.registrations)) {
            config.registrations = part;
        }
    }
    wbi_pin_cache_open(&engine->pins, &config);
}

/* ---- pinning ---- */

static int check(const struct wbi_pin_source *source, uint32_t known_flags)
{
    uintptr_t base = (uintptr_t)source->address;
    bool all = base == 0 && source->bytes == SIZE_MAX;
    if ((source->flags & ~known_flags) != 0) {
        return wbi_error(WB_ERR_INVALID, "0x%" PRIx32 " are no flags of a pin", source->flags);
    }
    if (source->bytes == 0) {
        return wbi_error(WB_ERR_INVALID, "a range of 0 bytes cannot be pinned");
    }
    if (all && (source->flags & WB_MR_ON_DEMAND) == 0) {
        return wbi_error(WB_ERR_INVALID,
                         "all of the address space is pinned with WB_MR_ON_DEMAND or not at all");
    }
    if (!all && (base == 0 || source->bytes > UINTPTR_MAX - base)) {
        return wbi_error(WB_ERR_INVALID, "%zu bytes from %p are no range of memory", source->bytes,
                         source->address);
    }
    return WB_OK;
}

static int say_why(const struct wb_engine *engine, const struct wbi_pin_source *source, int status)
{
    switch (status) {
    case WB_ERR_BUDGET:
        return wbi_error(status,
                         "%zu bytes are more than config.pin_bytes, %" PRIu64 ": raise that",
                         source->bytes, engine->config.pin_bytes);
    case WB_ERR_EXISTS:
        return wbi_error(status, "%p and %zu bytes are pinned already, in another way",
                         source->address, source->bytes);
    case WB_AGAIN:
        return wbi_error(status, "%zu bytes of a device find no room in config.pin_bytes now",
                         source->bytes);
    default:
        return wbi_error(status, "no memory for the record of a pin");
    }
}

static int pin(struct wb_engine *engine, const struct wbi_pin_source *source, uint32_t known_flags)
{
    bool refused = false;
    int status = wbi_engine_check_process(engine);
    status = status == WB_OK ? check(source, known_flags) : status;
    if (status != WB_OK) {
        return status;
    }
    status = wbi_pin_cache_pin(&engine->pins, source, &refused);
    return status == WB_OK || refused ? status : say_why(engine, source, status);
}

int wb_mr_pin(struct wb_engine *engine, const void *address, size_t bytes, uint32_t flags)
{
    struct wbi_pin_source source = {.address = address, .bytes = bytes, .flags = flags, .fd = -1};
    return pin(engine, &source, WB_MR_ON_DEMAND);
}

int wb_mr_pin_dmabuf(struct wb_engine *engine, int fd, uint64_t offset, size_t bytes,
                     const void *address, uint32_t flags)
{
    struct wbi_pin_source source = {
        .address = address, .bytes = bytes, .flags = flags, .fd = fd, .offset = offset};
    if (fd < 0) {
        return wbi_error(WB_ERR_INVALID, "%d is no descriptor of a dma-buf", fd);
    }
    if (bytes > UINT64_MAX - offset) {
        return wbi_error(WB_ERR_INVALID, "%zu bytes from %" PRIu64 " are not within a dma-buf",
                         bytes, offset);
    }
    return pin(engine, &source, 0);
}

/* ---- unpinning ---- */

static bool is_idle(void *context)
{
    return wbi_pin_is_idle(context);
}

/* Its leases end like any: released, or with their channel; so this ends. */
int wb_mr_unpin(struct wb_engine *engine, const void *address, size_t bytes)
{
    struct wbi_pin *rest = NULL;
    if (wbi_engine_is_inherited(engine)) {
        return wbi_engine_check_process(engine);
    }
    bool may_wait = !wbi_thread_is_inside(); /* another engine's, too: see wbi_await */
    int status = wbi_pin_cache_unpin(&engine->pins, address, bytes, may_wait, &rest);
    if (status == WB_ERR_INVALID) {
        return wbi_error(status, "%p and %zu bytes are not pinned", address, bytes);
    }
    if (status == WB_ERR_DEADLOCK) {
        return wbi_error(status,
                         "%p and %zu bytes are in use, and waiting inside a handler or "
                         "callback would stop the progress that is waited for",
                         address, bytes);
    }
    if (rest != NULL) {
        wbi_await(engine, is_idle, rest, UINT64_MAX);
        wbi_pin_cache_forget(&engine->pins, rest);
    }
    return status;
}
