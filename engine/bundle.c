#include "engine/bundle.h"

#include <waybill/status.h>

#include "engine/wire.h"

static bool is_zero(const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (from[i] != 0) {
            return false;
        }
    }
    return true;
}

/* What is wrong with the frame at `at` and its parcel, or NULL. */
static const char *fault_of(const uint8_t *message, size_t len, size_t at)
{
    if (len - at <= WBI_BUNDLE_FRAME) {
        return "a bundle that ends inside a frame";
    }
    const uint8_t *frame = message + at, *parcel = frame + WBI_BUNDLE_FRAME;
    uint32_t bytes = wbi_bundle_length(frame);
    if (bytes == 0 || bytes > len - at - WBI_BUNDLE_FRAME ||
        !is_zero(frame + sizeof bytes, sizeof bytes)) {
        return "a bundle with a parcel that it does not hold";
    }
    if (parcel[0] != WBI_REQUEST && parcel[0] != WBI_REPLY) {
        return "a bundle with something that is no request and no reply";
    }
    size_t end = at + WBI_BUNDLE_FRAME + bytes, next = wbi_bundle_next(end);
    if (end < len && (next >= len || !is_zero(message + end, next - end))) {
        return "a bundle with bytes between its parcels, or behind them";
    }
    return NULL;
}

int wbi_bundle_check(const uint8_t *message, size_t len, uint32_t *count, const char **what)
{
    uint32_t parcels = 0;
    for (size_t at = 0; at < len; parcels++) {
        *what = fault_of(message, len, at);
        if (*what != NULL) {
            return WB_ERR_PROTOCOL;
        }
        at = wbi_bundle_next(at + WBI_BUNDLE_FRAME + wbi_bundle_length(message + at));
    }
    if (parcels < 2 || parcels > WBI_BUNDLE_MOST) {
        *what = "a bundle of too few parcels, or too many";
        return WB_ERR_PROTOCOL;
    }
    *count = parcels;
    return WB_OK;
}
