#include "engine/filter.h"

#ifdef WBI_WITH_LZ4
#include <lz4.h>
#endif

#include "engine/wire.h"

enum { MOST_BYTES = 0x7e000000 }; /* of a plain archive: what lz4 takes at once */
enum { MOST_GROWTH = 255 };       /* a byte of lz4's stands for no more */

/* ---- lz4 ---- */

#ifdef WBI_WITH_LZ4
_Static_assert((int)MOST_BYTES == (int)LZ4_MAX_INPUT_SIZE, "what lz4 takes at once");

static const bool has_lz4 = true;

static size_t pack(const void *plain, size_t bytes, void *out, size_t room)
{
    return (size_t)LZ4_compress_default(plain, out, (int)bytes, (int)room);
}

static bool unpack(const void *packed, size_t bytes, void *plain, size_t plain_bytes)
{
    return LZ4_decompress_safe(packed, plain, (int)bytes, (int)plain_bytes) == (int)plain_bytes;
}
#else
static const bool has_lz4 = false;

static size_t pack(const void *plain, size_t bytes, void *out, size_t room)
{
    (void)plain, (void)bytes, (void)out, (void)room;
    return 0;
}

static bool unpack(const void *packed, size_t bytes, void *plain, size_t plain_bytes)
{
    (void)packed, (void)bytes, (void)plain, (void)plain_bytes;
    return false;
}
#endif

/* ---- who filters what ---- */

bool wbi_filter_is_here(enum wb_filter filter)
{
    return filter == WB_FILTER_NONE || (filter == WB_FILTER_LZ4 && has_lz4);
}

uint64_t wbi_filter_features(const struct wb_engine_config *config)
{
    return config->filter == WB_FILTER_LZ4 ? WBI_FEATURE_LZ4 : 0;
}

size_t wbi_filter_from(const struct wb_engine_config *config, uint64_t features)
{
    bool both = config->filter == WB_FILTER_LZ4 && (features & WBI_FEATURE_LZ4) != 0;
    return both && config->filter_from != UINT32_MAX ? config->filter_from : SIZE_MAX;
}

/* ---- there and back ---- */

size_t wbi_filter_apply(const void *plain, size_t bytes, void *out)
{
    if (bytes > MOST_BYTES || bytes <= WBI_FILTER_HEAD + 1) {
        return 0;
    }
    size_t packed =
        pack(plain, bytes, (uint8_t *)out + WBI_FILTER_HEAD, bytes - WBI_FILTER_HEAD - 1);
    wbi_id_encode(bytes, out);
    return packed > 0 ? WBI_FILTER_HEAD + packed : 0;
}

int wbi_filter_measure(const uint8_t *filtered, uint64_t bytes, uint64_t *plain_bytes)
{
    if (bytes <= WBI_FILTER_HEAD || bytes > MOST_BYTES) {
        return WB_ERR_MALFORMED;
    }
    uint64_t plain = wbi_id_decode(filtered), packed = bytes - WBI_FILTER_HEAD;
    if (plain == 0 || plain > MOST_BYTES || plain > packed * MOST_GROWTH) {
        return WB_ERR_MALFORMED;
    }
    *plain_bytes = plain;
    return WB_OK;
}

int wbi_filter_undo(const uint8_t *filtered, uint64_t bytes, void *plain, uint64_t plain_bytes)
{
    return unpack(filtered + WBI_FILTER_HEAD, (size_t)bytes - WBI_FILTER_HEAD, plain,
                  (size_t)plain_bytes)
               ? WB_OK
               : WB_ERR_MALFORMED;
}
