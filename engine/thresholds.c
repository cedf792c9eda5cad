#include "engine/thresholds.h"

#include <waybill/action.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"

enum {
    POINTER_LEAST = 4096,
    POINTER_BESIDE = 256 /* of a message: header, releases, and other arguments */
};

static size_t threshold(size_t of_call, uint32_t of_engine)
{
    return of_call != 0 ? of_call : of_engine;
}

uint32_t wbi_pointer_threshold(const struct wb_engine_config *config, uint32_t eager_bytes,
                               bool stages)
{
    if (config->pointer_threshold != 0) {
        return config->pointer_threshold;
    }
    bool is_roomy = eager_bytes > POINTER_LEAST + POINTER_BESIDE;
    return stages && is_roomy ? eager_bytes - POINTER_BESIDE : POINTER_LEAST;
}

struct wb_thresholds wbi_call_thresholds(const struct wb_engine_config *config,
                                         uint32_t eager_bytes, bool stages, uint32_t read_align,
                                         const struct wb_call_options *options)
{
    static const struct wb_call_options none;
    options = options != NULL ? options : &none;
    if ((options->flags & WB_CALL_COPY) != 0) {
        return (struct wb_thresholds){.pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
    }
    uint32_t pointer = wbi_pointer_threshold(config, eager_bytes, stages);
    uint32_t buffer = wbi_pointer_threshold(config, eager_bytes, false);
    return (struct wb_thresholds){.pointer = threshold(options->pointer_threshold, pointer),
                                  .rma = threshold(options->rma_threshold, config->rma_threshold),
                                  .pointer_mask = read_align - 1,
                                  .buffer = threshold(options->pointer_threshold, buffer)};
}

bool wbi_call_is_exact(const struct wb_call_options *options)
{
    return options != NULL && (options->pointer_threshold | options->rma_threshold) != 0;
}

void wb_call_size(struct wb_sizer *sizer, struct wb_peer *peer,
                  const struct wb_call_options *options)
{
    const struct wbi_lane *lane = peer->lane;
    uint32_t eager_bytes = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    wb_sizer_start(sizer, wbi_call_thresholds(&lane->engine->config, eager_bytes,
                                              lane->caps->stages, lane->caps->read_align, options));
    sizer->exact = wbi_call_is_exact(options);
}
