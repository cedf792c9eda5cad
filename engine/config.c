/* The configuration: its defaults, its bounds, its text. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/inbound.h"
#include "engine/thresholds.h"
#include "engine/wire.h"

static const struct wb_engine_config defaults = {.budget_bytes = (uint64_t)1 << 30,
                                                 .slab_bytes = 8 << 20,
                                                 .pin_bytes = (uint64_t)4 << 30,
                                                 .eager_bytes = 8192,
                                                 .rma_threshold = 1024,
                                                 .max_calls = 1024,
                                                 .credits = 256,
                                                 .max_peers = 256,
                                                 .call_timeout_us = 30000000,
                                                 .connect_timeout_us = 5000000,
                                                 .spin_us = 50,
                                                 .liveness_us = 1000000,
                                                 .reserve_percent = 6,
                                                 .when_full = WB_FULL_WAIT,
                                                 .shed_beyond = 16,
                                                 .pages = WB_PAGES_TRANSPARENT,
                                                 .filter_from = 1024,
                                                 .arena_bytes = WB_ARENA_LIMIT,
                                                 .max_depth = WB_DEPTH_LIMIT,
                                                 .max_chunks = WBI_MAX_CHUNKS,
                                                 .streams = 64,
                                                 .stream_items = 16,
                                                 .stream_bytes = 2 << 20};

static uint32_t or_default(uint32_t told, uint32_t normal)
{
    return told != 0 ? told : normal;
}

void wb_engine_config_default(struct wb_engine_config *config)
{
    *config = defaults;
}

static const char *pages_name(enum wb_pages pages)
{
    static const char *const names[WB_PAGES_KINDS] = {"small", "transparent", "2M", "1G"};
    return (unsigned)pages < WB_PAGES_KINDS ? names[pages] : "(none of enum wb_pages)";
}

static const char *checks_name(enum wb_rma_checks checks)
{
    static const char *const names[] = {"cheap", "blocks", "all"};
    return (unsigned)checks <= WB_RMA_CHECKS_ALL ? names[checks] : "(none of enum wb_rma_checks)";
}

static const char *full_name(enum wb_when_full when_full)
{
    static const char *const names[] = {"wait", "refuse", "shed"};
    return (unsigned)when_full <= WB_FULL_SHED ? names[when_full] : "(none of enum wb_when_full)";
}

static const char *filter_name(enum wb_filter filter)
{
    static const char *const names[] = {"none", "lz4"};
    return (unsigned)filter <= WB_FILTER_LZ4 ? names[filter] : "(none of enum wb_filter)";
}

int wb_engine_config_text(const struct wb_engine_config *c, char *text, size_t size)
{
    return snprintf(
        text, size,
        "budget_bytes %" PRIu64 " bytes\nslab_bytes %" PRIu64 " bytes\npin_bytes %" PRIu64
        " bytes\neager_bytes %" PRIu32 " bytes\npointer_threshold %" PRIu32
        " bytes\nrma_threshold %" PRIu32 " bytes\nmax_calls %" PRIu32 " calls\ncredits %" PRIu32
        " requests\nmax_peers %" PRIu32 " peers\nlanes %" PRIu32
        " a fabric\ncall_timeout_us %" PRIu64 " us\nconnect_timeout_us %" PRIu64
        " us\nspin_us %" PRIu64 " us\nliveness_us %" PRIu64 " us\nreserve_percent %" PRIu32
        " %%\nwhen_full %s\nshed_beyond %" PRIu32
        " requests\npages %s\nchecks %s\nfilter %s\nfilter_from %" PRIu32
        " bytes\narena_bytes %" PRIu64 " bytes\nmax_depth %" PRIu32 " values\nmax_chunks %" PRIu32
        " chunks\nstreams %" PRIu32 " a peer\nstream_items %" PRIu32 " items\nstream_bytes %" PRIu64
        " bytes\nlatency %s\nverbs.devices %s\nverbs.source %s\nverbs.mtu %" PRIu32
        " bytes\nverbs.ack_timeout %" PRIu32 " (4.096 us * 2^n)\nverbs.retries %" PRIu32
        " times\nverbs.rails %s\n",
        c->budget_bytes, c->slab_bytes, c->pin_bytes, c->eager_bytes,
        wbi_pointer_threshold(c, c->eager_bytes, false), c->rma_threshold, c->max_calls, c->credits,
        c->max_peers, wbi_config_lanes(c), c->call_timeout_us, c->connect_timeout_us, c->spin_us,
        c->liveness_us, c->reserve_percent, full_name(c->when_full), c->shed_beyond,
        pages_name(c->pages), checks_name(c->checks), filter_name(c->filter), c->filter_from,
        c->arena_bytes, c->max_depth, c->max_chunks, c->streams, c->stream_items, c->stream_bytes,
        c->latency ? "on" : "off", c->verbs.devices != NULL ? c->verbs.devices : "(all)",
        c->verbs.source != NULL ? c->verbs.source : "(by route)", c->verbs.mtu,
        or_default(c->verbs.ack_timeout, WBI_ACK_TIMEOUT),
        or_default(c->verbs.retries, WBI_RETRIES), c->verbs.rails ? "on" : "off");
}

static int check_range(const char *name, uint64_t value, uint64_t low, uint64_t high)
{
    if (value >= low && value <= high) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_INVALID,
                     "config.%s is %" PRIu64 "; it goes from %" PRIu64 " to %" PRIu64, name, value,
                     low, high);
}

int wbi_config_check(const struct wb_engine_config *c)
{
    const struct {
        const char *name;
        uint64_t value, low, high;
    } ranges[] = {
        {"eager_bytes", c->eager_bytes, WBI_EAGER_MIN, 65536},
        {"slab_bytes", c->slab_bytes, 2 << 20, 1 << 30},
        {"rma_threshold", c->rma_threshold, 1, UINT32_MAX},
        {"max_calls", c->max_calls, 1, 65536},
        {"credits", c->credits, 1, 4096},
        {"max_peers", c->max_peers, 1, 1024},
        {"lanes", c->lanes, 0, WB_LANES_MOST},
        {"call_timeout_us", c->call_timeout_us, 1, UINT64_MAX},
        {"connect_timeout_us", c->connect_timeout_us, 1, UINT64_MAX / 2},
        {"liveness_us", c->liveness_us, 10000, UINT64_MAX / 2},
        {"reserve_percent", c->reserve_percent, 0, 50},
        {"when_full", (uint64_t)c->when_full, WB_FULL_WAIT, WB_FULL_SHED},
        {"shed_beyond", c->shed_beyond, 1, UINT32_MAX},
        {"pages", (uint64_t)c->pages, 0, WB_PAGES_KINDS - 1},
        {"checks", (uint64_t)c->checks, 0, WB_RMA_CHECKS_ALL},
        {"filter", (uint64_t)c->filter, WB_FILTER_NONE, WB_FILTER_LZ4},
        {"filter_from", c->filter_from, 1, UINT32_MAX},
        {"arena_bytes", c->arena_bytes, 1, UINT32_MAX},
        {"max_depth", c->max_depth, 1, 1024},
        {"max_chunks", c->max_chunks, 1, WBI_MAX_CHUNKS},
        {"streams", c->streams, 1, 65536},
        {"stream_items", c->stream_items, 1, 1024},
        {"stream_bytes", c->stream_bytes, 16384, UINT64_MAX / 2},
        {"verbs.ack_timeout", or_default(c->verbs.ack_timeout, WBI_ACK_TIMEOUT), 8, 20},
        {"verbs.retries", or_default(c->verbs.retries, WBI_RETRIES), 1, 6},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        int status = check_range(ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high);
        if (status != WB_OK) {
            return status;
        }
    }
    if (!wbi_filter_is_here(c->filter)) {
        return wbi_error(WB_ERR_INVALID,
                         "config.filter is lz4, and this library was built without; build it where "
                         "liblz4-dev is installed, or leave the filter out");
    }
    if ((c->slab_bytes & (c->slab_bytes - 1)) != 0) {
        return wbi_error(WB_ERR_INVALID,
                         "config.slab_bytes is %" PRIu64 "; it must be a power of two",
                         c->slab_bytes);
    }
    if (c->budget_bytes < c->slab_bytes) {
        return wbi_error(WB_ERR_BUDGET,
                         "config.budget_bytes is %" PRIu64 ", less than one slab of %" PRIu64
                         " bytes; raise it or lower slab_bytes",
                         c->budget_bytes, c->slab_bytes);
    }
    return WB_OK;
}
