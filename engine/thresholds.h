/* Where arguments of a call stop being packed, and become chunks: docs/types.md. Any thread. */
#ifndef WBI_ENGINE_THRESHOLDS_H
#define WBI_ENGINE_THRESHOLDS_H

#include <stdbool.h>
#include <stdint.h>
#include <waybill/engine.h>
#include <waybill/serial.h>

/* Whether a call with these options (or NULL) states thresholds of its own. */
bool wbi_call_is_exact(const struct wb_call_options *options);

/* The engine's pointer_threshold for messages of so many bytes, over a fabric that stages or does
 * not, and, with `stages` false, for counted buffers: see <waybill/engine.h>. */
uint32_t wbi_pointer_threshold(const struct wb_engine_config *config, uint32_t eager_bytes,
                               bool stages);

/* Where arguments of a call with these options (or NULL) stop being packed. */
struct wb_thresholds wbi_call_thresholds(const struct wb_engine_config *config,
                                         uint32_t eager_bytes, bool stages, uint32_t read_align,
                                         const struct wb_call_options *options);

#endif
